//! Zero-divergence inference learning (Z-IL).

use super::info::{has, Inference, Info};
use super::relaxation::Relaxation;
use super::walk::{forward_pass, loss_errors, outputs, shown, Downward, Forward};
use super::{LearningRule, Steps};
use crate::engine::{Engine, Learned, LearnedOn, MaybeZero, Shown, Watch};
use crate::net::levels::levels;
use crate::net::{Graph, VertexId};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::{Error, Result};

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
    /// is what backpropagation costs on a chain, 3L − 1 products.
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
    const VARIANTS: &'static [Info] = &[
        Info::new("zil", "zil", Inference::Depth, false, true),
        Info::new("zil-all", "zil", Inference::Depth, false, false),
        Info::new("zil-all-full", "zil", Inference::Depth, false, false),
    ];

    const WITHOUT_AUTO: Option<&'static str> =
        Some("its steps have size 1, at which the first error to arrive is backpropagation's; use the rule without -auto");

    fn variant(name: &str, _: Steps) -> Self {
        let all = Nodes::All { light_cone: !has(name, "full") };
        Self { nodes: if has(name, "all") { all } else { Nodes::Frontier } }
    }

    fn name(&self) -> &'static str {
        match self.nodes {
            Nodes::Frontier => "zil",
            Nodes::All { light_cone: true } => "zil-all",
            Nodes::All { light_cone: false } => "zil-all-full",
        }
    }

    /// The levelled graph.
    fn prepare(&self, graph: &Graph) -> Result<(Graph, Vec<VertexId>)> {
        let topology = graph.topology();
        if let Some(i) = topology.first_weighted() {
            return Err(Error::Invalid(format!(
                "vertex `{}` has another precision than 1 or another energy than gaussian, under which Z-IL is not defined; use these or another rule",
                graph.name(i)
            )));
        }
        graph.levelled()
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
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

/// v_i ← vh_i + Σ Jᵀ c, then ε_i = v_i − vh_i, level after level from the losses.
fn frontier<E: Engine>(engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
    let topology = engine.topology();
    let levels = levels_of(engine)?;
    let Forward { values: forward, at } = forward_pass(engine)?;
    let losses = loss_errors(engine, &forward)?;
    let down = Downward::new(engine, &at, &losses);
    let outputs = outputs(engine, &forward);
    let mut states = forward.clone();
    let mut c: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
    let mut errors = shown(&down, &c);
    let mut directions = vec![None; topology.params()];
    for (t, level) in levels.iter().enumerate() {
        for &i in level {
            if !topology.is_latent(i) {
                if topology.reaches_params(i) || topology.follows_state(i) {
                    c[i] = down.pulled(i, &c)?;
                }
            } else if let Some(descent) = down.pulled(i, &c)? {
                states[i] = engine.add_scaled(&forward[i], STEP, &descent)?;
                c[i] = Some(engine.sub(&states[i], &forward[i])?);
            }
        }
        for &i in level.iter().filter(|&&i| topology.is_latent(i)) {
            errors[i] = c[i].clone();
        }
        watch(Shown { step: t, errors: &errors, outputs: &outputs, multipliers: &[] })?;
        for &i in level {
            down.collect(i, c[i].as_ref(), &mut directions)?;
        }
    }
    let params = vec![None; directions.len()];
    Ok(Learned { states, outputs, errors, multipliers: Vec::new(), directions, params })
}

/// Steps of sPC, reading one level before each and one after the last.
fn all<E: Engine>(engine: &E, light_cone: bool, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
    let topology = engine.topology();
    let levels = levels_of(engine)?;
    let mut net = Relaxation::start(engine, light_cone, None)?;
    // a vertex is read before anything that it reads has moved, so every Jacobian is the forward pass's
    let (at, losses) = (net.at.clone(), net.losses.clone());
    let down = Downward::new(engine, &at, &losses);
    let (mut states, outputs) = (net.values.clone(), outputs(engine, &net.values));
    let mut errors: Vec<MaybeZero<E::Value>> = net.shown();
    let mut directions = vec![None; topology.params()];
    // cotangents as read, each at its moment
    let mut c: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
    for (t, level) in levels.iter().enumerate() {
        net.show(t, watch)?;
        for &i in level {
            if topology.is_latent(i) {
                (states[i], errors[i], c[i]) =
                    (net.values[i].clone(), net.errors[i].clone(), net.errors[i].clone());
            } else if topology.reaches_params(i) {
                c[i] = down.pulled(i, &c)?;
            }
            down.collect(i, c[i].as_ref(), &mut directions)?;
        }
        if t + 1 < levels.len() {
            net.move_states(&Steps::constant(1, STEP).stride(0))?;
            net.refresh()?;
        }
    }
    let params = vec![None; directions.len()];
    Ok(Learned { states, outputs, errors, multipliers: Vec::new(), directions, params })
}

fn levels_of<E: Engine>(engine: &E) -> Result<Vec<Vec<VertexId>>> {
    let topology = engine.topology();
    if let Some(i) = topology.first_weighted() {
        return Err(Error::Invalid(format!(
            "vertex {i} (from 0) has another precision than 1 or another energy than gaussian, under which Z-IL is not defined; use these or another rule"
        )));
    }
    levels(topology).map_err(|i| {
        Error::Invalid(format!(
            "paths from vertex {i} (from 0) to losses cross different numbers of latent vertices; Z-IL needs the levelled \
             graph, which Graph::levelled makes"
        ))
    })
}
