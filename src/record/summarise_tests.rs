use super::*;
use crate::record::fixture::{machine, result, run, sample, signal, summary};

fn record(points: &[&str]) -> Record {
    let mut record = Record {
        dir: "r".into(),
        run: run(),
        machine: machine(),
        samples: vec![],
        summary: vec![],
        ratios: vec![],
        signals: vec![],
        alignments: vec![],
        regimes: vec![],
        training: vec![],
        quantities: vec![],
    };
    for point in points {
        let result = result(point, 9);
        record.samples.extend(result.samples);
        record.summary.extend(result.summary);
        record.ratios.extend(result.ratios);
    }
    record
}

/// Times 10, 20, 30, 40: by hand, type-7 quartiles 17.5 and 32.5, deviations 5, 5, 15, 15; four samples are too few for
/// an interval of 95 %.
#[test]
fn timing_columns_by_hand() {
    let mut rows = [summary("p", "bp/reference")];
    let samples: Vec<_> =
        [40, 10, 30, 20].iter().zip(0..).map(|(&t, round)| sample("p", "bp/reference", round, t)).collect();
    assert_eq!(fill(&mut rows, &samples).unwrap(), vec![]);
    let row = &rows[0];
    assert_eq!((row.n, row.min_ns, row.q1_ns, row.median_ns, row.q3_ns), (4, 10, 18, 25, 32));
    assert_eq!((row.mad_ns, row.median_low_ns, row.median_high_ns), (10, 0, 0));
    assert_eq!(row.median_interval(), None);
}

/// Twice the time in every shared round is a ratio of exactly 2, whatever the rounds were like; a round
/// that only one of the two has is left out.
#[test]
fn ratios_pair_by_round() {
    let mut rows = [summary("p", "bp/reference"), summary("p", "spc/reference")];
    let mut samples = vec![sample("p", "spc/reference", 99, 1)];
    for round in 0..7 {
        let t = 100 << round;
        // The order within a round is random in a real run.
        samples.insert(0, sample("p", "spc/reference", round, 2 * t));
        samples.push(sample("p", "bp/reference", round, t));
    }
    let ratios = fill(&mut rows, &samples).unwrap();
    assert_eq!(ratios.len(), 1);
    let row = &ratios[0];
    assert_eq!(
        (row.contender.as_str(), row.baseline.as_str(), row.pairs),
        ("spc/reference", "bp/reference", 7)
    );
    for value in [row.ratio, row.low.unwrap(), row.high.unwrap()] {
        assert!((value - 2.0).abs() < 1e-14, "{value}");
    }
}

/// Four times as fast in every round that both have. A contender that has no reference, is the reference, or failed has
/// no speed-up, and `mupc` is held against `mupc/reference`, not against the rule it runs.
#[test]
fn speed_ups_pair_a_rule_with_its_reference() {
    let ids = [
        "bp/reference",
        "bp/autograd",
        "spc/reference",
        "spc/fused",
        "spc/fused:2",
        "epc/fused",
        "mupc/fused",
    ];
    let mut record = record(&[]);
    let mut rows = ids.map(|id| summary("p", id)).to_vec();
    // Points come in the order of the summary, not of their ids.
    for id in ["zil/reference", "zil/fused"] {
        rows.insert(0, summary("z", id));
        record.samples.push(sample("z", id, 0, 5));
    }
    rows.push(summary("q", "spc/fused"));
    rows.iter_mut().filter(|row| row.contender == "bp/autograd").for_each(|row| row.err = "diverged".into());
    record.summary = rows;
    for round in 0..7 {
        let t = 100 << round;
        for (id, times) in [("spc/reference", 8), ("spc/fused", 2), ("spc/fused:2", 4), ("bp/autograd", 3)] {
            record.samples.push(sample("p", id, round, times * t));
        }
        record.samples.push(sample("p", "bp/reference", round, t));
        record.samples.push(sample("q", "spc/fused", round, t));
    }
    record.samples.push(sample("p", "spc/fused", 99, 1));
    let mut found = speed_ups(&record).unwrap();
    let first = found.remove(0);
    assert_eq!((&*first.point, &*first.contender, first.ratio, first.pairs), ("z", "zil/fused", 1.0, 1));
    let told: Vec<_> = found.iter().map(|r| (&*r.point, &*r.contender, &*r.baseline, r.pairs)).collect();
    let expected = ["spc/fused", "spc/fused:2"].map(|id| ("p", id, "spc/reference", 7));
    assert_eq!(told, expected);
    for (row, factor) in found.iter().zip([4.0, 2.0]) {
        for value in [row.low.unwrap(), row.ratio, row.high.unwrap()] {
            assert!((value / factor - 1.0).abs() < 1e-14, "{value}");
        }
    }
    record.samples.push(sample("p", "spc/fused", 99, 1));
    let refused = speed_ups(&record).unwrap_err().to_string();
    assert!(refused.contains("samples.csv") && refused.contains("in round 99"), "{refused}");
}

#[test]
fn a_control_has_a_ratio_to_its_own_contender_and_no_row() {
    let result = result("p", 9);
    let pairs: Vec<_> = result.ratios.iter().map(|r| (r.contender.as_str(), r.baseline.as_str())).collect();
    assert_eq!(pairs, [("bp/reference~aa", "bp/reference"), ("spc/reference", "bp/reference")]);
    // Without a baseline the control still gives the noise.
    let mut rows = vec![summary("p", "spc/reference")];
    rows[0].baseline = String::new();
    let samples = [sample("p", "spc/reference", 0, 5), sample("p", "spc/reference~aa", 0, 5)];
    assert_eq!(fill(&mut rows, &samples).unwrap()[0].contender, "spc/reference~aa");
}

/// What is wrong has no time, and nothing is compared with it.
#[test]
fn a_failed_contender_has_neither_times_nor_ratios() {
    for failed in 0..2 {
        let mut rows = [summary("p", "bp/reference"), summary("p", "spc/reference")];
        rows[failed].err = "diverged".into();
        rows[failed].median_ns = 17;
        let ids = ["bp/reference", "bp/reference~aa", "spc/reference", "spc/reference~aa"];
        let samples: Vec<_> = ids.iter().map(|id| sample("p", id, 0, 5)).collect();
        let ratios = fill(&mut rows, &samples).unwrap();
        assert_eq!((rows[failed].n, rows[failed].median_ns), (0, 0));
        assert_eq!((rows[1 - failed].n, rows[1 - failed].median_ns), (1, 5));
        assert_eq!(ratios.len(), 1, "only the control of the sound one");
        assert_eq!(ratios[0].baseline, rows[1 - failed].contender);
    }
}

#[test]
fn times_of_zero_make_no_infinite_ratio() {
    let mut rows = [summary("p", "bp/reference"), summary("p", "spc/reference")];
    let samples = [sample("p", "bp/reference", 0, 0), sample("p", "spc/reference", 0, 0)];
    assert_eq!(fill(&mut rows, &samples).unwrap()[0].ratio, 1.0);
}

#[test]
fn stray_and_repeated_samples_are_refused() {
    let mut rows = [summary("p", "bp/reference")];
    let stray = fill(&mut rows, &[sample("p", "ar/fused", 0, 5)]).unwrap_err().to_string();
    assert_eq!(stray, "samples of `ar/fused` at point `p`, which has no summary row");
    let twice = [sample("p", "bp/reference", 3, 5), sample("p", "bp/reference", 3, 6)];
    let twice = fill(&mut rows, &twice).unwrap_err().to_string();
    assert_eq!(twice, "two samples of `bp/reference` at point `p` in round 3");
}

#[test]
fn a_sound_record_passes() {
    let mut sound = record(&["q", "p"]);
    // A trace has rows but no samples.
    sound.summary.push(summary("trace", "spc/reference"));
    sound.signals.push(signal("trace", 0));
    check(&sound).unwrap();
    check(&record(&[])).unwrap();
}

/// Every number that is a function of the samples, changed by the least amount, is found.
#[test]
fn every_changed_number_is_found() {
    let refused = |change: &dyn Fn(&mut Record)| {
        let mut record = record(&["p", "q"]);
        change(&mut record);
        check(&record).unwrap_err().to_string()
    };
    let columns: [fn(&mut SummaryRow) -> &mut u64; 7] = [
        |row| &mut row.min_ns,
        |row| &mut row.q1_ns,
        |row| &mut row.median_ns,
        |row| &mut row.q3_ns,
        |row| &mut row.mad_ns,
        |row| &mut row.median_low_ns,
        |row| &mut row.median_high_ns,
    ];
    for (column, name) in
        columns.into_iter().zip(["min", "q1", "median", "q3", "mad", "median_low", "median_high"])
    {
        for row in 0..6 {
            let message = refused(&|record| *column(&mut record.summary[row]) += 1);
            assert!(
                message.contains("summary.csv: point `") && message.contains(&format!(": {name}_ns is ")),
                "{message}"
            );
        }
    }
    assert!(refused(&|record| record.summary[0].n -= 1).contains("n is 8, but the samples give 9"));

    let floats: [fn(&mut RatioRow) -> &mut f64; 3] =
        [|row| &mut row.ratio, |row| row.low.as_mut().unwrap(), |row| row.high.as_mut().unwrap()];
    for column in floats {
        let message = refused(&|record| *column(&mut record.ratios[3]) *= 1.0 + 1e-9);
        assert!(message.contains("ratios.csv: point `q`: spc/reference to bp/reference"), "{message}");
    }
    // The fixture knows no delays: a count of contended samples is made up then, as is a share without device times.
    assert!(refused(&|record| record.summary[1].contended = Some(0))
        .contains("contended is 0, but the samples give absent"));
    assert!(refused(&|record| record.summary[1].host_bound = Some(0.0))
        .contains("host_bound is 0, but the samples give absent"));

    let message = refused(&|record| record.ratios[0].pairs = 8);
    assert!(message.contains("from 8 pairs") && message.contains(", but the samples give"), "{message}");
    assert!(refused(&|record| record.ratios[0].ratio = f64::NAN).contains("NaN"));
    for left in [2, 3] {
        let message = refused(&|record| record.ratios.truncate(left));
        assert!(
            message.contains(&format!("point `q`: {} rows, but the samples give 2", left - 2)),
            "{message}"
        );
    }
    assert!(refused(&|record| record.ratios[0].baseline = "spc/reference".into()).contains("ratios.csv"));
    assert!(refused(&|record| record.samples[0].wall_ns = 1).contains("min_ns is"));
    assert!(refused(&|record| record.samples[0].contender = "x/y".into())
        .contains("samples.csv: samples of `x/y`"));
}

fn delayed(delays: &[(Option<u64>, u64)]) -> Vec<Sample> {
    let at = |(round, &(delay_ns, wall_ns)): (usize, &(Option<u64>, u64))| Sample {
        delay_ns,
        ..sample("p", "bp/reference", round as u32, wall_ns)
    };
    delays.iter().enumerate().map(at).collect()
}

/// 100 is 10 % of 1000, which is not yet more; 101 is, but not of 1011.
#[test]
fn contended_samples_by_hand() {
    let of = |delays: &[(Option<u64>, u64)]| contended(&delayed(delays));
    let with = |delay, wall| of(&[(Some(0), 1000), (Some(delay), wall)]);
    assert_eq!(with(0, 1000), Some(0));
    assert_eq!(with(100, 1000), Some(0));
    assert_eq!(with(101, 1000), Some(1));
    assert_eq!(with(101, 1011), Some(0));
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[(Some(500), 1000), (None, 1000)]), None, "a count that leaves some out would be too low");
    // a machine that is always busy
    assert_eq!(of(&[(Some(9000), 1000); 5]), Some(5));
}

/// (wall − device)/wall is 0.5, 0.25 and 0.2; device clocks may run ahead, and samples without one say nothing.
#[test]
fn host_bound_share_by_hand() {
    let of = |times: &[(u64, Option<u64>)]| {
        let at = |&(wall, device_ns): &(u64, Option<u64>)| Sample { device_ns, ..sample("p", "c", 0, wall) };
        host_bound(&times.iter().map(at).collect::<Vec<_>>())
    };
    assert_eq!(of(&[(100, Some(50)), (100, Some(75)), (1000, Some(800))]), Some(0.25));
    assert_eq!(of(&[(100, Some(60)), (7, None)]), Some(0.4));
    assert_eq!(of(&[(100, Some(101))]), Some(0.0));
    assert_eq!(of(&[(0, Some(0))]), Some(0.0));
    assert_eq!(of(&[(100, None)]), None);
    assert_eq!(of(&[]), None);
}

/// What samples say of delays and devices stands in the row, is checked, and is said aloud from 5 % on.
#[test]
fn disturbances_are_summarised_and_warned_of() {
    let disturbed = |count: u32| {
        let mut record = record(&[]);
        for round in 0..100 {
            let delay_ns = Some(if round < count { 900 } else { 7 });
            let base = sample("p", "bp/reference", round, 1000);
            record.samples.push(Sample { delay_ns, device_ns: Some(600), ..base });
        }
        record.summary = vec![summary("p", "bp/reference")];
        record.ratios = fill(&mut record.summary, &record.samples).unwrap();
        record
    };
    let calm = disturbed(5);
    assert_eq!((calm.summary[0].contended, calm.summary[0].host_bound), (Some(5), Some(0.4)));
    assert_eq!(contention(&calm), None);
    check(&calm).unwrap();
    let crowded = disturbed(6);
    assert!(contention(&crowded).unwrap().starts_with("contended: during 6 of 100 samples (6 %) other work"));
    let mut wrong = crowded.clone();
    wrong.summary[0].contended = Some(5);
    assert!(check(&wrong).unwrap_err().to_string().contains("contended is 5, but the samples give 6"));
    wrong = crowded.clone();
    wrong.summary[0].host_bound = Some(0.4 + 1e-9);
    assert!(check(&wrong).unwrap_err().to_string().contains("host_bound is 0.4"));
    // a failed contender has no such numbers
    let mut rows = [summary("p", "bp/reference")];
    rows[0].err = "diverged".into();
    fill(&mut rows, &crowded.samples).unwrap();
    assert_eq!((rows[0].contended, rows[0].host_bound), (None, None));
    assert_eq!(contention(&record(&["p"])), None);
}

/// Rounds of several instances: the mean of their medians, a t interval, and both numbers in the row.
#[test]
fn ratios_are_of_instances() {
    let mut rows = [summary("p", "bp/reference"), summary("p", "spc/reference")];
    let mut samples = vec![];
    for (instance, factor) in [(0, 2.0_f64), (1, 2.2), (2, 2.1), (3, 2.4)] {
        for round in instance * 6..instance * 6 + 6 {
            let times = [("bp/reference", 1e9), ("spc/reference", 1e9 * factor)];
            samples.extend(times.map(|(id, t)| Sample { instance, ..sample("p", id, round, t as u64) }));
        }
    }
    let row = fill(&mut rows, &samples).unwrap().remove(0);
    let logs = [2.0_f64, 2.2, 2.1, 2.4].map(f64::ln);
    let mean = logs.iter().sum::<f64>() / 4.0;
    let deviation = (logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    assert!((row.ratio.ln() - mean).abs() < 1e-8, "{row:?}");
    assert!((row.high.unwrap().ln() - mean - 3.182_446 * deviation / 2.0).abs() < 1e-6, "{row:?}");
    assert_eq!((row.pairs, row.instances, row.freedom), (24, 4, Some(3)));
}

/// A single round, and five in five instances: ratios without intervals.
#[test]
fn few_rounds_have_no_interval() {
    for n in [1, 5] {
        let mut rows = [summary("p", "bp/reference"), summary("p", "spc/reference")];
        let of = |round| {
            ["bp/reference", "spc/reference"]
                .map(|id| Sample { instance: round, ..sample("p", id, round, 7) })
        };
        let samples: Vec<Sample> = (0..n).flat_map(of).collect();
        let row = fill(&mut rows, &samples).unwrap().remove(0);
        assert_eq!((row.ratio, row.low, row.high, row.interval()), (1.0, None, None, None), "{n}");
    }
}
