//! What defines a measurement: facts that have to be equal before two of them compare.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::record::{Record, SummaryRow};
use crate::suite::wire::{ArchitectureWire, BenchmarkWire, ContenderWire, NetworkWire};
use crate::suite::{axis, Value, AXES};

/// See [`Entry::facts`](super::Entry::facts). What the point id holds is in it; the rest comes from row and definition.
pub(super) fn facts(
    record: &Record,
    row: &SummaryRow,
    benchmark: Option<&BenchmarkWire>,
) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut say = |name: &str, value: String| {
        facts.insert(name.to_owned(), value);
    };
    say("model", row.model.clone());
    say("clock", "wall".into());
    say("seed", record.run.seed.to_string());
    say("baseline", row.baseline.clone());
    say("rule", row.rule.clone());
    say("engine", row.engine.clone());
    for axis in AXES {
        let value = row.axis(axis);
        if axis.tells(&value) {
            say(axis.name, value.to_string());
        }
    }
    say("updates", row.updates.to_string());
    if row.device != "cpu" {
        say("switches", record.run.switches.join("; "));
    }
    let Some(b) = benchmark else {
        say("definition", record.run.definition_sha256.clone());
        return facts;
    };
    say("data", b.data.clone());
    // left out where it is what it was before there were others: facts are hashed, and baselines keep the hash
    if b.architecture != ArchitectureWire::default() {
        say("architecture", b.architecture.kind.clone());
    }
    say("bias", b.network.bias.to_string());
    say("gain", b.network.gain.to_string());
    say("loss", b.network.loss.clone());
    say("reduction", b.network.reduction.clone());
    say("placement", b.network.placement.clone());
    if b.network.precision != 1.0 {
        say("precision", b.network.precision.to_string());
    }
    if b.network.latent_energy != NetworkWire::default().latent_energy {
        say("latent_energy", b.network.latent_energy.clone());
    }
    say("optimiser", b.training.optimiser.clone());
    let rate = |contender: &str| learning_rate(b, &row.axis(&axis::LEARNING_RATE), contender).to_string();
    say("learning_rate", rate(&row.contender));
    say("learning_rate of the baseline", rate(&row.baseline));
    facts
}

fn learning_rate(b: &BenchmarkWire, axis: &Value, contender: &str) -> f64 {
    let own = b.contenders.iter().find_map(|c| match c {
        ContenderWire::Table(own) if own.id == contender => own.learning_rate,
        _ => None,
    });
    let axis = axis.number().ok().filter(|&rate| rate > 0.0);
    own.or(axis).unwrap_or(b.training.learning_rate)
}

pub(super) fn hash(facts: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in facts {
        hash.update(format!("{name} = {value}\n"));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;
    use crate::suite::wire::SuiteWire;

    /// The names and values that the hashes in baseline files are of.
    #[test]
    fn facts_are_what_they_were() {
        let record = fixture::record(fixture::DEFINITION, 1);
        let found = facts(&record, &record.summary[1], None);
        let definition = record.run.definition_sha256.as_str();
        let expected = [
            ("activation", "tanh"),
            ("baseline", "bp/reference"),
            ("batch", "2"),
            ("clock", "wall"),
            ("definition", definition),
            ("depth", "2"),
            ("device", "cpu"),
            ("dtype", "f32"),
            ("engine", "reference"),
            ("model", "weight-update"),
            ("parameterisation", "sp-uniform"),
            ("rule", "spc"),
            ("seed", "5"),
            ("step_size", "0.1"),
            ("steps", "2"),
            ("updates", "1"),
            ("width", "4"),
        ];
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, expected);
    }

    /// A benchmark adds these to its rows and no others, so that hashes of baselines stay; another architecture does.
    #[test]
    fn a_benchmark_adds_facts() {
        let record = fixture::record(fixture::DEFINITION, 1);
        let mut suite: SuiteWire = toml::from_str(&record.run.definition).unwrap();
        let names = |b: &BenchmarkWire| -> Vec<String> {
            let without = facts(&record, &record.summary[1], None);
            let with = facts(&record, &record.summary[1], Some(b));
            with.into_keys().filter(|name| !without.contains_key(name)).collect()
        };
        let expected = [
            "bias",
            "data",
            "gain",
            "learning_rate",
            "learning_rate of the baseline",
            "loss",
            "optimiser",
            "placement",
            "reduction",
        ];
        assert_eq!(names(&suite.benchmark[0]), expected);
        suite.benchmark[0].architecture.kind = "another".into();
        assert!(names(&suite.benchmark[0]).contains(&"architecture".to_owned()));
    }
}
