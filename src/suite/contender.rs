//! Who competes: contender ids and what they stand for.

use std::fmt;
use std::str::FromStr;

use crate::engine::EngineKind;
use crate::net::Parameterisation;
use crate::rule::Rule;
use crate::{Error, Result};

/// A contender id `rule/engine`, or `rule/engine:n` for an engine on n threads.
///
/// `mupc`, `mupc-epc` and `mupc-bp` are the pairs of the μPC parameterisation (`mupc-residual`) with the
/// rules `spc`, `epc` and `bp`: μPC is not a rule, but it is how the literature names what it runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContenderId {
    /// The part before the slash.
    pub name: String,
    /// The rule it stands for.
    pub rule: String,
    /// Who executes it.
    pub engine: EngineKind,
    /// The parameterisation the name fixes, if it fixes one.
    pub parameterisation: Option<Parameterisation>,
    /// Threads, if the id says how many; else as many as the run has.
    pub threads: Option<usize>,
}

/// Names that pair a rule with the μPC parameterisation.
const PAIRS: [(&str, &str); 3] = [("mupc", "spc"), ("mupc-epc", "epc"), ("mupc-bp", "bp")];

/// Every name before the slash.
pub fn names() -> impl Iterator<Item = &'static str> {
    Rule::NAMES.into_iter().chain(PAIRS.map(|(pair, _)| pair))
}

impl ContenderId {
    /// The baseline of this contender among `all`: backpropagation on the same network by the same kind of
    /// engine where it takes part, otherwise the benchmark's baseline.
    pub fn baseline<'a>(&self, all: &'a [ContenderId], default: &'a ContenderId) -> &'a ContenderId {
        if self.parameterisation.is_none() {
            return default;
        }
        all.iter()
            .find(|c| {
                c.rule == "bp" && c.parameterisation == self.parameterisation && c.engine == default.engine
            })
            .unwrap_or(default)
    }
}

/// The most threads that an id may ask for: more than any one machine has, and few enough to be counted.
const MOST_THREADS: usize = 1024;

/// The number behind the colon of contender `id`.
fn threads(id: &str, n: &str) -> Result<usize> {
    match n.parse() {
        Ok(n @ 1..=MOST_THREADS) if n.to_string().len() == id.len() - id.find(':').map_or(0, |i| i + 1) => {
            Ok(n)
        }
        _ => Err(Error::Invalid(format!(
            "contender `{id}` asks for `{n}` threads; expected a number from 1 to {MOST_THREADS}"
        ))),
    }
}

impl FromStr for ContenderId {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let Some((name, engine)) = s.split_once('/') else {
            return Err(Error::Invalid(format!(
                "contender `{s}` is not of the form rule/engine, e.g. spc/reference"
            )));
        };
        let (engine, threads) = match engine.split_once(':') {
            Some((engine, threads)) => (engine, Some(threads)),
            None => (engine, None),
        };
        let engine: EngineKind = engine.parse()?;
        let threads = threads.map(|n| self::threads(s, n)).transpose()?;
        let (rule, parameterisation) = match PAIRS.iter().find(|(pair, _)| *pair == name) {
            Some((_, rule)) => (*rule, Some(Parameterisation::MUPC)),
            None if Rule::NAMES.contains(&name) => (name, None),
            None => return Err(Error::unknown("rule", name, names())),
        };
        if !engine.runs(rule) {
            return Err(Error::Invalid(format!(
                "engine {engine} does not run rule {rule} (contender `{s}`)"
            )));
        }
        Ok(Self { name: name.to_owned(), rule: rule.to_owned(), engine, parameterisation, threads })
    }
}

impl fmt::Display for ContenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.engine)?;
        self.threads.map_or(Ok(()), |n| write!(f, ":{n}"))
    }
}
