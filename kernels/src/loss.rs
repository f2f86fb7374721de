//! Output energies.

/// The form of the output energy, before its weight; its discriminant is its number in the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum LossKind {
    /// ½‖o − y‖², ε_L ∝ y − o.
    HalfSquaredError = 0,
    /// ‖o − y‖², ε_L ∝ 2(y − o).
    SquaredError = 1,
    /// −Σ y log softmax(o), ε_L ∝ y − softmax(o); every row of y must sum to 1.
    CrossEntropy = 2,
}

/// The output energy: weight · Σ over batch and outputs of the kind's term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Which term.
    pub kind: LossKind,
    /// Precision over normalisation, p/N.
    pub weight: f64,
}
