//! The tables of the report page.

use std::collections::HashMap;

use maud::{html, Markup};

use super::direction::distance;
use super::number;
use super::points::Points;
use super::style::printed;
use crate::record::{summarise, Mark, Marks, RatioRow, Record, RegimeRow, Regimes, SummaryRow};

/// Cost ratios with their intervals, one row per point and contender.
pub fn ratios(record: &Record) -> Markup {
    let facts: HashMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r)).collect();
    if record.ratios.is_empty() {
        return html! { p { "The record has no paired measurements." } };
    }
    let points = Points::new(record.ratios.iter().map(|r| &*r.point));
    let marks = Marks::of(record);
    let mark = |r: &RatioRow| marks.ratio(&r.point, &r.contender, &r.baseline);
    let regimes = Regimes::of(record);
    html! {
        p {
            "Time in units of the baseline: the median of paired log-ratios of the same rounds, with its 95 % \
             confidence interval. Above 1 is slower than the baseline. A sample of iPC holds T updates. A contender ending in "
            code { "~aa" } " is a baseline against itself: its interval is the noise floor."
        }
        (footnotes(record.ratios.iter().map(mark)))
        (points.note())
        div.scroll { table {
            thead { tr {
                th.text { "Point" } th.text { "Contender" } th.text { "Baseline" } th { "Ratio" }
                th { "95 % interval" } th { "Counted products" }
                th { "Pairs" } (heading(&regimes))
            } }
            tbody { @for r in &record.ratios {
                @let gemms = |id: &str| facts.get(&(&*r.point, id)).map(|row| row.gemms).filter(|g| *g > 0);
                tr {
                    (points.cell(&r.point)) td.text { (printed(&r.contender)) } td.text { (printed(&r.baseline)) }
                    td { (fixed(r.ratio)) (mark(r).signs()) } td { (interval(r)) }
                    td { @match (gemms(&r.contender), gemms(&r.baseline)) {
                        (Some(a), Some(b)) => { (fixed(a as f64 / b as f64)) } _ => "–"
                    } }
                    td { (r.pairs) } (regime(&regimes, &r.point, &r.contender))
                }
            } }
        } }
    }
}

/// The heading of a column of regimes, where a record has any.
fn heading(regimes: &Regimes<'_>) -> Markup {
    html! { @if !regimes.is_empty() { th.text { "Regime" } } }
}

/// The regime of a contender at a point in words, under [`heading`].
fn regime(regimes: &Regimes<'_>, point: &str, contender: &str) -> Markup {
    let own = regimes.get(point, contender).map(RegimeRow::label);
    html! { @if !regimes.is_empty() { td.text { (own.unwrap_or_else(|| "–".to_owned())) } } }
}

/// How much faster than by the reference engine each rule is, one row per point and contender; nothing if the record
/// has only one engine per rule.
pub fn speed_ups(record: &Record) -> Markup {
    // Samples that contradict the summary are for `report` to refuse; a page shows what there is.
    let rows = summarise::speed_ups(record).unwrap_or_default();
    if rows.is_empty() {
        return html! {};
    }
    let points = Points::new(rows.iter().map(|r| &*r.point));
    html! {
        section {
            h2 { "Speed-up over the reference engine" }
            p {
                "Time of the same rule on the same network by the engine " code { "reference" } " over the contender's own: the \
                 median of paired log-ratios of the same rounds, with its 95 % confidence interval. Above 1 is faster. It \
                 compares two programs and says nothing about rules."
            }
            (points.note())
            div.scroll { table {
                thead { tr {
                    th.text { "Point" } th.text { "Contender" } th { "Speed-up" } th { "95 % interval" } th { "Pairs" }
                } }
                tbody { @for r in &rows { tr {
                    (points.cell(&r.point)) td.text { (printed(&r.contender)) }
                    td { (fixed(r.ratio)) } td { (interval(r)) } td { (r.pairs) }
                } } }
            } }
        }
    }
}

/// What the signs of these marks mean.
fn footnotes(marks: impl Iterator<Item = Mark>) -> Markup {
    html! { @for note in Mark::footnotes(marks) { p.soft { (note) "." } } }
}

/// The ends of an interval, or a dash where there are too few rounds for one.
fn interval(r: &RatioRow) -> String {
    r.interval().map_or_else(|| "–".to_owned(), |(low, high)| format!("{} – {}", fixed(low), fixed(high)))
}

/// Counts, bounds and predictions of what was timed, one row per point and contender.
pub fn bounds(record: &Record) -> Markup {
    let rows = || record.summary.iter().filter(|r| r.model == "weight-update");
    let points = Points::new(rows().map(|r| &*r.point));
    let ns = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number::time);
    let count = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let ratio = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), fixed);
    html! {
        p {
            "A count is exact: products of the schedule. A bound is what no program that computes the same result can go below, \
             in products and, at the ceiling of this run on as many threads, in time. A prediction is for a machine that is not \
             at hand. Inference over BP leaves parameter gradients out on both sides, the unit of the theorem of arXiv \
             2304.02658, and is per weight update; it says nothing of the time of a whole update."
        }
        (points.note())
        div.scroll { table {
            thead { tr {
                th.text { "Point" } th.text { "Contender" } th { "Count: products" } th { "Bound: products" } th { "Bound: time" }
                th { "Measured" } th { "Measured over bound" } th { "Count: inference over BP" }
                th { "Prediction: critical path" } th { "Prediction: layer-parallel over BP" }
            } }
            tbody { @for r in rows() {
                @let bound = record.bound_ns(r);
                @let measured = (r.err.is_empty() && r.median_ns > 0).then_some(r.median_ns as f64);
                tr {
                    (points.cell(&r.point)) td.text { (printed(&r.contender)) }
                    td { (r.gemms) } td { (count(r.least_gemms)) } td { (ns(bound)) } td { (ns(measured)) }
                    td { (ratio(measured.zip(bound).map(|(t, b)| t / b))) }
                    td { (ratio(r.inference_over_bp)) } td { (r.critical_path) } td { (ratio(r.parallel_over_bp)) }
                }
            } }
        } }
    }
}

/// Every row of the summary; a failed one shows its reason in place of times.
pub fn summary(record: &Record) -> Markup {
    let points = Points::new(record.summary.iter().map(|r| &*r.point));
    let failed = record.summary.iter().filter(|r| !r.err.is_empty()).count();
    let regimes = Regimes::of(record);
    html! {
        p {
            "Wall times per unit of work: median, its 95 % interval, and the quartiles of all samples. "
            @if failed > 0 { span.bad { (failed) " of " (record.summary.len()) " rows failed and have no time." } }
        }
        (footnotes(record.summary.iter().filter(|r| r.n > 0).map(SummaryRow::mark)))
        (points.note())
        div.scroll { table {
            thead { tr {
                th.text { "Point" } th.text { "Contender" } th.text { "Model" } th { "L" } th { "T" } th { "Step size" }
                th { "n" } th { "Median" } th { "95 % interval" } th { "Quartiles" } th { "Products" }
                th { "FLOP/s" } th { "Verified" } th { "Accuracy" } (heading(&regimes)) th.text { "Stopped by" }
            } }
            tbody { @for r in &record.summary { (line(&points, &regimes, r)) } }
        } }
    }
}

fn line(points: &Points<'_>, regimes: &Regimes<'_>, r: &SummaryRow) -> Markup {
    let ns = |value: u64| number::time(value as f64);
    let rate = r.gemm_flops as f64 / (r.median_ns as f64 * 1e-9);
    html! { tr {
        (points.cell(&r.point)) td.text { (printed(&r.contender)) } td.text { (r.model) }
        td { (r.depth) @if let Some(n) = r.mark().trained { " (" (n) " trained)" } } td { (r.steps) }
        td { (number::short(r.step_size, 4)) }
        @if r.err.is_empty() && r.median_ns > 0 {
            td { (r.n) } td { (ns(r.median_ns)) (r.mark().signs()) }
            td { @match r.median_interval() { Some((low, high)) => { (ns(low)) " – " (ns(high)) }, None => "–" } }
            td { (ns(r.q1_ns)) " – " (ns(r.q3_ns)) } td { (r.gemms) }
            td { @if r.gemm_flops > 0 { (number::flops(rate)) } @else { "–" } }
        } @else if r.err.is_empty() {
            td { (r.n) } td.text.soft colspan="5" { "not timed" }
        } @else {
            td { (r.n) } td.text.bad.wrap colspan="5" { (r.err) }
        }
        td { @if let Some(v) = r.verify { (number::short(v, 2)) } @else { "–" } }
        td {
            @if let Some(v) = r.test_accuracy {
                (number::short(100.0 * v, 3)) " %"
                @if let Some(updates) = r.train_updates { " after " (updates) }
            } @else { "–" }
        }
        (regime(regimes, &r.point, &r.contender))
        td.text { (r.stop) }
    } }
}

/// Directions of all layers together, one row per point and contender.
pub fn alignments(record: &Record) -> Markup {
    let facts: HashMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r)).collect();
    let points = Points::new(record.alignments.iter().map(|r| &*r.point));
    let regimes = Regimes::of(record);
    html! {
        p {
            "Descent direction g of each rule over all parameters beside that of backpropagation, b, on the same batch and \
             parameters. Distance is ‖g − b‖/‖b‖: 0 is backpropagation itself, 1 is as far from it as not moving at all."
        }
        (points.note())
        div.scroll { table {
            thead { tr {
                th.text { "Point" } th.text { "Contender" } th { "L" } th { "T" } th { "T/L" } th { "Step size" }
                th { "Cosine" } th { "Norm ratio" } th { "Distance" } th { "Energy" } th { "Products" } (heading(&regimes))
            } }
            tbody { @for r in record.alignments.iter().filter(|r| r.layer == 0) {
                @let row = facts.get(&(&*r.point, &*r.contender));
                @let stepping = row.filter(|row| row.steps > 0 && row.depth > 0);
                tr {
                    (points.cell(&r.point)) td.text { (printed(&r.contender)) }
                    @if let Some(row) = row { td { (row.depth) } td { (row.steps) } } @else { td { "–" } td { "–" } }
                    @if let Some(row) = stepping {
                        td { (number::short(row.steps as f64 / row.depth as f64, 3)) } td { (number::short(row.step_size, 4)) }
                    } @else { td { "–" } td { "–" } }
                    td { (share(r.cosine)) } td { (share(r.norm_ratio)) }
                    td { @if let Some(d) = distance(r) { (number::short(d, 3)) } @else { "–" } }
                    td { @if let Some(e) = r.energy { (number::short(e, 3)) } @else { "–" } }
                    td { @if let Some(row) = row { (row.gemms) } @else { "–" } }
                    (regime(&regimes, &r.point, &r.contender))
                }
            } }
        } }
    }
}

/// Digits enough to see how close to 1 a value is.
fn share(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v.abs() >= 1e-4 => format!("{v:.5}").replace('-', "−"),
        v => number::short(v, 3),
    }
}

/// Ceilings and reference rates measured in the run.
pub fn ceilings(record: &Record) -> Markup {
    html! { div.scroll { table {
        thead { tr {
            th.text { "Quantity" } th.text { "Dtype" } th.text { "Device" } th { "Threads" } th { "Rate" } th.text { "At" }
        } }
        tbody { @for c in &record.run.ceilings { tr {
            td.text { (if c.quantity == "fma" { "ceiling" } else { "reference rate" }) ": " (c.quantity) } td.text { (c.dtype) } td.text { (c.device) } td { (c.threads) }
            td {
                @if ["copy", "read"].contains(&&*c.quantity) { (number::bytes(c.per_second)) } @else { (number::flops(c.per_second)) }
            }
            td.text { (c.at) @if let Some(by) = &c.by { " by " (by) } @if let Some(hz) = c.clock_hz { ", " (number::short(hz * 1e-9, 3)) " GHz" } }
        } } }
    } } }
}

fn fixed(ratio: f64) -> String {
    if ratio.is_finite() && (0.01..1000.0).contains(&ratio) {
        format!("{ratio:.3}")
    } else {
        number::short(ratio, 4)
    }
}
