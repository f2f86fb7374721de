//! Reader of MNIST-style folders: four files in the IDX format, plain or gzip.
//!
//! An IDX file is a magic number, one size per dimension (all big-endian 32-bit) and then one byte per
//! element. Files come from downloads, and downloads go wrong: nothing in a header is believed before the
//! bytes are there, no memory is reserved on its word, and every way to fail has a sentence of its own.

use std::path::{Path, PathBuf};

use super::files::{check_folder, file_name, locate, spellings, Format};
use super::images::{Images, CLASSES};
use super::stream::Stream;
use super::Dataset;
use crate::{Error, Result};

/// Most elements taken from one file, 1 GiB as bytes and 4 GiB once scaled: twenty times MNIST.
const LIMIT: u64 = 1 << 30;

/// How a folder of such files is known; what lies in it has no name of its own.
pub(super) const FORMAT: Format = Format {
    title: "MNIST or Fashion-MNIST",
    names: &[
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "train-images.idx3-ubyte",
        "train-labels.idx1-ubyte",
        "t10k-images.idx3-ubyte",
        "t10k-labels.idx1-ubyte",
    ],
    load: |dir| load(dir, "idx"),
};

/// The collection in the folder `dir`, called `name`: ten classes, pixels in [−1, 1].
///
/// Each file may be plain or gzip, whatever its ending, under either of its usual names:
/// `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, both with or without `.gz`, and so on for
/// `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`. Where several are
/// there, the first in this order is read.
///
/// # Errors
/// [`Error::Content`] naming the file, what is wrong with it and what to do: not a folder, a file missing,
/// unknown or swapped magic number, zero or absurd sizes, too few or too many bytes, damaged gzip, a label
/// above 9, counts or image sizes that do not fit each other. [`Error::Io`] if the system refuses to read.
pub fn load(dir: &Path, name: &str) -> Result<Dataset> {
    check_folder(dir, "the four MNIST-format files")?;
    // All four are looked for before the first is read: a missing one is told at once.
    let train = Pair::locate(dir, "train")?;
    let test = Pair::locate(dir, "t10k")?;
    let (train_images, test_images) = (train.read()?, test.read()?);
    let ([_, height, width], [_, test_height, test_width]) = (train_images.shape, test_images.shape);
    if (height, width) != (test_height, test_width) {
        return Err(Error::content(
            &test.images,
            format!(
                "holds images of {test_height}×{test_width} while `{}` holds {height}×{width}; put the files of one \
                 collection together",
                file_name(&train.images)
            ),
        ));
    }
    Images::dataset(name, &train_images, &test_images)
}

/// The two files of one half.
struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

impl Pair {
    fn locate(dir: &Path, half: &str) -> Result<Self> {
        Ok(Self { images: find(dir, half, Kind::Images)?, labels: find(dir, half, Kind::Labels)? })
    }

    fn read(&self) -> Result<Images> {
        let images = read(&self.images, Kind::Images, &self.labels)?;
        let labels = read(&self.labels, Kind::Labels, &self.images)?;
        let count = |raw: &Raw| raw.sizes.first().copied().unwrap_or(0);
        if count(&images) != count(&labels) {
            return Err(Error::content(
                &self.images,
                format!(
                    "holds {} images, but `{}` holds {} labels; put the files of one collection together",
                    count(&images),
                    file_name(&self.labels),
                    count(&labels)
                ),
            ));
        }
        if let Some(at) = labels.bytes.iter().position(|&label| usize::from(label) >= CLASSES) {
            return Err(Error::content(
                &self.labels,
                format!(
                    "label {} at position {at}, expected 0 to 9; use a collection of ten classes or fetch the \
                     file again",
                    labels.bytes[at]
                ),
            ));
        }
        let size = |dimension: usize| images.sizes.get(dimension).copied().unwrap_or(0) as usize;
        Ok(Images::grey(size(1), size(2), images.bytes, labels.bytes))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Images,
    Labels,
}

impl Kind {
    /// Two zero bytes, 0x08 for unsigned bytes, the number of dimensions.
    fn magic(self) -> u32 {
        0x0800 + self.dimensions() as u32
    }

    fn dimensions(self) -> usize {
        match self {
            Self::Images => 3,
            Self::Labels => 1,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Labels => "labels",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Images => Self::Labels,
            Self::Labels => Self::Images,
        }
    }
}

fn find(dir: &Path, half: &str, kind: Kind) -> Result<PathBuf> {
    let (word, dimensions) = (kind.word(), kind.dimensions());
    let names = ['-', '.'].map(|joint| format!("{half}-{word}{joint}idx{dimensions}-ubyte"));
    locate(dir, &names)?.ok_or_else(|| {
        let looked_for = spellings(&names).join(", ");
        Error::content(dir, format!("has no {half} {word}: looked for {looked_for}; put one of them there"))
    })
}

/// A file taken apart: one size per dimension, and as many bytes as their product.
struct Raw {
    sizes: Vec<u32>,
    bytes: Vec<u8>,
}

/// Reads `path` as `kind`; `partner` is the file it may have been swapped with.
fn read(path: &Path, kind: Kind, partner: &Path) -> Result<Raw> {
    let mut stream = Stream::open(path)?;
    let header_bytes = 4 + 4 * kind.dimensions() as u64;
    let header = stream.take(header_bytes, Some(header_bytes))?;
    let mut words = header.chunks_exact(4).map(|word| word.iter().fold(0, |n, &b| n << 8 | u32::from(b)));
    match words.next() {
        Some(magic) if magic == kind.magic() => {}
        Some(magic) if magic == kind.other().magic() => {
            return Err(Error::content(
                path,
                format!(
                    "is named as {} (magic 0x{:08x}) but looks like {} (magic 0x{magic:08x}); see whether it was \
                     swapped with `{}` and rename both",
                    kind.word(),
                    kind.magic(),
                    kind.other().word(),
                    file_name(partner)
                ),
            ))
        }
        Some(magic) => {
            return Err(Error::content(
                path,
                format!(
                    "starts with 0x{magic:08x}, not with 0x{:08x} as IDX {} do; fetch the file again",
                    kind.magic(),
                    kind.word()
                ),
            ))
        }
        None => return Err(stream.short(header_bytes, "of its header")),
    }
    let sizes: Vec<u32> = words.collect();
    if sizes.len() != kind.dimensions() {
        return Err(stream.short(header_bytes, "of its header"));
    }
    let declared = sizes.iter().map(u32::to_string).collect::<Vec<_>>().join("×");
    if sizes.contains(&0) {
        return Err(Error::content(
            path,
            format!("declares {declared} {}, which is nothing at all; fetch the file again", kind.word()),
        ));
    }
    let count = sizes
        .iter()
        .try_fold(1, |n: u64, &size| n.checked_mul(size.into()))
        .filter(|&count| count <= LIMIT)
        .ok_or_else(|| {
            Error::content(
                path,
                format!(
                    "declares {declared} {}, more than the {LIMIT} bytes that are read at most; fetch the file \
                     again or use a smaller collection",
                    kind.word()
                ),
            )
        })?;

    let what = format!("declared by its header ({declared} {})", kind.word());
    let total = header_bytes + count;
    stream.check_plain_length(total, &what)?;
    let bytes = stream.take(count, Some(total))?;
    if (bytes.len() as u64) < count {
        return Err(stream.short(total, &what));
    }
    // Asking past the end also makes the unpacker compare its checksum.
    if !stream.take(1, Some(total))?.is_empty() {
        return Err(stream.long(total, &what));
    }
    Ok(Raw { sizes, bytes })
}
