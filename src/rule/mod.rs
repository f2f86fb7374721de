//! Learning rules: one file each, a schedule of a layer's verbs that reads like its equations.
//!
//! A contender's name is the rule's, followed by its switches:
//!
//! | name | rule |
//! | --- | --- |
//! | `bp` | backpropagation |
//! | `spc` | state-based predictive coding, simultaneous |
//! | `epc` | error-based predictive coding |
//! | `fpa` | fixed prediction |
//! | `zil` | Z-IL, frontier only (what backpropagation costs); `zil-all` updates all nodes |
//! | `seqil` | sequential inference learning; `seqil-mixed` as published: inverse decay, output mixing β = 100 |
//! | `ipc` | incremental: states and weights in every step |
//! | `ar` | activation relaxation, simultaneous; `ar-topdown` in place |
//! | `pcalm` | augmented Lagrangian, directions before the last update of the multipliers; `pcalm-post` after it |
//! | `ep` | equilibrium propagation, centred, on the same energy |
//!
//! `-spike` cancels the step by a precision in the step in which a vertex's first error goes on (`spc`); `-decay` divides the step
//! by 1 + t; `-momentum` carries 0.9 of the step before along, `-adam` steps by the moments of the descent, `-cg` takes conjugate gradients,
//! which need no step size, and `-nesterov` and
//! `-chebyshev` are accelerated descent whose step size is a share of the largest stable step ([`Method`]; `spc`, `epc`); `-evenodd`
//! moves the states of two colours in turn (`spc`); `-auto` reads the step size as a share of the largest stable step (`spc`, `epc`,
//! `pcalm`, `seqil`, `ipc`, `ep`); `-full` turns the light cone off (`spc`, `fpa`, `zil-all`, `ipc`);
//! `-feedback` carries errors down learned backward weights and `-linear` drops φ' on the way (`ar`), in this
//! order. [`Rule::NAMES`] lists every combination there is.

mod ar;
mod bp;
mod colours;
mod conjugate;
mod ep;
mod epc;
mod fpa;
pub mod info;
mod ipc;
pub mod learning;
mod method;
mod pcalm;
pub mod properties;
mod registry;
mod relaxation;
mod residual;
mod seqil;
mod spc;
mod walk;
mod zil;

pub use ar::{Ar, Feedback, Sweep};
pub use bp::Bp;
pub use ep::Ep;
pub use epc::Epc;
pub use fpa::Fpa;
pub use info::{Inference, Info};
pub use ipc::Ipc;
pub use learning::{Decay, LearningRule, StepUnit, Steps};
pub use method::{Method, Momentum};
pub use pcalm::PcAlm;
pub use properties::Properties;
pub use seqil::SeqIl;
pub use spc::Spc;
pub use walk::directions_at;
pub use zil::{Nodes, Zil};

use std::fmt;

use crate::engine::curvature::{Coordinates, Descended};
use crate::engine::{Engine, EngineKind, LearnedOn, Watch};
use crate::net::{Graph, VertexId};
use crate::theory::analysis::Analysis;
use crate::theory::cost::{NetCost, RuleCost};
use crate::{Error, Result};

registry::rules! {
    /// Backpropagation.
    Bp,
    /// State-based predictive coding.
    Spc,
    /// Error-based predictive coding.
    Epc,
    /// Fixed prediction.
    Fpa,
    /// Zero-divergence inference learning.
    Zil,
    /// Sequential inference learning.
    SeqIl,
    /// Incremental predictive coding.
    Ipc,
    /// Activation relaxation.
    Ar,
    /// Augmented-Lagrangian predictive coding.
    PcAlm,
    /// Equilibrium propagation on the energy of predictive coding.
    Ep,
}

impl Info {
    /// Of the rule or variant of this name; `None` for a name that no rule has.
    pub fn of(name: &str) -> Option<&'static Self> {
        Rule::VARIANTS.iter().copied().flatten().find(|info| info.name == name)
    }

    /// Whether an engine can execute the rule or variant of this name.
    pub fn runs(name: &str, engine: EngineKind) -> bool {
        Self::of(name).is_some_and(|info| info.runs_on(engine))
    }
}

impl Rule {
    /// Whether the end of inference is a point of the energy.
    pub fn has_energy(&self) -> bool {
        Info::of(self.name()).is_some_and(|info| info.energy)
    }

    /// Whether its inference can end at a [residual](Steps::residual): that of sPC and ePC, whose coordinates all move from one point and
    /// by one energy.
    pub fn ends_at_residual(&self) -> bool {
        match self {
            Self::Spc(spc) => !spc.even_odd && !spc.spike,
            Self::Epc(_) => true,
            _ => false,
        }
    }

    /// Weight updates per batch: T under a rule that moves the parameters in every inference step, else 1.
    pub fn updates(&self) -> u64 {
        self.steps().filter(|_| self.moves_parameters()).map_or(1, |s| s.count as u64)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
