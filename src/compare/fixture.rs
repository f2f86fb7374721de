//! Invented records and sides for tests.

use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::build::Build;
use super::side::{Entry, Side, Work};
use crate::measure::exact::Exact;
use crate::record::{summarise, Machine, Record, Run, Sample, Status, SummaryRow, SCHEMA};
use crate::stats::PairedRatio;
use crate::suite::axis::{self, Settings};
use crate::suite::{Overrides, Suite};

/// One benchmark, one contender with a learning rate of its own.
pub const DEFINITION: &str = r#"schema = 1
name = "small"
about = "Two points."
seed = 5

[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference", { id = "epc/reference", learning_rate = 0.5 }]
[benchmark.axes]
depth = [2, 3]
width = [4]
batch = [2]
[benchmark.timing]
max_seconds = 1.0
"#;

/// A record of [`DEFINITION`] (or a variation of it): BP takes 1 µs per layer, sPC 2.5 times and ePC 4 times as long,
/// each sample with noise of 1 % drawn under `seed`.
pub fn record(definition: &str, seed: u64) -> Record {
    let suite = Suite::parse(definition, "small.toml", &Overrides::default()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut samples, mut summary, mut ratios) = (vec![], vec![], vec![]);
    for (benchmark, point) in suite.benchmarks.iter().flat_map(|b| b.points.iter().map(move |p| (b, p))) {
        let mut rows: Vec<SummaryRow> =
            benchmark.contenders.iter().map(|c| row(&point.id, &c.id.to_string(), point.depth)).collect();
        let mut own = Vec::new();
        for round in 0..60 {
            let names = rows.iter().map(|r| r.contender.clone()).chain(["bp/reference~aa".to_owned()]);
            for contender in names {
                let cost = match contender.split('/').next() {
                    Some("spc") => 2.5,
                    Some("epc") => 4.0,
                    _ => 1.0,
                };
                let noise: f64 = 1.0 + 0.01 * (rng.random::<f64>() - 0.5);
                let wall_ns = (1e6 * point.depth as f64 * cost * noise) as u64;
                let point = point.id.clone();
                own.push(Sample {
                    point,
                    contender,
                    round,
                    wall_ns,
                    device_ns: None,
                    checksum: 0.0,
                    delay_ns: None,
                    sm_clock_mhz: None,
                    executions: 1,
                    instance: round / 12,
                });
            }
        }
        ratios.extend(summarise::fill(&mut rows, &own).unwrap());
        summary.extend(rows);
        samples.extend(own);
    }
    let (definition_sha256, definition) = (suite.definition_sha256(), suite.definition.clone());
    Record {
        dir: PathBuf::from(format!("records/{seed}")),
        run: run(suite, definition, definition_sha256),
        machine: machine(),
        samples,
        summary,
        ratios,
        signals: vec![],
        alignments: vec![],
        regimes: vec![],
        training: vec![],
        quantities: vec![],
    }
}

fn run(suite: Suite, definition: String, definition_sha256: String) -> Run {
    Run {
        schema: SCHEMA,
        suite: suite.name,
        about: suite.about,
        definition,
        definition_sha256,
        seed: suite.seed,
        argv: vec![],
        started: "2026-11-22T05:36:00Z".into(),
        finished: None,
        version: "0.1.0".into(),
        rev: "abc1234".into(),
        dirty: false,
        lockfile_sha256: "10c".into(),
        features: vec![],
        switches: vec![],
        candle: "0.11.1".into(),
        threads: 2,
        data: vec!["digits: 1437 training + 360 test rows".into()],
        ceilings: vec![],
        warnings: vec![],
        shard: None,
        shards: vec![],
        rustc: "rustc 1.89.0".into(),
    }
}

fn machine() -> Machine {
    Machine {
        class: "cpu-test-2c".into(),
        cpu: "Test".into(),
        physical_cores: 2,
        logical_cpus: 2,
        simd: "avx2".into(),
        memory_bytes: 1 << 34,
        os: "linux".into(),
        gpu: String::new(),
        driver: String::new(),
        cache_bytes: None,
    }
}

fn row(point: &str, contender: &str, depth: usize) -> SummaryRow {
    let (rule, engine) = contender.split_once('/').unwrap();
    SummaryRow {
        point: point.into(),
        benchmark: "update".into(),
        model: "weight-update".into(),
        contender: contender.into(),
        baseline: "bp/reference".into(),
        rule: rule.into(),
        engine: engine.into(),
        architecture: "mlp".into(),
        parameterisation: "sp-uniform".into(),
        activation: "tanh".into(),
        depth,
        width: 4,
        batch: 2,
        steps: depth,
        step_size: 0.1,
        dtype: "f32".into(),
        device: "cpu".into(),
        updates: 1,
        n: 0,
        min_ns: 0,
        q1_ns: 0,
        median_ns: 0,
        q3_ns: 0,
        mad_ns: 0,
        median_low_ns: 0,
        median_high_ns: 0,
        gemms: 3 * depth as u64,
        gemm_flops: 40,
        elementwise_flops: 5,
        bytes: 6,
        critical_path: 7,
        inference_over_bp: None,
        parallel_over_bp: None,
        verify: Some(0.25),
        contended: None,
        host_bound: None,
        peak_bytes: None,
        energy_uj: None,
        device_peak_bytes: None,
        trained_layers: None,
        allocations: None,
        allocated_bytes: None,
        instructions: None,
        least_gemms: None,
        least_gemm_flops: None,
        least_bytes: None,
        test_accuracy: None,
        train_updates: None,
        stop: "target".into(),
        status: Status::Ok,
        err: String::new(),
    }
}

/// A ratio known to ±`half` per cent from many rounds.
pub fn known(ratio: f64, half: f64) -> PairedRatio {
    let width = 1.0 + half / 100.0;
    PairedRatio {
        ratio,
        low: ratio / width,
        high: ratio * width,
        pairs: 100_000,
        instances: 5,
        freedom: None,
    }
}

/// A contender at a point with that ratio; its time is the ratio in milliseconds.
pub fn entry(point: &str, contender: &str, ratio: f64, half: f64) -> Entry {
    let baseline = "bp/reference".to_owned();
    let own = contender == baseline;
    Entry {
        point: point.into(),
        contender: contender.into(),
        baseline,
        settings: Settings::of_id(point).with(&axis::DEPTH, 4).with(&axis::STEPS, 4),
        definition_sha256: "d0".into(),
        facts: [("gain".to_owned(), "1".to_owned())].into(),
        ratio: (!own).then(|| known(ratio, half)),
        noise_floor: Some(0.004),
        time: Some(known(1e6 * ratio, half)),
        quiet_ns: Some(0.9e6 * ratio),
        quiet_ratio: (!own).then_some(ratio),
        waited: None,
        work: Work { gemms: 10, gemm_flops: 1000, elementwise_flops: 50, bytes: 400, critical_path: 8 },
        exact: Exact { allocations: Some(12), allocated_bytes: Some(3456), instructions: Some(1_000_000) },
        err: String::new(),
    }
}

/// Two points of BP and of contenders with these ratios.
pub fn side(name: &str, ratios: &[(&str, f64)], half: f64) -> Side {
    let mut entries = Vec::new();
    for point in ["p@depth=4", "p@depth=8"] {
        entries.push(entry(point, "bp/reference", 1.0, half));
        entries.extend(ratios.iter().map(|(contender, ratio)| entry(point, contender, *ratio, half)));
    }
    let build = Build { simd: "avx2".into(), compiler: "rustc 1.89.0".into() };
    let (class, data) = ("cpu-test-2c".into(), vec!["digits".into()]);
    Side { name: name.into(), class, threads: 2, build, data, entries }
}
