//! Oracles: verdicts that follow from the ratios put in, and one sentence per reason not to compare.

use super::super::fixture::{entry, known, record, side, DEFINITION};
use super::*;

const THREE: [(&str, f64); 3] = [("ar/reference", 1.5), ("epc/reference", 6.0), ("spc/reference", 3.0)];

fn verdicts(c: &Comparison) -> Vec<Verdict> {
    c.rows.iter().map(|row| row.verdict).collect()
}

#[test]
fn a_planted_change_is_found_and_nothing_else() {
    let base = side("a", &THREE, 0.3);
    let mut new = side("b", &THREE, 0.3);
    for e in new.entries.iter_mut().filter(|e| e.contender == "spc/reference") {
        *e = entry(&e.point, "spc/reference", 3.15, 0.3);
    }
    let c = compare(&base, &new, &Options::default());
    let regressed: Vec<_> =
        c.with(Verdict::Regressed).map(|row| (&row.point[..], &row.contender[..])).collect();
    assert_eq!(regressed, [("p@depth=4", "spc/reference"), ("p@depth=8", "spc/reference")]);
    assert_eq!(c.with(Verdict::Same).count(), 4, "{:?}", verdicts(&c));
    assert_eq!((c.rows.len(), c.work.len(), c.broken.len(), c.notes.len()), (6, 0, 0, 0));
    assert_eq!(c.holding_one(), (4, 6));
    // The other way round it is an improvement.
    let c = compare(&new, &base, &Options::default());
    assert_eq!((c.with(Verdict::Improved).count(), c.with(Verdict::Same).count()), (2, 4));
    // A threshold above it hides it, one below does not.
    let with = |threshold| compare(&base, &new, &Options { threshold, ..Options::default() });
    assert_eq!(with(0.06).with(Verdict::Regressed).count(), 0);
    assert_eq!(with(0.03).with(Verdict::Regressed).count(), 2);
}

/// The controls of either run set the tolerance.
#[test]
fn noisy_controls_are_tolerated() {
    let (base, mut new) = (side("a", &THREE, 0.3), side("b", &[("spc/reference", 3.15)], 0.3));
    assert_eq!(compare(&base, &new, &Options::default()).with(Verdict::Regressed).count(), 2);
    new.entries.iter_mut().for_each(|e| e.noise_floor = Some(0.06));
    let noisy = compare(&base, &new, &Options::default());
    assert_eq!(noisy.with(Verdict::Regressed).count(), 0);
    assert!(noisy.rows.iter().filter(|r| r.change.is_some()).all(|row| (row.tolerance - 0.06).abs() < 1e-12));
    let swapped = compare(&new, &base, &Options::default());
    assert_eq!(swapped.with(Verdict::Improved).count(), 0);
}

#[test]
fn what_differs_in_definition_is_invalid_and_named() {
    let base = side("a", &THREE, 0.3);
    let reason = |change: &dyn Fn(&mut Side), options: &Options| {
        let mut new = base.clone();
        change(&mut new);
        let c = compare(&base, &new, options);
        let row = c.rows.iter().find(|r| r.verdict == Verdict::Invalid).unwrap();
        assert_eq!(row.change, None);
        row.reason.clone()
    };
    let plain = Options::default();
    let redefined = |s: &mut Side| {
        s.entries[1].definition_sha256 = "d1".into();
        s.entries[1].facts.insert("gain".into(), "2".into());
    };
    assert_eq!(reason(&redefined, &plain), "gain: 1 before, 2 now");
    let unknown = |s: &mut Side| {
        s.entries[1].definition_sha256 = "d1".into();
        s.entries[1].facts.clear();
    };
    assert!(reason(&unknown, &plain).contains("definition hash differs"));
    assert_eq!(reason(&|s| s.data = vec!["mnist".into()], &plain), "data: digits before, mnist now");
    assert_eq!(reason(&|s| s.threads = 4, &plain), "threads: 2 before, 4 now");
    let class = reason(&|s| s.class = "cpu-other-8c".into(), &plain);
    assert_eq!(class, "machine class: cpu-test-2c before, cpu-other-8c now");
    let failed = reason(&|s| s.entries[1].err = "spc diverged".into(), &plain);
    assert_eq!(failed, "failed in NEW: spc diverged");
    // Absolute times never cross machines, even where ratios may.
    let crossing = Options { absolute: true, cross_machine: Some(1.5), ..plain };
    assert!(reason(&|s| s.threads = 4, &crossing).starts_with("threads: "));
    // A second data set that the other side lacks says nothing against the one they share.
    let mut more = base.clone();
    more.data.push("teacher".into());
    assert!(verdicts(&compare(&base, &more, &plain)).iter().all(|v| *v == Verdict::Same));
    assert!(verdicts(&compare(&more, &base, &plain)).iter().all(|v| *v == Verdict::Same));
}

#[test]
fn across_machines_ratios_have_a_wide_tolerance() {
    let base = side("a", &[("spc/reference", 3.0), ("epc/reference", 6.0)], 0.3);
    let mut new = side("b", &[("spc/reference", 4.2), ("epc/reference", 9.6)], 0.3);
    new.class = "cpu-other-8c".into();
    let options = Options { cross_machine: Some(1.5), ..Options::default() };
    let c = compare(&base, &new, &options);
    // 1.4 times is tolerated, 1.6 times is not.
    assert_eq!(verdicts(&c), [Verdict::Same, Verdict::Regressed, Verdict::Same, Verdict::Regressed]);
    assert!(c.rows.iter().all(|row| (row.tolerance - 0.5).abs() < 1e-12));
    assert!(c.notes[0].contains("machine class") && c.notes[0].contains("factor of 1.5"), "{:?}", c.notes);
    // On one machine the option changes nothing.
    new.class = base.class.clone();
    let c = compare(&base, &new, &options);
    assert!(verdicts(&c).iter().all(|v| *v == Verdict::Regressed) && c.notes.is_empty());
}

/// Within an engine rules compare, between engines only on one machine.
#[test]
fn across_machines_engines_do_not_compare() {
    let base = side("a", &[("bp/fused", 0.08), ("epc/fused", 6.0), ("bp/autograd", 1.1)], 0.3);
    let mut new = side("b", &[("bp/fused", 0.16), ("epc/fused", 6.0), ("bp/autograd", 1.1)], 0.3);
    for entry in new.entries.iter_mut().filter(|e| e.contender == "epc/fused") {
        entry.baseline = "bp/fused".into();
    }
    new.threads = 4;
    let options = Options { cross_machine: Some(1.5), ..Options::default() };
    let c = compare(&base, &new, &options);
    for row in &c.rows {
        let invalid = row.contender == "bp/fused";
        assert_eq!(row.verdict, if invalid { Verdict::Invalid } else { Verdict::Same }, "{row:?}");
        assert_eq!(row.reason.contains("any number on another machine"), invalid, "{row:?}");
    }
    assert_eq!(c.rows.iter().filter(|row| row.contender == "bp/fused").count(), 2);
    // which leaves no gate open
    assert_eq!(c.inconclusive().count(), 0);
    assert_eq!(crate::compare::gate::outcome(&c, true, true), crate::compare::gate::GateOutcome::Passed);
    new.threads = base.threads;
    let same = compare(&base, &new, &options);
    assert!(same.rows.iter().all(|row| row.reason.is_empty() && row.verdict != Verdict::Invalid));
}

#[test]
fn what_one_side_lacks_is_listed() {
    let base = side("a", &THREE, 0.3);
    let mut new = side("b", &[("spc/reference", 3.0), ("zil/reference", 1.0)], 0.3);
    new.entries.retain(|e| e.point == "p@depth=4");
    let c = compare(&base, &new, &Options::default());
    let missing = |which| {
        let rows = c.rows.iter().filter(move |row| row.missing == Some(which));
        rows.map(|row| format!("{} {}: {}", row.point, row.contender, row.reason)).collect::<Vec<_>>()
    };
    assert_eq!(missing(Missing::Base), ["p@depth=4 zil/reference: only in NEW"]);
    assert_eq!(
        missing(Missing::New),
        [
            "p@depth=4 ar/reference: only in BASE",
            "p@depth=4 epc/reference: only in BASE",
            "p@depth=8 bp/reference: only in BASE",
            "p@depth=8 ar/reference: only in BASE",
            "p@depth=8 epc/reference: only in BASE",
            "p@depth=8 spc/reference: only in BASE",
        ]
    );
    assert_eq!(c.inconclusive().count(), 6, "what is new was not asked about");
}

#[test]
fn absolute_times_are_judged_only_when_asked() {
    let base = side("a", &THREE, 0.3);
    let mut new = side("b", &THREE, 0.3);
    // Everything twice as slow: no ratio moves.
    for e in &mut new.entries {
        e.quiet_ns = e.quiet_ns.map(|t| 2.0 * t);
        e.time =
            e.time.map(|t| PairedRatio { ratio: 2.0 * t.ratio, low: 2.0 * t.low, high: 2.0 * t.high, ..t });
    }
    assert!(verdicts(&compare(&base, &new, &Options::default())).iter().all(|v| *v == Verdict::Same));
    let c = compare(&base, &new, &Options { absolute: true, ..Options::default() });
    let times: Vec<_> = c.rows.iter().filter(|row| row.measure == Measure::Time).collect();
    assert_eq!(times.len(), 8, "of baselines too");
    assert!(times.iter().all(|row| row.verdict == Verdict::Regressed));
    assert_eq!(c.with(Verdict::Same).count(), 6);
}

/// A slower baseline makes every ratio to it smaller; that must not pass for progress.
#[test]
fn a_slower_baseline_is_inferred_from_all_that_improve() {
    let base = side("a", &THREE, 0.3);
    let slower = |n: usize| {
        let ratios: Vec<_> =
            THREE.iter().enumerate().map(|(i, (c, r))| (*c, if i < n { r / 1.1 } else { *r })).collect();
        compare(&base, &side("b", &ratios, 0.3), &Options::default())
    };
    let c = slower(3);
    let regressed: Vec<_> = c.with(Verdict::Regressed).collect();
    assert_eq!(regressed.len(), 2, "one at each point");
    for row in regressed {
        let change = row.change.unwrap();
        assert_eq!((row.contender.as_str(), row.measure), ("bp/reference", Measure::Ratio));
        assert!((change.ratio - 1.1).abs() < 1e-9 && change.low < 1.1 && change.high > 1.1, "{change:?}");
        assert_eq!(row.reason, "inferred: 3 of 3 contenders against it improved");
        assert!(row.base.is_none() && row.new.is_none(), "or it would count as an interval of its own");
    }
    assert_eq!(slower(2).with(Verdict::Regressed).count(), 0, "two of three are two improvements");
}

/// What slowed down together with its baseline must not hide that.
#[test]
fn one_of_four_that_did_not_improve_does_not_hide_a_slower_baseline() {
    let four = [THREE.to_vec(), vec![("ipc/reference", 4.0)]].concat();
    let base = side("a", &four, 0.3);
    let slower = |n: usize| {
        let ratios: Vec<_> =
            four.iter().enumerate().map(|(i, (c, r))| (*c, if i < n { r / 1.1 } else { *r })).collect();
        compare(&base, &side("b", &ratios, 0.3), &Options::default())
    };
    let found: Vec<_> = slower(3).with(Verdict::Regressed).cloned().collect();
    assert_eq!(found.len(), 2, "one at each point");
    assert!(found.iter().all(|row| row.contender == "bp/reference"));
    assert_eq!(found[0].reason, "inferred: 3 of 4 contenders against it improved");
    assert_eq!(slower(2).with(Verdict::Regressed).count(), 0);
}

/// Verification blocks whether or not the base side knows the contender.
#[test]
fn a_failure_that_the_base_side_never_tried_is_broken() {
    let base = side("a", &THREE, 0.3);
    let mut new = side("b", &[THREE.to_vec(), vec![("ipc/reference", 4.0)]].concat(), 0.3);
    assert!(compare(&base, &new, &Options::default()).broken.is_empty());
    for e in new.entries.iter_mut().filter(|e| e.contender == "ipc/reference" && e.point == "p@depth=4") {
        e.err = "verification failed".into();
    }
    let c = compare(&base, &new, &Options::default());
    assert_eq!(c.broken, ["ipc/reference at p@depth=4: verification failed"]);
}

/// What other programs did to most rounds, but not to the quietest, is no change of the code.
#[test]
fn a_change_that_quiet_samples_do_not_show_stays_ambiguous() {
    let base = side("a", &[("spc/reference", 3.0)], 0.3);
    let judged = |ratio: f64, quiet: f64| {
        let mut new = side("b", &[("spc/reference", ratio)], 0.3);
        new.entries.iter_mut().for_each(|e| e.quiet_ratio = e.quiet_ratio.map(|_| quiet));
        compare(&base, &new, &Options::default()).rows[0].clone()
    };
    assert_eq!(judged(6.0, 6.0).verdict, Verdict::Regressed);
    let row = judged(6.0, 3.1);
    assert_eq!(row.verdict, Verdict::Ambiguous);
    assert_eq!(row.reason, "the quietest quarter of the rounds moved by a factor of 1.033 only");
    assert_eq!(judged(1.5, 3.0).verdict, Verdict::Ambiguous);
    assert_eq!(judged(1.5, 1.5).verdict, Verdict::Improved);
}

/// A session that had to wait for processors is not believed when it says that something changed.
#[test]
fn a_change_seen_on_contended_processors_stays_ambiguous() {
    let base = side("a", &[("spc/reference", 3.0), ("epc/reference", 6.0)], 0.3);
    let judged = |share: Option<f64>| {
        let new = side("b", &[("spc/reference", 3.3), ("epc/reference", 6.0)], 0.3).having_waited(share);
        compare(&base, &new, &Options::default())
    };
    for (share, verdict) in [(None, Verdict::Regressed), (Some(0.26), Verdict::Ambiguous)] {
        let c = judged(share);
        assert_eq!((c.rows[0].verdict, c.rows[1].verdict), (verdict, Verdict::Same), "{share:?}");
    }
    assert_eq!(judged(Some(0.42)).rows[0].reason, "other programs had the processors for 42 % of the time");
}

#[test]
fn changed_work_and_new_failures_are_sentences() {
    let base = side("a", &THREE, 0.3);
    let mut new = side("b", &THREE, 0.3);
    new.entries[2].work.gemms = 11;
    new.entries[2].work.bytes = 399;
    new.entries[3].err = "spc/reference is wrong".into();
    let c = compare(&base, &new, &Options::default());
    assert_eq!(c.work, ["epc/reference at p@depth=4: gemms 10 before, 11 now, bytes 400 before, 399 now"]);
    assert_eq!(c.broken, ["spc/reference at p@depth=4: spc/reference is wrong"]);
    // What had failed before is not broken now.
    assert!(compare(&new, &new, &Options::default()).broken.is_empty());
}

/// From samples to verdicts: two records of the same invented machine, and one whose sPC is slower.
#[test]
fn records_compare_as_their_samples_say() {
    let of = |record: &crate::record::Record| Side::of(record).unwrap();
    let (a, b) = (of(&record(DEFINITION, 1)), of(&record(DEFINITION, 2)));
    assert_eq!(a.entries.len(), 6);
    let c = compare(&a, &b, &Options { absolute: true, ..Options::default() });
    assert!(verdicts(&c).iter().all(|v| *v == Verdict::Same), "{c:?}");
    // A record whose summaries are not those of its samples is refused.
    let mut forged = record(DEFINITION, 3);
    forged.ratios[0].ratio *= 1.01;
    assert!(Side::of(&forged).unwrap_err().to_string().contains("ratios.csv"));
}

/// What counts as another definition of a point, and what does not.
#[test]
fn a_definition_is_what_moves_times() {
    let base = Side::of(&record(DEFINITION, 1)).unwrap();
    let reasons = |changed: &str| -> Vec<String> {
        let c = compare(&base, &Side::of(&record(changed, 1)).unwrap(), &Options::default());
        c.rows.into_iter().map(|row| row.reason).collect()
    };
    for harmless in [
        DEFINITION.replace("max_seconds = 1.0", "max_seconds = 2.0"),
        DEFINITION.replace("Two points.", "Other words."),
        DEFINITION.replace("name = \"small\"", "name = \"other\""),
        DEFINITION
            .replace("[benchmark.timing]", "[benchmark.training]\naccuracy_updates = 3\n[benchmark.timing]"),
    ] {
        assert!(reasons(&harmless).iter().all(String::is_empty), "{harmless}");
    }
    let gain =
        DEFINITION.replace("[benchmark.timing]", "[benchmark.network]\ngain = 2.0\n[benchmark.timing]");
    assert!(reasons(&gain).iter().all(|r| r == "gain: 1 before, 2 now"), "{:?}", reasons(&gain));
    let seed = DEFINITION.replace("seed = 5", "seed = 6");
    assert!(reasons(&seed).iter().all(|r| r == "seed: 5 before, 6 now"));
    // Only the contender whose rate it is.
    let rate = reasons(&DEFINITION.replace("learning_rate = 0.5", "learning_rate = 0.25"));
    assert_eq!(
        rate.iter().filter(|r| !r.is_empty()).collect::<Vec<_>>(),
        ["learning_rate: 0.5 before, 0.25 now", "learning_rate: 0.5 before, 0.25 now"]
    );
    // A definition that cannot be read compares only with itself.
    let mut old = record(DEFINITION, 1);
    old.run.definition = "schema = 0".into();
    let old = Side::of(&old).unwrap();
    assert!(compare(&base, &old, &Options::default()).rows.iter().all(|r| r.verdict == Verdict::Invalid));
    assert!(compare(&old, &old, &Options::default()).rows.iter().all(|r| r.verdict == Verdict::Same));
}

#[test]
fn whose_threads_share_an_update() {
    assert!(shares_updates("spc/fused") && shares_updates("spc/fused:2") && shares_updates("spc/fused-tf32"));
    assert!(!shares_updates("spc/fused:1") && !shares_updates("spc/reference"));
}

/// Equal numbers of different contenders: 1.96 √2 σ of either side of 1 for single instances, with next to nothing from
/// rounds, and nothing for several.
#[test]
fn intervals_allow_for_what_single_instances_cannot_know() {
    let width = |contender: &str, instances: usize| {
        let mut a = side("a", &[(contender, 3.0)], 1e-9);
        a.entries.iter_mut().filter_map(|e| e.ratio.as_mut()).for_each(|r| r.instances = instances);
        let row = &compare(&a, &a, &Options::default()).rows[0];
        row.change.unwrap().high.ln() / (1.96 * 2.0_f64.sqrt())
    };
    for (contender, sigma) in [("spc/reference", 0.005), ("spc/fused:1", 0.005), ("spc/fused", 0.01)] {
        assert!((width(contender, 1) - sigma).abs() < 1e-4, "{contender}: {}", width(contender, 1));
        assert!(width(contender, 2) < 1e-6, "{contender}: {}", width(contender, 2));
    }
}

/// A control known to 400 % neither hides a change of 3 nor makes it one; what was asked for is granted, and said.
#[test]
fn noise_is_no_proof_of_anything() {
    let base = side("a", &THREE, 0.3);
    let judged = |factor: f64, noise: f64, threshold: f64| {
        let mut new = side("b", &THREE.map(|(c, r)| (c, r * factor)), 0.3);
        new.entries.iter_mut().for_each(|e| e.noise_floor = Some(noise));
        compare(&base, &new, &Options { threshold, ..Options::default() }).rows[0].clone()
    };
    for (factor, noise) in [(3.0, 4.0), (1.0, 4.0), (1.5, 0.11), (1.0 / 1.5, 0.11), (3.0, f64::INFINITY)] {
        let row = judged(factor, noise, 0.01);
        assert_eq!(row.verdict, Verdict::Ambiguous, "{factor} beside {noise}");
        assert!(row.is_inconclusive() && row.reason.contains("beyond 10 %"), "{}", row.reason);
    }
    assert_eq!(judged(3.0, 4.0, 0.01).reason, "identical programs may differ by 400 % here, and beyond 10 % neither a change nor its absence can be told");
    assert_eq!(judged(1.5, 0.1, 0.01).verdict, Verdict::Regressed);
    // 3 % is neither a regression where controls may be off by 6 %, nor nothing.
    assert_eq!(judged(1.03, 0.06, 0.01).verdict, Verdict::Ambiguous);
    let row = judged(1.2, 0.3, 0.5);
    assert_eq!((row.verdict, row.reason.as_str()), (Verdict::Same, "within the 50 % asked for"));
    assert_eq!((judged(1.0, 0.3, 0.5).verdict, judged(1.0, 0.3, 0.5).reason.as_str()), (Verdict::Same, ""));
    assert_eq!(judged(1.0, 0.6, 0.5).verdict, Verdict::Ambiguous);
}

/// Rounds too few for an interval: both sides were measured, so the verdict is ambiguous and not invalid.
#[test]
fn too_few_rounds_are_ambiguous() {
    let base = side("a", &THREE, 0.3);
    let mut new = side("b", &THREE, 0.3);
    for e in &mut new.entries {
        e.ratio = e.ratio.map(|r| PairedRatio { ratio: r.ratio, pairs: 1, ..PairedRatio::UNKNOWN });
        e.noise_floor = None;
    }
    for (a, b, name) in [(&base, &new, "NEW"), (&new, &base, "BASE")] {
        let c = compare(a, b, &Options::default());
        for row in &c.rows {
            assert_eq!((row.verdict, row.change), (Verdict::Ambiguous, None));
            assert_eq!(row.reason, format!("1 round in {name}, and an interval takes 6"));
        }
        assert_eq!(c.inconclusive().count(), 6);
    }
}

/// The fused engine against the reference at 0.12 of its time, and 1.13 times that: a regression, unless the reference
/// took as much longer too, or more.
#[test]
fn between_engines_a_change_that_the_machine_may_have_made_is_doubted() {
    let with = |ratio: f64, baseline: f64, contender: &str| {
        let mut s = side("a", &[(contender, ratio), ("spc/reference", 3.0)], 0.3);
        for e in s.entries.iter_mut() {
            e.time = e.time.map(|t| known(t.ratio * baseline, 0.3));
            e.quiet_ns = e.quiet_ns.map(|t| t * baseline);
        }
        s
    };
    let said = |ratio: f64, baseline: f64, contender: &str| {
        let c = compare(
            &with(0.12, 1.0, contender),
            &with(0.12 * ratio, baseline, contender),
            &Options::default(),
        );
        let row = c.rows.into_iter().find(|row| row.contender == contender).unwrap();
        (row.verdict, row.reason)
    };
    for fused in ["bp/fused:1", "bp/fused"] {
        for baseline in [1.0, 1.1, 0.7] {
            assert_eq!(said(1.13, baseline, fused).0, Verdict::Regressed, "{fused} {baseline}");
        }
        let (verdict, reason) = said(1.13, 1.3, fused);
        assert_eq!(verdict, Verdict::Ambiguous);
        assert!(reason.contains("bp/reference took 1.30 times as long as before"), "{reason}");
        assert_eq!(said(1.0 / 1.13, 1.0 / 1.3, fused).0, Verdict::Ambiguous);
        assert_eq!(said(1.0 / 1.13, 1.3, fused).0, Verdict::Improved);
    }
    assert_eq!(said(1.13, 1.3, "ar/reference").0, Verdict::Regressed, "one engine");
    // a time is not judged by its baseline's
    let absolute = Options { absolute: true, ..Options::default() };
    let c = compare(&with(0.12, 1.0, "bp/fused"), &with(0.12 * 0.95, 1.3, "bp/fused"), &absolute);
    let mut times = c.rows.iter().filter(|row| row.measure == Measure::Time && row.contender == "bp/fused");
    assert!(times.all(|row| (row.verdict, row.reason.as_str()) == (Verdict::Regressed, "")), "{:?}", c.rows);
}
