//! Which numbers make one line, and which lines one figure.

use std::collections::{BTreeMap, BTreeSet};

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::sheets::{Over, Sheet};
use crate::plot::{filenames, number, style};
use crate::record::{QuantityRow, Record, SummaryRow};
use crate::stats::{log_slope, median};
use crate::suite::axis;

/// Depth from which on slopes are fitted: with fewer layers than this hardly any error has a way to go.
pub(super) const FIRST: f64 = 4.0;

/// Where a line was measured, once per draw.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) depth: usize,
    pub(super) width: usize,
    /// By draw.
    pub(super) values: BTreeMap<usize, f64>,
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

impl Line<'_> {
    /// Slope of ln value over ln x from [`FIRST`] on, the mean over draws that have at least three points there, with Student's interval
    /// over these draws.
    pub(super) fn exponent(&self) -> Option<(f64, Option<(f64, f64)>)> {
        let mut draws: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
        for point in self.points.iter().filter(|point| point.x >= FIRST) {
            for (draw, value) in &point.values {
                draws.entry(*draw).or_default().push((point.x, *value));
            }
        }
        let slopes: Vec<f64> = draws
            .values()
            .filter(|points| points.len() >= 3)
            .filter_map(|points| log_slope(points))
            .collect();
        let count = slopes.len() as f64;
        if slopes.is_empty() {
            return None;
        }
        let mean = slopes.iter().sum::<f64>() / count;
        let square: f64 = slopes.iter().map(|slope| (slope - mean).powi(2)).sum();
        let half = (slopes.len() > 1)
            .then(|| StudentsT::new(0.0, 1.0, count - 1.0).ok())
            .flatten()
            .map(|t| t.inverse_cdf(0.975) * (square / (count - 1.0) / count).sqrt());
        Some((mean, half.map(|half| (mean - half, mean + half))))
    }
}

/// Contender, parameterisation and the size that does not run along the axis; and points by the bits of x.
type Measured<'a> = ((&'a str, &'a str, usize), BTreeMap<u64, Point>);

/// What tells a figure from the benchmark's others.
type FigureKey<'a> = (usize, &'a str, &'a str, usize, usize);

/// The figures of a sheet.
pub(super) fn figures<'a>(record: &'a Record, sheet: &Sheet) -> Vec<Figure<'a>> {
    let rows: BTreeMap<(&str, &str), &SummaryRow> = record
        .summary
        .iter()
        .filter(|row| row.model == sheet.study.name())
        .map(|row| ((&*row.point, &*row.contender), row))
        .collect();
    let mut benchmarks: Vec<&str> = Vec::new();
    for row in record.summary.iter().filter(|row| row.model == sheet.study.name()) {
        if !benchmarks.contains(&&*row.benchmark) {
            benchmarks.push(&row.benchmark);
        }
    }
    let wanted = |q: &&QuantityRow| q.quantity == sheet.quantity && sheet.at.is_none_or(|at| q.at == at);
    let mut split: BTreeMap<FigureKey<'a>, Vec<(&SummaryRow, &QuantityRow)>> = BTreeMap::new();
    for q in record.quantities.iter().filter(wanted) {
        let Some(row) = rows.get(&(&*q.point, &*q.contender)) else { continue };
        let Some(place) = benchmarks.iter().position(|own| *own == row.benchmark) else { continue };
        let width = if sheet.over == Over::Width { 0 } else { row.width };
        // curves of several depths do not fit one figure
        let depth = if matches!(sheet.over, Over::At(_)) { row.depth } else { 0 };
        split.entry((place, &*row.benchmark, &*row.activation, width, depth)).or_default().push((row, q));
    }
    if !sheet.study.curves_at_every_depth() {
        let deepest = split.keys().map(|key| key.4).max();
        split.retain(|key, _| Some(key.4) == deepest);
    }
    let keys: Vec<FigureKey<'_>> = split.keys().copied().collect();
    let mut figures: Vec<Figure<'a>> = split
        .into_iter()
        .map(|(key, members)| figure(sheet, key, &keys, members))
        .filter(|figure| !figure.lines.is_empty())
        .collect();
    filenames::unique(figures.iter_mut().map(|figure| &mut figure.stem));
    figures
}

fn figure<'a>(
    sheet: &Sheet,
    key: FigureKey<'a>,
    keys: &[FigureKey<'a>],
    members: Vec<(&'a SummaryRow, &'a QuantityRow)>,
) -> Figure<'a> {
    let (_, benchmark, activation, width, depth) = key;
    // contender, parameterisation, and the size that does not run along the axis
    let mut lines: Vec<Measured<'_>> = Vec::new();
    for (row, q) in &members {
        let beside = if sheet.over == Over::Width { row.depth } else { 0 };
        let own = (&*row.contender, &*row.parameterisation, beside);
        let at = lines.iter().position(|(line, _)| *line == own).unwrap_or_else(|| {
            lines.push((own, BTreeMap::new()));
            lines.len() - 1
        });
        let x = match sheet.over {
            Over::Depth => row.depth as f64,
            Over::Width => row.width as f64,
            Over::At(_) => q.at,
        };
        let draw = row.axis(&axis::DRAW).size().unwrap_or(0);
        let point = lines[at].1.entry(x.to_bits()).or_insert_with(|| Point {
            x,
            depth: row.depth,
            width: row.width,
            values: BTreeMap::new(),
        });
        point.values.insert(draw, q.value);
    }
    if let Some(base) = sheet.relative_to {
        relative(&mut lines, base);
    }
    lines.sort_by(|a, b| (style::order(a.0 .0), a.0 .1, a.0 .2).cmp(&(style::order(b.0 .0), b.0 .1, b.0 .2)));
    let count = |f: &dyn Fn(&(&'a str, &'a str, usize)) -> String| {
        lines.iter().map(|(own, _)| f(own)).collect::<BTreeSet<_>>().len()
    };
    let contenders = count(&|own| own.0.to_owned());
    let parameterisations = count(&|own| own.1.to_owned());
    let sizes = count(&|own| own.2.to_string());
    let several = contenders < lines.len();
    let mut variants: Vec<(&str, usize)> = Vec::new();
    for (own, _) in &lines {
        if !variants.contains(&(own.1, own.2)) {
            variants.push((own.1, own.2));
        }
    }
    let names: Vec<&str> = lines.iter().map(|(own, _)| own.0).collect();
    let lines: Vec<Line<'a>> = lines
        .into_iter()
        .map(|((contender, parameterisation, beside), points)| {
            let mut parts = Vec::new();
            if contenders > 1 || (parameterisations == 1 && sizes == 1) {
                parts.push(style::printed_name(style::split(contender).0));
            }
            if parameterisations > 1 {
                parts.push(parameterisation.to_owned());
            }
            if sizes > 1 {
                parts.push(format!("L = {beside}"));
            }
            let mut points: Vec<Point> = points.into_values().collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            if matches!(sheet.over, Over::At(_)) {
                thin(&mut points);
            }
            let variant = variants.iter().position(|own| *own == (parameterisation, beside)).unwrap_or(0);
            let family = |contender: &str| style::order(contender).0;
            let siblings: BTreeSet<&str> =
                names.iter().copied().filter(|other| family(other) == family(contender)).collect();
            let sibling = siblings.iter().position(|other| *other == contender).unwrap_or(0);
            Line { label: parts.join(", "), contender, parameterisation, sibling, variant, points }
        })
        .filter(|line| !line.points.is_empty())
        .collect();

    let others = || keys.iter().filter(|other| other.1 == benchmark);
    let mut stem = vec![filenames::slug(benchmark)];
    let mut facts = vec![activation.to_owned()];
    if others().any(|other| other.2 != activation) {
        stem.push(filenames::slug(activation));
    }
    if width > 0 {
        facts.push(format!("width {width}"));
        if others().any(|other| other.3 != width) {
            stem.push(format!("width-{width}"));
        }
    }
    facts.extend(members.first().map(|(row, _)| format!("batch {}", row.batch)));
    if depth > 0 {
        facts.push(format!("depth {depth}"));
        if others().any(|other| other.4 != depth) {
            stem.push(format!("depth-{depth}"));
        }
    }
    if parameterisations == 1 {
        facts.extend(members.first().map(|(row, _)| row.parameterisation.clone()));
    }
    let draws: BTreeSet<usize> =
        lines.iter().flat_map(|line| &line.points).flat_map(|point| point.values.keys().copied()).collect();
    if draws.len() > 1 {
        facts.push(format!("median and range of {} draws", number::count(draws.len() as f64)));
    }
    Figure { benchmark, stem: stem.join("."), facts, several, variants: variants.len(), lines }
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
