//! What is known of a rule's cost on a network without running it, in three words that never stand for one another.
//!
//! * A **count** is exact: products, FLOPs and bytes of the rule's schedule as this project executes it.
//! * A **bound** ([`least`]) is what no program that computes the rule's result can go below.
//! * A **prediction** is a time on a machine that is not at hand, under assumptions that are stated: products take the time
//!   of their FLOPs, nothing else takes any. *Critical path* is the depth in products with unlimited processors;
//!   *layer-parallel* has a processor per layer, each inference step waits for the end of the one before, and so lasts as
//!   long as its slowest layer.
//!
//! **The theorem.** Zahid, Guo & Fountas (arXiv 2304.02658) bound predictive coding from below by backpropagation. Their
//! unit is the time of a layer's VJP, and parameter VJPs are left out on both sides. With F_l and V_l the times of the
//! forward verb and the VJP of layer l (here: GEMM FLOPs), and BP = Σ F_l + Σ_{l≥2} V_l, the paper states
//!
//! * `[P]` FPA and Z-IL take at least Σ F_l + Σ_{t ≤ t_c} max_l V_l with t_c ≥ L steps to converge, even with
//!   one processor per layer, and so at least as long as backpropagation: a slow layer is paid for in every
//!   step, where backpropagation pays for it once;
//! * `[P]` from a feed-forward start the error of layer l is first different from zero after L − l steps, so
//!   convergence takes at least the distance to the output.
//!
//! The paper states nothing of sPC at fixed T, ePC, SeqIL, iPC or AR. What stands here about them is ours, `[O]`:
//! counts and makespans of their schedules, equal to the simulated schedule ([`super::makespan`]) on random networks.
//! V_1, which the paper includes, is left out too: no rule here needs an error below layer 1. A whole weight update,
//! which is what is timed, has parameter gradients: its share of them is larger under backpropagation than under any
//! rule that iterates, so multiples of BP in the theorem's unit are larger than those of whole updates, and bound
//! nothing that is measured here.

mod adjoints;
mod colours;
mod conjugate;
mod descent;
pub mod least;
mod statements;
mod times;

pub use adjoints::{ar, bp, fpa, fpa_nested, zil, zil_all};
pub use colours::{ep, spc_even_odd};
pub use conjugate::{epc_conjugate, spc_conjugate};
pub use descent::{epc, ipc, pcalm, seqil, spc, spc_spike};

use std::fmt;

use least::Least;

/// Where a statement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Zahid, Guo & Fountas, arXiv 2304.02658.
    Paper,
    /// This project, proved by counting its own schedule.
    Ours,
}

/// A sentence and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The sentence.
    pub text: &'static str,
    /// Where it comes from.
    pub source: Source,
}

/// A formula and its value on the network at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// In L, T, F_l, V_l and G_l (forward, VJP and parameter VJP of layer l).
    pub formula: &'static str,
    /// The number.
    pub value: u64,
}

/// Products of inference alone, parameter VJPs left out, on one machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inference {
    /// Of the FLOPs that follow one another.
    pub formula: &'static str,
    /// Those FLOPs, for all weight updates of the batch.
    pub flops: u64,
    /// The same per weight update over backpropagation's on such a machine.
    pub over_bp: f64,
    /// Its order for equal layers, as a multiple of BP.
    pub order: &'static str,
    /// Where the bound comes from.
    pub source: Source,
}

/// Everything known about what a rule costs on a network, without running it.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// The rule's name.
    pub rule: &'static str,
    /// Weight updates per batch: 1, or T under iPC.
    pub updates: u64,
    /// Count: matrix products of a whole weight update.
    pub gemms: Quantity,
    /// Count: their FLOPs.
    pub gemm_flops: Quantity,
    /// Count: tensor elements moved (times the element size: bytes).
    pub moved: u64,
    /// Count: all products of inference, one after another, as in the theorem's unit.
    pub inference: Inference,
    /// Bound: what no program for this rule can go below.
    pub least: Least,
    /// Prediction: dependency depth in products.
    pub critical_path: Quantity,
    /// Prediction: depth in products if every inference step waits for the one before.
    pub stepwise: Quantity,
    /// Prediction: inference on a processor per layer, step by step.
    pub layer_parallel: Inference,
    /// The layer with the slowest VJP that inference needs (from 2; 1 in a network of one layer).
    pub slowest_layer: usize,
    /// When the parameter directions are those of backpropagation.
    pub equals_bp: &'static str,
    /// What is known, and where each statement comes from.
    pub statements: &'static [Statement],
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paper => "[P]",
            Self::Ours => "[O]",
        })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.source, self.text)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.formula, self.value)
    }
}

impl fmt::Display for Inference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { formula, flops, over_bp, order, source } = self;
        write!(f, "{source} {formula} = {flops} FLOPs = {over_bp:.3} BP; {order}")
    }
}

impl fmt::Display for Analysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.rule)?;
        if self.updates != 1 {
            writeln!(
                f,
                "  weight updates              {} per batch; multiples of BP are per update",
                self.updates
            )?;
        }
        writeln!(f, "  count, GEMMs                {}", self.gemms)?;
        writeln!(f, "  count, GEMM FLOPs           {}", self.gemm_flops)?;
        writeln!(f, "  count, inference alone      {}", self.inference)?;
        writeln!(f, "  bound, whole update         {}", self.least.update)?;
        writeln!(f, "  bound, inference alone      {}", self.least.inference)?;
        writeln!(f, "  bound, because              {}", self.least.because)?;
        writeln!(f, "  prediction, critical path   {}", self.critical_path)?;
        writeln!(f, "  prediction, step by step    {}", self.stepwise)?;
        writeln!(f, "  prediction, layer-parallel  {}", self.layer_parallel)?;
        write!(f, "  equals BP                   {}", self.equals_bp)?;
        for statement in self.statements {
            write!(f, "\n  {statement}")?;
        }
        Ok(())
    }
}
