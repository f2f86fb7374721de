//! Zero-divergence inference learning (Z-IL).

use super::chain::Chain;
use super::LearningRule;
use crate::engine::{forward_pass, Engine, Learned, MaybeZero, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// sPC with step 1, each layer read at the one moment when its error is that of backpropagation
/// (Song et al. 2020; Salvatori et al., arXiv 2103.03725 and 2103.04689).
///
/// After exactly L − l updates from the forward pass, ε_l = J_{l+1}(vh_l)ᵀ ε_{l+1}, the negative adjoint;
/// directions (∂μ_l/∂θ_l)ᵀ ε_l are taken from the states of that moment. At that moment v_{l−1} has not
/// moved yet, so every Jacobian read is still the forward pass's, on any chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zil {
    /// Which states are updated on the way.
    pub nodes: Nodes,
}

/// Which states Z-IL updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// Layer L − t only, at update t: the states above have been read and no one looks at them again. This
    /// is what backpropagation costs, 3L − 1 products.
    Frontier,
    /// All of them, as the published rule is stated: 2L + 2(L − 1)² products without the light cone.
    All {
        /// Skip layers that no error has reached yet; the same bits.
        light_cone: bool,
    },
}

/// The step at which the first arrival (step^(L−l) times the adjoint) is the adjoint itself.
const STEP: f64 = 1.0;

impl LearningRule for Zil {
    const NAME: &'static str = "zil";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        match self.nodes {
            Nodes::Frontier => frontier(engine, watch),
            Nodes::All { light_cone } => all(engine, light_cone, watch),
        }
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        match self.nodes {
            Nodes::Frontier => cost::zil(net),
            Nodes::All { light_cone } => cost::zil_all(net, light_cone),
        }
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        match self.nodes {
            Nodes::Frontier => analysis::zil(net),
            Nodes::All { light_cone } => analysis::zil_all(net, light_cone),
        }
    }
}

/// v_l ← vh_l + J_{l+1}(vh_l)ᵀ ε_{l+1}, then ε_l = v_l − vh_l, from the output down.
fn frontier<E: Engine>(engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
    let depth = engine.depth();
    let forward = forward_pass(engine)?;
    let mut states = forward.states[1..].to_vec();
    let mut errors: Vec<MaybeZero<E::Value>> = vec![None; depth];
    let mut directions: Vec<Option<E::Direction>> = (0..depth).map(|_| None).collect();
    let mut eps = engine.output_error(&forward.output)?;
    for l in (1..=depth).rev() {
        errors[l - 1] = Some(eps.clone());
        watch(depth - l, &errors, &forward.output)?;
        directions[l - 1] = Some(engine.param_grad(l, &forward.locals[l - 1], &eps)?);
        if l > 1 {
            let descent = engine.vjp(l, &forward.locals[l - 1], &eps)?;
            states[l - 2] = engine.add_scaled(&forward.states[l - 1], STEP, &descent)?;
            eps = engine.sub(&states[l - 2], &forward.states[l - 1])?;
        }
    }
    Ok(Learned::from_directions(states, forward.output, errors, directions))
}

/// L − 1 steps of sPC, reading one layer before each and one after the last.
fn all<E: Engine>(engine: &E, light_cone: bool, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
    let depth = engine.depth();
    let mut chain = Chain::start(engine, light_cone)?;
    let output = chain.output.clone();
    let mut states = chain.states[1..].to_vec();
    let mut errors: Vec<MaybeZero<E::Value>> = vec![None; depth];
    let mut directions: Vec<Option<E::Direction>> = (0..depth).map(|_| None).collect();
    for t in 0..depth {
        watch(t, &chain.errors, &chain.output)?;
        let l = depth - t;
        if let Some(eps) = &chain.errors[l - 1] {
            directions[l - 1] = Some(engine.param_grad(l, &chain.locals[l - 1], eps)?);
            errors[l - 1] = Some(eps.clone());
        }
        if l < depth {
            states[l - 1] = chain.states[l].clone();
        }
        if l > 1 {
            let lowest = chain.move_states(engine, STEP)?;
            chain.refresh(engine, lowest)?;
        }
    }
    Ok(Learned::from_directions(states, output, errors, directions))
}
