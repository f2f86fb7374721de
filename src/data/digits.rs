//! Handwritten digits, 8×8, carried inside the program.
//!
//! The 1,797 examples of the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
//! C. Kaynak, 1998, UCI Machine Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0).
//! See `assets/digits/README.md`.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use super::kind::{Folder, Kind};
use super::{images, Dataset};
use crate::{Error, Result};

const FILE: &str = "assets/digits/digits.csv.gz";
const BYTES: &[u8] = include_bytes!("../../assets/digits/digits.csv.gz");

/// The entry of the table of data sets.
pub const KIND: Kind = Kind {
    name: "digits",
    about: "1,797 handwritten digits of 8×8, carried inside the program; replaced by `--data`",
    folder: Folder::Replaces,
    sized: false,
    load: |_| load(),
};

/// Side of an image.
const SIDE: usize = 8;
/// Each pixel counts the inked dots of a 4×4 block of the original bitmap.
const MAX_PIXEL: u8 = 16;
/// Four fifths, rounded down: 1,437 of 1,797.
const TRAIN: usize = 1437;

/// The digits: 64 inputs in [−1, 1], ten classes, the first 1,437 rows to learn from, the last 360 to test.
///
/// The rows are not shuffled before the cut, so that people, not only digits, are new in the test half.
/// The file does not name its 13 writers, but its digits start over in the pattern of one form
/// (0 1 2 … 9 0 1 2 …) at rows 1,415 and 1,667: the cut falls 22 rows into a form, and that one writer
/// may be on both sides.
///
/// # Errors
/// [`Error::Content`] only if the program was built from a damaged `assets/digits/digits.csv.gz`.
pub fn load() -> Result<Dataset> {
    decode(BYTES)
}

pub(super) fn decode(gzip: &[u8]) -> Result<Dataset> {
    let path = Path::new(FILE);
    let damaged = |what: String| {
        Error::content(path, format!("{what}; restore the file from version control and build again"))
    };
    let mut text = String::new();
    GzDecoder::new(gzip)
        .read_to_string(&mut text)
        .map_err(|e| damaged(format!("cannot be unpacked ({e})")))?;

    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let row: Vec<u8> = line.split(',').map_while(|field| field.parse().ok()).collect();
        match row.split_last() {
            Some((&label, image))
                if image.len() == SIDE * SIDE
                    && line.split(',').count() == row.len()
                    && usize::from(label) < images::CLASSES
                    && image.iter().all(|&pixel| pixel <= MAX_PIXEL) =>
            {
                pixels.extend_from_slice(image);
                labels.push(label);
            }
            _ => {
                return Err(damaged(format!(
                    "line {} is not 64 pixels of 0 to 16 followed by a digit",
                    number + 1
                )))
            }
        }
    }
    if labels.len() <= TRAIN {
        return Err(damaged(format!("holds {} lines where more than {TRAIN} are expected", labels.len())));
    }
    let (train_pixels, test_pixels) = pixels.split_at(TRAIN * SIDE * SIDE);
    let (train_labels, test_labels) = labels.split_at(TRAIN);
    Dataset::new(
        "digits",
        Some([1, SIDE, SIDE]),
        images::split(SIDE * SIDE, images::CLASSES, train_pixels, MAX_PIXEL, train_labels)?,
        images::split(SIDE * SIDE, images::CLASSES, test_pixels, MAX_PIXEL, test_labels)?,
    )
}
