//! The results table of a record.

use std::collections::HashMap;

use super::grid::{Cell, Grid};
use super::label::labels;
use crate::record::{
    summarise, Ceiling, Layered, Mark, Marks, RatioRow, Record, RegimeRow, Regimes, Status, SummaryRow,
};
use crate::Result;

/// One row per timed point and contender; `full` adds what rarely fits a page.
///
/// # Errors
/// If the samples of the record are not those of its summary.
pub fn table(record: &Record, full: bool) -> Result<Grid> {
    let speed_ups = summarise::speed_ups(record)?;
    let speed_ups: HashMap<(&str, &str), &RatioRow> =
        speed_ups.iter().map(|r| ((r.point.as_str(), r.contender.as_str()), r)).collect();
    let ratios: HashMap<(&str, &str), &RatioRow> =
        record.ratios.iter().map(|r| ((r.point.as_str(), r.contender.as_str()), r)).collect();
    let gemms: HashMap<(&str, &str), u64> =
        record.summary.iter().map(|r| ((r.point.as_str(), r.contender.as_str()), r.gemms)).collect();
    let marks = Marks::of(record);
    let timed = || record.summary.iter().filter(|row| row.model == "weight-update");
    // A column of its own only where there is something to say, so that most tables do without.
    let trained = !full && timed().any(|row| row.mark().trained.is_some());
    let mut columns = vec![
        ("benchmark", "benchmark"),
        ("L", "depth"),
        ("T", "steps"),
        ("contender", "contender"),
        ("median", "median_ns"),
        ("time / BP [95 % CI]", "ratio"),
        ("speed-up [95 % CI]", "speed_up"),
        ("GEMMs / BP", "gemm_ratio"),
    ];
    if trained {
        columns.insert(4, ("trained", "trained_layers"));
    }
    // Records of schemas before 4 have none.
    let ceiling = full || record.run.ceilings.iter().any(|c| c.quantity == "fma");
    if ceiling {
        columns.push(("of ceiling", "of_ceiling"));
    }
    columns.extend([("of reference", "of_reference"), ("accuracy", "test_accuracy")]);
    // Beside the accuracy: what it says depends on which layers learn at all.
    let regimes = Regimes::of(record);
    let regime = full || !regimes.is_empty();
    if regime {
        columns.push(("regime", "regime"));
    }
    if full {
        columns.extend([
            ("note", "err"),
            ("ratio low", "ratio_low"),
            ("ratio high", "ratio_high"),
            ("baseline", "baseline"),
            ("speed-up low", "speed_up_low"),
            ("speed-up high", "speed_up_high"),
            ("N", "width"),
            ("B", "batch"),
            ("dtype", "dtype"),
            ("device", "device"),
            ("n", "n"),
            ("GEMMs", "gemms"),
            ("GEMM FLOPs", "gemm_flops"),
            ("critical path", "critical_path"),
            ("memory", "peak_bytes"),
            ("GPU's memory", "device_peak_bytes"),
            ("bound, GEMMs", "least_gemms"),
            ("bound, GEMM FLOPs", "least_gemm_flops"),
            ("bound, time", "bound_ns"),
            ("time / bound", "over_bound"),
            ("point", "point"),
            ("cosine by layer", "layer_cosines"),
            ("norm ratio by layer", "layer_norm_ratios"),
            ("layers trained", "trained_layers"),
            ("contended", "contended"),
            ("allocations", "allocations"),
            ("allocated", "allocated_bytes"),
            ("instructions", "instructions"),
        ]);
    }
    let mut grid =
        Grid::new(columns).optional(&["of_reference", "of_ceiling", "gemm_ratio", "steps", "speed_up"]);
    let short = labels(record.summary.iter().map(|row| row.point.as_str()), &["depth"]);
    for row in timed() {
        let beside = |r: &RatioRow| marks.ratio(&r.point, &r.contender, &r.baseline);
        let ratio = ratios.get(&(row.point.as_str(), row.contender.as_str())).copied();
        let speed_up = speed_ups.get(&(row.point.as_str(), row.contender.as_str())).copied();
        let base = gemms.get(&(row.point.as_str(), row.baseline.as_str())).copied().unwrap_or(0);
        let mut cells = vec![
            Cell::new(short[row.point.as_str()].as_str(), row.benchmark.as_str()),
            row.depth.into(),
            row.steps.into(),
            row.contender.as_str().into(),
            time(row),
            match ratio {
                // What another engine makes of backpropagation is a speed-up, where that is known, and no cost of a rule.
                Some(r) if row.rule == "bp" && speed_up.is_some() => Cell::new("", r.ratio),
                other => interval(other, other.map(beside)),
            },
            interval(speed_up, None),
            if base == 0 {
                Cell::empty()
            } else {
                let share = row.gemms as f64 / base as f64;
                Cell::new(format!("{share:.2}"), share)
            },
        ];
        if trained {
            let of = |n: usize| Cell::new(format!("{n} of {}", row.depth), n);
            cells.insert(4, row.mark().trained.map_or_else(Cell::empty, of));
        }
        if ceiling {
            cells.push(share(row, record.ceiling(row)));
        }
        cells.extend([
            share(row, record.reference_rate(row)),
            row.test_accuracy.map_or_else(Cell::empty, |a| Cell::new(format!("{:.1} %", 100.0 * a), a)),
        ]);
        let own = regimes.get(&row.point, &row.contender);
        if regime {
            let own = own.map(RegimeRow::label);
            // the other headings call it BP too, and a terminal is narrow
            let short = |label: String| Cell::new(label.replace("backpropagation", "BP"), label);
            cells.push(own.map_or_else(Cell::empty, short));
        }
        if full {
            let count = |n: Option<u64>| n.map_or_else(Cell::empty, Cell::count);
            cells.extend([
                row.err.as_str().into(),
                end(ratio, |(low, _)| low),
                end(ratio, |(_, high)| high),
                row.baseline.as_str().into(),
                end(speed_up, |(low, _)| low),
                end(speed_up, |(_, high)| high),
                row.width.into(),
                row.batch.into(),
                row.dtype.as_str().into(),
                row.device.as_str().into(),
                row.n.into(),
                row.gemms.into(),
                row.gemm_flops.into(),
                row.critical_path.into(),
                bytes(row.peak_bytes),
                bytes(row.device_peak_bytes),
                row.least_gemms.map_or_else(Cell::empty, Cell::from),
                row.least_gemm_flops.map_or_else(Cell::empty, Cell::from),
                record.bound_ns(row).map_or_else(Cell::empty, |ns| Cell::new(duration(ns), ns)),
                over_bound(record, row),
                row.point.as_str().into(),
                by_layer(own.map(|own| &own.layer_cosines)),
                by_layer(own.map(|own| &own.layer_norm_ratios)),
                row.trained_layers.map_or_else(Cell::empty, Cell::from),
                count(row.contended),
                count(row.allocations),
                count(row.allocated_bytes),
                count(row.instructions),
            ]);
        }
        grid.push(cells);
    }
    Ok(grid)
}

/// Numbers of all layers as a record has them.
fn by_layer(own: Option<&Layered>) -> Cell {
    own.map_or_else(Cell::empty, |own| own.to_string().into())
}

/// A ratio with its interval, if it has one, and its mark.
fn interval(ratio: Option<&RatioRow>, mark: Option<Mark>) -> Cell {
    ratio.map_or_else(Cell::empty, |r| Cell::new(with_interval(r, mark.unwrap_or_default()), r.ratio))
}

/// A ratio with its interval, if it has one, and the signs of its mark.
pub(super) fn with_interval(ratio: &RatioRow, mark: Mark) -> String {
    let ends = ratio.interval().map_or(String::new(), |(low, high)| format!(" [{low:.2}, {high:.2}]"));
    format!("{:.2}{ends}{}", ratio.ratio, mark.signs())
}

/// What the signs in the table mean, a line each.
pub fn footnotes(record: &Record) -> Vec<&'static str> {
    let timed = record.summary.iter().filter(|row| row.model == "weight-update" && row.n > 0);
    Mark::footnotes(timed.map(SummaryRow::mark))
}

/// One end of a ratio's interval.
fn end(ratio: Option<&RatioRow>, which: fn((f64, f64)) -> f64) -> Cell {
    let end = ratio.and_then(RatioRow::interval).map(which);
    end.map_or_else(Cell::empty, |x| Cell::new(format!("{x:.3}"), x))
}

/// Why rows hold no numbers, a line each, under the short names of the table.
pub fn failures(record: &Record) -> Vec<String> {
    let short = labels(record.summary.iter().map(|row| row.point.as_str()), &[]);
    let failed = record.summary.iter().filter(|row| !row.err.is_empty());
    failed.map(|row| format!("{} at {}: {}", row.contender, short[row.point.as_str()], row.err)).collect()
}

/// One word in place of a time; the sentence stands below the table.
pub(super) fn note(row: &SummaryRow) -> &'static str {
    match row.status {
        Status::Ok => "",
        other => other.name(),
    }
}

fn time(row: &SummaryRow) -> Cell {
    if row.n == 0 {
        return Cell::new(note(row), serde_json::Value::Null);
    }
    let text = duration(row.median_ns as f64) + row.mark().signs();
    Cell::new(text, row.median_ns)
}

/// A size for people, in MiB; nothing where it is not known.
pub(super) fn bytes(bytes: Option<u64>) -> Cell {
    bytes.map_or_else(Cell::empty, |n| Cell::new(format!("{:.1} MiB", n as f64 / f64::from(1 << 20)), n))
}

/// Nanoseconds for people, in the unit that fits.
pub fn duration(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.3} s", ns / 1e9),
    }
}

/// FLOP/s of the counted products over the time of the whole update, as a share of a rate.
fn share(row: &SummaryRow, rate: Option<&Ceiling>) -> Cell {
    match rate {
        Some(c) if row.median_ns > 0 => {
            let share = row.gemm_flops as f64 / (row.median_ns as f64 * 1e-9) / c.per_second;
            Cell::new(format!("{:.0} %", 100.0 * share), share)
        }
        _ => Cell::empty(),
    }
}

/// Measured time over the least time of the row's result.
fn over_bound(record: &Record, row: &SummaryRow) -> Cell {
    match record.bound_ns(row) {
        Some(bound) if row.median_ns > 0 && bound > 0.0 => {
            let over = row.median_ns as f64 / bound;
            Cell::new(format!("{over:.2}"), over)
        }
        _ => Cell::empty(),
    }
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
