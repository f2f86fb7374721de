//! Oracle: a device that is called `cuda`, and a table that was read for it.

use pcnbench_kernels::launch::Precision;
use pcnbench_kernels::tune::{Entry, Sizes, Strategy, Timed};
use pcnbench_kernels::MathMode;

use super::super::device_health::synchronise;
use super::super::point::prepare;
use super::*;
use crate::contender::Contender;
use crate::suite::Overrides;
use crate::tune::file::Strategies;

const SUITE: &str = r#"
schema = 1
name = "strategies"
about = "x"
seed = 1
[[benchmark]]
name = "only"
model = "weight-update"
about = "x"
data = "digits"
contenders = ["bp/reference", "bp/fused", "spc/fused"]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
device = ["cpu", "cuda"]
"#;

fn found() -> Found {
    let timed =
        Timed { strategy: Strategy::Graph, median_ns: 1.0, q1_ns: 1.0, q3_ns: 1.0, samples: 5, calls: 1 };
    let entry = Entry {
        rule: "spc",
        precision: Precision::F32,
        math: MathMode::F32,
        sizes: Sizes { width: 4, batch: 2, depth: 2, steps: 2 },
        timed: vec![timed],
        failed: vec![],
    };
    let table = StrategyTable { device: "A GPU".into(), capability: (9, 0), entries: vec![entry] };
    let strategies = Strategies {
        driver: "x".into(),
        rev: "x".into(),
        dirty: false,
        started: "x".into(),
        seconds: 0.1,
        table: Arc::new(table),
    };
    Found { name: "a-gpu/strategies.toml".into(), sha256: "x".into(), strategies }
}

/// From the file to the engine: of fused contenders on the GPU, and of no others.
#[test]
fn the_table_of_a_gpu_reaches_the_engines_of_its_points() {
    let suite = Suite::parse(SUITE, "strategies.toml", &Overrides::default()).unwrap();
    let mut resources = Resources::new(&suite, None, &synchronise).unwrap();
    resources.devices.insert(DeviceKind::Cuda, Device::Cpu);
    let found = found();
    let table = found.strategies.table.clone();
    resources.strategies = Some(Some(found));
    let prepared = prepare(&suite, &mut resources).unwrap();
    let mut given = Vec::new();
    for p in &prepared {
        for spec in &p.specs {
            let expected = p.point.device == DeviceKind::Cuda && spec.id.to_string() != "bp/reference";
            let contender = Contender::new(spec, 1, &Device::Cpu).unwrap();
            let reached = contender.strategies().is_some_and(|reached| std::ptr::eq(reached, &*table));
            assert_eq!(reached, expected, "{} at {}", spec.id, p.point.id);
            given.push(reached);
        }
    }
    assert_eq!(given, [false, false, false, false, true, true]);
}

/// A device without a name has no file, wherever records are.
#[test]
fn strategies_are_looked_for_once_and_only_for_a_gpu() {
    let suite = Suite::parse(SUITE, "strategies.toml", &Overrides::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut resources = Resources::new(&suite, None, &synchronise).unwrap().with_results(folder.path());
    assert_eq!(resources.strategies(DeviceKind::Cpu).unwrap(), None);
    assert_eq!(resources.strategies, None);
    resources.devices.insert(DeviceKind::Cuda, Device::Cpu);
    assert_eq!(resources.strategies(DeviceKind::Cuda).unwrap(), None);
    assert_eq!(resources.strategies, Some(None));
}
