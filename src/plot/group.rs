//! Which rows of a record make one figure.
//!
//! A figure shows one benchmark at fixed axes. Model, width, batch, dtype, device and activation always
//! split figures: times at different values do not belong on one line. Number of inference steps, step size
//! and parameterisation split figures only if one contender was measured at several of their values; a
//! contender with a single value (BP has no steps at all) then appears in each of those figures.
//!
//! More contenders than can be told apart are one figure per engine.
//!
//! A number of steps that follows the depth is the policy `T = L`, otherwise it is `T = 8` and so on.
//! A figure's name is `<figure>.<benchmark>` plus those axes that tell it from the benchmark's other ones.

use std::collections::{BTreeMap, BTreeSet};

use super::number;
use super::style::{self, Look};
use crate::record::{Record, SummaryRow};

/// One contender at fixed axes, ordered by depth.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane<'a> {
    /// Contender id.
    pub contender: &'a str,
    /// The part of the id before the slash.
    pub name: &'a str,
    /// Engine.
    pub engine: &'a str,
    /// One row per depth.
    pub rows: Vec<&'a SummaryRow>,
    /// `T = L`, `T = 8`, `T varies`, or empty for a rule without inference steps.
    pub policy: String,
}

impl Lane<'_> {
    /// The id in print.
    pub fn printed(&self) -> String {
        style::printed(self.contender)
    }

    /// A note for the legend, with how many layers updates train where that is not all of them.
    pub fn note(&self, note: Option<String>) -> String {
        let part = self.rows.iter().filter_map(|r| r.mark().trained.map(|n| format!("{n} of {}", r.depth)));
        let part: Vec<String> = part.collect();
        let trained = match (part.first(), part.last()) {
            (Some(first), Some(last)) if part.len() > 1 => Some(format!("trains {first} … {last} layers")),
            (first, _) => first.map(|only| format!("trains {only} layers")),
        };
        note.into_iter().chain(trained).collect::<Vec<_>>().join("; ")
    }

    /// Colour, marker and dash.
    pub fn look(&self) -> Look {
        style::look(self.name, self.engine)
    }
}

/// The rows of one figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// Benchmark name.
    pub benchmark: &'a str,
    /// What was timed, e.g. `weight-update`.
    pub model: &'a str,
    /// `f32` or `f64`.
    pub dtype: &'a str,
    /// `cpu` or `cuda`.
    pub device: &'a str,
    /// End of the figure's name, after `<figure>.`.
    pub stem: String,
    /// Conditions for the caption.
    pub facts: Vec<String>,
    /// Contenders in the order of the legend.
    pub lanes: Vec<Lane<'a>>,
}

/// Rows with a time that can be drawn: measured, without error, not the A/A control.
pub fn timed(row: &SummaryRow) -> bool {
    row.err.is_empty() && row.median_ns > 0 && row.depth > 0 && !row.contender.ends_with("~aa")
}

type Hard<'a> = (&'a str, &'a str, usize, usize, &'a str, &'a str, &'a str);

/// Values of steps policy, step size and parameterisation.
type Soft = [String; 3];

/// The groups of the drawable rows of a record, in the order of its benchmarks.
pub fn groups(record: &Record) -> Vec<Group<'_>> {
    let mut split: BTreeMap<Hard<'_>, Vec<&SummaryRow>> = BTreeMap::new();
    let mut benchmarks: Vec<&str> = Vec::new();
    for row in record.summary.iter().filter(|row| timed(row)) {
        let (width, batch) = (row.width, row.batch);
        let key = (&*row.benchmark, &*row.model, width, batch, &*row.dtype, &*row.device, &*row.activation);
        split.entry(key).or_default().push(row);
        if !benchmarks.contains(&&*row.benchmark) {
            benchmarks.push(&row.benchmark);
        }
    }
    let mut groups = Vec::new();
    for benchmark in benchmarks {
        let mine: Vec<_> = split.iter().filter(|(key, _)| key.0 == benchmark).collect();
        let keys: Vec<&Hard<'_>> = mine.iter().map(|(key, _)| *key).collect();
        for (key, rows) in mine {
            for (soft, lanes) in variants(rows) {
                for (engine, lanes) in by_engine(lanes) {
                    let own: Vec<String> = soft.iter().cloned().chain(engine).collect();
                    groups.push(group(record, key, &keys, &own, lanes));
                }
            }
        }
    }
    super::stem::unique(groups.iter_mut().map(|g| &mut g.stem));
    groups
}

fn group<'a>(
    record: &Record,
    key: &Hard<'a>,
    keys: &[&Hard<'a>],
    soft: &[String],
    lanes: Vec<Lane<'a>>,
) -> Group<'a> {
    let (benchmark, model, width, batch, dtype, device, activation) = *key;
    let mut parts = vec![super::stem::slug(benchmark)];
    let mut tell = |differs: bool, part: String| {
        if differs {
            parts.push(super::stem::slug(&part));
        }
    };
    tell(keys.iter().any(|k| k.1 != model), model.to_owned());
    tell(keys.iter().any(|k| k.2 != width), format!("width-{width}"));
    tell(keys.iter().any(|k| k.3 != batch), format!("batch-{batch}"));
    tell(keys.iter().any(|k| k.4 != dtype), dtype.to_owned());
    tell(keys.iter().any(|k| k.5 != device), device.to_owned());
    tell(keys.iter().any(|k| k.6 != activation), activation.to_owned());
    soft.iter().for_each(|value| tell(true, value.clone()));

    let list = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(" / ");
    let rows = || lanes.iter().flat_map(|lane| lane.rows.iter());
    let policies = list(lanes.iter().map(|l| l.policy.clone()).filter(|p| !p.is_empty()).collect());
    let sizes = list(rows().filter(|r| r.steps > 0).map(|r| number::short(r.step_size, 4)).collect());
    let mut facts = super::stem::machine_facts(record, device);
    facts.extend([
        dtype.to_owned(),
        format!("batch {batch}"),
        format!("width {width}"),
        activation.to_owned(),
    ]);
    facts.push(policies);
    if !sizes.is_empty() {
        facts.push(format!("step size {sizes}"));
    }
    facts.push(parameterisations(rows().map(|r| (&*r.contender, &*r.parameterisation))));
    facts.extend(super::stem::run_facts(record, benchmark));
    Group { benchmark, model, dtype, device, stem: parts.join("."), facts, lanes }
}

/// Parameterisations in a caption, given each contender with its own: the commonest alone, then who has another,
/// as in `sp-uniform, but mupc-residual for BP (μPC net) and μPC`.
pub fn parameterisations<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut kinds: BTreeMap<&str, BTreeSet<(usize, &str)>> = BTreeMap::new();
    for (contender, kind) in rows {
        let (place, name, ..) = style::order(contender);
        kinds.entry(kind).or_default().insert((place, name));
    }
    // Of two equally common ones that of the first contender in legends.
    let commonest =
        kinds.iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.1.cmp(a.1))).map(|(kind, _)| *kind);
    let others = kinds.iter().filter(|(kind, _)| Some(**kind) != commonest).map(|(kind, names)| {
        let names: Vec<String> = names.iter().map(|(_, name)| style::printed_name(name)).collect();
        format!("{kind} for {}", enumerated(&names))
    });
    let others: Vec<String> = others.collect();
    match commonest.unwrap_or_default() {
        kind if others.is_empty() => kind.to_owned(),
        kind => format!("{kind}, but {}", others.join("; ")),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn enumerated(parts: &[impl AsRef<str>]) -> String {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

/// Lines of one figure that can be told apart.
const MOST_LANES: usize = 14;

/// More lanes than fit a figure, engine by engine, each part with the name of its engine; otherwise all of them. An engine
/// with a single contender, such as autograd, stays with the first.
fn by_engine(lanes: Vec<Lane<'_>>) -> Vec<(Option<String>, Vec<Lane<'_>>)> {
    // An engine on a stated number of threads is still that engine.
    let engine = |lane: &Lane<'_>| lane.engine.split(':').next().unwrap_or_default().to_owned();
    let mut engines: Vec<String> = Vec::new();
    for lane in &lanes {
        let several = lanes.iter().filter(|l| engine(l) == engine(lane)).count() > 1;
        if several && !engines.contains(&engine(lane)) {
            engines.push(engine(lane));
        }
    }
    if lanes.len() <= MOST_LANES || engines.len() < 2 {
        return vec![(None, lanes)];
    }
    let mut parts: Vec<(Option<String>, Vec<Lane<'_>>)> =
        engines.iter().map(|name| (Some(name.clone()), Vec::new())).collect();
    for lane in lanes {
        let place = engines.iter().position(|name| *name == engine(&lane)).unwrap_or(0);
        parts[place].1.push(lane);
    }
    parts
}

/// Splits rows at equal hard axes into figures; with each figure the soft values that set it apart.
fn variants<'a>(rows: &[&'a SummaryRow]) -> Vec<(Vec<String>, Vec<Lane<'a>>)> {
    let mut contenders: BTreeMap<&str, Vec<(Soft, &'a SummaryRow)>> = BTreeMap::new();
    for row in rows {
        contenders.entry(&row.contender).or_default();
    }
    for (contender, entries) in &mut contenders {
        let own: Vec<&SummaryRow> = rows.iter().copied().filter(|r| r.contender == *contender).collect();
        for row in &own {
            for policy in policies(row, &own) {
                let size = if row.steps == 0 { String::new() } else { format!("step {}", row.step_size) };
                entries.push(([policy, size, row.parameterisation.clone()], row));
            }
        }
    }
    let values = |entries: &[(Soft, &SummaryRow)], axis: usize| -> BTreeSet<String> {
        entries.iter().map(|(soft, _)| soft[axis].clone()).collect()
    };
    // On each axis the values of contenders that vary along it, or one value that matches everything.
    let choices: Vec<Vec<Option<String>>> = (0..3)
        .map(|axis| {
            let varying = contenders.values().map(|e| values(e, axis)).filter(|v| v.len() > 1);
            let all: BTreeSet<String> = varying.flatten().collect();
            if all.is_empty() {
                vec![None]
            } else {
                all.into_iter().map(Some).collect()
            }
        })
        .collect();
    let mut figures = Vec::new();
    for policy in &choices[0] {
        for size in &choices[1] {
            for kind in &choices[2] {
                let chosen = [policy, size, kind];
                let mut own_point = chosen.iter().all(|c| c.is_none());
                let mut lanes = Vec::new();
                for (contender, entries) in &contenders {
                    let free: Vec<bool> = (0..3).map(|axis| values(entries, axis).len() < 2).collect();
                    let fits = |soft: &Soft| {
                        (0..3).all(|a| free[a] || chosen[a].as_ref().is_none_or(|value| *value == soft[a]))
                    };
                    let found: Vec<_> = entries.iter().filter(|(soft, _)| fits(soft)).collect();
                    own_point |= !found.is_empty() && free.contains(&false);
                    lanes.extend(lane(contender, &found));
                }
                if own_point && !lanes.is_empty() {
                    lanes.sort_by(|a, b| style::order(a.contender).cmp(&style::order(b.contender)));
                    figures.push((chosen.into_iter().flatten().cloned().collect(), lanes));
                }
            }
        }
    }
    figures
}

fn lane<'a>(contender: &'a str, found: &[&(Soft, &'a SummaryRow)]) -> Option<Lane<'a>> {
    let mut rows: Vec<&SummaryRow> = found.iter().map(|(_, row)| *row).collect();
    rows.sort_by_key(|row| row.depth);
    // Two rows that differ in nothing the record names would make a vertical line: the first one stands.
    rows.dedup_by_key(|row| row.depth);
    let policy = found.first()?.0[0].clone();
    let (name, engine) = style::split(contender);
    Some(Lane { contender, name, engine, rows, policy })
}

/// The step policies a row belongs to among all rows of its contender.
fn policies(row: &SummaryRow, own: &[&SummaryRow]) -> Vec<String> {
    let fixed = |steps: usize| format!("T = {steps}");
    let depths: BTreeSet<usize> = own.iter().map(|r| r.depth).collect();
    let steps: BTreeSet<usize> = own.iter().map(|r| r.steps).collect();
    let pairs: BTreeSet<(usize, usize)> = own.iter().map(|r| (r.depth, r.steps)).collect();
    if row.steps == 0 {
        return vec![String::new()];
    }
    if steps.len() == 1 {
        return vec![fixed(row.steps)];
    }
    let follows = depths.len() > 1 && depths.iter().all(|&d| pairs.contains(&(d, d)));
    if pairs.len() == depths.len() {
        return vec![if follows { "T = L".into() } else { "T varies".into() }];
    }
    // An axis over several numbers of steps, possibly `T = L` among them; the row at T = L = 8 then also
    // belongs to `T = 8` if other depths have that value.
    let diagonal = follows && row.steps == row.depth;
    let shared = pairs.iter().any(|&(depth, steps)| steps == row.steps && depth != steps);
    let mut policies = Vec::new();
    if diagonal {
        policies.push("T = L".to_owned());
    }
    if shared || !diagonal {
        policies.push(fixed(row.steps));
    }
    policies
}
