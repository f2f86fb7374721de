//! First arrivals: what is drawn, what the caption counts, and what is left out. The energies are ½·λ^(2d)·g_d² with
//! adjoint norms g_d that differ from layer to layer, so that the law, the gaps and the counts are known beforehand.

use std::collections::BTreeMap;
use std::fs;

use super::synthetic::{empty, row, trace, wave};
use super::tests::{check_layout, draw};
use super::*;
use crate::record::SignalRow;

const LAYERS: usize = 24;
const STEPS: usize = 30;
/// Where the synthetic f32 has lost its signal, and where it is four times too strong.
const LOST: usize = 18;
const COARSE: usize = 12;

/// Squared norm of the adjoint at distance d.
fn square(d: usize) -> f64 {
    1.0 + 0.7 * (d as f64 * 1.3).sin()
}

/// Energies by step and distance in f64: nothing before step d.
fn exact(step: usize, d: usize) -> f64 {
    wave(step, d) * if d == 0 { 1.0 } else { square(d) }
}

/// The same as a format with few digits has them.
fn rounded(step: usize, d: usize) -> f64 {
    match d {
        LOST.. => 0.0,
        COARSE => 4.0 * exact(step, d),
        _ => exact(step, d),
    }
}

/// ePC with a step size of 0.2: all layers at once, λ_e²·½g².
fn errors(step: usize, d: usize) -> f64 {
    0.5 * square(d) * if step == 1 { 0.04 } else { 0.03 }
}

/// Adds a trace at the point of a dtype.
fn add(record: &mut Record, contender: &str, dtype: &str, energy: fn(usize, usize) -> f64) {
    let (rows, signals) = (record.summary.len(), record.signals.len());
    trace(record, contender, LAYERS, STEPS, energy);
    let point = format!("decay@batch=1,depth={LAYERS},dtype={dtype}");
    for row in &mut record.summary[rows..] {
        (row.point, row.dtype) = (point.clone(), dtype.to_owned());
        if row.rule == "epc" {
            row.step_size = 0.2;
        }
    }
    record.signals[signals..].iter_mut().for_each(|row| row.point = point.clone());
}

/// The contenders of the figure in both formats, with ePC.
pub fn formats() -> Record {
    let mut record = empty();
    add(&mut record, "spc/fused", "f32", rounded);
    add(&mut record, "spc/fused-deviation", "f32", exact);
    add(&mut record, "epc/reference", "f32", errors);
    add(&mut record, "spc/fused", "f64", exact);
    add(&mut record, "epc/reference", "f64", errors);
    record
}

fn arrivals(drawing: &Drawing) -> Vec<&str> {
    drawing.drawn.iter().filter(|d| d.figure == "arrival").map(|d| &*d.stem).collect()
}

fn reason(drawing: &Drawing) -> &str {
    let mut skipped = drawing.skipped.iter().filter(|s| s.figure == "arrival");
    let reason = &skipped.next().expect("skipped").reason;
    assert!(skipped.next().is_none());
    reason
}

/// Texts of a figure, a wrapped caption's lines joined.
fn said(files: &BTreeMap<String, Vec<u8>>) -> String {
    let svg = String::from_utf8(files["arrival.decay.svg"].clone()).unwrap();
    let texts =
        svg.split("<text").skip(1).map(|t| t.split_once('>').unwrap().1.split("</text>").next().unwrap());
    texts.map(str::trim).collect::<Vec<_>>().join(" ")
}

fn table(files: &BTreeMap<String, Vec<u8>>) -> Vec<Vec<String>> {
    let mut table = csv::Reader::from_reader(&files["arrival.decay.csv"][..]);
    assert_eq!(
        table.headers().unwrap(),
        vec!["point", "contender", "dtype", "distance", "step", "energy", "law"]
    );
    table.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn each_line_says_how_far_it_reached_and_how_near_it_stayed() {
    let (drawing, files) = draw(&formats());
    assert_eq!(arrivals(&drawing), ["arrival.decay"], "one figure for both formats");
    let said = said(&files);
    // log10(4) at one distance, 0 elsewhere; 23 hidden layers, 18 to 23 lost.
    let gap = "at most 0.6 decades from f64 and 0.6 decades from the law";
    let lost = "sPC · fused, f32: reached d = 17, 6 of 23 layers received nothing at their arrival";
    assert!(said.contains(&format!("{lost}; {gap}")), "{said}");
    assert!(
        said.contains("sPC · fused-deviation, f32: reached d = 23; at most 0 decades from f64"),
        "{said}"
    );
    assert!(said.contains("sPC · fused, f64: reached d = 23; the f64 reference; at most"), "{said}");
    assert!(said.contains("f32 and f64") && said.contains("step size λ = 0.1") && said.contains("L = 24"));
    assert_eq!(said.matches("d = 17").count(), 2, "the caption, and the label where the one line ends");
    assert!(!said.contains("not traced"));
}

/// The law comes from ePC and is held against energies written down from λ and the adjoints.
#[test]
fn the_law_and_the_energies_are_those_of_the_adjoints() {
    let (_, files) = draw(&formats());
    let rows = table(&files);
    assert_eq!(rows.len(), 3 * (LAYERS - 1), "zeros too, and no row of ePC or of the loss");
    for row in &rows {
        let (d, energy): (usize, f64) = (row[3].parse().unwrap(), row[5].parse().unwrap());
        let law: f64 = row[6].parse().unwrap();
        let known = 0.5 * 0.1f64.powi(2 * d as i32) * square(d);
        assert_eq!(row[3], row[4], "the step of the first arrival is the distance");
        assert_eq!(row[0], format!("decay@batch=1,depth=24,dtype={}", row[2]));
        assert!((law / known - 1.0).abs() < 1e-10, "{row:?}");
        let (spc, short) = (&row[1] == "spc/fused", &row[2] == "f32");
        let expected = match (spc && short, d) {
            (true, LOST..) => 0.0,
            (true, COARSE) => 4.0,
            _ => 1.0,
        };
        assert!((energy / known - expected).abs() < 1e-10, "{row:?}");
    }
}

/// λ of ePC is not that of sPC, and a law in f32 gives way to one in f64.
#[test]
fn the_finest_trace_of_epc_gives_the_law() {
    let mut record = formats();
    for row in
        record.signals.iter_mut().filter(|r| r.contender == "epc/reference" && r.point.ends_with("f32"))
    {
        row.energy *= 1.5;
    }
    let laws = |record: &Record| -> Vec<String> {
        table(&draw(record).1).into_iter().map(|r| r[6].clone()).collect()
    };
    assert_eq!(laws(&record), laws(&formats()));
    record.signals.retain(|r| r.contender != "epc/reference" || r.point.ends_with("f32"));
    let (strong, exact) = (laws(&record), laws(&formats()));
    for (strong, exact) in strong.iter().zip(&exact) {
        let ratio = strong.parse::<f64>().unwrap() / exact.parse::<f64>().unwrap();
        assert!((ratio - 1.5).abs() < 1e-10, "{ratio}");
    }
}

#[test]
fn without_epc_there_is_no_law_and_without_f64_no_reference() {
    let mut record = formats();
    record.signals.retain(|r| !r.contender.starts_with("epc"));
    let (drawing, files) = draw(&record);
    let about =
        |drawing: &Drawing| drawing.drawn.iter().find(|d| d.figure == "arrival").unwrap().about.clone();
    assert!(!said(&files).contains("law") && table(&files).iter().all(|row| row[6].is_empty()));
    assert!(about(&drawing).contains("law") && about(&drawing).contains("only where ePC was traced"));
    record.signals.retain(|r| r.point.ends_with("f32"));
    let (drawing, files) = draw(&record);
    assert!(about(&drawing).contains("no f64 trace"));
    let said = said(&files);
    assert!(!said.contains("f64") && !said.contains("decades"), "{said}");
    assert!(said.contains("sPC · fused, f32: reached d = 17"));
}

/// Plain f64 rounds too: the reference is the f64 line that lost least, wherever it stands in the legend.
#[test]
fn the_reference_is_the_f64_line_that_reaches_farthest() {
    let mut record = formats();
    add(&mut record, "spc/fused-deviation", "f64", exact);
    for row in record.signals.iter_mut().filter(|r| r.contender == "spc/fused" && r.point.ends_with("f64")) {
        let d = LAYERS - row.layer;
        row.energy = if d > 20 { 0.0 } else { 10.0 * row.energy };
    }
    let said = said(&draw(&record).1);
    assert!(said.contains("sPC · fused-deviation, f64: reached d = 23; the f64 reference"), "{said}");
    let plain = "sPC · fused, f64: reached d = 20, 3 of 23 layers received nothing at their arrival; at most 1 decades";
    assert!(said.contains(plain), "{said}");
}

/// Ways of writing and drawing a line: f64 is heavier than f32 of the same contender, engines differ in dash.
#[test]
fn formats_differ_in_weight_and_engines_in_dash() {
    let record = formats();
    let groups = arrival_lines::groups(&record, &signal::traces(&record));
    let names: Vec<String> = groups[0].lines.iter().map(|l| l.name()).collect();
    assert_eq!(names, ["sPC · fused, f32", "sPC · fused, f64", "sPC · fused-deviation, f32"]);
    let [plain, double, deviation] = &groups[0].lines[..] else { panic!("{names:?}") };
    assert_eq!((plain.style(), plain.style().color), (double.style(), deviation.style().color));
    assert!(double.stroke().width > 2.0 * plain.stroke().width && double.stroke().hollow);
    assert!(plain.style().dash != deviation.style().dash && !plain.stroke().hollow);
    assert_eq!(plain.end().map(|(d, _)| d), Some(LOST - 1));
    assert_eq!((double.end(), deviation.end()), (None, None), "what was not lost has no end mark");
}

#[test]
fn groups_that_differ_in_more_than_the_dtype_are_apart() {
    let mut record = formats();
    let mut other = formats();
    let deeper = |point: &mut String| *point = point.replace("depth=24", "depth=24,width=64");
    other.signals.iter_mut().for_each(|r| deeper(&mut r.point));
    other.summary.iter_mut().for_each(|r| deeper(&mut r.point));
    record.signals.extend(other.signals);
    record.summary.extend(other.summary);
    let (drawing, _) = draw(&record);
    assert_eq!(arrivals(&drawing), ["arrival.decay", "arrival.decay.width-64"]);
}

#[test]
fn fewer_than_two_lines_are_skipped_with_a_reason() {
    let keep = |keep: fn(&SignalRow) -> bool| {
        let mut record = formats();
        record.signals.retain(keep);
        draw(&record).0
    };
    let one = keep(|r| r.contender == "spc/fused" && r.point.ends_with("f32"));
    assert!(
        arrivals(&one).is_empty() && reason(&one).contains("`decay` has one trace only"),
        "{}",
        reason(&one)
    );
    let none = keep(|r| r.contender.starts_with("epc"));
    assert!(
        arrivals(&none).is_empty() && reason(&none).contains("no trace of rule `spc`"),
        "{}",
        reason(&none)
    );
    assert_eq!(
        arrivals(&keep(|r| r.contender == "spc/fused")),
        ["arrival.decay"],
        "one contender in two formats"
    );
    assert_eq!(
        arrivals(&keep(|r| r.point.ends_with("f32"))),
        ["arrival.decay"],
        "two contenders in one format"
    );
    // What arrives at step d is what counts, not what was traced before or after.
    assert!(arrivals(&keep(|r| r.step == 0)).is_empty());
    let mut zero = formats();
    zero.signals.iter_mut().for_each(|r| r.energy = 0.0);
    assert!(reason(&draw(&zero).0).contains("`decay` has no positive energy at a first arrival"));
}

#[test]
fn failed_rows_and_rows_without_dtype_or_summary_are_left_out() {
    let of = |row: &crate::record::SummaryRow| row.contender == "spc/fused" && row.point.ends_with("f32");
    let lines = |change: &dyn Fn(&mut Record)| -> Vec<String> {
        let mut record = formats();
        change(&mut record);
        let (drawing, files) = draw(&record);
        assert_eq!(arrivals(&drawing).len(), 1);
        let mut names: Vec<String> = table(&files).iter().map(|r| format!("{}, {}", r[1], r[2])).collect();
        names.dedup();
        names
    };
    assert_eq!(lines(&|_| ())[0], "spc/fused, f32");
    let rest = ["spc/fused, f64", "spc/fused-deviation, f32"];
    assert_eq!(lines(&|r| r.summary.iter_mut().filter(|r| of(r)).for_each(|r| r.err = "wrong".into())), rest);
    assert_eq!(lines(&|r| r.summary.iter_mut().filter(|r| of(r)).for_each(|r| r.dtype.clear())), rest);
    assert_eq!(lines(&|r| r.summary.retain(|r| !of(r))), rest);
    let timed = |r: &mut Record| {
        r.summary.iter_mut().filter(|r| of(r)).for_each(|r| r.model = "weight-update".into())
    };
    assert_eq!(lines(&timed), rest);
}

/// Gaps, short traces and numbers no axis can show: said in the caption, never drawn in a wrong place.
#[test]
fn odd_energies_are_counted_apart() {
    let first = |r: &&mut SignalRow| {
        r.contender == "spc/fused" && r.point.ends_with("f32") && r.step + r.layer == LAYERS
    };
    for value in [f64::NAN, f64::INFINITY, -1.0, 1e-320, f64::MAX] {
        let mut record = formats();
        record.signals.iter_mut().filter(first).filter(|r| r.step == 5).for_each(|r| r.energy = value);
        let (_, files) = draw(&record);
        let said = said(&files);
        assert!(
            said.contains("1 of 23 layers not drawn") && said.contains("6 of 23 layers received"),
            "{said}"
        );
    }
    let mut short = formats();
    short.signals.retain(|r| r.step <= 10);
    let said = said(&draw(&short).1);
    assert!(said.contains("sPC · fused, f32: reached d = 10, 13 not traced"), "{said}");
    assert!(
        !said.contains("received nothing") && !said.contains("upright bar"),
        "what was not traced is not lost"
    );
    let mut gap = formats();
    gap.signals.iter_mut().filter(first).filter(|r| r.step == 5).for_each(|r| r.energy = 0.0);
    let record = gap.clone();
    let groups = arrival_lines::groups(&record, &signal::traces(&record));
    let x = axes::Axis::integers("", 1, LAYERS - 1, 6);
    let y = axes::Axis::log("", [1e-60, 10.0], number::time).unwrap();
    let plot_area = plot_area::PlotArea { left: 0.0, top: 0.0, right: 100.0, bottom: 100.0, x, y };
    let runs: Vec<usize> = groups[0].lines[0].runs(&plot_area).unwrap().iter().map(Vec::len).collect();
    assert_eq!(runs, [4, 12], "distances 1 to 4 and 6 to 17");
}

#[test]
fn odd_records_neither_panic_nor_fail() {
    let _coarse = canvas::coarse();
    let one = |change: fn(&mut Record)| {
        let mut record = formats();
        change(&mut record);
        let folder = tempfile::tempdir().unwrap();
        let drawing = draw_all(&record, folder.path(), &|_| None).unwrap();
        report::write(&record, &drawing, &folder.path().join("index.html")).unwrap();
        for file in fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().path()) {
            if file.extension().is_some_and(|e| e == "svg") {
                check_layout(&file.to_string_lossy(), &fs::read_to_string(&file).unwrap());
            }
        }
    };
    one(|_| ());
    one(|r| r.summary.iter_mut().for_each(|row| row.step_size = f64::NAN));
    one(|r| r.summary.iter_mut().for_each(|row| row.step_size = -1.0));
    one(|r| r.summary.iter_mut().for_each(|row| row.step_size = 1e300));
    one(|r| r.summary.iter_mut().for_each(|row| row.step_size = 1e-300));
    one(|r| r.summary.iter_mut().enumerate().for_each(|(i, row)| row.step_size = 0.1 + i as f64));
    one(|r| r.summary.iter_mut().enumerate().for_each(|(i, row)| row.parameterisation = i.to_string()));
    one(|r| r.summary.iter_mut().enumerate().for_each(|(i, row)| row.dtype = format!("format-{i}")));
    one(|r| r.summary.iter_mut().for_each(|row| row.contender = String::new()));
    one(|r| r.signals.iter_mut().for_each(|row| row.layer = LAYERS));
    one(|r| r.signals.retain(|row| row.layer >= LAYERS - 1));
    one(|r| r.signals.retain(|row| row.step == 1));
    one(|r| r.signals.iter_mut().for_each(|row| row.energy *= 1e-290));
    // Every line ends somewhere else, so every one has a label.
    one(|r| {
        for i in 0..9 {
            add(r, &format!("spc/engine-{i}"), "f32", exact);
            let id = format!("spc/engine-{i}");
            let lost = |row: &&mut SignalRow| row.contender == id && row.layer < 8 + i;
            r.signals.iter_mut().filter(lost).for_each(|row| row.energy = 0.0);
        }
    });
    let mut flat = empty();
    flat.summary.push(row("decay", "spc/fused", 1, 3, 0.0, 0));
    trace(&mut flat, "spc/fused", 1, 3, |_, _| 1.0);
    assert!(arrivals(&draw(&flat).0).is_empty(), "one layer has no distance");
}
