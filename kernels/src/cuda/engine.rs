//! Whole calls on a GPU: a plan with addresses filled in. Nothing waits for the GPU; parameters and states never leave
//! it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DevicePtrMut};
use candle_core::{CudaDevice, CudaStorage, Layout, Result};

use super::device_limits::device_limits;
use super::operand::{Number, Operand};
use super::plan_cache::{no_memory, offsets, CachedPlan};
use crate::launch::{finish, Ask, Precision, Task};
use crate::loss::OutputError;
use crate::math_mode::MathMode;
use crate::refuse::refuse;
use crate::schedule::Schedule;
use crate::stack::Stack;
use crate::tune::{self, Strategy, StrategyTable};

/// The CUDA engine; keeps at most one plan and its memory from call to call.
#[derive(Default)]
pub(crate) struct Engine {
    cached: Mutex<Option<CachedPlan>>,
    forced: Mutex<Option<Strategy>>,
    /// How many more times inference is queued than a call needs.
    further: AtomicUsize,
}

/// One call, without its tensors.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) schedule: &'a Schedule,
    pub(crate) output: OutputError,
    pub(crate) batch: usize,
    pub(crate) task: Task,
    pub(crate) math: MathMode,
    /// Measured times to choose a strategy by, if there are any.
    pub(crate) strategies: Option<&'a StrategyTable>,
}

impl Engine {
    /// Runs every later call on this strategy; with nothing, on the one that [`tune::choose`] gives.
    pub(crate) fn force(&self, strategy: Option<Strategy>) {
        *self.forced.lock().unwrap_or_else(PoisonError::into_inner) = strategy;
        self.forget();
    }

    /// Queues inference `times` more times in every later call.
    pub(crate) fn infer_again(&self, times: usize) {
        self.further.store(times, Ordering::Relaxed);
    }

    /// Plans the next call anew.
    pub(crate) fn forget(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Bytes on the GPU between calls.
    pub(crate) fn bytes(&self) -> usize {
        self.cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map_or(0, |cached| cached.arena.len())
    }

    /// Waits for the calls that have been queued.
    ///
    /// # Errors
    /// If a block of one of them timed out while it waited for another; which, where and after how long.
    pub(crate) fn settled(&self) -> Result<()> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.as_mut().map_or(Ok(()), CachedPlan::settled)
    }

    /// The phase clocks that the kernel of the last call has recorded.
    #[cfg(feature = "trace")]
    pub(crate) fn phase_clocks(&self) -> Result<Vec<u64>> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().map_or(Ok(vec![]), CachedPlan::phase_clocks)
    }

    /// The results of `learn`, in one buffer.
    pub(crate) fn learn<T: Number>(
        &self,
        asked: &Asked<'_>,
        (theta, lt): Operand<'_>,
        x: Operand<'_>,
        y: Operand<'_>,
    ) -> Result<(CudaStorage, usize)> {
        let device = theta.device.clone();
        let mut guard = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = self.prepare::<T>(&mut guard, asked, &device)?;
        let (elements, moves) = (cached.plan.out, cached.plan.moves);
        // SAFETY: every reader reads it on the same stream, after the launches below, which write every element.
        let mut out = unsafe { device.alloc::<T>(elements.max(1)) }
            .map_err(|error| no_memory(&error, "the results of a call", elements * size_of::<T>()))?;
        let (start, end) = offsets(lt)?;
        let parameters = start..start + cached.plan.parameters;
        let theta = theta.as_cuda_slice::<T>()?;
        if moves && end > start {
            device.memcpy_dtod(&theta.slice(parameters), &mut out.slice_mut(..cached.plan.parameters))?;
        }
        {
            let stream = device.cuda_stream();
            let (theta, _theta) = theta.device_ptr(&stream);
            let (out, _out) = out.device_ptr_mut(&stream);
            let theta = if moves { out } else { theta + (start * size_of::<T>()) as u64 };
            // a copy of θ lies somewhere else each time
            cached.run::<T>(theta, x, y, out, (!moves, self.further.load(Ordering::Relaxed)))?;
        }
        Ok((CudaStorage::wrap_cuda_slice(out, device), elements))
    }

    /// θ moved in place.
    pub(crate) fn train<T: Number>(
        &self,
        asked: &Asked<'_>,
        (theta, lt): (&mut CudaStorage, &Layout),
        x: Operand<'_>,
        y: Operand<'_>,
    ) -> Result<()> {
        let device = theta.device.clone();
        let mut guard = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = self.prepare::<T>(&mut guard, asked, &device)?;
        let (start, _) = offsets(lt)?;
        let stream = device.cuda_stream();
        let (theta, _theta) = theta.as_cuda_slice_mut::<T>()?.device_ptr_mut(&stream);
        let theta = theta + (start * size_of::<T>()) as u64;
        cached.run::<T>(theta, x, y, 0, (true, self.further.load(Ordering::Relaxed)))
    }

    /// The plan and the memory of a call: the cached one, if it fits.
    fn prepare<'k, T: Number>(
        &self,
        cached: &'k mut Option<CachedPlan>,
        asked: &Asked<'_>,
        device: &CudaDevice,
    ) -> Result<&'k mut CachedPlan> {
        let Some(precision) = Precision::of(T::DTYPE) else {
            refuse!("there are no kernels for {:?}; expected f32 or f64", T::DTYPE)
        };
        let fits = |cached: &CachedPlan| {
            cached.precision == precision
                && cached.plan.table.batch == asked.batch
                && cached.device.id() == device.id()
                && same_kind(&cached.task, &asked.task)
                && cached.output == asked.output
                && cached.schedule == *asked.schedule
        };
        let ask = |limits, strategy| Ask {
            stack: asked.stack,
            schedule: asked.schedule,
            output: asked.output,
            batch: asked.batch,
            task: asked.task,
            precision,
            math: asked.math,
            device: limits,
            products: strategy == Strategy::Cublas,
        };
        match cached.take().filter(fits) {
            Some(mut same) => {
                if same.task != asked.task {
                    // only the optimiser's numbers differ
                    same.plan.finish = finish(&ask(same.limits, same.strategy), &same.plan.table);
                    same.task = asked.task;
                }
                Ok(cached.insert(same))
            }
            None => {
                let limits = device_limits(device)?;
                let kind = (precision, asked.math);
                let Asked { stack, schedule, batch, strategies, .. } = *asked;
                let chosen = || tune::choose(strategies, stack, schedule, batch, kind, &limits).strategy;
                let forced = *self.forced.lock().unwrap_or_else(PoisonError::into_inner);
                let strategy = forced.unwrap_or_else(chosen);
                Ok(cached.insert(CachedPlan::new::<T>(&ask(limits, strategy), strategy, device)?))
            }
        }
    }
}

/// Whether two tasks differ in numbers of the optimiser at most.
fn same_kind(a: &Task, b: &Task) -> bool {
    match (a, b) {
        (Task::Learn { traces: a }, Task::Learn { traces: b }) => a == b,
        (Task::Train(a), Task::Train(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
        _ => false,
    }
}
