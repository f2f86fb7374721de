//! Compiles the kernels for the emulator, once clean and once for each mutant.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::parallel;
use crate::sources::SOURCES;

const RUNTIME: [&str; 4] = ["emu/fiber.cpp", "emu/launch.cpp", "emu/operations.cpp", "emu/entry.cpp"];

/// Links the emulator and all variants into the crate.
///
/// # Errors
/// In one sentence, if there is no C++17 compiler, or none with what AddressSanitizer needs.
pub fn build(root: &Path, out: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=PCNBENCH_EMU_ASAN");
    println!("cargo::rustc-check-cfg=cfg(emu_asan)");
    let asan = env::var_os("PCNBENCH_EMU_ASAN").is_some_and(|value| value != "0" && !value.is_empty());
    let compiler = compiler(root, out, asan).try_get_compiler().map_err(|error| missing(&error))?;
    if asan {
        link_asan(compiler.path())?;
        println!("cargo::rustc-cfg=emu_asan");
    }

    let runtime = RUNTIME.map(|file| root.join(file));
    compiler_for(root, out, asan, "runtime")?.files(runtime).try_compile("pcnbench_emu").map_err(
        |error| match error.to_string() {
            text if text.contains("ToolNotFound") => missing(&error),
            text => format!("the emulator in kernels/emu does not compile: {text}"),
        },
    )?;
    let variants = SOURCES.iter().flat_map(|source| {
        let mutated = source.mutants.iter().filter(move |mutant| mutant.is_built(asan));
        let mutated = mutated.map(move |mutant| (source.path, mutant.name));
        std::iter::once((source.path, "clean")).chain(mutated)
    });
    let jobs = variants.map(|(path, variant)| move || compile(root, out, asan, path, variant));
    parallel::all(jobs.collect()).map(|_: Vec<()>| ())
}

/// Compiles one variant of a source.
fn compile(root: &Path, out: &Path, asan: bool, path: &str, variant: &str) -> Result<(), String> {
    let stem = path.replace('/', "_");
    let mut build = compiler_for(root, out, asan, &format!("{stem}-{variant}"))?;
    build.file(root.join("emu/kernel.cpp"));
    build.define("PCNBENCH_EMU_SOURCE", format!("\"{}.cu\"", root.join(path).display()).as_str());
    build.define("PCNBENCH_EMU_VARIANT", format!("\"{variant}\"").as_str());
    if variant != "clean" {
        build.define(variant, None);
    }
    // Kernels register themselves before main; the linker would drop objects that no code calls.
    build.link_lib_modifier("+whole-archive");
    build.try_compile(&format!("pcnbench_emu_{stem}_{variant}")).map_err(|error| {
        format!("{path}.cu does not compile as variant `{variant}` in the emulator: {error}")
    })
}

fn compiler(root: &Path, out: &Path, asan: bool) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(true).extra_warnings(true).warnings_into_errors(true);
    // In every profile: without optimisation a fiber's stack is too small, and tests take minutes. The GPU contracts
    // multiplications and additions as well.
    build.opt_level(1).debug(true).include(root.join("emu")).include(root.join("cuda")).out_dir(out);
    build.define("PCNBENCH_EMU", None).flag("-Wno-unknown-pragmas");
    if asan {
        build.flag("-fsanitize=address").flag("-fno-omit-frame-pointer");
    }
    build
}

/// A compiler whose objects do not overwrite those of another variant.
fn compiler_for(root: &Path, out: &Path, asan: bool, name: &str) -> Result<cc::Build, String> {
    let folder = out.join(name);
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    Ok(compiler(root, &folder, asan))
}

fn missing(error: &cc::Error) -> String {
    let error = error.to_string();
    let first = error.lines().next().unwrap_or_default();
    format!("feature `emu` needs a C++17 compiler; install g++ or clang++, or name one in CXX ({first})")
}

/// Links the sanitizer's run-time library into test programs, whole and ahead of the C library, so that it sees
/// Rust's allocations too: a kernel that reads past the end of a Rust slice is then found.
fn link_asan(compiler: &Path) -> Result<(), String> {
    let mut ask = Command::new(compiler);
    let answer = ask.arg("-print-file-name=libasan.a").output();
    let library = answer.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let library = PathBuf::from(library.trim());
    if !library.is_absolute() {
        return Err(format!(
            "PCNBENCH_EMU_ASAN needs g++ and its libasan.a, and {} has none; install it or unset the variable",
            compiler.display()
        ));
    }
    println!("cargo::rustc-link-arg=-Wl,--whole-archive,{},--no-whole-archive", library.display());
    for argument in ["-Wl,--export-dynamic", "-lstdc++", "-lm", "-ldl", "-lpthread", "-lrt"] {
        println!("cargo::rustc-link-arg={argument}");
    }
    Ok(())
}
