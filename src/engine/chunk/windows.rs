//! Windows over images: `[rows, columns, channels]` in memory, so that a pixel is one run of numbers.

use pcnbench_kernels::parts::{Scalar, Taps};

use super::value::{Memory, Numbers};

/// Windows over images.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// Rows, columns and channels of an image.
    pub image: [usize; 3],
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros on all four sides.
    pub padding: usize,
    /// Rows and columns of positions.
    pub positions: [usize; 2],
}

impl Windows {
    /// Numbers of an image.
    pub fn pixels(&self) -> usize {
        self.image.iter().product()
    }

    /// Positions of an image.
    pub fn count(&self) -> usize {
        self.positions.iter().product()
    }

    /// Pixels of a window.
    pub fn size(&self) -> usize {
        self.window.iter().product()
    }

    /// The pixel that the window at `position` has at `tap`, if it lies inside of the image.
    pub fn pixel(&self, tap: usize, position: usize) -> Option<usize> {
        let at = |axis: usize, position: usize, own: usize| {
            (position * self.stride + own).checked_sub(self.padding).filter(|p| *p < self.image[axis])
        };
        let row = at(0, position / self.positions[1], tap / self.window[1])?;
        Some(row * self.image[1] + at(1, position % self.positions[1], tap % self.window[1])?)
    }

    /// Whether every pixel lies in exactly one window.
    pub fn tile(&self) -> bool {
        let whole = |axis: usize| self.positions[axis] * self.window[axis] == self.image[axis];
        self.padding == 0 && self.window == [self.stride; 2] && whole(0) && whole(1)
    }

    /// Images with `positions` windows in all, to be added to: zero, or any numbers where [every pixel](Self::tile) is written once.
    pub fn unwritten<T: Scalar>(&self, memory: &Memory<T>, positions: usize) -> Numbers<T> {
        let len = positions / self.count() * self.pixels();
        if self.tile() {
            memory.take(len)
        } else {
            memory.zeros(len)
        }
    }

    /// What a convolution of these windows reads.
    pub fn taps(&self) -> Taps {
        let [rows, columns, _] = self.image;
        Taps::new(rows * columns, self.count(), self.size(), |t, p| self.pixel(t, p))
    }
}

/// Images `[rows·columns, channels]` as `[channels, rows·columns]` each, or the other way round with the two swapped.
pub fn swapped<T: Scalar>(memory: &Memory<T>, images: &[T], pixels: usize, channels: usize) -> Numbers<T> {
    let mut out = memory.take(images.len());
    let each = images.chunks_exact(pixels * channels).zip(out.write().chunks_exact_mut(pixels * channels));
    for (from, to) in each {
        for (pixel, values) in from.chunks_exact(channels).enumerate() {
            for (channel, &value) in values.iter().enumerate() {
                to[channel * pixels + pixel] = value;
            }
        }
    }
    out
}
