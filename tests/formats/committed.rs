//! What is committed under `results/`: records that follow from their samples, and baselines that fit the gate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pcnbench::compare::baseline::{Baseline, FILE};
use pcnbench::compare::{compare, Options, Side};
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

/// Whether two runs of one machine agree is stated in a file, made by `scripts/agreement.sh`; that follows from the two
/// records it names, and is as good as intervals of 95 % promise: with so many of them, at most one time in forty more
/// would fail to hold 1.
#[test]
fn committed_agreement_is_that_of_its_records() {
    let mut count = 0;
    for file in machines().into_iter().map(|m| m.join("agreement.txt")).filter(|f| f.is_file()) {
        let text = fs::read_to_string(&file).unwrap();
        let command = text.lines().find(|line| line.contains("pcnbench cmp ")).unwrap();
        let [new, base] = command.split_whitespace().rev().take(2).collect::<Vec<_>>()[..] else {
            panic!("{}: no two records in `{command}`", file.display());
        };
        let record = |dir: &str| read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).unwrap();
        let (base, new) = (record(base), record(new));
        assert!(base.run.started < new.run.started, "{}: the later one is the new one", file.display());
        assert_eq!((&base.run.rev, base.run.dirty), (&new.run.rev, false), "{}", file.display());
        let sides = [base, new].map(|record| Side::of(&record).unwrap());
        let (holding, all) = compare(&sides[0], &sides[1], &Options::default()).holding_one();
        let stated = format!("{holding} of {all} intervals of change hold 1");
        assert!(text.lines().any(|line| line == stated), "{}: {stated}", file.display());
        assert!(all - holding <= most_misses(all), "{}: {stated}", file.display());
        count += 1;
    }
    assert!(count > 0, "nothing says how far two runs agree");
}

/// The number of misses among `n` independent intervals of 95 % that is exceeded one time in forty at most.
fn most_misses(n: usize) -> usize {
    let (hit, miss) = (0.95_f64, 0.05_f64);
    let mut probability = hit.powi(n as i32);
    let (mut k, mut below) = (0, probability);
    while below < 0.975 {
        probability *= (n - k) as f64 / (k + 1) as f64 * miss / hit;
        k += 1;
        below += probability;
    }
    k
}

/// By hand: 0.95 of one interval, and 0.95² = 0.9025, 0.9025 + 2 · 0.95 · 0.05 = 0.9975 of two.
#[test]
fn misses_that_are_to_be_expected() {
    assert_eq!((most_misses(0), most_misses(1), most_misses(2)), (0, 1, 1));
}
