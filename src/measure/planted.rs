//! Injected slowdowns and allocations, to see whether a gate notices them. Compiled only under the feature `trials`,
//! which no build for use has and which a record made with it names, and in debug builds, which measure for tests only.

use std::sync::OnceLock;
use std::time::Instant;

/// `RULE=FACTOR`, e.g. `spc=1.05`: every update of the contenders whose id begins with `spc/` takes 1.05 times as long.
pub const VARIABLE: &str = "PCNBENCH_TRIAL_SLOWDOWN";

/// `RULE`, e.g. `spc`: every update of the contenders whose id begins with `spc/` asks for one block of
/// [`BLOCK`] bytes more.
pub const ALLOCATION: &str = "PCNBENCH_TRIAL_ALLOCATION";
/// Bytes of an injected allocation.
pub const BLOCK: usize = 24;

/// Asks for the block that is to be injected for `contender`, if there is one.
pub fn allocate(contender: &str) {
    static PLANTED: OnceLock<Option<String>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var(ALLOCATION).ok());
    if contender.split('/').next() == planted.as_deref() {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK)));
    }
}

/// Keeps busy until what began at `start` has taken as long as the slowdown injected for `contender` demands.
pub fn slow_down(contender: &str, start: Instant) {
    let rule = contender.split('/').next().unwrap_or_default();
    static PLANTED: OnceLock<Option<(String, f64)>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| parse(&std::env::var(VARIABLE).ok()?));
    if let Some((_, factor)) = planted.as_ref().filter(|(slowed, _)| slowed == rule) {
        let until = start.elapsed().mul_f64(*factor);
        while start.elapsed() < until {
            std::hint::spin_loop();
        }
    }
}

/// `None` for what names no rule or no finite factor of at least 1.
fn parse(text: &str) -> Option<(String, f64)> {
    let (rule, factor) = text.split_once('=')?;
    let factor: f64 = factor.parse().ok()?;
    (1.0..=100.0).contains(&factor).then(|| (rule.to_owned(), factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        assert_eq!(parse("spc=1.05"), Some(("spc".to_owned(), 1.05)));
        for bad in ["", "spc", "spc=", "spc=x", "spc=0.9", "spc=inf", "spc=NaN"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
