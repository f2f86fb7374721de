//! Which rows of a record make one figure.
//!
//! A figure shows one benchmark at fixed axes. Some axes always split figures, such as the width: times at
//! different values do not belong on one line. Others, such as the number of inference steps, split figures
//! only if one contender was measured at several of their values; a contender with a single value (BP has no
//! steps at all) then appears in each of those figures. The table of axes says which do what.
//!
//! More contenders than can be told apart are one figure per engine.
//!
//! A number of steps that follows the depth is the policy `T = L`, otherwise it is `T = 8` and so on.
//! A figure's name is `<figure>.<benchmark>` plus those axes that tell it from the benchmark's other ones.

use std::collections::{BTreeMap, BTreeSet};

use super::number;
use super::split::{self, Key};
use super::style::{self, Style};
use crate::net::architecture::Kind;
use crate::record::{Record, Regimes, SummaryRow};
use crate::suite::{axis, Axis};

/// The rows of one contender at fixed axes, ordered by depth.
#[derive(Debug, Clone, PartialEq)]
pub struct DepthSeries<'a> {
    /// Contender id.
    pub contender: &'a str,
    /// The part of the id before the slash.
    pub name: &'a str,
    /// Engine.
    pub engine: &'a str,
    /// One row per depth.
    pub rows: Vec<&'a SummaryRow>,
    /// `T = L`, `T = 8`, `T varies`, or empty for a rule without inference steps.
    pub policy: String,
}

impl DepthSeries<'_> {
    /// The id in print.
    pub fn printed(&self) -> String {
        style::printed(self.contender)
    }

    /// A note for the legend, with how many layers updates train where that is not all of them.
    pub fn note(&self, note: Option<String>) -> String {
        let part = self.rows.iter().filter_map(|r| r.mark().trained.map(|n| format!("{n} of {}", r.depth)));
        let part: Vec<String> = part.collect();
        let trained = match (part.first(), part.last()) {
            (Some(first), Some(last)) if part.len() > 1 => Some(format!("trains {first} … {last} layers")),
            (first, _) => first.map(|only| format!("trains {only} layers")),
        };
        note.into_iter().chain(trained).collect::<Vec<_>>().join("; ")
    }

    /// Colour, marker and dash.
    pub fn style(&self) -> Style {
        style::of(self.name, self.engine)
    }
}

/// The rows of one figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// Benchmark name.
    pub benchmark: &'a str,
    /// What was timed, e.g. `weight-update`.
    pub model: &'a str,
    /// `f32` or `f64`.
    pub dtype: &'a str,
    /// `cpu` or `cuda`.
    pub device: &'a str,
    /// End of the figure's name, after `<figure>.`.
    pub stem: String,
    /// Conditions for the caption.
    pub facts: Vec<String>,
    /// Contenders in the order of the legend.
    pub series: Vec<DepthSeries<'a>>,
}

impl Group<'_> {
    /// The label of an axis of its depths.
    pub fn depth_label(&self) -> String {
        let row = self.series.iter().find_map(|series| series.rows.first());
        let kind = row.and_then(|row| Kind::of(&row.architecture).ok());
        format!("depth L ({})", kind.map_or("weight layers", |kind| kind.depth_is))
    }
}

/// Rows with a time that can be drawn: measured, without error, not the A/A control.
pub fn timed(row: &SummaryRow) -> bool {
    row.err.is_empty() && row.median_ns > 0 && row.depth > 0 && !row.contender.ends_with("~aa")
}

/// Values of the axes that set figures apart where they vary, in the order of [`split::apart_where_varied`].
type Varied = Vec<String>;

/// The groups of the drawable rows of a record, in the order of its benchmarks.
pub fn groups(record: &Record) -> Vec<Group<'_>> {
    let mut split: BTreeMap<Key<'_>, Vec<&SummaryRow>> = BTreeMap::new();
    let mut benchmarks: Vec<&str> = Vec::new();
    for row in record.summary.iter().filter(|row| timed(row)) {
        split.entry(Key::of(row)).or_default().push(row);
        if !benchmarks.contains(&&*row.benchmark) {
            benchmarks.push(&row.benchmark);
        }
    }
    let keys: Vec<&Key<'_>> = split.keys().collect();
    let mut groups = Vec::new();
    for benchmark in benchmarks {
        for (key, rows) in split.iter().filter(|(key, _)| key.benchmark == benchmark) {
            for (varied, series) in variants(rows) {
                for (engine, series) in by_engine(series) {
                    let own: Vec<String> = varied.iter().cloned().chain(engine).collect();
                    groups.push(group(record, (key, &keys), rows[0], &own, series));
                }
            }
        }
    }
    super::filenames::unique(groups.iter_mut().map(|g| &mut g.stem));
    groups
}

/// The figure of these series; `first` is any of its rows, and `varied` what tells it from the other figures of its key.
fn group<'a>(
    record: &Record,
    (key, keys): (&Key<'a>, &[&Key<'a>]),
    first: &'a SummaryRow,
    varied: &[String],
    series: Vec<DepthSeries<'a>>,
) -> Group<'a> {
    let mut parts = key.parts(keys);
    parts.extend(varied.iter().map(|value| super::filenames::slug(value)));

    let list = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(" / ");
    let rows = || series.iter().flat_map(|s| s.rows.iter());
    let policies = list(series.iter().map(|s| s.policy.clone()).filter(|p| !p.is_empty()).collect());
    let sizes = list(rows().filter(|r| r.steps > 0).map(|r| number::short(r.step_size, 4)).collect());
    let (dtype, device) = (&*first.dtype, &*first.device);
    let mut facts = super::filenames::machine_facts(record, device);
    facts.extend(key.facts());
    facts.push(policies);
    if !sizes.is_empty() {
        facts.push(format!("step size {sizes}"));
    }
    facts.push(parameterisations(rows().map(|r| (&*r.contender, &*r.parameterisation))));
    facts.extend(super::filenames::run_facts(record, key.benchmark));
    // on a line of its own
    facts.extend(Regimes::of(record).silent(rows().copied(), style::printed_name).map(|said| said + "\n"));
    let stem = parts.join(".");
    Group { benchmark: key.benchmark, model: key.model, dtype, device, stem, facts, series }
}

/// Parameterisations in a caption, given each contender with its own: the commonest alone, then each other one with its
/// contenders, as in `sp-uniform, but mupc-residual for BP (μPC net) and μPC`.
pub fn parameterisations<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut kinds: BTreeMap<&str, BTreeSet<(usize, &str)>> = BTreeMap::new();
    for (contender, kind) in rows {
        let (place, name, ..) = style::order(contender);
        kinds.entry(kind).or_default().insert((place, name));
    }
    // Of two equally common ones that of the first contender in legends.
    let commonest =
        kinds.iter().max_by(|a, b| a.1.len().cmp(&b.1.len()).then(b.1.cmp(a.1))).map(|(kind, _)| *kind);
    let others = kinds.iter().filter(|(kind, _)| Some(**kind) != commonest).map(|(kind, names)| {
        let names: Vec<String> = names.iter().map(|(_, name)| style::printed_name(name)).collect();
        format!("{kind} for {}", enumerated(&names))
    });
    let others: Vec<String> = others.collect();
    match commonest.unwrap_or_default() {
        kind if others.is_empty() => kind.to_owned(),
        kind => format!("{kind}, but {}", others.join("; ")),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn enumerated(parts: &[impl AsRef<str>]) -> String {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

/// Lines of one figure that can be told apart.
const MOST_SERIES: usize = 14;

/// More series than fit a figure, engine by engine, each part with the name of its engine; otherwise all of them. An
/// engine with a single contender, such as autograd, stays with the first.
fn by_engine(series: Vec<DepthSeries<'_>>) -> Vec<(Option<String>, Vec<DepthSeries<'_>>)> {
    // An engine on a stated number of threads is still that engine.
    let engine = |series: &DepthSeries<'_>| series.engine.split(':').next().unwrap_or_default().to_owned();
    let mut engines: Vec<String> = Vec::new();
    for one in &series {
        let several = series.iter().filter(|s| engine(s) == engine(one)).count() > 1;
        if several && !engines.contains(&engine(one)) {
            engines.push(engine(one));
        }
    }
    if series.len() <= MOST_SERIES || engines.len() < 2 {
        return vec![(None, series)];
    }
    let mut parts: Vec<(Option<String>, Vec<DepthSeries<'_>>)> =
        engines.iter().map(|name| (Some(name.clone()), Vec::new())).collect();
    for one in series {
        let place = engines.iter().position(|name| *name == engine(&one)).unwrap_or(0);
        parts[place].1.push(one);
    }
    parts
}

/// Splits rows of one key into figures; with each figure the values that set it apart.
fn variants<'a>(rows: &[&'a SummaryRow]) -> Vec<(Vec<String>, Vec<DepthSeries<'a>>)> {
    let axes = split::apart_where_varied();
    let mut contenders: BTreeMap<&str, Vec<(Varied, &'a SummaryRow)>> = BTreeMap::new();
    for row in rows {
        contenders.entry(&row.contender).or_default();
    }
    for (contender, entries) in &mut contenders {
        let own: Vec<&SummaryRow> = rows.iter().copied().filter(|r| r.contender == *contender).collect();
        for row in &own {
            let values: Vec<Varied> = axes.iter().map(|axis| split::variants(axis, row, &own)).collect();
            entries.extend(split::product(&values).into_iter().map(|values| (values, *row)));
        }
    }
    let values = |entries: &[(Varied, &SummaryRow)], axis: usize| -> BTreeSet<String> {
        entries.iter().map(|(varied, _)| varied[axis].clone()).collect()
    };
    // On each axis the values of contenders that vary along it, or one value that matches everything.
    let choices: Vec<Vec<Option<String>>> = (0..axes.len())
        .map(|axis| {
            let varying = contenders.values().map(|e| values(e, axis)).filter(|v| v.len() > 1);
            let all: BTreeSet<String> = varying.flatten().collect();
            if all.is_empty() {
                vec![None]
            } else {
                all.into_iter().map(Some).collect()
            }
        })
        .collect();
    let mut figures = Vec::new();
    for chosen in split::product(&choices) {
        let mut own_point = chosen.iter().all(|c| c.is_none());
        let mut series = Vec::new();
        for (contender, entries) in &contenders {
            let free: Vec<bool> = (0..axes.len()).map(|axis| values(entries, axis).len() < 2).collect();
            let fits = |varied: &Varied| {
                let agrees = |a: usize| chosen[a].as_ref().is_none_or(|value| *value == varied[a]);
                (0..axes.len()).all(|a| free[a] || agrees(a))
            };
            let found: Vec<_> = entries.iter().filter(|(varied, _)| fits(varied)).collect();
            own_point |= !found.is_empty() && free.contains(&false);
            series.extend(depth_series(contender, &axes, &found));
        }
        if own_point && !series.is_empty() {
            series.sort_by(|a, b| style::order(a.contender).cmp(&style::order(b.contender)));
            figures.push((chosen.into_iter().flatten().collect(), series));
        }
    }
    figures
}

fn depth_series<'a>(
    contender: &'a str,
    axes: &[&Axis],
    found: &[&(Varied, &'a SummaryRow)],
) -> Option<DepthSeries<'a>> {
    let mut rows: Vec<&SummaryRow> = found.iter().map(|(_, row)| *row).collect();
    rows.sort_by_key(|row| row.depth);
    // Two rows that differ in nothing the record names would make a vertical line: the first one stands.
    rows.dedup_by_key(|row| row.depth);
    let steps = axes.iter().position(|axis| **axis == axis::STEPS)?;
    let policy = found.first()?.0[steps].clone();
    let (name, engine) = style::split(contender);
    Some(DepthSeries { contender, name, engine, rows, policy })
}
