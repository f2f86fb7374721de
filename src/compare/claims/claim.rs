//! What a claim is, and what becomes of it.

use crate::record::Record;

/// What a record says of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The claim holds wherever it was measured.
    Holds,
    /// It holds in part, under this condition.
    HoldsOnly(String),
    /// It does not hold.
    DoesNotHold,
    /// It cannot be told from what was measured, for this reason.
    Undetermined(String),
}

/// A claim after a look at the records.
pub(super) struct Judged {
    pub(super) numbers: String,
    pub(super) verdict: Verdict,
    /// What the test could have told, and what it could not.
    pub(super) power: String,
}

/// A claim of the literature.
pub(super) struct Claim {
    pub(super) number: u32,
    pub(super) claim: &'static str,
    pub(super) source: &'static str,
    /// The suite whose newest record is looked at.
    pub(super) suite: &'static str,
    /// What is run, and on which data.
    pub(super) recipe: &'static str,
    pub(super) judge: fn(&Record) -> Option<Judged>,
}
