//! Oracle: distances by hand, and tables made for one answer.

use super::*;
use crate::layer::{Activation, Dense};
use crate::persistent::{CooperativeLimits, PATIENCE};
use crate::schedule::Rule;
use crate::tune::{Failed, Timed};

const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };
const F32: (Precision, MathMode) = (Precision::F32, MathMode::F32);

/// The numbers of an H100.
const GPU: DeviceLimits = DeviceLimits {
    processors: 132,
    cooperative: Some(CooperativeLimits {
        multiprocessors: 132,
        shared_per_block: 227 * 1024,
        resident_blocks: 132,
        capability: (9, 0),
        patience: PATIENCE,
    }),
};

fn sizes(width: usize, batch: usize, depth: usize, steps: usize) -> Sizes {
    Sizes { width, batch, depth, steps }
}

fn entry(rule: &'static str, sizes: Sizes, times: &[(Strategy, f64)]) -> Entry {
    let timed = |(strategy, ns): &(Strategy, f64)| Timed {
        strategy: *strategy,
        median_ns: *ns,
        q1_ns: *ns,
        q3_ns: *ns,
        samples: 5,
        calls: 1,
    };
    let (precision, math) = F32;
    let timed = times.iter().map(timed).collect();
    Entry { rule, precision, math, sizes, timed, failed: vec![] }
}

fn table(entries: Vec<Entry>) -> StrategyTable {
    StrategyTable { device: "a device".into(), capability: (9, 0), entries }
}

fn stack(width: usize, depth: usize) -> Stack {
    let layer = |inputs, outputs| Dense { act_in: Activation::Tanh, ..Dense::linear(inputs, outputs) };
    let mut layers = vec![layer(width, width); depth];
    layers[0].inputs = 784;
    layers[depth - 1].outputs = 10;
    Stack::new(layers).unwrap()
}

fn chosen(table: &StrategyTable, width: usize, depth: usize, rule: Rule, steps: usize) -> Choice {
    let schedule = Schedule::new(rule, vec![0.1; steps]);
    choose(Some(table), &stack(width, depth), &schedule, 64, F32, &GPU)
}

#[test]
fn sizes_are_those_of_the_hidden_layers() {
    let schedule = Schedule::new(SPC, vec![0.1; 3]);
    assert_eq!(Sizes::of(&stack(128, 8), &schedule, 64), sizes(128, 64, 8, 3));
    assert_eq!(Sizes::of(&stack(128, 1), &schedule, 64), sizes(10, 64, 1, 3));
}

#[test]
fn the_nearest_entry_decides() {
    let graph = [(Strategy::Graph, 1.0), (Strategy::Persistent, 2.0)];
    let persistent = [(Strategy::Persistent, 1.0), (Strategy::Graph, 2.0)];
    let table = table(vec![
        entry("spc", sizes(128, 64, 8, 8), &persistent),
        entry("spc", sizes(128, 64, 16, 16), &graph),
        // as near, of another rule
        entry("epc", sizes(128, 64, 12, 12), &persistent),
    ]);
    let at = |depth| chosen(&table, 128, depth, SPC, depth);
    // of 8 and 16 their geometric mean is 11.3
    assert_eq!((at(11).strategy, at(12).strategy), (Strategy::Persistent, Strategy::Graph));
    assert_eq!(at(11).entry.unwrap().sizes.depth, 8);
    let slower = at(12);
    assert_eq!(slower.entry.unwrap().sizes.depth, 16);
    assert_eq!(slower.instead.as_deref(), Some("another one was measured to be faster"));
    assert_eq!(at(11).instead, None);
}

#[test]
fn nothing_is_decided_over_more_than_a_factor_of_two() {
    let at = sizes(128, 64, 16, 16);
    let table = table(vec![entry("spc", at, &[(Strategy::Grouped, 1.0)])]);
    let near = |other: Sizes| table.nearest("spc", F32, &other).is_some();
    for (close, far) in [
        (sizes(64, 64, 16, 16), sizes(63, 64, 16, 16)),
        (sizes(256, 64, 16, 16), sizes(257, 64, 16, 16)),
        (sizes(128, 32, 16, 16), sizes(128, 31, 16, 16)),
        (sizes(128, 64, 32, 16), sizes(128, 64, 33, 16)),
        (sizes(128, 64, 16, 32), sizes(128, 64, 16, 0)),
        (sizes(64, 128, 32, 8), sizes(128, 64, 16, 7)),
    ] {
        assert!(near(close) && !near(far), "{close}; {far}");
    }
    assert!(table.nearest("spc", (Precision::F64, MathMode::F32), &at).is_none());
    assert!(table.nearest("spc", (Precision::F32, MathMode::Tf32), &at).is_none());
    // the model says what it says without a table
    let schedule = Schedule::new(SPC, vec![0.1; 33]);
    let (deep, kind) = (stack(128, 33), F32);
    let by_model = cuda(&deep, &schedule, 64, kind, &GPU);
    assert_eq!(choose(Some(&table), &deep, &schedule, 64, kind, &GPU), by_model);
    assert_eq!(choose(None, &deep, &schedule, 64, kind, &GPU), by_model);
    assert_ne!(by_model.strategy, Strategy::Grouped);
    // no steps are near none only
    let bp = sizes(128, 64, 8, 0);
    assert_eq!(bp.distance(&sizes(128, 64, 16, 0)), Some(1.0));
    assert_eq!(bp.distance(&sizes(128, 64, 8, 1)), None);
}

#[test]
fn equally_near_entries_are_decided_by_their_sizes_whatever_their_order() {
    let (less, more) = (sizes(64, 64, 8, 8), sizes(256, 64, 8, 8));
    let of = |first: Sizes, second: Sizes| {
        let times = |at: Sizes| [(if at == less { Strategy::Graph } else { Strategy::Grouped }, 1.0)];
        let table = table(vec![entry("spc", first, &times(first)), entry("spc", second, &times(second))]);
        chosen(&table, 128, 8, SPC, 8)
    };
    assert_eq!(of(less, more), of(more, less));
    assert_eq!(of(more, less).entry.unwrap().sizes, less);
    // width before batch, batch before depth
    let (narrow, wide) = (sizes(64, 128, 8, 8), sizes(128, 64, 16, 16));
    assert!(narrow < wide && sizes(128, 64, 8, 8) < sizes(128, 64, 8, 9));
}

#[test]
fn equal_times_are_decided_by_the_order_of_strategies() {
    let both = [(Strategy::Cublas, 1.0), (Strategy::Graph, 1.0), (Strategy::Persistent, 3.0)];
    let ranked = |times: &[(Strategy, f64)]| -> Vec<Strategy> {
        entry("spc", sizes(1, 1, 1, 1), times).ranked().iter().map(|timed| timed.strategy).collect()
    };
    let expected = [Strategy::Graph, Strategy::Cublas, Strategy::Persistent];
    assert_eq!(ranked(&both), expected);
    let mut turned = both;
    turned.reverse();
    assert_eq!(ranked(&turned), expected);
    assert_eq!(entry("spc", sizes(1, 1, 1, 1), &[]).fastest(), None);
}

#[test]
fn a_strategy_that_does_not_take_the_call_gives_way_to_the_next() {
    let at = sizes(200, 64, 8, 8);
    let all = [(Strategy::Persistent, 1.0), (Strategy::Cublas, 2.0), (Strategy::Graph, 3.0)];
    let table = table(vec![entry("spc", at, &all), entry("fpa", at, &all[..1])]);
    assert_eq!(chosen(&table, 128, 8, SPC, 8).strategy, Strategy::Persistent);
    // within a factor of two, but W of 380 units is more than a block's shared memory
    let wide = chosen(&table, 380, 8, SPC, 8);
    assert_eq!(wide.strategy, Strategy::Cublas);
    assert!(wide.instead.unwrap().contains("of shared memory"));
    assert_eq!(wide.entry.unwrap().sizes, at);
    // the only one that was timed does not take the rule: nothing was measured that helps
    let fpa = chosen(&table, 200, 8, Rule::Fpa { light_cone: true }, 8);
    assert_eq!((fpa.strategy, fpa.entry), (Strategy::Graph, None));
    // persistent takes it, but it failed when it was timed
    let table = self::table(vec![entry("spc", at, &all[1..])]);
    let failed = chosen(&table, 200, 8, SPC, 8);
    assert_eq!(failed.strategy, Strategy::Cublas);
    assert!(failed.instead.unwrap().contains("was not timed"));
    let mut with_reason = entry("spc", at, &all[1..]);
    with_reason.failed = vec![Failed { strategy: Strategy::Persistent, why: "it gave no number".into() }];
    let choice = chosen(&self::table(vec![with_reason]), 200, 8, SPC, 8);
    assert_eq!(choice.instead.as_deref(), Some("it failed when it was timed: it gave no number"));
}

#[test]
fn names_are_told_apart() {
    for strategy in Strategy::ALL {
        assert_eq!(Strategy::from_name(strategy.name()), Some(strategy));
    }
    assert_eq!(Strategy::from_name("Graph"), None);
    let rules = [
        Rule::Bp,
        Rule::Zil,
        SPC,
        Rule::Epc,
        Rule::Fpa { light_cone: false },
        Rule::Ar { top_down: false },
        Rule::Ar { top_down: true },
        Rule::SeqIl { mixing: 0.5 },
        Rule::Ipc { light_cone: true, weight_step: 0.1, evaluate: true },
    ];
    assert_eq!(rules.map(|rule| rule.name()), Rule::NAMES);
}
