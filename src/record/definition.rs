//! A record against the definition that it carries: which points it has to hold, and which rows of them.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::Row;
use super::header::RUN;
use super::layered::Layered;
use super::regime::RegimeRow;
use super::schema::{AlignmentRow, QuantityRow, Record, SignalRow, SummaryRow};
use super::seal::sha256;
use super::summarise::by_point;
use super::training::TrainingRow;
use crate::contender::ContenderId;
use crate::rule::{Inference, Info};
use crate::suite::{Benchmark, Model, Overrides, Point, Suite, AXES};
use crate::{Error, Result};

/// Why sampling stops: [`crate::measure::sampler::Stop`], by its words.
const STOPS: [&str; 3] = ["target", "round-limit", "time-limit"];

/// Every point of a finished record is there, and none besides; an unfinished one holds the first of them. Each point has
/// the contenders that the definition names, on the networks that it describes, and a trace or a comparison has a row for
/// every layer.
///
/// # Errors
/// Names what is missing, strange or different.
pub(super) fn check(record: &Record) -> Result<()> {
    let suite = suite(record)?;
    let points: Vec<(&Benchmark, &Point)> =
        suite.benchmarks.iter().flat_map(|b| b.points.iter().map(move |p| (b, p))).collect();
    let own = points.iter().enumerate().filter(|(i, _)| record.run.shard.is_none_or(|shard| shard.owns(*i)));
    let expected: Vec<(&Benchmark, &Point)> = own.map(|(_, point)| *point).collect();
    check_points(record, &expected)?;

    let (summary, signals, alignments) =
        (by_point(&record.summary), by_point(&record.signals), by_point(&record.alignments));
    let (regimes, quantities) = (by_point(&record.regimes), by_point(&record.quantities));
    let training = by_point(&record.training);
    for (benchmark, point) in expected {
        let Some(rows) = summary.get(point.id.as_str()) else { continue };
        check_contenders(record, benchmark, point, rows)?;
        fn of<'a, R>(rows: &'a BTreeMap<&str, Vec<R>>, point: &Point) -> &'a [R] {
            rows.get(point.id.as_str()).map_or(&[], Vec::as_slice)
        }
        check_signals(record, benchmark, rows, of(&signals, point))?;
        check_alignments(record, benchmark, rows, of(&alignments, point))?;
        check_regimes(record, benchmark, rows, of(&regimes, point))?;
        check_training(record, benchmark, rows, of(&training, point))?;
        check_quantities(record, (benchmark, point), rows, of(&quantities, point))?;
    }
    Ok(())
}

/// The definition, provided that the header says the same of it.
fn suite(record: &Record) -> Result<Suite> {
    let run = &record.run;
    let refuse = |problem: String| Error::content(&record.dir.join(RUN), problem);
    let found = sha256(run.definition.as_bytes());
    if found != run.definition_sha256 {
        return Err(refuse(format!(
            "key `definition` has the SHA-256 {found}, but `definition_sha256` is {}; restore the file or measure again",
            run.definition_sha256
        )));
    }
    let suite = Suite::parse(&run.definition, "key `definition`", &Overrides::default()).map_err(|e| {
        refuse(format!("{e}; read the record with the version that wrote it ({})", run.version))
    })?;
    let keys = [
        ("suite", &run.suite, &suite.name),
        ("about", &run.about, &suite.about),
        ("seed", &run.seed.to_string(), &suite.seed.to_string()),
    ];
    match keys.iter().find(|(_, found, expected)| found != expected) {
        None => Ok(suite),
        Some((key, found, expected)) => Err(refuse(format!(
            "key `{key}` is `{found}`, but the definition says `{expected}`; restore the file or measure again"
        ))),
    }
}

/// A sentence about the file of `R`.
fn refuse<R: Row>(record: &Record, problem: &str) -> Error {
    let problem = format!("{problem}; restore the file or measure again");
    Error::content(&record.dir.join(R::FILE), problem)
}

fn check_points(record: &Record, expected: &[(&Benchmark, &Point)]) -> Result<()> {
    let refuse = |problem: String| Err(refuse::<SummaryRow>(record, &problem));
    let found = record.finished_points();
    let whole = match record.run.shard {
        None => "the suite".to_owned(),
        Some(shard) => format!("shard {shard} of the suite"),
    };
    let known = |id: &String| expected.iter().any(|(_, point)| point.id == *id);
    if let Some(strange) = found.iter().find(|id| !known(id)) {
        return refuse(format!("point `{strange}` is not one of {whole} that run.json defines"));
    }
    // An unfinished record holds those that were measured first.
    let wanted = if record.run.finished.is_some() { expected.len() } else { found.len() };
    let mut wanted = expected.iter().take(wanted);
    if let Some((_, missing)) = wanted.find(|(_, point)| !found.contains(&point.id)) {
        return refuse(format!("point `{}` of {whole} is missing", missing.id));
    }
    let mut pairs = found.iter().zip(expected);
    if let Some((id, (_, point))) = pairs.find(|(id, (_, point))| **id != point.id) {
        return refuse(format!("point `{id}` stands where {whole} has `{}`", point.id));
    }
    match expected.get(found.len()) {
        None if found.len() > expected.len() => refuse(format!("a point of {whole} is listed twice")),
        _ => Ok(()),
    }
}

fn check_contenders(record: &Record, b: &Benchmark, point: &Point, rows: &[SummaryRow]) -> Result<()> {
    let ids: Vec<ContenderId> = b.contenders.iter().map(|c| c.id.clone()).collect();
    let listed = |ids: Vec<String>| ids.join(", ");
    let (found, wanted) = (
        listed(rows.iter().map(|row| row.contender.clone()).collect()),
        listed(ids.iter().map(ToString::to_string).collect()),
    );
    if found != wanted {
        let problem =
            format!("point `{}` has the contenders {found}, but the definition names {wanted}", point.id);
        return Err(refuse::<SummaryRow>(record, &problem));
    }
    for (row, contender) in rows.iter().zip(&b.contenders) {
        let id = &contender.id;
        let (rule, axes) = contender.at(point)?;
        let baseline = match b.model {
            Model::WeightUpdate => id.baseline(&ids, &b.baseline).to_string(),
            Model::SignalDecay | Model::Alignment | Model::Training | Model::Study(_) => String::new(),
        };
        let columns = [
            ("benchmark", row.benchmark.clone(), b.name.clone()),
            ("model", row.model.clone(), b.model.name().to_owned()),
            ("baseline", row.baseline.clone(), baseline),
            ("rule", row.rule.clone(), rule.name().to_owned()),
            ("architecture", row.architecture.clone(), b.architecture.name.to_owned()),
            ("engine", row.engine.clone(), id.engine.name().to_owned()),
            ("updates", row.updates.to_string(), rule.updates().to_string()),
        ];
        let axes =
            AXES.iter().map(|axis| (axis.name, row.axis(axis).to_string(), axis.of(&axes).to_string()));
        let place = format!("point `{}`, contender `{id}`", point.id);
        if let Some((name, found, wanted)) =
            columns.into_iter().chain(axes).find(|(_, found, wanted)| found != wanted)
        {
            let problem = format!("{place}: {name} is `{found}`, but the definition says `{wanted}`");
            return Err(refuse::<SummaryRow>(record, &problem));
        }
        check_result(row, b)
            .map_err(|problem| refuse::<SummaryRow>(record, &format!("{place}: {problem}")))?;
    }
    Ok(())
}

/// What a row has to hold that succeeded under the benchmark's model.
fn check_result(row: &SummaryRow, b: &Benchmark) -> std::result::Result<(), String> {
    let timed = b.model == Model::WeightUpdate;
    if b.model != Model::Training && row.train_updates.is_some_and(|n| n != b.accuracy_updates) {
        return Err(format!("train_updates is not {}, as the definition says", b.accuracy_updates));
    }
    if row.test_accuracy.is_some() && row.depth > b.accuracy_max_depth {
        return Err(format!(
            "test_accuracy is given, though the definition asks for none beyond depth {}",
            b.accuracy_max_depth
        ));
    }
    if !row.err.is_empty() {
        return Ok(());
    }
    match timed {
        _ if row.verify.is_none() => Err("verify is empty, though the contender did not fail".to_owned()),
        true if row.n == 0 => Err("there is no sample and no reason why (`err`)".to_owned()),
        true if !STOPS.contains(&row.stop.as_str()) => {
            Err(format!("stop is `{}`, expected one of {}", row.stop, STOPS.join(", ")))
        }
        false if row.n > 0 || !row.stop.is_empty() => {
            Err(format!("the model `{}` times nothing", b.model.name()))
        }
        _ => Ok(()),
    }
}

/// A trace has the energy of each layer 1..=L after each step from 0 on; other models have none. Of a network that is no chain
/// the first step says how many states and losses there are, and the rows how many steps Z-IL takes.
fn check_signals(record: &Record, b: &Benchmark, rows: &[SummaryRow], signals: &[SignalRow]) -> Result<()> {
    let mut left = signals;
    for row in rows.iter().filter(|row| b.model == Model::SignalDecay && row.err.is_empty()) {
        let own = left.iter().take_while(|s| s.contender == row.contender).count();
        let (own, rest) = left.split_at(own);
        let first = own.iter().take_while(|s| s.step == 0).count();
        let layers = if row.is_chain() { row.depth } else { first.max(1) };
        let order = (0..).flat_map(|step| (1..=layers).map(move |layer| (step, layer)));
        let in_order = own.iter().zip(order).all(|(s, (step, layer))| (s.step, s.layer) == (step, layer));
        let last = match Info::of(&row.rule) {
            Some(info) if row.is_chain() || info.inference == Inference::Chosen => {
                info.steps(row.depth, row.steps)
            }
            _ if row.is_chain() => row.steps,
            _ => (own.len() / layers).saturating_sub(1),
        };
        let whole = own.len() == (last + 1) * layers;
        if !(in_order && whole) {
            let problem = format!(
                "point `{}`, contender `{}`: {} rows, expected one for each of {} layers after each step from 0 to {last}",
                row.point,
                row.contender,
                own.len(),
                layers
            );
            return Err(refuse::<SignalRow>(record, &problem));
        }
        left = rest;
    }
    none_left::<SignalRow>(record, left.first().map(|row| (row.point.as_str(), row.contender.as_str())))
}

/// A comparison of directions has a row for all layers together and for each layer 1..=L; other models have none. Of a network
/// that is no chain the layers are groups of parameters, as many for every contender.
fn check_alignments(record: &Record, b: &Benchmark, rows: &[SummaryRow], all: &[AlignmentRow]) -> Result<()> {
    let (mut left, mut groups) = (all, None);
    for row in rows.iter().filter(|row| b.model == Model::Alignment && row.err.is_empty()) {
        let own = left.iter().take_while(|s| s.contender == row.contender).count();
        let (own, rest) = left.split_at(own);
        let layers = if row.is_chain() {
            row.depth
        } else {
            *groups.get_or_insert(own.len().saturating_sub(1).max(1))
        };
        if !own.iter().map(|s| s.layer).eq(0..=layers) {
            let problem = format!(
                "point `{}`, contender `{}`: its rows are not those of layers 0 to {layers}",
                row.point, row.contender
            );
            return Err(refuse::<AlignmentRow>(record, &problem));
        }
        left = rest;
    }
    none_left::<AlignmentRow>(record, left.first().map(|row| (row.point.as_str(), row.contender.as_str())))
}

/// What is wrong with numbers that are not of all `layers`, or of none.
fn other_layers(own: &Layered, layers: Option<usize>) -> Option<String> {
    let count = own.values().len();
    (count > 0 && Some(count) != layers).then(|| {
        format!(
            "layer_cosines has {count} numbers, but layers is {}",
            layers.map_or("empty".into(), |l| l.to_string())
        )
    })
}

/// A contender that learns may have one regime, on no more samples than the batch and of all layers; a trace has none.
fn check_regimes(record: &Record, b: &Benchmark, rows: &[SummaryRow], regimes: &[RegimeRow]) -> Result<()> {
    let mut left = regimes;
    for row in rows.iter().filter(|row| b.model.learns() && row.err.is_empty()) {
        let Some((own, rest)) = left.split_first().filter(|(own, _)| own.contender == row.contender) else {
            continue;
        };
        let place = || format!("point `{}`, contender `{}`", row.point, row.contender);
        if own.samples > row.batch {
            let problem = format!("{}: samples is {}, but the batch is {}", place(), own.samples, row.batch);
            return Err(refuse::<RegimeRow>(record, &problem));
        }
        if row.is_chain() && own.layers != row.depth {
            let problem = format!("{}: layers is {}, but the depth is {}", place(), own.layers, row.depth);
            return Err(refuse::<RegimeRow>(record, &problem));
        }
        if let Some(problem) = other_layers(&own.layer_cosines, Some(own.layers)) {
            return Err(refuse::<RegimeRow>(record, &format!("{}: {problem}", place())));
        }
        left = rest;
    }
    none_left::<RegimeRow>(record, left.first().map(|row| (row.point.as_str(), row.contender.as_str())))
}

/// A contender of a training run has a curve, from the start on by rising updates, which a run that failed need not have finished; other
/// models have none.
fn check_training(record: &Record, b: &Benchmark, rows: &[SummaryRow], all: &[TrainingRow]) -> Result<()> {
    let mut left = all;
    for row in rows.iter().filter(|_| b.model == Model::Training) {
        let own = left.iter().take_while(|t| t.contender == row.contender).count();
        let (own, rest) = left.split_at(own);
        let place = || format!("point `{}`, contender `{}`", row.point, row.contender);
        if !own.is_sorted_by(|a, b| a.update < b.update) || own.first().is_some_and(|first| first.update > 0)
        {
            let problem = format!("{}: updates do not rise from 0", place());
            return Err(refuse::<TrainingRow>(record, &problem));
        }
        let end = own.last().map(|last| last.update);
        if row.err.is_empty() && (end.is_none() || end != row.train_updates) {
            let problem = format!("{}: the curve does not end at the last update", place());
            return Err(refuse::<TrainingRow>(record, &problem));
        }
        if let Some(problem) = own.iter().find_map(|row| other_layers(&row.layer_cosines, row.layers)) {
            return Err(refuse::<TrainingRow>(record, &format!("{}: {problem}", place())));
        }
        left = rest;
    }
    none_left::<TrainingRow>(record, left.first().map(|row| (row.point.as_str(), row.contender.as_str())))
}

/// A contender of a study has rows of the study's quantities, each once per `at`; one of a model that learns has the steps that it took where
/// its inference ends at a residual; others have none.
fn check_quantities(
    record: &Record,
    (b, point): (&Benchmark, &Point),
    rows: &[SummaryRow],
    all: &[QuantityRow],
) -> Result<()> {
    let mut left = all;
    let known = b.model.quantities();
    if !b.model.learns() || point.residual > 0.0 {
        for row in rows.iter().filter(|row| row.err.is_empty()) {
            let own = left.iter().take_while(|q| q.contender == row.contender).count();
            let (own, rest) = left.split_at(own);
            let mut seen = BTreeSet::new();
            for q in own {
                let place = format!("point `{}`, contender `{}`", row.point, row.contender);
                if !known.iter().any(|known| known.name == q.quantity) {
                    let problem =
                        format!("{place}: `{}` is no quantity of the model {}", q.quantity, b.model.name());
                    return Err(refuse::<QuantityRow>(record, &problem));
                }
                if !seen.insert((&q.quantity, q.at.to_bits())) {
                    let problem = format!("{place}: `{}` at {} is listed twice", q.quantity, q.at);
                    return Err(refuse::<QuantityRow>(record, &problem));
                }
            }
            left = rest;
        }
    }
    none_left::<QuantityRow>(record, left.first().map(|row| (row.point.as_str(), row.contender.as_str())))
}

fn none_left<R: Row>(record: &Record, row: Option<(&str, &str)>) -> Result<()> {
    row.map_or(Ok(()), |(point, contender)| {
        let problem = format!(
            "holds a row of contender `{contender}` at point `{point}`, of which summary.csv and the definition know none"
        );
        Err(refuse::<R>(record, &problem))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::sampler::Stop;

    #[test]
    fn stops_are_those_of_the_sampler() {
        assert_eq!([Stop::Target, Stop::Rounds, Stop::Time].map(Stop::name), STOPS);
    }
}
