//! Which axes set figures apart, as [`Figures`] says of each.

use std::collections::BTreeSet;

use super::filenames::slug;
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

    /// Conditions for the caption, but for the device, which it names with the machine, and for what ids do not tell.
    pub(super) fn facts(&self) -> Vec<String> {
        let values = apart().into_iter().zip(&self.values);
        let told = values.filter(|(axis, value)| **axis != axis::DEVICE && axis.tells(value));
        told.map(|(axis, value)| value.named(axis.name, " ")).collect()
    }
}

/// What a row has on an axis of [`apart_where_varied`], as file names say it; a row may belong to several policies of
/// steps. `own` are all rows of its contender.
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

#[cfg(test)]
mod tests {
    use super::super::synthetic::{add, empty};
    use super::*;

    #[test]
    fn a_name_says_what_differs_from_other_figures_of_the_benchmark() {
        let mut record = empty();
        add(&mut record, "bp/reference", &[4], |_| 0, 1000.0);
        let first = &record.summary[0];
        let others = [
            SummaryRow { width: 7, ..first.clone() },
            SummaryRow { batch: 9, ..first.clone() },
            SummaryRow { dtype: "f64".into(), ..first.clone() },
            SummaryRow { device: "cuda".into(), ..first.clone() },
            SummaryRow { activation: "relu".into(), ..first.clone() },
            SummaryRow { model: "alignment".into(), ..first.clone() },
        ];
        let own = Key::of(first);
        let parts = |key: &Key<'_>, rows: &[SummaryRow]| {
            let keys: Vec<Key<'_>> = rows.iter().map(Key::of).collect();
            key.parts(&keys.iter().collect::<Vec<_>>()).join(".")
        };
        assert_eq!(parts(&own, &record.summary), "depth");
        for (other, told) in others.iter().zip(["width-7", "batch-9", "f64", "cuda", "relu", "alignment"]) {
            assert_eq!(parts(&Key::of(other), &record.summary), format!("depth.{told}"));
        }
        assert_eq!(parts(&own, &others), "depth.weight-update.width-128.batch-64.f32.cpu.tanh");
        // figures of another benchmark have another name anyway
        let strange = SummaryRow { benchmark: "other".into(), ..others[0].clone() };
        assert_eq!(parts(&own, &[strange]), "depth");
        assert_eq!(own.facts(), ["width 128", "batch 64", "f32", "tanh"]);
    }

    #[test]
    fn products_have_every_combination_once() {
        let found = product(&[vec![1, 2], vec![3], vec![4, 5]]);
        assert_eq!(found, [[1, 3, 4], [1, 3, 5], [2, 3, 4], [2, 3, 5]]);
        assert_eq!(product::<u8>(&[]), [Vec::<u8>::new()]);
        assert!(product::<u8>(&[vec![], vec![1]]).is_empty());
    }
}
