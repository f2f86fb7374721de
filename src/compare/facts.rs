//! What defines a measurement: facts that have to be equal before two of them compare.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::record::{Record, SummaryRow};
use crate::suite::wire::{BenchmarkWire, ContenderWire};

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
    say("parameterisation", row.parameterisation.clone());
    say("activation", row.activation.clone());
    say("depth", row.depth.to_string());
    say("width", row.width.to_string());
    say("batch", row.batch.to_string());
    say("steps", row.steps.to_string());
    say("step_size", row.step_size.to_string());
    say("dtype", row.dtype.clone());
    say("device", row.device.clone());
    say("updates", row.updates.to_string());
    if row.device != "cpu" {
        say("switches", record.run.switches.join("; "));
    }
    let Some(b) = benchmark else {
        say("definition", record.run.definition_sha256.clone());
        return facts;
    };
    say("data", b.data.clone());
    say("bias", b.network.bias.to_string());
    say("gain", b.network.gain.to_string());
    say("loss", b.network.loss.clone());
    say("reduction", b.network.reduction.clone());
    say("placement", b.network.placement.clone());
    say("optimiser", b.training.optimiser.clone());
    say("learning_rate", learning_rate(b, &row.contender).to_string());
    say("learning_rate of the baseline", learning_rate(b, &row.baseline).to_string());
    facts
}

fn learning_rate(b: &BenchmarkWire, contender: &str) -> f64 {
    let own = b.contenders.iter().find_map(|c| match c {
        ContenderWire::Table(own) if own.id == contender => own.learning_rate,
        _ => None,
    });
    own.unwrap_or(b.training.learning_rate)
}

pub(super) fn hash(facts: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in facts {
        hash.update(format!("{name} = {value}\n"));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
