//! Text files from outside.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::text::one_line;
use crate::{Error, Result};

/// A whole text file, if it has no more than `limit` bytes: a path may lead anywhere, even to `/dev/zero`.
pub fn read_text(action: &'static str, path: &Path, limit: u64) -> Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|e| Error::io(action, path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::content(path, format!("has more than {limit} bytes; is this the right file?")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::content(path, format!("is not UTF-8 text (at byte {at}); is this the right file?"))
    })
}

/// What the TOML reader says of `text`, the content of `path`: file, line and message.
pub fn toml_refused(path: &Path, text: &str, e: &toml::de::Error) -> Error {
    let before = e.span().and_then(|s| text.get(..s.start)).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    Error::content(path, format!("line {line}: {}", one_line(e.message())))
}
