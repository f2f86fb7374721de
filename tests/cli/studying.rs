//! Studies as a user meets them: `run`, `report`, the page and figures of a record that times nothing.

use crate::session::{arg, refused, says, succeeds, suite};

/// A spectrum over two draws, a budget that some thresholds never meet, and training from near the origin.
const SUITE: &str = r#"schema = 1
name = "studied"
about = "Three studies."
seed = 3

[[benchmark]]
name = "spectrum"
model = "conditioning"
about = "Orthogonal."
contenders = ["spc/reference", "epc/reference"]
[benchmark.axes]
depth = [2, 4]
width = [12]
batch = [1]
dtype = ["f64"]
activation = ["identity"]
parameterisation = ["sp-orthogonal"]
draw = [0, 1]

[[benchmark]]
name = "steps"
model = "budget"
about = "Too few steps for most."
contenders = [{ id = "spc-auto/reference", step_size = 0.5 }]
[benchmark.axes]
depth = [4]
width = [8]
batch = [2]
steps = [6]
dtype = ["f64"]

[[benchmark]]
name = "start"
model = "landscape"
about = "A few updates."
contenders = ["bp/reference"]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
dtype = ["f64"]
[benchmark.training]
accuracy_updates = 3
"#;

/// `report` has the median and range over draws of every number that is no curve, in all formats; the page has the figures; `plot`
/// draws the same bytes again.
#[test]
fn a_record_of_studies_is_printed_and_drawn() {
    let (dir, file) = suite(SUITE);
    let record = dir.path().join("record");
    succeeds(&["run", &file, "--allow-debug-build", "--out", &arg(&record)]);
    let said = succeeds(&["report", &arg(&record)]);
    says(&said, &["spectrum@depth=4", "condition", "median", "draws", "spc-auto/reference"]);
    assert!(!said.contains("time / BP"), "{said}");
    let table = succeeds(&["report", &arg(&record), "--format", "csv"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0].join(","), "benchmark,contender,quantity,at,median,least,greatest,draws");
    // 1 + (L − 1) in the errors of orthogonal networks, whatever the draw
    let kappa: Vec<&Vec<&str>> =
        rows.iter().filter(|row| row[1] == "epc/reference" && row[2] == "condition").collect();
    assert_eq!(kappa.len(), 2);
    for (row, depth) in kappa.iter().zip([2.0, 4.0]) {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        assert!([4, 5, 6].iter().all(|&i| (number(i) - depth).abs() < 1e-6), "{row:?}");
        assert_eq!(row[7], "2");
    }
    assert!(!table.contains("loss,") && table.contains("origin_smallest"), "curves are figures: {table}");
    let figures = record.join("figures");
    for stem in ["conditioning-kappa.spectrum", "budget-cosine.steps", "landscape-loss.start"] {
        assert!(figures.join(format!("{stem}.svg")).exists(), "{stem}");
    }
    let page = std::fs::read_to_string(record.join("index.html")).unwrap();
    assert!(page.contains("Condition number of inference at the start"));
    let again = dir.path().join("again");
    succeeds(&["plot", &arg(&record), "--out", &arg(&again)]);
    assert_eq!(page, std::fs::read_to_string(again.join("index.html")).unwrap());
    says(&succeeds(&["bounds", &file]), &["spc-auto"]);
    says(&succeeds(&["explain", &file]), &["condition number"]);
}

/// What a study cannot be run on is said before anything is measured.
#[test]
fn what_a_study_needs_is_said() {
    for (from, to, expected) in [
        (
            "accuracy_updates = 3",
            "accuracy_updates = 0",
            "the model landscape trains for this number of updates",
        ),
        ("depth = [2, 4]", "depth = [1]", "needs a network with a state; use depth 2 or more"),
        (r#""spc/reference", "epc/reference""#, r#""fpa/reference""#, "says nothing of rule fpa"),
        ("draw = [0, 1]", "draw = [10000]", "`draw`: 10000 is out of range; expected 0 to 9999"),
    ] {
        let (dir, file) = suite(&SUITE.replace(from, to));
        let said = refused(&["run", &file, "--allow-debug-build", "--out", &arg(dir.path().join("record"))]);
        says(&said, &[expected]);
        assert!(!dir.path().join("record").exists());
    }
}
