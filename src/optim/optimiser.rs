//! What an optimiser is.

use std::fmt;

use candle_core::Tensor;

use crate::net::Params;
use crate::{Error, Result};

/// Directions of descent, one entry per parameter as in [`Params`]; `None` is exactly zero.
pub type Directions = Vec<Option<Tensor>>;

/// An optimiser with its state.
pub trait Optimiser: fmt::Debug + Send {
    /// Moves `params` along `directions`, which are sums over `batch` samples. Optimisers whose equations
    /// are about the batch mean divide; the others work on sums, whatever the batch.
    fn step(&mut self, params: &mut Params, directions: &Directions, batch: usize) -> Result<()>;

    /// Sets the learning rate α of the steps that follow.
    fn set_rate(&mut self, rate: f64);

    /// What it keeps from step to step.
    fn memory(&self) -> Memory;

    /// Goes on from what an optimiser of its kind on the same parameters kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a quantity is missing.
    fn restore(&mut self, memory: Memory) -> Result<()>;
}

/// What an optimiser keeps from step to step: with the parameters it decides all steps that follow.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Steps so far.
    pub steps: u64,
    /// Quantities by name, each a table by parameter, or by group of parameters where the optimiser has one number per group; `None` for
    /// what is zero because no direction has been there yet.
    pub tables: Vec<(&'static str, Vec<Option<Tensor>>)>,
}

impl Memory {
    /// Bytes of all its tensors.
    pub fn bytes(&self) -> usize {
        let tensors = self.tables.iter().flat_map(|(_, table)| table.iter().flatten());
        tensors.map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes()).sum()
    }

    /// The table of a quantity.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn take(&mut self, quantity: &str) -> Result<Vec<Option<Tensor>>> {
        let found = self.tables.iter_mut().find(|(name, _)| *name == quantity);
        found.map(|(_, table)| std::mem::take(table)).ok_or_else(|| {
            Error::Invalid(format!("the memory of an optimiser lacks its quantity `{quantity}`"))
        })
    }
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
