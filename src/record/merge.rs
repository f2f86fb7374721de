//! Shards of one suite made into the record that one run of it would have written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::columns::Row;
use super::header::{to_json, MACHINE, RUN};
use super::schema::{Ceiling, Machine, Record, Run, ShardRun, SCHEMA};
use super::shard::Shard;
use super::store::{check_run, seal_of};
use super::summarise::by_point;
use super::table::Tables;
use super::{facts, folder, seal};
use crate::text::resume_command;
use crate::{Error, Result};

/// Joins finished shards, in whatever order they are given; `points` are the ids of all points of their suite, in
/// its order, and `argv` is the command line that merges.
///
/// Rows come point by point in the order of `points`, as an unsharded run writes them. Of each ceiling the highest
/// is kept: it is the best that this kind of machine has shown, and other work can only have lowered the others;
/// what each shard measured stays in [`Run::shards`].
///
/// # Errors
/// Names the shard that is unfinished, missing, doubled, of another suite, program or machine, or does not hold
/// exactly its points.
pub fn merge(shards: &[Record], points: &[String], argv: Vec<String>) -> Result<Record> {
    let shards = in_order(shards)?;
    let Some((first, shard)) = shards.first().map(|(shard, record)| (*record, *shard)) else {
        return Err(Error::Invalid("there is no shard to merge; give the folders of all of them".into()));
    };
    for (_, record) in &shards {
        check_alike(first, record)?;
    }
    check_whole(&shards, shard.of())?;
    for (shard, record) in &shards {
        check_points(*shard, record, points)?;
    }

    let mut whole = Record {
        dir: PathBuf::new(),
        run: header(&shards, argv),
        machine: first.machine.clone(),
        samples: vec![],
        summary: vec![],
        ratios: vec![],
        signals: vec![],
        alignments: vec![],
        regimes: vec![],
        training: vec![],
        quantities: vec![],
    };
    let records = || shards.iter().map(|(_, record)| *record);
    whole.samples = dealt(records().map(|r| &r.samples), points);
    whole.summary = dealt(records().map(|r| &r.summary), points);
    whole.ratios = dealt(records().map(|r| &r.ratios), points);
    whole.signals = dealt(records().map(|r| &r.signals), points);
    whole.alignments = dealt(records().map(|r| &r.alignments), points);
    whole.regimes = dealt(records().map(|r| &r.regimes), points);
    whole.training = dealt(records().map(|r| &r.training), points);
    whole.quantities = dealt(records().map(|r| &r.quantities), points);
    Ok(whole)
}

/// Writes a finished record as a whole: in `explicit_dir` if given, which must be new or empty, otherwise in a new
/// folder below `root`, named as that of a run. Returns the folder.
///
/// # Errors
/// If the folder holds anything or a file cannot be written; then no record is left there.
pub fn write(root: &Path, record: &Record, explicit_dir: Option<&Path>) -> Result<PathBuf> {
    check_run(&record.run)?;
    let tables = Tables::of(record)?;
    let (run, machine) = (to_json(&record.run)?, to_json(&record.machine)?);
    let seal = seal_of(&run, &machine, &tables);
    let mut files = vec![(MACHINE, machine)];
    files.extend(tables.files().map(|(name, bytes)| (name, bytes.clone())));
    files.extend([(seal::SEAL, seal), (RUN, run)]);
    let (dir, lock) = match explicit_dir {
        Some(dir) => (dir.to_path_buf(), folder::create_at(dir, &files)?),
        None => {
            let class = root.join(folder::slug(&record.machine.class));
            folder::create_under(&class, &folder::name(&record.run), &files)?
        }
    };
    // The record is whole and no process writes to it again; a leftover does no harm.
    let _ = std::fs::remove_file(dir.join(folder::LOCK));
    drop(lock);
    Ok(dir)
}

/// By index; each a finished shard, none twice, all of one number.
fn in_order(records: &[Record]) -> Result<Vec<(Shard, &Record)>> {
    let mut shards: BTreeMap<usize, (Shard, &Record)> = BTreeMap::new();
    for record in records {
        let refuse = |problem: String| Error::content(&record.dir, problem);
        let shard = record.run.shard.ok_or_else(|| {
            refuse(
                "is not a shard but a whole record; give folders that `pcnbench run --shard i/n` wrote"
                    .into(),
            )
        })?;
        if record.run.finished.is_none() {
            return Err(refuse(format!(
                "shard {shard} is not finished; finish it with `{}`",
                resume_command(&record.dir)
            )));
        }
        if let Some((other, there)) = shards.values().find(|(other, _)| other.of() != shard.of()) {
            return Err(refuse(format!(
                "is shard {shard}, but {} is shard {other}; give shards of one number only",
                there.dir.display()
            )));
        }
        if let Some((_, there)) = shards.insert(shard.index(), (shard, record)) {
            return Err(refuse(format!(
                "is shard {shard}, and so is {}; give each shard once",
                there.dir.display()
            )));
        }
    }
    Ok(shards.into_values().collect())
}

fn check_whole(shards: &[(Shard, &Record)], of: usize) -> Result<()> {
    let there: BTreeSet<usize> = shards.iter().map(|(shard, _)| shard.index()).collect();
    if there.len() == of {
        return Ok(());
    }
    const SHOWN: usize = 8;
    let mut missing = (1..=of).filter(|index| !there.contains(index));
    let listed: Vec<String> = missing.by_ref().take(SHOWN).map(|index| format!("{index}/{of}")).collect();
    let more = if missing.next().is_some() { ", …" } else { "" };
    Err(Error::Invalid(format!(
        "{} of {of} shards are missing: {}{more}; run them, and give the folders of all",
        of - there.len(),
        listed.join(", ")
    )))
}

/// Refuses what was not measured by the same program with the same definition and data on a like machine.
fn check_alike(first: &Record, other: &Record) -> Result<()> {
    let same = |what: &str, a: String, b: String| {
        match a == b {
        true => Ok(()),
        false => Err(Error::content(
            &other.dir,
            format!(
                "cannot be merged with {}: its {what} is `{b}` and the other's is `{a}`; run all shards of a suite \
                 with the same program, options and data on machines of one kind",
                first.dir.display()
            ),
        )),
    }
    };
    let facts = |record: &Record| {
        let mut facts = facts::question(&record.run);
        facts.extend(machine(&record.machine));
        facts.push(("number of worker threads", record.run.threads.to_string()));
        facts.extend(facts::code(&record.run));
        facts
    };
    let pairs = facts(first).into_iter().zip(facts(other));
    pairs.into_iter().try_for_each(|((what, a), (_, b))| same(what, a, b))
}

/// What makes machines unlike. Size of memory and release of the system may differ between the nodes of a
/// cluster; they are noted in [`Run::shards`].
fn machine(machine: &Machine) -> [(&'static str, String); 7] {
    [
        ("machine class", machine.class.clone()),
        ("processor", machine.cpu.clone()),
        ("number of physical cores", machine.physical_cores.to_string()),
        ("number of usable logical processors", machine.logical_cpus.to_string()),
        ("set of SIMD extensions", machine.simd.clone()),
        ("GPU", machine.gpu.clone()),
        ("GPU driver", machine.driver.clone()),
    ]
}

fn check_points(shard: Shard, record: &Record, points: &[String]) -> Result<()> {
    let own = points.iter().enumerate().filter(|(position, _)| shard.owns(*position));
    let expected: Vec<&String> = own.map(|(_, point)| point).collect();
    let found = record.finished_points();
    let problem = if let Some(missing) = expected.iter().find(|point| !found.contains(point)) {
        format!("point `{missing}` is missing; restore the record, or run the shard again")
    } else if let Some(strange) = found.iter().find(|point| !expected.contains(point)) {
        format!("point `{strange}` is not one of this shard's; restore the record, or run the shard again")
    } else if !found.iter().eq(expected) {
        "its points are not in the order of the suite; restore the record, or run the shard again".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::content(&record.dir, format!("is not what shard {shard} of its suite has to be: {problem}")))
}

fn header(shards: &[(Shard, &Record)], argv: Vec<String>) -> Run {
    let first = &shards[0].1.run;
    let runs = || shards.iter().map(|(_, record)| &record.run);
    Run {
        schema: SCHEMA,
        argv,
        // RFC 3339 in UTC sorts as text.
        started: runs().map(|run| &run.started).min().unwrap_or(&first.started).clone(),
        finished: runs().filter_map(|run| run.finished.clone()).max(),
        ceilings: highest(runs().flat_map(|run| &run.ceilings)),
        warnings: warnings(shards),
        shard: None,
        shards: shards.iter().map(|(shard, record)| facts_of(*shard, record)).collect(),
        ..first.clone()
    }
}

fn facts_of(shard: Shard, record: &Record) -> ShardRun {
    let run = &record.run;
    ShardRun {
        shard,
        argv: run.argv.clone(),
        started: run.started.clone(),
        finished: run.finished.clone().unwrap_or_default(),
        memory_bytes: record.machine.memory_bytes,
        os: record.machine.os.clone(),
        ceilings: run.ceilings.clone(),
    }
}

/// The best of each kind, in the order in which kinds first appear.
fn highest<'a>(all: impl Iterator<Item = &'a Ceiling>) -> Vec<Ceiling> {
    let mut best: Vec<Ceiling> = vec![];
    for ceiling in all {
        let size = |c: &Ceiling| (c.quantity == "product").then(|| c.at.clone());
        let kind = |c: &Ceiling| (c.quantity.clone(), c.dtype.clone(), c.device.clone(), c.threads, size(c));
        match best.iter_mut().find(|known| kind(known) == kind(ceiling)) {
            Some(known) if ceiling.per_second > known.per_second => *known = ceiling.clone(),
            Some(_) => {}
            None => best.push(ceiling.clone()),
        }
    }
    best
}

/// What every shard says, once; what only some say, with their numbers.
fn warnings(shards: &[(Shard, &Record)]) -> Vec<String> {
    let mut merged: Vec<String> = vec![];
    for (shard, record) in shards {
        for warning in &record.run.warnings {
            let common = shards.iter().all(|(_, other)| other.run.warnings.contains(warning));
            let text = if common { warning.clone() } else { format!("shard {shard}: {warning}") };
            if !merged.contains(&text) {
                merged.push(text);
            }
        }
    }
    merged
}

/// Rows of all shards, point by point.
fn dealt<'a, R: Row + Clone + 'a>(shards: impl Iterator<Item = &'a Vec<R>>, points: &[String]) -> Vec<R> {
    let mut shards: Vec<BTreeMap<&str, Vec<R>>> = shards.map(|rows| by_point(rows)).collect();
    let of = shards.len();
    let rows = points.iter().enumerate().map(|(i, point)| shards[i % of].remove(point.as_str()));
    rows.flatten().flatten().collect()
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
