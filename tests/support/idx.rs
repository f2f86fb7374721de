//! Writes MNIST-style folders; the program itself only reads them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::Compression;

/// One IDX file: unsigned bytes, one dimension per entry of `sizes`.
pub fn file(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![0, 0, 8, sizes.len() as u8];
    content.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    content.extend_from_slice(bytes);
    content
}

/// The same bytes as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).and_then(|()| packed.finish()).expect("writing to memory")
}

/// The two files of one `half` (`train` or `t10k`): images of `side`×`side` pixels and their labels.
pub fn half(dir: &Path, half: &str, side: u32, pixels: &[u8], labels: &[u8]) -> io::Result<()> {
    let count = labels.len() as u32;
    fs::write(dir.join(format!("{half}-images-idx3-ubyte")), file(&[count, side, side], pixels))?;
    fs::write(dir.join(format!("{half}-labels-idx1-ubyte")), file(&[count], labels))
}
