//! The description of an output energy, the only one of the project, and the output error that an engine makes of it.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The form of the loss, before precision and reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// ½‖o − y‖².
    HalfSquaredError,
    /// ‖o − y‖².
    SquaredError,
    /// −Σ y log softmax(o), softmax over the outputs of each sample.
    CrossEntropy,
    /// KL(y ‖ softmax(o)) = Σ y (log y − log softmax(o)): cross-entropy less the entropy of y, 0 where they agree. Same
    /// derivative.
    Kl,
    /// −Σ y log σ(o) + (1 − y) log(1 − σ(o)), every output a probability of its own with the logit o; y in [0, 1].
    Bernoulli,
    /// Σ h(o − y) with h(d) = ½d² for |d| ≤ 1 and |d| − ½ beyond: squared error whose derivative is bounded by 1.
    Huber,
}

/// What the sum over batch and outputs is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// N = 1.
    Sum,
    /// N = B.
    BatchMean,
    /// N = the number of entries of o, B·n_L of a chain.
    ElementMean,
}

/// loss = (p/N) · Σ over batch and outputs of the kind's term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Which term.
    pub kind: LossKind,
    /// Which N.
    pub reduction: Reduction,
    /// Output precision p.
    pub precision: f64,
}

/// ε_L = −∂loss/∂o of one of [`LossKind::STACKED`] on one batch: w (y − o), or w (y − softmax(o)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputError {
    /// w, p/N times the factor of the kind.
    pub weight: f64,
    /// Whether y is compared with softmax(o); every row of y must then sum to 1.
    pub softmax: bool,
}

impl LossKind {
    /// Losses of a [`Stack`](crate::Stack): those that the kernels have.
    pub const STACKED: [Self; 3] = [Self::HalfSquaredError, Self::SquaredError, Self::CrossEntropy];

    /// Every loss, in the order help texts list them.
    pub const ALL: [Self; 6] = [
        Self::HalfSquaredError,
        Self::SquaredError,
        Self::CrossEntropy,
        Self::Kl,
        Self::Bernoulli,
        Self::Huber,
    ];

    /// Whether its targets are distributions over the last axis: rows that sum to 1.
    pub fn judges_distributions(self) -> bool {
        matches!(self, Self::CrossEntropy | Self::Kl)
    }

    /// The factor of the difference in −∂/∂o of the term: 2 for the squared error without its ½, 1 for all others.
    pub fn error_factor(self) -> f64 {
        if self == Self::SquaredError {
            2.0
        } else {
            1.0
        }
    }

    /// The name used in suites and case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfSquaredError => "half_squared_error",
            Self::SquaredError => "squared_error",
            Self::CrossEntropy => "cross_entropy",
            Self::Kl => "kl",
            Self::Bernoulli => "bernoulli",
            Self::Huber => "huber",
        }
    }
}

impl Reduction {
    /// Every reduction.
    pub const ALL: [Self; 3] = [Self::Sum, Self::BatchMean, Self::ElementMean];

    /// The name used in suites and case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::BatchMean => "batch_mean",
            Self::ElementMean => "element_mean",
        }
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LossKind {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Error::find("loss", s, Self::ALL, Self::name)
    }
}

impl FromStr for Reduction {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Error::find("reduction", s, Self::ALL, Self::name)
    }
}

impl Loss {
    /// ½‖o − y‖² summed over the batch: the field's default output energy.
    pub const HALF_SQUARED_ERROR: Self =
        Self { kind: LossKind::HalfSquaredError, reduction: Reduction::Sum, precision: 1.0 };

    /// p/N for a batch of `batch` samples whose outputs have `entries` numbers together.
    pub fn weight(&self, batch: usize, entries: usize) -> f64 {
        self.precision
            / match self.reduction {
                Reduction::Sum => 1.0,
                Reduction::BatchMean => batch as f64,
                Reduction::ElementMean => entries as f64,
            }
    }

    /// What the kernels read of it on a batch of `batch` samples whose outputs have `entries` numbers together.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a kind that is none of [`LossKind::STACKED`].
    pub fn on(&self, batch: usize, entries: usize) -> Result<OutputError> {
        if !LossKind::STACKED.contains(&self.kind) {
            return Err(Error::Unsupported(format!(
                "loss {} is not built into the kernels; use half_squared_error, squared_error or cross_entropy, or engine \
                 reference",
                self.kind
            )));
        }
        let weight = self.weight(batch, entries) * self.kind.error_factor();
        Ok(OutputError { weight, softmax: self.kind == LossKind::CrossEntropy })
    }
}

impl OutputError {
    /// The same with its weight times `factor`.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { weight: self.weight * factor, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_from_kind_reduction_and_precision() {
        let on = |kind, reduction| Loss { kind, reduction, precision: 3.0 }.on(4, 8).unwrap();
        let error = |weight, softmax| OutputError { weight, softmax };
        assert_eq!(on(LossKind::HalfSquaredError, Reduction::Sum), error(3.0, false));
        assert_eq!(on(LossKind::SquaredError, Reduction::BatchMean), error(1.5, false));
        assert_eq!(on(LossKind::CrossEntropy, Reduction::ElementMean), error(0.375, true));
    }

    #[test]
    fn other_losses_are_refused_by_name() {
        for kind in LossKind::ALL.into_iter().filter(|kind| !LossKind::STACKED.contains(kind)) {
            let said = Loss { kind, ..Loss::HALF_SQUARED_ERROR }.on(1, 1).unwrap_err().to_string();
            assert!(said.starts_with(&format!("loss {kind} is not built into the kernels; use ")), "{said}");
        }
    }
}
