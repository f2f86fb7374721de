//! What one update asks of the machine, on both sides: allocations, the bytes they ask for, and retired instructions.
//!
//! These are counts, so a difference needs no interval. What else than the code they hang on decides where they compare:
//! a pool of threads allocates for each of them, a matrix product packs what it reads by vector width and size of caches,
//! and a compiler may do the same with other instructions.

use super::side::{Entry, Side};
use crate::measure::exact::Exact;

/// Relative difference from which on a count of instructions is another one. An interrupt or a page that is not yet there
/// adds some to any count; the smallest of a few executions differs by far less than this between runs of one program.
pub const INSTRUCTIONS_TOLERANCE: f64 = 0.01;

/// One of the quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Allocations,
    Bytes,
    Instructions,
}

impl Quantity {
    const ALL: [Self; 3] = [Self::Allocations, Self::Bytes, Self::Instructions];

    fn name(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::Bytes => "allocated bytes",
            Self::Instructions => "instructions",
        }
    }

    fn of(self, exact: Exact) -> Option<u64> {
        match self {
            Self::Allocations => exact.allocations,
            Self::Bytes => exact.allocated_bytes,
            Self::Instructions => exact.instructions,
        }
    }

    fn differs(self, base: u64, new: u64) -> bool {
        match self {
            Self::Instructions => (new as f64 / base as f64 - 1.0).abs() > INSTRUCTIONS_TOLERANCE,
            _ => base != new,
        }
    }

    /// Why counts of two sides do not compare, whatever the contender.
    fn obstacle(self, base: &Side, new: &Side) -> Option<String> {
        let same = |what: &str, base: &str, new: &str| {
            (base != new || base.is_empty()).then(|| {
                let [base, new] = [base, new].map(|text| if text.is_empty() { "unknown" } else { text });
                format!("{what}: {base} before, {new} now")
            })
        };
        let class = || same("machine class", &base.class, &new.class);
        let simd = || same("vector extensions", &base.build.simd, &new.build.simd);
        let compiler = || same("compiler", &base.build.compiler, &new.build.compiler);
        match self {
            Self::Allocations => simd(),
            Self::Bytes => class().or_else(simd),
            Self::Instructions => simd().or_else(compiler),
        }
    }
}

/// Whether a contender says itself on how many threads it runs.
fn asks_for_threads(contender: &str) -> bool {
    contender.rsplit_once(':').is_some_and(|(_, n)| n.parse::<usize>().is_ok())
}

/// Counts of one contender at one point that are others than before, in a sentence. More and fewer alike: a baseline from
/// before the change would not see the next one.
pub(super) fn differences((base, b): (&Side, &Entry), (new, n): (&Side, &Entry)) -> Option<String> {
    if base.threads != new.threads && !asks_for_threads(&n.contender) {
        return None;
    }
    let told = Quantity::ALL.into_iter().filter(|quantity| quantity.obstacle(base, new).is_none());
    let differing: Vec<String> = told
        .filter_map(|quantity| {
            let (before, now) = (quantity.of(b.exact)?, quantity.of(n.exact)?);
            quantity.differs(before, now).then(|| format!("{} {before} before, {now} now", quantity.name()))
        })
        .collect();
    (!differing.is_empty()).then(|| format!("{} at {}: {}", n.contender, n.point, differing.join(", ")))
}

/// Which counts were not compared, and why, a sentence each; nothing about sides from before there were counts.
pub(super) fn skipped(base: &Side, new: &Side) -> Vec<String> {
    let has = |side: &Side, quantity: Quantity| side.entries.iter().any(|e| quantity.of(e.exact).is_some());
    if !Quantity::ALL.into_iter().any(|quantity| has(new, quantity)) {
        return vec![];
    }
    let mut notes: Vec<String> = Quantity::ALL
        .into_iter()
        .filter_map(|quantity| {
            let why = match (has(base, quantity), has(new, quantity)) {
                (true, true) => quantity.obstacle(base, new)?,
                (false, true) => format!("{} has none; make it again to have them held", base.name),
                (true, false) => "the machine's counter cannot be read now".to_owned(),
                (false, false) => "no counter could be read on either side".to_owned(),
            };
            Some(format!("{} are not compared: {why}", quantity.name()))
        })
        .collect();
    if base.threads != new.threads && notes.len() < Quantity::ALL.len() {
        notes.push(format!(
            "allocations are compared only of contenders that say how many threads they use (threads: {} before, {} now)",
            base.threads, new.threads
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture::side;
    use crate::compare::gate::{outcome, GateOutcome};
    use crate::compare::{compare, Comparison, Options};

    fn changed(change: impl Fn(&mut Side)) -> Comparison {
        let ratios = [("spc/reference", 2.0), ("epc/fused:1", 3.0)];
        let (base, mut new) = (side("base", &ratios, 0.1), side("new", &ratios, 0.1));
        change(&mut new);
        compare(&base, &new, &Options { cross_machine: Some(1.5), ..Options::default() })
    }

    fn each(change: impl Fn(&mut Exact)) -> impl Fn(&mut Side) {
        move |side| {
            side.entries
                .iter_mut()
                .filter(|e| e.contender != "bp/reference")
                .for_each(|e| change(&mut e.exact))
        }
    }

    #[test]
    fn one_allocation_more_or_less_is_another_program() {
        assert_eq!(changed(|_| ()).work, Vec::<String>::new());
        for count in [11, 13] {
            let found = changed(each(|e| e.allocations = Some(count)));
            assert_eq!(found.work.len(), 4, "two contenders at two points");
            let expected = format!("spc/reference at p@depth=4: allocations 12 before, {count} now");
            assert_eq!(found.work[0], expected);
            assert!(matches!(outcome(&found, true, false), GateOutcome::Changed(_)));
            // between two records it may be on purpose
            assert_eq!(outcome(&found, false, true), GateOutcome::Passed);
        }
        let bytes = changed(each(|e| e.allocated_bytes = Some(3457)));
        assert!(
            bytes.work[0].ends_with("p@depth=4: allocated bytes 3456 before, 3457 now"),
            "{:?}",
            bytes.work
        );
    }

    /// The limit is 1 % of a million, either way.
    #[test]
    fn instructions_have_a_tolerance() {
        for (count, differs) in [(990_001, false), (1_009_999, false), (989_999, true), (1_010_001, true)] {
            let found = changed(each(|e| e.instructions = Some(count)));
            assert_eq!(!found.work.is_empty(), differs, "{count}");
        }
    }

    #[test]
    fn counts_compare_where_nothing_else_decides_them() {
        let all = each(|e| {
            (e.allocations, e.allocated_bytes, e.instructions) = (Some(1), Some(1), Some(1));
        });
        let said = |change: &dyn Fn(&mut Side)| {
            let found = changed(|side| {
                all(side);
                change(side);
            });
            let held =
                Quantity::ALL.map(|q| found.work.iter().any(|s| s.contains(&format!(" {} ", q.name()))));
            (held, found.work.len(), found.notes.join("; "))
        };
        assert_eq!(said(&|_| ()), ([true; 3], 4, String::new()));
        let (held, _, notes) = said(&|side| side.class = "cpu-other-9c".into());
        assert_eq!(held, [true, false, true]);
        assert!(
            notes.contains("allocated bytes are not compared: machine class: cpu-test-2c before"),
            "{notes}"
        );
        let (held, _, notes) = said(&|side| side.build.simd = "avx512f".into());
        assert_eq!(held, [false; 3]);
        assert!(notes.contains("instructions are not compared: vector extensions: avx2 before, avx512f now"));
        let (held, _, notes) = said(&|side| side.build.compiler = String::new());
        assert_eq!(held, [true, true, false]);
        assert!(notes.contains("compiler: rustc 1.89.0 before, unknown now"), "{notes}");
        // only the contender that has its threads in its name
        let (held, count, notes) = said(&|side| side.threads = 7);
        assert_eq!((held, count), ([true; 3], 2));
        assert!(notes.contains("threads: 2 before, 7 now"), "{notes}");
    }

    #[test]
    fn what_is_not_counted_is_said() {
        let none = changed(each(|e| e.instructions = None));
        assert_eq!((none.work.len(), none.notes.len()), (0, 0), "the baseline contender's is compared");
        let notes = |change: &dyn Fn(&mut Exact)| {
            changed(|side| side.entries.iter_mut().for_each(|e| change(&mut e.exact))).notes
        };
        assert_eq!(
            notes(&|e| e.instructions = None),
            ["instructions are not compared: the machine's counter cannot be read now"]
        );
        assert_eq!(
            notes(&|e| *e = Exact::default()),
            Vec::<String>::new(),
            "a record from before there were counts"
        );
        // an older baseline
        let ratios = [("spc/reference", 2.0)];
        let (mut base, new) = (side("old.toml", &ratios, 0.1), side("new", &ratios, 0.1));
        base.entries.iter_mut().for_each(|e| e.exact = Exact::default());
        let found = compare(&base, &new, &Options::default());
        assert_eq!(
            found.notes[0],
            "allocations are not compared: old.toml has none; make it again to have them held"
        );
        assert_eq!((found.notes.len(), found.work.len()), (3, 0));
    }
}
