//! Invented data of any size: nothing to fetch, the same bits for the same seed.

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

/// Side of an invented image, that of MNIST.
const SIDE: usize = 28;
/// Bumps per class.
const BUMPS: usize = 4;

/// One soft spot of a class's picture, in pixels.
struct Bump {
    row: f64,
    column: f64,
    spread: f64,
    height: f64,
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
    check("blobs", "train", train, SIDE * SIDE)?;
    check("blobs", "test", test, SIDE * SIDE)?;
    let mut stream = rng::stream(seed, Purpose::BlobTemplates, 0);
    let mut bump = || Bump {
        row: rng::between(&mut stream, 6.0, 22.0),
        column: rng::between(&mut stream, 6.0, 22.0),
        spread: rng::between(&mut stream, 1.5, 3.5),
        height: rng::between(&mut stream, 0.5, 1.0),
    };
    let classes: Vec<Vec<Bump>> = (0..CLASSES).map(|_| (0..BUMPS).map(|_| bump()).collect()).collect();

    let half = |count: usize, index: u64| {
        let mut stream = rng::stream(seed, Purpose::BlobImages, index);
        let mut pixels = Vec::with_capacity(count * SIDE * SIDE);
        let mut labels = Vec::with_capacity(count);
        for (label, class) in (0u8..).zip(&classes).cycle().take(count) {
            let [down, right] = rng::normal_pair(&mut stream);
            let gain = rng::between(&mut stream, 0.8, 1.2);
            let mut image: Vec<f64> =
                rng::normals(&mut stream, SIDE * SIDE).into_iter().map(|noise| 0.05 * noise).collect();
            for bump in class {
                // A round Gaussian is a product of two flat ones: 56 exponentials instead of 784.
                let profile = |centre: f64| -> Vec<f64> {
                    let at = |i: usize| (i as f64 - centre) / bump.spread;
                    (0..SIDE).map(|i| libm::exp(-0.5 * at(i) * at(i))).collect()
                };
                let (rows, columns) = (profile(bump.row + down), profile(bump.column + right));
                for (line, row) in image.chunks_exact_mut(SIDE).zip(&rows) {
                    for (pixel, column) in line.iter_mut().zip(&columns) {
                        *pixel += gain * bump.height * row * column;
                    }
                }
            }
            pixels.extend(image.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8));
            labels.push(label);
        }
        Images::grey(SIDE, SIDE, pixels, labels)
    };
    Ok((half(train, 0), half(test, 1)))
}

/// `size` rows of `width` numbers must be something, and fit.
fn check(name: &str, key: &str, size: usize, width: usize) -> Result<()> {
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
