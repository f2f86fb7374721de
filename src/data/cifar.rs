//! Reader of folders of CIFAR-10 and CIFAR-100 in their binary version, plain or gzip.
//!
//! A file is one record after another, without a header: one byte per label, then 3 × 32 × 32 bytes of brightness, a
//! channel (red, green, blue) after another, row by row. CIFAR-10 has one label, CIFAR-100 a coarse one and then a fine
//! one, which is the class. A length that is no multiple of a record is what tells a damaged or another file.

use std::path::{Path, PathBuf};

use super::files::{locate, recognise, spellings, Format};
use super::images::Images;
use super::stream::Stream;
use super::Dataset;
use crate::{Error, Result};

/// `[channels, height, width]` of an image.
const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
/// Most bytes read of one half, 1 GiB and 4 GiB once scaled: seven times CIFAR.
const LIMIT: u64 = 1 << 30;
/// Records read at once, 3 MB.
const BLOCK: usize = 1000;

/// One of the two collections.
pub(super) struct Layout {
    title: &'static str,
    /// What its data set is called.
    name: &'static str,
    /// What the bytes before the pixels are, and how many values each has; the last one is the class.
    labels: &'static [(&'static str, u8)],
    /// Files of training images, then the file of test images.
    files: &'static [&'static str],
}

pub(super) const TEN: Layout = Layout {
    title: "CIFAR-10",
    name: "cifar10",
    labels: &[("label", 10)],
    files: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ],
};

const HUNDRED: Layout = Layout {
    title: "CIFAR-100",
    name: "cifar100",
    labels: &[("coarse label", 20), ("fine label", 100)],
    files: &["train.bin", "test.bin"],
};

pub(super) const FORMATS: [&Format; 2] = [
    &Format { title: TEN.title, names: TEN.files, load: |dir| TEN.load(dir, LIMIT) },
    &Format { title: HUNDRED.title, names: HUNDRED.files, load: |dir| HUNDRED.load(dir, LIMIT) },
];

/// The collection in the folder `dir`: `cifar10` with ten classes, or `cifar100` with a hundred (the fine labels); images
/// of shape `[3, 32, 32]`, pixels in [−1, 1].
///
/// CIFAR-10 lies in `data_batch_1.bin` to `data_batch_5.bin`, of which at least one must be there, and `test_batch.bin`;
/// CIFAR-100 in `train.bin` and `test.bin`. Each file may be plain or gzip, whatever its ending, and `.gz` may follow its
/// name; where both are there, the one without is read. A file may hold any number of records: parts of a collection are
/// read as well.
///
/// # Errors
/// [`Error::Content`] naming the file, what is wrong with it and what to do: not a folder, files of neither collection or
/// of both, a file missing, a length that is zero, absurd or no multiple of a record, damaged gzip, a label out of range.
/// [`Error::Io`] if the system refuses to read.
pub fn load(dir: &Path) -> Result<Dataset> {
    (recognise(dir, &FORMATS)?.load)(dir)
}

impl Layout {
    /// The collection in `dir`, whose halves have at most `limit` bytes each.
    pub(super) fn load(&self, dir: &Path, limit: u64) -> Result<Dataset> {
        let (train, test) = self.files.split_at(self.files.len().saturating_sub(1));
        // All are looked for before the first is read: a missing one is told at once.
        let train = self.find(dir, "training", train)?;
        let test = self.find(dir, "test", test)?;
        let (train, test) = (self.read(&train, limit)?, self.read(&test, limit)?);
        Images::dataset(self.name, &train, &test)
    }

    /// The files of one half that are there, at least one.
    fn find(&self, dir: &Path, half: &str, names: &[&str]) -> Result<Vec<PathBuf>> {
        let found = names.iter().filter_map(|name| locate(dir, &[name]).transpose());
        let found = found.collect::<Result<Vec<_>>>()?;
        if found.is_empty() {
            let looked_for = spellings(names).join(", ");
            let problem = format!(
                "has no {half} images of {}: looked for {looked_for}; put one of them there",
                self.title
            );
            return Err(Error::content(dir, problem));
        }
        Ok(found)
    }

    /// Bytes of a record.
    fn record(&self) -> usize {
        self.labels.len() + PIXELS
    }

    /// The images of `files`, which have at most `limit` bytes together.
    fn read(&self, files: &[PathBuf], limit: u64) -> Result<Images> {
        let classes = self.labels.last().map_or(0, |(_, classes)| usize::from(*classes));
        let mut images = Images { shape: SHAPE, classes, pixels: vec![], labels: vec![] };
        let mut left = limit;
        for path in files {
            let taken = self.append(path, &mut images, left, limit)?;
            left -= taken.min(left);
        }
        Ok(images)
    }

    /// Puts the records of a file behind `images`; how many bytes it had, at most `left` of `limit`.
    fn append(&self, path: &Path, images: &mut Images, left: u64, limit: u64) -> Result<u64> {
        let mut stream = Stream::open(path)?;
        let too_long = || {
            let problem = format!(
                "has more bytes than the {limit} that are read at most of one half of a collection; fetch the file again \
                 or leave files out"
            );
            Error::content(path, problem)
        };
        // A plain file tells its length beforehand.
        if let Some(length) = stream.plain_bytes() {
            if length > left {
                return Err(too_long());
            }
            self.check_length(path, &stream, length)?;
        }
        loop {
            let position = stream.taken() / self.record() as u64;
            let block = stream.take((BLOCK * self.record()) as u64, None)?;
            if stream.taken() > left {
                return Err(too_long());
            }
            for (position, record) in (position..).zip(block.chunks_exact(self.record())) {
                let (labels, pixels) = record.split_at(self.labels.len());
                self.check_labels(path, position, labels)?;
                images.labels.extend(labels.last());
                images.pixels.extend_from_slice(pixels);
            }
            if block.len() < BLOCK * self.record() {
                self.check_length(path, &stream, stream.taken())?;
                return Ok(stream.taken());
            }
        }
    }

    fn check_length(&self, path: &Path, stream: &Stream<'_>, bytes: u64) -> Result<()> {
        let record = self.record() as u64;
        if bytes > 0 && bytes.is_multiple_of(record) {
            return Ok(());
        }
        let problem = format!(
            "{}, not one or more images of {} of {record} bytes each ({} and pixels); it was cut short or is another file, \
             fetch the binary version again",
            stream.found(),
            self.title,
            if self.labels.len() == 1 { "label" } else { "labels" }
        );
        Err(Error::content(path, problem))
    }

    fn check_labels(&self, path: &Path, position: u64, labels: &[u8]) -> Result<()> {
        for (label, (what, classes)) in labels.iter().zip(self.labels) {
            if label >= classes {
                let problem = format!(
                    "{what} {label} at position {position}, expected 0 to {}; it is damaged or not of {}, fetch the \
                     binary version again",
                    classes - 1,
                    self.title
                );
                return Err(Error::content(path, problem));
            }
        }
        Ok(())
    }
}
