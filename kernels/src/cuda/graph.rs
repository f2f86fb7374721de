//! Many launches queued as one.

use candle_core::cuda_backend::cudarc::driver::{sys, CudaGraph};
use candle_core::{CudaDevice, Result};

use super::module::failed;
use crate::refuse::refuse;

/// A recorded sequence of launches, with what they work on.
pub struct Graph<T> {
    // the first field, because it must be dropped before the memory that it works on
    graph: CudaGraph,
    on: T,
}

impl<T> Graph<T> {
    /// Records what `body` queues on the stream of `device`; nothing of it runs yet.
    ///
    /// # Errors
    /// What `body` returns, if the driver refuses something in it (waiting, for one), or if it queues nothing.
    ///
    /// # Safety
    /// Whatever `body` queues must work on memory that `on` owns, or that outlives the graph by other means: the
    /// addresses are used again at every replay.
    pub unsafe fn capture(
        device: &CudaDevice,
        mut on: T,
        body: impl FnOnce(&mut T) -> Result<()>,
    ) -> Result<Self> {
        let stream = device.cuda_stream();
        // Thread-local mode: other threads may go on allocating.
        stream
            .begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
            .map_err(failed("launches cannot be recorded"))?;
        let done = body(&mut on);
        // Also after an error: a stream that is left recording cannot be used any more.
        let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
        let graph = stream.end_capture(flags);
        done?;
        let Some(graph) = graph.map_err(failed("launches cannot be recorded"))? else {
            refuse!("there is nothing to replay; expected at least one launch")
        };
        graph.upload().map_err(failed("recorded launches cannot be uploaded to the GPU"))?;
        Ok(Self { graph, on })
    }

    /// Queues everything that was recorded.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn replay(&mut self) -> Result<()> {
        self.graph.launch().map_err(failed("recorded launches cannot be replayed"))
    }

    /// What the launches work on, as they have left it on the stream.
    pub fn on(&self) -> &T {
        &self.on
    }
}
