//! A run that goes on from any of its checkpoints ends with the bits of one without an interruption.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::*;

/// Copies the folder as it is at one row of the curve: what a process that dies there leaves.
struct Copying<'a> {
    dir: &'a Path,
    at: u64,
    copy: PathBuf,
    warnings: Vec<String>,
}

impl Progress for Copying<'_> {
    fn begins(&mut self, _: &str, _: u64, _: u64) {}
    fn at(&mut self, _: u64, _: f64) {}
    fn row(&mut self, row: &TrainingRow) {
        if row.update == self.at {
            fs::create_dir(&self.copy).unwrap();
            for entry in fs::read_dir(self.dir).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), self.copy.join(entry.file_name())).unwrap();
            }
        }
    }
    fn warning(&mut self, sentence: &str) {
        self.warnings.push(sentence.to_owned());
    }
}

const UPDATES: u64 = 9;

fn definition(contender: &str, more: &str) -> String {
    let training = format!("updates = {UPDATES}\nevaluations = 3\nlearning_rate = 1e-3\n{more}");
    let architecture = if more.contains("padding") { "architecture = { kind = \"cnn\" }" } else { "" };
    let (data, width) = if more.contains("padding") { ("colour-blobs", 4) } else { ("digits", 12) };
    format!(
        "schema = 1\nname = \"on\"\nabout = \"x\"\nseed = 5\n[[benchmark]]\nname = \"b\"\nmodel = \"training\"\nabout = \"x\"\n\
         data = \"{data}\"\n{architecture}\ncontenders = [\"{contender}\"]\n[benchmark.axes]\ndepth = [4]\nwidth = [{width}]\n\
         batch = [16]\nsteps = [3]\nstep_size = [0.2]\nactivation = [\"tanh\"]\n[benchmark.network]\nbias = true\n\
         loss = \"cross_entropy\"\n[benchmark.training]\n{training}\n"
    )
}

/// Tensors of the last checkpoint as bytes.
fn last(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(dir.join(format!("update-{UPDATES:010}.safetensors"))).unwrap();
    let mut tensors: Vec<_> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.data().to_vec()))
        .collect();
    tensors.sort();
    tensors
}

fn curve(rows: &[TrainingRow]) -> Vec<TrainingRow> {
    rows.iter().map(|row| TrainingRow { seconds: 0.0, ..row.clone() }).collect()
}

#[test]
fn a_run_goes_on_to_the_same_bits() {
    let cases = [
        ("bp/reference", "optimiser = \"adam\"\nschedule = \"warmup-cosine\"\nweight_decay = 0.1"),
        ("bp/autograd", "optimiser = \"momentum\""),
        ("spc/reference", "optimiser = \"mq\"\nvalidation = 100"),
        ("ipc/reference", "schedule = \"warmup-cosine\""),
        ("ipc/fused", "schedule = \"warmup-cosine\""),
        ("ar-feedback/reference", "optimiser = \"adam\""),
        ("epc-auto/reference", "optimiser = \"adam\""),
        ("spc-chebyshev/reference", "optimiser = \"adam\""),
        ("spc-auto/fused", "optimiser = \"momentum\"\nweight_decay = 0.1"),
        ("epc/fused", "optimiser = \"adam\"\nweight_decay = 0.1\nschedule = \"warmup-cosine\""),
        ("spc/fused", "optimiser = \"mq\""),
        ("spc/fused", "optimiser = \"adam\"\nclip_norm = 0.5\nweight_decay = 0.1"),
        ("bp/fused", ""),
        ("spc/fused", "optimiser = \"adam\"\npadding = 1\nflip = true\nweight_decay = 0.1"),
    ];
    for (contender, more) in cases {
        let suite = Suite::parse(&definition(contender, more), "on.toml", &Overrides::default()).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let (whole, copy) = (temporary.path().join("whole"), temporary.path().join("copy"));
        let job = |dir: &Path, resume| TrainJob {
            suite: &suite,
            data: None,
            dir: dir.to_path_buf(),
            argv: Vec::new(),
            every: Some(2),
            resume,
        };
        let mut copying = Copying { dir: &whole, at: 6, copy: copy.clone(), warnings: Vec::new() };
        let rows = train(&job(&whole, false), &mut copying).unwrap();
        assert_eq!(rows.iter().map(|row| row.update).collect::<Vec<_>>(), [0, 3, 6, 9], "{contender} {more}");
        let end = last(&whole);
        // directions of all four layers at both ends, of backpropagation in its own direction, and none on the way
        for row in &rows {
            let (cosines, ratios) = (row.layer_cosines.values(), row.layer_norm_ratios.values());
            let count = if [0, UPDATES].contains(&row.update) { row.layers.unwrap() } else { 0 };
            assert_eq!((cosines.len(), ratios.len()), (count, count), "{contender} {more}, {}", row.update);
            if contender.starts_with("bp/") {
                assert!(
                    cosines.iter().chain(ratios).all(|v| *v == 1.0),
                    "{contender}: {cosines:?} {ratios:?}"
                );
                assert!((row.norm_ratio.unwrap() - 1.0).abs() < 1e-12);
            }
        }

        // at the last row of the curve; between two rows, from the checkpoint of update 4 and a row too many; from the one before a
        // damaged one
        for (round, damage) in [None, Some("gone"), Some("cut")].into_iter().enumerate() {
            let dir = temporary.path().join(format!("on-{round}"));
            fs::create_dir(&dir).unwrap();
            for entry in fs::read_dir(&copy).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
            }
            let newest = dir.join(format!("update-{:010}.safetensors", 6));
            match damage {
                None => {}
                Some("gone") => fs::remove_file(&newest).unwrap(),
                _ => {
                    let mut bytes = fs::read(&newest).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    fs::write(&newest, bytes).unwrap();
                }
            }
            let mut told = Copying { dir: &dir, at: u64::MAX, copy: PathBuf::new(), warnings: Vec::new() };
            let again = train(&job(&dir, true), &mut told).unwrap();
            assert!(last(&dir) == end, "{contender} {more}: other bits, round {round}");
            assert_eq!(curve(&again), curve(&rows), "{contender} {more}, round {round}");
            let warned = told.warnings.iter().filter(|w| w.contains("from update 4 instead")).count();
            assert_eq!(warned, usize::from(damage == Some("cut")), "{:?}", told.warnings);
        }
    }
}

/// Every byte of a checkpoint is held by its hash or by its format: a changed one is refused, and nothing panics.
#[test]
fn no_changed_byte_is_read() {
    let suite =
        Suite::parse(&definition("spc/fused", "optimiser = \"adam\""), "on.toml", &Overrides::default())
            .unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("run");
    let job = TrainJob {
        suite: &suite,
        data: None,
        dir: dir.clone(),
        argv: Vec::new(),
        every: None,
        resume: false,
    };
    let mut told = Copying { dir: &dir, at: u64::MAX, copy: PathBuf::new(), warnings: Vec::new() };
    train(&job, &mut told).unwrap();
    let path = dir.join(format!("update-{UPDATES:010}.safetensors"));
    let whole = fs::read(&path).unwrap();
    let changed = temporary.path().join("changed.safetensors");
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize + 8;
    let mut places: Vec<usize> = (0..header).step_by(7).collect();
    places.extend((header..whole.len()).step_by(whole.len() / 60));
    places.push(whole.len() - 1);
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&changed, &bytes).unwrap();
        // a name of a tensor may become another one, which the hash tells; padding of the header says nothing
        if let Ok(read) = Checkpoint::read(&changed) {
            assert!(whole[at] == b' ' && at < header, "byte {at} of {}", whole.len());
            assert_eq!(read.meta, Checkpoint::read(&path).unwrap().meta);
        }
    }
    for length in [0, 7, 8, 100, header, whole.len() - 1] {
        fs::write(&changed, &whole[..length]).unwrap();
        let refused = Checkpoint::read(&changed).unwrap_err().to_string();
        assert!(refused.contains("changed.safetensors") && refused.contains("damaged"), "{refused}");
    }
}

/// Parameters that are no longer finite end a run in the same way whatever notices them first: a sum, or a search for a stable step.
#[test]
fn divergence_is_told_of_every_rule() {
    for contender in ["spc/reference", "epc-auto/fused", "spc-chebyshev/reference"] {
        let text = definition(contender, "").replace("1e-3", "1e12").replace("tanh", "relu");
        let text = text.replace("cross_entropy", "half_squared_error");
        let suite = Suite::parse(&text, "on.toml", &Overrides::default()).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("run");
        let job = TrainJob {
            suite: &suite,
            data: None,
            dir: dir.clone(),
            argv: Vec::new(),
            every: None,
            resume: false,
        };
        let mut told = Copying { dir: &dir, at: u64::MAX, copy: PathBuf::new(), warnings: Vec::new() };
        let e = train(&job, &mut told).unwrap_err();
        assert!(matches!(e, Error::Diverged { .. }), "{contender}: {e}");
        let curve = record::read_curve(&dir.join("training.csv")).unwrap();
        let last = curve.last().unwrap();
        assert!(last.update > 0 && last.test_loss.is_none(), "{contender}");
    }
}

/// A search tries every contender alike, chooses by the validation rows, and is in the record; a run under its choice is one at that
/// learning rate and step size.
#[test]
fn a_search_is_recorded_and_kept_to() {
    let text = definition("bp/fused", "validation = 0.2\noptimiser = \"adam\"")
        .replace("[\"bp/fused\"]", "[\"bp/fused\", \"spc/fused\"]")
        + "[benchmark.training.search]\ntrials = 4\nupdates = 30\nlearning_rate = [1e-5, 1e-1]\nstep_size = [0.01, 0.5]\n";
    let suite = Suite::parse(&text, "search.toml", &Overrides::default()).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let job = Job {
        suite: &suite,
        data: None,
        results: temporary.path(),
        target: Target::New(Some(temporary.path().join("record"))),
        argv: Vec::new(),
        shard: None,
        allow_debug: true,
        ceilings: false,
        wait_quiet: None,
    };
    struct Silent;
    impl Observer for Silent {
        fn waiting(&mut self, _: &str) {}
        fn planned(&mut self, _: usize, _: usize) {}
        fn at(&mut self, _: &str, _: &str) {}
        fn finished(&mut self, _: &str) {}
    }
    let record = record::read(&crate::run::run(&job, &mut Silent).unwrap()).unwrap();
    let numbers = |contender: &str, quantity: &str| -> Vec<f64> {
        let own = |q: &&QuantityRow| q.contender == contender && q.quantity == quantity;
        record.quantities.iter().filter(own).map(|q| q.value).collect()
    };
    let rates = numbers("bp/fused", "trial_learning_rate");
    assert_eq!(rates.len(), 4);
    assert_eq!(rates, numbers("spc/fused", "trial_learning_rate"));
    assert_eq!(
        (numbers("bp/fused", "trial_step_size").len(), numbers("spc/fused", "trial_step_size").len()),
        (0, 4)
    );
    for contender in ["bp/fused", "spc/fused"] {
        let scores = numbers(contender, "trial_score");
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let best = scores.iter().position(|&score| score == best).unwrap();
        let end = record.training.iter().rfind(|row| row.contender == contender).unwrap();
        assert_eq!(end.learning_rate, numbers(contender, "trial_learning_rate")[best], "{contender}");
        let step = numbers(contender, "trial_step_size").get(best).copied();
        assert_eq!(end.step_size, step, "{contender}");
        // rates five decades apart do not all learn alike
        assert!(scores.iter().any(|&score| score < scores[best]), "{scores:?}");
    }
}

/// What optimisers keep, in units of what they move: plain descent nothing, momentum one copy, Adam two, MQ a number for each layer.
#[test]
fn optimisers_keep_what_their_papers_say() {
    for engine in ["reference", "fused"] {
        for (optimiser, copies) in [("sgd", 0.0), ("momentum", 1.0), ("adam", 2.0), ("mq", 0.0)] {
            let text = definition(&format!("spc/{engine}"), &format!("optimiser = \"{optimiser}\""));
            let suite = Suite::parse(&text, "memory.toml", &Overrides::default()).unwrap();
            let mut resources = Resources::new(&suite, None, &device_health::synchronise).unwrap();
            let prepared = point::prepare(&suite, &mut resources).unwrap();
            let (p, spec) = only(&prepared, &suite.name).unwrap();
            let training = training(p).unwrap();
            let data = resources.data(p.benchmark, p.point).unwrap();
            let material = Material::new(data, &training, p.point, suite.seed).unwrap();
            let device = candle_core::Device::Cpu;
            let mut trainer = Trainer::new(5, (p, spec), training, &material, device).unwrap();
            trainer.advance(2, &mut |_, _| {}).unwrap();
            let (kept, moved) = trainer.contender().bytes().unwrap();
            // 64 pixels, three hidden layers of 12, ten classes, with biases
            assert_eq!(moved, 4 * (64 * 12 + 12 + 2 * (12 * 12 + 12) + 12 * 10 + 10));
            let of_layers = if optimiser == "mq" { kept } else { 0 };
            assert!(of_layers <= 4 * 2 * 8, "{of_layers}");
            assert_eq!((kept - of_layers) as f64, copies * moved as f64, "{optimiser} on {engine}");
            assert_eq!(kept > 0, optimiser != "sgd");
        }
    }
}
