//! What is studied: a contender at its start, and a batch.

use std::time::{Duration, Instant};

use candle_core::Tensor;

use crate::contender::{ContenderSpec, State};
use crate::engine::curvature::{Coordinates, Curvature, Matrix};
use crate::engine::reference::Reference;
use crate::engine::Shown;
use crate::net::{Graph, LossTerm, OutputEnergy, Params};
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

    /// The losses of the forward pass at these parameters.
    pub(super) fn loss(&self, params: &Params) -> Result<f64> {
        let values = self.graph.forward(params, &self.data)?;
        let term = |term: &LossTerm| term.loss.value(&values[term.vertex], &self.data[term.target]);
        self.graph.losses().iter().map(term).sum()
    }

    /// Executes a rule until `see` says that enough was seen, or all its steps are done. `see` is told what the rule shows, and the time
    /// that its steps have taken since the forward pass, without what `see` itself takes.
    pub(super) fn watched(
        &self,
        rule: Rule,
        mut see: impl FnMut(&Shown<'_, Tensor>, Duration) -> Result<bool>,
    ) -> Result<()> {
        let (mut spent, mut since, mut ended) = (None, Instant::now(), false);
        let learned = rule.learn(&self.engine(), &mut |shown| {
            let time = spent.map_or(Duration::ZERO, |spent| spent + since.elapsed());
            spent = Some(time);
            ended = see(&shown, time)?;
            since = Instant::now();
            match ended {
                // the one way out of a rule that has steps left; it goes no further than this function
                true => Err(Error::Invalid("enough was seen".into())),
                false => Ok(()),
            }
        });
        match learned {
            Err(e) if !ended => Err(e),
            _ => Ok(()),
        }
    }

    /// What the rule's inference moves.
    pub(super) fn coordinates(&self) -> Result<Coordinates> {
        self.spec.rule.coordinates().ok_or_else(|| {
            Error::Invalid(format!(
                "rule {} does not descend the energy of the study; use spc or epc, say",
                self.spec.rule.name()
            ))
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
