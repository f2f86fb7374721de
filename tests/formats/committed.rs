//! What is committed under `results/`: records that follow from their samples, and baselines that fit the gate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pcnbench::compare::baseline::{Baseline, FILE};
use pcnbench::record::{read, summarise, SummaryRow};
use pcnbench::suite::{axis, Overrides, Suite};

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
    for name in ["depth", "rules", "fused"] {
        assert!(suites.contains(name), "there is no record of suite `{name}`");
    }
}

/// A baseline of another suite than the one that is measured would leave the gate without anything to hold it against.
#[test]
fn committed_baselines_fit_the_gate() {
    let mut count = 0;
    for machine in machines().into_iter().filter(|machine| machine.join(FILE).is_file()) {
        let baseline = Baseline::read(&machine.join(FILE)).unwrap();
        let gpu = !baseline.machine_class.starts_with("cpu-");
        let device = gpu.then(|| "cuda".to_owned());
        let suite = Suite::load("gate", &Overrides::default().with(&axis::DEVICE, device)).unwrap();
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

/// With denormals flushed to zero, sPC and FPA cost on networks whose errors fall below the least normal number what
/// they cost on μPC networks, within 15 %: of BP in the same rounds.
#[test]
fn errors_that_vanish_cost_no_more_than_others() {
    let mut count = 0;
    let records: Vec<PathBuf> = machines().iter().flat_map(|machine| folders(machine)).collect();
    for dir in records.iter().filter(|dir| dir.to_string_lossy().ends_with("-denormals")) {
        let record = read(dir).unwrap();
        let ratio = |depth: usize, contender: &str, parameterisation: &str| {
            let fits = |row: &&SummaryRow| {
                (row.depth, row.contender.as_str(), row.parameterisation.as_str())
                    == (depth, contender, parameterisation)
            };
            let row = record.summary.iter().find(fits).unwrap();
            let ratio = record.ratios.iter().find(|r| r.point == row.point && r.contender == contender);
            ratio.unwrap().ratio
        };
        for (depth, contender) in
            [64, 128].iter().flat_map(|d| ["spc/fused", "spc/fused:1", "fpa/fused"].map(|c| (*d, c)))
        {
            let mupc = ratio(depth, contender, "mupc-residual");
            for standard in ["sp-uniform", "sp-orthogonal"] {
                let over = ratio(depth, contender, standard) / mupc;
                assert!((0.85..=1.15).contains(&over), "{contender}, {standard}, L = {depth}: {over}");
                count += 1;
            }
        }
    }
    assert!(count > 0, "there is no record of suite `denormals`");
}

/// All numbers of the line of a text that holds a phrase.
fn numbers(text: &str, phrase: &str) -> Vec<f64> {
    let line = text.lines().find(|line| line.contains(phrase)).unwrap_or_else(|| panic!("{phrase}: {text}"));
    let words = line.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter(|word| !word.is_empty());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Files of this name that lie beside the records of machines, at least one.
fn statements(name: &str) -> Vec<(PathBuf, String)> {
    let files = machines().into_iter().map(|machine| machine.join(name)).filter(|file| file.is_file());
    let found: Vec<_> = files.map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect();
    assert!(!found.is_empty(), "no machine has {name}");
    found
}

/// Whether runs of one program agree on a machine is stated in a file that `scripts/agreement.sh` makes. It must be of
/// enough runs, and the intervals must be what they promise: 95 % within the interval of the share that hold 1, and
/// next to nothing called regressed.
#[test]
fn committed_agreements_keep_their_promise() {
    for (file, text) in statements("agreement.txt") {
        let [runs, pairs, rows] = numbers(&text, " pairs, ")[..] else { panic!("{text}") };
        assert!(runs >= 40.0 && pairs >= 400.0 && rows >= 3000.0, "{}", file.display());
        let [_, holding, of, share, low, high, ..] = numbers(&text, "hold 1: ")[..] else { panic!("{text}") };
        assert!(of == rows && (100.0 * holding / of - share).abs() < 0.006, "{}", file.display());
        assert!(low <= 95.0 && 95.0 <= high, "{}: [{low} %, {high} %]", file.display());
        let [regressed, of, most, ..] = numbers(&text, "called regressed: ")[..] else { panic!("{text}") };
        assert!(of == rows && 100.0 * regressed / of <= most && most <= 0.3, "{}: {most} %", file.display());
    }
}

/// What busy loops make of fused updates is stated in a file that `scripts/busy-loops.sh` makes: at most 5 times the
/// quiet time, ratios to BP within a factor of 1.5 either way, and contended samples in every row.
#[test]
fn fused_updates_beside_busy_loops_lose_little_more_than_their_share() {
    for (file, text) in statements("busy.txt") {
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<&str>| row.len() >= 4)
            .collect();
        let fused = |row: &&Vec<&str>| row[1].ends_with("/fused") && row[0].parse::<usize>().is_ok();
        let fused: Vec<&Vec<&str>> = rows.iter().filter(fused).collect();
        assert_eq!(fused.len(), 4 * 9, "{}: every rule at four depths", file.display());
        for row in fused {
            assert!(row[2].parse::<f64>().unwrap() <= 5.0, "{}: {row:?}", file.display());
            // BP has no ratio to itself
            let ratio = (row.len() == 5).then(|| row[3].parse::<f64>().unwrap());
            assert!(
                ratio.is_none_or(|ratio| (1.0 / 1.5..=1.5).contains(&ratio)),
                "{}: {row:?}",
                file.display()
            );
            assert_ne!(row.last(), Some(&"0%"), "{}: {row:?}", file.display());
        }
    }
}

/// What the fused engine reaches of a vendor library's product is stated in a file that `scripts/engine-share.sh`
/// makes: in the fastest updates at least 70 % by BP and 78 % by sPC and ePC. The aim for these two is 80 %, of which
/// ePC on one thread falls short.
#[test]
fn the_fused_engine_is_nearly_as_fast_as_a_vendors_products() {
    for (file, text) in statements("engine-share.txt") {
        let mut count = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')).skip(1) {
            let [_, rule, _, _, fastest, _] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let share: f64 = fastest.trim_end_matches('%').parse().unwrap();
            assert!(share >= if rule == "bp" { 70.0 } else { 78.0 }, "{}: {line}", file.display());
            count += 1;
        }
        assert_eq!(count, 2 * 3 * 3, "{}: two numbers of threads, three rules, three depths", file.display());
    }
}

/// What VGG-5 costs beside PyTorch is stated in a file that `scripts/vgg-beside-torch.sh` makes: BP no slower than PyTorch, BP and
/// a step of sPC within 1.5 times their products at the reference rate, by the median of the turns.
#[test]
fn convolutions_are_as_fast_as_pytorch_and_near_their_products() {
    for (file, text) in statements("vgg-beside-torch.txt") {
        let median = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let numbers = line.unwrap_or_else(|| panic!("{}: no line `{name}`", file.display()));
            numbers.split_whitespace().next().unwrap().parse().unwrap()
        };
        assert!(median("PyTorch / BP ") >= 1.0, "{}", file.display());
        for name in ["BP / its products ", "sPC step / its products "] {
            assert!((0.8..=1.5).contains(&median(name)), "{}: {name}", file.display());
        }
    }
}

/// One epoch of MNIST by sPC beside programs in PyTorch and JAX is stated in a file that `scripts/epoch-beside.sh` makes: in at least
/// ten rounds every other program takes longer, by the whole interval of its ratio.
#[test]
fn an_epoch_by_spc_takes_less_time_than_in_pytorch_and_jax() {
    for (file, text) in statements("epoch-beside.txt") {
        let block = text.split("\n\n").find(|block| block.starts_with("spc, ")).expect("no block `spc`");
        let mut lines = block.lines();
        let title = lines.next().unwrap_or_default();
        let [updates, rounds] = numbers(title, "spc, ")[..] else { panic!("{title}") };
        assert!(updates == 937.0 && rounds >= 10.0, "{}: {title}", file.display());
        let others: Vec<&str> = lines.skip(1).filter(|line| !line.starts_with("pcnbench ")).collect();
        for library in ["torch-", "jax-"] {
            assert!(others.iter().any(|line| line.starts_with(library)), "{}: {library}", file.display());
        }
        for line in others {
            // quartiles and range of the seconds come first
            let interval = line.split('[').nth(3).unwrap_or_else(|| panic!("{line}"));
            let low: f64 = interval.split(',').next().unwrap().parse().unwrap();
            assert!(low > 1.0, "{}: {line}", file.display());
        }
    }
}

/// Records are compared and continued by hashes of definitions: this version must write the axes of one as they were
/// written.
#[test]
fn definitions_of_committed_records_keep_their_axes() {
    let axes = |definition: &str| -> Vec<toml::Value> {
        let table: toml::Table = toml::from_str(definition).unwrap();
        table["benchmark"].as_array().unwrap().iter().map(|b| b["axes"].clone()).collect()
    };
    let mut count = 0;
    for dir in
        machines().iter().flat_map(|machine| folders(machine)).filter(|dir| dir.join("run.json").exists())
    {
        let then = read(&dir).unwrap().run.definition;
        let now = Suite::parse(&then, "definition", &Overrides::default()).unwrap().definition;
        assert_eq!(axes(&then), axes(&now), "{}", dir.display());
        count += axes(&now).len();
    }
    assert!(count > 6, "{count}");
}
