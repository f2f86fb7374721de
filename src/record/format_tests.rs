//! FORMAT.md against the types: every column and key, in order.

use serde_json::Value;

use super::columns::Row;
use super::fixture;
use super::regime::RegimeRow;
use super::schema::{
    AlignmentRow, Ceiling, Machine, RatioRow, Run, Sample, ShardRun, SignalRow, SummaryRow, SCHEMA,
};

const FORMAT: &str = include_str!("../../FORMAT.md");

/// Names in the table under a heading.
fn documented(heading: &str) -> Vec<String> {
    let begin = FORMAT.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let section = FORMAT[begin + 4..].split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells
        .map(|cells| {
            assert_eq!(cells.len(), 3, "{heading}: {cells:?}");
            assert!(cells[2].len() > 5, "{heading}: {} has no meaning", cells[0]);
            cells[0].trim_end_matches('`').to_owned()
        })
        .collect()
}

fn columns_are_documented<R: Row>() {
    assert_eq!(documented(&format!("`{}`", R::FILE)), R::COLUMNS);
}

#[test]
fn every_column_is_in_format_md_and_no_other() {
    columns_are_documented::<Sample>();
    columns_are_documented::<SummaryRow>();
    columns_are_documented::<RatioRow>();
    columns_are_documented::<SignalRow>();
    columns_are_documented::<AlignmentRow>();
    columns_are_documented::<RegimeRow>();
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn keys_are_documented(heading: &str, value: Value) {
    let Value::Object(map) = value else { panic!("{heading} is no object") };
    let mut expected: Vec<String> = map.keys().cloned().collect();
    let mut found = documented(heading);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{heading}");
}

#[test]
fn every_key_is_in_format_md_and_no_other() {
    let text = str::to_owned;
    let ceiling = Ceiling {
        quantity: text("gemm"),
        dtype: text("f32"),
        device: text("cpu"),
        threads: 1,
        at: text("x"),
        per_second: 1.0,
        clock_hz: Some(3e9),
        by: Some(text("candle")),
    };
    let shard = ShardRun {
        shard: "1/2".parse().unwrap(),
        argv: vec![],
        started: text(""),
        finished: text(""),
        memory_bytes: 1,
        os: text(""),
        ceilings: vec![],
    };
    // with everything that is left out when it is empty
    let run = Run {
        switches: vec![text("x")],
        shard: Some(shard.shard),
        shards: vec![shard.clone()],
        ..fixture::run()
    };
    keys_are_documented("`run.json`", json(&run));
    keys_are_documented("`run.json`: `ceilings`", json(&ceiling));
    keys_are_documented("`run.json`: `shards`", json(&shard));
    let machine = Machine { cache_bytes: Some(1), ..fixture::machine() };
    keys_are_documented("`machine.json`", json(&machine));
}

#[test]
fn the_version_is_told() {
    assert!(FORMAT.contains(&format!("describes schema {SCHEMA}, which")));
}
