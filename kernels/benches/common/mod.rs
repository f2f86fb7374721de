//! Code that the benches on a GPU share: its stopwatch and clock for the sampler, calls of the engine, and numbers from
//! a seed.

// each bench uses a part of it
#![allow(dead_code)]

use std::time::Instant;

use candle_core::{DType, Device, Error, Result, Tensor};
use pcnbench_kernels::cuda::Sensor;
use pcnbench_kernels::device::Stopwatch;
use pcnbench_kernels::sampler::{Clock, Limits, Sampler, Samples, Took, Work};
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{Activation, Dense, Fused, Loss, MathMode, Optimiser, Reduction, Schedule, Stack};

/// Events of a GPU's own stream, the wall clock, and the clock of its multiprocessors.
pub struct OnDevice {
    device: Device,
    watch: Stopwatch,
    sensor: Option<Sensor>,
    start: Instant,
}

/// A sampler of contenders on `device`.
pub fn sampler(device: &Device) -> Result<Sampler<OnDevice>> {
    let sensor = match device {
        Device::Cuda(cuda) => Sensor::of(cuda),
        _ => None,
    };
    let clock =
        OnDevice { device: device.clone(), watch: Stopwatch::of(device)?, sensor, start: Instant::now() };
    Ok(Sampler::new(clock, Limits::default()))
}

impl Clock for OnDevice {
    fn time(&mut self, calls: usize, work: &mut Work<'_>) -> Result<Took> {
        self.device.synchronize()?;
        let start = Instant::now();
        self.watch.start()?;
        for _ in 0..calls {
            work()?;
        }
        self.watch.stop()?;
        self.device.synchronize()?;
        let wall_ns = start.elapsed().as_nanos() as f64;
        Ok(Took { device_ns: self.watch.elapsed_ns()?.map_or(wall_ns, |ns| ns as f64), wall_ns })
    }

    fn mhz(&mut self) -> Option<f64> {
        self.sensor.as_ref()?.mhz().map(f64::from)
    }

    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

/// A network of equal layers with tanh before every product, and a batch; drawn once, for several calls.
pub struct Net {
    stack: Stack,
    theta: Tensor,
    pub x: Tensor,
    pub y: Tensor,
}

impl Net {
    pub fn draw(device: &Device, (width, batch, depth): (usize, usize, usize), bias: bool) -> Result<Self> {
        let layer = Dense { act_in: Activation::Tanh, bias, ..Dense::linear(width, width) };
        let stack = Stack::new(vec![layer; depth]).map_err(Error::wrap)?;
        let mut numbers = Numbers(7);
        let theta = numbers.tensor(&[stack.parameters()], 1.0 / (width as f64).sqrt(), device)?;
        let x = numbers.tensor(&[batch, width], 1.0, device)?;
        let y = numbers.tensor(&[batch, width], 1.0, device)?;
        Ok(Self { stack, theta, x, y })
    }

    pub fn stack(&self) -> &Stack {
        &self.stack
    }
}

/// A training call with its own parameters and engine, because an engine keeps memory and recording of one call only.
pub struct Call {
    pub engine: Fused,
    pub schedule: Schedule,
    pub loss: Loss,
    pub theta: Tensor,
    pub x: Tensor,
    pub y: Tensor,
}

/// So small that the parameters stay where they are after any number of calls.
pub const OPTIMISER: Optimiser = Optimiser::Sgd { rate: 1e-9 };

impl Call {
    pub fn new(net: &Net, kind: (Option<Strategy>, MathMode), schedule: Schedule) -> Result<Self> {
        let (strategy, math) = kind;
        let engine = Fused::new(net.stack.clone(), 1).map_err(Error::wrap)?.with_math(math);
        engine.set_strategy(strategy);
        let loss = Loss { reduction: Reduction::BatchMean, ..Loss::HALF_SQUARED_ERROR };
        let (theta, x, y) = (net.theta.copy()?, net.x.clone(), net.y.clone());
        Ok(Self { engine, schedule, loss, theta, x, y })
    }

    pub fn train(&self) -> Result<()> {
        let done = self.engine.train(&self.schedule, self.loss, OPTIMISER, &self.theta, (&self.x, &self.y));
        done.map_err(Error::wrap)
    }

    /// Checks that the timed calls have completed with finite results.
    pub fn check(&self) -> Result<()> {
        self.engine.settled().map_err(Error::wrap)?;
        if !self.theta.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Err(Error::Msg("the parameters have become NaN or infinite".into()));
        }
        Ok(())
    }
}

/// Times calls and other contenders, interleaved, for about `seconds` each; results are in this order.
pub fn measure(
    sampler: &mut Sampler<OnDevice>,
    seconds: f64,
    calls: &[Result<Call>],
    others: Vec<Box<Work<'_>>>,
) -> Vec<Result<Samples>> {
    let train = |call: &Result<Call>| match call {
        Ok(call) => call.train(),
        Err(error) => Err(Error::Msg(said(error))),
    };
    let mut all: Vec<Box<Work<'_>>> =
        calls.iter().map(|call| Box::new(move || train(call)) as Box<Work<'_>>).collect();
    all.extend(others);
    let mut results = sampler.measure(seconds, &mut all);
    for (result, call) in results.iter_mut().zip(calls) {
        if let (Ok(_), Ok(Err(error))) = (&result, call.as_ref().map(Call::check)) {
            *result = Err(error);
        }
    }
    results
}

/// An error in one line that fits between quotation marks.
pub fn said(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().replace('"', "'")
}

/// The median of readings of the clock, or nothing.
pub fn median_mhz(readings: &[f64]) -> String {
    let mut readings = readings.to_vec();
    readings.sort_by(f64::total_cmp);
    readings.get(readings.len() / 2).map_or(String::new(), |mhz| format!("{mhz}"))
}

/// Numbers between −1 and 1 from a seed (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// `scale` times such numbers.
    pub fn tensor(&mut self, shape: &[usize], scale: f64, device: &Device) -> Result<Tensor> {
        let mut next = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (scale * ((z >> 11) as f64 / (1u64 << 52) as f64 - 1.0)) as f32
        };
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu)?.to_dtype(DType::F32)?.to_device(device)
    }
}
