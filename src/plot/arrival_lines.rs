//! What the figure of first arrivals shows: lines of energies, what the caption says of them, and the law.

use std::collections::btree_map::{BTreeMap, Entry};

use serde::Serialize;

use super::axes::drawable;
use super::group::{enumerated, parameterisations};
use super::legend::Stroke;
use super::plot_area::PlotArea;
use super::scene::Spot;
use super::signal::{benchmark, conditions, names, Panel, Trace};
use super::style::{self, Style};
use super::{filenames, number};
use crate::record::{Record, SummaryRow};
use crate::Result;

/// The number format that others are held against.
pub(super) const REFERENCE: &str = "f64";

/// Distances and the energies of a law there.
pub(super) type Law = Vec<(usize, f64)>;

/// One line of the figure's CSV.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    point: &'a str,
    contender: &'a str,
    dtype: &'a str,
    distance: usize,
    step: usize,
    energy: f64,
    law: Option<f64>,
}

/// The first arrivals of a contender in one number format.
pub(super) struct Line<'a> {
    point: &'a str,
    /// Its row of the summary.
    pub row: &'a SummaryRow,
    /// Energy at step d of the layer at distance d, by d; only what was traced.
    pub energy: BTreeMap<usize, f64>,
}

/// Points that differ in dtype only.
pub(super) struct Group<'a> {
    /// End of the figure's name, after `arrival.`.
    pub stem: String,
    /// Conditions for the caption.
    pub facts: Vec<String>,
    /// Farthest layer, L − 1.
    pub farthest: usize,
    /// In the order of the legend.
    pub lines: Vec<Line<'a>>,
    /// By parameterisation, from the first step of ePC.
    adjoints: BTreeMap<&'a str, Adjoints<'a>>,
}

/// ½‖G_ℓ‖² by distance.
struct Adjoints<'a> {
    dtype: &'a str,
    square: BTreeMap<usize, f64>,
}

/// The point without its dtype.
fn key(point: &str) -> String {
    let axes = filenames::axes(point).into_iter().filter(|(key, _)| *key != "dtype");
    let axes: Vec<String> = axes.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{}@{}", benchmark(point), axes.join(","))
}

/// The groups of the traces, in their order.
pub(super) fn groups<'a>(record: &'a Record, traces: &[Trace<'a>]) -> Vec<Group<'a>> {
    let mut members: Vec<(String, Vec<&Trace<'a>>)> = Vec::new();
    for trace in traces {
        let key = key(trace.point);
        match members.iter_mut().find(|(other, _)| *other == key) {
            Some((_, own)) => own.push(trace),
            None => members.push((key, vec![trace])),
        }
    }
    let stems = names(&members.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>());
    let mut groups: Vec<Group<'a>> =
        members.iter().zip(stems).map(|((_, own), stem)| Group::new(record, stem, own)).collect();
    filenames::unique(groups.iter_mut().map(|g| &mut g.stem));
    groups
}

/// Summary row of a trace that states its dtype, of a chain: only there a layer has one distance from the output.
fn stated<'a>(panel: &Panel<'a>) -> Option<&'a SummaryRow> {
    panel.summary.filter(|row| row.model == "signal-decay" && !row.dtype.is_empty() && row.is_chain())
}

impl<'a> Group<'a> {
    fn new(record: &'a Record, stem: String, traces: &[&Trace<'a>]) -> Self {
        let mut lines = Vec::new();
        let mut adjoints = BTreeMap::new();
        for trace in traces {
            let at = |panel: &Panel<'a>, step: usize, d: usize| {
                panel.energy.get(&(step, trace.layers.checked_sub(d)?)).copied()
            };
            for panel in &trace.panels {
                let Some(row) = stated(panel) else { continue };
                let distances = 1..trace.layers;
                if row.rule == "spc" {
                    let energy: BTreeMap<usize, f64> =
                        distances.filter_map(|d| Some((d, at(panel, d, d)?))).collect();
                    if !energy.is_empty() {
                        lines.push(Line { point: trace.point, row, energy });
                    }
                } else if row.rule == "epc" && row.step_size > 0.0 {
                    let size = row.step_size;
                    let adjoint = |d: usize| Some((d, at(panel, 1, d)? / (size * size)));
                    let square: BTreeMap<usize, f64> =
                        distances.filter_map(adjoint).filter(|(_, e)| drawable(*e)).collect();
                    let own = Adjoints { dtype: &row.dtype, square };
                    // The law is the same in every dtype but for rounding: the first of the finest stands.
                    match adjoints.entry(&*row.parameterisation) {
                        Entry::Vacant(place) => drop(place.insert(own)),
                        Entry::Occupied(mut place)
                            if own.dtype == REFERENCE && place.get().dtype != REFERENCE =>
                        {
                            drop(place.insert(own));
                        }
                        Entry::Occupied(_) => {}
                    }
                }
            }
        }
        lines.sort_by(|a, b| a.order().cmp(&b.order()));
        let farthest = traces.iter().map(|t| t.layers).max().unwrap_or(1).saturating_sub(1);
        let facts = facts(record, &lines);
        Self { stem, facts, farthest, lines, adjoints }
    }

    /// The rows of the figure's CSV.
    pub fn table(&self) -> Vec<Row<'_>> {
        let row = |line: &'_ Line<'a>, (&distance, &energy): (&usize, &f64)| Row {
            point: line.point,
            contender: &line.row.contender,
            dtype: &line.row.dtype,
            distance,
            step: distance,
            energy,
            law: self.law(line, distance),
        };
        self.lines.iter().flat_map(|line| line.energy.iter().map(move |e| row(line, e))).collect()
    }

    /// λ^(2d)·½‖G‖² for the network and step size of a line.
    pub fn law(&self, line: &Line<'_>, distance: usize) -> Option<f64> {
        let adjoint = self.adjoints.get(&*line.row.parameterisation)?.square.get(&distance)?;
        // The power alone can leave the range of f64.
        let energy = (2.0 * distance as f64 * line.row.step_size.ln() + adjoint.ln()).exp();
        drawable(energy).then_some(energy)
    }

    /// The law of every kind of line there is, by distance.
    pub fn laws(&self) -> Vec<Law> {
        let mut kinds: Vec<&Line<'_>> = Vec::new();
        for line in &self.lines {
            if !kinds.iter().any(|other| other.kind() == line.kind()) {
                kinds.push(line);
            }
        }
        let law = |line: &Line<'_>| -> Law {
            (1..=self.farthest).filter_map(|d| Some((d, self.law(line, d)?))).collect()
        };
        kinds.into_iter().map(law).filter(|law| !law.is_empty()).collect()
    }

    /// The f64 line on the same network that reaches farthest, the first in legends among equals.
    fn reference(&self, line: &Line<'_>) -> Option<&Line<'a>> {
        let exact = self.lines.iter().filter(|l| l.row.dtype == REFERENCE && l.kind() == line.kind());
        exact.rev().max_by_key(|l| l.reached())
    }

    /// What the caption says of a line: how far it reaches, what it lost, and how far it is from f64 and the law.
    pub fn verdict(&self, line: &Line<'_>) -> String {
        let mut text = match line.reached() {
            0 => format!("{}: reached no layer", line.name()),
            d => format!("{}: reached d = {d}", line.name()),
        };
        let layers = line.energy.len();
        let of = |count: usize| format!("{count} of {layers} layer{}", if layers == 1 { "" } else { "s" });
        match line.count(|e| e == 0.0) {
            0 => {}
            zeros => text.push_str(&format!(", {} received nothing at their arrival", of(zeros))),
        }
        let odd = line.count(|e| e != 0.0 && !drawable(e));
        if odd > 0 {
            text.push_str(&format!(
                ", {} not drawn (not finite, negative or outside 10⁻³⁰⁰ to 10³⁰⁰)",
                of(odd)
            ));
        }
        if layers < self.farthest {
            text.push_str(&format!(", {} not traced", self.farthest - layers));
        }
        let mut apart = Vec::new();
        match self.reference(line) {
            Some(reference) if std::ptr::eq(reference, line) => text.push_str("; the f64 reference"),
            Some(reference) => apart.extend(
                line.decades(|d| reference.energy.get(&d).copied())
                    .map(|gap| format!("{gap} decades from f64")),
            ),
            None => {}
        }
        apart.extend(line.decades(|d| self.law(line, d)).map(|gap| format!("{gap} decades from the law")));
        if !apart.is_empty() {
            text.push_str(&format!("; at most {}", enumerated(&apart)));
        }
        // Names hold the dot that separates facts, so each of these needs a line of its own.
        format!("{text}\n")
    }
}

impl<'a> Line<'a> {
    /// Contenders in the order of legends; of each the finest format last, so that it lies below.
    fn order(&self) -> ((usize, &str, bool, &str), bool, &str) {
        (style::order(&self.row.contender), self.row.dtype == REFERENCE, &self.row.dtype)
    }

    /// What the law depends on besides the distance.
    fn kind(&self) -> (&'a str, u64) {
        (&self.row.parameterisation, self.row.step_size.to_bits())
    }

    /// In print: contender and dtype.
    pub fn name(&self) -> String {
        format!("{}, {}", style::printed(&self.row.contender), self.row.dtype)
    }

    /// Colour, marker and dash of the contender.
    pub fn style(&self) -> Style {
        let (name, engine) = style::split(&self.row.contender);
        style::of(name, engine)
    }

    /// The dash belongs to the engine: formats differ in weight. f64 is heavy and lies below.
    pub fn stroke(&self) -> Stroke {
        match &*self.row.dtype {
            "f32" => Stroke { width: 1.5, radius: 2.6, hollow: false },
            REFERENCE => Stroke { width: 4.2, radius: 5.4, hollow: true },
            _ => Stroke { width: 2.6, radius: 3.8, hollow: true },
        }
    }

    fn count(&self, is: impl Fn(f64) -> bool) -> usize {
        self.energy.values().filter(|e| is(**e)).count()
    }

    /// The last distance with a positive energy; 0 if there is none.
    fn reached(&self) -> usize {
        self.energy.iter().rev().find(|(_, e)| e.is_finite() && **e > 0.0).map_or(0, |(d, _)| *d)
    }

    /// Largest distance in decades from `other` where both are positive, for print; `None` if they nowhere are.
    fn decades(&self, other: impl Fn(usize) -> Option<f64>) -> Option<String> {
        let gap = |(&d, &e): (&usize, &f64)| {
            let other = other(d).filter(|o| drawable(*o) && drawable(e))?;
            Some((e.log10() - other.log10()).abs())
        };
        let largest = self.energy.iter().filter_map(gap).reduce(f64::max)?;
        Some(number::short(largest, 2))
    }

    /// Places of neighbouring distances with an energy that can be drawn.
    pub fn runs(&self, plot_area: &PlotArea) -> Result<Vec<Vec<Spot>>> {
        let shown: Vec<(usize, f64)> =
            self.energy.iter().map(|(d, e)| (*d, *e)).filter(|(_, e)| drawable(*e)).collect();
        let run = |run: &[(usize, f64)]| run.iter().map(|(d, e)| plot_area.at(*d as f64, *e)).collect();
        shown.chunk_by(|a, b| a.0 + 1 == b.0).map(run).collect()
    }

    /// The last arrival that can be drawn, if the signal is lost behind it.
    pub fn end(&self) -> Option<(usize, f64)> {
        let (d, energy) = self.energy.iter().rev().find(|(_, e)| drawable(**e))?;
        let lost = self.energy.range(d + 1..).any(|(_, e)| *e == 0.0);
        lost.then_some((*d, *energy))
    }
}

fn facts(record: &Record, lines: &[Line<'_>]) -> Vec<String> {
    let Some(first) = lines.first() else { return Vec::new() };
    let distinct = |values: &mut dyn Iterator<Item = String>| {
        let mut seen: Vec<String> = Vec::new();
        for value in values {
            if !seen.contains(&value) {
                seen.push(value);
            }
        }
        enumerated(&seen)
    };
    let dtypes = distinct(&mut lines.iter().map(|l| l.row.dtype.clone()));
    let sizes = distinct(&mut lines.iter().map(|l| number::short(l.row.step_size, 4)));
    let kinds = parameterisations(lines.iter().map(|l| (&*l.row.contender, &*l.row.parameterisation)));
    let mut facts = conditions(record, first.point, Some(first.row), &dtypes, kinds);
    facts.push(format!("step size λ = {sizes}"));
    facts
}
