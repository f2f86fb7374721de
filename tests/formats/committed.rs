//! What is committed under `results/`: records that follow from their samples, and baselines that fit the gate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pcnbench::compare::baseline::{Baseline, FILE};
use pcnbench::record::{read, summarise};
use pcnbench::suite::{Overrides, Suite};

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn machines() -> Vec<PathBuf> {
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results"))
}

/// Every number of every committed record follows from the samples beside it.
#[test]
fn committed_records_recompute() {
    let mut suites = BTreeSet::new();
    for dir in machines().iter().flat_map(|machine| folders(machine)) {
        if dir.join("run.json").exists() {
            let record = read(&dir).unwrap_or_else(|error| panic!("{error}"));
            summarise::check(&record).unwrap_or_else(|error| panic!("{error}"));
            // all points that its own definition has, or it would be a part that looks whole
            let suite = Suite::parse(&record.run.definition, "definition", &Overrides::default()).unwrap();
            let points =
                |b: &pcnbench::suite::Benchmark| b.points.iter().map(|p| p.id.clone()).collect::<Vec<_>>();
            let wanted: BTreeSet<String> = suite.benchmarks.iter().flat_map(points).collect();
            let found: BTreeSet<String> = record.summary.iter().map(|row| row.point.clone()).collect();
            assert_eq!(found, wanted, "{}", dir.display());
            suites.insert(record.run.suite);
        }
    }
    for name in ["quick", "depth", "rules", "fused"] {
        assert!(suites.contains(name), "there is no record of suite `{name}`");
    }
}

/// A baseline of another suite than the one that is measured would leave the gate without anything to hold it against.
#[test]
fn committed_baselines_fit_the_gate() {
    let mut count = 0;
    for machine in machines().into_iter().filter(|machine| machine.join(FILE).is_file()) {
        let baseline = Baseline::read(&machine.join(FILE)).unwrap();
        let card = !baseline.machine_class.starts_with("cpu-");
        let device = card.then(|| "cuda".to_owned());
        let suite = Suite::load("gate", &Overrides { device, ..Overrides::default() }).unwrap();
        let wanted: BTreeSet<(String, String)> = suite
            .benchmarks
            .iter()
            .flat_map(|b| {
                b.points.iter().flat_map(|p| b.contenders.iter().map(|c| (p.id.clone(), c.id.to_string())))
            })
            .collect();
        let found: BTreeSet<(String, String)> =
            baseline.entry.iter().map(|e| (e.point.clone(), e.contender.clone())).collect();
        let odd: Vec<_> = found.symmetric_difference(&wanted).collect();
        assert!(
            odd.is_empty(),
            "make {} again with `pcnbench gate --update-baseline`: {odd:?}",
            machine.display()
        );
        count += 1;
    }
    assert!(count > 0, "there is no baseline at all");
}

/// Whether runs of one program agree on a machine is stated in a file that `scripts/agreement.sh` makes. It must be of enough
/// runs, and the intervals must be what they promise: 95 % within the interval of the share that hold 1, and next to nothing called
/// regressed.
#[test]
fn committed_agreements_keep_their_promise() {
    let mut count = 0;
    for file in machines().into_iter().map(|m| m.join("agreement.txt")).filter(|f| f.is_file()) {
        let text = fs::read_to_string(&file).unwrap();
        // all numbers of the line that begins so
        let numbers = |start: &str| -> Vec<f64> {
            let line =
                text.lines().find(|line| line.contains(start)).unwrap_or_else(|| panic!("{start}: {text}"));
            let words =
                line.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|word| !word.is_empty());
            words.filter_map(|word| word.parse().ok()).collect()
        };
        let [runs, pairs, rows] = numbers(" pairs, ")[..] else { panic!("{text}") };
        assert!(runs >= 40.0 && pairs >= 400.0 && rows >= 3000.0, "{}", file.display());
        let [_, holding, of, share, low, high, ..] = numbers("hold 1: ")[..] else { panic!("{text}") };
        assert!(of == rows && (100.0 * holding / of - share).abs() < 0.006, "{}", file.display());
        assert!(low <= 95.0 && 95.0 <= high, "{}: [{low} %, {high} %]", file.display());
        let [regressed, of, most, ..] = numbers("called regressed: ")[..] else { panic!("{text}") };
        assert!(of == rows && 100.0 * regressed / of <= most && most <= 0.3, "{}: {most} %", file.display());
        count += 1;
    }
    assert!(count > 0, "nothing says how far runs agree");
}
