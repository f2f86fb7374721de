//! The build script on compiler reports. The report is what nvcc 13.0 said about kernels
//! written to spill, with a frame given to the function that one of them calls.

#[path = "../build/ptxas.rs"]
mod ptxas;

use pcnbench_kernels::sources::{self, Spill, SOURCES, SPILLS};
use ptxas::{judge, read, Usage};

const REPORT: &str = "\
ptxas warning : Registers are spilled to local memory in function 'much', 1224 bytes spill stores, 1272 bytes spill loads
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'caller' for 'sm_90'
ptxas info    : Function properties for caller
    80 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 22 registers, used 0 barriers, 80 bytes cumulative stack size
ptxas info    : Compile time = 9.606 ms
ptxas info    : Function properties for _Z6calledfi
    16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Compiling entry function 'indexed' for 'sm_90'
ptxas info    : Function properties for indexed
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 51 registers, used 0 barriers
ptxas info    : Compile time = 12.395 ms
ptxas info    : Compiling entry function 'much' for 'sm_90'
ptxas info    : Function properties for much
    648 bytes stack frame, 1224 bytes spill stores, 1272 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 648 bytes cumulative stack size
";

fn usage(kernel: &str, registers: u32, frame: u32, spilled: u32) -> Usage {
    Usage { kernel: kernel.to_owned(), target: "sm_90".to_owned(), registers, frame, spilled }
}

#[test]
fn every_kernel_of_a_report_is_read() {
    let expected =
        [usage("caller", 22, 80 + 16, 0), usage("indexed", 51, 0, 0), usage("much", 32, 648, 1224 + 1272)];
    assert_eq!(read(REPORT).unwrap(), expected);
    assert_eq!(read("").unwrap(), []);
}

#[test]
fn a_report_in_another_format_is_no_silence() {
    let without = REPORT.replace("bytes stack frame", "bytes of frame");
    assert!(read(&without)
        .unwrap_err()
        .contains("says nothing about local memory or registers of kernel `caller`"));
    let without = REPORT.replace("Used ", "Takes ");
    assert!(read(&without).is_err());
}

#[test]
fn local_memory_needs_to_be_allowed() {
    let targets = ["sm_90".to_owned()];
    let kernels = ["caller", "indexed", "much"];
    let found = read(REPORT).unwrap();
    let wrong = judge(&found, &kernels, &targets, &[]).unwrap_err();
    assert_eq!(wrong.lines().count(), 2, "{wrong}");
    assert!(wrong.contains("`much` uses 648 bytes of stack frame and spills 2496 bytes"), "{wrong}");
    let allow = |kernel, frame, spilled| Spill { kernel, frame, spilled, reason: "a test" };
    let enough = [allow("caller", 96, 0), allow("much", 648, 2496)];
    assert_eq!(judge(&found, &kernels, &targets, &enough), Ok(()));
    for short in [[allow("caller", 95, 0), enough[1]], [enough[0], allow("much", 648, 2495)]] {
        assert_eq!(judge(&found, &kernels, &targets, &short).unwrap_err().lines().count(), 1);
    }
}

#[test]
fn a_kernel_that_is_listed_and_not_built_or_built_and_not_listed_is_said() {
    let found = [usage("much", 32, 0, 0)];
    let targets = ["sm_80".to_owned(), "sm_90".to_owned()];
    let wrong = judge(&found, &["much"], &targets, &[]).unwrap_err();
    assert!(wrong.contains("`much` is listed in kernels/sources.rs but not built for sm_80"), "{wrong}");
    let wrong = judge(&found, &[], &[], &[]).unwrap_err();
    assert!(wrong.contains("`much` is not listed"), "{wrong}");
}

/// The list is complete: every file, every `KERNEL(`, every macro of a mutant, and nothing else.
#[test]
fn the_list_of_sources_is_complete() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = ["cuda", "emu"]
        .into_iter()
        .flat_map(|folder| {
            std::fs::read_dir(root.join(folder)).unwrap().map(move |entry| (folder, entry.unwrap()))
        })
        .filter_map(|(folder, entry)| {
            Some(format!("{folder}/{}", entry.file_name().to_str()?.strip_suffix(".cu")?))
        })
        .collect();
    files.sort();
    let mut listed: Vec<_> = SOURCES.iter().map(|source| source.path).collect();
    listed.sort_unstable();
    assert_eq!(files, listed);

    let headers = std::fs::read_dir(root.join("cuda")).unwrap().map(|entry| entry.unwrap().path());
    let headers = headers.filter(|path| path.extension().is_some_and(|end| end == "cuh"));
    let headers: String = headers.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let words = |text: &str, before: &str| -> Vec<String> {
        let after = text.split(before).skip(1);
        let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        after.map(word).collect()
    };
    for source in SOURCES {
        let text = std::fs::read_to_string(root.join(format!("{}.cu", source.path))).unwrap();
        // names that the preprocessor concatenates are checked by the build, in the report of ptxas
        if words(&text, "##").is_empty() {
            assert_eq!(words(&text, "\nKERNEL("), source.kernels, "{}", source.path);
        }
        for mutant in source.mutants {
            assert!(mutant.name.starts_with("MUTANT_"), "{}", mutant.name);
            let used = [&text, &headers].iter().any(|text| text.contains(mutant.name));
            assert!(used, "{} is in neither {}.cu nor a header", mutant.name, source.path);
        }
        for name in words(&text, "MUTANT_") {
            let name = format!("MUTANT_{name}");
            assert!(
                source.mutants.iter().any(|mutant| mutant.name == name),
                "{name} of {} is not listed",
                source.path
            );
        }
    }
    for name in words(&headers, "MUTANT_") {
        let name = format!("MUTANT_{name}");
        let listed = SOURCES.iter().flat_map(|source| source.mutants).any(|mutant| mutant.name == name);
        assert!(listed, "{name} of a header is not listed");
    }
    assert!(SPILLS.iter().all(|spill| !spill.reason.is_empty()));
}
