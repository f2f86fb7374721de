//! Invented data of any size: nothing to fetch, the same bits for the same seed.

use rand_chacha::ChaCha8Rng;

use super::images::CLASSES;
use super::kind::{Folder, Kind, Request, Sizes};
use super::rng::{self, Purpose};
use super::{Dataset, Images, Split, Targets};
use crate::{Error, Result};

/// The teacher's entry of the table of data sets.
pub const TEACHER: Kind = Kind {
    name: "teacher",
    about: "regression of any size: what a random network answers",
    folder: Folder::Ignored,
    sized: true,
    load: |&Request { seed, sizes: Sizes { inputs, outputs, train, test }, .. }| {
        TeacherStudent { inputs, outputs, train, test, seed }.generate()
    },
};

/// The entry of invented colour images in the table of data sets: 2,000 training and 500 test images.
pub const COLOUR_BLOBS: Kind = Kind {
    name: "colour-blobs",
    about: "invented 3×32×32 images in ten classes, the shape of CIFAR-10; replaced by `--data`",
    folder: Folder::Replaces,
    sized: false,
    load: |request| colour_blobs(2000, 500, request.seed),
};

/// The data set `colour-blobs`: [`colour_images`] as examples of ten classes, a stand-in with the shape of CIFAR-10 for
/// trials and costs, not for results.
///
/// # Errors
/// As [`images`].
pub fn colour_blobs(train: usize, test: usize, seed: u64) -> Result<Dataset> {
    let (train, test) = colour_images(train, test, seed)?;
    Images::dataset("colour-blobs", &train, &test)
}

/// The data set `blobs`: [`images`] as examples of ten classes.
///
/// # Errors
/// As [`images`].
pub fn blobs(train: usize, test: usize, seed: u64) -> Result<Dataset> {
    let (train, test) = images(train, test, seed)?;
    Images::dataset("blobs", &train, &test)
}

/// Hidden units of the teacher: enough for a curved surface, few enough that generating the targets never
/// costs more than learning from them.
const TEACHER_WIDTH: usize = 64;
/// Most numbers in one half, 1 GiB of `f32`.
const LIMIT: usize = 1 << 28;

/// Regression of exact sizes: a student learns the answers of a random network, the teacher.
///
/// With hidden width `H = 64`, all drawn in `f64` and stored as `f32`:
///
/// - inputs `x ~ N(0, 1)`,
/// - teacher `y = W₂ tanh(W₁ x)`, `W₁ [H, inputs] ~ N(0, 1/inputs)`, `W₂ [outputs, H] ~ N(0, 1/H)`, no noise
///   and no bias.
///
/// So a target has mean 0 and variance `E[tanh²(N(0,1))] ≈ 0.39` over teachers and inputs, at any size. The
/// teacher depends on the seed and the two widths only, training and test rows come from streams of their
/// own: more rows of one leave the rest as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeacherStudent {
    /// Numbers per example.
    pub inputs: usize,
    /// Numbers per target.
    pub outputs: usize,
    /// Training rows.
    pub train: usize,
    /// Test rows.
    pub test: usize,
    /// Decides the teacher and all examples.
    pub seed: u64,
}

impl TeacherStudent {
    /// The data set `teacher`. Takes about `128 (train + test) (inputs + outputs)` operations.
    ///
    /// # Errors
    /// [`Error::Key`] naming the size that is 0, or that makes a half larger than 2²⁸ numbers.
    pub fn generate(&self) -> Result<Dataset> {
        let Self { inputs, outputs, train, test, seed } = *self;
        check("teacher", "inputs", inputs, TEACHER_WIDTH)?;
        check("teacher", "outputs", outputs, TEACHER_WIDTH)?;
        let width = inputs + outputs;
        check("teacher", "train", train, width)?;
        check("teacher", "test", test, width)?;

        let mut weights = rng::stream(seed, Purpose::Teacher, 0);
        let mut layer = |rows: usize, fan_in: usize| -> Vec<f64> {
            let deviation = libm::sqrt(1.0 / fan_in as f64);
            let mut weights = rng::normals(&mut weights, rows * fan_in);
            weights.iter_mut().for_each(|weight| *weight *= deviation);
            weights
        };
        let first = layer(TEACHER_WIDTH, inputs);
        let second = layer(outputs, TEACHER_WIDTH);

        let half = |rows: usize, index: u64| {
            let mut stream = rng::stream(seed, Purpose::TeacherInputs, index);
            let (mut x, mut y) = (Vec::with_capacity(rows * inputs), Vec::with_capacity(rows * outputs));
            for _ in 0..rows {
                // Rounded before the teacher sees it: the target belongs to the example as stored.
                let example: Vec<f32> =
                    rng::normals(&mut stream, inputs).into_iter().map(|v| v as f32).collect();
                let wide: Vec<f64> = example.iter().copied().map(f64::from).collect();
                let hidden: Vec<f64> = product(&first, &wide).map(libm::tanh).collect();
                y.extend(product(&second, &hidden).map(|v| v as f32));
                x.extend(example);
            }
            Split::new(inputs, outputs, x, Targets::Values(y))
        };
        Dataset::new("teacher", None, half(train, 0)?, half(test, 1)?)
    }
}

/// `matrix [rows, vector.len()] · vector`, summed from the left so that the bits are everywhere the same.
fn product<'a>(matrix: &'a [f64], vector: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    matrix.chunks_exact(vector.len()).map(move |row| row.iter().zip(vector).map(|(w, v)| w * v).sum())
}

/// Bumps per class.
const BUMPS: usize = 4;

/// How images are invented.
struct Recipe {
    name: &'static str,
    channels: usize,
    /// Height and width.
    side: usize,
    /// Where bumps have their centres, in pixels, and how far they reach.
    centre: [f64; 2],
    spread: [f64; 2],
    /// Brightness of a bump at its centre, drawn for each channel.
    height: [f64; 2],
    templates: Purpose,
    images: Purpose,
}

const GREY: Recipe = Recipe {
    name: "blobs",
    channels: 1,
    side: 28,
    centre: [6.0, 22.0],
    spread: [1.5, 3.5],
    height: [0.5, 1.0],
    templates: Purpose::BlobTemplates,
    images: Purpose::BlobImages,
};

const COLOUR: Recipe = Recipe {
    name: "colour-blobs",
    channels: 3,
    side: 32,
    centre: [7.0, 25.0],
    spread: [1.5, 4.0],
    height: [0.0, 1.0],
    templates: Purpose::ColourTemplates,
    images: Purpose::ColourImages,
};

/// One soft spot of a class's picture, in pixels.
struct Bump {
    row: f64,
    column: f64,
    spread: f64,
    /// By channel.
    heights: Vec<f64>,
}

/// Training and test halves of invented 28×28 grey images in ten classes: a stand-in with the shape, the
/// format and the value range of MNIST for trials and tests, not for results.
///
/// A class is a sum of four Gaussian bumps (centre uniform in [6, 22), spread in [1.5, 3.5) pixels, height
/// in [0.5, 1)). An image of it is moved by N(0, 1) pixels both ways, its brightness multiplied by a factor
/// in [0.8, 1.2) and N(0, 0.05²) added to each pixel; the result, cut to [0, 1], becomes a byte. Classes
/// take turns, 0 1 2 … 9 0 …, so that any ten successive images are one of each.
///
/// # Errors
/// [`Error::Key`] naming the half that is 0, or larger than 2²⁸ pixels.
pub fn images(train: usize, test: usize, seed: u64) -> Result<(Images, Images)> {
    GREY.images(train, test, seed)
}

/// The same with three channels of 32×32, as CIFAR-10 has them.
///
/// Bumps have their centres in [7, 25), a spread in [1.5, 4) pixels, and a height in [0, 1) of its own in each channel.
/// Movement and brightness are those of the whole image, noise is that of each number.
///
/// # Errors
/// As [`images`].
pub fn colour_images(train: usize, test: usize, seed: u64) -> Result<(Images, Images)> {
    COLOUR.images(train, test, seed)
}

impl Recipe {
    fn images(&self, train: usize, test: usize, seed: u64) -> Result<(Images, Images)> {
        let numbers = self.channels * self.side * self.side;
        check(self.name, "train", train, numbers)?;
        check(self.name, "test", test, numbers)?;
        let mut stream = rng::stream(seed, self.templates, 0);
        let classes: Vec<Vec<Bump>> =
            (0..CLASSES).map(|_| (0..BUMPS).map(|_| self.bump(&mut stream)).collect()).collect();

        let half = |count: usize, index: u64| {
            let mut stream = rng::stream(seed, self.images, index);
            let mut pixels = Vec::with_capacity(count * numbers);
            let mut labels = Vec::with_capacity(count);
            for (label, class) in (0u8..).zip(&classes).cycle().take(count) {
                let image = self.image(class, &mut stream);
                pixels.extend(image.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8));
                labels.push(label);
            }
            Images { shape: [self.channels, self.side, self.side], classes: CLASSES, pixels, labels }
        };
        Ok((half(train, 0), half(test, 1)))
    }

    fn bump(&self, stream: &mut ChaCha8Rng) -> Bump {
        let mut draw = |[low, high]: [f64; 2]| rng::between(stream, low, high);
        let (row, column, spread) = (draw(self.centre), draw(self.centre), draw(self.spread));
        Bump { row, column, spread, heights: (0..self.channels).map(|_| draw(self.height)).collect() }
    }

    /// One image of a class, `[channels, side, side]`.
    fn image(&self, class: &[Bump], stream: &mut ChaCha8Rng) -> Vec<f64> {
        let plane = self.side * self.side;
        let [down, right] = rng::normal_pair(stream);
        let gain = rng::between(stream, 0.8, 1.2);
        let noise = rng::normals(stream, self.channels * plane);
        let mut image: Vec<f64> = noise.into_iter().map(|noise| 0.05 * noise).collect();
        for bump in class {
            // A round Gaussian is a product of two flat ones: 56 exponentials instead of 784.
            let profile = |centre: f64| -> Vec<f64> {
                let at = |i: usize| (i as f64 - centre) / bump.spread;
                (0..self.side).map(|i| libm::exp(-0.5 * at(i) * at(i))).collect()
            };
            let (rows, columns) = (profile(bump.row + down), profile(bump.column + right));
            for (channel, height) in image.chunks_exact_mut(plane).zip(&bump.heights) {
                for (line, row) in channel.chunks_exact_mut(self.side).zip(&rows) {
                    for (pixel, column) in line.iter_mut().zip(&columns) {
                        *pixel += gain * height * row * column;
                    }
                }
            }
        }
        image
    }
}

/// `size` rows of `width` numbers must be something, and fit.
pub(super) fn check(name: &str, key: &str, size: usize, width: usize) -> Result<()> {
    let wrong =
        |problem| Err(Error::Key { place: format!("data source `{name}`"), key: key.to_owned(), problem });
    if size == 0 {
        return wrong("expected a whole number above 0, got 0".to_owned());
    }
    if size > LIMIT / width {
        return wrong(format!(
            "{size} times {width} numbers are more than the {LIMIT} made at most; lower it"
        ));
    }
    Ok(())
}
