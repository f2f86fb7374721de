//! FORMAT.md against the types: every column and key, with its order and the schema that introduced it.

use serde_json::Value;

use super::columns::Row;
use super::fixture;
use super::schema::{
    AlignmentRow, Ceiling, Machine, RatioRow, Run, Sample, ShardRun, SignalRow, SummaryRow, OLDEST_SCHEMA,
    SCHEMA,
};

const FORMAT: &str = include_str!("../../FORMAT.md");

/// Names in the table under a heading, with the schema they are there since.
fn documented(heading: &str) -> Vec<(String, u32)> {
    let begin = FORMAT.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let section = FORMAT[begin + 4..].split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells
        .map(|cells| {
            assert_eq!(cells.len(), 4, "{heading}: {cells:?}");
            assert!(cells[3].len() > 5, "{heading}: {} has no meaning", cells[0]);
            let since = cells[2].parse().unwrap();
            assert!((OLDEST_SCHEMA..=SCHEMA).contains(&since));
            (cells[0].trim_end_matches('`').to_owned(), since)
        })
        .collect()
}

fn columns_are_documented<R: Row>() {
    let expected = R::COLUMNS.iter().zip(R::SINCE).map(|(name, since)| ((*name).to_owned(), *since));
    assert_eq!(documented(&format!("`{}`", R::FILE)), expected.collect::<Vec<_>>());
}

#[test]
fn every_column_is_in_format_md_and_no_other() {
    columns_are_documented::<Sample>();
    columns_are_documented::<SummaryRow>();
    columns_are_documented::<RatioRow>();
    columns_are_documented::<SignalRow>();
    columns_are_documented::<AlignmentRow>();
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// `later` keys with their schema; the others are there since the first.
fn keys_are_documented(heading: &str, value: Value, later: &[(&str, u32)]) {
    let Value::Object(map) = value else { panic!("{heading} is no object") };
    let since = |key: &String| later.iter().find(|(name, _)| name == key).map_or(1, |(_, since)| *since);
    let mut expected: Vec<(String, u32)> = map.keys().map(|key| (key.clone(), since(key))).collect();
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
    keys_are_documented("`run.json`", json(&run), &[("shard", 2), ("shards", 2), ("rustc", 4)]);
    keys_are_documented("`run.json`: `ceilings`", json(&ceiling), &[("clock_hz", 4), ("by", 4)]);
    let all: Vec<String> = documented("`run.json`: `shards`").into_iter().map(|(key, _)| key).collect();
    keys_are_documented(
        "`run.json`: `shards`",
        json(&shard),
        &all.iter().map(|key| (key.as_str(), 2)).collect::<Vec<_>>(),
    );
    let machine = Machine { cache_bytes: Some(1), ..fixture::machine() };
    keys_are_documented("`machine.json`", json(&machine), &[("cache_bytes", 4)]);
}

/// The version that is described is the one that is written, and each version has its line.
#[test]
fn versions_are_told() {
    assert!(FORMAT.contains(&format!("describes schema {SCHEMA}, which")));
    for schema in OLDEST_SCHEMA..=SCHEMA {
        assert!(FORMAT.contains(&format!("\n| {schema} | ")), "{schema}");
    }
    assert!(!FORMAT.contains(&format!("\n| {} | ", SCHEMA + 1)));
    let columns = |names: &'static [&'static str], since: &'static [u32]| names.iter().zip(since);
    let all = columns(Sample::COLUMNS, Sample::SINCE).chain(columns(SummaryRow::COLUMNS, SummaryRow::SINCE));
    for (name, since) in all {
        for schema in OLDEST_SCHEMA + 1..=SCHEMA {
            let line = FORMAT.lines().find(|line| line.starts_with(&format!("| {schema} | "))).unwrap();
            assert_eq!(line.contains(&format!("`{name}`")), *since == schema, "{name} in schema {schema}");
        }
    }
}
