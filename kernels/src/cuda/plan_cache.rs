//! A plan with its memory, its kernels and, on strategy `graph`, its recording: cached from call to call.

use std::collections::HashMap;

use candle_core::cuda_backend::cudarc::driver::{sys, CudaGraph, CudaSlice, DevicePtr, DeviceRepr};
use candle_core::{CudaDevice, Layout, Result};

use super::module::{failed, kernel, Kernel, Shape};
use super::operand::{Number, Operand};
use crate::launch::{plan, resident, Addresses, Ask, Launch, Params, Plan, Precision, Row, Task};
use crate::loss::OutputError;
use crate::persistent::{trace, PersistentParams, ResidentRow};
use crate::primitives::PrimitiveParams;
use crate::refuse::refuse;
use crate::schedule::Schedule;
use crate::tune::{DeviceLimits, Strategy};

// SAFETY: laid out as C says, without padding or pointers of the host, as the assertions beside both definitions hold.
unsafe impl DeviceRepr for Row {}
// SAFETY: as above.
unsafe impl DeviceRepr for Params {}
// SAFETY: as above.
unsafe impl DeviceRepr for ResidentRow {}
// SAFETY: as above.
unsafe impl DeviceRepr for PersistentParams {}
// SAFETY: as above.
unsafe impl DeviceRepr for PrimitiveParams {}

/// A cached plan.
pub(super) struct CachedPlan {
    // the first field, because it must be dropped before the memory that it works on
    graph: Option<(u64, CudaGraph)>,
    pub(super) plan: Plan,
    pub(super) strategy: Strategy,
    pub(super) limits: DeviceLimits,
    pub(super) schedule: Schedule,
    pub(super) output: OutputError,
    pub(super) task: Task,
    pub(super) precision: Precision,
    rows: CudaSlice<Row>,
    resident: Option<ResidentBuffers>,
    // bytes, whatever the precision; allocations are aligned for every number
    pub(super) arena: CudaSlice<u8>,
    kernels: HashMap<&'static str, Kernel>,
    pub(super) device: CudaDevice,
}

/// What a persistent launch reads besides θ and the arena.
struct ResidentBuffers {
    rows: CudaSlice<ResidentRow>,
    step_sizes: CudaSlice<f32>,
    // 0, until a block's wait has timed out; behind it what a traced kernel writes
    timed_out: CudaSlice<u64>,
}

impl CachedPlan {
    /// Plans a call, loads its kernels and allocates its memory.
    pub(super) fn new<T: Number>(ask: &Ask<'_>, strategy: Strategy, device: &CudaDevice) -> Result<Self> {
        let plan = match strategy {
            Strategy::Persistent => match &ask.device.cooperative {
                Some(limits) => resident(ask, limits)?,
                None => refuse!(
                    "strategy `persistent` needs cooperative launches, which this GPU does not have; take strategy `graph`"
                ),
            },
            _ => plan(ask)?,
        };
        let mut kernels = HashMap::new();
        for launch in plan.launches() {
            let (name, shared) = match launch {
                Launch::Kernel(launch) => (launch.name, 0),
                Launch::Relax(relax) => (relax.name, relax.shared),
                Launch::Product(_) => continue,
            };
            if !kernels.contains_key(name) {
                let kernel = kernel(device, name)?;
                if shared > 0 {
                    kernel.allow_shared(shared)?;
                }
                kernels.insert(name, kernel);
            }
        }
        let bytes = plan.arena.max(1) * size_of::<T>();
        let arena = {
            // SAFETY: the kernels read nothing of it that they have not written, which the emulator checks.
            unsafe { device.alloc::<u8>(bytes) }
                .map_err(|error| no_memory(&error, "states and errors of a call", bytes))?
        };
        Ok(Self {
            graph: None,
            rows: device.clone_htod(&plan.table.rows)?,
            resident: match &plan.resident {
                Some(with) => Some(ResidentBuffers {
                    rows: device.clone_htod(&with.rows)?,
                    step_sizes: device.clone_htod(&with.step_sizes)?,
                    timed_out: device.clone_htod(&vec![0u64; 1 + trace::WORDS])?,
                }),
                None => None,
            },
            plan,
            strategy,
            limits: ask.device,
            schedule: ask.schedule.clone(),
            output: ask.output,
            task: ask.task,
            precision: ask.precision,
            arena,
            kernels,
            device: device.clone(),
        })
    }

    /// Waits for what has been queued; an error if a block of a persistent launch has timed out since the last time.
    pub(super) fn settled(&mut self) -> Result<()> {
        let Some(on) = &mut self.resident else { return Ok(()) };
        let word = self.device.clone_dtoh(&on.timed_out.slice(..1))?.first().copied().unwrap_or(0);
        let relax = self.plan.infer.iter().find_map(|launch| match launch {
            Launch::Relax(relax) => relax.describe_timeout(word),
            _ => None,
        });
        let Some(said) = relax else { return Ok(()) };
        self.device.memcpy_htod(&[0u64], &mut on.timed_out.slice_mut(..1))?;
        refuse!("{said}")
    }

    /// The clocks that a traced persistent kernel has recorded; nothing on another strategy.
    #[cfg(feature = "trace")]
    pub(super) fn phase_clocks(&self) -> Result<Vec<u64>> {
        let Some(on) = &self.resident else { return Ok(vec![]) };
        self.device.clone_dtoh(&on.timed_out.slice(1..))
    }

    /// Queues the call, with inference queued `further` more times. `stays`: θ will be at the same address in the next
    /// call.
    pub(super) fn run<T: Number>(
        &mut self,
        theta: u64,
        (x, lx): Operand<'_>,
        (y, ly): Operand<'_>,
        out: u64,
        (stays, further): (bool, usize),
    ) -> Result<()> {
        if further > 0 && self.plan.moves {
            refuse!(
                "inference of this rule moves the parameters, so that it cannot be queued again; take another rule"
            );
        }
        let stream = self.device.cuda_stream();
        let (rows, _rows) = self.rows.device_ptr(&stream);
        let (arena, _arena) = self.arena.device_ptr(&stream);
        let (x, _x) = x.as_cuda_slice::<T>()?.device_ptr(&stream);
        let (y, _y) = y.as_cuda_slice::<T>()?.device_ptr(&stream);
        let from = |address: u64, layout: &Layout| -> Result<u64> {
            Ok(address + (offsets(layout)?.0 * size_of::<T>()) as u64)
        };
        let at = Addresses { rows, arena, theta, x: from(x, lx)?, y: from(y, ly)?, out };
        self.queue::<T>(&self.plan.load, &at)?;
        if self.strategy == Strategy::Graph && stays {
            if self.graph.as_ref().is_none_or(|(of, _)| *of != theta) {
                // the old one goes first, so that two never need memory at once
                self.graph = None;
                self.graph = self.capture::<T>(&at)?.map(|graph| (theta, graph));
            }
            if let Some((_, graph)) = &self.graph {
                for _ in 0..=further {
                    graph.launch().map_err(failed("recorded launches cannot be replayed"))?;
                }
            }
        } else {
            for _ in 0..=further {
                self.queue::<T>(&self.plan.infer, &at)?;
            }
        }
        self.queue::<T>(&self.plan.finish, &at)
    }

    /// Records inference, which reads neither x nor y nor `out`; nothing if there is nothing to do.
    fn capture<T: Number>(&self, at: &Addresses) -> Result<Option<CudaGraph>> {
        let stream = self.device.cuda_stream();
        // thread-local mode: other threads may go on allocating
        stream
            .begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(failed("launches cannot be recorded"))?;
        let done = self.queue::<T>(&self.plan.infer, at);
        // also after an error: a stream that is left recording cannot be used any more
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = stream.end_capture(flags);
        done?;
        let graph = graph.map_err(failed("launches cannot be recorded"))?;
        if let Some(graph) = &graph {
            graph.upload().map_err(failed("recorded launches cannot be uploaded to the GPU"))?;
        }
        Ok(graph)
    }

    fn queue<T: Number>(&self, launches: &[Launch], at: &Addresses) -> Result<()> {
        for launch in launches {
            match launch {
                Launch::Kernel(launch) => {
                    let shape = Shape::new(launch.blocks, launch.threads);
                    // SAFETY: a plan launches kernels with their own parameters, as many blocks as there are tiles,
                    // and offsets within memory of the lengths that `plan` says, which the caller of `run` has
                    // allocated or checked. All of it is used and freed on this stream, so after the launch.
                    unsafe { self.kernels[launch.name].launch(shape, &launch.params.at(at))? };
                }
                Launch::Relax(relax) => {
                    let Some(on) = &self.resident else {
                        refuse!("kernel `{}` has no table of layers", relax.name)
                    };
                    let stream = self.device.cuda_stream();
                    let (rows, _rows) = on.rows.device_ptr(&stream);
                    let (steps, _steps) = on.step_sizes.device_ptr(&stream);
                    // written by the kernel alone, read by `settled` and `phase_clocks` on the same stream
                    let (timed_out, _timed_out) = on.timed_out.device_ptr(&stream);
                    let shape = Shape { shared: relax.shared, ..Shape::new(relax.blocks, relax.threads) };
                    // SAFETY: as above; the table and the step sizes are those of the plan.
                    unsafe {
                        self.kernels[relax.name]
                            .launch_cooperative(shape, &relax.at(at, rows, steps, timed_out))?
                    };
                }
                // SAFETY: as above.
                Launch::Product(product) => unsafe { T::multiply(&self.device, product, at)? },
            }
        }
        Ok(())
    }
}

pub(super) fn offsets(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(found) => Ok(found),
        None => refuse!("operands of a fused call must be contiguous"),
    }
}

pub(super) fn no_memory(error: &candle_core::Error, what: &str, bytes: usize) -> candle_core::Error {
    let mib = bytes as f64 / f64::from(1 << 20);
    candle_core::Error::Msg(format!(
        "the GPU gives no {mib:.1} MiB for {what} ({}); use a smaller batch or network",
        error.to_string().lines().next().unwrap_or_default()
    ))
}
