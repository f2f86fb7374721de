//! The reference engine with an optimiser of parameters, for rules that move these while they infer.

use std::cell::RefCell;

use candle_core::Tensor;

use crate::engine::on_tensors::{by_operations, on_tensors};
use crate::engine::reference::Reference;
use crate::engine::Engine;
use crate::net::{DataId, Graph, LatentEnergy, Linearization, ParamId, Topology, VertexId};
use crate::optim::Optimiser;
use crate::{Error, Result};

/// A network bound to parameters, one batch and an optimiser.
///
/// Every call of [`apply_updates`](Engine::apply_updates) is a step of the optimiser, which keeps its moments from call to call and from batch
/// to batch, and has the learning rate. All else is the reference engine.
#[derive(Debug)]
pub(super) struct Optimised<'a> {
    graph: &'a Graph,
    params: &'a [Tensor],
    data: &'a [Tensor],
    feedback: Option<&'a [Option<Tensor>]>,
    optimiser: RefCell<&'a mut dyn Optimiser>,
}

impl<'a> Optimised<'a> {
    /// `engine` with an optimiser of its parameters.
    pub(super) fn new(engine: Reference<'a>, optimiser: &'a mut dyn Optimiser) -> Self {
        let Reference { graph, params, data, feedback } = engine;
        Self { graph, params, data, feedback, optimiser: RefCell::new(optimiser) }
    }
}

impl Engine for Optimised<'_> {
    on_tensors!();
    by_operations!();

    fn feedback(&self, p: ParamId) -> &Tensor {
        self.feedback.and_then(|own| own[p].as_ref()).unwrap_or(&self.params[p])
    }

    fn apply_updates(
        &self,
        moved: &[Option<Tensor>],
        _: f64,
        directions: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let own = |(p, moved): (usize, &Option<Tensor>)| moved.as_ref().unwrap_or(&self.params[p]).clone();
        let mut params: Vec<Tensor> = moved.iter().enumerate().map(own).collect();
        let none = || Error::Invalid("the network has no data".into());
        let batch = self.data.first().ok_or_else(none)?.dim(0)?;
        let mut optimiser = self.optimiser.borrow_mut();
        optimiser.step(&mut params, &directions.to_vec(), batch)?;
        Ok(params.into_iter().map(Some).collect())
    }
}
