//! Numbers in documents that no command writes there.

use std::fs;
use std::path::Path;

use pcnbench::record::{read, Record, SummaryRow};

const HEADER: &str =
    "| L | sPC / BP, `fused` | sPC / BP, `reference` | GEMMs, sPC / BP | `fused` over GEMMs | of reference: \
                      BP, sPC, ePC | sPC on 1, 2 threads |";

/// The table of the suite `fused` in METHODOLOGY.md must be the one that its record gives.
#[test]
fn the_table_of_larger_networks_is_that_of_its_record() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("METHODOLOGY.md")).unwrap();
    let (before, table) = text.split_once(HEADER).unwrap();
    let link = before.rsplit("[record](").next().and_then(|rest| rest.split(')').next()).unwrap();
    let record = read(&root.join(link)).unwrap();
    assert_eq!(record.run.suite, "fused");
    let found: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let expected = rows(&record);
    assert_eq!(found, expected, "should be:\n{}", expected.join("\n"));
}

/// One line per depth of the benchmark `ceiling`.
fn rows(record: &Record) -> Vec<String> {
    let of = |id: &'static str| {
        record.summary.iter().filter(move |r| r.benchmark == "ceiling" && r.contender == id)
    };
    let at = |id: &'static str, depth: usize| -> &SummaryRow { of(id).find(|r| r.depth == depth).unwrap() };
    let rate =
        record.run.ceilings.iter().find(|c| {
            (c.quantity.as_str(), c.dtype.as_str(), c.threads) == ("gemm", "f32", record.run.threads)
        });
    let rate = rate.unwrap().per_second;
    let share = |id: &'static str, depth: usize| {
        let row = at(id, depth);
        format!("{:.0} %", 100.0 * row.gemm_flops as f64 / (row.median_ns as f64 * 1e-9) / rate)
    };
    let line = |depth: usize| {
        let ratio = |id: &'static str| {
            let r =
                record.ratios.iter().find(|r| r.point == at(id, depth).point && r.contender == id).unwrap();
            assert!(r.baseline.starts_with("bp/"), "{r:?}");
            {
                let (low, high) = r.interval().unwrap();
                (r.ratio, format!("{:.2} [{low:.2}, {high:.2}]", r.ratio))
            }
        };
        let gemms = at("spc/fused", depth).gemms as f64 / at("bp/fused", depth).gemms as f64;
        let (fused, reference) = (ratio("spc/fused"), ratio("spc/reference"));
        let times = ["spc/fused:1", "spc/fused"].map(|id| {
            let ms = at(id, depth).median_ns as f64 * 1e-6;
            // three digits
            format!("{ms:.*}", if ms < 10.0 { 2 } else { usize::from(ms < 100.0) })
        });
        format!(
            "| {depth} | {} | {} | {gemms:.2} | {:.0} % | {} | {} ms |",
            fused.1,
            reference.1,
            100.0 * fused.0 / gemms,
            ["bp/fused", "spc/fused", "epc/fused"].map(|id| share(id, depth)).join(", "),
            times.join(", ")
        )
    };
    of("spc/fused").map(|row| line(row.depth)).collect()
}
