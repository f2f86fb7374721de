//! Oracle: invented records, of which every sign and word that the table should show is known.

use super::*;
use crate::compare::fixture::{record, DEFINITION};

/// Beside the accuracy, and only in records that hold regimes; programs get the whole words.
#[test]
fn regimes_stand_beside_accuracies() {
    let mut record = record(DEFINITION, 1);
    let heads = |record: &Record, full| {
        let text = table(record, full).unwrap().markdown();
        text.lines()
            .next()
            .unwrap()
            .trim_matches('|')
            .split(" | ")
            .map(|h| h.trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(!heads(&record, false).contains(&"regime".to_owned()));
    record.regimes = record.summary.iter().take(2).map(|row| regime(row, 0.8)).collect();
    for full in [false, true] {
        let heads = heads(&record, full);
        let at = heads.iter().position(|head| head == "accuracy").unwrap();
        assert_eq!(heads[at + 1], "regime");
    }
    let text = table(&record, false).unwrap().markdown();
    // the sine of an angle whose cosine is 0.8
    assert_eq!(text.matches("| direction within 60.0 % of BP's |").count(), 2, "{text}");
    // of every layer, where a program reads it
    assert!(!heads(&record, false).contains(&"norm ratio by layer".to_owned()));
    record.regimes[0].layer_cosines = Layered::of([0.25, 1.0]);
    record.regimes[0].layer_norm_ratios = Layered::of([1e-9, 0.5]);
    let text = table(&record, true).unwrap().markdown();
    assert_eq!(text.matches("| 0.25;1 | 1e-9;0.5 |").count(), 1, "{text}");
}

fn regime(row: &SummaryRow, cosine: f64) -> RegimeRow {
    RegimeRow {
        point: row.point.clone(),
        contender: row.contender.clone(),
        samples: 1,
        layers: row.depth,
        curvature_in: String::new(),
        step_times_curvature: None,
        relaxed_flattest: None,
        relaxed_steepest: None,
        cosine,
        norm_ratio: 1.0,
        lowest_quarter_cosine: cosine,
        zero_layers: 0,
        rounded_layers: 0,
        layer_cosines: crate::record::Layered::default(),
        layer_norm_ratios: crate::record::Layered::default(),
    }
}

/// Two layers, one of them trained, and half of 60 samples contended.
#[test]
fn numbers_are_marked() {
    let plain = record(DEFINITION, 1);
    let text = table(&plain, false).unwrap().markdown();
    assert!(!text.contains('†') && !text.contains('‡') && !text.contains("trained"), "{text}");
    assert!(footnotes(&plain).is_empty());

    let mut marked = plain.clone();
    let row = marked.summary.iter_mut().find(|row| row.contender == "spc/reference").unwrap();
    (row.contended, row.trained_layers) = (Some(30), Some(1));
    let text = table(&marked, false).unwrap().markdown();
    let line = text.lines().find(|line| line.contains("spc/reference")).unwrap();
    assert!(line.contains("| 1 of 2 |") && line.matches(" †‡ |").count() == 2, "time and ratio: {line}");
    assert_eq!(text.matches('‡').count(), 2, "{text}");
    assert_eq!(footnotes(&marked).len(), 2);

    // what a ratio is to is a part of it
    let row = marked.summary.iter_mut().find(|row| row.contender == "bp/reference").unwrap();
    row.contended = Some(4);
    let text = table(&marked, false).unwrap().markdown();
    let line = text.lines().find(|line| line.contains("epc/reference")).unwrap();
    assert_eq!(line.matches(" ‡ |").count(), 1, "the ratio alone: {line}");
}
