//! The bytes of one file, unpacked on the way if need be.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::{Error, Result};

/// A file opened for reading; gzip is known by its first two bytes (1f 8b), never by its name.
pub(super) struct Stream<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    /// Length of the file if it is not packed; how much a packed one holds shows only on reading it.
    plain_bytes: Option<u64>,
    taken: u64,
}

impl<'a> Stream<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        let refused = |e| Error::io("read", path, e);
        let mut file = File::open(path).map_err(refused)?;
        let length = file.metadata().map_err(refused)?.len();
        let mut start = Vec::new();
        file.by_ref().take(2).read_to_end(&mut start).map_err(refused)?;
        let gzip = start == [0x1f, 0x8b];
        let whole = BufReader::new(Cursor::new(start).chain(file));
        let reader: Box<dyn Read> = if gzip { Box::new(Members::new(whole)) } else { Box::new(whole) };
        Ok(Self { path, reader, plain_bytes: (!gzip).then_some(length), taken: 0 })
    }

    /// Up to `count` bytes, fewer only at the end of the file. Memory grows with the bytes that arrive, not
    /// with `count`. `total` is how many the file should hold so far as is known, for the error alone.
    pub(super) fn take(&mut self, count: u64, total: Option<u64>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let result = self.reader.by_ref().take(count).read_to_end(&mut bytes);
        self.taken += bytes.len() as u64;
        match result {
            Ok(_) => Ok(bytes),
            // The unpacker's own complaints carry no system error number.
            Err(e) if self.plain_bytes.is_none() && e.raw_os_error().is_none() => {
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                Err(Error::content(
                    self.path,
                    format!(
                        "its gzip data are damaged after {}{of} unpacked bytes ({e}); fetch the file again",
                        self.taken
                    ),
                ))
            }
            Err(e) => Err(Error::io("read", self.path, e)),
        }
    }

    /// Length of the file if it is not packed.
    pub(super) fn plain_bytes(&self) -> Option<u64> {
        self.plain_bytes
    }

    /// Bytes taken so far, unpacked.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// An unpacked file tells its length beforehand: better than reading a gigabyte to find it wrong.
    pub(super) fn check_plain_length(&self, expected: u64, what: &str) -> Result<()> {
        match self.plain_bytes {
            Some(actual) if actual < expected => Err(self.short(expected, what)),
            Some(actual) if actual > expected => Err(self.long(expected, what)),
            _ => Ok(()),
        }
    }

    /// How long the file has turned out to be, once it has been read to its end if it is packed.
    pub(super) fn found(&self) -> String {
        match self.plain_bytes {
            Some(length) => format!("holds {length} bytes"),
            None => format!("unpacks to {} bytes", self.taken),
        }
    }

    /// The error for a file that ends too early.
    pub(super) fn short(&self, expected: u64, what: &str) -> Error {
        Error::content(
            self.path,
            format!("{}, fewer than the {expected} {what}; it was cut short, fetch it again", self.found()),
        )
    }

    /// The error for a file that goes on after its end.
    pub(super) fn long(&self, expected: u64, what: &str) -> Error {
        let found = match self.plain_bytes {
            Some(length) => format!("holds {length} bytes, more"),
            // Where it would end is not worth finding out: it may never.
            None => "unpacks to more".to_owned(),
        };
        Error::content(self.path, format!("{found} than the {expected} {what}; fetch the file again"))
    }
}

/// A gzip file: one member after another, the last of which zeros may follow, with which tapes and block devices fill
/// their last block (`gzip` accepts them too).
struct Members<R> {
    /// None after the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            self.member = match self.member.take() {
                Some(ended) => next_member(ended.into_inner())?.map(GzDecoder::new),
                None => None,
            };
        }
        Ok(0)
    }
}

/// What follows the end of a member, if it is not zeros to the end.
fn next_member<R: BufRead>(mut packed: R) -> io::Result<Option<R>> {
    if packed.fill_buf()?.first().is_some_and(|&byte| byte != 0) {
        return Ok(Some(packed));
    }
    loop {
        let rest = packed.fill_buf()?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "other bytes behind the zeros after its end",
            ));
        }
        match rest.len() {
            0 => return Ok(None),
            zeros => packed.consume(zeros),
        }
    }
}
