//! A data set in host memory.

use sha2::{Digest, Sha256};

use super::rng::{self, Purpose};
use crate::{Error, Result};

/// Training and test examples of one task.
///
/// The two halves have the same widths and the same kind of target.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What it is called in records: `digits`, `mnist`, `teacher`.
    pub name: String,
    /// Numbers per example.
    pub inputs: usize,
    /// Numbers per target; the class count in classification.
    pub outputs: usize,
    /// `[channels, height, width]` (their product is `inputs`) if an example is an image, stored in that
    /// order with the width innermost.
    pub image: Option<[usize; 3]>,
    /// Examples to learn from.
    pub train: Split,
    /// Examples kept apart from learning.
    pub test: Split,
}

impl Dataset {
    /// Joins two halves of the same task.
    ///
    /// # Errors
    /// [`Error::Shape`] if the halves differ in width or `image` does not multiply to the input width;
    /// [`Error::Invalid`] if one half has classes and the other real targets.
    pub fn new(
        name: impl Into<String>,
        image: Option<[usize; 3]>,
        train: Split,
        test: Split,
    ) -> Result<Self> {
        let name = name.into();
        let (inputs, outputs) = (train.inputs, train.outputs);
        if (test.inputs, test.outputs) != (inputs, outputs) {
            return Err(Error::Shape {
                what: format!("data `{name}`: inputs and outputs of the test half"),
                expected: vec![inputs, outputs],
                got: vec![test.inputs, test.outputs],
            });
        }
        if train.labels().is_some() != test.labels().is_some() {
            return Err(Error::Invalid(format!(
                "data `{name}`: one half has classes and the other real targets; give both the same kind"
            )));
        }
        match image {
            Some(shape) if shape.iter().try_fold(1, |n: usize, &d| n.checked_mul(d)) != Some(inputs) => {
                Err(Error::Shape {
                    what: format!("data `{name}`: one image"),
                    expected: vec![inputs],
                    got: shape.to_vec(),
                })
            }
            _ => Ok(Self { name, inputs, outputs, image, train, test }),
        }
    }

    /// The training half without `rows` of its rows, and these rows, for choosing between runs without a look at the test half.
    ///
    /// Which rows they are is drawn under the seed; both parts keep the order of the file.
    ///
    /// # Errors
    /// [`Error::Key`] naming the key `validation` if none would be left to learn from, or none to validate on.
    pub fn split_validation(&self, rows: usize, seed: u64) -> Result<(Split, Split)> {
        let all = self.train.rows();
        if rows == 0 || rows >= all {
            return Err(Error::Key {
                place: format!("data `{}`", self.name),
                key: "validation".to_owned(),
                problem: format!(
                    "{rows} rows asked for and {all} to train on; give a number from 1 to {}",
                    all - 1
                ),
            });
        }
        let mut order: Vec<usize> = (0..all).collect();
        rng::shuffle(&mut rng::stream(seed, Purpose::Validation, 0), &mut order);
        let (kept_apart, learned) = order.split_at_mut(rows);
        kept_apart.sort_unstable();
        learned.sort_unstable();
        Ok((self.train.select(learned), self.train.select(kept_apart)))
    }

    /// Whether the task is classification: targets are one-hot, accuracy is defined.
    pub fn has_classes(&self) -> bool {
        self.train.labels().is_some()
    }

    /// SHA-256 over widths, inputs and targets (not the name), in lower-case hexadecimal.
    ///
    /// A record carries it because a name proves little: two folders called `mnist` may differ.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for split in [&self.train, &self.test] {
            for size in [split.rows(), split.inputs, split.outputs] {
                hash.update((size as u64).to_le_bytes());
            }
            hash_words(&mut hash, split.x.iter().map(|v| v.to_bits()));
            match &split.targets {
                Targets::Classes(labels) => {
                    hash.update(b"classes");
                    hash_words(&mut hash, labels.iter().copied());
                }
                Targets::Values(values) => {
                    hash.update(b"values");
                    hash_words(&mut hash, values.iter().map(|v| v.to_bits()));
                }
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The hash is fast on long pieces and slow on single words: 4 KiB at a time.
fn hash_words(hash: &mut Sha256, words: impl Iterator<Item = u32>) {
    let mut block = Vec::with_capacity(4096);
    for word in words {
        block.extend_from_slice(&word.to_le_bytes());
        if block.len() == 4096 {
            hash.update(&block);
            block.clear();
        }
    }
    hash.update(&block);
}

/// What the network should answer, one entry or row per example.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Class of each example, `[rows]`, below the output width; the target is its one-hot vector.
    Classes(Vec<u32>),
    /// Real targets, row-major `[rows, outputs]`; there is no accuracy.
    Values(Vec<f32>),
}

/// One half of a data set. Its parts fit each other: a constructor has checked them.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    inputs: usize,
    outputs: usize,
    rows: usize,
    x: Vec<f32>,
    targets: Targets,
}

impl Split {
    /// Examples `x`, row-major `[rows, inputs]`, with their `targets` for a network `outputs` wide.
    ///
    /// # Errors
    /// [`Error::Shape`] if the lengths do not fit each other; [`Error::Invalid`] for a width of zero, for
    /// no rows at all and for a class that is not below `outputs`.
    pub fn new(inputs: usize, outputs: usize, x: Vec<f32>, targets: Targets) -> Result<Self> {
        if inputs == 0 || outputs == 0 || x.is_empty() {
            return Err(Error::Invalid(format!(
                "data needs at least one row, one input and one output, got {} numbers of input in rows of \
                 {inputs}, with {outputs} outputs",
                x.len()
            )));
        }
        let rows = x.len() / inputs;
        if rows * inputs != x.len() {
            return Err(shape("input numbers", vec![rows, inputs], x.len()));
        }
        match &targets {
            Targets::Classes(labels) => {
                if labels.len() != rows {
                    return Err(shape("class labels", vec![rows], labels.len()));
                }
                if let Some(row) = labels.iter().position(|&label| label as usize >= outputs) {
                    return Err(Error::Invalid(format!(
                        "data row {row} is of class {}, but there are {outputs} classes, counted from 0",
                        labels[row]
                    )));
                }
            }
            Targets::Values(values) if rows.checked_mul(outputs) != Some(values.len()) => {
                return Err(shape("target numbers", vec![rows, outputs], values.len()));
            }
            Targets::Values(_) => {}
        }
        Ok(Self { inputs, outputs, rows, x, targets })
    }

    /// These rows, in this order; at least one.
    fn select(&self, rows: &[usize]) -> Self {
        let numbers = |all: &[f32], width: usize| {
            rows.iter().flat_map(|&row| &all[row * width..][..width]).copied().collect::<Vec<f32>>()
        };
        let targets = match &self.targets {
            Targets::Classes(labels) => Targets::Classes(rows.iter().map(|&row| labels[row]).collect()),
            Targets::Values(values) => Targets::Values(numbers(values, self.outputs)),
        };
        Self { rows: rows.len(), x: numbers(&self.x, self.inputs), targets, ..*self }
    }

    /// Number of examples, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers per example.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers per target.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// All examples, row-major `[rows, inputs]`.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// All targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The classes, `[rows]`; `None` in regression.
    pub fn labels(&self) -> Option<&[u32]> {
        match &self.targets {
            Targets::Classes(labels) => Some(labels),
            Targets::Values(_) => None,
        }
    }
}

fn shape(what: &str, expected: Vec<usize>, got: usize) -> Error {
    Error::Shape { what: format!("data: number of {what}"), expected, got: vec![got] }
}
