//! Contender ids and what they stand for.

use std::fmt;
use std::str::FromStr;

use crate::engine::EngineKind;
use crate::net::Parameterisation;
use crate::rule::{Info, Rule};
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
    /// The engine that executes it.
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
    /// The baseline of this contender among `all`: backpropagation on the same network by the same engine.
    ///
    /// Where that does not take part, and for backpropagation itself, it is backpropagation on the same network by
    /// the engine of the benchmark's baseline `default`; where that is missing too, `default`. So a rule's ratio says
    /// what the rule costs on the engine that executes it, and backpropagation's what the other engine makes of it.
    pub fn baseline<'a>(&self, all: &'a [ContenderId], default: &'a ContenderId) -> &'a ContenderId {
        let backpropagation = |engine: EngineKind, threads: Option<usize>| {
            let same = move |c: &&ContenderId| {
                c.rule == "bp"
                    && c.parameterisation == self.parameterisation
                    && (c.engine, c.threads) == (engine, threads)
            };
            all.iter().find(same)
        };
        let own = if self.rule == "bp" { None } else { self.own_backpropagation(backpropagation) };
        let of_default = || match self.parameterisation == default.parameterisation {
            true => Some(default),
            false => backpropagation(default.engine, default.threads),
        };
        own.or_else(of_default).unwrap_or(default)
    }

    /// Backpropagation as this contender is executed: on as many threads if that takes part, else on all.
    /// `fused-deviation` stores states in another way, and backpropagation has none, so its counterpart is that of
    /// `fused`.
    fn own_backpropagation<'a>(
        &self,
        find: impl Fn(EngineKind, Option<usize>) -> Option<&'a ContenderId>,
    ) -> Option<&'a ContenderId> {
        let engine = if self.engine.is_fused() { EngineKind::Fused } else { self.engine };
        find(engine, self.threads).or_else(|| find(engine, None))
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
            None => {
                return Err(match Rule::without_auto(name) {
                    Some(why) => {
                        Error::Invalid(format!("contender `{s}`: there is no {name}, because {why}"))
                    }
                    None => Error::unknown("rule", name, names()),
                })
            }
        };
        if !Info::runs(rule, engine) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn baselines(ids: &[&str], default: &str) -> Vec<String> {
        let ids: Vec<ContenderId> = ids.iter().map(|id| id.parse().unwrap()).collect();
        let default: ContenderId = default.parse().unwrap();
        ids.iter().map(|id| id.baseline(&ids, &default).to_string()).collect()
    }

    #[test]
    fn rules_stand_against_their_own_engine_and_backpropagation_against_the_baseline() {
        let cases = [
            ("bp/autograd", "bp/reference"),
            ("bp/reference", "bp/reference"),
            ("bp/fused", "bp/reference"),
            ("spc/reference", "bp/reference"),
            ("spc/fused", "bp/fused"),
            ("spc/fused:2", "bp/fused"),
            ("spc/fused-deviation", "bp/fused"),
            ("mupc-bp/reference", "mupc-bp/reference"),
            ("mupc-bp/fused", "mupc-bp/reference"),
            ("mupc/reference", "mupc-bp/reference"),
            ("mupc/fused", "mupc-bp/fused"),
            ("mupc-epc/fused", "mupc-bp/fused"),
        ];
        assert_eq!(baselines(&cases.map(|(id, _)| id), "bp/reference"), cases.map(|(_, base)| base));
        // The other way round, backpropagation by the reference stands against the fused one.
        let cases =
            [("bp/reference", "bp/fused"), ("spc/reference", "bp/reference"), ("spc/fused", "bp/fused")];
        let ids = [cases.map(|(id, _)| id).to_vec(), vec!["bp/fused"]].concat();
        assert_eq!(baselines(&ids, "bp/fused")[..3], cases.map(|(_, base)| base));
    }

    /// A rule whose step no curvature bounds says why it has no `-auto`; a rule that has one, and a name that is none, say nothing of it.
    #[test]
    fn rules_without_a_curvature_say_so() {
        let said = |id: &str| id.parse::<ContenderId>().unwrap_err().to_string();
        for name in ["fpa-auto", "fpa-nested-auto", "ar-auto", "ar-topdown-auto"] {
            assert!(
                said(&format!("{name}/reference")).contains("nilpotent"),
                "{}",
                said(&format!("{name}/fused"))
            );
        }
        assert!(said("zil-auto/reference").contains("steps have size 1"));
        assert!(said("bp-auto/reference").contains("no inference steps"));
        for name in ["spc-evenodd-auto", "no-auto", "fpa-automatic", "auto"] {
            assert!(!said(&format!("{name}/reference")).contains("because"), "{name}");
        }
        // every family has it or says why not
        for family in Rule::VARIANTS.iter().map(|rows| rows[0].family) {
            let auto = format!("{family}-auto");
            assert_ne!(Rule::NAMES.contains(&&*auto), Rule::without_auto(&auto).is_some(), "{family}");
        }
    }

    #[test]
    fn what_does_not_take_part_is_no_baseline() {
        // Without backpropagation by the same engine, on the same network, or either.
        let ids = ["bp/reference", "spc/fused", "mupc/fused", "mupc/reference", "mupc-epc/fused:2"];
        assert_eq!(baselines(&ids, "bp/reference"), ["bp/reference"; 5]);
        let ids = ["bp/reference", "mupc-bp/reference", "mupc/fused"];
        assert_eq!(baselines(&ids, "bp/reference")[1..], ["mupc-bp/reference"; 2]);
        let ids = ["bp/fused", "bp/fused:2", "spc/fused:2", "spc/fused:3"];
        assert_eq!(baselines(&ids, "bp/fused"), ["bp/fused", "bp/fused", "bp/fused:2", "bp/fused"]);
    }
}
