//! Oracles: outcomes that follow from what was put in.

use super::super::fixture::{entry, side};
use super::super::{compare, Options};
use super::*;

const BOTH: [(&str, f64); 2] = [("spc/reference", 3.0), ("epc/reference", 6.0)];

fn gate(base: &Side, new: &Side) -> Comparison {
    compare(base, new, &Options::default())
}

#[test]
fn the_worst_decides() {
    let base = side("a", &BOTH, 0.3);
    let with = |change: &dyn Fn(&mut Side), exact, strict| {
        let mut new = base.clone();
        change(&mut new);
        outcome(&gate(&base, &new), exact, strict)
    };
    let nothing = |_: &mut Side| {};
    let slower = |s: &mut Side| s.entries[1] = entry("p@depth=4", "spc/reference", 3.3, 0.3);
    let unclear = |s: &mut Side| s.entries[2] = entry("p@depth=4", "epc/reference", 6.0, 9.0);
    let work = |s: &mut Side| s.entries[4].work.gemm_flops += 1;
    let failed = |s: &mut Side| s.entries[5].err = "epc/reference is wrong".into();
    let redefined = |s: &mut Side| s.entries[5].definition_sha256 = "d1".into();
    let gone = |s: &mut Side| s.entries.truncate(4);
    let more = |s: &mut Side| s.entries.push(entry("p@depth=4", "zil/reference", 1.0, 0.3));

    assert_eq!(with(&nothing, true, true), GateOutcome::Passed);
    assert_eq!(with(&more, true, true), GateOutcome::Passed, "what is new has nothing to be held against");
    let GateOutcome::Regressed(what) = with(&slower, true, false) else { panic!() };
    assert!(what.starts_with("spc/reference at p@depth=4: ratio 1.100 [1.0"), "{what}");
    assert_eq!(with(&unclear, true, false), GateOutcome::Passed);
    assert!(
        matches!(with(&unclear, true, true), GateOutcome::Inconclusive(w) if w.contains("epc/reference"))
    );
    let GateOutcome::Changed(what) = with(&work, true, false) else { panic!() };
    assert!(what.contains("gemm_flops 1000 before, 1001 now"), "{what}");
    assert_eq!(with(&work, false, true), GateOutcome::Passed, "between two records on purpose");
    assert!(matches!(with(&failed, false, false), GateOutcome::Changed(w) if w.contains("is wrong")));
    // What can never be compared would leave a gate open.
    for change in [&redefined as &dyn Fn(&mut Side), &gone] {
        assert!(matches!(with(change, true, false), GateOutcome::Inconclusive(_)));
        assert_eq!(with(change, false, false), GateOutcome::Passed);
        assert!(matches!(with(change, false, true), GateOutcome::Inconclusive(_)));
    }
    // Wrong before regressed before inconclusive.
    let two = |s: &mut Side| {
        slower(s);
        unclear(s);
    };
    assert!(matches!(with(&two, true, true), GateOutcome::Regressed(_)));
    let three = |s: &mut Side| {
        two(s);
        work(s);
    };
    assert!(matches!(with(&three, true, true), GateOutcome::Changed(_)));
}

#[test]
fn only_suspects_get_a_second_look() {
    let base = side("a", &BOTH, 0.3);
    let mut first = base.clone();
    first.entries[1] = entry("p@depth=4", "spc/reference", 3.3, 0.3);
    let comparison = gate(&base, &first);
    assert_eq!(suspects(&comparison), ["p@depth=4"]);
    // The second look finds nothing of it, and would find something else.
    let mut again = base.clone();
    again.entries[2] = entry("p@depth=4", "epc/reference", 9.0, 0.3);
    let second = with_second_look(&first, &[again], &comparison);
    assert_eq!(second.entries[1], base.entries[1]);
    assert_eq!(second.entries[2], first.entries[2], "no suspect, so its first numbers stay");
    assert_eq!(outcome(&gate(&base, &second), true, true), GateOutcome::Passed);
    // One that confirms.
    let confirmed = with_second_look(&first, std::slice::from_ref(&first), &comparison);
    assert!(matches!(outcome(&gate(&base, &confirmed), true, false), GateOutcome::Regressed(_)));
}

/// A baseline inferred to be slower is no entry of its own: all that is stated against it is taken again.
#[test]
fn a_suspect_baseline_takes_everything_against_it_along() {
    let three = [("spc/reference", 3.0), ("epc/reference", 6.0), ("ar/reference", 1.5)];
    let base = side("a", &three, 0.3);
    let first = side("b", &three.map(|(c, r)| (c, r / 1.1)), 0.3);
    let comparison = gate(&base, &first);
    assert_eq!(suspects(&comparison), ["p@depth=4", "p@depth=8"]);
    let second = with_second_look(&first, std::slice::from_ref(&base), &comparison);
    assert_eq!(outcome(&gate(&base, &second), true, true), GateOutcome::Passed);
}

/// Two records of which nothing compares, against one point that does.
#[test]
fn comparing_nothing_is_inconclusive() {
    let base = side("a", &BOTH, 0.3);
    let mut new = base.clone();
    new.class = "cpu-other-9c".into();
    let none = crate::compare::compare(&base, &new, &crate::compare::Options::default());
    let GateOutcome::Inconclusive(what) = outcome(&none, false, false) else { panic!("{none:?}") };
    assert!(what.contains("p@depth=4: invalid (machine class: ") && what.ends_with("(of 4)"), "{what}");
    let mut some = none.clone();
    some.rows[0].verdict = Verdict::Same;
    assert_eq!(outcome(&some, false, false), GateOutcome::Passed);
}

#[test]
fn counts_in_a_line() {
    let base = side("a", &BOTH, 0.3);
    let mut new = base.clone();
    new.entries[1] = entry("p@depth=4", "spc/reference", 3.3, 0.3);
    assert_eq!(counts(&gate(&base, &new)), "1 regressed, 3 same");
    let empty = side("none", &[], 0.3);
    assert_eq!(counts(&gate(&empty, &empty)), "nothing to compare");
}

/// Whichever side lacks what the other has, and however little was asked for.
#[test]
fn sharing_nothing_is_inconclusive_from_either_side() {
    let (some, other) = (side("a", &BOTH, 0.3), side("b", &[("zil/reference", 1.0)], 0.3));
    let none = side("none", &[], 0.3);
    let nothing = Side { entries: vec![], ..none.clone() };
    let mut elsewhere = other.clone();
    elsewhere.entries.iter_mut().for_each(|e| e.point = format!("other-{}", e.point));
    for (base, new) in
        [(&some, &nothing), (&nothing, &some), (&some, &elsewhere), (&elsewhere, &some), (&nothing, &nothing)]
    {
        for (exact, strict) in [(false, false), (false, true), (true, false), (true, true)] {
            let found = outcome(&gate(base, new), exact, strict);
            let GateOutcome::Inconclusive(what) = found else {
                panic!("{found:?} of {} and {}", base.name, new.name)
            };
            assert!(what.starts_with("nothing compares: "), "{what}");
        }
    }
    // One point that does compare is something.
    let mut part = some.clone();
    part.entries.truncate(3);
    assert_eq!(outcome(&gate(&part, &some), true, true), GateOutcome::Passed);
}
