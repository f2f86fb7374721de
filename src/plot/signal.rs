//! The traced energies of a record, arranged as panels: one figure per point, one panel per contender.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::group::parameterisations;
use super::{filenames, number, style};
use crate::record::{Record, SignalRow, SummaryRow};

/// Rows beyond these are damage, not data; following them would never end.
const MOST_LAYERS: usize = 10_000;
const MOST_STEPS: usize = 1_000_000_000;

/// One line of the CSV of a decay figure.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    contender: &'a str,
    rule: &'a str,
    engine: &'a str,
    step: usize,
    layer: usize,
    energy: f64,
}

/// The trace of one contender.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel<'a> {
    /// Contender id.
    pub contender: &'a str,
    /// Learning rule.
    pub rule: &'a str,
    /// Engine.
    pub engine: &'a str,
    /// Its row of the summary, if there is one.
    pub summary: Option<&'a SummaryRow>,
    /// Parameterisation if the summary has it.
    pub parameterisation: Option<&'a str>,
    /// Step size if the summary has it.
    pub step_size: Option<f64>,
    /// Last inference step.
    pub steps: usize,
    /// Energy by step and layer.
    pub energy: BTreeMap<(usize, usize), f64>,
    rows: Vec<&'a SignalRow>,
}

impl Panel<'_> {
    /// Heading: contender and step size.
    pub fn title(&self) -> String {
        let size = self.step_size.map_or(String::new(), |s| format!(", step size {}", number::short(s, 4)));
        format!("{}{size}", style::printed(self.contender))
    }
}

/// All traces at one point.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace<'a> {
    /// Point id.
    pub point: &'a str,
    /// End of the figure's name, after `<figure>.`.
    pub stem: String,
    /// Conditions for the caption.
    pub facts: Vec<String>,
    /// The deepest layer that was traced, L.
    pub layers: usize,
    /// One per contender, in the order of legends.
    pub panels: Vec<Panel<'a>>,
}

impl<'a> Trace<'a> {
    /// Every energy of every panel.
    pub fn energies(&self) -> impl Iterator<Item = f64> + '_ {
        self.panels.iter().flat_map(|p| p.energy.values().copied())
    }

    /// The rows of the figure's CSV: the input, in its order.
    pub fn table(&self) -> Vec<Row<'_>> {
        let row = |panel: &Panel<'a>, r: &'a SignalRow| {
            let (rule, engine) = (panel.rule, panel.engine);
            Row { contender: &r.contender, rule, engine, step: r.step, layer: r.layer, energy: r.energy }
        };
        self.panels.iter().flat_map(|panel| panel.rows.iter().map(move |r| row(panel, r))).collect()
    }
}

/// The traces of a record in the order of its points. Contenders whose summary row reports an error are
/// left out: their trace stopped early or is wrong.
pub fn traces(record: &Record) -> Vec<Trace<'_>> {
    let summary: HashMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r)).collect();
    let mut points: Vec<(&str, BTreeMap<&str, Panel<'_>>)> = Vec::new();
    let mut place: HashMap<&str, usize> = HashMap::new();
    for row in &record.signals {
        let facts = summary.get(&(&*row.point, &*row.contender)).copied();
        let credible = (1..=MOST_LAYERS).contains(&row.layer) && row.step <= MOST_STEPS;
        if !credible || facts.is_some_and(|f| !f.err.is_empty()) {
            continue;
        }
        let index = *place.entry(&row.point).or_insert_with(|| {
            points.push((&row.point, BTreeMap::new()));
            points.len() - 1
        });
        let panel = points[index].1.entry(&row.contender).or_insert_with(|| {
            let (rule, engine) = style::split(&row.contender);
            Panel {
                contender: &row.contender,
                summary: facts,
                parameterisation: facts.map(|f| &*f.parameterisation),
                rule: facts.map_or(rule, |f| &f.rule),
                engine: facts.map_or(engine, |f| &f.engine),
                step_size: facts.map(|f| f.step_size),
                steps: 0,
                energy: BTreeMap::new(),
                rows: Vec::new(),
            }
        });
        panel.steps = panel.steps.max(row.step);
        panel.energy.insert((row.step, row.layer), row.energy);
        panel.rows.push(row);
    }
    let names = names(&points.iter().map(|(point, _)| *point).collect::<Vec<_>>());
    let mut traces: Vec<Trace<'_>> = Vec::new();
    for ((point, panels), stem) in points.into_iter().zip(names) {
        let facts = panels.keys().find_map(|contender| summary.get(&(point, *contender)).copied());
        let layers = panels.values().flat_map(|p| p.energy.keys().map(|k| k.1)).max().unwrap_or(1);
        let mut panels: Vec<Panel<'_>> = panels.into_values().collect();
        panels.sort_by(|a, b| style::order(a.contender).cmp(&style::order(b.contender)));
        let kinds = panels.iter().filter_map(|p| Some((p.contender, p.parameterisation?)));
        let kinds = parameterisations(kinds);
        let dtype = facts.map_or("", |row| &row.dtype);
        let facts = conditions(record, point, facts, dtype, kinds);
        traces.push(Trace { point, stem, facts, layers, panels });
    }
    filenames::unique(traces.iter_mut().map(|t| &mut t.stem));
    traces
}

/// The benchmark a point id starts with.
pub(super) fn benchmark(point: &str) -> &str {
    point.split_once('@').map_or(point, |(name, _)| name)
}

/// File names of points: the benchmark, and the axes in which its points differ.
pub(super) fn names(points: &[&str]) -> Vec<String> {
    let name = |point: &&str| {
        let mine: Vec<BTreeMap<&str, &str>> =
            points.iter().filter(|p| benchmark(p) == benchmark(point)).map(|p| filenames::axes(p)).collect();
        let keys: BTreeSet<&str> = mine.iter().flat_map(|axes| axes.keys().copied()).collect();
        let own = filenames::axes(point);
        let differing = keys.into_iter().filter(|key| mine.iter().any(|axes| axes.get(key) != own.get(key)));
        let parts = differing.filter_map(|key| Some(filenames::slug(&format!("{key}-{}", own.get(key)?))));
        std::iter::once(filenames::slug(benchmark(point))).chain(parts).collect::<Vec<_>>().join(".")
    };
    points.iter().map(name).collect()
}

/// The facts of a caption; `dtype` as it should read there, for figures that show more than that of `row`.
pub(super) fn conditions(
    record: &Record,
    point: &str,
    row: Option<&SummaryRow>,
    dtype: &str,
    kinds: String,
) -> Vec<String> {
    let Some(row) = row else {
        let axes = filenames::axes(point).into_iter().map(|(key, value)| format!("{key} {value}"));
        return axes.chain(filenames::run_facts(record, benchmark(point))).collect();
    };
    let mut facts = filenames::machine_facts(record, &row.device);
    facts.extend([dtype.to_owned(), format!("batch {}", row.batch), format!("depth {}", row.depth)]);
    facts.extend([format!("width {}", row.width), row.activation.clone(), kinds]);
    facts.extend(filenames::run_facts(record, &row.benchmark));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_axes_that_differ_enter_a_name() {
        let points = ["decay@depth=20,dtype=f32", "decay@depth=20,dtype=f64", "other@depth=3"];
        assert_eq!(names(&points), ["decay.dtype-f32", "decay.dtype-f64", "other"]);
    }
}
