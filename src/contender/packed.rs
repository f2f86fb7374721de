//! What a contender of a fused engine keeps besides its spec.

use candle_core::Tensor;

use super::fused::{self, Fused};
use super::ContenderSpec;
use crate::net::Graph;
use crate::optim::OptimiserKind;
use crate::Result;

/// What the fused engine works on in place of `params`, which are views of it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) engine: Fused,
    /// Parameters, then the optimiser's state.
    pub(super) theta: Tensor,
    pub(super) updates: u64,
}

impl Packed {
    pub(super) fn new(spec: &ContenderSpec, graph: &Graph, params: &[Tensor]) -> Result<Self> {
        let layers = graph.as_stack()?;
        let depth = layers.len();
        let engine = Fused::new(layers, spec.engine, spec.threads)?.with_strategies(spec.strategies.clone());
        let optimiser = fused::optimiser(spec.optimiser, spec.learning_rate, 1);
        let state = optimiser.state_elements(engine.parameters(), depth);
        let theta = engine.pack(params, state)?;
        if spec.optimiser == OptimiserKind::Mq {
            let start = Tensor::full(spec.learning_rate, state, theta.device())?.to_dtype(theta.dtype())?;
            theta.slice_set(&start, 0, engine.parameters())?;
        }
        Ok(Self { engine, theta, updates: 0 })
    }
}
