//! Records under real blows: a killed process, a full disk.
//!
//! The unit tests of `record` stop a writer before each of its file operations; these show that the
//! operating system agrees. If they fail, hours of measuring can be lost or, worse, half kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use pcnbench::record::{latest_unfinished, read, summarise};
use pcnbench::record::{
    AlignmentRow, Machine, PointResult, QuantityRow, Record, Run, Sample, SignalRow, Status, Store,
    SummaryRow, SCHEMA,
};
use pcnbench::suite::{Model, Overrides, Suite};

/// Where a child writes its record; only children have it.
const CHILD: &str = "PCNBENCH_TEST_RECORD_ROOT";

/// Points of every kind of model in turn: timed, traced, compared, studied.
fn suite() -> &'static Suite {
    static SUITE: OnceLock<Suite> = OnceLock::new();
    SUITE.get_or_init(|| {
        let mut text = String::from("schema = 1\nname = \"blows\"\nabout = \"\"\nseed = 1\n");
        for number in 0..150 {
            let model = ["weight-update", "signal-decay", "alignment", "budget"][number % 4];
            let dtype = if model == "budget" { "f64" } else { "f32" };
            text += &format!(
                "[[benchmark]]\nname = \"b{number}\"\nmodel = \"{model}\"\nabout = \"\"\n\
                 contenders = [\"bp/reference\", \"spc/reference\"]\n\
                 [benchmark.axes]\ndepth = [2]\nwidth = [4]\nbatch = [2]\nsteps = [1]\ndtype = [\"{dtype}\"]\n"
            );
        }
        Suite::parse(&text, "blows.toml", &Overrides::default()).unwrap()
    })
}

fn run() -> Run {
    Run {
        schema: SCHEMA,
        suite: "blows".into(),
        about: String::new(),
        definition: suite().definition.clone(),
        definition_sha256: suite().definition_sha256(),
        seed: 1,
        argv: vec![],
        started: "2026-11-22T05:36:00Z".into(),
        finished: None,
        version: "0.1.0".into(),
        rev: "abc1234".into(),
        dirty: false,
        lockfile_sha256: "10c".into(),
        features: vec![],
        switches: vec![],
        candle: "0.11.1".into(),
        threads: 1,
        data: vec![],
        ceilings: vec![],
        warnings: vec![],
        shard: None,
        shards: vec![],
        rustc: "rustc 1.89.0".into(),
    }
}

fn machine() -> Machine {
    Machine { class: "cpu-test-1c".into(), ..Machine::detect(None) }
}

fn point(number: usize) -> PointResult {
    let (benchmark, axes) = (&suite().benchmarks[number], &suite().benchmarks[number].points[0]);
    let point = axes.id.clone();
    let ids = ["bp/reference", "bp/reference~aa", "spc/reference"];
    let samples = |i: u32| Sample {
        point: point.clone(),
        contender: ids[i as usize % 3].into(),
        round: i / 3,
        wall_ns: 1_000 + u64::from(i * 7919 % 101) * (1 + number as u64),
        device_ns: None,
        checksum: 1.0 / f64::from(i + 1),
        delay_ns: None,
        sm_clock_mhz: None,
        executions: 1,
        instance: 0,
    };
    let timed = benchmark.model == Model::WeightUpdate;
    let row = |contender: &str| SummaryRow {
        point: point.clone(),
        benchmark: benchmark.name.clone(),
        model: benchmark.model.name().into(),
        contender: contender.into(),
        baseline: if timed { "bp/reference".into() } else { String::new() },
        rule: contender.split('/').next().unwrap().into(),
        engine: "reference".into(),
        architecture: "mlp".into(),
        parameterisation: axes.parameterisation.to_string(),
        activation: axes.activation.to_string(),
        depth: axes.depth,
        width: axes.width,
        batch: axes.batch,
        steps: if contender.starts_with("bp") { 0 } else { 1 },
        step_size: if contender.starts_with("bp") { 0.0 } else { axes.step_size },
        dtype: axes.dtype.as_str().into(),
        device: "cpu".into(),
        updates: 1,
        n: 0,
        min_ns: 0,
        q1_ns: 0,
        median_ns: 0,
        q3_ns: 0,
        mad_ns: 0,
        median_low_ns: 0,
        median_high_ns: 0,
        gemms: 0,
        gemm_flops: 0,
        elementwise_flops: 0,
        bytes: 0,
        critical_path: 0,
        inference_over_bp: None,
        parallel_over_bp: None,
        verify: Some(0.5),
        test_accuracy: None,
        train_updates: None,
        stop: if timed { "target".into() } else { String::new() },
        status: Status::Ok,
        err: String::new(),
        contended: None,
        host_bound: None,
        peak_bytes: None,
        energy_uj: None,
        device_peak_bytes: None,
        trained_layers: None,
        allocations: None,
        allocated_bytes: None,
        instructions: None,
        least_gemms: None,
        least_gemm_flops: None,
        least_bytes: None,
    };
    let mut result = PointResult { summary: vec![row(ids[0]), row(ids[2])], ..PointResult::default() };
    match benchmark.model {
        Model::WeightUpdate => {
            result.samples = (0..600).map(samples).collect();
            result.ratios = summarise::fill(&mut result.summary, &result.samples).unwrap();
        }
        Model::SignalDecay => {
            for (contender, steps) in [(ids[0], 0..=0), (ids[2], 0..=1)] {
                let places = steps.flat_map(|step| [1, 2].map(|layer| (step, layer)));
                result.signals.extend(places.map(|(step, layer)| SignalRow {
                    point: point.clone(),
                    contender: contender.into(),
                    step,
                    layer,
                    energy: 0.1 + 0.2,
                }));
            }
        }
        Model::Alignment => {
            for contender in [ids[0], ids[2]] {
                result.alignments.extend((0..=2).map(|layer| AlignmentRow {
                    point: point.clone(),
                    contender: contender.into(),
                    layer,
                    cosine: 1.0 / 3.0,
                    norm_ratio: 0.1 + 0.2,
                    bp_norm: 1e-9,
                    energy: None,
                }));
            }
        }
        // no point of the suite is of it
        Model::Training => {}
        Model::Study(_) => {
            result.quantities.extend((0..40).map(|step| QuantityRow {
                point: point.clone(),
                contender: ids[2].into(),
                quantity: "cosine".into(),
                at: f64::from(step),
                value: 1.0 / 3.0,
            }));
        }
    }
    result
}

/// Finished points of a record, each proved to hold all that was written for it.
fn intact_points(record: &Record) -> usize {
    let points = record.summary.len() / 2;
    let all: Vec<PointResult> = (0..points).map(point).collect();
    assert_eq!(record.samples, all.iter().flat_map(|p| p.samples.clone()).collect::<Vec<_>>());
    assert_eq!(record.summary, all.iter().flat_map(|p| p.summary.clone()).collect::<Vec<_>>());
    assert_eq!(record.ratios, all.iter().flat_map(|p| p.ratios.clone()).collect::<Vec<_>>());
    assert_eq!(record.alignments, all.iter().flat_map(|p| p.alignments.clone()).collect::<Vec<_>>());
    assert_eq!(record.quantities, all.iter().flat_map(|p| p.quantities.clone()).collect::<Vec<_>>());
    assert_eq!(record.signals, all.iter().flat_map(|p| p.signals.clone()).collect::<Vec<_>>());
    points
}

/// Not a test by itself: the process that the tests below start and ill-treat. It writes points until
/// something stops it, and says after each how many are finished.
#[test]
#[ignore = "started by other tests"]
fn child() {
    let Some(root) = env::var_os(CHILD).map(PathBuf::from) else { return };
    let mut store = match latest_unfinished(&root, "cpu-test-1c", "blows", None) {
        Some(dir) => Store::resume(&dir, &machine(), &run()).unwrap().0,
        None => Store::create(&root, &machine(), &run(), None).unwrap(),
    };
    loop {
        let next = store.finished().len();
        if next == suite().benchmarks.len() {
            thread::sleep(Duration::from_secs(60));
        }
        if let Err(error) = store.finish_point(&point(next)) {
            eprintln!("refused: {error}");
            return;
        }
        fs::write(root.join("done"), (next + 1).to_string()).unwrap();
    }
}

fn start(mut command: Command, root: &Path) -> std::process::Child {
    command.args(["--exact", "record::child", "--ignored", "--nocapture"]).env(CHILD, root);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn done(root: &Path) -> usize {
    // Empty between its creation and its content, which is where the child may be killed.
    fs::read_to_string(root.join("done")).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn a_killed_writer_loses_no_finished_point() {
    let root = tempfile::tempdir().unwrap();
    let mut finished = 0;
    for blow in 0..12 {
        let mut child = start(Command::new(env::current_exe().unwrap()), root.path());
        let begin = Instant::now();
        let mut reported = 0;
        while reported <= finished && begin.elapsed() < Duration::from_secs(30) {
            reported = done(root.path());
            thread::sleep(Duration::from_micros(200));
        }
        // At another moment of a point each time.
        thread::sleep(Duration::from_micros(370 * blow));
        child.kill().unwrap();
        child.wait().unwrap();
        reported = reported.max(done(root.path()));
        assert!(reported > finished, "the child made no progress: {}", error_of(child));

        let dir = latest_unfinished(root.path(), "cpu-test-1c", "blows", None).unwrap();
        let found = intact_points(&read(&dir).unwrap());
        assert!(found >= reported, "reported {reported}, found {found}");
        finished = found;
    }
    let records: Vec<_> = fs::read_dir(root.path().join("cpu-test-1c")).unwrap().collect();
    assert_eq!(records.len(), 1, "every child took up the record of the one before");
}

fn error_of(child: std::process::Child) -> String {
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned()
}

/// A limit on file size fails a write half-way, as a full disk does, and binds root too.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_was_finished() {
    let root = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // Ignored signals stay ignored across exec; the write then fails instead of killing the process.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(env::current_exe().unwrap());
    let message = error_of(start(shell, root.path()));
    assert!(message.contains("refused: cannot write ") && message.contains("samples.csv"), "{message}");

    let dir = latest_unfinished(root.path(), "cpu-test-1c", "blows", None).unwrap();
    let found = intact_points(&read(&dir).unwrap());
    assert!(found > 3 && found == done(root.path()), "{found}");
    let left = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let temporary: Vec<_> = left.filter(|name| name.ends_with(".tmp")).collect();
    assert!(temporary.is_empty(), "{temporary:?}");
    // With space again, the record goes on.
    let (mut store, finished) = Store::resume(&dir, &machine(), &run()).unwrap();
    assert_eq!(finished.len(), found);
    store.finish_point(&point(found)).unwrap();
    assert_eq!(intact_points(&read(&dir).unwrap()), found + 1);
}
