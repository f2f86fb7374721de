//! The tests that the clean kernels pass catch every mutant.

use std::process::Command;

use pcnbench_kernels::emu::ASAN;
use pcnbench_kernels::sources::SOURCES;

type Battery = fn(&str) -> Result<(), String>;

/// The tests of a source; several sources may share them.
fn battery(path: &str) -> Result<(&'static str, Battery), String> {
    match path {
        "cuda/relax" | "cuda/elementwise" | "cuda/learn" => Ok(("calls", crate::call::battery)),
        "cuda/primitives" => Ok(("primitives", crate::primitives::battery)),
        "cuda/persistent" => Ok(("persistent", crate::persistent::battery)),
        "cuda/sweep" => Ok(("sweeps", crate::persistent::sweep_battery)),
        _ => Err(format!("there are no tests for {path}.cu; add them here")),
    }
}

/// Run in a process of its own: a mutant may end it.
#[test]
#[ignore = "what `every_mutant_is_caught` starts"]
fn child() {
    let (path, variant) =
        (std::env::var("PCNBENCH_SOURCE").unwrap(), std::env::var("PCNBENCH_VARIANT").unwrap());
    let (_, battery) = battery(&path).unwrap();
    if let Err(wrong) = battery(&variant) {
        println!("\ncaught: {wrong}");
        std::process::exit(9);
    }
}

/// What caught the mutant, or nothing.
fn caught(path: &str, variant: &str) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "mutants::child", "--nocapture"]);
    let output = child.env("PCNBENCH_SOURCE", path).env("PCNBENCH_VARIANT", variant).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() {
        // no test at all would succeed as well
        assert!(said.contains("1 passed"), "{said}");
        return None;
    }
    let mut lines = said.lines();
    let found =
        lines.find_map(|line| line.strip_prefix("caught: ").or(line.split_once("ERROR: ").map(|(_, e)| e)));
    Some(found.unwrap_or_else(|| panic!("{variant} of {path} failed without a reason: {said}")).to_owned())
}

#[test]
fn every_mutant_is_caught() {
    let (mut missed, mut clean) = (Vec::new(), Vec::new());
    // other mutants are caught without AddressSanitizer, under which tests take five times as long
    let wanted = |silent: bool| silent == ASAN;
    let sources = SOURCES.iter().filter(|source| source.for_gpu);
    for source in sources.filter(|source| source.mutants.iter().any(|mutant| wanted(mutant.silent))) {
        let (name, _) = battery(source.path).unwrap();
        if !clean.contains(&name) {
            assert_eq!(caught(source.path, "clean"), None, "{}", source.path);
            clean.push(name);
        }
        for mutant in source.mutants.iter().filter(|mutant| wanted(mutant.silent)) {
            match caught(source.path, mutant.name) {
                Some(by) => println!("{}: {} -- {by}", mutant.name, mutant.what),
                None => missed.push(format!("{} ({})", mutant.name, mutant.what)),
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
