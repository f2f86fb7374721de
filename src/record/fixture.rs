//! Small records for tests.

use std::path::Path;

use super::layered::Layered;
use super::regime::RegimeRow;
use super::schema::PointResult;
use super::schema::{AlignmentRow, Machine, RatioRow, Run, Sample, SignalRow, Status, SummaryRow, SCHEMA};
use super::summarise;

pub(super) fn run() -> Run {
    Run {
        schema: SCHEMA,
        suite: "quick".into(),
        about: "a test".into(),
        definition: "name = \"quick\"\n".into(),
        definition_sha256: "d0".into(),
        seed: 7,
        argv: vec!["pcnbench".into(), "run".into()],
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
        data: vec!["digits".into()],
        ceilings: vec![],
        warnings: vec![],
        shard: None,
        shards: vec![],
        rustc: "rustc 1.89.0".into(),
    }
}

pub(super) fn machine() -> Machine {
    Machine {
        class: "cpu-test-4c".into(),
        cpu: "Test".into(),
        physical_cores: 4,
        logical_cpus: 4,
        simd: "avx2 fma".into(),
        memory_bytes: 1 << 34,
        os: "linux 6.0".into(),
        gpu: String::new(),
        driver: String::new(),
        cache_bytes: None,
    }
}

pub(super) fn sample(point: &str, contender: &str, round: u32, wall_ns: u64) -> Sample {
    Sample {
        point: point.into(),
        contender: contender.into(),
        round,
        wall_ns,
        device_ns: None,
        checksum: 0.1 + f64::from(round),
        delay_ns: None,
        sm_clock_mhz: None,
        executions: 1,
        instance: 0,
    }
}

pub(super) fn summary(point: &str, contender: &str) -> SummaryRow {
    let (rule, engine) = contender.split_once('/').unwrap_or((contender, ""));
    SummaryRow {
        point: point.into(),
        benchmark: "depth".into(),
        model: "weight-update".into(),
        contender: contender.into(),
        baseline: "bp/reference".into(),
        rule: rule.into(),
        engine: engine.into(),
        architecture: "mlp".into(),
        parameterisation: "sp-uniform".into(),
        activation: "tanh".into(),
        depth: 8,
        width: 128,
        batch: 64,
        steps: 8,
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
        gemms: 3,
        gemm_flops: 4,
        elementwise_flops: 5,
        bytes: 6,
        critical_path: 7,
        inference_over_bp: Some(2.0 / 3.0),
        parallel_over_bp: None,
        verify: Some(0.25),
        test_accuracy: None,
        train_updates: None,
        stop: "target".into(),
        status: Status::Ok,
        err: String::new(),
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
    }
}

pub(super) fn ratio(point: &str, contender: &str, baseline: &str) -> RatioRow {
    let (contender, baseline) = (contender.into(), baseline.into());
    RatioRow {
        point: point.into(),
        contender,
        baseline,
        ratio: 2.0,
        low: Some(1.9),
        high: Some(2.1),
        pairs: 30,
        instances: 5,
        freedom: Some(4),
    }
}

pub(super) fn signal(point: &str, step: usize) -> SignalRow {
    SignalRow { point: point.into(), contender: "spc/reference".into(), step, layer: 1, energy: 1e-30 }
}

pub(super) fn alignment(point: &str, layer: usize) -> AlignmentRow {
    let energy = (layer == 0).then_some(0.1 + 0.2);
    let contender = "spc/reference".into();
    AlignmentRow {
        point: point.into(),
        contender,
        layer,
        cosine: 0.7,
        norm_ratio: 1e-9,
        bp_norm: 3.5,
        energy,
    }
}

pub(super) fn regime(point: &str, contender: &str) -> RegimeRow {
    RegimeRow {
        point: point.into(),
        contender: contender.into(),
        samples: 64,
        layers: 8,
        curvature_in: "states".into(),
        step_times_curvature: Some(0.1 + 0.2),
        relaxed_flattest: None,
        relaxed_steepest: Some(0.9),
        cosine: 0.6,
        norm_ratio: 1e-9,
        lowest_quarter_cosine: -0.5,
        zero_layers: 0,
        rounded_layers: 0,
        layer_cosines: Layered::default(),
        layer_norm_ratios: Layered::default(),
    }
}

/// The same point with a regime.
pub(super) fn with_regime(result: PointResult) -> PointResult {
    let regimes = result.summary.iter().take(1).map(|row| regime(&row.point, &row.contender));
    PointResult { regimes: regimes.collect(), ..result }
}

/// A point measured in `rounds` rounds: the baseline, its A/A control, one contender twice as slow, and
/// one that failed.
pub(super) fn result(point: &str, rounds: u32) -> PointResult {
    let mut samples = Vec::new();
    for round in 0..rounds {
        let jitter = u64::from(round * round % 7);
        samples.push(sample(point, "bp/reference", round, 1000 + jitter));
        samples.push(sample(point, "bp/reference~aa", round, 1003 - jitter));
        samples.push(sample(point, "spc/reference", round, 2000 + 3 * jitter));
    }
    let mut failed = summary(point, "epc/reference");
    failed.status = Status::Wrong;
    failed.err = "verification failed, \"by far\"\nsecond line".into();
    failed.verify = None;
    let mut rows = vec![summary(point, "bp/reference"), summary(point, "spc/reference"), failed];
    let ratios = summarise::fill(&mut rows, &samples).unwrap();
    let signals = vec![signal(point, 0), signal(point, 1)];
    let alignments = vec![alignment(point, 0), alignment(point, 1)];
    PointResult {
        samples,
        summary: rows,
        ratios,
        signals,
        alignments,
        regimes: vec![],
        training: vec![],
        quantities: vec![],
    }
}

/// Names in a folder, sorted; empty if there is no such folder.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return vec![] };
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
