//! What an optimiser is.

use std::fmt;

use candle_core::Tensor;

use crate::net::Params;
use crate::Result;

/// Directions of descent, one entry per parameter as in [`Params`]; `None` is exactly zero.
pub type Directions = Vec<Option<Tensor>>;

/// An optimiser with its state.
pub trait Optimiser: fmt::Debug + Send {
    /// Moves `params` along `directions`, which are sums over `batch` samples. Optimisers whose equations
    /// are about the batch mean divide; the others work on sums, whatever the batch.
    fn step(&mut self, params: &mut Params, directions: &Directions, batch: usize) -> Result<()>;
}

/// Calls `update(index, parameter, direction)` for every tensor and stores what it returns.
pub(super) fn for_each(
    params: &mut Params,
    directions: &Directions,
    mut update: impl FnMut(usize, &Tensor, Option<&Tensor>) -> Result<Option<Tensor>>,
) -> Result<()> {
    for (index, (p, direction)) in params.iter_mut().zip(directions).enumerate() {
        if let Some(new) = update(index, p, direction.as_ref())? {
            *p = new;
        }
    }
    Ok(())
}
