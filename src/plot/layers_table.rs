//! The table of directions by layer of the report page.

use maud::{html, Markup};

use super::number;
use super::points::Points;
use super::style::printed;
use crate::record::{Layered, Record};

/// Directions of one contender beside backpropagation's.
struct Line<'a> {
    point: &'a str,
    contender: &'a str,
    /// Weight updates before, of a training run.
    update: Option<u64>,
    cosines: &'a Layered,
    norm_ratios: &'a Layered,
}

/// Cosine and norm ratio of every layer beside backpropagation's, one row per point and contender, of a training run its start and its
/// end; nothing if the record has none.
pub fn layers(record: &Record) -> Markup {
    let lines = lines(record);
    if lines.is_empty() {
        return html! {};
    }
    let points = Points::new(lines.iter().map(|line| line.point));
    let one = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| number::short(v, 3));
    let all =
        |own: &Layered| own.values().iter().map(|v| number::short(*v, 3)).collect::<Vec<_>>().join(", ");
    html! {
        section {
            h2 { "Directions by layer" }
            p {
                "Direction of each layer's parameters beside that of backpropagation at the same parameters and batch, from the input \
                 on: cosine, and norm over backpropagation's. The lowest quarter of the layers is a mean, of at least one layer."
            }
            (points.note())
            div.scroll { table {
                thead { tr {
                    th.text { "Point" } th.text { "Contender" } th { "Updates" } th { "Cosine, lowest quarter" }
                    th { "Norm ratio, lowest quarter" } th.text { "Cosine by layer" } th.text { "Norm ratio by layer" }
                } }
                tbody { @for line in &lines { tr {
                    (points.cell(line.point)) td.text { (printed(line.contender)) }
                    td { @if let Some(n) = line.update { (n) } @else { "–" } }
                    td { (one(line.cosines.lowest_quarter())) } td { (one(line.norm_ratios.lowest_quarter())) }
                    td.text.wrap { (all(line.cosines)) } td.text.wrap { (all(line.norm_ratios)) }
                } } }
            } }
        }
    }
}

fn lines(record: &Record) -> Vec<Line<'_>> {
    let timed = record.regimes.iter().map(|row| Line {
        point: &row.point,
        contender: &row.contender,
        update: None,
        cosines: &row.layer_cosines,
        norm_ratios: &row.layer_norm_ratios,
    });
    let trained = record.training.iter().map(|row| Line {
        point: &row.point,
        contender: &row.contender,
        update: Some(row.update),
        cosines: &row.layer_cosines,
        norm_ratios: &row.layer_norm_ratios,
    });
    timed.chain(trained).filter(|line| !line.cosines.is_empty()).collect()
}
