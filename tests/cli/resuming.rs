//! Advice on how to go on, taken word for word by a shell; and options that must not take the word behind them for theirs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pcnbench::record::read;
use tempfile::TempDir;

use crate::session::{arg, done, names, pcnbench, refused, run, says, sentence, suite, unfinish, Done, TINY};

/// The command between backticks in a sentence.
fn advice(sentence: &str) -> String {
    let mut parts = sentence.split('`').skip(1).step_by(2);
    parts
        .find(|part| part.starts_with("pcnbench "))
        .unwrap_or_else(|| panic!("no advice: {sentence}"))
        .to_owned()
}

/// What a shell in `dir` makes of it. A debug build needs leave to measure.
fn followed(advice: &str, dir: &Path) -> Done {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("pcnbench() {{ \"$PROGRAM\" \"$@\" --allow-debug-build; }}; {advice}")]);
    shell.env("PROGRAM", pcnbench().get_program()).current_dir(dir).env_remove("RAYON_NUM_THREADS");
    done(&mut shell.into())
}

/// The record as if it had been interrupted after its first point.
fn interrupt(record: &Path) {
    let path = record.join("summary.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    unfinish(record);
}

/// A suite of four points in a folder whose name a shell would take apart.
fn session() -> (TempDir, PathBuf, String) {
    let (dir, file) = suite(&TINY.replace("depth = [2]", "depth = [2, 3, 4, 5]"));
    let odd = dir.path().join("it's a folder");
    fs::create_dir(&odd).unwrap();
    (dir, odd, file)
}

/// `run` in `dir` with these options.
fn measure(dir: &Path, file: &str, more: &[&str]) -> Done {
    let common = ["run", file, "--allow-debug-build", "--no-plots", "--threads", "1"];
    done(pcnbench().env_remove("RAYON_NUM_THREADS").args(common).args(more).current_dir(dir))
}

#[test]
fn a_record_in_the_way_and_an_unfinished_shard_are_gone_on_with_as_advised() {
    let (_dir, odd, file) = session();
    let options = ["--seed", "9", "--max-depth", "4", "--out", "my record"];
    assert_eq!(measure(&odd, &file, &options).code, Some(0));
    let record = odd.join("my record");
    interrupt(&record);
    assert_eq!(read(&record).unwrap().summary.len(), 1);
    let command = advice(&sentence(&measure(&odd, &file, &options), 1));
    let went_on = followed(&command, &odd);
    assert_eq!(went_on.code, Some(0), "{command}: {}", went_on.err);
    let whole = read(&record).unwrap();
    assert!(whole.run.finished.is_some());
    assert_eq!((whole.summary.len(), whole.run.seed, whole.run.threads), (3, 9, 1));
    // a finished one is in the way too, but there is nothing to go on with
    let finished = sentence(&measure(&odd, &file, &options), 1);
    assert!(
        finished.contains("already holds a record; choose") && !finished.contains("--resume"),
        "{finished}"
    );

    for shard in ["1/2", "2/2"] {
        let out = format!("shard {}", &shard[..1]);
        assert_eq!(measure(&odd, &file, &["--shard", shard, "--out", &out]).code, Some(0));
    }
    interrupt(&odd.join("shard 1"));
    let merge = || done(pcnbench().args(["merge", "shard 1", "shard 2", "--no-plots"]).current_dir(&odd));
    let command = advice(&sentence(&merge(), 1));
    let went_on = followed(&command, &odd);
    assert_eq!(went_on.code, Some(0), "{command}: {}", went_on.err);
    assert_eq!(merge().code, Some(0));
}

/// Below a results folder the latest is found, by its suite or without.
#[test]
fn a_suite_behind_resume_stays_a_suite() {
    let (dir, odd, file) = session();
    let [first, second] = ["1/2", "2/2"].map(|shard| {
        assert_eq!(measure(&odd, &file, &["--shard", shard]).code, Some(0));
        let class = odd.join("results").join(&names(&odd.join("results"))[0]);
        let of = shard.replace('/', "of");
        class.join(names(&class).into_iter().find(|name| name.ends_with(&of)).unwrap())
    });
    for words in [
        &["run", "--shard", "1/2", "--resume"][..],
        &["run", "--shard", "1/2", "--resume", &file],
        &["run", &file, "--shard", "1/2", "--resume"],
        &["run", "--resume", &file, "--shard", "1/2"],
        &["run", "--shard", "1/2", "--resume", &arg(&first)],
        &["run", &file, "--shard", "1/2", "--resume", &arg(&first)],
        &["run", "--resume", &arg(&first)],
        // the later of two
        &["run", "--resume"],
    ] {
        interrupt(&first);
        if words.len() == 2 {
            // not this one
            assert!(read(&second).unwrap().run.finished.is_some());
        }
        let more = ["--allow-debug-build", "--no-plots"];
        let went_on = done(pcnbench().args(words).args(more).current_dir(&odd));
        assert_eq!(went_on.code, Some(0), "{words:?}: {}", went_on.err);
        assert!(read(&first).unwrap().run.finished.is_some(), "{words:?}");
    }
    let none = refused(&["run", "--allow-debug-build", "--resume", "--results", &arg(dir.path())]);
    says(&none, &["there is no unfinished record of this machine under ", "run without --resume"]);
    let twice = refused(&["run", &file, "--allow-debug-build", "--resume", "quick"]);
    says(&twice, &["--resume quick: this is a suite", "name one suite"]);
}

/// Data, and options that contradict what was begun.
#[test]
fn a_record_goes_on_with_its_own_data_and_refuses_other_options() {
    let (_dir, odd, file) = session();
    let data = odd.join("the data");
    fs::create_dir(&data).unwrap();
    for half in ["train", "t10k"] {
        crate::idx::half(&data, half, 3, &[9; 36], &[1, 2, 3, 4]).unwrap();
    }
    assert_eq!(measure(&odd, &file, &["--data", "the data", "--out", "r"]).code, Some(0));
    interrupt(&odd.join("r"));
    let go_on = |more: &[&str]| {
        let words = ["run", "--resume", "r", "--allow-debug-build", "--no-plots"];
        done(pcnbench().args(words).args(more).current_dir(&odd))
    };
    says(&sentence(&go_on(&["--seed", "8"]), 1), &["cannot be resumed", "another definition"]);
    says(&sentence(&go_on(&["--shard", "1/2"]), 1), &["cannot be resumed", "it is the whole suite"]);
    let went_on = go_on(&[]);
    assert_eq!(went_on.code, Some(0), "{}", went_on.err);
    assert_eq!(read(&odd.join("r")).unwrap().summary.len(), 4);
    assert_eq!(run(&["report", &arg(odd.join("r"))]).code, Some(0));
}
