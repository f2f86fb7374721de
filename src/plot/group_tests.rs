//! Which rows share a figure, and whose lines it has.

use super::synthetic::{add, empty};
use super::tests::draw;
use super::*;

#[test]
fn axes_with_several_values_give_one_figure_each() {
    let mut record = empty();
    add(&mut record, "bp/reference", &[4, 8], |_| 0, 1000.0);
    for steps in [8, 16] {
        add(&mut record, "spc/reference", &[4, 8], |_| steps, 1000.0);
    }
    let mut wide: Vec<_> = record.summary.clone();
    wide.iter_mut().for_each(|row| row.width = 256);
    record.summary.extend(wide);
    let stems: Vec<String> = group::groups(&record).into_iter().map(|g| g.stem).collect();
    let expected =
        ["depth.width-128.t-16", "depth.width-128.t-8", "depth.width-256.t-16", "depth.width-256.t-8"];
    assert_eq!(stems, expected);
    for group in group::groups(&record) {
        let series: Vec<&str> = group.series.iter().map(|s| s.contender).collect();
        assert_eq!(series, ["bp/reference", "spc/reference"], "the baseline is in every figure");
    }
}

/// Fifteen lines cannot be told apart: one figure per engine, autograd beside the reference; fourteen stay together.
#[test]
fn a_crowd_is_one_figure_per_engine() {
    let stems = |rules: &[&str]| -> Vec<(String, Vec<String>)> {
        let mut record = empty();
        add(&mut record, "bp/autograd", &[4, 8], |_| 0, 1000.0);
        for id in rules.iter().flat_map(|rule| [format!("{rule}/reference"), format!("{rule}/fused")]) {
            add(&mut record, &id, &[4, 8], |l| l, 1000.0);
        }
        add(&mut record, "spc/fused:2", &[4, 8], |l| l, 1000.0);
        let series = |g: &group::Group<'_>| g.series.iter().map(|s| s.engine.to_owned()).collect();
        group::groups(&record).iter().map(|g| (g.stem.clone(), series(g))).collect()
    };
    let rules = ["bp", "spc", "epc", "fpa", "zil", "ar"];
    let together = stems(&rules);
    assert_eq!((together.len(), &*together[0].0, together[0].1.len()), (1, "depth", 14));
    let apart = stems(&[&rules[..], &["ipc"]].concat());
    let named: Vec<&str> = apart.iter().map(|(stem, _)| &**stem).collect();
    assert_eq!(named, ["depth.reference", "depth.fused"]);
    assert!(apart[0].1.iter().all(|e| ["reference", "autograd"].contains(&&**e)) && apart[0].1.len() == 8);
    assert!(apart[1].1.iter().all(|e| e.starts_with("fused")) && apart[1].1.len() == 8);
}

/// BP by another engine is no cost of a rule.
#[test]
fn cost_ratios_are_those_of_rules() {
    let mut record = empty();
    for id in ["bp/reference", "bp/autograd", "bp/fused", "mupc-bp/reference", "mupc-bp/fused"] {
        add(&mut record, id, &[4, 8], |_| 0, 1000.0);
    }
    for id in ["spc/reference", "spc/fused", "mupc/reference", "mupc/fused"] {
        add(&mut record, id, &[4, 8], |l| l, 900.0);
    }
    let (drawing, files) = draw(&record);
    let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    assert!(drawing.drawn.iter().any(|d| d.stem == "cost-ratio.depth"), "{:?}", drawing.skipped);
    let (svg, table) = (text("cost-ratio.depth.svg"), text("cost-ratio.depth.csv"));
    assert!(svg.contains("\nsPC · fused") && !svg.contains("\nBP · ") && !svg.contains("\nBP (μPC net) · "));
    let rows: Vec<&str> = table.lines().skip(1).map(|l| l.split(',').next().unwrap()).collect();
    assert!(!rows.is_empty() && rows.iter().all(|id| id.starts_with("spc/") || id.starts_with("mupc/")));
}

/// What the figure of bounds holds, backpropagation included, computed from the row by hand: 8·10¹¹ FLOP/s, and least
/// FLOPs that are a third of those counted.
#[test]
fn measured_times_are_drawn_over_their_own_bounds() {
    let mut record = empty();
    add(&mut record, "bp/reference", &[8], |_| 0, 9000.0);
    add(&mut record, "spc/reference", &[8], |l| l, 8000.0);
    let spc = &mut record.summary[1];
    (spc.least_gemms, spc.least_gemm_flops) = (spc.gemms.checked_div(3), spc.gemm_flops.checked_div(3));
    let (_, files) = draw(&record);
    let text = String::from_utf8(files["bounds.depth.csv"].clone()).unwrap();
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<std::collections::HashMap<String, String>> =
        table.deserialize().map(Result::unwrap).collect();
    assert_eq!(
        rows.iter().map(|r| &r["contender"][..]).collect::<Vec<_>>(),
        ["bp/reference", "spc/reference"]
    );
    for (drawn, row) in rows.iter().zip(&record.summary) {
        let value = |name: &str| drawn[name].parse::<f64>().unwrap();
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{}: {a} {b}", row.contender);
        let bound = row.least_gemm_flops.unwrap() as f64 / 8e11 * 1e9;
        near(value("bound_ns"), bound);
        near(value("measured"), row.median_ns as f64 / bound);
        near(value("measured_low"), row.median_low_ns as f64 / bound);
        near(value("counted"), row.gemm_flops as f64 / row.least_gemm_flops.unwrap() as f64);
        near(value("critical_path"), row.critical_path as f64 / row.least_gemms.unwrap() as f64);
    }
    // no ceiling, no bound: nothing is drawn in its place
    record.run.ceilings.retain(|c| c.quantity != "fma");
    let (drawing, _) = draw(&record);
    assert!(drawing.drawn.iter().all(|d| d.figure != "bounds"));
    assert!(format!("{:?}", drawing.skipped).contains("no ceiling of multiply-adds"));
}

#[test]
fn steps_that_follow_the_depth_are_one_line() {
    let mut record = empty();
    add(&mut record, "spc/reference", &[4, 8, 16], |l| l, 1000.0);
    assert_eq!(group::groups(&record)[0].series[0].policy, "T = L");
    // With T = 8 measured too, L = 8 belongs to both lines.
    add(&mut record, "spc/reference", &[4, 16], |_| 8, 1000.0);
    let series: Vec<_> = group::groups(&record).into_iter().map(|g| g.series[0].clone()).collect();
    assert_eq!(
        series.iter().map(|s| (s.policy.as_str(), s.rows.len())).collect::<Vec<_>>(),
        [("T = 8", 3), ("T = L", 3)]
    );
}
