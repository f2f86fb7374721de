//! Oracle: power laws that are put in by hand, and the layout checks of every other figure.

use super::super::synthetic::{empty, row};
use super::super::tests::{check_layout, draw};
use super::sheets::SHEETS;
use super::*;
use crate::record::QuantityRow;

/// A point of a study.
fn add(
    record: &mut Record,
    study: Study,
    contender: &str,
    (depth, width, draw): (usize, usize, usize),
    values: &[(&str, f64, f64)],
) {
    let mut own = row("b", contender, depth, 4, 1.0, 0);
    own.model = study.name().into();
    own.width = width;
    own.point = format!("b@batch=64,depth={depth},draw={draw},width={width}");
    let numbers = values.iter().map(|&(quantity, at, value)| QuantityRow {
        point: own.point.clone(),
        contender: contender.into(),
        quantity: quantity.into(),
        at,
        value,
    });
    record.quantities.extend(numbers);
    record.summary.push(own);
}

/// sPC takes 3·L²·s steps in draw s and ePC 2·L·s: exponents 2 and 1 whatever the draw, a ratio of 1.5·L, medians of the middle draw.
fn powers() -> Record {
    let mut record = empty();
    for draw in 0..3 {
        for depth in [4, 8, 16, 32] {
            let (l, s) = (depth as f64, 1.0 + draw as f64);
            for (contender, steps) in [("spc/reference", 3.0 * l * l * s), ("epc/reference", 2.0 * l * s)] {
                let values = [("steps", 1e-3, steps), ("distance", 1.0, 0.5), ("distance", 10.0, 0.05 / l)];
                add(&mut record, Study::Convergence, contender, (depth, 32, draw), &values);
            }
        }
    }
    record
}

#[test]
fn exponents_ratios_and_medians_are_those_put_in() {
    let record = powers();
    let sheet = |figure: &str| SHEETS.iter().find(|sheet| sheet.figure == figure).unwrap();
    let own = figures(&record, sheet("convergence-steps"));
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].lines.iter().map(|line| &*line.label).collect::<Vec<_>>(), ["sPC", "ePC"]);
    for (line, p) in own[0].lines.iter().zip([2.0, 1.0]) {
        let found = line.exponent().unwrap();
        let (low, high) = found.interval.unwrap();
        assert!((found.p - p).abs() < 1e-12 && (high - low).abs() < 1e-9, "{found:?}");
        assert_eq!(found.over, (4.0, 32.0));
    }
    let point = &own[0].lines[0].points[1];
    assert_eq!((point.x, point.median(), point.least(), point.greatest()), (8.0, 384.0, 192.0, 576.0));
    let ratio = figures(&record, sheet("convergence-ratio"));
    assert_eq!(ratio[0].lines.len(), 1, "the base has no line of its own");
    for point in &ratio[0].lines[0].points {
        assert!((point.median() - 1.5 * point.x).abs() < 1e-12 && point.least() == point.greatest());
    }
    // curves have a figure per depth
    let curves = figures(&record, sheet("convergence-curve"));
    let depths: Vec<usize> = curves.iter().map(|figure| figure.lines[0].points[0].depth).collect();
    assert_eq!(depths, [4, 8, 16, 32]);
}

/// A number that some draw does not have is no median of the others: the point goes, the caption says so, and no exponent reaches it.
#[test]
fn points_of_some_draws_are_left_out() {
    let mut record = powers();
    record.quantities.retain(|q| {
        !(q.contender == "spc/reference" && q.quantity == "steps" && q.point.contains("depth=32,draw=1,"))
    });
    let sheet = SHEETS.iter().find(|sheet| sheet.figure == "convergence-steps").unwrap();
    let found = &figures(&record, sheet)[0];
    let spc = &found.lines[0];
    assert_eq!(spc.points.iter().map(|point| point.x).collect::<Vec<_>>(), [4.0, 8.0, 16.0]);
    assert_eq!(spc.exponent().unwrap().over, (4.0, 16.0));
    let said = found.facts.join("; ");
    assert!(said.contains("not every draw got there: sPC at L = 32 (2 of 3)"), "{said}");
    assert_eq!(found.lines[1].points.len(), 4);
}

/// Points that differ in what no line tells apart are figures of their own, and nothing overwrites anything.
#[test]
fn other_axes_set_figures_apart() {
    let mut record = powers();
    let more = powers();
    let other = |id: &str| id.replace("batch=64", "batch=8");
    record.quantities.extend(more.quantities.iter().map(|q| QuantityRow {
        point: other(&q.point),
        value: 10.0 * q.value,
        ..q.clone()
    }));
    record.summary.extend(more.summary.iter().map(|row| {
        let mut row = row.clone();
        row.point = other(&row.point);
        row.batch = 8;
        row
    }));
    let sheet = SHEETS.iter().find(|sheet| sheet.figure == "convergence-steps").unwrap();
    let found = figures(&record, sheet);
    let stems: Vec<&str> = found.iter().map(|figure| &*figure.stem).collect();
    assert_eq!(stems, ["b.batch-64", "b.batch-8"]);
    let first = |i: usize| found[i].lines[0].points[0].median();
    assert_eq!((first(0), first(1)), (96.0, 960.0));
}

/// Lines are told apart by what varies: a parameterisation, or the depth where the width runs along the axis.
#[test]
fn lines_are_what_varies() {
    let mut record = empty();
    for (depth, width) in [(3, 16), (3, 32), (3, 64), (9, 16), (9, 32), (9, 64)] {
        add(
            &mut record,
            Study::Equivalence,
            "epc/reference",
            (depth, width, 0),
            &[("loss_over_energy", 0.0, 1.1)],
        );
    }
    let sheet = SHEETS.iter().find(|sheet| sheet.figure == "equivalence-loss").unwrap();
    let found = figures(&record, sheet);
    assert_eq!(found[0].lines.iter().map(|line| &*line.label).collect::<Vec<_>>(), ["L = 3", "L = 9"]);
    assert!(found[0].several && found[0].variants == 2);
    let xs: Vec<f64> = found[0].lines[0].points.iter().map(|point| point.x).collect();
    assert!(found[0].widths);
    assert_eq!(xs, [16.0, 32.0, 64.0]);
}

/// Every sheet of every study is drawn from numbers such as a study gives, inside the page and without texts that overlap.
#[test]
fn every_sheet_is_drawn() {
    let mut record = powers();
    for study in Study::ALL {
        for (k, contender) in ["bp/reference", "spc/reference", "epc/reference"].into_iter().enumerate() {
            for depth in [2, 8, 64] {
                let values: Vec<(&str, f64, f64)> = SHEETS
                    .iter()
                    .filter(|sheet| sheet.study == study && study != Study::Convergence)
                    .flat_map(|sheet| {
                        let ats: Vec<f64> = match (sheet.over, sheet.at) {
                            (_, Some(at)) => vec![at],
                            (Over::At(_), None) => vec![0.0, 1.0, 7.0, 300.0],
                            _ => vec![0.0],
                        };
                        let value = if sheet.scale == Scale::Linear { -2.5 } else { 0.3 + 0.2 * k as f64 };
                        ats.into_iter().map(move |at| (sheet.quantity, at, value))
                    })
                    .collect();
                if !values.is_empty() {
                    add(&mut record, study, contender, (depth, 16, 0), &values);
                }
            }
        }
    }
    let (drawing, files) = draw(&record);
    for sheet in SHEETS {
        let drawn = drawing.drawn.iter().find(|drawn| drawn.figure == sheet.figure);
        let optional = ["convergence-flops", "convergence-seconds"].contains(&sheet.figure);
        assert!(drawn.is_some() || optional, "{}: {:?}", sheet.figure, drawing.skipped);
    }
    for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".svg")) {
        check_layout(name, std::str::from_utf8(bytes).unwrap());
    }
}

/// A quantity that a sheet draws is one that its study has.
#[test]
fn sheets_draw_what_studies_have() {
    for sheet in SHEETS {
        let known = sheet.study.quantities().iter().find(|q| q.name == sheet.quantity);
        let known = known.unwrap_or_else(|| panic!("{} draws `{}`", sheet.figure, sheet.quantity));
        assert_eq!(
            known.at.is_empty(),
            sheet.at.is_none() && !matches!(sheet.over, Over::At(_)),
            "{}",
            sheet.figure
        );
    }
}
