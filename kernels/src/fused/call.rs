//! One call as an operation of Candle's, on whatever device its operands are.

use std::sync::Mutex;

#[cfg(feature = "cuda")]
use candle_core::{backend::BackendStorage, CudaStorage, DType};
use candle_core::{CpuStorage, CustomOp3, InplaceOp3, Layout, Shape};

use super::engine::Fused;
use crate::cpu::{self, Real, Task, Workspace};
use crate::loss::OutputError;
use crate::schedule::{Optimiser, Rule, Schedule};

/// One call, as Candle's operations see it. Shapes, dtypes and contiguity have been checked.
pub(super) struct Call<'a> {
    pub(super) engine: &'a Fused,
    pub(super) schedule: &'a Schedule,
    pub(super) output: OutputError,
    pub(super) batch: usize,
    pub(super) traces: bool,
    pub(super) optimiser: Option<Optimiser>,
}

impl Call<'_> {
    fn name(&self) -> &'static str {
        match self.schedule.rule {
            Rule::Bp => "fused-bp",
            Rule::Zil => "fused-zil",
            Rule::Spc { .. } => "fused-spc",
            Rule::Epc => "fused-epc",
            Rule::Fpa { .. } => "fused-fpa",
            Rule::Ar { .. } => "fused-ar",
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
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let stack = &self.engine.stack;
        let elements = cpu::learned_elements(stack, self.batch, self.traces);
        let mut out = vec![T::ZERO; elements];
        let task = self.task(x, y);
        let result = cpu::Result::Learned { theta, out: &mut out, traces: self.traces };
        cpu::execute(&mut self.engine.pool.lock(space), &self.engine.pool, &task, result)
            .map_err(candle_core::Error::wrap)?;
        Ok((T::storage(out), elements.into()))
    }

    fn train<T: Real>(
        &self,
        space: &Mutex<Workspace<T>>,
        theta: &mut [T],
        x: &[T],
        y: &[T],
    ) -> candle_core::Result<()> {
        let Some(optimiser) = self.optimiser else { return Ok(()) };
        let result = cpu::Result::Trained { theta, optimiser };
        cpu::execute(&mut self.engine.pool.lock(space), &self.engine.pool, &self.task(x, y), result)
            .map_err(candle_core::Error::wrap)
    }

    #[cfg(feature = "cuda")]
    fn asked(&self) -> crate::cuda::Asked<'_> {
        let Self { schedule, output, batch, traces, .. } = *self;
        let task = self.optimiser.map_or(crate::launch::Task::Learn { traces }, crate::launch::Task::Train);
        let (stack, math) = (&self.engine.stack, self.engine.math);
        let strategies = self.engine.strategies();
        crate::cuda::Asked { stack, schedule, output, batch, task, math, strategies }
    }

    fn task<'t, T>(&'t self, x: &'t [T], y: &'t [T]) -> Task<'t, T> {
        let Self { schedule, output, batch, .. } = *self;
        Task { stack: &self.engine.stack, schedule, output, x, y, batch }
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
        match (theta, x, y) {
            (F32(t), F32(x), F32(y)) => {
                self.learn(&self.engine.f32, part(t, lt)?, part(x, lx)?, part(y, ly)?)
            }
            (F64(t), F64(x), F64(y)) => {
                self.learn(&self.engine.f64, part(t, lt)?, part(x, lx)?, part(y, ly)?)
            }
            _ => Err(mixed()),
        }
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
        let (asked, gpu) = (self.asked(), &self.engine.gpu);
        let (theta, x, y) = ((theta, lt), (x, lx), (y, ly));
        let (storage, elements) = match theta.0.dtype() {
            DType::F32 => gpu.learn::<f32>(&asked, theta, x, y)?,
            DType::F64 => gpu.learn::<f64>(&asked, theta, x, y)?,
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
                self.train(&self.engine.f32, &mut t[start..end], part(x, lx)?, part(y, ly)?)
            }
            (F64(t), F64(x), F64(y)) => {
                self.train(&self.engine.f64, &mut t[start..end], part(x, lx)?, part(y, ly)?)
            }
            _ => Err(mixed()),
        }
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
        let (asked, gpu) = (self.asked(), &self.engine.gpu);
        match theta.dtype() {
            DType::F32 => gpu.train::<f32>(&asked, (theta, lt), (x, lx), (y, ly)),
            DType::F64 => gpu.train::<f64>(&asked, (theta, lt), (x, lx), (y, ly)),
            _ => Err(mixed()),
        }
    }
}
