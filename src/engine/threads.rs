//! Candle's products on fewer threads than the run has.

use std::env;
use std::ffi::{OsStr, OsString};

use pcnbench_kernels::threads::{set, VARIABLE};

/// Runs `work` with Candle's products on at most `threads` threads; as it is where that is `None`.
///
/// Products of narrow layers can take longer on all threads than on one: waking threads costs more than they save.
pub fn limited<R>(threads: Option<usize>, work: impl FnOnce() -> R) -> R {
    let _restore = threads.map(|n| {
        let before = env::var_os(VARIABLE);
        set(Some(OsStr::new(&n.to_string())));
        Restore(before)
    });
    work()
}

/// Puts the variable back, also when the work panics.
struct Restore(Option<OsString>);

impl Drop for Restore {
    fn drop(&mut self) {
        set(self.0.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::utils::get_num_threads;

    #[test]
    fn candle_sees_the_limit_inside_only() {
        let before = env::var_os(VARIABLE);
        let outside = get_num_threads();
        assert_eq!(limited(Some(1), get_num_threads), 1);
        assert_eq!(limited(Some(3), || limited(None, get_num_threads)), 3);
        assert!(std::panic::catch_unwind(|| limited(Some(2), || panic!("planned"))).is_err());
        assert_eq!((get_num_threads(), env::var_os(VARIABLE)), (outside, before));
    }
}
