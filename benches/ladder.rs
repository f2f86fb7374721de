//! The fused engine on one thread and on all, beside bare products of the same sizes.
//!
//! `products` are Candle's own, one after another, of as many layers: the rate that a relaxation could have if it were
//! nothing else. Which tiles a call uses follows from sizes and threads and cannot be asked for.

mod common;

use std::hint::black_box;

use candle_core::{Device, Tensor};
use common::{Criterion, Result, Throughput, BATCH, DEPTHS, STEPS, WIDTH};
use pcnbench::contender::Contender;
use pcnbench::measure;
use pcnbench_kernels as kernels;

/// One thread, and all of them where there are more.
fn counts() -> Vec<usize> {
    let all = measure::threads();
    if all > 1 {
        vec![1, all]
    } else {
        vec![1]
    }
}

fn products(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("ladder");
    let cpu = &Device::Cpu;
    let h = common::normal(BATCH, WIDTH, 1, cpu)?;
    for depth in DEPTHS {
        let weights: Vec<Tensor> =
            (0..depth as u64).map(|l| common::normal(WIDTH, WIDTH, 2 + l, cpu)).collect::<Result<_>>()?;
        group.throughput(Throughput::Elements((2 * BATCH * WIDTH * WIDTH * depth) as u64));
        for threads in counts() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|e| pcnbench::Error::Invalid(format!("no {threads} threads: {e}")))?;
            group.bench_function(format!("cpu/products/{threads}-threads/l{depth}"), |b| {
                pool.install(|| {
                    common::timed(b, cpu, || {
                        for w in &weights {
                            black_box(h.matmul(w)?);
                        }
                        Ok(())
                    });
                });
            });
        }
    }
    group.finish();
    Ok(())
}

fn fused(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("ladder");
    let cpu = &Device::Cpu;
    let [x, y] = common::batch(BATCH, WIDTH, cpu)?;
    let loss = kernels::Loss::HALF_SQUARED_ERROR;
    let rules = [
        ("bp", kernels::Rule::Bp, 0),
        ("spc", kernels::Rule::Spc { light_cone: true, deviation: false }, STEPS),
        ("epc", kernels::Rule::Epc, STEPS),
    ];
    for depth in DEPTHS {
        for (name, rule, steps) in rules {
            let schedule = kernels::Schedule::new(rule, vec![0.1; steps]);
            let spec = common::spec(&format!("{name}/fused"), depth)?;
            let start = Contender::new(&spec, 1, cpu)?;
            let parts: Vec<Tensor> =
                start.state()?.params.iter().map(Tensor::flatten_all).collect::<Result<_, _>>()?;
            let theta = Tensor::cat(&parts, 0)?;
            group.throughput(Throughput::Elements(spec.counted(BATCH)?.work.gemm_flops));
            for threads in counts() {
                let layers = (0..depth).map(|l| layer(l > 0)).collect();
                let engine = kernels::Fused::new(kernels::Stack::new(layers)?, threads)?;
                group.bench_function(format!("cpu/{name}-fused/{threads}-threads/l{depth}"), |b| {
                    common::timed(b, cpu, || {
                        black_box(engine.learn(&schedule, loss, &theta, (&x, &y), false)?);
                        Ok(())
                    });
                });
            }
        }
    }
    group.finish();
    Ok(())
}

/// A layer of the networks of [`common::spec`]; tanh before the product, but not on x.
fn layer(hidden: bool) -> kernels::Dense {
    let act_in = if hidden { kernels::Activation::Tanh } else { kernels::Activation::Identity };
    let act_out = kernels::Activation::Identity;
    kernels::Dense { inputs: WIDTH, outputs: WIDTH, act_in, act_out, scale: 1.0, skip: false, bias: true }
}

/// On a GPU: one launch per operation, the slowest way, which every other is held against.
fn gpu(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("ladder");
    for (name, device) in common::devices().iter().filter(|(_, device)| !device.is_cpu()) {
        for depth in DEPTHS {
            for id in ["bp/reference", "spc/reference", "epc/reference"] {
                common::contender(
                    &mut group,
                    (name, device),
                    &common::spec(id, depth)?,
                    depth,
                    |c, batch| c.directions(batch).map(drop),
                )?;
            }
        }
    }
    group.finish();
    Ok(())
}

fn main() -> std::process::ExitCode {
    common::main(&[products, fused, gpu])
}
