//! Operations, one file each; [`KINDS`] lists them.

pub mod activation;
pub mod arithmetic;
pub mod concat;
pub mod conv2d;
pub mod dense;
pub mod embedding;
pub mod layer_norm;
pub mod linear;
pub mod matmul;
pub mod pool;
pub mod reshape;
pub mod slice;
pub mod softmax;
pub mod sum;
pub mod transpose;
mod windows;

pub use activation::{Act, Activation, Elementwise};
pub use arithmetic::{Add, Mul, Scale, Sub};
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use dense::Dense;
pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use matmul::Matmul;
pub use pool::{AvgPool, MaxPool};
pub use reshape::Reshape;
pub use slice::Slice;
pub use softmax::Softmax;
pub use sum::Sum;
pub use transpose::Transpose;

use super::operation::Kind;

/// Every operation that can be named: those of the case format, and `embedding`.
pub const KINDS: [Kind; 19] = [
    linear::KIND,
    conv2d::KIND,
    activation::KIND,
    arithmetic::ADD,
    arithmetic::SUB,
    arithmetic::MUL,
    arithmetic::SCALE,
    concat::KIND,
    slice::KIND,
    sum::KIND,
    reshape::FLATTEN,
    reshape::RESHAPE,
    transpose::KIND,
    matmul::KIND,
    softmax::KIND,
    layer_norm::KIND,
    pool::MAX,
    pool::MEAN,
    embedding::KIND,
];
