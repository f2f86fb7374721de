//! The directions of a record beside those of backpropagation: one figure per benchmark and fixed axes, in it
//! contenders, in each of those points at several depths, step sizes and numbers of steps.

use std::collections::{BTreeMap, HashMap};

use super::agreement::agree;
use super::direction_point::MOST_LAYERS;
pub use super::direction_point::{distance, Point};
use super::filenames;
use super::group::parameterisations;
use super::split::Key;
use super::style::{self, Rgb, Style};
use crate::record::{Record, SummaryRow};
use crate::theory::decay::SignalDecay;

/// Steps beyond this are damage, not data; following them would never end.
const MOST_STEPS: usize = 1_000_000;
/// Lines of one panel that can still be told apart.
pub const MOST_LINES: usize = 6;
/// Solid, dashed, dotted and dash-dotted, for step sizes.
const DASHES: [&[f64]; 4] = [&[], &[6.0, 3.0], &[1.6, 2.4], &[7.0, 2.6, 1.6, 2.6]];

/// A contender with all its points.
#[derive(Debug, Clone, PartialEq)]
pub struct ContenderSeries<'a> {
    /// Contender id.
    pub contender: &'a str,
    /// The id in print, with the parameterisation where the contender ran with several, and with further engines whose
    /// points these are as well.
    pub printed: String,
    /// Ordered by depth, step size and steps.
    pub points: Vec<Point<'a>>,
}

impl<'a> ContenderSeries<'a> {
    /// The part of the id before the slash.
    pub fn name(&self) -> &'a str {
        style::split(self.contender).0
    }

    /// Colour, marker and dash.
    pub fn style(&self) -> Style {
        let (name, engine) = style::split(self.contender);
        style::of(name, engine)
    }

    /// Its points at a depth, of one step size if the contender ran with several there.
    pub fn at(&self, depth: usize, size: Option<f64>) -> Vec<&Point<'a>> {
        let here: Vec<&Point<'_>> = self.points.iter().filter(|p| p.row.depth == depth).collect();
        let several = distinct(here.iter().filter(|p| p.row.steps > 0).map(|p| p.row.step_size)).len() > 1;
        let fits = |p: &&&Point<'_>| !several || size.is_none_or(|s| p.row.step_size == s);
        here.iter().filter(fits).copied().collect()
    }
}

/// Everything in one figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// End of the figure's name, after `<figure>.`.
    pub stem: String,
    /// Conditions for the caption.
    pub facts: Vec<String>,
    /// In the order of legends.
    pub series: Vec<ContenderSeries<'a>>,
}

impl Field<'_> {
    /// All depths.
    pub fn depths(&self) -> Vec<usize> {
        let mut depths: Vec<usize> = self.points().map(|p| p.row.depth).collect();
        depths.sort_unstable();
        depths.dedup();
        depths
    }

    /// All step sizes of contenders with inference steps, from large to small.
    pub fn sizes(&self) -> Vec<f64> {
        distinct(self.points().filter(|p| p.row.steps > 0).map(|p| p.row.step_size))
    }

    /// Step sizes between which contenders differ from themselves at a depth; one `None` if there are none.
    pub fn choices(&self, depth: usize) -> Vec<Option<f64>> {
        let own = |r: &ContenderSeries<'_>| {
            let here = r.points.iter().filter(|p| p.row.depth == depth && p.row.steps > 0);
            distinct(here.map(|p| p.row.step_size))
        };
        let varying = distinct(self.series.iter().map(own).filter(|sizes| sizes.len() > 1).flatten());
        if varying.is_empty() {
            vec![None]
        } else {
            varying.into_iter().map(Some).collect()
        }
    }

    fn points(&self) -> impl Iterator<Item = &Point<'_>> {
        self.series.iter().flat_map(|r| r.points.iter())
    }
}

/// Distinct finite values, from large to small.
fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values.dedup();
    values
}

/// At most [`MOST_LINES`] of ordered values at even distances, first and last among them.
pub fn some_of<T: Copy>(values: &[T]) -> Vec<T> {
    let (count, last) = (values.len().min(MOST_LINES), values.len().saturating_sub(1));
    (0..count).filter_map(|i| values.get((i * last).div_ceil(count.max(2) - 1)).copied()).collect()
}

/// Share of BP's gradient that the law of FPA gives the layer at distance d to the output; `None` where the law does not
/// hold, or for more steps than any run takes.
pub fn law_share(step_size: f64, distance: usize, steps: usize) -> Option<f64> {
    let law = SignalDecay::new(step_size).ok().filter(|_| steps <= MOST_STEPS)?;
    Some(law.arrived_share(distance as u64, steps as u64))
}

/// Colour of the i-th of `count` values along a scale; the lightest end is left out, since lines stand on white.
pub fn along(index: usize, count: usize) -> Rgb {
    style::viridis(0.88 * index as f64 / count.saturating_sub(1).max(1) as f64)
}

/// Dash of a step size among all, the largest solid.
pub fn dash(size: f64, sizes: &[f64]) -> &'static [f64] {
    let place = sizes.iter().position(|s| *s == size).unwrap_or(0);
    DASHES[place % DASHES.len()]
}

/// The fields of a record in the order of its benchmarks. Contenders whose summary row reports an error, and rows without
/// a summary row, are left out.
pub fn fields(record: &Record) -> Vec<Field<'_>> {
    let mut points: HashMap<(&str, &str), Point<'_>> = HashMap::new();
    let sound = record.summary.iter().filter(|r| r.err.is_empty() && r.depth > 0);
    let rows: HashMap<(&str, &str), &SummaryRow> = sound.map(|r| ((&*r.point, &*r.contender), r)).collect();
    for row in record.alignments.iter().filter(|r| r.layer <= MOST_LAYERS) {
        let id = (&*row.point, &*row.contender);
        let Some(facts) = rows.get(&id) else { continue };
        let point = points.entry(id).or_insert(Point { row: facts, whole: None, layers: BTreeMap::new() });
        if row.layer == 0 {
            point.whole = Some(row);
        } else {
            point.layers.insert(row.layer, row);
        }
    }
    let mut split: BTreeMap<Key<'_>, Vec<Point<'_>>> = BTreeMap::new();
    let mut benchmarks: Vec<&str> = Vec::new();
    // In the order of the summary, so that nothing depends on the order of a hash map.
    for row in &record.summary {
        if let Some(point) = points.remove(&(&*row.point, &*row.contender)) {
            if !benchmarks.contains(&&*row.benchmark) {
                benchmarks.push(&row.benchmark);
            }
            split.entry(Key::of(row)).or_default().push(point);
        }
    }
    let place = |key: &Key<'_>| benchmarks.iter().position(|b| *b == key.benchmark);
    let keys: Vec<&Key<'_>> = split.keys().collect();
    let mut fields: Vec<(Option<usize>, Field<'_>)> =
        split.iter().map(|(own, points)| (place(own), field(record, own, &keys, points))).collect();
    fields.sort_by_key(|(place, _)| *place);
    filenames::unique(fields.iter_mut().map(|(_, f)| &mut f.stem));
    fields.into_iter().map(|(_, field)| field).collect()
}

fn field<'a>(record: &Record, own: &Key<'a>, keys: &[&Key<'a>], points: &[Point<'a>]) -> Field<'a> {
    let device = points.first().map_or("", |point| &*point.row.device);
    let mut facts = filenames::machine_facts(record, device);
    facts.extend(own.facts());
    let kinds = points.iter().map(|p| (&*p.row.contender, &*p.row.parameterisation));
    facts.push(parameterisations(kinds));
    facts.extend(filenames::run_facts(record, own.benchmark));

    let mut contenders: BTreeMap<_, Vec<Point<'_>>> = BTreeMap::new();
    for point in points {
        let (contender, kind) = (&*point.row.contender, &*point.row.parameterisation);
        contenders.entry((style::order(contender), contender, kind)).or_default().push(point.clone());
    }
    let several = |contender: &str| contenders.keys().filter(|k| k.1 == contender).count() > 1;
    let mut series: Vec<(ContenderSeries<'_>, &str, Vec<&str>)> = Vec::new();
    for ((_, contender, kind), points) in &contenders {
        let mut points = points.clone();
        points.sort_by(|a, b| {
            let (a, b) = (a.row, b.row);
            a.depth.cmp(&b.depth).then(a.step_size.total_cmp(&b.step_size)).then(a.steps.cmp(&b.steps))
        });
        // Two points that differ in nothing the record names would make a vertical line: the first one stands.
        points.dedup_by_key(|p| (p.row.depth, p.row.step_size.to_bits(), p.row.steps));
        let (name, engine) = style::split(contender);
        let agreeing = series
            .iter_mut()
            .find(|(other, of, _)| other.name() == name && of == kind && agree(&other.points, &points));
        match agreeing {
            Some((_, _, engines)) => engines.push(engine),
            None => series.push((
                ContenderSeries { contender, printed: String::new(), points },
                kind,
                vec![engine],
            )),
        }
    }
    let printed = |(mut series, kind, engines): (ContenderSeries<'a>, &str, Vec<&str>)| {
        series.printed = style::printed(series.contender);
        if let [_, more @ ..] = &engines[..] {
            series.printed += &more.iter().map(|engine| format!(" and {engine}")).collect::<String>();
        }
        if several(series.contender) {
            series.printed += &format!(", {kind}");
        }
        series
    };
    if series.iter().any(|(_, _, engines)| engines.len() > 1) {
        facts.push("engines that agree share a line".to_owned());
    }
    Field { stem: own.parts(keys).join("."), facts, series: series.into_iter().map(printed).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::AlignmentRow;

    fn row(cosine: f64, norm_ratio: f64) -> AlignmentRow {
        let (point, contender) = ("p".into(), "spc/reference".into());
        AlignmentRow { point, contender, layer: 0, cosine, norm_ratio, bp_norm: 1.0, energy: None }
    }

    /// Against plane vectors: g_bp = (1, 0) and g = r·(c, √(1−c²)).
    #[test]
    fn distances_are_those_of_vectors() {
        for (c, r) in [(1.0, 1.0), (0.5, 1.0), (-1.0, 2.0), (0.0, 0.3), (0.9, 1e-9), (1.0 - 1e-12, 1.0)] {
            let (x, y) = (r * c, r * f64::sqrt((1.0 - c) * (1.0 + c)));
            let expected = f64::hypot(x - 1.0, y);
            assert!((distance(&row(c, r)).unwrap() - expected).abs() < 1e-14, "{c}, {r}");
        }
        assert_eq!(distance(&row(f64::NAN, 0.0)), Some(1.0), "nothing moves");
        assert_eq!(distance(&row(1.0 + 1e-16, 1.0)), Some(0.0));
        assert_eq!(distance(&row(f64::NAN, 1.0)), None);
        assert_eq!(distance(&row(0.5, f64::INFINITY)), None);
    }

    #[test]
    fn some_of_many_keeps_both_ends() {
        for count in [0usize, 1, 2, 5, 6, 7, 40] {
            let all: Vec<usize> = (0..count).collect();
            let some = some_of(&all);
            assert_eq!((some.first(), some.last()), (all.first(), all.last()));
            assert!(some.len() == count.min(MOST_LINES) && some.windows(2).all(|w| w[0] < w[1]), "{some:?}");
        }
    }
}
