//! A product that a library makes.

/// Which buffer an operand of a [`Product`] is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The arena.
    Arena,
    /// θ.
    Theta,
}

/// An operand of a [`Product`]: its first element, and how far the next layer's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// Its buffer.
    pub base: Base,
    /// Its first element there.
    pub offset: usize,
    /// Elements from one layer to the next.
    pub stride: usize,
}

/// Which sides of a product are transposed; all matrices are stored row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `[m, k] [n, k]ᵀ`: a prediction from the state below.
    Up,
    /// `[m, k] [k, n]`: a vector-Jacobian product (pull).
    Down,
    /// `[k, m]ᵀ [k, n]`: parameter directions.
    Outer,
}

/// `count` products of one shape, `[m, n]` each, over a depth of k; the result overwrites what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Transpositions.
    pub form: Form,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Depth of the product.
    pub k: usize,
    /// How many layers.
    pub count: usize,
    /// Left operand.
    pub left: Operand,
    /// Right operand.
    pub right: Operand,
    /// Result.
    pub to: Operand,
    /// How it reads its operands.
    pub math: crate::MathMode,
}

/// A product for a library that stores matrices column by column. It reads a matrix that is stored row by row as its
/// transpose, and makes toᵀ = right'·left', `[n, k]` by `[k, m]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByColumns {
    /// Whether the right operand, which comes first, is turned.
    pub turn_right: bool,
    /// Whether the left operand is turned.
    pub turn_left: bool,
    /// Elements from column to column of the right operand.
    pub ld_right: usize,
    /// Elements from column to column of the left operand.
    pub ld_left: usize,
}

impl Product {
    /// How a library that stores by columns makes it.
    pub fn by_columns(&self) -> ByColumns {
        let (turn_right, ld_right) = match self.form {
            Form::Up => (true, self.k),
            Form::Down | Form::Outer => (false, self.n),
        };
        let (turn_left, ld_left) = match self.form {
            Form::Up | Form::Down => (false, self.k),
            Form::Outer => (true, self.m),
        };
        ByColumns { turn_right, turn_left, ld_right, ld_left }
    }
}
