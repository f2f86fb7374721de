//! Oracle: the order in which points are built, as the observer of a run hears of it.

use std::path::Path;

use super::super::{device_health, run_with, Job, Target};
use crate::record;
use crate::run::job::Observer;
use crate::suite::{Overrides, Suite};

/// The depths of points as they are built or traced, and `!` before one that is finished.
#[derive(Default)]
struct Heard(Vec<String>);

fn depth(point: &str) -> &str {
    let (_, rest) = point.split_once("depth=").unwrap();
    rest.split(',').next().unwrap()
}

impl Observer for Heard {
    fn waiting(&mut self, _: &str) {}
    fn planned(&mut self, _: usize, _: usize) {}
    fn at(&mut self, point: &str, stage: &str) {
        if ["building", "epc/reference"].contains(&stage) {
            self.0.push(depth(point).to_owned());
        }
    }
    fn finished(&mut self, point: &str) {
        self.0.push(format!("!{}", depth(point)));
    }
}

/// Two points of three instances, one of one whose contender diverges, one that is traced, and one more of two.
const SUITE: &str = r#"schema = 1
name = "mixed"
about = "Points of several models."
seed = 1
[[benchmark]]
name = "three"
model = "weight-update"
about = "Three instances."
contenders = ["bp/reference"]
[benchmark.axes]
depth = [2, 3]
width = [4]
batch = [2]
[benchmark.timing]
warmup_seconds = 0.0
min_rounds = 6
max_rounds = 6
instances = 3
[[benchmark]]
name = "one"
model = "weight-update"
about = "One instance."
contenders = ["bp/reference", { id = "spc/reference", step_size = 50, steps = 400 }]
[benchmark.axes]
depth = [4]
width = [4]
batch = [2]
activation = ["identity"]
[benchmark.timing]
warmup_seconds = 0.0
min_rounds = 6
max_rounds = 6
instances = 1
[[benchmark]]
name = "trace"
model = "signal-decay"
about = "Energies."
contenders = ["epc/reference"]
[benchmark.axes]
depth = [5]
width = [4]
batch = [2]
[[benchmark]]
name = "two"
model = "weight-update"
about = "Two instances."
contenders = ["bp/reference"]
[benchmark.axes]
depth = [6]
width = [4]
batch = [2]
[benchmark.timing]
warmup_seconds = 0.0
min_rounds = 6
max_rounds = 6
instances = 2
"#;

#[test]
fn instances_of_neighbours_alternate_and_points_are_finished_as_they_end() {
    let (suite, folder) =
        (Suite::parse(SUITE, "mixed.toml", &Overrides::default()).unwrap(), tempfile::tempdir().unwrap());
    let job = Job {
        suite: &suite,
        data: None,
        results: Path::new("nowhere"),
        target: Target::New(Some(folder.path().join("record"))),
        argv: vec![],
        shard: None,
        allow_debug: true,
        ceilings: false,
        wait_quiet: None,
    };
    let mut heard = Heard::default();
    let dir = run_with(&job, &mut heard, &device_health::synchronise).unwrap();
    assert_eq!(heard.0.join(" "), "2 3 4 2 3 2 !2 3 !3 !4 5 !5 6 6 !6");

    let record = record::read(&dir).unwrap();
    record::summarise::check(&record).unwrap();
    for (depth, instances) in [(2, 3), (3, 3), (4, 1), (6, 2)] {
        let of = format!("depth={depth},");
        let mut found: Vec<_> = record
            .samples
            .iter()
            .filter(|s| s.point.contains(&of) && s.contender == "bp/reference")
            .map(|s| (s.instance, s.round))
            .collect();
        let rounds = (0..6).map(|round| (round * instances / 6, round));
        found.sort_unstable();
        assert_eq!(found, rounds.collect::<Vec<_>>(), "depth {depth}");
    }
    let failed = record.summary.iter().filter(|row| !row.err.is_empty()).map(|row| row.contender.as_str());
    assert_eq!(failed.collect::<Vec<_>>(), ["spc/reference"]);
}
