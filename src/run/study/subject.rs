//! What is studied: a contender at its start, and a batch.

use candle_core::Tensor;

use crate::contender::{ContenderSpec, State};
use crate::engine::curvature::{Coordinates, Curvature, Matrix};
use crate::engine::reference::Reference;
use crate::net::Graph;
use crate::rule::{Rule, Steps};
use crate::{Error, Result};

/// Relative residual at which an end of a spectrum has settled; the error of the value is of the order of its square.
const SETTLED: f64 = 1e-4;

/// Products of a search for an end of a spectrum at most.
const PRODUCTS: usize = 500;

/// A contender at its start, and the batch.
pub(super) struct Subject<'a> {
    pub(super) spec: &'a ContenderSpec,
    pub(super) graph: Graph,
    pub(super) state: State,
    pub(super) data: Vec<Tensor>,
    pub(super) seed: u64,
    /// Weight updates, of a study that trains.
    pub(super) updates: u64,
    /// Whether curves are kept: of the first draw alone, and of most studies of the deepest network, so that a record stays small.
    pub(super) curves: bool,
}

/// Numbers found: quantity, `at`, value.
pub(super) type Found = Vec<(&'static str, f64, f64)>;

impl Subject<'_> {
    pub(super) fn engine(&self) -> Reference<'_> {
        self.state.bind(&self.graph, &self.data)
    }

    /// What the rule's inference moves.
    pub(super) fn coordinates(&self) -> Result<Coordinates> {
        self.spec.rule.coordinates().ok_or_else(|| {
            Error::Invalid(format!("rule {} descends no energy; use spc or epc, say", self.spec.rule.name()))
        })
    }

    /// λ_max and λ_min in the rule's coordinates at the forward pass.
    pub(super) fn ends(&self) -> Result<(f64, f64)> {
        let curvature = Curvature::at_forward(self.engine(), self.coordinates()?)?;
        let largest = curvature.largest(Matrix::GaussNewton, SETTLED, PRODUCTS)?.value;
        Ok((largest, curvature.smallest(SETTLED, PRODUCTS)?.value))
    }

    /// The rule with a step of this share of 2/`largest`, and what its method asks of the spectrum.
    pub(super) fn in_shares(&self, share: f64, largest: f64, smallest: f64) -> Result<(Rule, Steps)> {
        let steps = self.spec.rule.steps().ok_or_else(|| {
            Error::Invalid(format!("rule {} has no inference steps", self.spec.rule.name()))
        })?;
        let steps = Steps { size: share, ..steps }.found(2.0 / largest, smallest);
        Ok((self.spec.rule.with_steps(steps), steps))
    }

    /// FLOPs of products of a whole update of the rule with T = `count`.
    pub(super) fn flops(&self, rule: Rule, steps: Steps, count: usize) -> Result<f64> {
        let spec = ContenderSpec { rule: rule.with_steps(Steps { count, ..steps }), ..self.spec.clone() };
        Ok(spec.counted(self.data[0].dim(0)?)?.work.gemm_flops as f64)
    }
}
