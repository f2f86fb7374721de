//! What the benches share: contenders on random batches, their counted work, and where their time is taken.

// each bench uses a part of it
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup};
pub use criterion::{Criterion, Throughput};
use pcnbench::contender::{Contender, ContenderId, ContenderSpec};
use pcnbench::measure::{clock, threads};
use pcnbench::net::{
    Activation, ActivationOrder, Architecture, Graph, Loss, MlpSpec, Named, Parameterisation,
};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};
use pcnbench::suite::DeviceKind;
pub use pcnbench::Result;
use pcnbench_kernels::denormals::Flush;
#[cfg(feature = "cuda")]
use pcnbench_kernels::device::Stopwatch;
use rand::SeedableRng;
use rand_distr::Distribution;

/// N, of every layer.
pub const WIDTH: usize = 128;
/// B.
pub const BATCH: usize = 64;
/// T.
pub const STEPS: usize = 8;
/// L.
pub const DEPTHS: [usize; 3] = [8, 32, 128];
const SEED: u64 = 17;

/// The program of a bench: threads settled before any exists, then criterion as its arguments say.
pub fn main(benches: &[fn(&mut Criterion) -> Result<()>]) -> std::process::ExitCode {
    let outcome = threads::settle(None).and_then(|choice| {
        if let Some(warning) = choice.warning {
            eprintln!("warning: {warning}");
        }
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .configure_from_args();
        // as in a record, where everything timed in f32 is timed so
        let _flush = Flush::new();
        benches.iter().try_for_each(|bench| bench(&mut criterion))?;
        criterion.final_summary();
        Ok(())
    });
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            std::process::ExitCode::from(1)
        }
    }
}

/// A tanh network of [`WIDTH`] throughout.
pub fn network(depth: usize) -> MlpSpec {
    MlpSpec {
        inputs: WIDTH,
        width: WIDTH,
        outputs: WIDTH,
        depth,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Pre,
        parameterisation: Parameterisation::SP,
        gain: 1.0,
        bias: true,
    }
}

/// A contender on [`network`], T = [`STEPS`] where its rule has steps.
pub fn spec(id: &str, depth: usize) -> Result<ContenderSpec> {
    on(id, Arc::new(network(depth)))
}

/// A contender on any network, T = [`STEPS`] where its rule has steps.
pub fn on(id: &str, network: Arc<dyn Architecture>) -> Result<ContenderSpec> {
    let id: ContenderId = id.parse()?;
    Ok(ContenderSpec {
        rule: Rule::from_name(&id.rule, Steps::constant(STEPS, 0.1))?,
        id,
        network,
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser: OptimiserKind::Sgd,
        // so small that no number of updates takes the parameters anywhere
        learning_rate: 1e-9,
        regularisation: Default::default(),
        dtype: DType::F32,
        strategies: None,
    })
}

/// The data tensors of a network on a batch, normal.
fn data(graph: &Graph, device: &Device) -> Result<Vec<Tensor>> {
    let tensor = |(named, stream): (&Named, u64)| {
        let flat = normal(BATCH, named.shape.iter().product(), stream, device)?;
        Ok(flat.reshape([&[BATCH], &named.shape[..]].concat())?)
    };
    graph.data().iter().zip(1..).map(tensor).collect()
}

/// x and y, normal.
pub fn batch(rows: usize, units: usize, device: &Device) -> Result<[Tensor; 2]> {
    Ok([normal(rows, units, 1, device)?, normal(rows, units, 2, device)?])
}

/// `[rows, columns]` of normal numbers in f32.
pub fn normal(rows: usize, columns: usize, stream: u64, device: &Device) -> Result<Tensor> {
    let rng = rand_chacha::ChaCha8Rng::seed_from_u64(SEED ^ stream);
    let values: Vec<f32> = rand_distr::StandardNormal.sample_iter(rng).take(rows * columns).collect();
    Ok(Tensor::from_vec(values, (rows, columns), device)?)
}

/// The devices to measure on, with their names; says why a GPU is left out.
pub fn devices() -> Vec<(&'static str, Device)> {
    let mut all = vec![("cpu", Device::Cpu)];
    match pcnbench::run::open_device(DeviceKind::Cuda) {
        Ok(gpu) => all.push(("cuda", gpu)),
        Err(e) => eprintln!("no CUDA part: {e}"),
    }
    all
}

/// What a contender does with a batch, timed on its device; throughput in the FLOPs that the counting engine counts.
pub fn contender(
    group: &mut BenchmarkGroup<'_, WallTime>,
    device: (&str, &Device),
    spec: &ContenderSpec,
    depth: usize,
    work: fn(&mut Contender, &[Tensor]) -> Result<()>,
) -> Result<()> {
    let mut contender = Contender::new(spec, SEED, device.1)?;
    let batch = data(contender.graph(), device.1)?;
    let first = work(&mut contender, &batch);
    match (first, device.1) {
        (Ok(()), _) => {}
        (Err(e), Device::Cpu) => return Err(e),
        // not every engine runs on every GPU
        (Err(e), _) => {
            eprintln!("{} on {} left out: {e}", spec.id, device.0);
            return Ok(());
        }
    }
    let counted = spec.counted(BATCH)?.work;
    group.throughput(Throughput::Elements(counted.gemm_flops));
    let id = format!("{}/{}/l{}", device.0, spec.id.to_string().replace('/', "-"), depth);
    group.bench_function(id, |b| timed(b, device.1, || work(&mut contender, &batch)));
    Ok(())
}

/// Times `work`: on a GPU by events of its own stream, one execution per sample; else by the wall clock, synchronised.
pub fn timed(b: &mut Bencher<'_, WallTime>, device: &Device, mut work: impl FnMut() -> Result<()>) {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => b.iter_custom(|iterations| {
            let watch = done(Stopwatch::of(device).map_err(Into::into));
            let mut execution = || -> Result<Duration> {
                watch.start()?;
                work()?;
                watch.stop()?;
                Ok(Duration::from_nanos(watch.elapsed_ns()?.unwrap_or_default()))
            };
            (0..iterations).map(|_| done(execution())).sum()
        }),
        _ => {
            b.iter_custom(|iterations| done(clock::time(device, || (0..iterations).try_for_each(|_| work()))))
        }
    }
}

/// The value, or an end with its sentence: criterion's closures have no way to return an error.
fn done<T>(outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|e| {
        eprintln!("error: {e}");
        std::process::exit(1)
    })
}
