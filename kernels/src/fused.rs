//! The public call: a stack, a schedule, and Candle tensors on any device.
//!
//! Parameters, x and y are the three operands that Candle's custom operations take: θ flat (see [`crate::stack`]), x
//! `[B, n_0]`, y `[B, n_L]`, all contiguous, of one dtype (f32 or f64) and on one device.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp3, DType, InplaceOp3, Layout, Shape, Tensor};

#[cfg(feature = "cuda")]
use candle_core::{backend::BackendStorage, CudaStorage};

use crate::cpu::{self, Pool, Real, Task, Workspace};
use crate::schedule::{Optimiser, Rule, Schedule};
use crate::stack::{Loss, Stack};
use crate::{Error, Result};

/// An engine for one stack: threads, and memory that is kept from call to call.
pub struct Fused {
    stack: Stack,
    pool: Pool,
    f32: Mutex<Workspace<f32>>,
    f64: Mutex<Workspace<f64>>,
    #[cfg(feature = "cuda")]
    card: crate::cuda::Engine,
}

/// What a rule leaves behind, as views of one tensor.
#[derive(Debug, Clone)]
pub struct Learned {
    /// −∂F/∂θ summed over the batch, in the form of θ; the moved θ under a rule that moves it.
    pub theta: Tensor,
    /// o, `[B, n_L]`.
    pub output: Tensor,
    /// v_1..v_{L−1}, `[B, n_l]`, and ε_1..ε_L (negative adjoints under backpropagation), if they were asked for.
    pub traces: Option<(Vec<Tensor>, Vec<Tensor>)>,
}

impl std::fmt::Debug for Fused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fused").field("depth", &self.stack.depth()).field("pool", &self.pool).finish()
    }
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
            f32,
            f64,
            #[cfg(feature = "cuda")]
            card: crate::cuda::Engine::default(),
        })
    }

    /// Its stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Bytes of memory it keeps between calls.
    pub fn bytes(&self) -> usize {
        let host = guard(&self.f32).bytes() + guard(&self.f64).bytes();
        #[cfg(feature = "cuda")]
        let host = host + self.card.bytes();
        host
    }

    /// Runs every later call on a card on this rung, in place of the one that [`tune::cuda`](crate::tune::cuda)
    /// chooses; `None` gives the choice back.
    #[cfg(feature = "cuda")]
    pub fn on_rung(&self, rung: Option<crate::tune::Rung>) {
        self.card.force(rung);
    }

    /// Runs a rule on a batch; θ is left as it is.
    ///
    /// # Errors
    /// [`Error::Operand`] for a tensor that does not fit, [`Error::Candle`] if Candle or the device fails.
    pub fn learn(
        &self,
        schedule: &Schedule,
        loss: Loss,
        theta: &Tensor,
        (x, y): (&Tensor, &Tensor),
        traces: bool,
    ) -> Result<Learned> {
        let batch = self.check(theta, x, y, self.stack.parameters())?;
        let call = Call { engine: self, schedule, loss, batch, traces, optimiser: None };
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

    /// One weight update in place: θ moves by what the rule leaves behind, through the optimiser, or by itself under a
    /// rule that moves it. `theta` holds the optimiser's state behind the P parameters, zeros at the start (for MQ the
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
        let (parameters, depth) = (self.stack.parameters(), self.stack.depth());
        let batch = self.check(theta, x, y, parameters + optimiser.state_elements(parameters, depth))?;
        if batch == 0 && matches!(optimiser, Optimiser::Mq { .. }) {
            return Err(operand(
                "x under MQ, which averages over the batch",
                "at least one row",
                "none".into(),
            ));
        }
        let call = Call { engine: self, schedule, loss, batch, traces: false, optimiser: Some(optimiser) };
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

/// One call, as Candle's operations see it. Shapes, dtypes and contiguity have been checked.
struct Call<'a> {
    engine: &'a Fused,
    schedule: &'a Schedule,
    loss: Loss,
    batch: usize,
    traces: bool,
    optimiser: Option<Optimiser>,
}

impl Call<'_> {
    fn name(&self) -> &'static str {
        match self.schedule.rule {
            Rule::Bp => "fused-bp",
            Rule::Zil => "fused-zil",
            Rule::Spc { .. } => "fused-spc",
            Rule::Epc => "fused-epc",
            Rule::Fpa { .. } => "fused-fpa",
            Rule::SeqIl { .. } => "fused-seqil",
            Rule::Ipc { .. } => "fused-ipc",
        }
    }

    fn learn<T: Real>(
        &self,
        space: &Mutex<Workspace<T>>,
        theta: &[T],
        x: &[T],
        y: &[T],
    ) -> (CpuStorage, Shape) {
        let stack = &self.engine.stack;
        let elements = cpu::learned_elements(stack, self.batch, self.traces);
        let mut out = vec![T::ZERO; elements];
        let task = self.task(x, y);
        let result = cpu::Result::Learned { theta, out: &mut out, traces: self.traces };
        cpu::execute(&mut guard(space), &self.engine.pool, &task, result);
        (T::storage(out), elements.into())
    }

    fn train<T: Real>(&self, space: &Mutex<Workspace<T>>, theta: &mut [T], x: &[T], y: &[T]) {
        if let Some(optimiser) = self.optimiser {
            let result = cpu::Result::Trained { theta, optimiser };
            cpu::execute(&mut guard(space), &self.engine.pool, &self.task(x, y), result);
        }
    }

    #[cfg(feature = "cuda")]
    fn asked(&self) -> crate::cuda::Asked<'_> {
        let Self { schedule, loss, batch, traces, .. } = *self;
        let task = self.optimiser.map_or(crate::launch::Task::Learn { traces }, crate::launch::Task::Train);
        crate::cuda::Asked { stack: &self.engine.stack, schedule, loss, batch, task }
    }

    fn task<'t, T>(&'t self, x: &'t [T], y: &'t [T]) -> Task<'t, T> {
        let Self { schedule, loss, batch, .. } = *self;
        Task { stack: &self.engine.stack, schedule, loss, x, y, batch }
    }
}

/// The elements of a contiguous operand.
fn part<'a, T>(values: &'a [T], layout: &Layout) -> candle_core::Result<&'a [T]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(not_contiguous)?;
    Ok(&values[start..end])
}

fn not_contiguous() -> candle_core::Error {
    candle_core::Error::Msg("operands of a fused call must be contiguous".into())
}

fn mixed() -> candle_core::Error {
    candle_core::Error::Msg("operands of a fused call must all be f32 or all f64".into())
}

impl CustomOp3 for Call<'_> {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn cpu_fwd(
        &self,
        theta: &CpuStorage,
        lt: &Layout,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        use CpuStorage::{F32, F64};
        Ok(match (theta, x, y) {
            (F32(t), F32(x), F32(y)) => {
                self.learn(&self.engine.f32, part(t, lt)?, part(x, lx)?, part(y, ly)?)
            }
            (F64(t), F64(x), F64(y)) => {
                self.learn(&self.engine.f64, part(t, lt)?, part(x, lx)?, part(y, ly)?)
            }
            _ => return Err(mixed()),
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        theta: &CudaStorage,
        lt: &Layout,
        x: &CudaStorage,
        lx: &Layout,
        y: &CudaStorage,
        ly: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (asked, card) = (self.asked(), &self.engine.card);
        let (theta, x, y) = ((theta, lt), (x, lx), (y, ly));
        let (storage, elements) = match theta.0.dtype() {
            DType::F32 => card.learn::<f32>(&asked, theta, x, y)?,
            DType::F64 => card.learn::<f64>(&asked, theta, x, y)?,
            _ => return Err(mixed()),
        };
        Ok((storage, elements.into()))
    }
}

impl InplaceOp3 for Call<'_> {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn cpu_fwd(
        &self,
        theta: &mut CpuStorage,
        lt: &Layout,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
    ) -> candle_core::Result<()> {
        use CpuStorage::{F32, F64};
        let (start, end) = lt.contiguous_offsets().ok_or_else(not_contiguous)?;
        match (theta, x, y) {
            (F32(t), F32(x), F32(y)) => {
                self.train(&self.engine.f32, &mut t[start..end], part(x, lx)?, part(y, ly)?);
            }
            (F64(t), F64(x), F64(y)) => {
                self.train(&self.engine.f64, &mut t[start..end], part(x, lx)?, part(y, ly)?);
            }
            _ => return Err(mixed()),
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        theta: &mut CudaStorage,
        lt: &Layout,
        x: &CudaStorage,
        lx: &Layout,
        y: &CudaStorage,
        ly: &Layout,
    ) -> candle_core::Result<()> {
        let (asked, card) = (self.asked(), &self.engine.card);
        match theta.dtype() {
            DType::F32 => card.train::<f32>(&asked, (theta, lt), (x, lx), (y, ly)),
            DType::F64 => card.train::<f64>(&asked, (theta, lt), (x, lx), (y, ly)),
            _ => Err(mixed()),
        }
    }
}
