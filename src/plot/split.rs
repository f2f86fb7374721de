//! Which axes set figures apart, as [`Figures`] says of each.

use std::collections::BTreeSet;

use super::stem::slug;
use crate::record::SummaryRow;
use crate::suite::axis::{self, Figures};
use crate::suite::{Axis, Value, AXES};

/// Axes of which each value has figures of its own, in the order of file names.
fn apart() -> Vec<&'static Axis> {
    let place = |axis: &&'static Axis| match axis.figures {
        Figures::Apart(place) => Some((place, *axis)),
        _ => None,
    };
    sorted(AXES.iter().filter_map(place).collect())
}

/// Axes of which each value has figures of its own where a contender was measured at several, in the order of file names.
pub(super) fn apart_where_varied() -> Vec<&'static Axis> {
    let place = |axis: &&'static Axis| match axis.figures {
        Figures::ApartWhereVaried(place) => Some((place, *axis)),
        _ => None,
    };
    sorted(AXES.iter().filter_map(place).collect())
}

fn sorted(mut axes: Vec<(u8, &'static Axis)>) -> Vec<&'static Axis> {
    axes.sort_by_key(|(place, axis)| (*place, axis.name));
    axes.into_iter().map(|(_, axis)| axis).collect()
}

/// What is the same in all rows of a figure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    /// Benchmark name.
    pub(super) benchmark: &'a str,
    /// What was measured, e.g. `weight-update`.
    pub(super) model: &'a str,
    /// Values of the axes that set figures apart.
    values: Vec<Value>,
}

impl<'a> Key<'a> {
    pub(super) fn of(row: &'a SummaryRow) -> Self {
        let values = apart().into_iter().map(|axis| row.axis(axis)).collect();
        Self { benchmark: &row.benchmark, model: &row.model, values }
    }

    /// Parts of the figure's name: the benchmark, and what tells the figure from the benchmark's others among `all`.
    pub(super) fn parts(&self, all: &[&Self]) -> Vec<String> {
        let others = || all.iter().filter(|other| other.benchmark == self.benchmark);
        let mut parts = vec![slug(self.benchmark)];
        if others().any(|other| other.model != self.model) {
            parts.push(slug(self.model));
        }
        for (i, axis) in apart().into_iter().enumerate() {
            if others().any(|other| other.values[i] != self.values[i]) {
                parts.push(slug(&self.values[i].named(axis.name, "-")));
            }
        }
        parts
    }

    /// Conditions for the caption, but for the device, which it names with the machine.
    pub(super) fn facts(&self) -> Vec<String> {
        let values = apart().into_iter().zip(&self.values).filter(|(axis, _)| **axis != axis::DEVICE);
        values.map(|(axis, value)| value.named(axis.name, " ")).collect()
    }
}

/// What a row has on an axis of [`apart_where_varied`], as file names say it; a row may belong to several policies of steps.
/// `own` are all rows of its contender.
pub(super) fn variants(axis: &Axis, row: &SummaryRow, own: &[&SummaryRow]) -> Vec<String> {
    if *axis == axis::STEPS {
        return policies(row, own);
    }
    if *axis == axis::STEP_SIZE {
        return vec![if row.steps == 0 { String::new() } else { format!("step {}", row.step_size) }];
    }
    vec![row.axis(axis).named(axis.name, " ")]
}

/// The step policies a row belongs to among all rows of its contender.
fn policies(row: &SummaryRow, own: &[&SummaryRow]) -> Vec<String> {
    let fixed = |steps: usize| format!("T = {steps}");
    let depths: BTreeSet<usize> = own.iter().map(|r| r.depth).collect();
    let steps: BTreeSet<usize> = own.iter().map(|r| r.steps).collect();
    let pairs: BTreeSet<(usize, usize)> = own.iter().map(|r| (r.depth, r.steps)).collect();
    if row.steps == 0 {
        return vec![String::new()];
    }
    if steps.len() == 1 {
        return vec![fixed(row.steps)];
    }
    let follows = depths.len() > 1 && depths.iter().all(|&d| pairs.contains(&(d, d)));
    if pairs.len() == depths.len() {
        return vec![if follows { "T = L".into() } else { "T varies".into() }];
    }
    // An axis over several numbers of steps, possibly `T = L` among them; the row at T = L = 8 then also
    // belongs to `T = 8` if other depths have that value.
    let diagonal = follows && row.steps == row.depth;
    let shared = pairs.iter().any(|&(depth, steps)| steps == row.steps && depth != steps);
    let mut policies = Vec::new();
    if diagonal {
        policies.push("T = L".to_owned());
    }
    if shared || !diagonal {
        policies.push(fixed(row.steps));
    }
    policies
}

/// All ways to take one of each list, the last list varying fastest.
pub(super) fn product<T: Clone>(lists: &[Vec<T>]) -> Vec<Vec<T>> {
    lists.iter().fold(vec![Vec::new()], |ways, list| {
        let extended = |way: &Vec<T>| {
            list.iter().map(|one| [&way[..], std::slice::from_ref(one)].concat()).collect::<Vec<_>>()
        };
        ways.iter().flat_map(extended).collect()
    })
}
