//! `train` and `eval`: what a training run leaves, what it goes on from, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use pcnbench::data::{Kind, Request, Sizes};
use safetensors::SafeTensors;

use crate::session::{arg, names, pcnbench, refused, run, says, sentence, succeeds, suite};

const SUITE: &str = r#"schema = 1
name = "learns"
about = "Two layers on the digits."
seed = 3
[[benchmark]]
name = "mlp"
model = "training"
about = "Curves."
contenders = ["spc/fused"]
[benchmark.axes]
depth = [2]
width = [16]
batch = [32]
steps = [4]
step_size = [0.3]
activation = ["tanh"]
parameterisation = ["sp-uniform"]
[benchmark.network]
bias = true
loss = "cross_entropy"
[benchmark.training]
optimiser = "adam"
learning_rate = 1e-3
epochs = 4
evaluations = 4
validation = 200
"#;

fn checkpoints(dir: &Path) -> Vec<PathBuf> {
    names(dir).into_iter().filter(|name| name.starts_with("update-")).map(|name| dir.join(name)).collect()
}

fn tensor(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Vec<f64> {
    let view = file.tensor(name).unwrap();
    assert_eq!((view.shape(), view.dtype()), (shape, safetensors::Dtype::F32), "{name}");
    view.data().chunks(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()))).collect()
}

/// The weights mean what the documentation says: their forward pass, written out in plain loops from the file alone, has the loss and
/// the accuracy that `eval` prints.
#[test]
fn a_checkpoint_is_read_without_this_program() {
    let (dir, file) = suite(SUITE);
    let out = dir.path().join("run");
    let said = succeeds(&["train", &file, "--out", &arg(&out)]);
    says(&said, &["spc/fused, 152 updates", "152       4", "run: "]);
    assert_eq!(
        names(&out),
        [
            ".lock",
            "training.csv",
            "training.json",
            "update-0000000114.safetensors",
            "update-0000000152.safetensors"
        ]
    );
    let said = succeeds(&["eval", &arg(&checkpoints(&out)[1])]);

    let bytes = fs::read(&checkpoints(&out)[1]).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let (w1, b1) = (tensor(&read, "w.1", &[16, 64]), tensor(&read, "b.1", &[16]));
    let (w2, b2) = (tensor(&read, "w.2", &[10, 16]), tensor(&read, "b.2", &[10]));
    for kept in ["optimiser.first_moment.w.1", "optimiser.second_moment.b.2"] {
        read.tensor(kept).unwrap();
    }
    let sizes = Sizes { inputs: 64, outputs: 10, train: 1, test: 1 };
    let digits = (Kind::of("digits").unwrap().load)(&Request { folder: None, seed: 0, sizes }).unwrap();
    let (mut loss, mut correct) = (0.0, 0);
    for (x, &label) in digits.test.x().chunks(64).zip(digits.test.labels().unwrap()) {
        let dense = |w: &[f64], b: &[f64], v: &[f64]| -> Vec<f64> {
            w.chunks(v.len())
                .zip(b)
                .map(|(w, b)| w.iter().zip(v).map(|(w, v)| w * v).sum::<f64>() + b)
                .collect()
        };
        let x: Vec<f64> = x.iter().copied().map(f64::from).collect();
        // states are pre-activations: the activation stands before the weights that read them
        let hidden: Vec<f64> = dense(&w1, &b1, &x).into_iter().map(f64::tanh).collect();
        let output = dense(&w2, &b2, &hidden);
        let total: f64 = output.iter().map(|o| o.exp()).sum();
        loss -= output[label as usize] - total.ln();
        let largest = (0..10).max_by(|&a, &b| output[a].total_cmp(&output[b])).unwrap();
        correct += usize::from(largest == label as usize);
    }
    let rows = digits.test.rows() as f64;
    let accuracy = format!("accuracy {:.2} %", 100.0 * correct as f64 / rows);
    says(&said, &["spc/fused after 152 updates", "validation: loss", &accuracy]);
    let printed = said.split("test:").nth(1).unwrap().split_whitespace().nth(1).unwrap();
    let printed: f64 = printed.parse().unwrap();
    assert!((printed - loss / rows).abs() < 1e-5 * printed, "{printed} for {}", loss / rows);
    assert!(correct as f64 > 0.7 * rows, "it has learned: {correct}");
}

/// Killed at many moments, the last of them late: the run that goes on each time ends with the bits of one that was left alone.
#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bits() {
    let (dir, file) =
        suite(&SUITE.replace("epochs = 4", "epochs = 12").replace("evaluations = 4", "evaluations = 6"));
    let (alone, killed) = (dir.path().join("alone"), dir.path().join("killed"));
    succeeds(&["train", &file, "--out", &arg(&alone), "--checkpoint-every", "7"]);
    let kills: usize = std::env::var("PCNBENCH_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let mut survived = 0;
    for blow in 0..kills {
        let mut command = Command::new(pcnbench().get_program());
        command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null());
        command.args(started(&file, &killed));
        let mut child = command.spawn().unwrap();
        sleep(Duration::from_millis(40 + (blow as u64 * 97) % 700));
        survived += usize::from(child.try_wait().unwrap().is_some());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(survived < kills, "no blow came in time");
    succeeds(&started(&file, &killed));
    let end = |dir: &Path| {
        let bytes = fs::read(checkpoints(dir).last().unwrap()).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Vec<_> =
            read.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect();
        tensors.sort();
        tensors
    };
    assert!(end(&alone) == end(&killed), "other bits");
    let curve = |dir: &Path| {
        let text = fs::read_to_string(dir.join("training.csv")).unwrap();
        let without_seconds = |line: &str| {
            let cells: Vec<&str> = line.rsplitn(14, ',').collect();
            cells[..12].join(",")
        };
        text.lines().map(without_seconds).collect::<Vec<_>>()
    };
    assert_eq!(curve(&alone), curve(&killed));
}

/// The arguments that begin a run or, where it was begun, go on with it; how often checkpoints are written is remembered.
fn started(file: &str, dir: &Path) -> Vec<String> {
    let begun = ["train".to_owned(), "--resume".to_owned(), arg(dir)];
    let anew = ["train", file, "--out", &arg(dir), "--checkpoint-every", "7"].map(str::to_owned);
    if dir.join("training.json").exists() {
        begun.to_vec()
    } else {
        anew.to_vec()
    }
}

#[test]
fn what_cannot_go_on_is_refused_in_one_sentence() {
    let (dir, file) = suite(SUITE);
    let out = dir.path().join("run");
    let gone = dir.path().join("gone");
    says(&refused(&["train", "--resume", &arg(&gone)]), &["gone", "training.json", "No such file"]);
    succeeds(&["train", &file, "--out", &arg(&out), "--epochs", "1"]);
    says(&refused(&["train", &file, "--out", &arg(&out)]), &["already holds", "--resume"]);

    // damaged checkpoints: the newest alone costs a warning, both the run
    fs::write(checkpoints(&out).last().unwrap(), b"short").unwrap();
    let went_on = run(&["train", "--resume", &arg(&out)]);
    assert_eq!(went_on.code, Some(0), "{}", went_on.err);
    says(&went_on.err, &["warning: ", "damaged", "instead"]);
    assert_eq!(checkpoints(&out).len(), 2);
    says(&sentence(&run(&["eval", &file]), 1), &["is no checkpoint"]);
    for path in checkpoints(&out) {
        fs::write(path, b"short").unwrap();
    }
    says(&sentence(&run(&["train", "--resume", &arg(&out)]), 1), &["damaged", "use another one"]);
    for path in checkpoints(&out) {
        fs::remove_file(path).unwrap();
    }
    // as of a run that was killed before it came to its first checkpoint
    let again = succeeds(&["train", "--resume", &arg(&out)]);
    says(&again, &["spc/fused, 38 updates", "run: "]);
    says(&refused(&["eval", "/dev/null"]), &["is no regular file"]);
}

#[test]
fn what_is_no_training_run_is_refused() {
    let (dir, file) = suite(&SUITE.replace("depth = [2]", "depth = [2, 3]"));
    let out = arg(dir.path().join("run"));
    let train = |more: &[&str]| refused(&[&["train", &file, "--out", &out], more].concat());
    says(&train(&[]), &["`learns`", "2 contenders at 2 points", "`run` measures suites"]);
    says(&refused(&["train", "quick", "--out", &out]), &["`quick`", "one training run"]);
    says(&train(&["--depth", "2", "--learning-rate", "0"]), &["learning_rate", "out of range"]);
    says(&train(&["--depth", "2", "--epochs", "0"]), &["epochs", "out of range"]);
    says(&train(&["--depth", "2", "--contender", "spc"]), &["rule/engine"]);
    assert!(!Path::new(&out).exists(), "nothing is left of what is refused");

    let with = |old: &str, new: &str| {
        let (_dir, file) = suite(&SUITE.replace(old, new));
        refused(&["train", &file, "--out", &out])
    };
    says(&with("epochs = 4", ""), &["`epochs`", "is missing"]);
    says(&with("epochs = 4", "epochs = 4\nupdates = 3"), &["`epochs`", "one of them"]);
    says(
        &with("validation = 200", "validation = 1437"),
        &["`validation`", "1437 of the 1437 training rows", "leave 0"],
    );
    says(&with("validation = 200", "padding = 8"), &["`padding`", "images of 8×8"]);
    says(
        &with("epochs = 4", "epochs = 4\nschedule = \"step\""),
        &["`schedule`", "constant", "warmup-cosine"],
    );
    says(
        &with("model = \"training\"", "model = \"alignment\""),
        &["`epochs`", "of the model training", "alignment"],
    );
    says(
        &with("contenders = [\"spc/fused\"]", "contenders = [\"ipc/fused\"]"),
        &["ipc/fused", "moves the parameters itself", "ipc/reference"],
    );
    says(&with("epochs = 4", "epochs = 4\ntarget = 95"), &["`target`", "95 is out of range", "0 to 1"]);
    let brightness = |own: &str| with("epochs = 4", &format!("epochs = 4\nbrightness = {own}"));
    let three = "{ mean = [0.5, 0.5, 0.5], deviation = [0.2, 0.2, 0.2] }";
    says(&brightness(three), &["`brightness`", "3 means", "data `digits` have 1 channel"]);
    says(&brightness("{ mean = [0.5], deviation = [0.0] }"), &["`brightness`", "a deviation is 0"]);
    says(&brightness("{ mean = [0.5], deviation = [] }"), &["`brightness`", "1 means and 0 deviations"]);
    let rates = "step_size = [0.3]\nlearning_rate = [0.1, 0.01]";
    says(
        &with("step_size = [0.3]", &rates.replace("0.01", "-1")),
        &["`learning_rate`", "-1 is out of range"],
    );
    let search = "validation = 200\nsearch = { trials = 2, updates = 2, learning_rate = [1e-3, 1e-2] }";
    let (_dir, file) = suite(&SUITE.replace("step_size = [0.3]", rates).replace("validation = 200", search));
    says(&refused(&["list", &file]), &["`learning_rate`", "its search finds the learning rate"]);
    let alignment =
        SUITE.split("[benchmark.network]").next().unwrap().replace("\"training\"", "\"alignment\"");
    let (_dir, file) = suite(&alignment.replace("step_size = [0.3]", rates));
    says(&refused(&["list", &file]), &["`learning_rate`", "models training and weight-update", "alignment"]);
}

/// Learning rates as an axis: one run each, and `--learning-rate` in place of all of them.
#[test]
fn learning_rates_are_an_axis() {
    let short = SUITE.replace("epochs = 4", "updates = 4").replace("evaluations = 4", "evaluations = 1");
    let (dir, file) =
        suite(&short.replace("step_size = [0.3]", "step_size = [0.3]\nlearning_rate = [0.1, 0.01]"));
    let record = dir.path().join("record");
    let run = &["run", &file, "--allow-debug-build", "--no-plots", "--out", &arg(&record)];
    succeeds(run);
    let mut rows = csv::Reader::from_path(record.join("training.csv")).unwrap();
    let columns = rows.headers().unwrap().clone();
    let at = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let found: Vec<(String, String)> = rows
        .records()
        .map(Result::unwrap)
        .filter(|row| &row[at("update")] == "4")
        .map(|row| (row[at("point")].to_owned(), row[at("learning_rate")].to_owned()))
        .collect();
    assert_eq!(found.len(), 2);
    for ((point, rate), asked) in found.iter().zip(["0.1", "0.01"]) {
        assert!(point.contains(&format!("learning_rate={asked},")) && rate == asked, "{point} {rate}");
    }
    let out = dir.path().join("run");
    let said = succeeds(&["train", &file, "--out", &arg(&out), "--learning-rate", "0.5"]);
    says(&said, &["0.5"]);
}

/// A run that comes to numbers that are not finite ends with a row that says when, and the checkpoint before it.
#[test]
fn a_run_that_diverges_keeps_its_curve() {
    let (dir, file) = suite(
        &SUITE
            .replace("\"adam\"", "\"sgd\"")
            .replace("cross_entropy", "half_squared_error")
            .replace("tanh", "relu"),
    );
    let out = dir.path().join("run");
    let done = run(&["train", &file, "--out", &arg(&out), "--learning-rate", "1e6"]);
    assert_eq!(done.code, Some(1), "{}", done.out);
    says(&done.err, &["the curve up to here is in", "diverged"]);
    let curve = fs::read_to_string(out.join("training.csv")).unwrap();
    assert_eq!(curve.lines().count(), 3, "{curve}");
    assert!(curve.lines().last().unwrap().ends_with(",,,,,,,,,,,"), "{curve}");
    assert_eq!(checkpoints(&out).len(), 1);
}
