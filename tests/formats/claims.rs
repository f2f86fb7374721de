//! Oracle: the records. The committed page of claims is the one that they give.

use std::fs;
use std::path::Path;

use pcnbench::compare::claims;

#[test]
fn the_page_of_claims_is_that_of_the_records() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let page = claims::page(&results).unwrap();
    assert_eq!(fs::read_to_string(results.join("CLAIMS.md")).unwrap(), page, "run `pcnbench claims`");
    // every claim has a verdict or says what would give it one, and every row as many cells as its table
    for table in page.split("\n\n").filter(|part| part.starts_with('|')) {
        let cells = |line: &str| line.matches('|').count();
        let mut lines = table.lines();
        let head = cells(lines.next().unwrap());
        assert!(lines.all(|line| cells(line) == head), "{table}");
    }
    let verdicts = ["| holds |", "| holds only ", "| does not hold |", "| undetermined: "];
    let rows = page
        .split("## Without a record")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()));
    let mut told = 0;
    for row in rows {
        assert!(verdicts.iter().any(|verdict| row.contains(verdict)), "{row}");
        told += 1;
    }
    assert!(told >= 12, "{told}");
}
