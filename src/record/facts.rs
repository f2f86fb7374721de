//! What has to agree before numbers of two processes stand in one record.

use super::schema::Run;

/// What was asked: suite, definition, seed and data.
pub(super) fn question(run: &Run) -> Vec<(&'static str, String)> {
    vec![
        ("suite", run.suite.clone()),
        ("definition (sha256)", run.definition_sha256.clone()),
        ("seed", run.seed.to_string()),
        ("data", run.data.join("; ")),
    ]
}

/// The program that measured, down to what it was linked with and how it set its devices up.
pub(super) fn code(run: &Run) -> Vec<(&'static str, String)> {
    vec![
        ("revision", format!("{}{}", run.rev, if run.dirty { "+dirty" } else { "" })),
        ("version", run.version.clone()),
        ("Cargo.lock", run.lockfile_sha256.clone()),
        ("Candle", run.candle.clone()),
        ("compiler", run.rustc.clone()),
        ("features", run.features.join(" ")),
        ("switches", run.switches.join("; ")),
    ]
}
