//! Operations, one file each; [`KINDS`] lists them.

pub mod activation;
pub mod arithmetic;
pub mod concat;
pub mod dense;
pub mod linear;
pub mod slice;

pub use activation::{Act, Activation};
pub use arithmetic::{Add, Mul, Scale, Sub};
pub use concat::Concat;
pub use dense::Dense;
pub use linear::Linear;
pub use slice::Slice;

use super::operation::Kind;

/// Every operation that can be named, by the names of the case format.
pub const KINDS: [Kind; 8] = [
    linear::KIND,
    activation::KIND,
    arithmetic::ADD,
    arithmetic::SUB,
    arithmetic::MUL,
    arithmetic::SCALE,
    concat::KIND,
    slice::KIND,
];
