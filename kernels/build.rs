//! Compiles the kernels: for GPUs (feature `fatbin`, part of `cuda`), for the emulator (feature `emu`), or neither.

#[cfg(any(feature = "emu", feature = "fatbin"))]
#[allow(dead_code, reason = "each feature needs its part of the list")]
mod sources;

#[cfg(feature = "emu")]
#[path = "build/emu.rs"]
mod emu;
#[cfg(feature = "fatbin")]
#[path = "build/fatbin.rs"]
mod fatbin;
#[cfg(any(feature = "emu", feature = "fatbin"))]
#[path = "build/parallel.rs"]
mod parallel;
#[cfg(feature = "fatbin")]
#[path = "build/ptxas.rs"]
mod ptxas;

fn main() {
    for path in ["build.rs", "sources.rs", "build", "cuda", "emu"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rustc-check-cfg=cfg(emu_asan)");
    #[cfg(any(feature = "emu", feature = "fatbin"))]
    {
        use std::path::PathBuf;
        let folder = |name| std::env::var_os(name).map(PathBuf::from).unwrap_or_default();
        let (root, out) = (folder("CARGO_MANIFEST_DIR"), folder("OUT_DIR"));
        #[cfg(feature = "fatbin")]
        end_with(fatbin::build(&root, &out));
        #[cfg(feature = "emu")]
        end_with(emu::build(&root, &out));
    }
}

/// An error as cargo shows it, and nothing else: a script that fails in another way has all its output printed.
#[cfg(any(feature = "emu", feature = "fatbin"))]
fn end_with(result: Result<(), String>) {
    if let Err(message) = result {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}
