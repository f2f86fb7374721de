//! What a call costs before it computes anything: allocation, one small operation, one small product, a fused call on a
//! tiny network, and waking the threads.

mod common;

use std::hint::black_box;

use candle_core::{DType, Tensor};
use common::{Criterion, Result, Throughput, BATCH, WIDTH};
use pcnbench::contender::backend::fused::engine::Fused;
use pcnbench::engine::EngineKind;
use pcnbench::net::Architecture;
use pcnbench::net::Loss;
use pcnbench::rule::{Rule, Steps};

fn candle(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("overhead");
    for (name, device) in &common::devices() {
        for (rows, columns) in [(1, 1), (BATCH, WIDTH)] {
            let size = format!("{rows}x{columns}");
            group.bench_function(format!("{name}/allocation/{size}"), |b| {
                common::timed(b, device, || {
                    black_box(Tensor::zeros((rows, columns), DType::F32, device)?);
                    Ok(())
                });
            });
            let (a, c) =
                (common::normal(rows, columns, 1, device)?, common::normal(rows, columns, 2, device)?);
            group.bench_function(format!("{name}/sum/{size}"), |b| {
                common::timed(b, device, || {
                    black_box((&a + &c)?);
                    Ok(())
                });
            });
        }
        for units in [4, 16, WIDTH] {
            let (a, w) = (common::normal(units, units, 1, device)?, common::normal(units, units, 2, device)?);
            group.throughput(Throughput::Elements(2 * (units as u64).pow(3)));
            group.bench_function(format!("{name}/product/{units}x{units}x{units}"), |b| {
                common::timed(b, device, || {
                    black_box(a.matmul(&w)?);
                    Ok(())
                });
            });
        }
    }
    group.finish();
    Ok(())
}

/// Two layers of four units on one sample, one step: what is left is the call.
fn fused(criterion: &mut Criterion) -> Result<()> {
    let device = &candle_core::Device::Cpu;
    let mut network = common::network(2);
    (network.inputs, network.width, network.outputs) = (4, 4, 4);
    let engine = Fused::new(network.layers(), EngineKind::Fused, None)?;
    let theta = engine.pack(&network.start(1, DType::F32, device)?, 0)?;
    let [x, y] = common::batch(1, 4, device)?;
    let mut group = criterion.benchmark_group("overhead");
    for rule in ["bp", "spc", "epc"] {
        let rule = Rule::from_name(rule, Steps::constant(1, 0.1))?;
        // what the rule is in Candle operations, on the same network
        let (params, data) = (engine.unpack(&theta)?, [x.clone(), y.clone()]);
        let graph = network.graph(Loss::HALF_SQUARED_ERROR)?;
        group.bench_function(format!("cpu/fused-call/{}", rule.name()), |b| {
            common::timed(b, device, || {
                black_box(engine.learn(&rule, &Loss::HALF_SQUARED_ERROR, &theta, (&x, &y), false)?);
                Ok(())
            });
        });
        group.bench_function(format!("cpu/reference-call/{}", rule.name()), |b| {
            let reference = pcnbench::engine::reference::Reference {
                graph: &graph,
                params: &params,
                data: &data,
                feedback: None,
            };
            common::timed(b, device, || {
                black_box(rule.learn(&reference, &mut pcnbench::engine::unwatched)?);
                Ok(())
            });
        });
    }
    group.finish();
    Ok(())
}

/// All threads of rayon's pool do nothing once, from sleep at worst.
fn threads(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("overhead");
    let id = format!("cpu/thread-pool/{}", rayon::current_num_threads());
    group.bench_function(id, |b| b.iter(|| rayon::broadcast(|_| black_box(()))));
    group.finish();
    Ok(())
}

fn main() -> std::process::ExitCode {
    common::main(&[candle, fused, threads])
}
