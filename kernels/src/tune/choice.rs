//! The choice of a launch strategy: by measured times, else by the model.

use super::device::cuda;
use super::strategy::{DeviceLimits, Strategy};
use super::table::{Choice, Entry, Sizes, StrategyTable};
use crate::launch::Precision;
use crate::math_mode::MathMode;
use crate::schedule::Schedule;
use crate::stack::Stack;

/// The strategy for a call: the fastest in the [nearest](StrategyTable::nearest) entry that accepts it, else the choice
/// of the model ([`cuda`]).
pub fn choose(
    table: Option<&StrategyTable>,
    stack: &Stack,
    schedule: &Schedule,
    batch: usize,
    kind: (Precision, MathMode),
    device: &DeviceLimits,
) -> Choice {
    let takes = |strategy: Strategy| strategy.takes(stack, schedule, batch, kind, device);
    let sizes = Sizes::of(stack, schedule, batch);
    let entry = table.and_then(|table| table.nearest(schedule.rule.name(), kind, &sizes));
    let ranked = entry.map(Entry::ranked).unwrap_or_default();
    let Some(fastest) = ranked.iter().find(|timed| takes(timed.strategy).is_ok()) else {
        return cuda(stack, schedule, batch, kind, device);
    };
    let strategy = fastest.strategy;
    let instead = (strategy != Strategy::Persistent).then(|| {
        let timed = ranked.iter().find(|timed| timed.strategy == Strategy::Persistent);
        let failed =
            entry.and_then(|entry| entry.failed.iter().find(|it| it.strategy == Strategy::Persistent));
        match (takes(Strategy::Persistent), timed) {
            (Err(why), _) => why,
            (Ok(()), Some(_)) => "another one was measured to be faster".to_owned(),
            (Ok(()), None) => match failed {
                Some(failed) => format!("it failed when it was timed: {}", failed.why),
                None => "it was not timed at the sizes nearest to this call".to_owned(),
            },
        }
    });
    Choice { strategy, instead, entry: entry.cloned() }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
