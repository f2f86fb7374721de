//! Short names of points for people: the axes that tell them apart, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Maps ids `benchmark@axis=value,…` to `benchmark@axis=value,…` with only the axes that vary within the
/// benchmark and are not in `columns` of their own.
pub fn labels<'a>(ids: impl IntoIterator<Item = &'a str>, columns: &[&str]) -> HashMap<&'a str, String> {
    let parts = |id: &'a str| -> (&'a str, Vec<(&'a str, &'a str)>) {
        let (benchmark, axes) = id.split_once('@').unwrap_or((id, ""));
        (benchmark, axes.split(',').filter_map(|axis| axis.split_once('=')).collect())
    };
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    let mut points: BTreeMap<&str, usize> = BTreeMap::new();
    let mut values: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (benchmark, axes) in ids.iter().map(|id| parts(id)) {
        *points.entry(benchmark).or_default() += 1;
        for (axis, value) in axes {
            values.entry((benchmark, axis)).or_default().push(value);
        }
    }
    // An id may lack an axis, which then has its default there: that is another value too.
    let varies = |benchmark, axis| {
        let found = &values[&(benchmark, axis)];
        found.iter().any(|value| *value != found[0]) || found.len() < points[benchmark]
    };
    let tells = |benchmark, axis| !columns.contains(&axis) && varies(benchmark, axis);
    ids.into_iter()
        .map(|id| {
            let (benchmark, axes) = parts(id);
            let told = axes.iter().filter(|(axis, _)| tells(benchmark, axis));
            let told: Vec<String> = told.map(|(axis, value)| format!("{axis}={value}")).collect();
            let joint = if told.is_empty() { "" } else { "@" };
            (id, format!("{benchmark}{joint}{}", told.join(",")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_varies_within_a_benchmark_is_named() {
        let ids =
            ["a@depth=2,dtype=f32,width=4", "a@depth=4,dtype=f64,width=4", "b@depth=9,dtype=f32,width=8"];
        let short = labels(ids, &[]);
        assert_eq!(ids.map(|id| short[id].as_str()), ["a@depth=2,dtype=f32", "a@depth=4,dtype=f64", "b"]);
        assert_eq!(labels(ids, &["depth"])[ids[0]], "a@dtype=f32");
        assert_eq!(labels(["odd"], &[])["odd"], "odd");
        let ids = ["a@depth=2", "a@depth=2,heads=2"];
        assert_eq!(ids.map(|id| labels(ids, &[])[id].clone()), ["a", "a@heads=2"]);
    }
}
