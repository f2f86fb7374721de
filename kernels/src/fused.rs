//! The public call: a stack, a schedule, and Candle tensors on any device.
//!
//! Parameters, x and y are the three operands that Candle's custom operations take: θ flat (see [`crate::stack`]), x
//! `[B, n_0]`, y `[B, n_L]`, all contiguous, of one dtype (f32 or f64) and on one device.

mod call;
mod engine;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Tensor};

pub use crate::cpu::without_workers_ns;
use crate::cpu::{Pool, Workspace};
use crate::loss::Loss;
#[cfg(doc)]
use crate::loss::LossKind;
use crate::math_mode::MathMode;
use crate::schedule::{Optimiser, Schedule};
use crate::stack::Stack;
use crate::tune::StrategyTable;
use crate::{Error, Result};
use call::Call;
pub use engine::Fused;

/// The results of a rule, as views of one tensor.
#[derive(Debug, Clone)]
pub struct Learned {
    /// −∂F/∂θ summed over the batch, in the form of θ; the moved θ under a rule that moves it.
    pub theta: Tensor,
    /// o, `[B, n_L]`.
    pub output: Tensor,
    /// v_1..v_{L−1}, `[B, n_l]`, and ε_1..ε_L (negative adjoints under backpropagation), if they were asked for.
    pub traces: Option<(Vec<Tensor>, Vec<Tensor>)>,
}

impl Fused {
    /// An engine on at most `threads` threads of the CPU.
    ///
    /// # Errors
    /// [`Error::Threads`] if the system gives no more threads.
    pub fn new(stack: Stack, threads: usize) -> Result<Self> {
        let pool = Pool::new(threads)?;
        let (f32, f64) = (Mutex::new(Workspace::new(&stack)), Mutex::new(Workspace::new(&stack)));
        Ok(Self {
            stack,
            pool,
            math: MathMode::F32,
            strategies: None,
            f32,
            f64,
            #[cfg(feature = "cuda")]
            gpu: crate::cuda::Engine::default(),
        })
    }

    /// The same engine with products that read their operands in this mode. Other modes than f32 need a GPU and dtype
    /// f32; calls elsewhere are refused, because a CPU would only imitate tensor cores.
    #[must_use]
    pub fn with_math(self, math: MathMode) -> Self {
        #[cfg(feature = "cuda")]
        self.gpu.forget();
        Self { math, ..self }
    }

    /// The same engine with launch strategies from a table of measured times. Where the table has no entry for a call,
    /// the model ([`tune::cuda`](crate::tune::cuda)) chooses. The table must be one of the device that the calls run
    /// on; on the CPU it changes nothing.
    #[must_use]
    pub fn with_strategies(self, strategies: Option<Arc<StrategyTable>>) -> Self {
        #[cfg(feature = "cuda")]
        self.gpu.forget();
        Self { strategies, ..self }
    }

    /// How its products read their operands.
    pub fn math(&self) -> MathMode {
        self.math
    }

    /// Waits for queued calls on a GPU that run in one launch for all steps; their results may be read afterwards.
    ///
    /// Blocks of such a launch wait for one another. If a wait times out, after half a minute or more, the results of
    /// the call are NaN, and this returns an error. On other strategies and on the CPU it returns at once.
    ///
    /// # Errors
    /// [`Error::Candle`] in a sentence that names layer and step, once for all calls since the last one of this.
    pub fn settled(&self) -> Result<()> {
        #[cfg(feature = "cuda")]
        self.gpu.settled()?;
        Ok(())
    }

    /// When the phases of the last steps of the last call began, if it was one of sPC on strategy `persistent`: see
    /// [`persistent::trace`](crate::persistent::trace).
    ///
    /// # Errors
    /// If the device fails.
    #[cfg(feature = "trace")]
    pub fn phase_clocks(&self) -> Result<Vec<u64>> {
        Ok(self.gpu.phase_clocks()?)
    }

    /// Its stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Bytes of memory it keeps between calls.
    pub fn bytes(&self) -> usize {
        let host = guard(&self.f32).bytes() + guard(&self.f64).bytes();
        #[cfg(feature = "cuda")]
        let host = host + self.gpu.bytes();
        host
    }

    /// Runs every later call on a GPU on this strategy, in place of the one that [`tune::choose`](crate::tune::choose)
    /// gives; `None` gives the choice back. On the CPU it changes nothing.
    pub fn set_strategy(&self, strategy: Option<crate::tune::Strategy>) {
        #[cfg(feature = "cuda")]
        self.gpu.force(strategy);
        let _ = strategy;
    }

    /// Queues inference `times` more times in every later call on a GPU. Each begins with the loaded batch, so the
    /// results do not change, and the durations of calls with different `times` differ by inference alone. Calls of
    /// rules that move the parameters in inference are then refused.
    #[cfg(feature = "cuda")]
    pub fn infer_again(&self, times: usize) {
        self.gpu.infer_again(times);
    }

    /// Runs a rule on a batch; θ is left as it is.
    ///
    /// # Errors
    /// [`Error::Operand`] for a tensor that does not fit, [`Error::Unsupported`] for a math mode that this device or
    /// dtype does not have, for momentum of a rule that has none and for another loss than [`LossKind::STACKED`], [`Error::Candle`] if Candle or the device fails.
    pub fn learn(
        &self,
        schedule: &Schedule,
        loss: Loss,
        theta: &Tensor,
        (x, y): (&Tensor, &Tensor),
        traces: bool,
    ) -> Result<Learned> {
        schedule.check()?;
        let batch = self.check(theta, x, y, self.stack.parameters())?;
        let output = loss.on(batch, y.elem_count())?;
        let call = Call { engine: self, schedule, output, batch, traces, optimiser: None };
        let flat = theta.apply_op3_no_bwd(x, y, &call)?;
        let mut at = 0;
        let mut take = |shape: &[usize]| -> Result<Tensor> {
            let len = shape.iter().product();
            at += len;
            Ok(flat.narrow(0, at - len, len)?.reshape(shape)?)
        };
        let (depth, stack) = (self.stack.depth(), &self.stack);
        let theta = take(&[stack.parameters()])?;
        let output = take(&[batch, stack.units(depth)])?;
        let mut layers =
            |to: usize| (1..=to).map(|l| take(&[batch, stack.units(l)])).collect::<Result<Vec<_>>>();
        let traces = if traces { Some((layers(depth - 1)?, layers(depth)?)) } else { None };
        Ok(Learned { theta, output, traces })
    }

    /// One weight update in place: the optimiser moves θ along the rule's directions, or the rule moves θ itself if it
    /// is one that does. `theta` holds the optimiser's state behind the P parameters, zeros at the start (for MQ the
    /// learning rate α in all L elements).
    ///
    /// # Errors
    /// As for [`learn`](Self::learn).
    pub fn train(
        &self,
        schedule: &Schedule,
        loss: Loss,
        optimiser: Optimiser,
        theta: &Tensor,
        (x, y): (&Tensor, &Tensor),
    ) -> Result<()> {
        schedule.check()?;
        let (parameters, depth) = (self.stack.parameters(), self.stack.depth());
        let batch = self.check(theta, x, y, parameters + optimiser.state_elements(parameters, depth))?;
        if batch == 0 && matches!(optimiser, Optimiser::Mq { .. }) {
            return Err(operand(
                "x under MQ, which averages over the batch",
                "at least one row",
                "none".into(),
            ));
        }
        let output = loss.on(batch, y.elem_count())?;
        let call = Call { engine: self, schedule, output, batch, traces: false, optimiser: Some(optimiser) };
        Ok(theta.inplace_op3(x, y, &call)?)
    }

    /// B, if everything fits.
    fn check(&self, theta: &Tensor, x: &Tensor, y: &Tensor, elements: usize) -> Result<usize> {
        let depth = self.stack.depth();
        let batch = x.dims().first().copied().unwrap_or(0);
        let fits = [
            ("the flat parameters", theta, vec![elements]),
            ("x", x, vec![batch, self.stack.units(0)]),
            ("y", y, vec![batch, self.stack.units(depth)]),
        ];
        for (what, tensor, shape) in fits {
            if tensor.dims() != shape {
                return Err(operand(what, format!("shape {shape:?}"), format!("{:?}", tensor.dims())));
            }
            if !matches!(tensor.dtype(), DType::F32 | DType::F64) || tensor.dtype() != theta.dtype() {
                let expected =
                    if what == "the flat parameters" { "f32 or f64" } else { "the parameters' dtype" };
                return Err(operand(what, expected, tensor.dtype().as_str().into()));
            }
            if !tensor.is_contiguous() {
                return Err(operand(what, "contiguous memory", format!("strides {:?}", tensor.stride())));
            }
        }
        if self.math != MathMode::F32 && (!theta.device().is_cuda() || theta.dtype() != DType::F32) {
            return Err(Error::Unsupported(format!(
                "{} operands need a GPU and f32; use device `cuda` and dtype f32, or operands of f32",
                self.math
            )));
        }
        Ok(batch)
    }
}

fn operand(what: &'static str, expected: impl Into<String>, got: String) -> Error {
    Error::Operand { what, expected: expected.into(), got }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // memory of a call that panicked is written before it is read again
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
