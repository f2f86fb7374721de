//! Text from outside: files of a bounded size, and messages of other libraries.

use std::fs::File;
use std::io::Read;
use std::path::Path;

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

/// `text` as one line: messages of other libraries may have several.
pub fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The command that goes on with the record in `dir`, to be copied into a shell.
pub fn resume_command(dir: &Path) -> String {
    format!("pcnbench run --resume={}", shell_word(&dir.to_string_lossy()))
}

/// `word` as a shell reads it back: in quotes where it has to be.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        let command = |dir: &str| resume_command(Path::new(dir));
        assert_eq!(
            command("results/cpu-4c/2026-11-22-ab+dirty-x"),
            "pcnbench run --resume=results/cpu-4c/2026-11-22-ab+dirty-x"
        );
        assert_eq!(command("my records"), "pcnbench run --resume='my records'");
        assert_eq!(command("it's $HOME"), r"pcnbench run --resume='it'\''s $HOME'");
    }
}
