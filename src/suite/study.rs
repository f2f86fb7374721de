//! Studies: what a benchmark measures of inference itself, in numbers of the theory and none of them the time of an update.

/// What is studied at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Study {
    /// How inference approaches the exact minimum of the energy.
    Convergence,
    /// The spectrum of the energy at the start of inference, and the forward pass.
    Conditioning,
    /// What the minimum of the energy says about the loss, and its directions about backpropagation's.
    Equivalence,
    /// Steps until directions are those of backpropagation.
    Budget,
    /// Training from near the origin, and the curvature there.
    Landscape,
    /// Directions beside those of a trust-region method.
    TrustRegion,
}

/// A number of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    /// Its name in `quantities.csv`.
    pub name: &'static str,
    /// What its column `at` holds; empty for a number that there is one of.
    pub at: &'static str,
    /// What it is.
    pub about: &'static str,
}

pub(super) const fn quantity(name: &'static str, at: &'static str, about: &'static str) -> Quantity {
    Quantity { name, at, about }
}

/// Of the models that learn, of a contender whose inference ends at a residual.
pub(crate) const STEPS_TAKEN: Quantity = quantity(
    "steps_taken",
    "samples",
    "inference steps that the first update takes on the first samples of the first batch, where it ends at a residual",
);

const SHARE: Quantity =
    quantity("share", "", "the step size that was best, as a share of the largest stable step 2/λ_max");
const CONDITION: Quantity =
    quantity("condition", "", "κ, the largest over the smallest eigenvalue, in what the rule moves");
const LARGEST: Quantity =
    quantity("largest", "", "λ_max of the Gauss–Newton matrix at the forward pass, in what the rule moves");

const CONVERGENCE: &[Quantity] = &[
    quantity("distance", "step", "‖ε − ε*‖/‖ε*‖ over all states, ε* at the exact minimum"),
    quantity("steps", "distance", "first step after which the distance stays below"),
    quantity(
        "flops",
        "distance",
        "FLOPs of products of the update that ends at this step, without a search for its step size",
    ),
    quantity("seconds", "distance", "wall-clock time of these steps, reference engine, f64"),
    SHARE,
    LARGEST,
    CONDITION,
];

const CONDITIONING: &[Quantity] = &[
    LARGEST,
    quantity("smallest", "", "λ_min of the same matrix"),
    CONDITION,
    quantity("forward_rms", "", "root mean square of the last state at the forward pass"),
];

const EQUIVALENCE: &[Quantity] = &[
    quantity("loss_over_energy", "", "loss at the forward pass over the minimum of F"),
    quantity("cosine", "", "of the directions at the minimum to backpropagation's"),
    quantity("cosine_lowest", "", "the same of the lowest quarter of the layers"),
    quantity("norm_ratio", "", "length of these directions over that of backpropagation's"),
];

const BUDGET: &[Quantity] = &[
    quantity("cosine", "step", "of the directions after this step to backpropagation's"),
    quantity("cosine_lowest", "step", "the same of the lowest quarter of the layers"),
    quantity("steps", "cosine", "first step from which on the cosine stays above"),
    quantity("steps_lowest", "cosine", "the same of the lowest quarter of the layers"),
    quantity(
        "flops",
        "cosine",
        "FLOPs of products of the update that ends at `steps`, without a search for its step size",
    ),
    quantity("seconds", "cosine", "wall-clock time of these steps, reference engine, f64"),
    LARGEST,
];

const LANDSCAPE: &[Quantity] = &[
    quantity("loss", "update", "loss of the forward pass on the batch"),
    quantity("escape", "", "first update with less than half of the first loss"),
    quantity(
        "origin_smallest",
        "",
        "smallest eigenvalue of what the rule descends, where all parameters are 0",
    ),
];

const TRUST_REGION: &[Quantity] = &[
    quantity(
        "cosine",
        "damping",
        "of the direction to the trust-region step; damping in units of the largest eigenvalue",
    ),
    quantity("length", "damping", "length of the direction over that of the trust-region step"),
    quantity(
        "cosine_errors",
        "",
        "of the errors that inference ends with to the trust-region step of the loss in them",
    ),
    quantity("length_errors", "", "length of these errors over that of this step"),
];

impl Quantity {
    /// Whether its numbers are a curve over steps, updates, dampings, layers or trials.
    pub fn is_curve(&self) -> bool {
        matches!(self.at, "step" | "update" | "damping" | "layer" | "trial")
    }
}

impl Study {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Convergence,
        Self::Conditioning,
        Self::Equivalence,
        Self::Budget,
        Self::Landscape,
        Self::TrustRegion,
    ];

    /// The name used in suites and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Convergence => "convergence",
            Self::Conditioning => "conditioning",
            Self::Equivalence => "equivalence",
            Self::Budget => "budget",
            Self::Landscape => "landscape",
            Self::TrustRegion => "trust-region",
        }
    }

    /// Families of rules that it can say something about: those that come to rest at the minimum of the energy, those whose directions
    /// are read off their errors in every step, or all.
    pub fn families(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Convergence | Self::Conditioning | Self::Equivalence => Some(&["spc", "epc"]),
            Self::Budget => Some(&["spc", "epc", "pcalm"]),
            Self::Landscape | Self::TrustRegion => None,
        }
    }

    /// Whether its curves are kept at every depth, and not of the deepest network alone.
    pub fn curves_at_every_depth(self) -> bool {
        matches!(self, Self::Landscape | Self::TrustRegion)
    }

    /// The numbers that it may record of a contender.
    pub const fn quantities(self) -> &'static [Quantity] {
        match self {
            Self::Convergence => CONVERGENCE,
            Self::Conditioning => CONDITIONING,
            Self::Equivalence => EQUIVALENCE,
            Self::Budget => BUDGET,
            Self::Landscape => LANDSCAPE,
            Self::TrustRegion => TRUST_REGION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Names are unique, in all and within a study.
    #[test]
    fn names_are_unique() {
        assert_eq!(Study::ALL.map(Study::name).into_iter().collect::<BTreeSet<_>>().len(), Study::ALL.len());
        for study in Study::ALL {
            let names: BTreeSet<_> = study.quantities().iter().map(|q| q.name).collect();
            assert_eq!(names.len(), study.quantities().len(), "{study:?}");
        }
    }
}
