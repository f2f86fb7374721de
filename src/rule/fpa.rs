//! Predictive coding under the fixed-prediction assumption (FPA).

use super::info::{has, Inference, Info};
use super::learning::FIXED_PREDICTION;
use super::walk::{descent, forward_pass, loss_errors, outputs, shown, Downward, Forward};
use super::{LearningRule, Steps};
use crate::engine::{Engine, Learned, LearnedOn, MaybeZero, Shown, Watch};
use crate::net::{Topology, VertexId};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// sPC with predictions, Jacobians and layer inputs frozen at the forward pass vh
/// (Millidge, Tschantz & Buckley, arXiv 2006.04182; fixed prediction in Rosenbaum, arXiv 2106.13082).
///
/// ε_L = −∂loss/∂o is fixed. T times, all hidden layers at once from the same old states:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(vh_l)ᵀ ε_{l+1}),  ε_l = v_l − vh_l.
///
/// Then directions (∂μ_l/∂θ_l at vh_{l−1})ᵀ ε_l. With a constant g in [0, 1] every error is the negative
/// backpropagation adjoint times P\[Binomial(T, g) ≥ L − l\]: see [`crate::theory::decay`]. 2L + T(L − 1)
/// products without the light cone.
///
/// J_Lᵀ ε_L is the same product in every step. Published programs repeat it, so this schedule repeats it;
/// keeping it would save T − 1 products, and by the law above so would not iterating at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fpa {
    /// T and g.
    pub steps: Steps,
    /// Skip layers that no error has reached yet; the same bits, off only to measure what it saves.
    pub light_cone: bool,
    /// Relax one [stage](crate::net::Topology::stages) after another, from the last to the first, T steps each, with the
    /// errors of later stages final.
    ///
    /// So do the authors' programs of recurrent networks, time step by time step: with step 0.1 a simultaneous schedule of
    /// T = 200 steps brings next to nothing to the first of 50 time steps. On a chain every layer is a stage, every error is
    /// the negative adjoint times (1 − (1 − g)^T)^(L − l), and the schedule has the products of `fpa-full`. What does not change
    /// above a state is computed once, but for the products that lead to the state itself: they are repeated in every step, as
    /// in the authors' programs.
    pub nested: bool,
}

impl LearningRule for Fpa {
    const VARIANTS: &'static [Info] = &[
        Info::new("fpa", "fpa", Inference::Chosen, true, true),
        Info::new("fpa-full", "fpa", Inference::Chosen, true, true),
        Info::new("fpa-nested", "fpa", Inference::Nested, true, false),
    ];

    const WITHOUT_AUTO: Option<&'static str> = Some(FIXED_PREDICTION);

    fn variant(name: &str, steps: Steps) -> Self {
        Self { steps, light_cone: !has(name, "full"), nested: has(name, "nested") }
    }

    fn name(&self) -> &'static str {
        match (self.nested, self.light_cone) {
            (true, _) => "fpa-nested",
            (false, true) => "fpa",
            (false, false) => "fpa-full",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let Forward { values: forward, at } = forward_pass(engine)?;
        let losses = loss_errors(engine, &forward)?;
        let down = Downward::new(engine, &at, &losses);
        let outputs = outputs(engine, &forward);
        let mut states = forward.clone();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
        if !self.light_cone && !self.nested {
            for i in topology.latent() {
                errors[i] = Some(engine.sub(&states[i], &forward[i])?);
            }
        }
        watch(Shown { step: 0, errors: &shown(&down, &errors), outputs: &outputs, multipliers: &[] })?;

        let stages = match self.nested {
            true => topology.stages(),
            false => vec![topology.latent().collect()],
        };
        let (mut c, mut known) = (vec![None; topology.len()], vec![false; topology.len()]);
        for (k, stage) in stages.iter().rev().enumerate() {
            let own = self.nested.then(|| above(topology, stage));
            if let Some((fixed, _)) = &own {
                // once for all stages: what lies above them all does not change
                let new: Vec<VertexId> = fixed.iter().copied().filter(|&i| !known[i]).collect();
                down.renew(&mut c, &errors, &new)?;
                new.into_iter().for_each(|i| known[i] = true);
            }
            for t in 0..self.steps.count {
                let g = self.steps.size(t);
                match &own {
                    None => c = down.cotangents(&errors, |i| topology.follows_state(i))?,
                    Some((_, moving)) => down.renew(&mut c, &errors, moving)?,
                }
                for &i in stage {
                    let own = down.weighted(i, &errors[i])?;
                    let Some(descent) = descent(engine, down.pulled(i, &c)?, &own)? else {
                        continue;
                    };
                    states[i] = engine.add_scaled(&states[i], g, &descent)?;
                    errors[i] = Some(engine.sub(&states[i], &forward[i])?);
                }
                let step = k * self.steps.count + t + 1;
                watch(Shown { step, errors: &shown(&down, &errors), outputs: &outputs, multipliers: &[] })?;
            }
        }

        let directions = down.directions(&down.cotangents(&errors, |i| topology.reaches_params(i))?)?;
        let (errors, params) = (shown(&down, &errors), vec![None; directions.len()]);
        Ok(Learned { states, outputs, errors, multipliers: Vec::new(), directions, params })
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        match self.nested {
            true => cost::fpa_nested(net, self.steps.count as u64),
            false => cost::fpa(net, self.steps.count as u64, self.light_cone),
        }
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        match self.nested {
            true => analysis::fpa_nested(net, self.steps.count as u64),
            false => analysis::fpa(net, self.steps.count as u64, self.light_cone),
        }
    }
}

/// Vertices whose cotangents make up what reaches a stage, from the last to the first: those whose cotangents stay as they are
/// while the stage is relaxed, and those whose cotangents follow its states.
fn above(topology: &Topology, stage: &[VertexId]) -> (Vec<VertexId>, Vec<VertexId>) {
    let mut found = vec![false; topology.len()];
    let mut open = stage.to_vec();
    while let Some(i) = open.pop() {
        for &(child, _) in topology.children(i) {
            if !std::mem::replace(&mut found[child], true) && !topology.is_latent(child) {
                open.push(child);
            }
        }
    }
    let mut moves = vec![false; topology.len()];
    for i in (0..topology.len()).rev().filter(|&i| found[i]) {
        moves[i] = match topology.is_latent(i) {
            true => stage.contains(&i),
            false => topology.children(i).iter().any(|&(child, _)| moves[child]),
        };
    }
    (0..topology.len()).rev().filter(|&i| found[i]).partition(|&i| !moves[i])
}
