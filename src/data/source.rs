//! The words that name data in a suite definition.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Where examples come from. Parsed from, and printed as, one word of a suite definition:
///
/// | Word | Data |
/// |---|---|
/// | `digits` | real 8×8 digits carried inside the program |
/// | `mnist`, `fashion-mnist` | 28×28 collections, from a folder or (feature `hub`) fetched |
/// | `idx` | any other collection of ten classes in a folder of the same four files |
/// | `teacher:inputs=I,outputs=O,train=N,test=M` | regression of any size, see [`super::synthetic::TeacherStudent`] |
/// | `blobs:train=N,test=M` | invented 28×28 images, see [`super::synthetic::images`] |
///
/// ```
/// use pcnbench::data::Source;
/// let source: Source = "teacher:inputs=8,outputs=2,train=64,test=16".parse()?;
/// assert_eq!(source, Source::Teacher { inputs: 8, outputs: 2, train: 64, test: 16 });
/// assert_eq!(source.to_string(), "teacher:inputs=8,outputs=2,train=64,test=16");
/// # Ok::<(), pcnbench::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// [`super::digits`].
    Digits,
    /// MNIST.
    Mnist,
    /// Fashion-MNIST.
    FashionMnist,
    /// A folder with the four MNIST files, whatever they show.
    Idx,
    /// Teacher and student: real inputs and targets of these widths.
    Teacher {
        /// Numbers per example.
        inputs: usize,
        /// Numbers per target.
        outputs: usize,
        /// Training rows.
        train: usize,
        /// Test rows.
        test: usize,
    },
    /// Invented images in ten classes.
    Blobs {
        /// Training images.
        train: usize,
        /// Test images.
        test: usize,
    },
}

const KNOWN: [&str; 6] = [
    "digits",
    "mnist",
    "fashion-mnist",
    "idx",
    "teacher:inputs=I,outputs=O,train=N,test=M",
    "blobs:train=N,test=M",
];

impl Source {
    /// The word before the colon, which is also the data set's name in records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Idx => "idx",
            Self::Teacher { .. } => "teacher",
            Self::Blobs { .. } => "blobs",
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// # Errors
    /// [`Error::Unknown`] for a word that is not in the list; [`Error::Key`] for a size that is missing,
    /// unknown, given twice or not a number above 0.
    fn from_str(text: &str) -> Result<Self> {
        let (name, sizes) = match text.split_once(':') {
            Some((name, sizes)) => (name, Some(sizes)),
            None => (text, None),
        };
        let whole = |source| if sizes.is_none() { Ok(source) } else { Err(unknown(text)) };
        match name {
            "digits" => whole(Self::Digits),
            "mnist" => whole(Self::Mnist),
            "fashion-mnist" => whole(Self::FashionMnist),
            "idx" => whole(Self::Idx),
            "teacher" => {
                let [inputs, outputs, train, test] =
                    parse_sizes(text, sizes, ["inputs", "outputs", "train", "test"])?;
                Ok(Self::Teacher { inputs, outputs, train, test })
            }
            "blobs" => {
                let [train, test] = parse_sizes(text, sizes, ["train", "test"])?;
                Ok(Self::Blobs { train, test })
            }
            _ => Err(unknown(text)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Teacher { inputs, outputs, train, test } => {
                write!(f, ":inputs={inputs},outputs={outputs},train={train},test={test}")
            }
            Self::Blobs { train, test } => write!(f, ":train={train},test={test}"),
            _ => Ok(()),
        }
    }
}

fn unknown(text: &str) -> Error {
    Error::unknown("data source", text, KNOWN)
}

/// The sizes `key=number,…` in any order, each of `keys` exactly once.
fn parse_sizes<const N: usize>(text: &str, sizes: Option<&str>, keys: [&str; N]) -> Result<[usize; N]> {
    let wrong = |key: &str, problem: String| Error::Key {
        place: format!("data source `{text}`"),
        key: key.to_owned(),
        problem,
    };
    let mut found = [0; N];
    for part in sizes.unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let place = keys
            .iter()
            .position(|known| *known == key)
            .ok_or_else(|| wrong(key, format!("is not known here; expected {}", keys.join(", "))))?;
        if found[place] != 0 {
            return Err(wrong(key, "is given twice; give it once".to_owned()));
        }
        found[place] = value
            .parse()
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| wrong(key, format!("expected a whole number above 0, got `{value}`")))?;
    }
    match found.iter().position(|&size| size == 0) {
        Some(missing) => Err(wrong(keys[missing], format!("is missing; write `{}=NUMBER`", keys[missing]))),
        None => Ok(found),
    }
}
