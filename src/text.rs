//! Messages of other libraries, and words for a shell.

use std::path::Path;

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
