//! Errors of a fused call.

/// Result of every fallible function of this package.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a fused call was refused. Nothing has been computed or changed when it is returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer whose sizes contradict its neighbour's or its own skip.
    #[error("layer {layer} of the stack: {problem}")]
    Layer {
        /// l, from 1.
        layer: usize,
        /// What was found and what was expected.
        problem: String,
    },
    /// A name that is not in a closed list.
    #[error("unknown {what} `{got}`; expected one of: {known}")]
    Unknown {
        /// What the name should have named.
        what: &'static str,
        /// The name given.
        got: String,
        /// The names that exist.
        known: String,
    },
    /// A tensor that does not fit the stack.
    #[error("{what}: expected {expected}, got {got}")]
    Operand {
        /// Which operand.
        what: &'static str,
        /// Shape, dtype or layout that would fit.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A rule that this engine does not run as asked.
    #[error("{0}")]
    Unsupported(String),
    /// Worker threads could not be started.
    #[error("cannot start {threads} worker threads: {source}; ask for fewer with --threads")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The system's own reason.
        source: std::io::Error,
    },
    /// Candle's own error.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// The one of `all` that is called `got`; otherwise an [`Error::Unknown`] that lists their names.
    pub(crate) fn find<T: Copy, const N: usize>(
        what: &'static str,
        got: &str,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T> {
        all.into_iter().find(|one| name(*one) == got).ok_or_else(|| {
            let known = all.map(&name).join(", ");
            Self::Unknown { what, got: got.to_owned(), known }
        })
    }
}
