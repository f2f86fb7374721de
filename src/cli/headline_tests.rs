//! Oracle: invented records, of which every ratio that the table should show is known.

use super::*;
use crate::compare::fixture::{record, DEFINITION};
use crate::record::Status;

/// A record whose contenders `rules` were measured at `depths`: BP takes 3 products per layer, sPC 6 and ePC 9.
fn at(depths: &str, rules: &str) -> Record {
    let definition = DEFINITION
        .replace("depth = [2, 3]", &format!("depth = {depths}"))
        .replace("\"spc/reference\", { id = \"epc/reference\", learning_rate = 0.5 }", rules);
    let mut record = record(&definition, 1);
    for row in &mut record.summary {
        let factor = match row.rule.as_str() {
            "spc" => 2,
            "epc" => 3,
            _ => 1,
        };
        row.gemms = 3 * factor * row.depth as u64;
    }
    record
}

/// Cells of the table, row by row.
fn cells(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Counts are exact; times are within the 1 % of noise that the record was invented with.
#[test]
fn ratios_stand_below_counts() {
    let text = of(&at("[4, 8, 16, 32, 64, 128]", "\"spc/reference\", \"epc/reference\"")).unwrap();
    let table = cells(&text);
    assert_eq!(table[0], ["rule", "over BP", "L = 8, T = 8", "L = 32, T = 32", "L = 128, T = 128"]);
    assert_eq!(table[2], ["sPC (`spc`)", "matrix products, counted", "2.00", "2.00", "2.00"]);
    assert_eq!(table[4], ["ePC (`epc`)", "matrix products, counted", "3.00", "3.00", "3.00"]);
    for (row, ratio) in [(3, 2.5), (5, 4.0)] {
        assert_eq!(table[row][..2], ["", "time, engine `reference`"]);
        for cell in &table[row][2..] {
            let (estimate, rest) = cell.split_once(" [").unwrap();
            let ends: Vec<f64> = rest.trim_end_matches(']').split(", ").map(|x| x.parse().unwrap()).collect();
            let estimate: f64 = estimate.parse().unwrap();
            assert!((estimate / ratio - 1.0).abs() < 0.01, "{cell}");
            assert!(ends[0] <= estimate && estimate <= ends[1], "{cell}");
        }
    }
    assert_eq!(table.len(), 6, "{text}");
    assert!(text.starts_with(
        "`pcnbench` on Test (2 threads, revision abc1234), benchmark update, width 4, batch 2, f32:\n\n"
    ));
}

/// All rules of the headline by both engines fill a dozen rows; others, and numbers of threads, have none.
#[test]
fn a_dozen_rows() {
    let rules = ["spc", "epc", "mupc", "fpa", "ar", "zil", "spc-full", "ipc"];
    let ids: Vec<String> = rules
        .iter()
        .flat_map(|rule| ["reference", "fused", "fused:1"].map(|e| format!("\"{rule}/{e}\"")))
        .collect();
    let mut record = at("[2, 3]", &ids.join(", "));
    record.summary.retain(|row| row.contender != "epc/reference" || row.depth == 3);
    let text = of(&record).unwrap();
    let table = cells(&text);
    assert_eq!(table.len(), 2 + 12, "{text}");
    for other in ["`ar", "zil", "full", "ipc", ":1"] {
        assert!(!text.contains(other), "{other}: {text}");
    }
    // a contender that one of the depths lacks
    let row = table.iter().rposition(|row| row[0].starts_with("ePC")).unwrap() + 2;
    assert!(table[row][1] == "time, engine `reference`" && table[row][2].is_empty(), "{text}");
    assert!(table[row][3].starts_with("4.0") || table[row][3].starts_with("3.9"), "{text}");
}

#[test]
fn three_depths() {
    let heads = |depths: &str| {
        let text = of(&at(depths, "\"spc/reference\"")).unwrap();
        let table = cells(&text);
        table[0][2..].iter().map(|c| c.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(heads("[2, 4, 8, 16, 32]"), ["L = 8", "L = 32"]);
    assert_eq!(heads("[64, 128, 2]"), ["L = 128"]);
    assert_eq!(heads("[2, 3, 5, 7, 11]"), ["L = 2", "L = 5", "L = 11"]);
    assert_eq!(heads("[5, 3]"), ["L = 3", "L = 5"]);
    assert_eq!(heads("[6]"), ["L = 6"]);
}

/// Rules that take other numbers of steps: the column says none. A rule that failed: a word. Numbers with signs: what
/// they mean.
#[test]
fn what_a_number_lacks_is_said() {
    let mut record = at("[2, 3]", "\"spc/reference\", \"epc/reference\", \"fpa/reference\"");
    assert!(!of(&record).unwrap().contains('†'));
    for row in record.summary.iter_mut().filter(|row| row.depth == 3) {
        match row.contender.as_str() {
            "spc/reference" => (row.steps, row.trained_layers) = (1, Some(2)),
            "epc/reference" => {
                *row = row.clone().failed(Status::Diverged, "epc diverged: the loss is not finite".into());
            }
            _ => {}
        }
    }
    record.ratios.retain(|r| r.contender != "epc/reference" || r.point.contains("depth=2"));
    let text = of(&record).unwrap();
    let table = cells(&text);
    assert_eq!(table[0][2..], ["L = 2, T = 2", "L = 3"]);
    assert!(table[3][3].ends_with(" †") && !table[3][2].contains('†'), "{text}");
    assert_eq!(table[5][3], "diverged");
    assert_eq!(text.lines().filter(|line| line.starts_with('†')).count(), 1, "{text}");
}

#[test]
fn a_record_without_rules_is_refused() {
    let said = of(&at("[2]", "\"zil/reference\"")).unwrap_err().to_string();
    for part in ["records/1", "times none of spc/fused, spc/reference, epc/fused", "a suite such as `depth`"]
    {
        assert!(said.contains(part), "{said}");
    }
}

/// Of the rules and depths that the table has, and only where the record holds regimes.
#[test]
fn rules_with_layers_that_do_not_learn_are_named_below_the_table() {
    let mut record = at("[4, 8, 16, 32]", "\"spc/reference\", \"epc/reference\"");
    let before = of(&record).unwrap();
    assert!(!before.contains("do not learn"), "{before}");
    let row = |row: &crate::record::SummaryRow| crate::record::RegimeRow {
        point: row.point.clone(),
        contender: row.contender.clone(),
        samples: 1,
        layers: row.depth,
        curvature_in: String::new(),
        step_times_curvature: None,
        relaxed_flattest: None,
        relaxed_steepest: None,
        cosine: 0.5,
        norm_ratio: 1.0,
        lowest_quarter_cosine: 0.0,
        zero_layers: 0,
        rounded_layers: if row.rule == "spc" { row.depth / 2 } else { 0 },
        layer_cosines: crate::record::Layered::default(),
        layer_norm_ratios: crate::record::Layered::default(),
    };
    record.regimes = record.summary.iter().map(row).collect();
    let steps = record.summary.iter().find(|row| row.rule == "spc" && row.depth == 32).unwrap().steps;
    let named = match steps {
        0 => "sPC".to_owned(),
        steps => format!("sPC T={steps}"),
    };
    let expected = format!("{before}\n{named} at depth 32: 16 of 32 layers do not learn.\n");
    assert_eq!(of(&record).unwrap(), expected);
}
