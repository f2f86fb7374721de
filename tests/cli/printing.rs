//! What is printed: four formats of one table, completions, man pages, and readers that go away.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::session::{arg, mixed, names, pcnbench, says, succeeds, suite};

/// Rows as text by key, from JSON.
fn json(args: &[&str]) -> Vec<Vec<(String, String)>> {
    let text = succeeds(&[args, &["--format", "json"]].concat());
    let rows: Vec<serde_json::Map<String, Value>> = serde_json::from_str(&text).unwrap();
    let plain = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    rows.into_iter().map(|row| row.into_iter().map(|(key, value)| (key, plain(value))).collect()).collect()
}

/// Rows as text by key, from CSV.
fn csv(args: &[&str]) -> Vec<Vec<(String, String)>> {
    let text = succeeds(&[args, &["--format", "csv"]].concat());
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let keys: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let row = |row: csv::StringRecord| keys.iter().cloned().zip(row.iter().map(str::to_owned)).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn json_csv_and_markdown_agree() {
    let record = arg(mixed().0);
    for args in [
        &["list"][..],
        &["list", "quick"],
        &["bounds", "quick"],
        &["report", &record],
        &["cmp", &record, &record],
        &["rank", &record, "--contender", "bp/reference", "--contender", "epc/reference"],
    ] {
        let rows = json(args);
        assert!(!rows.is_empty());
        assert_eq!(rows, csv(args), "{args:?}");
        let markdown = succeeds(&[args, &["--format", "md"]].concat());
        // the rest is footnotes, which a busy machine makes
        let lines: Vec<&str> = markdown.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), rows.len() + 2, "{args:?}");
        assert!(lines[1].chars().all(|c| "|-: ".contains(c)), "{}", lines[1]);
        for (line, row) in lines[2..].iter().zip(&rows) {
            assert!(line.starts_with("| ") && line.ends_with(" |"), "{line}");
            let contender = row.iter().find(|(key, _)| key == "contender" || key == "suite");
            assert!(contender.is_none_or(|(_, name)| line.contains(name)), "{line}");
        }
    }
    // doctor looks at a machine that changes, so only its form is compared
    let keys =
        |rows: Vec<Vec<(String, String)>>| rows.into_iter().map(|row| row[0].1.clone()).collect::<Vec<_>>();
    assert_eq!(keys(json(&["doctor"])), keys(csv(&["doctor"])));
}

/// Nothing that a terminal of 110 columns would wrap, in the tables people look at first.
#[test]
fn tables_fit_a_terminal() {
    let record = arg(mixed().0);
    for args in [&["list"][..], &["list", "quick"], &["bounds", "quick"], &["doctor"], &["report", &record]] {
        for width in [80, 110] {
            let output = pcnbench().args(args).env("COLUMNS", width.to_string()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            // sentences below a table are wrapped by the terminal
            let sentence = |line: &str| line.contains(" diverged: ") || line.starts_with(['†', '‡']);
            for line in text.lines().filter(|line| !sentence(line)) {
                assert!(line.chars().count() <= width, "{args:?} at {width}: {line}");
                assert_eq!(line, line.trim_end(), "{args:?}");
            }
        }
    }
}

#[test]
fn bounds_agree_with_their_formulas() {
    for suite in ["quick", "depth", "decay", "rules", "alignment", "fused", "gate"] {
        assert!(succeeds(&["bounds", suite, "--verify"]).contains("spc/reference"));
    }
}

#[test]
fn every_shell_gets_a_completion_script_and_a_man_page_is_one() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = succeeds(&["completions", shell]);
        assert!(script.contains("pcnbench") && script.contains("verify"), "{shell}");
    }
    let page = succeeds(&["man"]);
    assert!(page.contains(".TH pcnbench 1") && page.contains("Exit codes"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    succeeds(&["man", "--out", &arg(dir.path())]);
    let pages = names(dir.path());
    for name in ["pcnbench.1", "pcnbench-run.1", "pcnbench-verify.1"] {
        assert!(pages.iter().any(|page| page == name), "{pages:?}");
    }
}

/// `pcnbench … | head -0`: the reader goes away; the program prints no error and has not failed.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let record = arg(mixed().0);
    for args in [
        &["list"][..],
        &["list", "quick", "--format", "json"],
        &["list", "quick", "--format", "csv"],
        &["bounds", "quick", "--format", "md"],
        &["report", &record],
        &["cmp", &record, &record],
        &["export", &record, "--format", "critcmp"],
        &["verify", "--cases", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")],
        &["completions", "zsh"],
        &["man"],
        &["doctor"],
        &["--help"],
    ] {
        let mut child = Command::new(pcnbench().get_program());
        child.args(args).env("RUST_BACKTRACE", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{args:?}");
    }
}

/// Any network, not only those of a suite: BP's 3L − 1 products, and one processor takes all the work there is.
#[test]
fn bounds_take_a_network_of_their_own() {
    let printed = succeeds(&[
        "bounds",
        "rules",
        "--depth",
        "7",
        "--width",
        "12",
        "--batch",
        "5",
        "--steps",
        "3",
        "--simulate",
        "1",
        "--verify",
        "--format",
        "csv",
    ]);
    let mut rows = csv::Reader::from_reader(printed.as_bytes());
    let at = |name: &str, headers: &csv::StringRecord| headers.iter().position(|h| h == name).unwrap();
    let headers = rows.headers().unwrap().clone();
    let mut seen = 0;
    for row in rows.records() {
        let row = row.unwrap();
        let cell = |name: &str| row[at(name, &headers)].to_owned();
        assert_eq!(cell("depth"), "7");
        assert_eq!(cell("makespan_flops"), cell("gemm_flops"), "{}", cell("contender"));
        if cell("contender") == "bp/reference" {
            assert_eq!(cell("gemms"), "20");
            seen += 1;
        }
    }
    assert_eq!(seen, 2, "one row in each benchmark");
    assert!(succeeds(&["bounds", "rules", "--depth", "4", "--explain"]).contains("[P]"));
}

/// One step of sPC moves the state below the output and no other, so at L = 4 two layers learn. Said beside the time in
/// the table, on the page and in the figure.
#[test]
fn training_in_part_is_said_beside_the_time() {
    let (dir, file) = suite(PART);
    let record = arg(dir.path().join("record"));
    let printed = succeeds(&["run", &file, "--allow-debug-build", "--out", &record]);
    says(&printed, &["trained", "2 of 4", "†", "an update trains only the upper layers"]);
    let rows = csv(&["report", &record]);
    let value = |row: &[(String, String)], key: &str| row.iter().find(|(k, _)| k == key).unwrap().1.clone();
    let trained: Vec<(String, String)> =
        rows.iter().map(|row| (value(row, "contender"), value(row, "trained_layers"))).collect();
    let expected =
        [("bp/reference", "2"), ("spc/reference", "2"), ("bp/reference", "4"), ("spc/reference", "2")];
    assert_eq!(trained, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let page = std::fs::read_to_string(dir.path().join("record/index.html")).unwrap();
    says(&page, &["4 (2 trained)", " †", "an update trains only the upper layers", "trains a part"]);
    says(&page, &["trains 2 of 4 layers"]);
    let figures = dir.path().join("record/figures");
    for figure in ["time-vs-depth", "time-vs-gemms", "cost-ratio"] {
        let svg = std::fs::read_to_string(figures.join(format!("{figure}.update.svg"))).unwrap();
        says(&svg, &["trains a part"]);
    }
    // what trains all layers has nothing beside it
    let whole = succeeds(&[
        "run",
        &file,
        "--allow-debug-build",
        "--max-depth",
        "2",
        "--no-plots",
        "--out",
        &arg(dir.path().join("whole")),
    ]);
    assert!(!whole.contains('†') && !whole.contains("trained"), "{whole}");
}

/// Text of an SVG or a page without its markup, on one line.
fn text(markup: &str) -> String {
    let parts = markup.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text).trim());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// T = 2 steps from the forward pass reach the layer of the output and T below it, so at L = 8 five layers do not learn under
/// sPC and FPA: said beside time and accuracy in the table, on the page and in the captions, in the words of `explain`.
#[test]
fn layers_that_do_not_learn_are_said_beside_every_number() {
    let silent = PART
        .replace(r#"["bp/reference", "spc/reference"]"#, &format!("{SILENT:?}"))
        .replace("depth = [2, 4]", "depth = [4, 8]")
        .replace("steps = [1]", "steps = [2]")
        .replace("[benchmark.timing]", "[benchmark.training]\naccuracy_updates = 2\n[benchmark.timing]");
    let (dir, file) = suite(&silent);
    let record = dir.path().join("record");
    let printed = succeeds(&["run", &file, "--allow-debug-build", "--out", &arg(&record)]);
    let read = pcnbench::record::read(&record).unwrap();
    assert_eq!(read.regimes.len(), read.summary.len(), "each contender has one");
    for row in &read.regimes {
        let depth = if row.point.contains("depth=8") { 8 } else { 4 };
        let reached = match row.contender.split('/').next().unwrap() {
            "spc" | "fpa" => 3,
            _ => depth,
        };
        assert_eq!((row.layers, row.zero_layers, row.rounded_layers), (depth, depth - reached, 0), "{row:?}");
        assert_eq!(row.samples, 2);
    }
    let words = |contender: &str| {
        let of = |row: &&pcnbench::record::RegimeRow| row.contender == contender && row.layers == 8;
        read.regimes.iter().find(of).unwrap().label()
    };
    assert_eq!(words("bp/reference"), "in the direction of backpropagation");
    assert_eq!(words("spc/fused"), "5 of 8 layers do not learn");
    assert!(words("epc/reference").contains("direction"), "every layer learns: {}", words("epc/reference"));

    let explained = succeeds(&["explain", &file]);
    let page = text(&std::fs::read_to_string(record.join("index.html")).unwrap());
    let rows = csv(&["report", &arg(&record)]);
    for contender in SILENT {
        let label = words(contender);
        let line = printed.lines().rfind(|line| line.contains(contender)).unwrap();
        let short = label.replace("backpropagation", "BP");
        assert!(line.contains(" % ") && line.ends_with(&short), "beside its accuracy: {line}");
        let of = |row: &&Vec<(String, String)>| {
            let is = |key: &str, value: &str| row.contains(&(key.to_owned(), value.to_owned()));
            is("contender", contender) && is("depth", "8")
        };
        assert!(rows.iter().find(of).unwrap().contains(&("regime".to_owned(), label.clone())), "{contender}");
        let name = contender.split('/').next().unwrap();
        let told = explained.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(told.contains(&label[1..]), "{contender}: {told}");
        assert!(page.replace("&#39;", "'").contains(&label), "{contender} on the page");
    }
    says(&page, &["What the rules ask for", "Friston 2005", "Rumelhart", "Regime"]);
    let caption =
        "sPC T=2 at depth 8: 5 of 8 layers do not learn; FPA T=2 at depth 8: 5 of 8 layers do not learn";
    for figure in ["time-vs-depth", "time-vs-gemms", "cost-ratio"] {
        let svg = std::fs::read_to_string(record.join(format!("figures/{figure}.update.svg"))).unwrap();
        says(&text(&svg), &[caption]);
    }
}

const SILENT: [&str; 5] = ["bp/reference", "spc/reference", "fpa/reference", "epc/reference", "spc/fused"];

const PART: &str = r#"schema = 1
name = "part"
about = "Fewer steps than layers."
seed = 5

[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference"]
[benchmark.axes]
depth = [2, 4]
width = [4]
batch = [2]
steps = [1]
[benchmark.timing]
warmup_seconds = 0.0
max_seconds = 0.2
min_rounds = 8
max_rounds = 8
"#;
