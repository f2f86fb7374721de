//! What a call computes on a stack and a batch: a rule, its steps, and an optimiser.

use crate::{Error, Result};

/// A learning rule that a fused engine runs. Equations, sources and signs are those of the rules of `pcnbench`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Backpropagation.
    Bp,
    /// Zero-divergence inference learning, frontier only: backpropagation's products, states moved once.
    Zil,
    /// State-based predictive coding.
    Spc {
        /// Skip layers that no error has reached yet.
        light_cone: bool,
        /// Store v_l − vh_l instead of v_l, vh the forward pass: signals below the rounding of the state survive.
        deviation: bool,
    },
    /// Error-based predictive coding.
    Epc,
    /// Fixed prediction.
    Fpa {
        /// Skip layers that no error has reached yet.
        light_cone: bool,
    },
    /// Activation relaxation, errors carried down by transposed weights and derivatives.
    Ar {
        /// In place from the output down, instead of all layers at once.
        top_down: bool,
    },
    /// Sequential inference learning.
    SeqIl {
        /// Factor on ε_L: β/(1 + β) of an output target mixed with β, else 1.
        mixing: f64,
    },
    /// Incremental predictive coding; moves the parameters itself in every step.
    Ipc {
        /// Skip layers that no error has reached yet.
        light_cone: bool,
        /// α on gradients summed over the batch.
        weight_step: f64,
        /// Evaluate predictions and errors once more after the last update.
        evaluate: bool,
    },
}

/// A rule with the size and the momentum of each of its inference steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Which rule.
    pub rule: Rule,
    /// g_t per sample, t = 0..T−1; empty for rules without inference.
    pub steps: Vec<f64>,
    /// The momentum of every step, of sPC and ePC on a CPU; empty for plain descent.
    pub momentum: Vec<Momentum>,
}

/// The momentum of inference step t. With d_t the negative gradient of the energy by what inference moves, z (states under
/// sPC, errors under ePC), from u = 0:
///
/// u_t = d_t + β_t u_{t−1},  z ← z + g_t (a_t d_t + c_t u_t).
///
/// Polyak's heavy ball (Polyak 1964) is a = 0, c = 1 with a constant β; Nesterov's method has a = 1 and c_t = β_{t+1}; the
/// Chebyshev semi-iteration is a = 0, c = 1 with g_t and β_t by its recursion. One more tensor of every layer that moves is
/// kept, read and written once a step, with no product and no pass over other memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// β_t.
    pub beta: f64,
    /// a_t.
    pub direct: f64,
    /// c_t.
    pub carried: f64,
}

impl Schedule {
    /// A rule by plain descent.
    pub fn new(rule: Rule, steps: Vec<f64>) -> Self {
        Self { rule, steps, momentum: vec![] }
    }

    /// The momentum of every step, where some step differs from plain descent, which β_t = 0 with a_t + c_t = 1 is.
    pub fn carried(&self) -> Option<&[Momentum]> {
        let is_plain = |m: &Momentum| m.beta == 0.0 && m.direct + m.carried == 1.0;
        (!self.momentum.iter().all(is_plain)).then_some(&self.momentum)
    }

    /// Refuses momentum of a rule that has none here, and of fewer or more steps than there are.
    pub(crate) fn check(&self) -> Result<()> {
        let (steps, momenta) = (self.steps.len(), self.momentum.len());
        if momenta > 0 && !matches!(self.rule, Rule::Spc { .. } | Rule::Epc) {
            return Err(Error::Unsupported(format!(
                "rule {} has no momentum in the fused engine, which gives it to spc and epc only",
                self.rule.name()
            )));
        }
        if momenta > 0 && momenta != steps {
            return Err(Error::Unsupported(format!(
                "a schedule of {steps} steps needs the momentum of each of them or none, and has {momenta}"
            )));
        }
        Ok(())
    }
}

/// An optimiser: how the directions of descent d (sums over the batch of −∂F/∂θ) move θ, in the pass that computes
/// them.
///
/// Equations and constants are those of the optimisers of `pcnbench`. State lies behind the parameters in the same
/// flat tensor, see [`state_elements`](Self::state_elements).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimiser {
    /// θ += α d.
    Sgd {
        /// α.
        rate: f64,
    },
    /// m ← μ m + d, θ += α m.
    Momentum {
        /// α.
        rate: f64,
        /// μ.
        mu: f64,
    },
    /// Adam with β₁, β₂, ε.
    Adam {
        /// α.
        rate: f64,
        /// β₁, β₂.
        betas: (f64, f64),
        /// ε.
        epsilon: f64,
        /// t of this update, from 1.
        update: i32,
    },
    /// MQ: one scalar per layer; Δ is the batch mean of d.
    Mq {
        /// α.
        rate: f64,
        /// α_min.
        min_rate: f64,
        /// r.
        r: f64,
        /// ρ of this update.
        decay: f64,
    },
}

impl Optimiser {
    /// Elements of state behind the P parameters of a stack of L layers: 0, P, 2P or L.
    pub fn state_elements(&self, parameters: usize, depth: usize) -> usize {
        match self {
            Self::Sgd { .. } => 0,
            Self::Momentum { .. } => parameters,
            Self::Adam { .. } => 2 * parameters,
            Self::Mq { .. } => depth,
        }
    }
}

impl Rule {
    /// The names that [`name`](Self::name) gives.
    pub const NAMES: [&'static str; 9] =
        ["bp", "zil", "spc", "epc", "fpa", "ar", "ar-topdown", "seqil", "ipc"];

    /// Its name in tables of launch strategies. Variants that run on the same launches (with or without a light cone,
    /// another step size or mixing) share one.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bp => "bp",
            Self::Zil => "zil",
            Self::Spc { .. } => "spc",
            Self::Epc => "epc",
            Self::Fpa { .. } => "fpa",
            Self::Ar { top_down: false } => "ar",
            Self::Ar { top_down: true } => "ar-topdown",
            Self::SeqIl { .. } => "seqil",
            Self::Ipc { .. } => "ipc",
        }
    }

    /// Whether the inference of each sample is independent of the others, so that parts of the batch need no
    /// synchronisation before the parameter gradients. It is not for a rule that moves the parameters in between.
    pub fn samples_are_independent(&self) -> bool {
        !matches!(self, Self::Ipc { .. })
    }

    /// Whether all layers of one inference step may be computed at once.
    pub fn layers_are_parallel(&self) -> bool {
        matches!(self, Self::Spc { .. } | Self::Fpa { .. } | Self::Ipc { .. } | Self::Ar { top_down: false })
    }
}

/// The lowest layer that has moved after t + 1 steps from the forward pass (L if there is none to move).
pub(crate) fn lowest(depth: usize, t: usize, light_cone: bool) -> usize {
    if light_cone {
        depth.saturating_sub(t + 1).max(1)
    } else {
        1
    }
}
