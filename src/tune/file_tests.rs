//! Oracles: what was written is read to the bit, and every damage is named in one sentence.

use std::sync::Arc;

use pcnbench_kernels::launch::Precision;
use pcnbench_kernels::tune::{Entry, Failed, Sizes, Strategy, StrategyTable, Timed};
use pcnbench_kernels::MathMode;

use super::*;

fn timed(strategy: Strategy, median_ns: f64) -> Timed {
    Timed { strategy, median_ns, q1_ns: 0.9 * median_ns, q3_ns: 1.1 * median_ns, samples: 13, calls: 20 }
}

fn strategies() -> Strategies {
    let sizes = Sizes { width: 128, batch: 64, depth: 8, steps: 8 };
    let spc = Entry {
        rule: "spc",
        precision: Precision::F32,
        math: MathMode::Tf32x3,
        sizes,
        // digits that a decimal fraction does not end with
        timed: vec![timed(Strategy::Graph, 1e6 / 3.0), timed(Strategy::Persistent, 2e5 / 7.0)],
        failed: vec![Failed { strategy: Strategy::Cublas, why: "no \"handle\" \\ there".into() }],
    };
    let bp = Entry {
        rule: "bp",
        precision: Precision::F64,
        math: MathMode::F32,
        sizes: Sizes { steps: 0, ..sizes },
        timed: vec![timed(Strategy::Grouped, 1e21)],
        failed: vec![],
    };
    let table = StrategyTable { device: "A \"GPU\" 80GB".into(), capability: (9, 0), entries: vec![spc, bp] };
    Strategies {
        driver: "580.82.07 (CUDA 13.0)".into(),
        rev: "0123abcd".into(),
        dirty: true,
        started: "2026-12-01T10:00:00Z".into(),
        seconds: 0.1,
        table: Arc::new(table),
    }
}

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er").join(FILE);
    strategies().write(&path).unwrap();
    assert_eq!(Strategies::read(&path).unwrap(), strategies(), "every float to the bit");
    let only: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(only, [FILE], "nothing half-written stays");
    assert!(
        fs::read_to_string(&path).unwrap().contains("strategy = \"persistent\"\n"),
        "the fastest is named"
    );
}

#[test]
fn the_file_of_the_device_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let name = "A \"GPU\" 80GB";
    assert_eq!(find(dir.path(), name, (9, 0)).unwrap(), None);
    let path = dir.path().join("a-gpu-80gb").join(FILE);
    strategies().write(&path).unwrap();
    let found = find(dir.path(), name, (9, 0)).unwrap().unwrap();
    assert_eq!((found.name.as_str(), &found.strategies), ("a-gpu-80gb/strategies.toml", &strategies()));
    assert_eq!(found.sha256, sha256(&fs::read(&path).unwrap()));
    assert_eq!(find(dir.path(), "another", (9, 0)).unwrap(), None);
    // of the same folder, but not the same device
    for (device, capability) in [(name, (8, 0)), ("A GPU-80GB", (9, 0))] {
        let said = find(dir.path(), device, capability).unwrap_err().to_string();
        for part in ["strategies.toml: was measured on `A \"GPU\" 80GB` of compute capability 9.0", device] {
            assert!(said.contains(part) && !said.contains('\n'), "{said}");
        }
    }
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    strategies().write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, said) in [
        ("schema = 1", "schema = 2", "schema 2, but this version reads schema 1"),
        ("schema = 1", "", "key `schema` is missing"),
        ("dirty = true", "dirty = true\nclean = 1", "line 9: unknown field `clean`"),
        ("width = 128", "width = 128\nheight = 1", "unknown field `height`"),
        ("calls = 20", "calls = 20, more = 1", "unknown field `more`"),
        ("rev = ", "# ", "missing field `rev`"),
        ("a-gpu-80gb", "nvidia", "key `machine_class` is `nvidia`, but device"),
        ("\"9.0\"", "\"nine\"", "key `capability` is `nine`"),
        ("seconds = 0.1", "seconds = -0.1", "key `seconds` is -0.1"),
        ("\"spc\"", "\"hebb\"", "unknown rule `hebb`; expected one of: bp, zil, spc"),
        ("dtype = \"f32\"", "dtype = \"f16\"", "unknown dtype `f16`; expected one of: f32, f64"),
        ("\"3xtf32\"", "\"fp8\"", "unknown operands `fp8`; expected one of: f32, 3xtf32, tf32, bf16"),
        (
            "strategy = \"graph\"",
            "strategy = \"loop\"",
            "unknown strategy `loop`; expected one of: grouped, graph",
        ),
        ("strategy = \"cublas\"", "strategy = \"loop\"", "unknown strategy `loop`"),
        ("strategy = \"cublas\"", "strategy = \"graph\"", "strategy `graph` stands twice"),
        (
            "strategy = \"persistent\"\n",
            "strategy = \"graph\"\n",
            "the fastest that is timed is `persistent`",
        ),
        ("width = 128", "width = 0", "key `width` is 0"),
        ("samples = 13", "samples = 0", "`samples` or `calls` of strategy `graph` is 0"),
        ("q1_ns = ", "q1_ns = 1e9 # ", "line "),
        (
            "q1_ns = 3",
            "q1_ns = 9",
            "`q1_ns`, `median_ns`, `q3_ns` of strategy `graph` are not positive and in order",
        ),
        ("median_ns = 3", "median_ns = -3", "of strategy `graph` are not positive and in order"),
        ("[[entry]]", "[[entry]", "line "),
    ] {
        let damaged = text.replacen(from, to, 1);
        assert_ne!(damaged, text, "{from}");
        fs::write(&path, damaged).unwrap();
        let error = Strategies::read(&path).unwrap_err().to_string();
        assert!(error.contains(said), "{from} -> {to}: {error}");
        assert!(error.contains(FILE) && !error.contains('\n'), "{error}");
    }
    // which entry it is
    fs::write(&path, text.replacen("samples = 13", "samples = 0", 1)).unwrap();
    let error = Strategies::read(&path).unwrap_err().to_string();
    let named = "strategies.toml: entry 1 (spc in f32, width 128, batch 64, depth 8, steps 8): key `samples`";
    assert!(error.contains(named), "{error}");
    let entry = text.find("\n[[entry]]").unwrap();
    fs::write(&path, &text[..entry]).unwrap();
    assert!(Strategies::read(&path).unwrap_err().to_string().contains("has no entry"));
    fs::write(&path, format!("{text}{}", &text[entry..])).unwrap();
    let twice = Strategies::read(&path).unwrap_err().to_string();
    assert!(twice.contains("entry 3") && twice.contains("stands twice"), "{twice}");
    let nowhere = Strategies::read(&dir.path().join("no.toml")).unwrap_err().to_string();
    assert!(nowhere.contains("there is no such file; make it with `pcnbench tune`"), "{nowhere}");
}
