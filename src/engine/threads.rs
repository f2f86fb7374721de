//! Candle's products on fewer threads than the run has.

use std::env;
use std::ffi::{OsStr, OsString};

use pcnbench_kernels::threads::{set, VARIABLE};

/// Candle's products run on at most some number of threads for as long as this lives.
#[derive(Debug)]
#[must_use = "the limit ends when this is dropped"]
pub struct Limit {
    /// What the variable was before; `None` where nothing was changed.
    before: Option<Option<OsString>>,
}

/// Limits Candle's products to `threads` threads; changes nothing where that is `None`.
///
/// Products of narrow layers can take longer on all threads than on one: waking threads costs more than they save.
/// Setting the limit changes the environment of the process, so it goes around measurements, never into them.
pub fn limit(threads: Option<usize>) -> Limit {
    let before = threads.map(|n| {
        let before = env::var_os(VARIABLE);
        set(Some(OsStr::new(&n.to_string())));
        before
    });
    Limit { before }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set(before.as_deref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::utils::get_num_threads;

    #[test]
    fn candle_sees_the_limit_while_it_lives() {
        let before = env::var_os(VARIABLE);
        let outside = get_num_threads();
        {
            let _one = limit(Some(1));
            assert_eq!(get_num_threads(), 1);
        }
        {
            let _three = limit(Some(3));
            let _same = limit(None);
            assert_eq!(get_num_threads(), 3);
        }
        let panics = std::panic::catch_unwind(|| {
            let _two = limit(Some(2));
            panic!("planned");
        });
        assert!(panics.is_err());
        assert_eq!((get_num_threads(), env::var_os(VARIABLE)), (outside, before));
    }
}
