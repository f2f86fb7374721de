//! Convolutions and pooling of images whose channels lie side by side.
//!
//! An image is `[rows, columns, channels]` in memory, so that the pixels of a row of a window are one run, and products over
//! windows give the value in the same order.

use std::rc::Rc;

use pcnbench_kernels::parts::{Matrix, Scalar};

use super::value::{Memory, Numbers};

/// Numbers of gathered windows that are multiplied at once: so many that packing the weights for a product costs little beside it.
const GATHERED: usize = 1 << 21;

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

    /// Numbers of a window: window·channels.
    pub fn size(&self) -> usize {
        self.window[0] * self.window[1] * self.image[2]
    }

    /// Calls `each` with every run of pixels of the window at `position` of its image that lies inside: where it begins in the
    /// window, where in the image, and its length.
    fn runs(&self, position: usize, mut each: impl FnMut(usize, usize, usize)) {
        let ([rows, columns, channels], [height, width]) = (self.image, self.window);
        let (row, column) =
            (position / self.positions[1] * self.stride, position % self.positions[1] * self.stride);
        // columns of the window that lie inside
        let from = self.padding.saturating_sub(column);
        let to = width.min((columns + self.padding).saturating_sub(column));
        if from >= to {
            return;
        }
        for i in 0..height {
            let Some(r) = (row + i).checked_sub(self.padding).filter(|r| *r < rows) else { continue };
            let pixel = r * columns + column + from - self.padding;
            each((i * width + from) * channels, pixel * channels, (to - from) * channels);
        }
    }

    /// Whether the window at `position` lies inside of its image.
    fn is_inside(&self, position: usize) -> bool {
        let at = [position / self.positions[1], position % self.positions[1]].map(|k| k * self.stride);
        let fits = |axis: usize| {
            at[axis] >= self.padding && at[axis] + self.window[axis] <= self.image[axis] + self.padding
        };
        fits(0) && fits(1)
    }

    /// Windows at positions `first..first + count`, counted through all samples, one per row of `out`.
    fn gather<T: Scalar>(&self, images: &[T], first: usize, count: usize, out: &mut [T]) {
        let (size, per_image, pixels) = (self.size(), self.count(), self.pixels());
        for (position, row) in (first..first + count).zip(out.chunks_exact_mut(size)) {
            let image = &images[position / per_image * pixels..][..pixels];
            if !self.is_inside(position % per_image) {
                row.fill(T::default());
            }
            self.runs(position % per_image, |at, pixel, n| {
                row[at..at + n].copy_from_slice(&image[pixel..pixel + n])
            });
        }
    }

    /// Adds such rows to the pixels they stand for.
    fn scatter<T: Scalar>(&self, rows: &[T], first: usize, count: usize, images: &mut [T]) {
        let (size, per_image, pixels) = (self.size(), self.count(), self.pixels());
        for (position, row) in (first..first + count).zip(rows.chunks_exact(size)) {
            let image = &mut images[position / per_image * pixels..][..pixels];
            self.runs(position % per_image, |at, pixel, n| {
                for (to, &from) in image[pixel..pixel + n].iter_mut().zip(&row[at..at + n]) {
                    *to += from;
                }
            });
        }
    }

    /// Calls `each` with every part of `positions` positions: the first, and how many.
    fn parts(&self, positions: usize, mut each: impl FnMut(usize, usize)) {
        let together = (GATHERED / self.size()).clamp(1, positions.max(1));
        let mut first = 0;
        while first < positions {
            let count = together.min(positions - first);
            each(first, count);
            first += count;
        }
    }
}

/// X Wᵀ + b: W is `[outputs, window, channels]`.
pub fn forward<T: Scalar>(
    windows: &Windows,
    memory: &Memory<T>,
    w: &[T],
    bias: Option<&[T]>,
    images: &[T],
    outputs: usize,
) -> Numbers<T> {
    let positions = images.len() / windows.pixels() * windows.count();
    let (size, mut out) = (windows.size(), memory.take(positions * outputs));
    if let Some(bias) = bias {
        out.write().chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
    }
    let mut gathered = memory.take((GATHERED / size).clamp(1, positions) * size);
    windows.parts(positions, |first, count| {
        windows.gather(images, first, count, gathered.write());
        let x = Matrix::new(&gathered, count, size);
        let place = &mut out.write()[first * outputs..(first + count) * outputs];
        T::product(x, Matrix::new(w, outputs, size).t(), bias.is_some(), place);
    });
    out
}

/// The transposed Jacobian by the images, applied to c.
pub fn vjp<T: Scalar>(windows: &Windows, memory: &Memory<T>, w: &[T], c: &[T], outputs: usize) -> Numbers<T> {
    let positions = c.len() / outputs;
    let size = windows.size();
    let mut images = memory.zeros(positions / windows.count() * windows.pixels());
    let mut rows = memory.take((GATHERED / size).clamp(1, positions) * size);
    windows.parts(positions, |first, count| {
        let part = Matrix::new(&c[first * outputs..], count, outputs);
        T::product(part, Matrix::new(w, outputs, size), false, rows.write());
        windows.scatter(&rows, first, count, images.write());
    });
    images
}

/// cᵀ X, in the form of W.
pub fn param_grad<T: Scalar>(
    windows: &Windows,
    memory: &Memory<T>,
    images: &[T],
    c: &[T],
    outputs: usize,
) -> Numbers<T> {
    let positions = c.len() / outputs;
    let size = windows.size();
    let mut w = memory.zeros(outputs * size);
    let mut gathered = memory.take((GATHERED / size).clamp(1, positions) * size);
    windows.parts(positions, |first, count| {
        windows.gather(images, first, count, gathered.write());
        let part = Matrix::new(&c[first * outputs..], count, outputs);
        T::product(part.t(), Matrix::new(&gathered, count, size), true, w.write());
    });
    w
}

/// The largest pixel of each window and channel, and which pixel of the window it is, the first of several.
pub fn max_pool<T: Scalar>(
    windows: &Windows,
    (memory, bytes): (&Memory<T>, &Memory<u8>),
    images: &[T],
) -> (Numbers<T>, Rc<Numbers<u8>>) {
    let (channels, per_image) = (windows.image[2], windows.count());
    let positions = images.len() / windows.pixels() * per_image;
    let mut out = memory.take(positions * channels);
    let mut which = bytes.zeros(positions * channels);
    let rows = out.write().chunks_exact_mut(channels).zip(which.write().chunks_exact_mut(channels));
    for (position, (row, which)) in rows.enumerate() {
        let image = &images[position / per_image * windows.pixels()..][..windows.pixels()];
        windows.runs(position % per_image, |at, pixel, n| {
            let pixels = image[pixel..pixel + n].chunks_exact(channels);
            for (k, values) in (at / channels..).zip(pixels) {
                if k == 0 {
                    row.copy_from_slice(values);
                    continue;
                }
                for ((most, which), &value) in row.iter_mut().zip(which.iter_mut()).zip(values) {
                    if value > *most {
                        (*most, *which) = (value, k as u8);
                    }
                }
            }
        });
    }
    (out, Rc::new(which))
}

/// c at the pixels that were largest.
pub fn max_pool_vjp<T: Scalar>(windows: &Windows, memory: &Memory<T>, which: &[u8], c: &[T]) -> Numbers<T> {
    let ([_, columns, channels], per_image) = (windows.image, windows.count());
    let positions = c.len() / channels;
    let mut images = memory.zeros(positions / per_image * windows.pixels());
    let rows = c.chunks_exact(channels).zip(which.chunks_exact(channels));
    for (position, (row, which)) in rows.enumerate() {
        let image = &mut images.write()[position / per_image * windows.pixels()..];
        let p = position % per_image;
        let [row0, column0] =
            [p / windows.positions[1], p % windows.positions[1]].map(|at| at * windows.stride);
        for (channel, (&value, &k)) in row.iter().zip(which).enumerate() {
            let (i, j) = (usize::from(k) / windows.window[1], usize::from(k) % windows.window[1]);
            image[((row0 + i) * columns + column0 + j) * channels + channel] += value;
        }
    }
    images
}

/// The mean of each window and channel.
pub fn avg_pool<T: Scalar>(windows: &Windows, memory: &Memory<T>, images: &[T]) -> Numbers<T> {
    let (channels, per_image) = (windows.image[2], windows.count());
    let positions = images.len() / windows.pixels() * per_image;
    let share = T::of(channels as f64 / windows.size() as f64);
    let mut out = memory.zeros(positions * channels);
    for (position, row) in out.write().chunks_exact_mut(channels).enumerate() {
        let image = &images[position / per_image * windows.pixels()..][..windows.pixels()];
        windows.runs(position % per_image, |_, pixel, n| {
            for values in image[pixel..pixel + n].chunks_exact(channels) {
                row.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
            }
        });
        row.iter_mut().for_each(|sum| *sum *= share);
    }
    out
}

/// c spread evenly over each window.
pub fn avg_pool_vjp<T: Scalar>(windows: &Windows, memory: &Memory<T>, c: &[T]) -> Numbers<T> {
    let (channels, per_image) = (windows.image[2], windows.count());
    let positions = c.len() / channels;
    let share = T::of(channels as f64 / windows.size() as f64);
    let mut images = memory.zeros(positions / per_image * windows.pixels());
    for (position, row) in c.chunks_exact(channels).enumerate() {
        let image = &mut images.write()[position / per_image * windows.pixels()..][..windows.pixels()];
        windows.runs(position % per_image, |_, pixel, n| {
            for values in image[pixel..pixel + n].chunks_exact_mut(channels) {
                values.iter_mut().zip(row).for_each(|(to, &from)| *to += share * from);
            }
        });
    }
    images
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
