//! Random crops and flips of the images of a batch.

use super::rng::{self, Purpose};
use super::Batch;
use crate::{Error, Result};

/// Crops every image at random from a larger one with a border around it, and mirrors half of them.
///
/// An image `[channels, height, width]` gets a border of `padding` pixels of the value `fill` on all four sides; a
/// rectangle of the old size is cut out of it, `down` rows and `right` columns from its upper left corner, and, where
/// images are flipped, mirrored left to right in half of all cases. All channels of an image move together.
///
/// An image draws three numbers in turn, whatever is switched on: `down` and `right`, uniform in 0, 1, …, 2 `padding`,
/// and one of 0 and 1, which is 1 where it is to be mirrored. Without padding and flips images stay as they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augment {
    image: [usize; 3],
    padding: usize,
    fill: f32,
    flip: bool,
}

impl Augment {
    /// For images `[channels, height, width]` with `padding` pixels around them, and mirrored or not.
    ///
    /// `fill` is in the units of [`Batch::x`]: −1 is black in every collection of images here, which is what padding
    /// with zeros before scaling gives; 0 is the middle of the range.
    ///
    /// # Errors
    /// [`Error::Key`] naming `padding` if it is not less than height and width: a crop could miss the image.
    pub fn new(image: [usize; 3], padding: usize, fill: f32, flip: bool) -> Result<Self> {
        let [_, height, width] = image;
        if padding > 0 && padding >= height.min(width) {
            return Err(Error::Key {
                place: "random crops".to_owned(),
                key: "padding".to_owned(),
                problem: format!(
                    "{padding} pixels around images of {height}×{width}; give less than the images have on either side"
                ),
            });
        }
        Ok(Self { image, padding, fill, flip })
    }

    /// Changes the images of `batch` in place. They depend on the seed, on `step` (any number that is another one for
    /// each batch of a run) and on their row, from a stream that nothing else draws from; targets stay as they are.
    ///
    /// # Errors
    /// [`Error::Shape`] if the examples of the batch are not of the size of the images; nothing is changed then.
    pub fn apply(&self, batch: &mut Batch, seed: u64, step: u64) -> Result<()> {
        let numbers = self.image.iter().try_fold(1, |n: usize, &size| n.checked_mul(size));
        if numbers.filter(|&n| n > 0) != Some(batch.inputs)
            || batch.x.len() != batch.rows.saturating_mul(batch.inputs)
        {
            return Err(Error::Shape {
                what: "random crops: the examples of a batch".to_owned(),
                expected: [&[batch.rows][..], &self.image].concat(),
                got: vec![batch.rows, batch.inputs],
            });
        }
        let mut stream = rng::stream(seed, Purpose::Augment, step);
        let mut old = vec![0.0; batch.inputs];
        for image in batch.x.chunks_exact_mut(batch.inputs) {
            old.copy_from_slice(image);
            let [down, right] = [(); 2].map(|()| rng::below(&mut stream, 2 * self.padding + 1));
            let mirrored = rng::below(&mut stream, 2) == 1;
            self.cut(&old, [down, right], self.flip && mirrored, image);
        }
        Ok(())
    }

    /// The rectangle `down` and `right` of the corner of the padded `image`, into `out`; both are
    /// `[channels, height, width]`.
    fn cut(&self, image: &[f32], [down, right]: [usize; 2], mirrored: bool, out: &mut [f32]) {
        let [_, height, width] = self.image;
        // Where a row or column of the padded image is without its padding, if there.
        let inner = |at: usize, size: usize| at.checked_sub(self.padding).filter(|&at| at < size);
        for (from, to) in image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width)) {
            for (row, line) in to.chunks_exact_mut(width).enumerate() {
                let source = inner(row + down, height).map(|row| &from[row * width..][..width]);
                for (column, pixel) in line.iter_mut().enumerate() {
                    let value = inner(column + right, width).and_then(|column| source?.get(column));
                    *pixel = value.copied().unwrap_or(self.fill);
                }
                if mirrored {
                    line.reverse();
                }
            }
        }
    }
}
