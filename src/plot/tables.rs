//! The tables of the report page.

use std::collections::HashMap;

use maud::{html, Markup};

use super::number;
use super::style::printed;
use crate::record::{Record, SummaryRow};

/// Cost ratios with their intervals, one row per point and contender.
pub fn ratios(record: &Record) -> Markup {
    let facts: HashMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r)).collect();
    if record.ratios.is_empty() {
        return html! { p { "The record has no paired measurements." } };
    }
    html! {
        p {
            "Time in units of the baseline: the median of paired log-ratios of the same rounds, with its 95 % \
             block-bootstrap interval. Above 1 is slower than the baseline. A contender ending in "
            code { "~aa" } " is the baseline against itself: its interval is the noise floor."
        }
        div.scroll { table {
            thead { tr {
                th.text { "Point" } th.text { "Contender" } th.text { "Baseline" } th { "Ratio" }
                th { "95 % interval" } th { "Counted products" } th { "Pairs" }
            } }
            tbody { @for r in &record.ratios {
                @let gemms = |id: &str| facts.get(&(&*r.point, id)).map(|row| row.gemms).filter(|g| *g > 0);
                tr {
                    td.text { code { (r.point) } } td.text { (printed(&r.contender)) } td.text { (printed(&r.baseline)) }
                    td { (fixed(r.ratio)) } td { (fixed(r.low)) " – " (fixed(r.high)) }
                    td { @match (gemms(&r.contender), gemms(&r.baseline)) {
                        (Some(a), Some(b)) => { (fixed(a as f64 / b as f64)) } _ => "–"
                    } }
                    td { (r.pairs) }
                }
            } }
        } }
    }
}

/// Every row of the summary; a failed one shows its reason in place of times.
pub fn summary(record: &Record) -> Markup {
    let failed = record.summary.iter().filter(|r| !r.err.is_empty()).count();
    html! {
        p {
            "Wall times per unit of work: median, its 95 % interval, and the quartiles of all samples. "
            @if failed > 0 { span.bad { (failed) " of " (record.summary.len()) " rows failed and have no time." } }
        }
        div.scroll { table {
            thead { tr {
                th.text { "Point" } th.text { "Contender" } th.text { "Model" } th { "L" } th { "T" } th { "Step size" }
                th { "n" } th { "Median" } th { "95 % interval" } th { "Quartiles" } th { "Products" }
                th { "FLOP/s" } th { "Verified" } th { "Accuracy" } th.text { "Stopped by" }
            } }
            tbody { @for r in &record.summary { (line(r)) } }
        } }
    }
}

fn line(r: &SummaryRow) -> Markup {
    let ns = |value: u64| number::time(value as f64);
    let rate = r.gemm_flops as f64 / (r.median_ns as f64 * 1e-9);
    html! { tr {
        td.text { code { (r.point) } } td.text { (printed(&r.contender)) } td.text { (r.model) }
        td { (r.depth) } td { (r.steps) } td { (number::short(r.step_size, 4)) }
        @if r.err.is_empty() && r.median_ns > 0 {
            td { (r.n) } td { (ns(r.median_ns)) } td { (ns(r.median_low_ns)) " – " (ns(r.median_high_ns)) }
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
        td.text { (r.stop) }
    } }
}

/// Ceilings measured in the run.
pub fn ceilings(record: &Record) -> Markup {
    html! { div.scroll { table {
        thead { tr {
            th.text { "Quantity" } th.text { "Dtype" } th.text { "Device" } th { "Threads" } th { "Rate" } th.text { "At" }
        } }
        tbody { @for c in &record.run.ceilings { tr {
            td.text { (c.quantity) } td.text { (c.dtype) } td.text { (c.device) } td { (c.threads) }
            td { @if c.quantity == "gemm" { (number::flops(c.per_second)) } @else { (number::bytes(c.per_second)) } }
            td.text { (c.at) }
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
