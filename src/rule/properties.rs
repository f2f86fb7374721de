//! What a rule asks of the machine or brain that runs it, and what it infers: the questions of the literature on plausibility.

use std::fmt;

use super::Rule;

/// Answers for a rule, the same for its variants unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Properties {
    /// Whether a weight moves by what its own layer and the value below it hold.
    pub local: &'static str,
    /// Whether values of the forward pass have to be kept until they are read.
    pub stored: &'static str,
    /// Whether errors come down through the transposes of the forward weights.
    pub transposed: &'static str,
    /// What has to end before something else begins.
    pub phases: &'static str,
    /// Whether inference lowers the energy.
    pub descends: &'static str,
    /// What its states mean where it ends.
    pub infers: &'static str,
    /// Who says so; what tests hold is in `tests/numerics/laws.rs`.
    pub source: &'static str,
}

/// The most probable states under the generative model of predictive coding.
const MODE: &str = "the most probable states of a hierarchical model, normal around every prediction (other densities where latent \
                    energies say so)";

impl Rule {
    /// What the rule asks for and what it infers.
    pub fn properties(&self) -> Properties {
        match self {
            Self::Bp(_) => Properties {
                local: "no: an adjoint is made by all layers above, one after another",
                stored: "yes, every value",
                transposed: "yes",
                phases: "forward, backward, update",
                descends: "no inference",
                infers: "nothing",
                source: "Rumelhart, Hinton & Williams 1986; Lillicrap et al. 2020",
            },
            Self::Spc(_) => Properties {
                local: "yes",
                stored: "no: every step predicts anew",
                transposed: "yes",
                phases: "inference, then update",
                descends: "yes, below the largest stable step; not monotonically by another method than plain descent (but by conjugate \
                           gradients on linear networks under a squared error), or under precisions that change",
                infers: MODE,
                source: "Friston 2005; Whittington & Bogacz 2017; Bogacz 2017",
            },
            Self::Epc(_) => Properties {
                local: "the update, yes; inference, no: every step goes through all layers, up and down",
                stored: "yes, within every step",
                transposed: "yes",
                phases: "forward and backward in every step, then update",
                descends: "yes, below the largest stable step; not monotonically by another method than plain descent, but by conjugate \
                           gradients on linear networks under a squared error",
                infers: "what sPC infers, in other coordinates",
                source: "Goemaere et al., arXiv 2505.20137",
            },
            Self::Fpa(_) => Properties {
                local: "yes",
                stored: "yes, predictions and their derivatives",
                transposed: "yes",
                phases: "forward, inference, update",
                descends: "no: it solves backpropagation's linear equations step by step",
                infers: "nothing: its errors approach backpropagation's adjoints",
                source: "Millidge, Tschantz & Buckley, arXiv 2006.04182; Rosenbaum, arXiv 2106.13082",
            },
            Self::Zil(_) => Properties {
                local: "yes, but layer l has to learn in step L − l and no other",
                stored: "no",
                transposed: "yes",
                phases: "none but the timing",
                descends: "no: steps of size 1",
                infers: "nothing: its errors are backpropagation's adjoints",
                source: "Song et al. 2020; Salvatori et al., arXiv 2103.04689",
            },
            Self::SeqIl(_) => Properties {
                local: "yes",
                stored: "no",
                transposed: "yes",
                phases: "sweeps from the top down, then update",
                descends: "yes, at small steps",
                infers: MODE,
                source: "Alonso, Krichmar & Neftci, arXiv 2305.13562",
            },
            Self::Ipc(_) => Properties {
                local: "yes, in time too",
                stored: "no",
                transposed: "yes",
                phases: "none: states and weights move in every step",
                descends: "yes, at small steps, over states and weights together",
                infers: MODE,
                source: "Salvatori et al., arXiv 2212.00720",
            },
            Self::Ar(_) => Properties {
                local: "yes",
                stored: "yes, activations and their derivatives",
                transposed: "yes; not `ar-feedback`, which learns weights of its own for it",
                phases: "forward, relaxation, update",
                descends: "no: it solves backpropagation's linear equations step by step",
                infers: "nothing: its states approach backpropagation's adjoints",
                source: "Millidge et al., arXiv 2009.05359",
            },
            Self::PcAlm(_) => Properties {
                local: "yes, with a multiplier beside every state",
                stored: "no",
                transposed: "yes",
                phases: "steps of the states and of the multipliers in turn, then update",
                descends: "no: it looks for a saddle point",
                infers: "at rest nothing: its multipliers are backpropagation's adjoints",
                source: "Seely & Gould, arXiv 2605.31022",
            },
            Self::Ep(_) => Properties {
                local: "yes, from what its own layer holds at the ends of two phases",
                stored: "no: but the first phase's cotangents until the second has ended",
                transposed: "yes",
                phases: "free (a forward pass), nudged one way, nudged the other, then update",
                descends: "the energy with its losses weighted by −β and then by β, at small steps",
                infers: "at small β nothing: its errors over β approach backpropagation's adjoints",
                source: "Scellier & Bengio, arXiv 1602.05179; Laborieux et al., arXiv 2006.03824",
            },
        }
    }
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  local update                {}", self.local)?;
        writeln!(f, "  stored forward values       {}", self.stored)?;
        writeln!(f, "  transposed weights          {}", self.transposed)?;
        writeln!(f, "  phases                      {}", self.phases)?;
        writeln!(f, "  energy falls                {}", self.descends)?;
        writeln!(f, "  infers                      {}", self.infers)?;
        write!(f, "  source                      {}", self.source)
    }
}
