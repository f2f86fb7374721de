//! Which code is running: facts fixed when it was built (see the build script), for the record.

/// Short commit hash, or `unknown` outside a repository.
pub const REV: &str = env!("PCNBENCH_REV");
/// SHA-256 of the `Cargo.lock` that was built, or `unknown`.
pub const LOCKFILE_SHA256: &str = env!("PCNBENCH_LOCK_SHA256");
/// The compiler, as it names itself, or `unknown`.
pub const RUSTC: &str = env!("PCNBENCH_RUSTC");
/// Version of Candle, or `unknown`.
pub const CANDLE: &str = env!("PCNBENCH_CANDLE");
/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether what is compiled differed from the commit [`REV`].
pub fn dirty() -> bool {
    env!("PCNBENCH_DIRTY") == "true"
}

/// Cargo features compiled in.
pub fn features() -> Vec<String> {
    let known = [
        ("cuda", cfg!(feature = "cuda")),
        ("hub", cfg!(feature = "hub")),
        ("trials", cfg!(feature = "trials")),
    ];
    known.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_have_their_form() {
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(REV == "unknown" || (REV.len() >= 7 && hex(REV)), "{REV}");
        assert!(LOCKFILE_SHA256 == "unknown" || (LOCKFILE_SHA256.len() == 64 && hex(LOCKFILE_SHA256)));
        assert!(CANDLE == "unknown" || CANDLE.starts_with(|c: char| c.is_ascii_digit()), "{CANDLE}");
        assert!(RUSTC == "unknown" || RUSTC.starts_with("rustc "), "{RUSTC}");
        assert!(["true", "false"].contains(&env!("PCNBENCH_DIRTY")));
    }
}
