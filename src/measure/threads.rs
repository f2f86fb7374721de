//! How many worker threads there are: said once, before any thread exists.
//!
//! Candle reads `RAYON_NUM_THREADS` at every call, rayon at its first use, and the fused engine when it is made. All
//! three follow that variable, so it is what is set.

use std::env;
use std::ffi::OsStr;

use pcnbench_kernels::threads;

use super::{affinity, machine};
use crate::{Error, Result};

/// The variable that Candle, rayon and the fused engine follow.
pub const VARIABLE: &str = threads::VARIABLE;

/// A number of worker threads and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// At least 1, at most the logical processors this process may use.
    pub threads: usize,
    /// Where it comes from.
    pub source: Source,
    /// Which request could not be met, if any, and what is done instead.
    pub warning: Option<String>,
}

/// Where the number of threads comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `--threads`.
    Option,
    /// The environment, [`VARIABLE`].
    Variable,
    /// The physical cores this process may use: two threads of a core share the units that multiply.
    Cores,
}

/// The number of threads under `--threads` (`asked`), the variable and this machine.
///
/// An option is about this run, so one that cannot be met is refused. The variable may be meant for other programs on
/// larger machines, so it is lowered, with a warning. More workers than processors would wait for one another at every
/// barrier, and no time taken then means anything.
///
/// # Errors
/// [`Error::Invalid`] if `asked` is 0 or more than the logical processors.
pub fn choose(asked: Option<usize>, variable: Option<&str>, cores: usize, logical: usize) -> Result<Choice> {
    let logical = logical.max(1);
    let cores = cores.clamp(1, logical);
    if let Some(threads) = asked {
        if !(1..=logical).contains(&threads) {
            return Err(Error::Invalid(format!(
                "--threads {threads}: this process may use {logical} {}; give a number from 1 to {logical}",
                if logical == 1 { "processor" } else { "processors" }
            )));
        }
        return Ok(Choice { threads, source: Source::Option, warning: None });
    }
    let Some(text) = variable.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(Choice { threads: cores, source: Source::Cores, warning: None });
    };
    Ok(match text.parse::<usize>() {
        Ok(threads) if (1..=logical).contains(&threads) => {
            Choice { threads, source: Source::Variable, warning: None }
        }
        Ok(threads) if threads > logical => Choice {
            threads: logical,
            source: Source::Variable,
            warning: Some(format!(
                "{VARIABLE}={threads} is more than the {logical} processors of this process; {logical} threads are used"
            )),
        },
        _ => Choice {
            threads: cores,
            source: Source::Cores,
            warning: Some(format!(
                "{VARIABLE} is `{}`, which is no number of threads; {cores} are used",
                text.escape_debug()
            )),
        },
    })
}

/// Chooses for this process, starts the workers ([`affinity`]) and sets [`VARIABLE`], which later threads and child
/// processes see.
///
/// Call it first of all: a pool that exists keeps its size.
///
/// # Errors
/// As for [`choose`], and if the system does not grant the threads that `asked` names.
pub fn settle(asked: Option<usize>) -> Result<Choice> {
    let (cores, logical) = machine::processors();
    let variable = env::var_os(VARIABLE).map(|text| text.to_string_lossy().into_owned());
    let choice = choose(asked, variable.as_deref(), cores, logical)?;
    let granted = affinity::start(choice.threads);
    let choice = choice.granted(granted)?;
    threads::set(Some(OsStr::new(&choice.threads.to_string())));
    Ok(choice)
}

impl Choice {
    /// The choice where the system grants no more than `granted` threads: an option that cannot be met is refused,
    /// anything else lowered with a warning.
    fn granted(mut self, granted: usize) -> Result<Self> {
        if granted >= self.threads {
            return Ok(self);
        }
        let problem = format!(
            "the system grants {granted} of {} worker threads (a limit on processes, `ulimit -u`, or on memory)",
            self.threads
        );
        if self.source == Source::Option {
            return Err(Error::Invalid(format!(
                "--threads {}: {problem}; raise it, or give --threads {granted}",
                self.threads
            )));
        }
        let warning = format!("{problem}; threads used: {granted}");
        self.warning = Some(self.warning.map_or(warning.clone(), |first| format!("{first}; {warning}")));
        self.threads = granted;
        Ok(self)
    }
}

impl Source {
    /// In words, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Option => "--threads",
            Self::Variable => VARIABLE,
            Self::Cores => "physical cores; --threads or RAYON_NUM_THREADS says otherwise",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(asked: Option<usize>, variable: Option<&str>, cores: usize, logical: usize) -> (usize, Source) {
        let choice = choose(asked, variable, cores, logical).unwrap();
        assert_eq!(choice.warning, None);
        (choice.threads, choice.source)
    }

    #[test]
    fn option_before_variable_before_cores() {
        assert_eq!(chosen(Some(3), Some("2"), 4, 8), (3, Source::Option));
        assert_eq!(chosen(None, Some("2"), 4, 8), (2, Source::Variable));
        assert_eq!(chosen(None, None, 4, 8), (4, Source::Cores));
        assert_eq!(chosen(None, Some(""), 4, 8), (4, Source::Cores));
        // every processor may be asked for, cores are only the default
        assert_eq!(chosen(Some(8), None, 4, 8), (8, Source::Option));
        assert_eq!(chosen(None, Some("8"), 4, 8), (8, Source::Variable));
    }

    #[test]
    fn a_quota_below_the_cores_counts() {
        assert_eq!(chosen(None, None, 16, 2), (2, Source::Cores));
        assert_eq!(chosen(None, None, 0, 0), (1, Source::Cores));
    }

    #[test]
    fn an_option_that_cannot_be_met_is_refused() {
        for (asked, logical) in [(0, 4), (5, 4), (usize::MAX, 4), (2, 1)] {
            let refused = choose(Some(asked), None, 2, logical).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("--threads {asked}: this process may use {logical} ")));
            assert!(refused.ends_with(&format!("from 1 to {logical}")), "{refused}");
        }
    }

    #[test]
    fn threads_that_are_not_granted_lower_a_default_and_refuse_an_option() {
        let choice = |asked, variable| choose(asked, variable, 4, 8).unwrap();
        assert_eq!(choice(Some(4), None).granted(4).unwrap(), choice(Some(4), None));
        let lowered = choice(None, None).granted(3).unwrap();
        assert_eq!((lowered.threads, lowered.source), (3, Source::Cores));
        assert!(lowered.warning.unwrap().contains("grants 3 of 4 worker threads"));
        let both = choice(None, Some("64")).granted(1).unwrap();
        let warning = both.warning.unwrap();
        assert!(both.threads == 1 && warning.contains("RAYON_NUM_THREADS=64") && warning.contains("1 of 8"));
        let refused = choice(Some(4), None).granted(2).unwrap_err().to_string();
        assert!(refused.starts_with("--threads 4: ") && refused.ends_with("give --threads 2"), "{refused}");
    }

    #[test]
    fn a_variable_that_cannot_be_met_is_lowered_or_left_out() {
        let choice = choose(None, Some("64"), 2, 4).unwrap();
        assert_eq!((choice.threads, choice.source), (4, Source::Variable));
        assert!(choice.warning.unwrap().contains("RAYON_NUM_THREADS=64 is more than the 4"));
        for text in ["0", "-1", "many", "1e3"] {
            let choice = choose(None, Some(text), 2, 4).unwrap();
            assert_eq!((choice.threads, choice.source), (2, Source::Cores));
            assert!(choice.warning.unwrap().contains(&format!("`{text}`")));
        }
    }
}
