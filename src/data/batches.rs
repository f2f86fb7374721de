//! Mini-batches: which rows, in which order, as which tensors.

use candle_core::{DType, Device, Tensor};

use super::rng::{self, Purpose};
use super::{Split, Targets};
use crate::{Error, Result};

/// Some rows of a [`Split`], copied together in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Examples in this batch.
    pub rows: usize,
    /// Numbers per example.
    pub inputs: usize,
    /// Numbers per target.
    pub outputs: usize,
    /// Examples, row-major `[rows, inputs]`.
    pub x: Vec<f32>,
    /// Targets, row-major `[rows, outputs]`; one-hot in classification.
    pub y: Vec<f32>,
    /// Classes, `[rows]`; `None` in regression.
    pub labels: Option<Vec<u32>>,
}

impl Batch {
    fn gather(split: &Split, order: &[usize]) -> Self {
        let (inputs, outputs) = (split.inputs(), split.outputs());
        // Row by row: copying number by number takes five times as long, and batches are drawn between steps.
        let rows = |all: &[f32], width: usize| {
            let mut rows = Vec::with_capacity(order.len() * width);
            order.iter().for_each(|&row| rows.extend_from_slice(&all[row * width..][..width]));
            rows
        };
        let (y, labels) = match split.targets() {
            Targets::Classes(all) => {
                let labels: Vec<u32> = order.iter().map(|&row| all[row]).collect();
                let mut y = vec![0.0; order.len() * outputs];
                for (target, &label) in y.chunks_exact_mut(outputs).zip(&labels) {
                    target[label as usize] = 1.0;
                }
                (y, Some(labels))
            }
            Targets::Values(all) => (rows(all, outputs), None),
        };
        let x = rows(split.x(), inputs);
        Self { rows: order.len(), inputs, outputs, x, y, labels }
    }

    /// Inputs `[rows, inputs]` and targets `[rows, outputs]` as contiguous tensors on `device`.
    ///
    /// `f64` is the exact widening of the `f32` values. Both are made on the host and then copied, so
    /// every device receives the same bits.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other `dtype`, [`Error::Candle`] if the device refuses the copy.
    pub fn to_tensors(&self, dtype: DType, device: &Device) -> Result<[Tensor; 2]> {
        let tensor = |values: &[f32], width: usize| {
            match dtype {
            DType::F32 => Ok(Tensor::from_slice(values, (self.rows, width), device)?),
            DType::F64 => {
                let wide = values.iter().copied().map(f64::from).collect();
                Ok(Tensor::from_vec(wide, (self.rows, width), device)?)
            }
            other => Err(Error::Invalid(format!(
                "mini-batches are made in f32 or f64, not in {}; ask for one of these and convert the tensors",
                other.as_str()
            ))),
        }
        };
        Ok([tensor(&self.x, self.inputs)?, tensor(&self.y, self.outputs)?])
    }
}

/// Shuffled mini-batches of one size.
///
/// The order of epoch `e` depends on the seed, `e` and the number of rows only, so any epoch can be drawn
/// again without drawing those before it. Rows left over at the end of an epoch (fewer than a batch) are
/// dropped: every batch has the same shape, which timings rely on.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    split: &'a Split,
    batch: usize,
    seed: u64,
}

impl<'a> Batches<'a> {
    /// Mini-batches of `batch` rows each from `split`, shuffled anew each epoch from `seed`.
    ///
    /// # Errors
    /// [`Error::Key`] naming the key `batch` if it is 0 or more than the rows there are.
    pub fn new(split: &'a Split, batch: usize, seed: u64) -> Result<Self> {
        if batch == 0 || batch > split.rows() {
            return Err(Error::Key {
                place: "mini-batches".to_owned(),
                key: "batch".to_owned(),
                problem: format!(
                    "{batch} rows asked for and {} available; give a number from 1 to {1}",
                    split.rows(),
                    split.rows()
                ),
            });
        }
        Ok(Self { split, batch, seed })
    }

    /// Mini-batches in one epoch, at least 1.
    pub fn per_epoch(&self) -> usize {
        self.split.rows() / self.batch
    }

    /// The mini-batches of one epoch, counted from 0, in their order.
    pub fn epoch(&self, epoch: u64) -> Epoch<'a> {
        let mut order: Vec<usize> = (0..self.split.rows()).collect();
        rng::shuffle(&mut rng::stream(self.seed, Purpose::Shuffle, epoch), &mut order);
        Epoch { split: self.split, batch: self.batch, order, next: 0 }
    }

    /// Epoch 0, 1, 2, … one after another without end, for runs counted in steps.
    pub fn endless(&self) -> impl Iterator<Item = Batch> + use<'a> {
        self.endless_from(0)
    }

    /// The same without its first `skipped` batches, none of which is drawn.
    pub fn endless_from(&self, skipped: u64) -> impl Iterator<Item = Batch> + use<'a> {
        let batches = self.clone();
        let per_epoch = self.per_epoch() as u64;
        let (first, within) = (skipped / per_epoch, skipped % per_epoch);
        (first..).flat_map(move |number| {
            let mut epoch = batches.epoch(number);
            if number == first {
                epoch.next = within as usize * batches.batch;
            }
            epoch
        })
    }
}

/// Iterator over the mini-batches of one epoch; see [`Batches::epoch`].
#[derive(Debug, Clone)]
pub struct Epoch<'a> {
    split: &'a Split,
    batch: usize,
    order: Vec<usize>,
    next: usize,
}

impl Iterator for Epoch<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        // A ragged tail is no full range: the iterator ends before it.
        let rows = self.order.get(self.next..self.next + self.batch)?;
        self.next += self.batch;
        Some(Batch::gather(self.split, rows))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.order.len() - self.next) / self.batch;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Epoch<'_> {}

/// Iterator over all rows in file order; see [`Split::in_order`].
#[derive(Debug, Clone)]
pub struct InOrder<'a> {
    split: &'a Split,
    batch: usize,
    next: usize,
}

impl Split {
    /// Every row once, unshuffled, at most `batch` (0 counts as 1) at a time; the last batch may be shorter.
    ///
    /// For evaluation, where dropping the tail would change the answer.
    pub fn in_order(&self, batch: usize) -> InOrder<'_> {
        InOrder { split: self, batch: batch.max(1), next: 0 }
    }
}

impl Iterator for InOrder<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let end = self.next.saturating_add(self.batch).min(self.split.rows());
        let rows: Vec<usize> = (self.next..end).collect();
        self.next = end;
        (!rows.is_empty()).then(|| Batch::gather(self.split, &rows))
    }
}
