//! How the tables of the report page name points.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use maud::{html, Markup};

use super::filenames;
use super::signal::benchmark;

/// How tables name the points of a record: the benchmark and those axes in which its points differ; the others are said
/// once.
pub(super) struct Points<'a> {
    labels: HashMap<&'a str, String>,
    common: Vec<(&'a str, String)>,
}

impl<'a> Points<'a> {
    /// Labels of `points` by their ids.
    pub(super) fn new(points: impl Iterator<Item = &'a str>) -> Self {
        let mut benchmarks: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for point in points {
            benchmarks.entry(benchmark(point)).or_default().insert(point);
        }
        let (mut labels, mut common) = (HashMap::new(), Vec::new());
        for (name, points) in benchmarks {
            let all: Vec<(&str, BTreeMap<&str, &str>)> =
                points.iter().map(|p| (*p, filenames::axes(p))).collect();
            let Some((_, first)) = all.first() else { continue };
            let shared = |key: &str| all.iter().all(|(_, axes)| axes.get(key) == first.get(key));
            let pairs = |axes: &BTreeMap<&str, &str>, wanted: bool| {
                let own = axes.iter().filter(|(key, _)| shared(key) == wanted);
                own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
            };
            let same = pairs(first, true);
            if !same.is_empty() {
                common.push((name, same.join(", ")));
            }
            for (point, axes) in &all {
                let differing = pairs(axes, false).join(",");
                let label =
                    if differing.is_empty() { name.to_owned() } else { format!("{name}@{differing}") };
                labels.insert(*point, label);
            }
        }
        Self { labels, common }
    }

    pub(super) fn cell(&self, point: &str) -> Markup {
        let label = self.labels.get(point).map_or(point, String::as_str);
        html! { td.text { code title=(point) { (label) } } }
    }

    /// The axes that no label repeats.
    pub(super) fn note(&self) -> Markup {
        html! { @for (name, axes) in &self.common {
            p.soft { "All points of " code { (name) } ": " (axes) "." }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named_by_what_tells_them_apart() {
        let ids = ["depth@batch=64,depth=4", "depth@batch=64,depth=8", "trace@batch=1,depth=20", "plain"];
        let points = Points::new(ids.into_iter().chain(ids));
        let labels = ids.map(|id| &*points.labels[id]);
        assert_eq!(labels, ["depth@depth=4", "depth@depth=8", "trace", "plain"]);
        assert_eq!(points.common, [("depth", "batch=64".to_owned()), ("trace", "batch=1, depth=20".into())]);
        let cell = points.cell(ids[0]).into_string();
        assert!(
            cell.contains("title=\"depth@batch=64,depth=4\"") && cell.contains(">depth@depth=4<"),
            "{cell}"
        );
    }
}
