//! `--threads`: what is asked for is what computes and what the record says.

use std::fs;

use serde_json::Value;

use crate::session::{arg, done, pcnbench, run, says, sentence, succeeds, suite, TINY};

fn processors() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// What `doctor` finds: `(what, found)` of one row.
fn doctor(what: &str, variable: Option<&str>, args: &[&str]) -> (String, String) {
    let mut command = pcnbench();
    match variable {
        Some(text) => command.env("RAYON_NUM_THREADS", text),
        None => command.env_remove("RAYON_NUM_THREADS"),
    };
    let done = done(command.args(["doctor", "--format", "json"]).args(args));
    assert_eq!(done.code, Some(0), "{}", done.err);
    let rows: Vec<Value> = serde_json::from_str(&done.out).unwrap();
    let row = rows.iter().find(|row| row["what"] == what).unwrap();
    (row["found"].as_str().unwrap().to_owned(), done.err)
}

#[test]
fn a_run_on_one_thread_records_one() {
    let (dir, file) = suite(TINY);
    for (name, asked, variable) in [("a", "1", processors()), ("b", &*processors().to_string(), 1)] {
        let out = dir.path().join(name);
        let mut command = pcnbench();
        command.env("RAYON_NUM_THREADS", variable.to_string());
        command.args([
            "run",
            &file,
            "--allow-debug-build",
            "--no-plots",
            "--threads",
            asked,
            "--out",
            &arg(&out),
        ]);
        let done = done(&mut command);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
        let header: Value = serde_json::from_str(&fs::read_to_string(out.join("run.json")).unwrap()).unwrap();
        assert_eq!(header["threads"].to_string(), asked);
        assert!(done.out.contains(&format!(", {asked} threads\n")), "{}", done.out);
    }
}

#[test]
fn more_threads_than_processors_or_none_are_refused() {
    let many = (processors() + 1).to_string();
    for command in ["run", "verify", "doctor"] {
        for asked in ["0", &many, "18446744073709551615"] {
            let done = run(&[command, "--threads", asked]);
            assert_eq!(done.out, "");
            let range = format!("give a number from 1 to {}", processors());
            says(&sentence(&done, 1), &[&format!("--threads {asked}: "), &range]);
        }
        for no_number in ["", "two", "-1", "1.5", "18446744073709551616"] {
            let done = run(&[command.to_owned(), format!("--threads={no_number}")]);
            assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
            says(&done.err, &["invalid value", "--threads <N>"]);
        }
    }
}

/// The number of cores is that of this process: a quota or affinity below it counts.
#[test]
fn without_the_option_the_variable_and_then_the_cores_decide() {
    let (cores, _) = doctor("cores", None, &[]);
    let physical = cores.split(' ').next().unwrap().to_owned();
    let (threads, err) = doctor("threads", None, &[]);
    assert_eq!(
        (threads.starts_with(&format!("{physical} (physical cores")), err.as_str()),
        (true, ""),
        "{threads}"
    );
    assert_eq!(doctor("threads", Some("1"), &[]), ("1 (RAYON_NUM_THREADS)".into(), String::new()));
    assert_eq!(doctor("threads", Some("64"), &["--threads", "1"]), ("1 (--threads)".into(), String::new()));

    let (lowered, warning) = doctor("threads", Some("100000"), &[]);
    // all processors may be all cores, and workers are then pinned
    assert!(lowered.starts_with(&format!("{} (RAYON_NUM_THREADS)", processors())), "{lowered}");
    says(&warning, &["WARN", "RAYON_NUM_THREADS=100000 is more than"]);
    let (left_out, warning) = doctor("threads", Some("many"), &[]);
    assert!(left_out.starts_with(&format!("{physical} (physical cores")), "{left_out}");
    says(&warning, &["WARN", "RAYON_NUM_THREADS is `many`"]);
}

#[test]
fn results_of_a_check_do_not_depend_on_threads() {
    let cases = ["verify", "--cases", "tests/cases", "--engine", "fused", "--rule", "spc"];
    let one = succeeds(&[&cases[..], &["--threads", "1"]].concat());
    assert!(one.lines().count() > 1);
    let all = succeeds(&[&cases[..], &["--threads", &processors().to_string()]].concat());
    assert_eq!(one, all);
}
