//! Compiles the kernels for GPUs, with nvcc and without a GPU.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::sources::{Source, CAPABILITIES, NVCC_FLAGS, SOURCES, SPILLS};
use crate::{parallel, ptxas};

/// Leaves `modules.rs` in `out`: every module with its image, its kernels and the hash of what it was made from.
///
/// # Errors
/// In one sentence, if nvcc is missing, does not compile a source, or leaves registers in local memory.
pub fn build(root: &Path, out: &Path) -> Result<(), String> {
    let nvcc = nvcc();
    let release = Command::new(&nvcc).arg("--version").output().map_err(|error| {
        format!(
            "feature `cuda` needs nvcc, and {} does not start ({error}); run `eval \"$(scripts/cuda-toolkit.sh)\"`, or \
             name one in NVCC or its toolkit in CUDA_HOME",
            nvcc.display()
        )
    })?;
    println!("cargo::rerun-if-env-changed=PCNBENCH_CUDA_ARCHS");
    let targets = env::var("PCNBENCH_CUDA_ARCHS").unwrap_or_else(|_| CAPABILITIES.join(","));
    let targets: Vec<&str> = targets.split(',').map(str::trim).collect();
    if targets.iter().any(|target| target.len() < 2 || !target.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(format!(
            "PCNBENCH_CUDA_ARCHS is `{}`; expected compute capabilities such as 80,90",
            targets.join(",")
        ));
    }
    let headers = headers(&root.join("cuda"))?;
    let mut modules = String::from("&[\n");
    let mut usage = String::new();
    let sources: Vec<_> = SOURCES.iter().filter(|source| source.for_gpu).collect();
    let files: Vec<_> = sources
        .iter()
        .map(|source| {
            let name = source.path.rsplit('/').next().unwrap_or(source.path);
            (name, root.join(source.path).with_extension("cu"), out.join(format!("{name}.fatbin")))
        })
        .collect();
    // the sources that compile longest are last in the list, so they start first
    let jobs = files.iter().rev().map(|(_, file, image)| || compile(&nvcc, root, file, image, &targets));
    let mut reports = parallel::all(jobs.collect())?;
    for (source, (name, file, image)) in sources.iter().zip(&files) {
        let report = reports.pop().ok_or_else(|| format!("{name}.cu was not compiled"))?;
        let size =
            fs::metadata(image).map_err(|error| format!("nvcc left no {}: {error}", image.display()))?.len();
        // A stand-in for nvcc writes empty files, which have no usage to read.
        if size > 0 {
            let found = ptxas::read(&report)?;
            let targets: Vec<_> = targets.iter().map(|target| format!("sm_{target}")).collect();
            ptxas::judge(&found, source.kernels, &targets, SPILLS)?;
            for kernel in &found {
                let _ = writeln!(
                    usage,
                    "{} {}: {} registers, {} bytes of stack frame, {} bytes spilled",
                    kernel.kernel, kernel.target, kernel.registers, kernel.frame, kernel.spilled
                );
            }
        }
        let hash = hash(source, file, &headers, &targets, &release.stdout)?;
        let _ = writeln!(
            modules,
            "Module {{ name: {:?}, image: include_bytes!({:?}), kernels: &{:?} }},",
            format!("pcnbench-{name}-{hash}"),
            image,
            source.kernels
        );
    }
    modules.push(']');
    write(&out.join("modules.rs"), &modules)?;
    write(&out.join("usage.txt"), &usage)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn nvcc() -> PathBuf {
    for name in ["NVCC", "CUDA_HOME", "CUDA_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Some(named) = env::var_os("NVCC") {
        return named.into();
    }
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    homes
        .map(|home| Path::new(&home).join("bin/nvcc"))
        .find(|nvcc| nvcc.exists())
        .unwrap_or_else(|| "nvcc".into())
}

/// Machine code for every compute capability and PTX for the last; returns the report of ptxas.
fn compile(nvcc: &Path, root: &Path, file: &Path, image: &Path, targets: &[&str]) -> Result<String, String> {
    let mut command = Command::new(nvcc);
    command.args(NVCC_FLAGS).arg("-I").arg(root.join("cuda"));
    if traced() {
        command.arg("-DPCNBENCH_TRACE");
    }
    for target in targets {
        command.arg(format!("-gencode=arch=compute_{target},code=sm_{target}"));
    }
    if let Some(last) = targets.last() {
        command.arg(format!("-gencode=arch=compute_{last},code=compute_{last}"));
    }
    command.arg("-o").arg(image).arg(file);
    let output = command.output().map_err(|error| format!("{} does not start: {error}", nvcc.display()))?;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("nvcc does not compile {}:\n{said}", file.display()))
    }
}

/// Whether kernels record when phases of a step begin.
fn traced() -> bool {
    env::var_os("CARGO_FEATURE_TRACE").is_some()
}

fn headers(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot read {}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "cuh") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Hash of source, headers, flags, compute capabilities and compiler: everything that determines the image. Part of the
/// module's name, because modules are cached by name.
fn hash(
    source: &Source,
    file: &Path,
    headers: &[PathBuf],
    targets: &[&str],
    release: &[u8],
) -> Result<String, String> {
    let mut digest = Sha256::new();
    for path in std::iter::once(file).chain(headers.iter().map(PathBuf::as_path)) {
        let text = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    digest.update(format!("{} {NVCC_FLAGS:?} {} {targets:?}", source.path, traced()));
    digest.update(release);
    Ok(digest.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
