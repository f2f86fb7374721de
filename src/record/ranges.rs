//! Numbers that no measurement gives: each value of a record against the range of its column.

use std::fmt::Display;
use std::path::Path;
use std::time::SystemTime;

use super::columns::Row;
use super::header::{MACHINE, RUN};
use super::layered::Layered;
use super::regime::{RegimeRow, COORDINATES};
use super::schema::{
    AlignmentRow, Ceiling, Machine, QuantityRow, RatioRow, Record, Run, Sample, SignalRow, Status, SummaryRow,
};
use super::training::TrainingRow;
use crate::stats::FEWEST_FOR_INTERVAL;
use crate::{Error, Result};

/// Checks every value that has a range.
///
/// # Errors
/// Names the file, the row, the column and the first value out of range.
pub(super) fn check(record: &Record) -> Result<()> {
    run(&record.run).map_err(|problem| Error::content(&record.dir.join(RUN), problem))?;
    machine(&record.machine).map_err(|problem| Error::content(&record.dir.join(MACHINE), problem))?;
    rows(&record.dir, &record.samples, |row| &row.contender, sample)?;
    rows(&record.dir, &record.summary, |row| &row.contender, summary)?;
    rows(&record.dir, &record.ratios, |row| &row.contender, ratio)?;
    rows(&record.dir, &record.signals, |row| &row.contender, signal)?;
    rows(&record.dir, &record.alignments, |row| &row.contender, alignment)?;
    rows(&record.dir, &record.regimes, |row| &row.contender, regime)?;
    rows(&record.dir, &record.training, |row| &row.contender, training)?;
    rows(&record.dir, &record.quantities, |row| &row.contender, quantity)
}

/// A problem as a sentence's end, or none.
type Checked = std::result::Result<(), String>;

fn rows<R: Row>(
    dir: &Path,
    rows: &[R],
    contender: impl Fn(&R) -> &str,
    check: impl Fn(&R) -> Checked,
) -> Result<()> {
    rows.iter().try_for_each(|row| {
        check(row).map_err(|problem| {
            let place = format!("point `{}`, contender `{}`", row.point(), contender(row));
            Error::content(&dir.join(R::FILE), format!("{place}: {problem}"))
        })
    })
}

fn expect(holds: bool, name: &str, found: impl Display, expected: &str) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(format!("{name} is {found}, expected {expected}; restore the file or measure again")),
    }
}

/// With an exponent where digits alone would be many.
fn short(value: f64) -> String {
    format!("{value:?}")
}

fn finite(name: &str, value: f64) -> Checked {
    expect(value.is_finite(), name, short(value), "a finite number")
}

fn training(row: &TrainingRow) -> Checked {
    not_negative("epoch", row.epoch)?;
    not_negative("seconds", row.seconds)?;
    positive("learning_rate", row.learning_rate)?;
    for (name, value) in [("step_size", row.step_size), ("step_times_curvature", row.step_times_curvature)] {
        given(value, |v| positive(name, v))?;
    }
    for (name, value) in
        [("energy", row.energy), ("validation_loss", row.validation_loss), ("test_loss", row.test_loss)]
    {
        given(value, |v| finite(name, v))?;
    }
    for (name, value) in
        [("validation_accuracy", row.validation_accuracy), ("test_accuracy", row.test_accuracy)]
    {
        given(value, |v| within(name, v, 0.0, 1.0))?;
    }
    for (name, value) in [("cosine", row.cosine), ("lowest_quarter_cosine", row.lowest_quarter_cosine)] {
        given(value, |v| within(name, v, -1.0, 1.0))?;
    }
    let silent = row.silent_layers.unwrap_or(0);
    expect(
        silent <= row.layers.unwrap_or(0),
        "silent_layers",
        silent.to_string(),
        "at most as many as `layers`",
    )?;
    given(row.norm_ratio, |v| not_negative("norm_ratio", v))?;
    by_layer(&row.layer_cosines, &row.layer_norm_ratios)
}

fn quantity(row: &QuantityRow) -> Checked {
    finite("at", row.at)?;
    finite("value", row.value)
}

fn positive(name: &str, value: f64) -> Checked {
    expect(value.is_finite() && value > 0.0, name, short(value), "a finite number above 0")
}

fn not_negative(name: &str, value: f64) -> Checked {
    expect(value.is_finite() && value >= 0.0, name, short(value), "a finite number of at least 0")
}

fn within(name: &str, value: f64, low: f64, high: f64) -> Checked {
    expect((low..=high).contains(&value), name, short(value), &format!("a number from {low} to {high}"))
}

fn at_least_one(name: &str, value: usize) -> Checked {
    expect(value >= 1, name, value, "at least 1")
}

fn given<T>(value: Option<T>, check: impl FnOnce(T) -> Checked) -> Checked {
    value.map_or(Ok(()), check)
}

/// RFC 3339 in UTC.
fn time(name: &str, text: &str) -> std::result::Result<SystemTime, String> {
    humantime::parse_rfc3339(text).map_err(|_| {
        format!("{name} is `{text}`, expected a time like 2026-11-22T05:36:00Z; restore the file or measure again")
    })
}

fn span(started: &str, finished: &str) -> Checked {
    let (begin, end) = (time("started", started)?, time("finished", finished)?);
    expect(begin <= end, "finished", finished, &format!("a time not before the start, {started}"))
}

fn run(run: &Run) -> Checked {
    at_least_one("threads", run.threads)?;
    match &run.finished {
        Some(finished) => span(&run.started, finished)?,
        None => drop(time("started", &run.started)?),
    }
    run.ceilings.iter().try_for_each(ceiling)?;
    for shard in &run.shards {
        span(&shard.started, &shard.finished)?;
        shard.ceilings.iter().try_for_each(ceiling)?;
    }
    Ok(())
}

fn ceiling(c: &Ceiling) -> Checked {
    at_least_one("threads of a ceiling", c.threads)?;
    positive("per_second of a ceiling", c.per_second)
}

fn machine(machine: &Machine) -> Checked {
    expect(!machine.class.is_empty(), "class", "empty", "a name")?;
    at_least_one("physical_cores", machine.physical_cores)?;
    at_least_one("logical_cpus", machine.logical_cpus)
}

fn sample(row: &Sample) -> Checked {
    finite("checksum", row.checksum)?;
    at_least_one("executions", row.executions as usize)
}

fn summary(row: &SummaryRow) -> Checked {
    at_least_one("depth", row.depth)?;
    at_least_one("width", row.width)?;
    at_least_one("batch", row.batch)?;
    not_negative("step_size", row.step_size)?;
    let ordered = |name: &str, times: [u64; 3]| {
        let all = format!("{}, {}, {}", times[0], times[1], times[2]);
        expect(times.is_sorted(), name, all, "numbers in rising order")
    };
    ordered("min_ns, q1_ns, median_ns", [row.min_ns, row.q1_ns, row.median_ns])?;
    ordered("q1_ns, median_ns, q3_ns", [row.q1_ns, row.median_ns, row.q3_ns])?;
    // Fewer rounds than an interval takes have none: both ends are zero.
    if row.n >= FEWEST_FOR_INTERVAL || (row.median_low_ns, row.median_high_ns) != (0, 0) {
        ordered(
            "median_low_ns, median_ns, median_high_ns",
            [row.median_low_ns, row.median_ns, row.median_high_ns],
        )?;
    }
    given(row.inference_over_bp, |v| positive("inference_over_bp", v))?;
    given(row.parallel_over_bp, |v| positive("parallel_over_bp", v))?;
    let sound = row.status == Status::Ok;
    let expected =
        if sound { "empty beside status `ok`" } else { "a sentence beside another status than `ok`" };
    expect(row.err.is_empty() == sound, "err", format!("`{}`", row.err), expected)?;
    match sound {
        // Of what passed; what is larger stands beside an `err`.
        true => given(row.verify, |v| within("verify", v, 0.0, 1.0))?,
        false => given(row.verify, |v| not_negative("verify", v))?,
    }
    given(row.test_accuracy, |v| within("test_accuracy", v, 0.0, 1.0))?;
    let both = row.test_accuracy.is_some() == row.train_updates.is_some();
    expect(both, "test_accuracy or train_updates", "missing", "both or neither")?;
    given(row.contended, |n| expect(n <= row.n as u64, "contended", n, "no more than the samples"))?;
    given(row.host_bound, |v| within("host_bound", v, 0.0, 1.0))?;
    given(row.energy_uj, |v| not_negative("energy_uj", v))?;
    given(row.trained_layers, |n| expect(n <= row.depth, "trained_layers", n, "no more than depth"))
}

fn ratio(row: &RatioRow) -> Checked {
    positive("ratio", row.ratio)?;
    given(row.low, |v| positive("low", v))?;
    given(row.high, |v| positive("high", v))?;
    expect(row.low.is_some() == row.high.is_some(), "low or high", "missing", "both or neither")?;
    let all = format!("{:?}, {:?}, {:?}", row.low, row.ratio, row.high);
    let rising = row.low.is_none_or(|low| low <= row.ratio) && row.high.is_none_or(|high| row.ratio <= high);
    expect(rising, "low, ratio, high", all, "numbers in rising order")?;
    at_least_one("pairs", row.pairs)?;
    let instances = (1..=row.pairs).contains(&row.instances);
    expect(instances, "instances", row.instances, "at least one, and no more than pairs")?;
    given(row.freedom, |n| expect(n < row.instances, "freedom", n, "less than instances"))
}

fn signal(row: &SignalRow) -> Checked {
    not_negative("energy", row.energy)
}

fn alignment(row: &AlignmentRow) -> Checked {
    within("cosine", row.cosine, -1.0, 1.0)?;
    not_negative("norm_ratio", row.norm_ratio)?;
    not_negative("bp_norm", row.bp_norm)?;
    given(row.energy, |v| not_negative("energy", v))
}

fn regime(row: &RegimeRow) -> Checked {
    at_least_one("samples", row.samples)?;
    at_least_one("layers", row.layers)?;
    let curved = !row.curvature_in.is_empty();
    let known = !curved || COORDINATES.contains(&&*row.curvature_in);
    expect(known, "curvature_in", format!("`{}`", row.curvature_in), "`states`, `errors` or empty")?;
    let steps = [
        ("step_times_curvature", row.step_times_curvature),
        ("relaxed_flattest", row.relaxed_flattest),
        ("relaxed_steepest", row.relaxed_steepest),
    ];
    for (name, value) in steps {
        given(value, |v| finite(name, v))?;
        expect(curved || value.is_none(), name, "given", "an empty cell beside an empty `curvature_in`")?;
    }
    given(row.step_times_curvature, |v| not_negative("step_times_curvature", v))?;
    within("cosine", row.cosine, -1.0, 1.0)?;
    not_negative("norm_ratio", row.norm_ratio)?;
    within("lowest_quarter_cosine", row.lowest_quarter_cosine, -1.0, 1.0)?;
    let silent = row.zero_layers.saturating_add(row.rounded_layers);
    expect(silent <= row.layers, "zero_layers + rounded_layers", silent, "no more than layers")?;
    by_layer(&row.layer_cosines, &row.layer_norm_ratios)
}

/// Numbers by layer: cosines and lengths, as many of each.
fn by_layer(cosines: &Layered, norm_ratios: &Layered) -> Checked {
    let [own, other] = [cosines, norm_ratios].map(|own| own.values().len());
    expect(own == other, "layer_norm_ratios", format!("{other} numbers"), "as many as `layer_cosines` has")?;
    cosines.values().iter().try_for_each(|&v| within("layer_cosines", v, -1.0, 1.0))?;
    norm_ratios.values().iter().try_for_each(|&v| not_negative("layer_norm_ratios", v))
}
