//! Oracle: a timer whose times are known beforehand.

use super::*;
use crate::tune::grid;

/// A strategy's answer to its `n`-th sample, from 0, if it is not its usual time.
type Odd = fn(&Call, Strategy, usize) -> Option<Result<f64>>;

/// The usual time of a strategy.
type Usual = fn(Strategy) -> f64;

struct Fake {
    call: Option<Call>,
    takes: Vec<Strategy>,
    ns: Usual,
    odd: Odd,
    spoils: Option<Strategy>,
    gone: bool,
    asked: Vec<(Strategy, usize)>,
    counts: std::collections::HashMap<Strategy, usize>,
}

fn refused(why: &str) -> Error {
    Error::Invalid(why.into())
}

impl Fake {
    fn new(odd: Odd) -> Self {
        let ns = |strategy| match strategy {
            Strategy::Grouped => 4e6,
            Strategy::Graph => 1e5,
            Strategy::Persistent => 3e5,
            Strategy::Cublas => 500.0,
        };
        let takes = vec![Strategy::Grouped, Strategy::Graph, Strategy::Persistent];
        let counts = Default::default();
        Self { call: None, takes, ns, odd, spoils: None, gone: false, asked: vec![], counts }
    }
}

impl Timer for Fake {
    fn open(&mut self, call: &Call) -> Result<Vec<Strategy>> {
        (self.call, self.counts) = (Some(*call), Default::default());
        if call.sizes.depth == 4 {
            return Err(refused("out of memory"));
        }
        Ok(self.takes.clone())
    }

    fn time(&mut self, strategy: Strategy, calls: usize) -> Result<f64> {
        self.asked.push((strategy, calls));
        let count = self.counts.entry(strategy).or_default();
        *count += 1;
        let call = self.call.unwrap();
        (self.odd)(&call, strategy, *count - 1).unwrap_or(Ok((self.ns)(strategy)))
    }

    fn check(&mut self, strategy: Strategy) -> Result<()> {
        match self.spoils {
            Some(spoils) if spoils == strategy => Err(refused("NaN is left")),
            _ => Ok(()),
        }
    }

    fn answers(&mut self) -> Result<()> {
        if self.gone {
            Err(refused("gone"))
        } else {
            Ok(())
        }
    }
}

fn at_depth(depth: usize) -> Call {
    *grid(usize::MAX).iter().find(|call| call.sizes.depth == depth).unwrap()
}

fn of(fake: &mut Fake, calls: &[Call], seconds: f64) -> Result<Measured> {
    measure(calls, fake, seconds, &mut |_, _| {})
}

#[test]
fn the_fastest_is_chosen_and_all_are_listed() {
    let mut fake = Fake::new(|_, _, _| None);
    let measured = of(&mut fake, &[at_depth(8)], 0.1).unwrap();
    assert_eq!(measured.without, Vec::<String>::new());
    let [entry] = &measured.entries[..] else { panic!("{measured:?}") };
    assert_eq!(entry.fastest(), Some(Strategy::Graph));
    assert_eq!((entry.rule, entry.sizes.depth, entry.failed.len()), ("spc", 8, 0));
    let times: Vec<_> = entry.timed.iter().map(|t| (t.strategy, t.median_ns, t.calls)).collect();
    // two milliseconds of calls each
    let (grouped, graph, persistent) = (Strategy::Grouped, Strategy::Graph, Strategy::Persistent);
    assert_eq!(times, [(grouped, 4e6, 1), (graph, 1e5, 20), (persistent, 3e5, 7)]);
    // a round is 4 + 2 + 2.1 ms, and 13 are more than 100 ms
    assert!(entry.timed.iter().all(|timed| timed.samples == 13), "{entry:?}");
}

#[test]
fn strategies_take_turns_and_none_is_always_first() {
    let mut fake = Fake::new(|_, _, _| None);
    of(&mut fake, &[at_depth(8)], 1.0).unwrap();
    // half a second of work first: 125 calls of 4 ms on the first strategy, and two to find out how many
    let warm = fake.asked.iter().take_while(|(strategy, _)| *strategy == Strategy::Grouped).count();
    assert_eq!(warm, 2 + 125);
    // two calls of each of the others find out how many
    let rounds: Vec<_> = fake.asked[warm + 4..].chunks(3).collect();
    assert_eq!(rounds.len(), 124);
    for round in &rounds {
        for strategy in [Strategy::Grouped, Strategy::Graph, Strategy::Persistent] {
            assert_eq!(round.iter().filter(|(of, _)| *of == strategy).count(), 1, "{round:?}");
        }
    }
    for strategy in [Strategy::Grouped, Strategy::Graph, Strategy::Persistent] {
        let first = rounds.iter().filter(|round| round[0].0 == strategy).count();
        assert!((20..65).contains(&first), "{strategy:?} is first in {first} of 124");
    }
}

#[test]
fn long_calls_have_five_rounds_and_short_ones_at_most_two_hundred() {
    let rounds = |seconds: f64| {
        let mut fake = Fake::new(|_, _, _| None);
        fake.takes = vec![Strategy::Cublas];
        let measured = of(&mut fake, &[at_depth(8)], seconds).unwrap();
        (measured.entries[0].timed[0].samples, measured.entries[0].timed[0].calls)
    };
    assert_eq!(rounds(1e-9), (5, 1000), "a thousand calls of half a microsecond at most");
    assert_eq!(rounds(1e9), (200, 1000));
}

#[test]
fn the_median_is_of_all_samples() {
    let mut fake = Fake::new(|_, _, count| match count {
        0..2 => None,
        count => Some(Ok([50e6, 20e6, 10e6, 40e6, 30e6][(count - 2) % 5])),
    });
    fake.takes = vec![Strategy::Persistent];
    let mut bench = Bench { timer: &mut fake, rng: ChaCha8Rng::seed_from_u64(1), warm_ns: WARM_NS };
    let (timed, _) = bench.call(&at_depth(8), 0.0).unwrap();
    let found = timed[0];
    assert_eq!((found.q1_ns, found.median_ns, found.q3_ns, found.samples), (20e6, 30e6, 40e6, 5));
}

#[test]
fn what_fails_is_listed_and_never_chosen() {
    let odds: [(Odd, &str); 3] = [
        (|_, s, _| (s == Strategy::Graph).then(|| Err(refused("no such kernel"))), "no such kernel"),
        (
            |_, s, n| (s == Strategy::Graph && n > 3).then(|| Err(refused("a launch failed"))),
            "a launch failed",
        ),
        (|_, s, n| (s == Strategy::Graph && n > 3).then_some(Ok(f64::NAN)), "its time is NaN ns"),
    ];
    for (odd, why) in odds {
        let entry = of(&mut Fake::new(odd), &[at_depth(8)], 0.1).unwrap().entries.remove(0);
        assert_eq!(entry.fastest(), Some(Strategy::Persistent), "{why}");
        assert!(entry.timed.iter().all(|timed| timed.strategy != Strategy::Graph), "{entry:?}");
        assert_eq!(entry.failed, [Failed { strategy: Strategy::Graph, why: why.into() }]);
        assert!(entry.timed.iter().all(|timed| timed.samples >= 5), "the others go on: {entry:?}");
    }
}

#[test]
fn what_leaves_nan_behind_has_failed_however_fast_it_was() {
    let mut fake = Fake::new(|_, _, _| None);
    fake.spoils = Some(Strategy::Graph);
    let entry = of(&mut fake, &[at_depth(8)], 0.1).unwrap().entries.remove(0);
    assert_eq!(entry.fastest(), Some(Strategy::Persistent));
    assert_eq!(entry.failed, [Failed { strategy: Strategy::Graph, why: "NaN is left".into() }]);
}

#[test]
fn times_that_are_none_are_failures() {
    let times: [(Usual, &str); 3] =
        [(|_| 0.0, "is 0 ns"), (|_| -1.0, "is -1 ns"), (|_| f64::INFINITY, "is inf ns")];
    for (ns, why) in times {
        let mut fake = Fake { ns, ..Fake::new(|_, _, _| None) };
        let measured = of(&mut fake, &[at_depth(8)], 0.1).unwrap();
        assert!(measured.entries.is_empty(), "{why}");
        assert!(measured.without[0].contains(why), "{:?}", measured.without);
    }
}

#[test]
fn calls_without_any_time_have_no_entry_and_a_sentence() {
    let mut fake = Fake::new(|call, _, _| (call.sizes.depth == 8).then(|| Err(refused("no such kernel"))));
    let measured = of(&mut fake, &[at_depth(8), at_depth(4), at_depth(16)], 0.1).unwrap();
    let depths: Vec<_> = measured.entries.iter().map(|entry| entry.sizes.depth).collect();
    assert_eq!(depths, [16], "the others are measured all the same");
    let [failed, memory] = &measured.without[..] else { panic!("{:?}", measured.without) };
    for part in ["no strategy has a time for spc in f32", "depth 8", "grouped: no such kernel", "the model"] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    assert!(memory.contains("depth 4") && memory.contains("out of memory"), "{memory}");
    fake.takes = vec![];
    let none = of(&mut fake, &[at_depth(16)], 0.1).unwrap();
    assert!(none.entries.is_empty() && none.without[0].contains("none takes it"), "{none:?}");
}

#[test]
fn a_device_that_is_gone_ends_everything() {
    for depth in [8, 4] {
        let mut fake = Fake::new(|_, _, _| Some(Err(refused("CUDA_ERROR_ILLEGAL_ADDRESS"))));
        fake.gone = true;
        let said = of(&mut fake, &[at_depth(depth)], 0.1).unwrap_err().to_string();
        assert!(said.contains("has stopped working") && said.contains("nothing was written"), "{said}");
    }
}
