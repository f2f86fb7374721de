//! A contender under the clock, and what is read beside it.

use std::cell::RefCell;

use candle_core::{Device, Tensor};
use pcnbench_kernels::fused::without_workers_ns;

use crate::contender::Contender;
use crate::engine::threads::Limit;
use crate::measure::exact::{self, Exact};
use crate::measure::gpu_state::GpuState;
use crate::measure::run_queue_wait::Scheduler;
use crate::measure::sampler::{Subject, Timed, Turn};
use crate::measure::{self, memory};
use crate::Result;

/// Executions of a contender after which no more threads are expected; fewer than those of warming up.
const NEW_THREADS: usize = 3;

/// A contender whose updates are samples.
pub(super) struct Training<'a> {
    contender: Contender,
    #[cfg(any(feature = "trials", debug_assertions))]
    name: String,
    batches: Vec<[Tensor; 2]>,
    device: &'a Device,
    gpu: &'a GpuState,
    scheduler: &'a RefCell<Option<Scheduler>>,
    /// Done so far; batches follow each other in their order.
    updates: usize,
    /// Growth of the process in the first update, which is one of warming up.
    pub(super) peak_bytes: Option<u64>,
    /// Growth of what is in use of the GPU's memory, in the same update.
    pub(super) device_peak_bytes: Option<u64>,
}

impl<'a> Training<'a> {
    /// `contender` on batches that it takes in turn.
    pub(super) fn new(
        contender: Contender,
        batches: Vec<[Tensor; 2]>,
        device: &'a Device,
        gpu: &'a GpuState,
        scheduler: &'a RefCell<Option<Scheduler>>,
    ) -> Self {
        Self {
            #[cfg(any(feature = "trials", debug_assertions))]
            name: contender.spec().id.to_string(),
            contender,
            batches,
            device,
            gpu,
            scheduler,
            updates: 0,
            peak_bytes: None,
            device_peak_bytes: None,
        }
    }

    /// Holds Candle to the contender's threads.
    pub(super) fn limit_threads(&self) -> Limit {
        self.contender.limit_threads()
    }

    /// One weight update.
    pub(super) fn update(&mut self) -> Result<()> {
        let batch = &self.batches[self.updates % self.batches.len()];
        self.updates += 1;
        if self.updates > 1 {
            return self.contender.update(batch);
        }
        let on_gpu = || memory::device_growth(self.device, || self.contender.update(batch));
        let (grown, (device_grown, done)) = memory::growth(on_gpu);
        (self.peak_bytes, self.device_peak_bytes) = (grown, device_grown);
        done
    }

    /// One weight update, with what is injected for trials.
    fn execute(&mut self) -> Result<()> {
        #[cfg(any(feature = "trials", debug_assertions))]
        let start = std::time::Instant::now();
        self.update()?;
        #[cfg(any(feature = "trials", debug_assertions))]
        {
            measure::planted::allocate(&self.name);
            measure::planted::slow_down(&self.name, start);
        }
        Ok(())
    }

    /// What one weight update asks of the machine, counted over a few more of them.
    pub(super) fn count(&mut self) -> Result<Exact> {
        let threads = self.contender.spec().id.threads.unwrap_or_else(measure::threads);
        // On a GPU the host waits for as long as it takes, and waiting is instructions too.
        let one_thread = self.device.is_cpu() && threads == 1;
        let _limit = self.contender.limit_threads();
        exact::count(one_thread, || self.execute())
    }

    /// How long threads of this process have waited so far, or been spared a wait by a fused call that did without them;
    /// asked for outside the time of a sample.
    fn delay_ns(&self) -> Option<u64> {
        let mut scheduler = self.scheduler.borrow_mut();
        // Worker threads start with the first product that needs them.
        if self.updates < NEW_THREADS {
            scheduler.as_mut()?.look_for_threads();
        }
        Some(scheduler.as_mut()?.times()?.delay_ns.saturating_add(without_workers_ns()))
    }
}

impl Subject for &mut Training<'_> {
    fn take(&mut self, turn: Turn) -> Result<Timed> {
        let (device, _limit) = (self.device, self.contender.limit_threads());
        (0..turn.untimed).try_for_each(|_| self.execute())?;
        let before = self.delay_ns();
        let (wall, device_ns) =
            measure::time_with_device(device, || (0..turn.timed).try_for_each(|_| self.execute()))?;
        let delay_ns = before.and_then(|before| Some(self.delay_ns()?.saturating_sub(before)));
        let sm_clock_mhz = self.gpu.sm_clock_mhz();
        let checksum = self.contender.checksum()?;
        let each = |ns: u64| ns / u64::from(turn.timed.max(1));
        Ok(Timed {
            wall_ns: each(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX)),
            device_ns: device_ns.map(each),
            checksum,
            delay_ns: delay_ns.map(each),
            sm_clock_mhz,
            executions: turn.timed,
        })
    }
}
