//! Whole calls on a card: a plan with addresses put in. Nothing waits for the card; parameters and states never leave it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{
    sys, CudaGraph, CudaSlice, DevicePtr, DevicePtrMut, DeviceRepr,
};
use candle_core::cuda_backend::CudaDType;
use candle_core::{CudaDevice, CudaStorage, Layout, Result, WithDType};

use super::library::Multiply;
use super::module::{failed, kernel, Kernel, Shape};
use crate::launch::{finish, plan, resident, Addresses, Ask, Launch, Params, Plan, Precision, Row, Task};
use crate::persistent::{Facts, PersistentParams, ResidentRow};
use crate::refuse::refuse;
use crate::schedule::Schedule;
use crate::stack::{Loss, Stack};
use crate::tune::{self, Card, Rung};

// SAFETY: laid out as C says, without padding or pointers of the host, as the assertions beside both definitions hold.
unsafe impl DeviceRepr for Row {}
// SAFETY: as above.
unsafe impl DeviceRepr for Params {}
// SAFETY: as above.
unsafe impl DeviceRepr for ResidentRow {}
// SAFETY: as above.
unsafe impl DeviceRepr for PersistentParams {}

/// What is kept from call to call: at most one plan and its memory.
#[derive(Default)]
pub(crate) struct Engine {
    kept: Mutex<Option<Kept>>,
    forced: Mutex<Option<Rung>>,
}

/// Numbers that both Candle and the kernels have.
pub(crate) trait Number: CudaDType + WithDType + DeviceRepr + Multiply {}
impl Number for f32 {}
impl Number for f64 {}

/// One call, without its tensors.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) schedule: &'a Schedule,
    pub(crate) loss: Loss,
    pub(crate) batch: usize,
    pub(crate) task: Task,
}

/// An operand: its storage and where it begins there.
pub(crate) type Operand<'a> = (&'a CudaStorage, &'a Layout);

struct Kept {
    // before the memory that it works on: dropped first
    graph: Option<(u64, CudaGraph)>,
    plan: Plan,
    rung: Rung,
    schedule: Schedule,
    loss: Loss,
    task: Task,
    precision: Precision,
    rows: CudaSlice<Row>,
    // the table and the step sizes of a persistent launch
    resident: Option<(CudaSlice<ResidentRow>, CudaSlice<f32>)>,
    // bytes, whatever the precision; allocations are aligned for every number
    arena: CudaSlice<u8>,
    kernels: HashMap<&'static str, Kernel>,
    device: CudaDevice,
}

impl Engine {
    /// Runs every later call on this rung; with nothing, on the one that [`tune::cuda`] chooses.
    pub(crate) fn force(&self, rung: Option<Rung>) {
        *self.forced.lock().unwrap_or_else(PoisonError::into_inner) = rung;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Bytes on the card between calls.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |kept| kept.arena.len())
    }

    /// What `learn` leaves, in one buffer.
    pub(crate) fn learn<T: Number>(
        &self,
        asked: &Asked<'_>,
        (theta, lt): Operand<'_>,
        x: Operand<'_>,
        y: Operand<'_>,
    ) -> Result<(CudaStorage, usize)> {
        let device = theta.device.clone();
        let mut guard = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.prepare::<T>(&mut guard, asked, &device)?;
        let (elements, moves) = (kept.plan.out, kept.plan.moves);
        // SAFETY: whoever reads it does so on the same stream, after the launches below, which write every element.
        let mut out = unsafe { device.alloc::<T>(elements.max(1)) }
            .map_err(|error| no_memory(&error, "what a call leaves", elements * size_of::<T>()))?;
        let (start, end) = offsets(lt)?;
        let parameters = start..start + kept.plan.parameters;
        let theta = theta.as_cuda_slice::<T>()?;
        if moves && end > start {
            device.memcpy_dtod(&theta.slice(parameters), &mut out.slice_mut(..kept.plan.parameters))?;
        }
        {
            let stream = device.cuda_stream();
            let (theta, _theta) = theta.device_ptr(&stream);
            let (out, _out) = out.device_ptr_mut(&stream);
            let theta = if moves { out } else { theta + (start * size_of::<T>()) as u64 };
            // a copy of θ lies somewhere else each time
            kept.run::<T>(theta, x, y, out, !moves)?;
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
        let mut guard = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.prepare::<T>(&mut guard, asked, &device)?;
        let (start, _) = offsets(lt)?;
        let stream = device.cuda_stream();
        let (theta, _theta) = theta.as_cuda_slice_mut::<T>()?.device_ptr_mut(&stream);
        kept.run::<T>(theta + (start * size_of::<T>()) as u64, x, y, 0, true)
    }

    /// The plan and the memory of a call: what was kept, if it fits.
    fn prepare<'k, T: Number>(
        &self,
        kept: &'k mut Option<Kept>,
        asked: &Asked<'_>,
        device: &CudaDevice,
    ) -> Result<&'k mut Kept> {
        let Some(precision) = Precision::of(T::DTYPE) else {
            refuse!("there are no kernels for {:?}; expected f32 or f64", T::DTYPE)
        };
        let card = card_of(device)?;
        let fits = |kept: &Kept| {
            kept.precision == precision
                && kept.plan.table.batch == asked.batch
                && kept.device.id() == device.id()
                && same_kind(&kept.task, &asked.task)
                && kept.loss == asked.loss
                && kept.schedule == *asked.schedule
        };
        let steps = asked.schedule.steps.len();
        let chosen = tune::cuda(asked.stack, &asked.schedule.rule, steps, asked.batch, card);
        let rung = self.forced.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(chosen);
        let ask = Ask {
            stack: asked.stack,
            schedule: asked.schedule,
            loss: asked.loss,
            batch: asked.batch,
            task: asked.task,
            precision,
            card,
            products: rung == Rung::Wide,
        };
        match kept.take().filter(fits) {
            Some(mut same) => {
                if same.task != asked.task {
                    // only the optimiser's numbers differ
                    same.plan.finish = finish(&ask, &same.plan.table);
                    same.task = asked.task;
                }
                Ok(kept.insert(same))
            }
            None => Ok(kept.insert(Kept::new::<T>(&ask, rung, device)?)),
        }
    }
}

impl Kept {
    fn new<T: Number>(ask: &Ask<'_>, rung: Rung, device: &CudaDevice) -> Result<Self> {
        let plan = match rung {
            Rung::Persistent => resident(ask, &facts(device)?)?,
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
            // SAFETY: the kernels read nothing of it that they have not written, which the emulator holds them to.
            unsafe { device.alloc::<u8>(bytes) }
                .map_err(|error| no_memory(&error, "states and errors of a call", bytes))?
        };
        Ok(Self {
            graph: None,
            rows: device.clone_htod(&plan.table.rows)?,
            resident: match &plan.resident {
                Some(with) => Some((device.clone_htod(&with.rows)?, device.clone_htod(&with.step_sizes)?)),
                None => None,
            },
            plan,
            rung,
            schedule: ask.schedule.clone(),
            loss: ask.loss,
            task: ask.task,
            precision: ask.precision,
            arena,
            kernels,
            device: device.clone(),
        })
    }

    /// Queues the call. `stays`: θ will be where it is in the next call.
    fn run<T: Number>(
        &mut self,
        theta: u64,
        (x, lx): Operand<'_>,
        (y, ly): Operand<'_>,
        out: u64,
        stays: bool,
    ) -> Result<()> {
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
        if self.rung == Rung::Graph && stays {
            if self.graph.as_ref().is_none_or(|(of, _)| *of != theta) {
                // the old one goes first, so that two never need memory at once
                self.graph = None;
                self.graph = self.capture::<T>(&at)?.map(|graph| (theta, graph));
            }
            if let Some((_, graph)) = &self.graph {
                graph.launch().map_err(failed("recorded launches cannot be replayed"))?;
            }
        } else {
            self.queue::<T>(&self.plan.infer, &at)?;
        }
        self.queue::<T>(&self.plan.finish, &at)
    }

    /// Records inference, which reads neither x nor y nor `out`; nothing if there is nothing to do.
    fn capture<T: Number>(&self, at: &Addresses) -> Result<Option<CudaGraph>> {
        let stream = self.device.cuda_stream();
        // of this thread alone: others may go on allocating
        stream
            .begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(failed("launches cannot be recorded"))?;
        let done = self.queue::<T>(&self.plan.infer, at);
        // whatever happened: a stream left recording is of no further use
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = stream.end_capture(flags);
        done?;
        let graph = graph.map_err(failed("launches cannot be recorded"))?;
        if let Some(graph) = &graph {
            graph.upload().map_err(failed("recorded launches cannot be brought to the card"))?;
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
                    let Some((rows, steps)) = &self.resident else {
                        refuse!("kernel `{}` has no table of layers", relax.name)
                    };
                    let stream = self.device.cuda_stream();
                    let (rows, _rows) = rows.device_ptr(&stream);
                    let (steps, _steps) = steps.device_ptr(&stream);
                    let shape = Shape { shared: relax.shared, ..Shape::new(relax.blocks, relax.threads) };
                    // SAFETY: as above; the table and the step sizes are those of the plan.
                    unsafe {
                        self.kernels[relax.name].launch_cooperative(shape, &relax.at(at, rows, steps))?
                    };
                }
                // SAFETY: as above.
                Launch::Product(product) => unsafe { T::multiply(&self.device, product, at)? },
            }
        }
        Ok(())
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

/// What choices need to know of a card.
pub(crate) fn card_of(device: &CudaDevice) -> Result<Card> {
    let count = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
    let processors = device
        .cuda_stream()
        .context()
        .attribute(count)
        .map_err(failed("the number of multiprocessors cannot be found out"))?;
    Ok(Card { processors: usize::try_from(processors).unwrap_or(1) })
}

/// What a persistent launch needs to know of a card. One block to a multiprocessor is what any card holds of them.
fn facts(device: &CudaDevice) -> Result<Facts> {
    use sys::CUdevice_attribute_enum as Ask;
    let stream = device.cuda_stream();
    let of = |what, name: &str| {
        let value =
            stream.context().attribute(what).map_err(failed(format_args!("{name} cannot be found out")))?;
        Ok::<u32, candle_core::Error>(u32::try_from(value).unwrap_or(0))
    };
    let major = of(Ask::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, "the compute capability")?;
    let minor = of(Ask::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, "the compute capability")?;
    let shared = of(Ask::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, "the size of shared memory")?;
    let multiprocessors = card_of(device)?.processors;
    Ok(Facts {
        multiprocessors,
        shared_per_block: shared as usize,
        resident_blocks: multiprocessors,
        capability: (major, minor),
    })
}

fn offsets(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(found) => Ok(found),
        None => refuse!("operands of a fused call must be contiguous"),
    }
}

fn no_memory(error: &candle_core::Error, what: &str, bytes: usize) -> candle_core::Error {
    let mib = bytes as f64 / f64::from(1 << 20);
    candle_core::Error::Msg(format!(
        "the card gives no {mib:.1} MiB for {what} ({}); use a smaller batch or network",
        error.to_string().lines().next().unwrap_or_default()
    ))
}
