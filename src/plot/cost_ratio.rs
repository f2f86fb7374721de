//! Cost in units of the baseline against depth: measured in paired rounds, and counted in matrix products.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis};
use super::chart::{Chart, Dot, Level, Series};
use super::drawing::{csv_text, Drawing, Drawn};
use super::group::{enumerated, groups, Group};
use super::legend::Entry;
use super::time_vs_depth::words;
use super::{canvas, number, style};
use crate::record::{Mark, Marks, RatioRow, Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "cost-ratio";

/// One line of the figure's CSV.
#[derive(Debug, Clone, Serialize)]
struct Row<'a> {
    contender: &'a str,
    baseline: &'a str,
    rule: &'a str,
    engine: &'a str,
    depth: usize,
    steps: usize,
    pairs: usize,
    ratio: f64,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    gemm_ratio: Option<f64>,
    contended: bool,
    trained_layers: Option<usize>,
}

/// Draws one figure per group with ratios at two depths or more. Every contender is drawn relative to the baseline of
/// its own row: backpropagation on the same network, by the same engine unless the record is an older one.
/// Backpropagation itself is not drawn: what another engine makes of it is no cost of a rule.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    for group in &groups(record) {
        let rows = joined(record, group);
        let depths = || rows.iter().map(|(_, row)| row.depth);
        if rows.is_empty() {
            continue;
        }
        if depths().min() == depths().max() {
            out.skip(FIGURE, format!("`{}` has ratios at a single depth", group.stem));
            continue;
        }
        let Some(chart) = chart(group, &rows) else { continue };
        let stem = format!("{FIGURE}.{}", group.stem);
        let table: Vec<&Row<'_>> = rows.iter().map(|(_, row)| row).collect();
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || chart.scene())?;
        let about = "Time of each contender in units of its baseline, BP on the same network: median of the paired \
                     log-ratios of the same rounds with 95 % confidence intervals (filled markers). Hollow markers \
                     are the ratio of counted matrix products, which is the same by every engine: what the cost would \
                     be if only products took time.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title: chart.title, about: about.into(), files });
    }
    if out.drawn.is_empty() && out.skipped.is_empty() {
        out.skip(FIGURE, "no contender was paired with a baseline");
    }
    Ok(out)
}

/// The rows of a group that were paired with their baseline, each with the place of its contender in the legend.
fn joined<'a>(record: &'a Record, group: &Group<'a>) -> Vec<(usize, Row<'a>)> {
    let gemms: HashMap<(&str, &str), u64> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r.gemms)).collect();
    let ratios: HashMap<(&str, &str, &str), &RatioRow> = record
        .ratios
        .iter()
        .filter(|r| usable(r))
        .map(|r| ((&*r.point, &*r.contender, &*r.baseline), r))
        .collect();
    let marks = Marks::of(record);
    let series = group.series.iter().enumerate();
    series
        .flat_map(|(index, s)| s.rows.iter().map(move |row| (index, *row)))
        .filter(|(_, row)| !is_unit(row))
        .filter_map(|(index, row)| {
            let ratio = ratios.get(&(&*row.point, &*row.contender, &*row.baseline))?;
            let mark = marks.ratio(&ratio.point, &ratio.contender, &ratio.baseline);
            Some((index, pair(row, ratio, mark, &gemms)))
        })
        .collect()
}

/// Whether a row is of backpropagation: the unit of other rows, or the same work by another engine.
fn is_unit(row: &SummaryRow) -> bool {
    row.rule == "bp"
}

fn usable(ratio: &RatioRow) -> bool {
    let ends = ratio.interval().map_or([ratio.ratio; 2], |(low, high)| [low, high]);
    [ratio.ratio, ends[0], ends[1]].into_iter().all(drawable) && ratio.contender != ratio.baseline
}

fn pair<'a>(
    row: &'a SummaryRow,
    ratio: &'a RatioRow,
    mark: Mark,
    gemms: &HashMap<(&str, &str), u64>,
) -> Row<'a> {
    let base = gemms.get(&(&*ratio.point, &*ratio.baseline)).copied().unwrap_or(0);
    Row {
        contender: &row.contender,
        baseline: &ratio.baseline,
        rule: &row.rule,
        engine: &row.engine,
        depth: row.depth,
        steps: row.steps,
        pairs: ratio.pairs,
        ratio: ratio.ratio,
        ratio_low: ratio.interval().map(|(low, _)| low),
        ratio_high: ratio.interval().map(|(_, high)| high),
        gemm_ratio: (base > 0 && row.gemms > 0).then(|| row.gemms as f64 / base as f64),
        contended: mark.contended,
        trained_layers: row.trained_layers,
    }
}

fn chart(group: &Group<'_>, rows: &[(usize, Row<'_>)]) -> Option<Chart> {
    let (mut measured, mut counted, mut legend) = (Vec::new(), Vec::new(), Vec::new());
    for (index, contender) in group.series.iter().enumerate() {
        let own = || rows.iter().filter(|(l, _)| *l == index).map(|(_, row)| row);
        let style = contender.style();
        let dots: Vec<Dot> = own()
            .map(|r| {
                let (low, high) = (r.ratio_low.unwrap_or(r.ratio), r.ratio_high.unwrap_or(r.ratio));
                let (low, high) = (low.min(r.ratio), high.max(r.ratio));
                let trained = r.trained_layers.filter(|trained| *trained < r.depth);
                let mark = Mark { contended: r.contended, trained };
                Dot { x: r.depth as f64, y: r.ratio, low, high, mark }
            })
            .collect();
        let Some(deepest) = own().next_back() else { continue };
        let note = format!("{}× at L = {}", number::short(deepest.ratio, 3), deepest.depth);
        legend.push(Entry::series(&contender.printed(), &contender.note(Some(note)), style));
        measured.push(Series { style, dots, counted: false });
        let work = own().filter_map(|r| {
            let y = r.gemm_ratio?;
            Some(Dot { x: r.depth as f64, y, low: y, high: y, mark: Mark::default() })
        });
        let dots: Vec<Dot> = work.collect();
        // Engines execute the same schedule, so a rule counts the same under each; and a line of ones says nothing.
        let drawn = counted.iter().any(|s: &Series| s.style.color == style.color && s.dots == dots);
        if !drawn && dots.iter().any(|d| d.y != 1.0) {
            counted.push(Series { style, dots, counted: true });
        }
    }
    let series: Vec<Series> = counted.into_iter().chain(measured).collect();
    let values = series.iter().flat_map(|s| s.dots.iter().flat_map(|d| [d.low, d.high]));
    let times = |v: f64| format!("{}×", number::short(v, 3));
    let Unit { name, note } = unit(rows.iter().map(|(_, row)| (row.contender, row.baseline)));
    let label = format!("cost of a {} in units of {name}", words(group.model));
    let y = Axis::log(&label, values.chain([1.0]), times)?;
    let x = Axis::depth(&group.depth_label(), rows.iter().map(|(_, row)| row.depth))?;
    if series.iter().any(|s| s.counted) {
        legend.push(Entry::hollow("counted matrix products", "ratio of counts"));
    }
    let label = name.split(' ').next().unwrap_or_default().to_owned();
    let levels = vec![Level { y: 1.0, label, dash: &[5.0, 3.0] }];
    let title = format!("Cost of a {} relative to {name}", words(group.model));
    let caption = group.facts.iter().cloned().chain([note]).collect();
    Some(Chart { title, x, y, series, guides: Vec::new(), levels, second: None, legend, caption })
}

/// What costs are in units of.
#[derive(Debug, PartialEq)]
struct Unit {
    /// `BP on the same network`, or the baseline in print.
    pub(super) name: String,
    /// Which contender is relative to which baseline, for the caption.
    pub(super) note: String,
}

/// The unit of contenders, each given with its baseline.
fn unit<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Unit {
    let engine = |id: &'a str| style::split(id).1.split(':').next();
    let own_engine = pairs.clone().all(|(contender, baseline)| engine(contender) == engine(baseline));
    let mut users: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (contender, baseline) in pairs {
        users.entry(style::order(baseline)).or_default().insert(style::order(contender));
    }
    let printed =
        |(_, name, _, engine): (usize, &str, bool, &str)| style::printed(&format!("{name}/{engine}"));
    let bases: Vec<String> = users.keys().map(|base| printed(*base)).collect();
    let all_bp = users.keys().all(|(_, name, ..)| ["bp", "mupc-bp"].contains(name));
    let name = match &bases[..] {
        _ if all_bp => "BP on the same network".to_owned(),
        [one] => one.clone(),
        _ => "its own baseline".to_owned(),
    };
    if all_bp && own_engine && users.len() > 1 {
        return Unit { name, note: "unit: BP on the same network by the same engine".to_owned() };
    }
    // The baseline of most contenders is stated without a list of these contenders.
    let most = users.values().map(BTreeSet::len).max();
    let mut rest = users.iter().zip(&bases).collect::<Vec<_>>();
    let main = rest.iter().position(|((_, own), _)| Some(own.len()) == most).map(|at| rest.remove(at).1);
    let others = rest.into_iter().map(|((_, own), base)| {
        let own: Vec<String> = own.iter().map(|contender| printed(*contender)).collect();
        format!(", but {base} for {}", enumerated(&own))
    });
    let note = main.map_or(String::new(), |main| format!("unit: {main}{}", others.collect::<String>()));
    Unit { name, note }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{add, empty};
    use super::*;

    /// Products are counted once per rule, not once per engine.
    #[test]
    fn engines_share_a_line_of_counts() {
        let mut record = empty();
        for id in ["bp/reference", "bp/fused"] {
            add(&mut record, id, &[4, 8], |_| 0, 1000.0);
        }
        for id in ["spc/reference", "spc/fused", "ar/reference", "ar/fused"] {
            add(&mut record, id, &[4, 8], |l| l, 900.0);
        }
        let group = &groups(&record)[0];
        let chart = chart(group, &joined(&record, group)).unwrap();
        let (counted, measured): (Vec<_>, Vec<_>) = chart.series.iter().partition(|s| s.counted);
        assert_eq!((counted.len(), measured.len()), (2, 4));
        // A count that differs is drawn, whichever engine has it.
        let other = record.summary.iter_mut().find(|r| r.contender == "spc/fused" && r.depth == 8).unwrap();
        other.gemms += 1;
        let group = &groups(&record)[0];
        let chart = super::chart(group, &joined(&record, group)).unwrap();
        assert_eq!(chart.series.iter().filter(|s| s.counted).count(), 3);
    }

    #[test]
    fn the_unit_says_which_baseline_is_whose() {
        let same = [
            ("spc/reference", "bp/reference"),
            ("spc/fused:2", "bp/fused"),
            ("mupc/reference", "mupc-bp/reference"),
        ];
        let by_engine = unit(same.into_iter());
        assert_eq!(by_engine.name, "BP on the same network");
        assert_eq!(by_engine.note, "unit: BP on the same network by the same engine");
        let one = unit(same.into_iter().take(1));
        assert_eq!((&*one.name, &*one.note), ("BP on the same network", "unit: BP · reference"));
        // Where a suite times BP by one engine, it is the unit of all.
        let pairs =
            [("spc/reference", "bp/fused"), ("spc/fused", "bp/fused"), ("mupc/fused", "mupc-bp/fused")];
        let older = unit(pairs.into_iter());
        assert_eq!(older.name, "BP on the same network");
        assert_eq!(older.note, "unit: BP · fused, but BP (μPC net) · fused for μPC · fused");
        let other = unit([("spc/fused", "spc/reference")].into_iter());
        assert_eq!((&*other.name, &*other.note), ("sPC · reference", "unit: sPC · reference"));
    }
}
