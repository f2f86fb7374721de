//! The figures of studies, as data: what each shows, which claim it is about, and what was published beside it.

use crate::suite::Study;

/// What runs along the horizontal axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Over {
    /// Depth, or width where a benchmark has more widths than depths.
    Size,
    /// The column `at`, with this label.
    At(&'static str),
}

/// The vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Logarithmic.
    Log,
    /// From 0.
    Linear,
    /// Up to 1.
    Cosine,
}

/// Numbers of a paper or program, in the colours of the contender that they are of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    pub(super) contender: &'static str,
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    /// Of the networks that they are of.
    pub(super) activation: &'static str,
    pub(super) points: &'static [(f64, f64)],
}

/// A figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sheet {
    pub(super) figure: &'static str,
    pub(super) study: Study,
    pub(super) quantity: &'static str,
    /// The value of `at`, where one is drawn.
    pub(super) at: Option<f64>,
    pub(super) over: Over,
    pub(super) scale: Scale,
    /// Contender in whose units values are drawn.
    pub(super) relative_to: Option<&'static str>,
    /// Whether slopes are fitted.
    pub(super) exponent: bool,
    /// A power law to compare with.
    pub(super) guide: Option<(f64, &'static str)>,
    /// A height to compare with.
    pub(super) level: Option<(f64, &'static str)>,
    pub(super) published: &'static [Published],
    pub(super) title: &'static str,
    pub(super) label: &'static str,
    /// What is drawn.
    pub(super) about: &'static str,
    /// What a paper says of it.
    pub(super) claim: &'static str,
}

const BARE: Sheet = Sheet {
    figure: "",
    study: Study::Convergence,
    quantity: "",
    at: None,
    over: Over::Size,
    scale: Scale::Log,
    relative_to: None,
    exponent: false,
    guide: None,
    level: None,
    published: &[],
    title: "",
    label: "",
    about: "",
    claim: "",
};

const STEPS: Over = Over::At("inference step");
const DAMPING: Over = Over::At("damping μ in units of the largest eigenvalue");
const UPDATES: Over = Over::At("weight update");

/// Counts of FabricPC's linear chain, as its authors print them; seeds and grids are theirs.
const FABRIC: &[Published] = &[
    Published {
        contender: "spc",
        name: "sPC, published",
        source: "FabricPC, its chain and grid",
        activation: "identity",
        points: &[
            (2.0, 197.0),
            (4.0, 547.0),
            (8.0, 2404.0),
            (12.0, 7169.0),
            (16.0, 13285.0),
            (20.0, 30343.0),
        ],
    },
    Published {
        contender: "epc",
        name: "ePC, published",
        source: "FabricPC, its chain and grid",
        activation: "identity",
        points: &[(2.0, 10.0), (4.0, 37.0), (8.0, 26.0), (12.0, 136.0), (16.0, 81.0), (20.0, 75.0)],
    },
];

const FABRIC_RATIO: &[Published] = &[Published {
    contender: "spc",
    name: "sPC / ePC, published",
    source: "FabricPC, its chain and grid",
    activation: "identity",
    points: &[
        (2.0, 197.0 / 10.0),
        (4.0, 547.0 / 37.0),
        (8.0, 2404.0 / 26.0),
        (12.0, 7169.0 / 136.0),
        (16.0, 13285.0 / 81.0),
        (20.0, 30343.0 / 75.0),
    ],
}];

/// Steps to 90 % of backpropagation's direction at depths 4 to 128, one network each.
const SCALING: &[Published] = &[
    Published {
        contender: "spc",
        name: "PC, published",
        source: "tarun-ks depth scaling",
        activation: "relu",
        points: &[(4.0, 3.0), (8.0, 8.0), (16.0, 32.0), (32.0, 128.0), (64.0, 512.0), (128.0, 2048.0)],
    },
    Published {
        contender: "pcalm",
        name: "PC-ALM, published",
        source: "tarun-ks depth scaling",
        activation: "relu",
        points: &[(4.0, 3.0), (8.0, 8.0), (16.0, 16.0), (32.0, 48.0), (64.0, 96.0), (128.0, 256.0)],
    },
];

/// All of them, in the order of a page.
pub(super) const SHEETS: &[Sheet] = &[
    Sheet {
        figure: "convergence-steps",
        quantity: "steps",
        at: Some(1e-3),
        exponent: true,
        published: FABRIC,
        title: "Inference steps to a thousandth of the exact equilibrium",
        label: "steps",
        about: "First step after which ‖ε − ε*‖/‖ε*‖ stays below 1e-3, each rule at the best step size of one grid of shares of 2/λ_max.",
        claim: "Goemaere et al. (arXiv 2505.20137) say that ePC needs 100 to 1000 times fewer steps than sPC; hollow markers are the \
                counts that FabricPC prints for its own linear chain, which scatter with seed and grid.",
        ..BARE
    },
    Sheet {
        figure: "convergence-ratio",
        quantity: "steps",
        at: Some(1e-3),
        relative_to: Some("epc"),
        exponent: true,
        published: FABRIC_RATIO,
        level: Some((1.0, "ePC")),
        title: "Inference steps in units of those of ePC",
        label: "steps over those of ePC",
        about: "The steps of the figure before over those of ePC on the same network, draw by draw.",
        claim: "How the ratio grows with depth is the claim that can be compared; a step of sPC and one of ePC cost the same products.",
        ..BARE
    },
    Sheet {
        figure: "convergence-flops",
        quantity: "flops",
        at: Some(1e-3),
        relative_to: Some("epc"),
        exponent: true,
        level: Some((1.0, "ePC")),
        title: "Work to a thousandth of the exact equilibrium, in units of that of ePC",
        label: "FLOPs of products over those of ePC",
        about: "FLOPs of the matrix products of an update that ends at this step, parameter gradients included, a search for the step size left \
                out, over those of ePC.",
        claim: "Steps and work tell the same story where steps cost the same.",
        ..BARE
    },
    Sheet {
        figure: "convergence-seconds",
        quantity: "seconds",
        at: Some(1e-3),
        relative_to: Some("epc"),
        exponent: true,
        level: Some((1.0, "ePC")),
        title: "Time to a thousandth of the exact equilibrium, in units of that of ePC",
        label: "seconds over those of ePC",
        about: "Wall-clock time of the inference steps on the reference engine in f64, one run each, over that of ePC.",
        claim: "On one processor; with a processor per layer a step of sPC takes the time of one layer and one of ePC that of all.",
        ..BARE
    },
    Sheet {
        figure: "convergence-curve",
        quantity: "distance",
        over: STEPS,
        level: Some((1e-3, "1e-3")),
        title: "Distance to the exact equilibrium during inference",
        label: "‖ε − ε*‖ / ‖ε*‖",
        about: "Relative distance of the errors to those at the minimum of the energy, at the deepest network, each rule at its best step.",
        claim: "Plain descent ends up along the flattest direction, at 1 − κ⁻¹ per step or so; momentum changes that to √κ.",
        ..BARE
    },
    Sheet {
        figure: "conditioning-kappa",
        study: Study::Conditioning,
        quantity: "condition",
        exponent: true,
        guide: Some((2.0, "O(L²)")),
        title: "Condition number of inference at the start",
        label: "κ = λ_max / λ_min",
        about: "Largest over smallest eigenvalue of the Gauss–Newton matrix of the energy at the forward pass, in what each rule moves.",
        claim: "Theory for orthogonal chains is 16H²/π² in the states (H hidden layers); published fits for μPC give L^2.02, and \
                arXiv 2510.23323 has it explode for standard parameterisations with skips.",
        ..BARE
    },
    Sheet {
        figure: "conditioning-largest",
        study: Study::Conditioning,
        quantity: "largest",
        title: "Largest curvature of inference at the start",
        label: "λ_max",
        about: "The largest eigenvalue of the same matrix: a fixed step is stable below 2/λ_max.",
        claim: "Under μPC that of the states hardly depends on width and depth, which is why one state step serves all of them (arXiv \
                2505.13124); that of the errors grows with depth.",
        ..BARE
    },
    Sheet {
        figure: "conditioning-rms",
        study: Study::Conditioning,
        quantity: "forward_rms",
        title: "Size of the last state at the forward pass",
        label: "root mean square",
        about: "Root mean square of the entries of the last hidden state at initialisation.",
        claim: "Residual μPC keeps a size near 1 to depth 512 (arXiv 2505.13124); of standard starts without skips, normal ones vanish, under \
                tanh at the latest, and orthogonal linear ones do not.",
        ..BARE
    },
    Sheet {
        figure: "equivalence-loss",
        study: Study::Equivalence,
        quantity: "loss_over_energy",
        level: Some((1.0, "equal")),
        title: "Loss over the equilibrated energy",
        label: "loss / F*",
        about: "Loss at the forward pass over the energy at its minimum over the states.",
        claim: "Innocenti et al. (arXiv 2505.13124) prove for linear residual μPC networks that it goes to 1 as the width grows beyond the \
                depth: predictive coding then descends the loss.",
        ..BARE
    },
    Sheet {
        figure: "equivalence-cosine",
        study: Study::Equivalence,
        quantity: "cosine",
        scale: Scale::Cosine,
        title: "Cosine of predictive coding's direction at the equilibrium to that of backpropagation",
        label: "cosine",
        about: "All parameters together, at initialisation.",
        claim: "The same limit, for directions: 1 where the width is far beyond the depth.",
        ..BARE
    },
    Sheet {
        figure: "equivalence-lowest",
        study: Study::Equivalence,
        quantity: "cosine_lowest",
        scale: Scale::Cosine,
        title: "The same cosine in the lowest quarter of the layers",
        label: "cosine, lowest quarter",
        about: "Mean over the lowest quarter of the layers, which the output's layer does not hide.",
        claim: "The same limit. Each layer counts alike here, so that lengths, which the cosine of all parameters weighs, do not enter.",
        ..BARE
    },
    Sheet {
        figure: "budget-steps",
        study: Study::Budget,
        quantity: "steps",
        at: Some(0.9),
        exponent: true,
        published: SCALING,
        title: "Inference steps to a cosine of 0.9 to backpropagation's direction",
        label: "steps",
        about: "First step from which on the cosine of all parameters together stays above 0.9, over a window of a quarter of the steps.",
        claim: "Published fits (hollow: tarun-ks) are L^1.92 for descent and L^1.21 for PC-ALM or Nesterov with the step that the \
                spectrum sets.",
        ..BARE
    },
    Sheet {
        figure: "budget-lowest",
        study: Study::Budget,
        quantity: "steps_lowest",
        at: Some(0.9),
        exponent: true,
        title: "The same for the lowest quarter of the layers",
        label: "steps",
        about: "First step from which on the mean cosine of the lowest quarter of the layers stays above 0.9.",
        claim: "A layer's own cosine says nothing of lengths: it is near 1 as soon as the signal has arrived, while that of all parameters \
                together waits until hidden layers have the length that they have under backpropagation.",
        ..BARE
    },
    Sheet {
        figure: "budget-flops",
        study: Study::Budget,
        quantity: "flops",
        at: Some(0.9),
        exponent: true,
        title: "Work to a cosine of 0.9 to backpropagation's direction",
        label: "FLOPs of products",
        about: "FLOPs of the matrix products of an update that ends at this step, parameter gradients included, a search for the step size left \
                out.",
        claim: "Backpropagation itself needs 3L − 1 products for a cosine of 1.",
        ..BARE
    },
    Sheet {
        figure: "budget-seconds",
        study: Study::Budget,
        quantity: "seconds",
        at: Some(0.9),
        exponent: true,
        title: "Time to a cosine of 0.9 to backpropagation's direction",
        label: "seconds",
        about: "Wall-clock time of these inference steps on the reference engine in f64, one run each.",
        claim: "On one processor.",
        ..BARE
    },
    Sheet {
        figure: "budget-cosine",
        study: Study::Budget,
        quantity: "cosine",
        over: STEPS,
        scale: Scale::Cosine,
        title: "Cosine to backpropagation's direction during inference",
        label: "cosine",
        about: "All parameters together, at the deepest network.",
        claim: "Momentum passes a threshold in transit, which is why it has to be held.",
        ..BARE
    },
    Sheet {
        figure: "budget-cosine-lowest",
        study: Study::Budget,
        quantity: "cosine_lowest",
        over: STEPS,
        scale: Scale::Cosine,
        title: "The same in the lowest quarter of the layers",
        label: "cosine, lowest quarter",
        about: "Mean over the lowest quarter of the layers, at the deepest network.",
        claim: "0 until an error has arrived there.",
        ..BARE
    },
    Sheet {
        figure: "landscape-loss",
        study: Study::Landscape,
        quantity: "loss",
        over: UPDATES,
        title: "Training from near the origin",
        label: "loss of the forward pass",
        about: "Loss on the batch against weight updates at one learning rate, one figure per depth.",
        claim: "Innocenti et al. (arXiv 2408.11979) prove for deep linear networks that the origin, a degenerate saddle of the loss with \
                more than one hidden layer, is a strict saddle of the equilibrated energy.",
        ..BARE
    },
    Sheet {
        figure: "landscape-escape",
        study: Study::Landscape,
        quantity: "escape",
        title: "Weight updates until the loss has halved, from near the origin",
        label: "weight updates",
        about: "First update whose loss is below half of the first; no point where training did not get there.",
        claim: "A strict saddle is left sooner (arXiv 2408.11979).",
        ..BARE
    },
    Sheet {
        figure: "landscape-origin",
        study: Study::Landscape,
        quantity: "origin_smallest",
        scale: Scale::Linear,
        title: "Smallest curvature at the origin of the parameters",
        label: "smallest eigenvalue",
        about: "Of the matrix of second derivatives of what the rule descends where all parameters are zero, by differences of its directions.",
        claim: "Negative: a strict saddle. Zero: flat in all directions to second order, as the loss is with more than one hidden layer.",
        ..BARE
    },
    Sheet {
        figure: "trust-region-cosine",
        study: Study::TrustRegion,
        quantity: "cosine",
        over: DAMPING,
        scale: Scale::Cosine,
        title: "Cosine of each rule's direction to the trust-region step",
        label: "cosine",
        about: "The trust-region step of the loss is (H + μ)⁻¹ times backpropagation's direction; small dampings μ are large regions. \
                Where H has negative eigenvalues, μ counts from minus the smallest.",
        claim: "arXiv 2510.23323 calls predictive coding an approximate trust-region method: it should lie above backpropagation somewhere.",
        ..BARE
    },
    Sheet {
        figure: "trust-region-length",
        study: Study::TrustRegion,
        quantity: "length",
        over: DAMPING,
        title: "Length of each rule's direction over that of the trust-region step",
        label: "length over that of the step",
        about: "The same steps; where a curve crosses 1 the direction is as long as that step.",
        claim: "A trust-region method shortens steps where the loss is curved.",
        level: Some((1.0, "as long")),
        ..BARE
    },
    Sheet {
        figure: "trust-region-errors",
        study: Study::TrustRegion,
        quantity: "cosine_errors",
        scale: Scale::Cosine,
        title: "Cosine of inferred errors to the trust-region step of the loss in the errors",
        label: "cosine",
        about: "In the errors e the energy is loss(e) + ½‖e‖², so its Gauss–Newton step from e = 0 is a trust-region step of the loss.",
        claim: "Exactly 1 at the equilibrium of linear networks: inference, not the weight update, is the trust-region method.",
        ..BARE
    },
];
