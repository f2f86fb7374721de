//! Operations, one file each.

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
