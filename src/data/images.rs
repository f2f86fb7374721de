//! Grey images as bytes, and their way into a [`Dataset`].

use super::{Dataset, Split, Targets};
use crate::{Error, Result};

/// Classes of every image collection here.
pub(super) const CLASSES: usize = 10;

/// Labelled grey images of one size, as they stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Rows of one image.
    pub height: usize,
    /// Columns of one image.
    pub width: usize,
    /// Grey values 0 to 255, `[images, height, width]`, the width innermost.
    pub pixels: Vec<u8>,
    /// Class of each image, 0 to 9, `[images]`.
    pub labels: Vec<u8>,
}

impl Images {
    /// The examples, ten classes: a pixel `p` becomes `(p / 255 − 0.5) / 0.5`, so black is −1 and white +1.
    ///
    /// # Errors
    /// Those of [`Split::new`].
    pub fn split(&self) -> Result<Split> {
        split(self.height.saturating_mul(self.width), &self.pixels, 255, &self.labels)
    }

    /// Joins the two halves of a collection.
    ///
    /// # Errors
    /// [`Error::Shape`] if their images differ in size, otherwise those of [`Images::split`].
    pub fn dataset(name: &str, train: &Self, test: &Self) -> Result<Dataset> {
        if (train.height, train.width) != (test.height, test.width) {
            return Err(Error::Shape {
                what: format!("data `{name}`: height and width of the test images"),
                expected: vec![train.height, train.width],
                got: vec![test.height, test.width],
            });
        }
        Dataset::new(name, Some([1, train.height, train.width]), train.split()?, test.split()?)
    }
}

/// A split of ten classes from bytes whose brightest value is `max`.
pub(super) fn split(inputs: usize, pixels: &[u8], max: u8, labels: &[u8]) -> Result<Split> {
    let x = pixels.iter().map(|&pixel| scale(pixel, max)).collect();
    Split::new(inputs, CLASSES, x, Targets::Classes(labels.iter().copied().map(u32::from).collect()))
}

/// `(p / max − 0.5) / 0.5`: black is −1, white is +1.
///
/// In `f32` and in this order, which is what the published recipes compute (scale to [0, 1], then
/// normalise with mean and deviation 0.5); a simplified form would differ in the last bit.
pub(super) fn scale(pixel: u8, max: u8) -> f32 {
    (f32::from(pixel) / f32::from(max) - 0.5) / 0.5
}
