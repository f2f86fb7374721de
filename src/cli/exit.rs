//! Ends of subcommands.

/// What a subcommand ends with when nothing broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Exit code 0.
    Clean,
    /// Exit code 2: a conformance case, a contender or a formula gave wrong numbers, or a count is another than the
    /// baseline's; says which.
    Wrong(String),
    /// Exit code 3: something became slower than tolerated; says what.
    Regressed(String),
    /// Exit code 4: under `--strict`, something could not be told; says what.
    Inconclusive(String),
}
