//! A suite measured in parts and joined: the same record as in one piece, or one sentence why not.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use pcnbench::record::{read, summarise};
use serde_json::Value;

use crate::session::{arg, names, refused, run, says, seal, succeeds, suite, unfinish, TINY};

/// Every model; as many updates and rounds whatever the clock says, so that only times can differ.
const WHOLE: &str = r#"schema = 1
name = "parts"
about = "Small, of every model."
seed = 5
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference", { id = "epc/reference", step_size = 50, steps = 60 }]
[benchmark.axes]
depth = [2, 3]
width = [4]
batch = [2, 3]
[benchmark.training]
accuracy_updates = 2
[benchmark.timing]
target_half_width = 1e-6
warmup_seconds = 0.0
# with either, time decides how many updates come before a checksum
turn_seconds = 0.0
max_seconds = 600
min_rounds = 4
max_rounds = 4
[[benchmark]]
name = "trace"
model = "signal-decay"
about = "Energies."
contenders = ["spc/reference"]
[benchmark.axes]
depth = [2, 3]
width = [4]
batch = [2]
[[benchmark]]
name = "angle"
model = "alignment"
about = "Directions."
contenders = ["spc/reference", "epc/reference"]
[benchmark.axes]
depth = [3]
width = [4]
batch = [2]
"#;

/// What the clock, the scheduler and the allocator decide.
const MEASURED: [&str; 23] = [
    "wall_ns",
    "device_ns",
    "delay_ns",
    "sm_clock_mhz",
    "executions",
    "min_ns",
    "q1_ns",
    "median_ns",
    "q3_ns",
    "mad_ns",
    "median_low_ns",
    "median_high_ns",
    "contended",
    "host_bound",
    "peak_bytes",
    "energy_uj",
    "device_peak_bytes",
    "ratio",
    "low",
    "high",
    "freedom",
    // only in headers
    "ceilings",
    "started",
];

/// The cells of a CSV file that are not measured, the header among them.
fn unmeasured(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let kept: Vec<usize> = (0..rows[0].len()).filter(|i| !MEASURED.contains(&&rows[0][*i])).collect();
    rows.iter().map(|row| kept.iter().map(|i| row[*i].to_owned()).collect()).collect()
}

fn header(record: &Path) -> serde_json::Map<String, Value> {
    serde_json::from_slice(&fs::read(record.join("run.json")).unwrap()).unwrap()
}

#[test]
fn merged_is_unsharded_but_for_times() {
    let (dir, file) = suite(WHOLE);
    let common = ["run", &file, "--allow-debug-build", "--no-plots"];
    let out = |name: &str| arg(dir.path().join(name));
    thread::scope(|scope| {
        for (name, part) in [("whole", None), ("a", Some("1/3")), ("b", Some("2/3")), ("c", Some("3/3"))] {
            let place = out(name);
            scope.spawn(move || {
                let shard: Vec<&str> = part.into_iter().flat_map(|part| ["--shard", part]).collect();
                succeeds(&[&common[..], &["--out", &place], &shard].concat());
            });
        }
    });
    let shard = header(Path::new(&out("b")));
    assert_eq!(shard["shard"], "2/3");
    let points = |name: &str| {
        let record = read(Path::new(&out(name))).unwrap();
        record.summary.iter().map(|row| row.point.clone()).collect::<HashSet<_>>().len()
    };
    assert_eq!(["whole", "a", "b", "c"].map(points), [7, 3, 2, 2]);

    let printed = succeeds(&["merge", &out("c"), &out("a"), &out("b"), "--out", &out("merged")]);
    says(&printed, &["parts on ", "record: ", "page: ", "epc/reference at "]);
    let (whole, merged) = (PathBuf::from(out("whole")), PathBuf::from(out("merged")));
    for file in ["machine.json", "signals.csv", "alignments.csv", "regimes.csv"] {
        assert_eq!(fs::read(merged.join(file)).unwrap(), fs::read(whole.join(file)).unwrap(), "{file}");
    }
    for file in ["samples.csv", "summary.csv", "ratios.csv"] {
        let cells = unmeasured(&merged.join(file));
        assert!(cells.len() > 8, "{file} has rows of 4 points with 2 or more contenders");
        assert_eq!(cells, unmeasured(&whole.join(file)), "{file}");
    }
    let (mut a, mut b) = (header(&merged), header(&whole));
    assert_eq!(a.remove("shards").unwrap().as_array().unwrap().len(), 3);
    let kinds = |header: &serde_json::Map<String, Value>| {
        let ceilings = header["ceilings"].as_array().unwrap().iter();
        ceilings
            .map(|c| format!("{}{}{}{}", c["quantity"], c["dtype"], c["device"], c["threads"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&a), kinds(&b));
    for measured in ["argv", "started", "finished", "ceilings", "warnings"] {
        assert!(a.remove(measured).is_some() && b.remove(measured).is_some());
    }
    assert_eq!(a, b);
    let record = read(&merged).unwrap();
    summarise::check(&record).unwrap();
    assert!(record.run.finished.is_some());
    // as any record: reported, drawn again, not resumed, not merged
    succeeds(&["report", &out("merged"), "--format", "csv"]);
    let again = out("again");
    succeeds(&["plot", &out("merged"), "--out", &again]);
    assert_eq!(
        fs::read(merged.join("index.html")).unwrap(),
        fs::read(Path::new(&again).join("index.html")).unwrap()
    );
    says(&refused(&["merge", &out("merged")]), &["merged", "is not a shard but a whole record"]);
}

/// Three untimed points in as many shards as asked for.
fn shards(dir: &Path, file: &str, of: usize) -> Vec<String> {
    (1..=of)
        .map(|i| {
            let out = arg(dir.join(format!("{i}of{of}")));
            let shard = format!("{i}/{of}");
            succeeds(&["run", file, "--allow-debug-build", "--no-plots", "--shard", &shard, "--out", &out]);
            out
        })
        .collect()
}

fn three() -> String {
    TINY.replace("depth = [2]", "depth = [2, 3, 4]")
}

#[test]
fn shards_that_cannot_be_dealt_are_refused() {
    let (dir, file) = suite(&three());
    let out = arg(dir.path().join("out"));
    for shard in ["", "0/2", "3/2", "1", "a/b", "1/0"] {
        let sentence = refused(&["run", &file, "--allow-debug-build", "--shard", shard, "--out", &out]);
        says(&sentence, &[&format!("shard `{shard}` is not of the form i/n"), "--shard 1/4"]);
    }
    let many = refused(&["run", &file, "--allow-debug-build", "--shard", "1/4", "--out", &out]);
    says(&many, &["shard 1/4 cannot be dealt", "suite `tiny` has 3 points", "at most 3 shards"]);
    assert_eq!(names(dir.path()), ["suite.toml"]);
}

#[test]
fn merges_that_make_no_whole_are_refused_and_write_nothing() {
    let (dir, file) = suite(&three());
    let three = shards(dir.path(), &file, 3);
    let two = shards(dir.path(), &file, 2);
    let [a, b, c] = &three[..] else { panic!() };
    let seeded = arg(dir.path().join("seeded"));
    let run_b = ["run", &file, "--allow-debug-build", "--no-plots", "--shard", "2/3"];
    succeeds(&[&run_b[..], &["--out", &seeded, "--seed", "8"]].concat());
    let whole = arg(dir.path().join("whole"));
    succeeds(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &whole]);
    let before = names(dir.path());

    let out = arg(dir.path().join("merged"));
    let merge = |shards: &[&str]| refused(&[&["merge", "--out", &out], shards].concat());
    says(&merge(&[a, c]), &["1 of 3 shards are missing: 2/3"]);
    says(&merge(&[a, b, b]), &["is shard 2/3, and so is"]);
    says(&merge(&[a, &two[1]]), &["is shard 2/2, but ", "is shard 1/3"]);
    says(&merge(&[a, b, &whole]), &["whole: is not a shard but a whole record"]);
    says(&merge(&[a, &seeded, c]), &["seeded: cannot be merged with ", "its definition (sha256) is"]);
    says(&merge(&[a, "/no/such", c]), &["/no/such: there is no such folder"]);
    says(&merge(&[a, &arg(dir.path()), c]), &["is not a record"]);
    assert_eq!(run(&["merge"]).code, Some(1));
    assert_eq!(names(dir.path()), before);

    let taken = arg(dir.path().join("taken"));
    fs::write(&taken, "mine").unwrap();
    says(&refused(&["merge", a, b, c, "--out", &taken]), &["taken: exists and is not a folder"]);
    says(&refused(&["merge", a, b, c, "--out", a]), &["already holds a record"]);
    #[cfg(target_os = "linux")]
    says(&refused(&["merge", a, b, c, "--out", "/proc/merged"]), &["cannot create the folder", "/proc"]);
    fs::remove_file(&taken).unwrap();

    // one number of one shard, changed by hand
    let edit = |file: &str, from: &str, to: &str| {
        let path = Path::new(b).join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        seal(Path::new(b));
        let sentence = merge(&[a, b, c]);
        fs::write(&path, text).unwrap();
        seal(Path::new(b));
        sentence
    };
    says(
        &edit("machine.json", "\"class\": \"", "\"class\": \"other-"),
        &["2of3: cannot be merged", "machine class is `other-"],
    );
    says(&edit("run.json", "\"threads\": 1", "\"threads\": 2"), &["number of worker threads is `2`"]);
    says(&edit("run.json", "\"version\": \"", "\"version\": \"9"), &["its version is `9"]);
    says(&edit("run.json", "sha256 ", "sha256 0"), &["its data is `digits"]);
    says(
        &edit("run.json", "\"finished\": \"", "\"finished\": null, \"x\": \""),
        &["run.json: unknown field `x`"],
    );
    says(
        &edit("run.json", "\"shard\": \"2/3\"", "\"shard\": \"4/3\""),
        &["run.json: shard `4/3` is not of the form"],
    );
    says(&edit("summary.csv", "depth=3", "depth=5"), &["2of3", "does not list point", "depth=3"]);
    says(&edit("summary.csv", ",0,", ",1,"), &["2of3", "summary.csv"]);
    let first = Path::new(a).join("run.json");
    let text = fs::read_to_string(&first).unwrap();
    fs::write(&first, text.replacen("seed = 7", "seed = 9", 1)).unwrap();
    seal(Path::new(a));
    says(&merge(&[a, b, c]), &["1of3/run.json: key `definition` has the SHA-256 "]);
    fs::write(&first, text).unwrap();
    seal(Path::new(a));
    assert_eq!(names(dir.path()), before);

    let results = arg(dir.path().join("results"));
    succeeds(&["merge", a, b, c, "--results", &results, "--no-plots"]);
    let class = Path::new(&results).join(&names(Path::new(&results))[0]);
    let made = names(&class);
    assert!(made.len() == 1 && made[0].ends_with("-tiny"), "{made:?}");
    assert!(!names(&class.join(&made[0])).iter().any(|name| name.starts_with('.') || name == "index.html"));
}

/// Shards of one suite in one results folder: each resumes its own record, and none another's.
#[test]
fn an_unfinished_shard_is_resumed_as_that_shard() {
    let (dir, file) = suite(&three());
    let results = arg(dir.path().join("results"));
    let common = ["run", &file, "--allow-debug-build", "--no-plots", "--results", &results];
    for shard in ["1/2", "2/2"] {
        succeeds(&[&common[..], &["--shard", shard]].concat());
    }
    let class = Path::new(&results).join(&names(Path::new(&results))[0]);
    let [one, two] = &names(&class)[..] else { panic!("{:?}", names(&class)) };
    assert!(one.ends_with("-tiny-1of2") && two.ends_with("-tiny-2of2"), "{one} {two}");
    let (one, two) = (arg(class.join(one)), arg(class.join(two)));
    // as if the second had been interrupted after no point
    let summary = Path::new(&two).join("summary.csv");
    let text = fs::read_to_string(&summary).unwrap();
    fs::write(&summary, format!("{}\n", text.lines().next().unwrap())).unwrap();
    unfinish(Path::new(&two));

    says(
        &refused(&["merge", &one, &two]),
        &["shard 2/2 is not finished", &format!("`pcnbench run --resume={two}`")],
    );
    let whole = refused(&[&common[..], &["--resume", &two]].concat());
    says(&whole, &["cannot be resumed: it is shard 2/2 and this is the whole suite", "--shard"]);
    let other = refused(&[&common[..], &["--resume", "--shard", "1/2"]].concat());
    says(&other, &["no unfinished record of suite `tiny` (shard 1/2)"]);
    says(&refused(&[&common[..], &["--resume"]].concat()), &["no unfinished record of suite `tiny` for"]);
    succeeds(&[&common[..], &["--resume", "--shard", "2/2"]].concat());
    assert_eq!(fs::read_to_string(&summary).unwrap(), text, "measured anew, to the same untimed numbers");
    succeeds(&["merge", &one, &two, "--results", &results, "--no-plots"]);
}
