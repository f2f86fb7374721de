//! What a record says of launch strategies: by what they were chosen, and what was timed.

use std::collections::{BTreeMap, BTreeSet};

use pcnbench_kernels::tune::{Choice, Entry};
use pcnbench_kernels::MathMode;

use crate::tune::describe;
use crate::tune::file::Found;

/// A contender that runs on a GPU in one call, at one point.
#[derive(Debug)]
pub(super) struct Ran {
    /// Contender and point.
    pub(super) who: String,
    /// What its products read.
    pub(super) operands: MathMode,
    /// Its strategy, and by what it was chosen.
    pub(super) choice: Choice,
}

impl Ran {
    fn words(&self) -> String {
        match self.operands {
            MathMode::F32 => self.choice.strategy.name().to_owned(),
            rounded => format!("{} with {rounded} operands", self.choice.strategy.name()),
        }
    }
}

/// One and how many others.
fn and_more(first: &str, count: usize) -> String {
    match count {
        0 | 1 => first.to_owned(),
        _ => format!("{first} and {} more", count - 1),
    }
}

/// Sentences for the record's `switches`; none if nothing ran on a GPU in one call.
pub(super) fn lines(found: Option<&Found>, ran: &[Ran]) -> Vec<String> {
    if ran.is_empty() {
        return vec![];
    }
    let mut lines = vec![source(found)];
    let strategies: BTreeSet<_> = ran.iter().map(Ran::words).collect();
    lines.push(format!("fused strategy on cuda: {}", strategies.into_iter().collect::<Vec<_>>().join(", ")));
    let mut instead = BTreeMap::<&str, (String, usize)>::new();
    for ran in ran {
        if let Some(why) = &ran.choice.instead {
            let first = || (format!("{} ({})", ran.who, ran.words()), 0);
            instead.entry(why).or_insert_with(first).1 += 1;
        }
    }
    for (why, (first, count)) in instead {
        lines.push(format!("fused on cuda not on strategy persistent: {}: {why}", and_more(&first, count)));
    }
    if found.is_none() {
        return lines;
    }
    let by_model: Vec<_> = ran.iter().filter(|ran| ran.choice.entry.is_none()).collect();
    if let Some(first) = by_model.first() {
        let who = and_more(&first.who, by_model.len());
        lines
            .push(format!("launch strategies by the model: {who}: strategies.toml has no entry near enough"));
    }
    // in the order of contenders, each once
    let mut timed = Vec::new();
    for line in ran.iter().filter_map(|ran| ran.choice.entry.as_ref()).map(times) {
        if !timed.contains(&line) {
            timed.push(line);
        }
    }
    lines.extend(timed);
    lines
}

/// By what strategies are chosen.
fn source(found: Option<&Found>) -> String {
    let Some(Found { name, sha256, strategies }) = found else {
        return "launch strategies by the model: no strategies.toml".to_owned();
    };
    let short = sha256.get(..12).unwrap_or(sha256);
    let dirty = if strategies.dirty { "+dirty" } else { "" };
    format!(
        "launch strategies by {name} (sha256 {short}, measured {} by {}{dirty}, driver {})",
        strategies.started, strategies.rev, strategies.driver
    )
}

/// What every strategy took, fastest first, and which failed.
fn times(entry: &Entry) -> String {
    let ranked = entry.ranked().into_iter();
    let ranked = ranked.map(|it| format!("{} {:.1} µs", it.strategy.name(), it.median_ns * 1e-3));
    let failed = entry.failed.iter().map(|it| format!("{} failed", it.strategy.name()));
    format!(
        "timed by pcnbench tune: {} at {}: {}",
        describe(entry.rule, entry.precision, entry.math),
        entry.sizes,
        ranked.chain(failed).collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tune::file::Strategies;
    use pcnbench_kernels::launch::Precision;
    use pcnbench_kernels::tune::{Failed, Sizes, Strategy, StrategyTable, Timed};

    fn entry(rule: &'static str, depth: usize) -> Entry {
        let timed = |strategy, median_ns| Timed {
            strategy,
            median_ns,
            q1_ns: median_ns,
            q3_ns: median_ns,
            samples: 5,
            calls: 1,
        };
        Entry {
            rule,
            precision: Precision::F32,
            math: MathMode::Tf32,
            sizes: Sizes { width: 128, batch: 64, depth, steps: depth },
            timed: vec![timed(Strategy::Grouped, 312_345.6), timed(Strategy::Graph, 98_760.0)],
            failed: vec![Failed { strategy: Strategy::Persistent, why: "a launch failed".into() }],
        }
    }

    fn ran(who: &str, strategy: Strategy, entry: Option<Entry>) -> Ran {
        let instead = (strategy != Strategy::Persistent).then(|| "it was not timed".to_owned());
        let choice = Choice { strategy, instead, entry };
        Ran { who: who.into(), operands: MathMode::F32, choice }
    }

    fn found() -> Found {
        let table =
            StrategyTable { device: "A GPU".into(), capability: (9, 0), entries: vec![entry("spc", 8)] };
        let strategies = Strategies {
            driver: "580.82.07 (CUDA 13.0)".into(),
            rev: "abcdef".into(),
            dirty: false,
            started: "2026-12-01T10:00:00Z".into(),
            seconds: 0.1,
            table: Arc::new(table),
        };
        Found { name: "a-gpu/strategies.toml".into(), sha256: "0123456789abcdef".into(), strategies }
    }

    #[test]
    fn without_a_file_the_model_is_named() {
        let all =
            [ran("spc/fused at a", Strategy::Persistent, None), ran("bp/fused at a", Strategy::Graph, None)];
        assert_eq!(
            lines(None, &all),
            [
                "launch strategies by the model: no strategies.toml",
                "fused strategy on cuda: graph, persistent",
                "fused on cuda not on strategy persistent: bp/fused at a (graph): it was not timed",
            ]
        );
        assert!(lines(None, &[]).is_empty() && lines(Some(&found()), &[]).is_empty());
    }

    #[test]
    fn operands_stand_beside_strategies() {
        let mut all = [ran("a", Strategy::Persistent, None), ran("b", Strategy::Persistent, None)];
        all[1].operands = MathMode::Tf32;
        let said = lines(None, &all);
        assert_eq!(said[1], "fused strategy on cuda: persistent, persistent with tf32 operands");
    }

    #[test]
    fn with_one_it_is_named_and_every_time_is_listed_once() {
        let at = |who: &str, depth| ran(who, Strategy::Graph, Some(entry("spc", depth)));
        let model = |who: &str| ran(who, Strategy::Persistent, None);
        let all =
            [at("spc/fused at b", 16), at("spc/fused at a", 8), at("mupc/fused at a", 8), model("x at c")];
        let said = lines(Some(&found()), &all);
        assert_eq!(
            said,
            [
                "launch strategies by a-gpu/strategies.toml (sha256 0123456789ab, measured 2026-12-01T10:00:00Z by abcdef, \
                 driver 580.82.07 (CUDA 13.0))",
                "fused strategy on cuda: graph, persistent",
                "fused on cuda not on strategy persistent: spc/fused at b (graph) and 2 more: it was not timed",
                "launch strategies by the model: x at c: strategies.toml has no entry near enough",
                "timed by pcnbench tune: spc in f32 with tf32 operands at width 128, batch 64, depth 16, steps 16: graph 98.8 µs, \
                 grouped 312.3 µs, persistent failed",
                "timed by pcnbench tune: spc in f32 with tf32 operands at width 128, batch 64, depth 8, steps 8: graph 98.8 µs, \
                 grouped 312.3 µs, persistent failed",
            ]
        );
        let dirty = Found { strategies: Strategies { dirty: true, ..found().strategies }, ..found() };
        assert!(lines(Some(&dirty), &all)[0].contains("by abcdef+dirty"), "{:?}", lines(Some(&dirty), &all));
    }
}
