//! Images as bytes, and their way into a [`Dataset`].

use super::{Dataset, Split, Targets};
use crate::{Error, Result};

/// Classes of every collection of grey images here.
pub(super) const CLASSES: usize = 10;

/// Labelled images of one size, as they stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// `[channels, height, width]` of one image.
    pub shape: [usize; 3],
    /// How many classes there are.
    pub classes: usize,
    /// Brightness 0 to 255, `[images, channels, height, width]`, the width innermost.
    pub pixels: Vec<u8>,
    /// Class of each image, below `classes`, `[images]`.
    pub labels: Vec<u8>,
}

impl Images {
    /// Grey images, `pixels [images, height, width]`, in ten classes.
    pub fn grey(height: usize, width: usize, pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        Self { shape: [1, height, width], classes: CLASSES, pixels, labels }
    }

    /// The examples: a pixel `p` becomes `(p / 255 − 0.5) / 0.5`, so black is −1 and white +1.
    ///
    /// # Errors
    /// Those of [`Split::new`].
    pub fn split(&self) -> Result<Split> {
        let inputs = self.shape.iter().fold(1, |n: usize, &size| n.saturating_mul(size));
        split(inputs, self.classes, &self.pixels, 255, &self.labels)
    }

    /// Joins the two halves of a collection.
    ///
    /// # Errors
    /// [`Error::Shape`] if their images differ in size or they differ in the number of classes, otherwise those of
    /// [`Images::split`].
    pub fn dataset(name: &str, train: &Self, test: &Self) -> Result<Dataset> {
        if train.shape != test.shape {
            return Err(Error::Shape {
                what: format!("data `{name}`: channels, height and width of the test images"),
                expected: train.shape.to_vec(),
                got: test.shape.to_vec(),
            });
        }
        Dataset::new(name, Some(train.shape), train.split()?, test.split()?)
    }
}

/// A split of images from bytes whose brightest value is `max`.
pub(super) fn split(inputs: usize, classes: usize, pixels: &[u8], max: u8, labels: &[u8]) -> Result<Split> {
    let x = pixels.iter().map(|&pixel| scale(pixel, max)).collect();
    Split::new(inputs, classes, x, Targets::Classes(labels.iter().copied().map(u32::from).collect()))
}

/// `(p / max − 0.5) / 0.5`: black is −1, white is +1.
///
/// In `f32` and in this order, which is what the published recipes compute (scale to [0, 1], then
/// normalise with mean and deviation 0.5); a simplified form would differ in the last bit.
pub(super) fn scale(pixel: u8, max: u8) -> f32 {
    (f32::from(pixel) / f32::from(max) - 0.5) / 0.5
}
