//! Which numbers make one line, and which lines one figure.

use std::collections::{BTreeMap, BTreeSet};

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::sheets::{Over, Sheet};
use crate::plot::{filenames, number, style};
use crate::record::{QuantityRow, Record, SummaryRow};
use crate::stats::{log_slope, median};
use crate::suite::axis;

/// Depth from which on slopes are fitted: with fewer layers than this hardly any error has a way to go.
const FIRST: f64 = 4.0;

/// Points that a caption names before it counts the others.
const NAMED: usize = 4;

/// Where a line was measured, once per draw.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) depth: usize,
    pub(super) width: usize,
    /// By draw.
    pub(super) values: BTreeMap<usize, f64>,
    /// Draws that were measured, whether they have the number or not.
    measured: usize,
}

/// A line of a figure.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub(super) label: String,
    pub(super) contender: &'a str,
    pub(super) parameterisation: &'a str,
    /// Which of the contenders of its family, in the order of the legend.
    pub(super) sibling: usize,
    /// Which of the figure's variants: a parameterisation and the size that does not run along the axis.
    pub(super) variant: usize,
    /// In rising order of x.
    pub(super) points: Vec<Point>,
}

/// Lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct Figure<'a> {
    pub(super) benchmark: &'a str,
    pub(super) activation: &'a str,
    /// Whether widths run along the axis, where sizes do.
    pub(super) widths: bool,
    pub(super) stem: String,
    pub(super) facts: Vec<String>,
    /// Whether a contender has more than one line.
    pub(super) several: bool,
    /// How many variants there are.
    pub(super) variants: usize,
    pub(super) lines: Vec<Line<'a>>,
}

impl Point {
    fn all(&self) -> Vec<f64> {
        self.values.values().copied().collect()
    }

    pub(super) fn median(&self) -> f64 {
        median(&self.all())
    }

    pub(super) fn least(&self) -> f64 {
        self.values.values().copied().fold(f64::INFINITY, f64::min)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.values.values().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// An exponent, and over what it was fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exponent {
    pub(super) p: f64,
    /// Student's 95 % interval over draws; none of one draw.
    pub(super) interval: Option<(f64, f64)>,
    /// First and last x.
    pub(super) over: (f64, f64),
}

impl Line<'_> {
    /// Slope of ln value over ln x from [`FIRST`] on: the mean over draws, which all have the same points. None of fewer than three.
    pub(super) fn exponent(&self) -> Option<Exponent> {
        let points: Vec<&Point> = self.points.iter().filter(|point| point.x >= FIRST).collect();
        let (first, last) = (points.first()?, points.last()?);
        if points.len() < 3 {
            return None;
        }
        let slope = |draw: &usize| {
            let own = points.iter().map(|point| Some((point.x, *point.values.get(draw)?)));
            log_slope(&own.collect::<Option<Vec<_>>>()?)
        };
        let slopes: Vec<f64> = first.values.keys().filter_map(slope).collect();
        let count = slopes.len() as f64;
        if slopes.is_empty() {
            return None;
        }
        let mean = slopes.iter().sum::<f64>() / count;
        let square: f64 = slopes.iter().map(|slope| (slope - mean).powi(2)).sum();
        let student = (slopes.len() > 1).then(|| StudentsT::new(0.0, 1.0, count - 1.0).ok()).flatten();
        let half = student.map(|t| t.inverse_cdf(0.975) * (square / (count - 1.0) / count).sqrt());
        let interval = half.map(|half| (mean - half, mean + half));
        Some(Exponent { p: mean, interval, over: (first.x, last.x) })
    }
}

/// Contender, parameterisation and the size that does not run along the axis; and points by the bits of x.
type Measured<'a> = ((&'a str, &'a str, usize), BTreeMap<u64, Point>);

/// What tells a figure from the benchmark's others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    /// Place of the benchmark in the record.
    place: usize,
    benchmark: &'a str,
    activation: &'a str,
    /// 0 where widths run along the axis.
    width: usize,
    /// 0 where depths may; of a curve its depth.
    depth: usize,
    /// Kind of network, and axes that no figure holds several values of.
    others: Vec<String>,
}

/// The figures of a sheet.
pub(super) fn figures<'a>(record: &'a Record, sheet: &Sheet) -> Vec<Figure<'a>> {
    let studied = || record.summary.iter().filter(|row| row.model == sheet.study.name());
    let rows: BTreeMap<(&str, &str), &SummaryRow> =
        studied().map(|row| ((&*row.point, &*row.contender), row)).collect();
    let mut benchmarks: Vec<&str> = Vec::new();
    // by benchmark its depths and widths, of which the more numerous run along the axis
    let mut sizes: BTreeMap<&str, [BTreeSet<usize>; 2]> = BTreeMap::new();
    let mut measured: BTreeMap<(Key<'_>, &str, &str, [usize; 2]), usize> = BTreeMap::new();
    for row in studied() {
        if !benchmarks.contains(&&*row.benchmark) {
            benchmarks.push(&row.benchmark);
        }
        let [depths, widths] = sizes.entry(&row.benchmark).or_default();
        depths.insert(row.depth);
        widths.insert(row.width);
    }
    let by_width = |row: &SummaryRow| {
        sheet.over == Over::Size && sizes.get(&*row.benchmark).is_some_and(|[d, w]| w.len() > d.len())
    };
    let key = |row: &'a SummaryRow| Key {
        place: benchmarks.iter().position(|own| *own == row.benchmark).unwrap_or(0),
        benchmark: &row.benchmark,
        activation: &row.activation,
        width: if by_width(row) { 0 } else { row.width },
        // curves of several depths do not fit one figure
        depth: if sheet.over == Over::Size { 0 } else { row.depth },
        others: [&axis::BATCH, &axis::STEPS, &axis::STEP_SIZE]
            .iter()
            .map(|axis| axis.of_id(&row.point).named(axis.name, " "))
            .chain([row.architecture.clone()])
            .collect(),
    };
    for row in studied() {
        let sizes = [row.depth, row.width];
        *measured.entry((key(row), &row.contender, &row.parameterisation, sizes)).or_default() += 1;
    }
    let wanted = |q: &&QuantityRow| q.quantity == sheet.quantity && sheet.at.is_none_or(|at| q.at == at);
    let mut split: BTreeMap<Key<'a>, Vec<(&SummaryRow, &QuantityRow)>> = BTreeMap::new();
    for q in record.quantities.iter().filter(wanted) {
        if let Some(row) = rows.get(&(&*q.point, &*q.contender)) {
            split.entry(key(row)).or_default().push((row, q));
        }
    }
    let keys: Vec<Key<'_>> = split.keys().cloned().collect();
    let mut figures: Vec<Figure<'a>> = split
        .into_iter()
        .map(|(key, members)| {
            let all = |row: &SummaryRow| {
                let own = (key.clone(), &*row.contender, &*row.parameterisation, [row.depth, row.width]);
                measured.get(&own).copied().unwrap_or(1)
            };
            let widths = members.first().is_some_and(|(row, _)| by_width(row));
            figure(sheet, &key, &keys, widths, &members, &all)
        })
        .filter(|figure| !figure.lines.is_empty())
        .collect();
    filenames::unique(figures.iter_mut().map(|figure| &mut figure.stem));
    figures
}

fn figure<'a>(
    sheet: &Sheet,
    key: &Key<'a>,
    keys: &[Key<'a>],
    widths: bool,
    members: &[(&'a SummaryRow, &'a QuantityRow)],
    all: &dyn Fn(&SummaryRow) -> usize,
) -> Figure<'a> {
    let mut lines: Vec<Measured<'_>> = Vec::new();
    for (row, q) in members {
        let own = (&*row.contender, &*row.parameterisation, if widths { row.depth } else { 0 });
        let at = lines.iter().position(|(line, _)| *line == own).unwrap_or_else(|| {
            lines.push((own, BTreeMap::new()));
            lines.len() - 1
        });
        let x = match sheet.over {
            Over::Size if widths => row.width as f64,
            Over::Size => row.depth as f64,
            Over::At(_) => q.at,
        };
        let point = lines[at].1.entry(x.to_bits()).or_insert_with(|| Point {
            x,
            depth: row.depth,
            width: row.width,
            values: BTreeMap::new(),
            // curves are those of one draw
            measured: if sheet.over == Over::Size { all(row) } else { 1 },
        });
        point.values.insert(row.axis(&axis::DRAW).size().unwrap_or(0), q.value);
    }
    if let Some(base) = sheet.relative_to {
        relative(&mut lines, base);
    }
    lines.sort_by(|a, b| (style::order(a.0 .0), a.0 .1, a.0 .2).cmp(&(style::order(b.0 .0), b.0 .1, b.0 .2)));
    let names: BTreeSet<&str> = lines.iter().map(|(own, _)| own.0).collect();
    let parameterisations = lines.iter().map(|(own, _)| own.1).collect::<BTreeSet<_>>().len();
    let beside = lines.iter().map(|(own, _)| own.2).collect::<BTreeSet<_>>().len();
    let mut variants: Vec<(&str, usize)> = Vec::new();
    for (own, _) in &lines {
        if !variants.contains(&(own.1, own.2)) {
            variants.push((own.1, own.2));
        }
    }
    let (several, mut partial) = (names.len() < lines.len(), Vec::new());
    let mut own = Vec::new();
    for ((contender, parameterisation, size), points) in lines {
        let mut parts = Vec::new();
        if names.len() > 1 || (parameterisations == 1 && beside == 1) {
            parts.push(style::printed_name(style::split(contender).0));
        }
        if parameterisations > 1 {
            parts.push(parameterisation.to_owned());
        }
        if beside > 1 {
            parts.push(format!("L = {size}"));
        }
        let label = parts.join(", ");
        let mut points: Vec<Point> = points.into_values().collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        points.retain(|point| {
            let (have, of) = (point.values.len(), point.measured);
            if have < of {
                let letter = if widths { "N" } else { "L" };
                partial.push(format!("{label} at {letter} = {} ({have} of {of})", number::count(point.x)));
            }
            have >= of
        });
        if matches!(sheet.over, Over::At(_)) {
            thin(&mut points);
        }
        let variant = variants.iter().position(|own| *own == (parameterisation, size)).unwrap_or(0);
        let family = |contender: &str| style::order(contender).0;
        let sibling = names
            .iter()
            .filter(|other| family(other) == family(contender))
            .position(|other| *other == contender)
            .unwrap_or(0);
        if !points.is_empty() {
            own.push(Line { label, contender, parameterisation, sibling, variant, points });
        }
    }
    let (stem, mut facts) = described(key, keys);
    if parameterisations == 1 {
        facts.extend(members.first().map(|(row, _)| row.parameterisation.clone()));
    }
    let draws = own.iter().flat_map(|line| &line.points).map(|point| point.values.len()).max().unwrap_or(0);
    if draws > 1 {
        facts.push(format!("median and range of {draws} draws"));
    }
    if !partial.is_empty() {
        let more = partial.len().saturating_sub(NAMED);
        partial.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        facts.push(format!("left out, because not every draw got there: {}{more}", partial.join(", ")));
    }
    let (benchmark, activation) = (key.benchmark, key.activation);
    Figure { benchmark, activation, widths, stem, facts, several, variants: variants.len(), lines: own }
}

/// The end of a figure's name, and conditions for its caption.
fn described(key: &Key<'_>, keys: &[Key<'_>]) -> (String, Vec<String>) {
    let differs = |f: &dyn Fn(&Key<'_>) -> bool| keys.iter().any(|k| k.benchmark == key.benchmark && f(k));
    let mut stem = vec![filenames::slug(key.benchmark)];
    let mut facts = vec![key.activation.to_owned()];
    if differs(&|k| k.activation != key.activation) {
        stem.push(filenames::slug(key.activation));
    }
    for (name, size, varies) in [
        ("width", key.width, differs(&|k| k.width != key.width)),
        ("depth", key.depth, differs(&|k| k.depth != key.depth)),
    ] {
        if size > 0 {
            facts.push(format!("{name} {size}"));
            if varies {
                stem.push(format!("{name}-{size}"));
            }
        }
    }
    for (i, other) in key.others.iter().enumerate() {
        let varies = differs(&|k| k.others[i] != *other);
        if varies {
            stem.push(filenames::slug(other));
        }
        // the batch is always told, the others where they tell figures apart
        if varies || i == 0 {
            facts.push(other.clone());
        }
    }
    (stem.join("."), facts)
}

/// Leaves out points of a curve that would lie on each other: nearer than a ninth in x to the one before, but for the last.
fn thin(points: &mut Vec<Point>) {
    let last = points.last().map(|point| point.x);
    let mut kept = 0.0;
    points.retain(|point| {
        let shown = point.x >= 1.12 * kept || Some(point.x) == last;
        if shown {
            kept = point.x;
        }
        shown
    });
}

/// Values in units of those of the contender of one name, draw by draw; that one's own lines and points without it go.
fn relative(lines: &mut Vec<Measured<'_>>, base: &str) {
    let is_base = |contender: &str| style::split(contender).0 == base;
    let bases: Vec<_> = lines.iter().filter(|(own, _)| is_base(own.0)).cloned().collect();
    lines.retain(|(own, _)| !is_base(own.0));
    for (own, points) in lines.iter_mut() {
        let base = bases.iter().find(|(other, _)| (other.1, other.2) == (own.1, own.2));
        points.retain(|x, point| {
            let Some(base) = base.and_then(|(_, points)| points.get(x)) else { return false };
            point.values = point
                .values
                .iter()
                .filter_map(|(draw, value)| Some((*draw, value / base.values.get(draw)?)))
                .collect();
            !point.values.is_empty()
        });
    }
}
