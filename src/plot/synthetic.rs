//! Records made by formula, for tests of figures.

use std::path::PathBuf;

use crate::record::{
    AlignmentRow, Ceiling, Machine, RatioRow, Record, Run, Sample, SignalRow, Status, SummaryRow, SCHEMA,
};
use crate::theory::decay::SignalDecay;

/// A record with run and machine facts and no rows.
pub fn empty() -> Record {
    let text = str::to_owned;
    Record {
        dir: PathBuf::from("results/test"),
        run: Run {
            schema: SCHEMA,
            suite: text("scaling"),
            about: text("How the cost of a weight update grows with depth."),
            definition: text("[[benchmark]]\nname = \"depth\"\n"),
            definition_sha256: "d".repeat(64),
            seed: 7,
            argv: ["pcnbench", "run", "scaling", "--set", "depth=[4, 8]"].map(text).into(),
            started: text("2026-01-02T03:04:05Z"),
            finished: Some(text("2026-01-02T03:24:05Z")),
            version: text("0.1.0"),
            rev: text("1a2b3c4"),
            dirty: false,
            lockfile_sha256: "e".repeat(64),
            features: vec![],
            switches: vec![],
            candle: text("0.11.1"),
            threads: 8,
            data: vec![text("digits (1437 + 360, 64 -> 10)")],
            ceilings: vec![
                ceiling("fma", "f32", 8.0e11),
                ceiling("gemm", "f32", 4.1e11),
                ceiling("gemm", "f64", 2.0e11),
                ceiling("copy", "f32", 4.2e10),
            ],
            warnings: vec![text("A/A noise floor 0.8 %")],
            shard: None,
            shards: vec![],
            rustc: "rustc 1.89.0".into(),
        },
        machine: Machine {
            class: text("cpu-example-8c"),
            cpu: text("Example 9000 8-Core Processor"),
            physical_cores: 8,
            logical_cpus: 16,
            simd: text("avx2 fma"),
            memory_bytes: 32 << 30,
            os: text("Linux 6.1"),
            gpu: String::new(),
            driver: String::new(),
            cache_bytes: None,
        },
        samples: vec![],
        summary: vec![],
        ratios: vec![],
        signals: vec![],
        alignments: vec![],
        regimes: vec![],
        training: vec![],
        quantities: vec![],
    }
}

fn ceiling(quantity: &str, dtype: &str, per_second: f64) -> Ceiling {
    let (quantity, dtype, device) = (quantity.to_owned(), dtype.to_owned(), "cpu".to_owned());
    Ceiling {
        quantity,
        dtype,
        device,
        threads: 8,
        at: "1024x1024x1024".into(),
        per_second,
        clock_hz: None,
        by: None,
    }
}

/// A timed row; `steps` 0 for BP.
pub fn row(
    benchmark: &str,
    contender: &str,
    depth: usize,
    steps: usize,
    median_ns: f64,
    gemms: u64,
) -> SummaryRow {
    let (name, engine) = contender.split_once('/').unwrap();
    let (mupc, rule) = match name {
        "mupc" => (true, "spc"),
        "mupc-epc" => (true, "epc"),
        "mupc-bp" => (true, "bp"),
        rule => (false, rule),
    };
    let width = 128;
    let ns = |factor: f64| (median_ns * factor).round() as u64;
    SummaryRow {
        point: format!("{benchmark}@batch=64,depth={depth},width={width}"),
        benchmark: benchmark.into(),
        model: "weight-update".into(),
        contender: contender.into(),
        baseline: if mupc { "mupc-bp/reference" } else { "bp/reference" }.into(),
        rule: rule.into(),
        engine: engine.into(),
        architecture: "mlp".into(),
        parameterisation: if mupc { "mupc-residual" } else { "sp-uniform" }.into(),
        activation: "tanh".into(),
        depth,
        width,
        batch: 64,
        steps,
        step_size: if steps == 0 { 0.0 } else { 0.1 },
        dtype: "f32".into(),
        device: "cpu".into(),
        updates: 1,
        n: 40,
        min_ns: ns(0.93),
        q1_ns: ns(0.97),
        median_ns: ns(1.0),
        q3_ns: ns(1.04),
        mad_ns: ns(0.03),
        median_low_ns: ns(0.985),
        median_high_ns: ns(1.02),
        gemms,
        gemm_flops: gemms * 2 * 64 * 128 * 128,
        elementwise_flops: 1000,
        bytes: 1 << 20,
        critical_path: gemms,
        inference_over_bp: None,
        parallel_over_bp: None,
        verify: Some(0.12),
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

/// Adds one contender at each depth: fixed cost plus a time per counted product, with samples and ratios.
pub fn add(
    record: &mut Record,
    contender: &str,
    depths: &[usize],
    steps: impl Fn(usize) -> usize,
    per_gemm: f64,
) {
    for &depth in depths {
        let (l, t) = (depth as u64, steps(depth) as u64);
        let gemms = if t == 0 { 3 * l - 1 } else { 2 * l + 2 * t * (l - 1) };
        // Small systematic wiggle: real medians never lie on the curve.
        let wiggle = 1.0 + 0.03 * ((depth * 7 + contender.len() * 3) as f64).sin();
        let median = (25_000.0 + per_gemm * gemms as f64) * wiggle;
        let mut row = row("depth", contender, depth, steps(depth), median, gemms);
        let (work, bp) = (2.0 * depth as f64, 3.0 * depth as f64 - 1.0);
        row.critical_path = if t == 0 { 2 * l } else { l + 2 * t + 1 };
        row.inference_over_bp = (t > 0).then_some((work + t as f64 * (depth as f64 - 1.0)) / bp);
        (row.least_gemms, row.least_gemm_flops) = (Some(gemms), Some(row.gemm_flops));
        row.parallel_over_bp = (t > 0).then_some((l + t) as f64 / (2 * l) as f64);
        for round in 0..5 {
            let wall_ns = row.median_ns + u64::from(round) * row.median_ns / 100;
            let (point, contender) = (row.point.clone(), contender.to_owned());
            record.samples.push(Sample {
                point,
                contender,
                round,
                wall_ns,
                device_ns: None,
                checksum: 1.5,
                delay_ns: None,
                sm_clock_mhz: None,
                executions: 1,
                instance: 0,
            });
        }
        let base = record.summary.iter().find(|r| r.point == row.point && r.contender == row.baseline);
        if let Some(base) = base.filter(|b| b.contender != contender) {
            let ratio = row.median_ns as f64 / base.median_ns as f64;
            let (point, baseline) = (row.point.clone(), base.contender.clone());
            let (low, high) = (0.96 * ratio, 1.05 * ratio);
            record.ratios.push(RatioRow {
                point,
                contender: contender.into(),
                baseline,
                ratio,
                low: Some(low),
                high: Some(high),
                pairs: 40,
                instances: 5,
                freedom: None,
            });
        }
        record.summary.push(row);
    }
}

/// Numbers that a synthetic direction follows from.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    pub depth: usize,
    pub steps: usize,
    pub step_size: f64,
    /// Share that the FPA law gives a layer at distance d to the output.
    pub arrived: fn(&Self, usize) -> f64,
}

fn arrived(c: &Condition, d: usize) -> f64 {
    SignalDecay::new(c.step_size).unwrap().arrived_share(d as u64, c.steps as u64)
}

/// Adds the directions of a contender at all depths, step sizes and steps (none for a contender without steps):
/// `layer(condition, d)` gives cosine and norm ratio at distance d.
pub fn align(
    record: &mut Record,
    contender: &str,
    sizes: &[f64],
    gemms: impl Fn(u64, u64) -> u64,
    layer: impl Fn(&Condition, usize) -> (f64, f64),
) {
    for depth in [4usize, 8, 16, 32] {
        for &step_size in sizes {
            for quarters in [1, 2, 3, 4, 6, 8, 16] {
                let steps = if step_size == 0.0 { 0 } else { quarters * depth / 4 };
                let condition = Condition { depth, steps, step_size, arrived };
                let mut row = row("align", contender, depth, steps, 0.0, gemms(depth as u64, steps as u64));
                row.point = format!("align@batch=64,depth={depth},step_size={step_size},steps={steps}");
                row.model = "alignment".into();
                row.step_size = step_size;
                let (mut dot, mut own, mut base) = (0.0, 0.0, 0.0);
                let mut push = |layer: usize, cosine: f64, norm_ratio: f64, bp_norm: f64| {
                    let (point, contender) = (row.point.clone(), contender.to_owned());
                    let energy = (steps > 0).then_some(0.1 / (1 + layer) as f64);
                    let row = AlignmentRow { point, contender, layer, cosine, norm_ratio, bp_norm, energy };
                    record.alignments.push(row);
                };
                for l in 1..=depth {
                    let d = depth - l;
                    let norm = 1.5 * 0.96f64.powi(d as i32) + 0.3 * (l as f64 * 1.7).sin().abs();
                    let (c, r) = layer(&condition, d);
                    dot += c * r * norm * norm;
                    own += r * r * norm * norm;
                    base += norm * norm;
                    push(l, if r == 0.0 { f64::NAN } else { c }, r, norm);
                }
                push(0, dot / (own * base).sqrt(), (own / base).sqrt(), base.sqrt());
                record.summary.push(row);
                if steps == 0 {
                    break;
                }
            }
        }
    }
}

/// Directions of nine rules at three step sizes.
pub fn directions() -> Record {
    let mut record = empty();
    let all = [0.1, 0.5, 1.0];
    let sweeps = |l: u64, t: u64| 2 * l + 2 * t * (l - 1);
    align(&mut record, "bp/autograd", &[0.0], |l, _| 3 * l - 1, |_, _| (1.0, 1.0));
    align(&mut record, "spc/reference", &all[..2], sweeps, |c, d| {
        let p = (c.arrived)(c, d);
        (1.0 - 0.35 * p * d as f64 / c.depth as f64, 0.93 * p)
    });
    align(
        &mut record,
        "epc/reference",
        &all[..2],
        |l, t| (2 * t + 2) * l,
        |c, d| {
            let f = 1.0 - (1.0 - c.step_size * 0.2).powi(c.steps as i32);
            (1.0 - 0.12 * f * f, if d == 0 { 1.0 - 0.3 * f } else { f * 0.8 })
        },
    );
    align(&mut record, "mupc/reference", &[0.5], sweeps, |c, d| {
        let p = (c.arrived)(c, d);
        (1.0 - 0.1 * p, 0.98 * p)
    });
    let relaxing = |l: u64, t: u64| 2 * l + t * (l - 1);
    align(&mut record, "fpa/reference", &all, relaxing, |c, d| (1.0, (c.arrived)(c, d)));
    align(&mut record, "zil/reference", &[0.0], |l, _| 3 * l - 1, |_, _| (1.0, 1.0));
    align(&mut record, "seqil/reference", &all[..2], sweeps, |c, d| {
        let reach = c.step_size.powf(d as f64 / (1 + c.steps) as f64);
        (1.0 - 0.3 * d as f64 / c.depth as f64, 0.85 * reach)
    });
    align(
        &mut record,
        "ipc/reference",
        &all[..2],
        |l, t| t * (3 * l - 1),
        |c, d| {
            let p = (c.arrived)(c, d);
            (0.9 - 0.5 * d as f64 / c.depth as f64, p / (1.0 + 0.1 * d as f64))
        },
    );
    align(&mut record, "ar/reference", &all, relaxing, |c, d| {
        let p = (c.arrived)(c, d);
        (1.0 - 0.04 * (1.0 - p), p)
    });
    record
}

/// Adds the trace of a contender: `energy(step, layer)` for the output distance d = L − layer.
pub fn trace(
    record: &mut Record,
    contender: &str,
    layers: usize,
    steps: usize,
    energy: impl Fn(usize, usize) -> f64,
) {
    let mut row = row("decay", contender, layers, steps, 0.0, 0);
    row.point = format!("decay@batch=1,depth={layers}");
    row.model = "signal-decay".into();
    row.batch = 1;
    for step in 0..=steps {
        for layer in 1..=layers {
            let (point, contender) = (row.point.clone(), contender.to_owned());
            record.signals.push(SignalRow {
                point,
                contender,
                step,
                layer,
                energy: energy(step, layers - layer),
            });
        }
    }
    record.summary.push(row);
}

/// ½ε² of the unit-Jacobian model ε_d(t) = C(t,d) λ^d (1−λ)^(t−d); the loss falls slowly.
pub fn wave(step: usize, d: usize) -> f64 {
    let lambda = 0.1f64;
    if d == 0 {
        return 0.46 * (-0.01 * step as f64).exp();
    }
    if step < d {
        return 0.0;
    }
    let choose: f64 = (0..d).map(|i| ((step - i) as f64 / (i + 1) as f64).ln()).sum();
    let log = choose + d as f64 * lambda.ln() + (step - d) as f64 * (1.0 - lambda).ln();
    0.5 * (2.0 * log).exp()
}

/// Energies of error-based inference: every layer at once, then relaxing.
pub fn flat(step: usize, d: usize) -> f64 {
    match (step, d) {
        (0, 1..) => 0.0,
        (_, 0) => 0.46 * (-0.25 * step as f64).exp() + 0.09,
        (_, d) => 0.004 * (1.0 - 0.6f64.powi(step as i32)) * (-0.02 * d as f64).exp(),
    }
}

/// What a full run of a few contenders looks like.
pub fn realistic() -> Record {
    let mut record = empty();
    let depths = [4, 8, 16, 32, 64, 128];
    add(&mut record, "bp/reference", &depths, |_| 0, 9_000.0);
    add(&mut record, "bp/autograd", &depths, |_| 0, 11_500.0);
    add(&mut record, "spc/reference", &depths, |l| l, 10_500.0);
    add(&mut record, "spc/fused", &depths, |l| l, 6_200.0);
    add(&mut record, "epc/reference", &depths, |l| l, 12_000.0);
    add(&mut record, "mupc-bp/reference", &depths, |_| 0, 9_300.0);
    add(&mut record, "mupc/reference", &depths, |l| l, 14_500.0);
    let mut bad = row("depth", "fpa/reference", 64, 64, 0.0, 0);
    bad.status = Status::Wrong;
    bad.err = "verification failed: relative error 3.1e-2, allowed 1e-5".into();
    record.summary.push(bad);
    trace(&mut record, "spc/reference", 20, 64, wave);
    trace(&mut record, "epc/reference", 20, 8, flat);
    record
}
