//! The timer of a real device: calls of the fused engine between two events of its stream.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::device::{self, Stopwatch};
use pcnbench_kernels::launch::Precision;
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{Activation, Dense, Fused, Loss, Optimiser, Reduction, Schedule, Stack};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grid::{Call, RATE};
use super::time::Timer;
use crate::{Error, Result};

/// Numbers that are drawn; what needs more has them again and again, which takes no other time.
const DRAWN: usize = 1 << 20;

/// Runs calls on a device. Each strategy has an engine and parameters of its own, so that one which leaves NaN spoils
/// no other.
#[derive(Debug)]
pub struct OnDevice {
    device: Device,
    drawn: Vec<f32>,
    /// Parameters of the last width and depth, in f32.
    theta: Option<((usize, usize), Tensor)>,
    open: Option<Open>,
}

/// A call with what it reads.
#[derive(Debug)]
struct Open {
    call: Call,
    stack: Stack,
    schedule: Schedule,
    theta: Tensor,
    x: Tensor,
    y: Tensor,
    engines: Vec<(Strategy, Fused, Tensor)>,
}

impl OnDevice {
    /// For a device that [`open_device`](crate::run::open_device) has opened.
    pub fn new(device: Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let drawn = (0..DRAWN).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        Self { device, drawn, theta: None, open: None }
    }

    /// `scale` times drawn numbers, from the `first` on.
    fn numbers(&self, shape: &[usize], scale: f64, first: usize) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let numbers: Vec<f32> = self.drawn.iter().cycle().skip(first).take(count).copied().collect();
        let scaled = numbers.into_iter().map(|x| (scale * f64::from(x)) as f32).collect();
        Ok(Tensor::from_vec(scaled, shape, &Device::Cpu)?.to_device(&self.device)?)
    }

    fn opened(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or_else(|| Error::Invalid("no call is open to be timed".into()))
    }
}

impl Timer for OnDevice {
    fn open(&mut self, call: &Call) -> Result<Vec<Strategy>> {
        // memory of the last call first
        self.open = None;
        let (width, batch, depth) = (call.sizes.width, call.sizes.batch, call.sizes.depth);
        if self.theta.as_ref().is_none_or(|(of, _)| *of != (width, depth)) {
            self.theta = None;
            let theta = self.numbers(&[depth * width * width], 1.0 / (width as f64).sqrt(), 0)?;
            self.theta = Some(((width, depth), theta));
        }
        let dtype = match call.precision {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        };
        let layer = Dense { act_in: Activation::Tanh, ..Dense::linear(width, width) };
        let stack = Stack::new(vec![layer; depth])?;
        let schedule = call.schedule();
        let takes = device::strategies(&self.device, &stack, &schedule, batch, (dtype, call.operands))?;
        let Some((_, theta)) = &self.theta else {
            return Err(Error::Invalid("parameters that were drawn are gone".into()));
        };
        let theta = theta.to_dtype(dtype)?;
        let x = self.numbers(&[batch, width], 1.0, 1)?.to_dtype(dtype)?;
        let y = self.numbers(&[batch, width], 1.0, 2)?.to_dtype(dtype)?;
        self.open = Some(Open { call: *call, stack, schedule, theta, x, y, engines: Vec::new() });
        Ok(takes)
    }

    fn time(&mut self, strategy: Strategy, calls: usize) -> Result<f64> {
        let device = self.device.clone();
        let open = self.opened()?;
        let at = match open.engines.iter().position(|(of, _, _)| *of == strategy) {
            Some(at) => at,
            None => {
                let engine = Fused::new(open.stack.clone(), 1)?.with_math(open.call.operands);
                engine.set_strategy(Some(strategy));
                open.engines.push((strategy, engine, open.theta.copy()?));
                open.engines.len() - 1
            }
        };
        let (_, engine, theta) = &open.engines[at];
        let loss = Loss { reduction: Reduction::BatchMean, ..Loss::HALF_SQUARED_ERROR };
        let watch = Stopwatch::of(&device)?;
        device.synchronize()?;
        let begun = Instant::now();
        watch.start()?;
        for _ in 0..calls {
            engine.train(&open.schedule, loss, Optimiser::Sgd { rate: RATE }, theta, (&open.x, &open.y))?;
        }
        watch.stop()?;
        device.synchronize()?;
        let wall = begun.elapsed().as_nanos() as f64;
        Ok(watch.elapsed_ns()?.map_or(wall, |ns| ns as f64) / calls.max(1) as f64)
    }

    fn check(&mut self, strategy: Strategy) -> Result<()> {
        let found = self.opened()?.engines.iter().find(|(of, _, _)| *of == strategy);
        let Some((_, engine, theta)) = found else { return Ok(()) };
        engine.settled()?;
        let sum = theta.abs()?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        if sum.is_finite() {
            return Ok(());
        }
        Err(Error::Invalid("the parameters have become NaN or infinite".into()))
    }

    fn answers(&mut self) -> Result<()> {
        // the first answer may be about something long gone, as `run` knows too
        self.device.synchronize().or_else(|_| self.device.synchronize())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::grid;
    use pcnbench_kernels::{MathMode, Rule};

    /// On the CPU the engine has no strategies, but every rule of the grid runs, and leaves finite numbers.
    #[test]
    fn calls_of_the_grid_run_and_stay_finite() {
        let mut timer = OnDevice::new(Device::Cpu);
        let mut rules = Vec::new();
        for call in grid(4).into_iter().filter(|call| call.operands == MathMode::F32) {
            if (call.sizes.width, call.sizes.batch, call.sizes.depth) != (32, 16, 4) {
                continue;
            }
            assert!(timer.open(&call).unwrap().is_empty(), "{call}");
            let ns = timer.time(Strategy::Graph, 3).unwrap();
            assert!(ns > 0.0 && ns.is_finite(), "{call}: {ns}");
            timer.check(Strategy::Graph).unwrap();
            let [first, last] = {
                let open = timer.opened().unwrap();
                [&open.theta, &open.engines[0].2]
                    .map(|theta| theta.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap())
            };
            assert_ne!(first, last, "{call}: an update moves its own copy");
            rules.push(call.rule.name());
        }
        assert!(Rule::NAMES.iter().all(|name| rules.contains(name)), "{rules:?}");
        timer.answers().unwrap();
    }

    #[test]
    fn parameters_that_are_not_finite_are_refused() {
        let mut timer = OnDevice::new(Device::Cpu);
        let call = grid(2)[0];
        timer.open(&call).unwrap();
        let nan = timer.opened().unwrap().theta.affine(f64::NAN, 0.0).unwrap();
        timer.opened().unwrap().theta = nan;
        timer.time(Strategy::Graph, 1).unwrap();
        let said = timer.check(Strategy::Graph).unwrap_err().to_string();
        assert!(said.contains("NaN or infinite"), "{said}");
    }
}
