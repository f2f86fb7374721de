//! Time-complexity bounds of every rule against backpropagation.
//!
//! Zahid, Guo & Fountas (arXiv 2304.02658) bound predictive coding from below by backpropagation. Their unit
//! is the time of a layer's VJP; parameter VJPs are left out on all sides. With F_l and V_l the times of the
//! forward verb and the VJP of layer l (here: GEMM FLOPs), and BP = Σ F_l + Σ_{l≥2} V_l, the paper states
//!
//! * `[P]` FPA and Z-IL take at least Σ F_l + Σ_{t ≤ t_c} max_l V_l with t_c ≥ L steps to converge, even with
//!   one processor per layer, and so at least as long as backpropagation: a slow layer is paid for in every
//!   step, where backpropagation pays for it once;
//! * `[P]` from a feed-forward start the error of layer l is first different from zero after L − l steps, so
//!   convergence takes at least the distance to the output.
//!
//! The paper does not bound sPC at fixed T, ePC, SeqIL, iPC or AR. Those statements are ours, `[O]`: they are
//! the makespan of the rule's own schedule, with the parameter VJPs taken out, and tests hold each formula
//! equal to the simulated schedule ([`super::makespan`]) on random networks. V_1, which the paper includes,
//! is left out too: no rule here needs an error below layer 1. Two machines:
//!
//! * **serial**: one product at a time; the time is the sum of all products of inference;
//! * **layer-parallel**: a processor per layer; each inference step waits for the end of the one before, so it
//!   lasts as long as its slowest layer.

mod adjoints;
mod descent;
mod times;
mod words;

pub use adjoints::{ar, bp, fpa, zil, zil_all};
pub use descent::{epc, ipc, seqil, spc};

use std::fmt;

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Zahid, Guo & Fountas, arXiv 2304.02658.
    Paper,
    /// This project, proved by counting its own schedule.
    Ours,
}

/// A sentence and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The sentence.
    pub text: &'static str,
    /// Whose it is.
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

/// The bound on one machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnMachine {
    /// Time of inference, parameter VJPs excluded.
    pub formula: &'static str,
    /// In FLOPs, for all weight updates of the batch.
    pub time: u64,
    /// Time per weight update over backpropagation's on the same machine.
    pub over_bp: f64,
    /// Its order for equal layers, as a multiple of BP.
    pub order: &'static str,
    /// Whose bound this is.
    pub source: Source,
}

/// Everything known about what a rule costs on a network, without running it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The rule's name.
    pub rule: &'static str,
    /// Weight updates per batch: 1, or T under iPC.
    pub updates: u64,
    /// Matrix products.
    pub gemms: Quantity,
    /// Their FLOPs.
    pub gemm_flops: Quantity,
    /// Tensor elements moved (times the element size: bytes).
    pub moved: u64,
    /// Dependency depth in products.
    pub critical_path: Quantity,
    /// Depth in products if every inference step waits for the one before.
    pub stepwise: Quantity,
    /// One product at a time.
    pub serial: OnMachine,
    /// A processor per layer, step by step.
    pub layer_parallel: OnMachine,
    /// The layer with the slowest VJP that inference needs (from 2; 1 in a network of one layer).
    pub slowest_layer: usize,
    /// When the parameter directions are those of backpropagation.
    pub equals_bp: &'static str,
    /// What is known, and who says so.
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

impl fmt::Display for OnMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { formula, time, over_bp, order, source } = self;
        write!(f, "{source} {formula} = {time} FLOPs = {over_bp:.3} BP; {order}")
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.rule)?;
        if self.updates != 1 {
            writeln!(f, "  weight updates  {} per batch; multiples of BP are per update", self.updates)?;
        }
        writeln!(f, "  GEMMs           {}", self.gemms)?;
        writeln!(f, "  GEMM FLOPs      {}", self.gemm_flops)?;
        writeln!(f, "  critical path   {}", self.critical_path)?;
        writeln!(f, "  step by step    {}", self.stepwise)?;
        writeln!(f, "  serial          {}", self.serial)?;
        writeln!(f, "  layer-parallel  {}", self.layer_parallel)?;
        write!(f, "  equals BP       {}", self.equals_bp)?;
        for statement in self.statements {
            write!(f, "\n  {statement}")?;
        }
        Ok(())
    }
}
