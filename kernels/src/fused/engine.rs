//! What an engine keeps from call to call.

use std::sync::{Arc, Mutex};

use crate::cpu::{Pool, Workspace};
use crate::math_mode::MathMode;
use crate::stack::Stack;
use crate::tune::StrategyTable;

/// An engine for one stack, with its threads and the memory that it keeps from call to call.
pub struct Fused {
    pub(super) stack: Stack,
    pub(super) pool: Pool,
    pub(super) math: MathMode,
    pub(super) strategies: Option<Arc<StrategyTable>>,
    pub(super) f32: Mutex<Workspace<f32>>,
    pub(super) f64: Mutex<Workspace<f64>>,
    #[cfg(feature = "cuda")]
    pub(super) gpu: crate::cuda::Engine,
}

impl std::fmt::Debug for Fused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fused").field("depth", &self.stack.depth()).field("pool", &self.pool).finish()
    }
}

impl Fused {
    /// The table of measured times by which launch strategies are chosen, if there is one.
    pub fn strategies(&self) -> Option<&StrategyTable> {
        self.strategies.as_deref()
    }
}
