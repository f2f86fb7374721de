//! Errors of losses on a chunk.

use pcnbench_kernels::parts::Scalar;

use super::rows;
use super::value::{Memory, Numbers};
use crate::net::{Loss, LossKind};

/// −∂loss/∂o of rows of `outputs`; means divide by `batch` samples or `all` numbers.
pub fn error<T: Scalar>(
    memory: &Memory<T>,
    loss: &Loss,
    (batch, all): (usize, usize),
    outputs: usize,
    o: &[T],
    y: &[T],
) -> Numbers<T> {
    let weight = T::of(loss.weight(batch, all) * loss.kind.error_factor());
    let one = T::of(1.0);
    match loss.kind {
        LossKind::HalfSquaredError | LossKind::SquaredError => memory.zip(y, o, |y, o| weight * (y - o)),
        LossKind::CrossEntropy | LossKind::Kl => {
            memory.zip(y, &rows::softmax(memory, o, outputs), |y, s| weight * (y - s))
        }
        LossKind::Bernoulli => memory.zip(y, o, |y, o| weight * (y - one / (one + (-o).exponential()))),
        LossKind::Huber => memory.zip(y, o, |y, o| {
            let d = y - o;
            weight
                * if d > one {
                    one
                } else if d < -one {
                    -one
                } else {
                    d
                }
        }),
    }
}
