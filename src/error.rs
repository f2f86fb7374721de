//! Everything that can go wrong, as fields rather than prose.
//!
//! Each message is one sentence that names the file, key or shape at fault, says what was expected
//! and what to do. A failed *measurement* is not an error: it becomes a row with `err` in the record.

use std::path::{Path, PathBuf};

use crate::text::{one_line, resume_command};

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One error for the whole library; the binary adds context and chooses the exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}{}", path.display(), limit(source))]
    Io {
        /// What was attempted, as a verb phrase: `read`, `create the folder`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own reason.
        source: std::io::Error,
    },
    /// A file was read but its content is not what its format says.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, what was expected, what to do.
        problem: String,
    },
    /// A key of a suite definition (or the option that sets it) has a value that cannot be used.
    #[error("{place}: key `{key}`: {problem}")]
    Key {
        /// Suite name or file, and benchmark, e.g. `quick.toml, benchmark "depth"`.
        place: String,
        /// The key as the user wrote it.
        key: String,
        /// What was found, what was expected.
        problem: String,
    },
    /// A name that is not in a closed list.
    #[error("unknown {what} `{got}`; expected one of: {known}")]
    Unknown {
        /// What the name should have named: `suite`, `activation`, `rule`.
        what: &'static str,
        /// The name given.
        got: String,
        /// The names that exist.
        known: String,
    },
    /// Tensors that do not fit each other.
    #[error("{what}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// The tensor or operation.
        what: String,
        /// Shape that would fit.
        expected: Vec<usize>,
        /// Shape that was given.
        got: Vec<usize>,
    },
    /// The inference or the training produced a non-finite number.
    #[error("{rule} diverged: {quantity} is not finite{}", remedy(*steps, *step_size))]
    Diverged {
        /// Rule name.
        rule: String,
        /// The first quantity found non-finite.
        quantity: String,
        /// Inference steps per weight update.
        steps: usize,
        /// State (or error) step size, per sample.
        step_size: f64,
    },
    /// The fused engine's own refusal.
    #[error(transparent)]
    Kernels(#[from] pcnbench_kernels::Error),
    /// The device asked for cannot be used.
    #[error("device `{device}` is not available: {reason}")]
    Device {
        /// As the user named it.
        device: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A GPU stopped working in the middle of a run.
    #[error(
        "device `{device}` has stopped working ({cause}); points finished before are kept in {}, and `{}` goes on with the \
         others",
        record.display(), resume_command(record)
    )]
    Lost {
        /// As the user named it.
        device: String,
        /// The first error that it gave.
        cause: String,
        /// The unfinished record.
        record: PathBuf,
    },
    /// A contender computes something else than the oracle on the reduced problem of its point.
    #[error("{0}")]
    Wrong(String),
    /// A request that makes no sense as a whole (reported before anything is measured or written).
    #[error("{0}")]
    Invalid(String),
    /// Candle refused an operation.
    #[error("tensor operation failed: {}", plain(.0))]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// An [`Error::Content`] for `path`.
    pub fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), problem: problem.into() }
    }

    /// An [`Error::Unknown`] listing `known`.
    pub fn unknown<'a>(what: &'static str, got: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Self::Unknown { what, got: got.to_owned(), known }
    }
}

/// What to look at where a file may not be as large as it must be; the system's own words name no limit.
fn limit(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::FileTooLarge => {
            "; raise the limit on the size of files (`ulimit -f`), or write to another disk"
        }
        _ => "",
    }
}

/// Where a divergence was noticed, and what to lower.
fn remedy(steps: usize, step_size: f64) -> String {
    match steps {
        0 => "; lower the learning rate or the gain".to_owned(),
        _ => format!(
            " after {steps} inference steps of size {step_size}; lower the step size or the learning rate"
        ),
    }
}

/// What Candle says, in one line and without the backtrace that it appends under `RUST_BACKTRACE`.
pub fn plain(error: &candle_core::Error) -> String {
    use candle_core::Error as Candle;
    match error {
        Candle::WithBacktrace { inner, .. } => plain(inner),
        Candle::Context { inner, context } => format!("{}: {}", one_line(&context.to_string()), plain(inner)),
        Candle::WithPath { inner, path } => format!("{}: {}", path.display(), plain(inner)),
        other => one_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Error as Candle;

    #[test]
    fn what_candle_wraps_around_a_message_is_taken_off() {
        let backtrace = Box::new(std::backtrace::Backtrace::force_capture());
        let inner = Box::new(Candle::Msg("first\n  second".into()));
        let wrapped = Candle::WithBacktrace { inner, backtrace }.context("while testing").with_path("w.bin");
        assert_eq!(
            Error::from(wrapped).to_string(),
            "tensor operation failed: w.bin: while testing: first; second"
        );
    }
}
