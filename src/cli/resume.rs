//! `run --resume`: which record goes on, and whether the suite is named or the record's own.

use std::path::{Path, PathBuf};

use crate::measure::machine;
use crate::record::{self, Run, Shard};
use crate::suite::BUILT_IN;
use crate::{Error, Result};

/// The suite of `run` where none is named.
const DEFAULT: &str = "quick";

/// What SUITE and `--resume` say together.
#[derive(Debug)]
pub(super) enum Choice {
    /// A new record of this suite.
    New(String),
    /// The latest unfinished record of this suite.
    Latest(String),
    /// The record in this folder, as one of this suite.
    In(PathBuf, String),
    /// The record in this folder, as it was begun.
    Itself(PathBuf, Box<Run>),
}

/// Reads SUITE and the value of `--resume`, of which either may be the word that was meant for the other: the option takes
/// the word behind it, and a suite is never the folder of a record.
///
/// # Errors
/// If `--resume` takes a suite beside another one, or there is no record to go on with.
pub(super) fn choose(
    suite: Option<&str>,
    resume: Option<Option<&Path>>,
    results: &Path,
    shard: Option<Shard>,
) -> Result<Choice> {
    let Some(word) = resume else { return Ok(Choice::New(suite.unwrap_or(DEFAULT).to_owned())) };
    match (suite, word) {
        (Some(suite), None) => Ok(Choice::Latest(suite.to_owned())),
        (Some(suite), Some(word)) if is_suite(word) => Err(Error::Invalid(format!(
            "--resume {}: this is a suite, and `{suite}` is one too; name one suite, and the folder of a record behind \
             `--resume=`",
            word.display()
        ))),
        (Some(suite), Some(dir)) => Ok(Choice::In(dir.to_path_buf(), suite.to_owned())),
        (None, Some(word)) if is_suite(word) => Ok(Choice::Latest(word.to_string_lossy().into_owned())),
        (None, Some(dir)) => Ok(Choice::Itself(dir.to_path_buf(), Box::new(record::read_run(dir)?))),
        (None, None) => {
            let here = machine::cpu();
            let fits = |run: &Run| shard.is_none() || run.shard == shard;
            let latest = record::latest_unfinished_on(results, &here, fits).ok_or_else(|| {
                Error::Invalid(format!(
                    "there is no unfinished record{} of this machine under {}; run without --resume",
                    shard.map(|shard| format!(" of shard {shard}")).unwrap_or_default(),
                    results.display()
                ))
            })?;
            choose(None, Some(Some(&latest)), results, shard)
        }
    }
}

/// Whether a word names a suite: a file, a built-in suite, or what could only be a file; a folder is none.
fn is_suite(word: &Path) -> bool {
    let named = || BUILT_IN.iter().any(|(name, _)| word == Path::new(name));
    !word.is_dir() && (word.is_file() || named() || word.extension().is_some_and(|ending| ending == "toml"))
}

/// The value of `--data` on a recorded command line.
pub(super) fn data(argv: &[String]) -> Option<PathBuf> {
    option(argv, "--data").map(PathBuf::from)
}

/// The value of an option on a recorded command line.
pub(super) fn option<'a>(argv: &'a [String], name: &str) -> Option<&'a str> {
    let behind = argv.iter().position(|arg| arg == name).and_then(|at| argv.get(at + 1));
    let joined = || argv.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    behind.map(String::as_str).or_else(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(suite: Option<&str>, resume: Option<Option<&Path>>) -> Result<Choice> {
        choose(suite, resume, Path::new("/no/results"), None)
    }

    #[test]
    fn a_suite_is_never_taken_for_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mine");
        std::fs::write(&file, "").unwrap();
        for word in [Path::new("quick"), Path::new("gone.toml"), &file] {
            let Choice::Latest(suite) = chosen(None, Some(Some(word))).unwrap() else { panic!("{word:?}") };
            assert_eq!(Path::new(&suite), word);
            let twice = chosen(Some("depth"), Some(Some(word))).unwrap_err().to_string();
            assert!(twice.contains("`depth` is one too"), "{twice}");
        }
        // a folder stays one, whatever its name
        let odd = dir.path().join("odd.toml");
        std::fs::create_dir(&odd).unwrap();
        assert!(matches!(chosen(Some("quick"), Some(Some(&odd))).unwrap(), Choice::In(..)));
        let refused = chosen(None, Some(Some(&odd))).unwrap_err().to_string();
        assert!(refused.contains("odd.toml: is not a record"), "{refused}");
    }

    #[test]
    fn without_a_word_the_suite_decides_and_without_either_the_latest_record() {
        assert!(matches!(chosen(None, None).unwrap(), Choice::New(suite) if suite == "quick"));
        assert!(
            matches!(chosen(Some("a.toml"), Some(None)).unwrap(), Choice::Latest(suite) if suite == "a.toml")
        );
        let none = chosen(None, Some(None)).unwrap_err().to_string();
        assert_eq!(
            none,
            "there is no unfinished record of this machine under /no/results; run without --resume"
        );
    }

    #[test]
    fn data_as_they_were_given() {
        let argv = |words: &[&str]| data(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(argv(&["p", "run", "--data", "a b", "--seed", "1"]), Some("a b".into()));
        assert_eq!(argv(&["p", "run", "--data=x"]), Some("x".into()));
        assert_eq!((argv(&["p", "run"]), argv(&["p", "run", "--data"])), (None, None));
    }
}
