//! A limit on the size of files: one sentence that names the file, and whole files as they were before.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pcnbench::record::read;

use crate::session::{arg, done, mixed, names, pcnbench, says, sentence, succeeds, suite, Done, TINY};

/// The program in a shell that limits the size of files to as many blocks, which are of 512 bytes in some shells and of 1024 in
/// others, with its standard output in `out`.
fn within(blocks: u64, out: &Path, args: &[&str]) -> Done {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -f {blocks}; out=$1; shift; exec \"$0\" \"$@\" >\"$out\"");
    shell.args(["-c", &script]).arg(pcnbench().get_program()).arg(out).args(args);
    shell.env("RUST_BACKTRACE", "1").env("RAYON_NUM_THREADS", "1");
    done(&mut shell.into())
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    names(dir).into_iter().map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect()
}

/// Six points of one size; a quarter or a half of their traces may be written.
#[test]
fn a_record_that_may_not_grow_keeps_its_finished_points() {
    let text =
        TINY.replace("width = [4]", "width = [4, 5, 6, 7, 8, 9]").replace("depth = [2]", "depth = [6]");
    let (dir, file) = suite(&text.replace("steps = [3]", "steps = [30]"));
    let (whole, out) = (dir.path().join("whole"), dir.path().join("out"));
    let run = ["run", &file, "--allow-debug-build", "--no-plots"];
    succeeds(&[&run[..], &["--out", &arg(&whole)]].concat());
    let blocks = fs::metadata(whole.join("signals.csv")).unwrap().len() / 2048;

    let printed = dir.path().join("printed");
    let mut before = None;
    // a second try under the limit comes as far as the first
    for place in ["--out", "--resume"] {
        let done = within(blocks, &printed, &[&run[..], &[place, &arg(&out)]].concat());
        let told = sentence(&done, 1);
        says(&told, &["cannot write ", "signals.csv", "File too large", "`ulimit -f`"]);
        let record = read(&out).unwrap();
        assert!(
            (1..6).contains(&record.summary.len()) && record.run.finished.is_none(),
            "{:?}",
            record.summary
        );
        assert!(names(&out).iter().all(|name| !name.ends_with(".tmp")), "{:?}", names(&out));
        let now = contents(&out);
        assert!(before.is_none_or(|before| before == now));
        before = Some(now);
    }
    succeeds(&[&run[..], &["--resume", &arg(&out)]].concat());
    assert_eq!(read(&out).unwrap().signals, read(&whole).unwrap().signals);
}

#[test]
fn a_file_that_may_not_grow_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (file, printed) = (dir.path().join("results.json"), dir.path().join("printed"));
    fs::write(&file, "before").unwrap();
    let record = arg(mixed().0);
    let export = ["export", &record, "--format", "bmf"];
    let to_file = within(1, &printed, &[&export[..], &["--out", &arg(&file)]].concat());
    says(&sentence(&to_file, 1), &["cannot write ", "results.json: File too large", "`ulimit -f`"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    assert_eq!(names(dir.path()), ["printed", "results.json"]);
    // what is printed is cut off where the limit is
    let to_stdout = within(1, &printed, &export);
    says(&sentence(&to_stdout, 1), &["cannot write to standard output: File too large"]);
    let whole = succeeds(&export);
    let cut = fs::read_to_string(&printed).unwrap();
    assert!(
        cut.len() >= 512 && whole.len() > cut.len() && whole.starts_with(&cut),
        "{} of {}",
        cut.len(),
        whole.len()
    );
}
