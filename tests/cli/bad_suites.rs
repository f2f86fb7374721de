//! Suites that cannot be: each key refused by name, before anything is measured or written.

use crate::session::{arg, names, refused, run, says, succeeds, suite, TINY};

/// Replaces `from` in [`TINY`] and returns the sentence; `list` and `run` must refuse alike.
#[track_caller]
fn changed(from: &str, to: &str) -> String {
    assert!(TINY.contains(from), "{from}");
    let (dir, file) = suite(&TINY.replacen(from, to, 1));
    let results = dir.path().join("results");
    let listed = refused(&["list", &file]);
    let run = refused(&["run", &file, "--allow-debug-build", "--results", &arg(&results)]);
    assert_eq!(listed, run);
    assert!(listed.contains("suite.toml"), "names no file: {listed}");
    assert!(!results.exists(), "something was written");
    listed
}

#[test]
fn the_tiny_suite_itself_is_fine() {
    let (_dir, file) = suite(TINY);
    assert!(succeeds(&["list", &file]).contains("signal  signal-decay  spc/reference"));
}

#[test]
fn unknown_names_list_the_known_ones() {
    for (from, to, phrases) in [
        (
            r#"["spc/reference"]"#,
            r#"["spx/reference"]"#,
            ["`contenders`", "unknown rule `spx`", "bp", "mupc"],
        ),
        (
            r#"["spc/reference"]"#,
            r#"["spc/warp"]"#,
            ["`contenders`", "unknown engine `warp`", "reference", "autograd"],
        ),
        (r#"["spc/reference"]"#, r#"["spc"]"#, ["`contenders`", "`spc`", "rule/engine", "spc/reference"]),
        (
            r#"["spc/reference"]"#,
            r#"["spc/autograd"]"#,
            ["`contenders`", "engine autograd", "rule spc", "spc/autograd"],
        ),
        (r#"["tanh"]"#, r#"["tahn"]"#, ["`activation`", "unknown activation `tahn`", "relu", "gelu"]),
        (
            r#"["sp"]"#,
            r#"["ps"]"#,
            ["`parameterisation`", "unknown parameterisation `ps`", "ntp", "mupc-residual"],
        ),
        (
            r#""half_squared_error""#,
            r#""hinge""#,
            ["`loss`", "unknown loss `hinge`", "cross_entropy", "signal"],
        ),
        (r#""sum""#, r#""mean""#, ["`reduction`", "unknown reduction `mean`", "batch_mean", "element_mean"]),
        (r#""input""#, r#""middle""#, ["`placement`", "unknown placement `middle`", "input", "output"]),
        (
            r#""input""#,
            "\"input\"\nlatent_energy = \"cauchy\"",
            ["`latent_energy`", "unknown latent energy `cauchy`", "huber", "log_cosh"],
        ),
        (r#""sgd""#, r#""sdg""#, ["`optimiser`", "unknown optimiser `sdg`", "momentum", "adam"]),
        (r#"["f32"]"#, r#"["f16"]"#, ["`dtype`", "unknown dtype `f16`", "f32", "f64"]),
        (
            r#""signal-decay""#,
            r#""decay""#,
            ["`model`", "unknown model `decay`", "weight-update", "signal-decay"],
        ),
        (
            "contenders",
            "data = \"cifar\"\ncontenders",
            ["`data`", "unknown data `cifar`", "folder", "teacher"],
        ),
        ("dtype =", "device = [\"tpu\"]\ndtype =", ["`device`", "unknown device `tpu`", "cpu", "cuda"]),
    ] {
        says(&changed(from, to), &phrases);
    }
}

#[test]
fn axes_are_lists_of_the_right_type_and_not_empty() {
    for (from, to, phrases) in [
        ("depth = [2]", "depth = []", ["`depth`", "the axis is empty"]),
        ("steps = [3]", "steps = []", ["`steps`", "the axis is empty"]),
        ("step_size = [0.1]", "step_size = []", ["`step_size`", "the axis is empty"]),
        (r#"["tanh"]"#, "[]", ["`activation`", "the axis is empty"]),
        (r#"["f32"]"#, "[]", ["`dtype`", "the axis is empty"]),
        ("depth = [2]", "depth = 2", ["line 13, `depth = 2`", "expected a sequence"]),
        ("depth = [2]", "depth = [\"2\"]", ["line 13, `depth = [\"2\"]`", "string"]),
        ("depth = [2]", "depth = [2.5]", ["line 13, `depth = [2.5]`", "floating point"]),
        ("depth = [2]", "depth = [-2]", ["line 13, `depth = [-2]`", "-2"]),
        ("steps = [3]", "steps = [3.5]", ["line 16, `steps = [3.5]`", "number of steps"]),
        ("steps = [3]", "steps = [\"L/0\"]", ["`steps`", "`L/0` is neither a number nor of the form"]),
        ("[benchmark.axes]", "[benchmark.axis]", ["line 12, `[benchmark.axis]`", "unknown field `axis`"]),
        ("depth = [2]", "dept = [2]", ["line 13, `dept = [2]`", "unknown field `dept`"]),
        ("seed = 7", "seed = -7", ["line 4, `seed = -7`", "-7"]),
        ("seed = 7\n", "", ["missing field `seed`", "line"]),
        ("schema = 1", "schema = 2", ["`schema`", "2 is not supported; expected 1"]),
        ("schema = 1", "schema 1", ["line 1, `schema 1`", "expected"]),
    ] {
        says(&changed(from, to), &phrases);
    }
}

#[test]
fn sizes_steps_and_times_have_limits() {
    for (from, to, phrases) in [
        ("depth = [2]", "depth = [0]", ["`depth`", "0 is out of range; expected 1 to 4096"]),
        ("depth = [2]", "depth = [1000000000000]", ["`depth`", "expected 1 to 4096"]),
        ("width = [4]", "width = [0]", ["`width`", "expected 1 to 65536"]),
        ("width = [4]", "width = [1000000000000]", ["`width`", "expected 1 to 65536"]),
        ("batch = [2]", "batch = [0]", ["`batch`", "expected 1 to"]),
        ("batch = [2]", "batch = [9223372036854775807]", ["`batch`", "expected 1 to"]),
        ("steps = [3]", "steps = [1000000000000000000]", ["`steps`", "expected 0 to 65536"]),
        ("steps = [3]", "steps = [\"99999999999L\"]", ["`steps`", "expected 0 to 65536"]),
        ("steps = [3]", "steps = [\"99999999999999999999999L\"]", ["`steps`", "of the form L, 2L or L/2"]),
        (
            "depth = [2]\nwidth = [4]\nbatch = [2]\nsteps = [3]",
            "depth = [4096]\nsteps = [4096]",
            ["`steps`", "energies traced at most"],
        ),
        ("\"input\"", "\"input\"\nprecision = 0.0", ["`precision`", "0 is out of range"]),
        ("step_size = [0.1]", "step_size = [-0.1]", ["`step_size`", "-0.1 is out of range"]),
        ("step_size = [0.1]", "step_size = [0.0]", ["`step_size`", "0 is out of range"]),
        ("step_size = [0.1]", "step_size = [nan]", ["`step_size`", "NaN is out of range"]),
        ("step_size = [0.1]", "step_size = [inf]", ["`step_size`", "inf is out of range"]),
        ("step_size = [0.1]", "step_size = [1e300]", ["`step_size`", "1e300 is out of range"]),
        (
            "[\"spc/reference\"]",
            "[{ id = \"spc/reference\", step_size = -1 }]",
            ["`step_size`", "-1 is out of range"],
        ),
        (
            "[\"spc/reference\"]",
            "[{ id = \"spc/reference\", steps = 1000000 }]",
            ["`steps`", "1000000 is out of range"],
        ),
        (
            "[\"spc/reference\"]",
            "[{ id = \"spc/reference\", learning_rate = nan }]",
            ["`learning_rate`", "NaN"],
        ),
        ("learning_rate = 0.001", "learning_rate = -1.0", ["`learning_rate`", "-1 is out of range"]),
        ("learning_rate = 0.001", "learning_rate = inf", ["`learning_rate`", "inf is out of range"]),
        ("learning_rate = 0.001", "accuracy_updates = 1000000000000", ["`accuracy_updates`", "out of range"]),
        ("gain = 1.0", "gain = nan", ["`gain`", "NaN is out of range"]),
        ("warmup_seconds = 0.0", "warmup_seconds = 1e300", ["`warmup_seconds`", "expected 0 to 600"]),
        ("warmup_seconds = 0.0", "warmup_seconds = -1.0", ["`warmup_seconds`", "expected 0 to 600"]),
        ("max_seconds = 0.2", "max_seconds = nan", ["`max_seconds`", "NaN is out of range"]),
        ("max_rounds = 3", "max_rounds = 0", ["`max_rounds`", "0 is out of range"]),
        ("min_rounds = 3", "min_rounds = 4", ["`min_rounds`", "expected 1 to 3"]),
        ("min_rounds = 3", "min_rounds = 0", ["`min_rounds`", "expected 1 to 3"]),
    ] {
        says(&changed(from, to), &phrases);
    }
    let many: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    let axis = format!("depth = [{0}]\nwidth = [{0}]", many.join(", "));
    says(&changed("depth = [2]\nwidth = [4]", &axis), &["`axes`", "more than 10000 points"]);
}

#[test]
fn names_and_lists_hold_no_duplicates() {
    let second = TINY.split_once("[[benchmark]]").unwrap().1;
    let (_dir, file) = suite(&format!("{TINY}\n[[benchmark]]{second}"));
    says(&refused(&["list", &file]), &["suite.toml, benchmark \"signal\"", "`name`", "used twice"]);
    for (from, to, phrases) in [
        (r#"["spc/reference"]"#, r#"["spc/reference", "spc/reference"]"#, ["`contenders`", "listed twice"]),
        (r#"["spc/reference"]"#, "[]", ["`contenders`", "the list is empty"]),
        ("depth = [2]", "depth = [2, 2]", ["`axes`", "lists a value twice"]),
        ("depth = [2]", "depth = [2]\ndepth = [3]", ["line 14, `depth = [3]`", "duplicate key"]),
        (r#"name = "tiny""#, r#"name = "../tiny""#, ["`name`", "`../tiny` is not a name"]),
        (r#"name = "tiny""#, r#"name = """#, ["`name`", "is not a name"]),
        (r#"name = "signal""#, "name = \"a\\nb\"", ["`name`", "is not a name"]),
        (
            r#"model = "signal-decay""#,
            r#"model = "weight-update""#,
            ["`baseline`", "`bp/reference` is not among"],
        ),
    ] {
        says(&changed(from, to), &phrases);
    }
    let (_dir, file) = suite(TINY.split_once("[[benchmark]]").unwrap().0);
    says(&refused(&["list", &file]), &["`benchmark`", "at least one [[benchmark]]"]);
}

#[test]
fn suites_that_are_not_there_or_not_suites() {
    let dir = tempfile::tempdir().unwrap();
    says(
        &refused(&["list", "nosuch"]),
        &["unknown suite `nosuch`", "quick", "depth", "path to a .toml file"],
    );
    says(&refused(&["run", "nosuch"]), &["unknown suite `nosuch`"]);
    says(&refused(&["bounds", "nosuch"]), &["unknown suite `nosuch`"]);
    says(&refused(&["run", "nosuch.toml"]), &["cannot read the suite nosuch.toml: No such file"]);
    says(&refused(&["run", &arg(dir.path())]), &["cannot read the suite", "directory"]);
    let file = dir.path().join("binary.toml");
    std::fs::write(&file, [0x73, 0xff, 0xfe, 0]).unwrap();
    says(&refused(&["list", &arg(&file)]), &["binary.toml", "is not UTF-8 text (at byte 1)"]);
    std::fs::write(&file, "").unwrap();
    says(&refused(&["list", &arg(&file)]), &["binary.toml", "missing field `schema`"]);
    if cfg!(unix) {
        says(&refused(&["list", "/dev/zero"]), &["/dev/zero", "has more than"]);
    }
}

#[test]
fn options_that_replace_keys_are_checked_like_keys() {
    let (dir, file) = suite(TINY);
    let results = arg(dir.path().join("results"));
    for (option, value, phrases) in [
        ("--device", "tpu", ["`device`", "unknown device `tpu`; expected one of: cpu, cuda"]),
        ("--dtype", "bf16", ["`dtype`", "unknown dtype `bf16`; expected one of: f32, f64"]),
        ("--max-depth", "1", ["`benchmark`", "--max-depth"]),
        ("--max-seconds", "nan", ["`max_seconds`", "NaN is out of range"]),
        ("--max-seconds", "0", ["`max_seconds`", "0 is out of range"]),
        ("--seed", "18446744073709551615", ["`seed`", "expected 0 to 9223372036854775807"]),
    ] {
        says(
            &refused(&["run", &file, "--allow-debug-build", "--results", &results, option, value]),
            &phrases,
        );
    }
    if !cfg!(feature = "cuda") {
        let cuda = refused(&["run", &file, "--allow-debug-build", "--results", &results, "--device", "cuda"]);
        says(
            &cuda,
            &["device `cuda` is not available", "built without CUDA", "--features cuda", "--device cpu"],
        );
        let cuda = refused(&["verify", "--device", "cuda"]);
        says(&cuda, &["device `cuda` is not available", "built without CUDA"]);
    }
    assert_eq!(names(dir.path()), ["suite.toml"]);
}

#[test]
fn what_only_shows_at_the_data_is_refused_before_writing() {
    for (from, to, phrases) in [
        (
            "batch = [2]",
            "batch = [2, 1438]",
            ["benchmark \"signal\"", "`batch`", "1438 is larger than the data", "1437 training rows"],
        ),
        (
            "contenders =",
            "data = \"folder\"\ncontenders =",
            ["benchmark \"signal\"", "`data`", "needs --data DIR", "IDX"],
        ),
        ("contenders =", "data = \"teacher\"\ncontenders =", ["", "", "", ""]),
    ] {
        let (dir, file) = suite(&TINY.replacen(from, to, 1));
        let out = arg(dir.path().join("record"));
        let done = run(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &out]);
        if phrases[0].is_empty() {
            assert_eq!(done.code, Some(0), "{}", done.err);
            continue;
        }
        says(&crate::session::sentence(&done, 1), &phrases);
        assert_eq!(names(dir.path()), ["suite.toml"]);
        says(&refused(&["bounds", &file]), &phrases);
    }
}

/// Sizes within every limit whose product is not: refused by arithmetic, not by the kernel's killer.
#[test]
fn what_would_not_fit_the_machine_is_refused() {
    let sizes = "depth = [2]\nwidth = [4]\nbatch = [2]\nsteps = [3]";
    for (to, phrases) in [
        (
            "depth = [200]\nwidth = [65536]\nbatch = [2]\nsteps = [3]",
            ["point signal@", "GiB of memory", "lower its width"],
        ),
        (
            "depth = [4096]\nwidth = [65536]\nbatch = [1024]\nsteps = [200]",
            ["FLOPs", "at most 1e17", "lower one"],
        ),
    ] {
        let (dir, file) = suite(&TINY.replacen(sizes, to, 1));
        let out = arg(dir.path().join("record"));
        says(&refused(&["run", &file, "--allow-debug-build", "--out", &out]), &phrases);
        assert_eq!(names(dir.path()), ["suite.toml"]);
    }
}

/// What follows from rule, optimiser, dtype and device alone is not worth a measurement.
#[test]
fn contenders_that_can_never_run_are_refused_by_every_command() {
    let fused = |optimiser: &str, contenders: &str, dtype: &str| {
        TINY.replace("signal-decay", "weight-update")
            .replace(r#"["spc/reference"]"#, &format!("[{contenders}]\nbaseline = \"bp/fused\""))
            .replace(r#"optimiser = "sgd""#, &format!("optimiser = \"{optimiser}\""))
            .replace(r#"["f32"]"#, &format!("[\"{dtype}\"]"))
    };
    let tf32 = |model: &str, dtype: &str| {
        TINY.replace("spc/reference", "spc/fused-tf32")
            .replace("signal-decay", model)
            .replace(r#"["f32"]"#, &format!("[\"{dtype}\"]"))
            .replace("about = \"A trace.\"", "about = \"x\"\nbaseline = \"spc/fused-tf32\"")
    };
    for (text, phrases) in [
        (
            fused("adam", r#""bp/fused", "ipc/fused""#, "f32"),
            ["`optimiser`", "`ipc/fused` moves", "expected sgd"],
        ),
        (
            fused("mq", r#""bp/fused", "ipc-full/fused:1""#, "f64"),
            ["`optimiser`", "ipc-full/fused:1", "got mq"],
        ),
        (
            fused("momentum", r#""ipc/fused", "bp/fused""#, "f32"),
            ["`optimiser`", "`ipc/reference`", "momentum"],
        ),
        (tf32("signal-decay", "f64"), ["`contenders`", "spc/fused-tf32", "not in f64"]),
        (tf32("weight-update", "f32"), ["`contenders`", "spc/fused-tf32", "needs a GPU"]),
    ] {
        let (dir, file) = suite(&text);
        let out = arg(dir.path().join("record"));
        let listed = refused(&["list", &file]);
        says(&listed, &phrases);
        assert_eq!(refused(&["bounds", &file]), listed);
        assert_eq!(refused(&["run", &file, "--allow-debug-build", "--out", &out]), listed);
        assert_eq!(names(dir.path()), ["suite.toml"]);
    }
    let (_dir, file) = suite(&fused("momentum", r#""bp/fused", "ipc/reference""#, "f32"));
    says(&succeeds(&["list", &file]), &["ipc/reference"]);
    let (_dir, file) = suite(&fused("sgd", r#""bp/fused", "ipc/fused""#, "f32"));
    succeeds(&["list", &file]);
}

/// A suite as a whole has limits too, and they are found by multiplication.
#[test]
fn suites_have_limits_as_a_whole() {
    let benchmark = |name: usize, sizes: usize, contenders: &str| {
        let axis = (1..=sizes).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        format!(
            "[[benchmark]]\nname = \"b{name}\"\nmodel = \"signal-decay\"\nabout = \"\"\ncontenders = [{contenders}]\n\
             [benchmark.axes]\ndepth = [{axis}]\nwidth = [{axis}]\nbatch = [1]\nsteps = [1]\n"
        )
    };
    let head = "schema = 1\nname = \"m\"\nabout = \"\"\nseed = 1\n";
    let many = |benchmarks: usize, sizes: usize, contenders: &str| {
        let all: String = (0..benchmarks).map(|name| benchmark(name, sizes, contenders)).collect();
        suite(&format!("{head}{all}"))
    };
    let one = r#""bp/reference""#;
    let twenty: String = (1..=20).map(|n| format!("\"bp/reference:{n}\",")).collect();
    let crowd: String = (1..=257).map(|n| format!("\"bp/reference:{n}\",")).collect();
    for ((_dir, file), phrases) in [
        (many(2, 71, one), ["`benchmark`", "more than 10000 points"]),
        (many(101, 10, one), ["`benchmark`", "more than 10000 points"]),
        (many(1, 101, one), ["benchmark \"b0\"", "more than 10000 points"]),
        (many(1, 71, &twenty), ["`benchmark`", "more than 100000 rows"]),
        (many(1, 1, &crowd), ["`contenders`", "257 are listed; expected at most 256"]),
    ] {
        let begin = std::time::Instant::now();
        let listed = refused(&["list", &file]);
        says(&listed, &phrases);
        assert_eq!(refused(&["bounds", &file]), listed);
        assert!(begin.elapsed().as_secs() < 10);
    }
    let (_dir, file) = many(2, 70, one);
    assert!(succeeds(&["list", &file, "--format", "csv"]).lines().count() == 1 + 2 * 70 * 70);
}

/// Networks, data, losses and engines that do not go together are refused before anything is measured.
#[test]
fn networks_and_data_that_do_not_go_together_are_refused() {
    let text = |architecture: &str, data: &str, loss: &str, contenders: &str, model: &str| {
        format!(
            r#"schema = 1
name = "odd"
about = "x"
seed = 1
[[benchmark]]
name = "only"
model = "{model}"
about = "x"
data = "{data}"
contenders = [{contenders}]
architecture = {{ kind = "{architecture}" }}
[benchmark.axes]
depth = [4]
width = [8]
batch = [4]
steps = [2]
step_size = [0.1]
[benchmark.network]
loss = "{loss}"
"#
        )
    };
    let said = |text: String| {
        let (dir, file) = super::session::suite(&text);
        let results = dir.path().join("results");
        let said = refused(&["run", &file, "--allow-debug-build", "--results", &arg(&results)]);
        assert!(!results.exists(), "something was written");
        said
    };
    let bp = r#""bp/reference""#;
    let half = "half_squared_error";
    says(&said(text("vgg", "digits", half, bp, "weight-update")), &["only", "no vgg of depth 4"]);
    says(
        &said(text("rnn", "digits", half, r#""bp/reference", "ipc/fused""#, "weight-update")),
        &["ipc", "engine reference"],
    );
    says(
        &said(text("autoencoder", "digits", "cross_entropy", bp, "weight-update")),
        &["do not sum to 1", "cross_entropy"],
    );
    says(&said(text("mlp", "teacher", "kl", bp, "weight-update")), &["do not sum to 1", "kl"]);
    says(
        &said(text("rnn", "digits", half, r#""spc/fused""#, "signal-decay")),
        &["trace", "engine reference"],
    );
    says(
        &said(text("attention", "digits", half, r#""zil/reference""#, "signal-decay")),
        &["zil", "identities"],
    );
}
