//! Notes which code is being built, for the header of every record: commit, local changes, lockfile,
//! compiler, Candle. Whatever cannot be found out is `unknown`: a tarball builds as well as a checkout.
//!
//! Lists the suites that come with the program, every TOML file under `benches/suites`, and the architectures that suites
//! can name, every file under `src/net/architecture`.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use sha2::{Digest, Sha256};

/// What the program is compiled from; changes elsewhere (prose, recordings) do not make a build dirty.
const SOURCES: [&str; 7] = ["src", "kernels", "assets", SUITES, "build.rs", "Cargo.toml", "Cargo.lock"];

/// Folder of the suites that come with the program.
const SUITES: &str = "benches/suites";

/// Folder of the architectures.
const ARCHITECTURES: &str = "src/net/architecture";

fn main() -> ExitCode {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    for source in SOURCES {
        watch(&root.join(source));
    }
    let code = checkout(&root).or_else(|| package(&root)).unwrap_or_default();
    let lockfile = fs::read(root.join("Cargo.lock")).ok();
    let rustc = env::var_os("RUSTC").and_then(|rustc| output(Command::new(rustc).arg("--version")));
    let digest =
        |bytes: &Vec<u8>| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();

    set("PCNBENCH_REV", code.rev);
    set("PCNBENCH_DIRTY", Some(code.dirty.to_string()));
    set("PCNBENCH_LOCK_SHA256", lockfile.as_ref().map(digest));
    set("PCNBENCH_CANDLE", lockfile.as_deref().and_then(|lock| locked_version(lock, "candle-core")));
    set("PCNBENCH_RUSTC", rustc);

    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let tables = [
        ("suites.rs", SUITES, suites(&root.join(SUITES))),
        ("architectures.rs", ARCHITECTURES, architectures(&root.join(ARCHITECTURES))),
    ];
    for (file, folder, table) in tables {
        if let Err(e) = table.and_then(|table| fs::write(out.join(file), table)) {
            println!("cargo::error=the files under {folder} cannot be listed: {e}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Names without their ending of the files in a folder, sorted.
fn stems(folder: &Path, ending: &str) -> io::Result<Vec<String>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let files = paths.into_iter().filter(|path| path.extension().is_some_and(|own| own == ending));
    let name = |path: PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        stem.ok_or_else(|| io::Error::other(format!("the name of {} is not UTF-8", path.display())))
    };
    let mut names = files.map(name).collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// The expression that `src/suite/built_in.rs` includes: name and text of each suite, sorted by name.
fn suites(folder: &Path) -> io::Result<String> {
    // A path relative to the package, so that equal sources make equal programs wherever they lie.
    let row = |name: &String| {
        let path = format!("/{SUITES}/{name}.toml");
        format!("    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),\n")
    };
    Ok(format!("&[\n{}]\n", stems(folder, "toml")?.iter().map(row).collect::<String>()))
}

/// The items that `src/net/architecture/mod.rs` includes: a module for each other file that holds no tests, and the table
/// of their entries. The included file lies elsewhere, so that paths in it must be absolute.
fn architectures(folder: &Path) -> io::Result<String> {
    let mut names = stems(folder, "rs")?;
    names.retain(|name| name != "mod" && !name.ends_with("_tests"));
    let module = |name: &String| {
        let path = folder.join(format!("{name}.rs"));
        format!("#[path = {path:?}]\npub mod {name};\n")
    };
    let modules: String = names.iter().map(module).collect();
    let entries: String = names.iter().map(|name| format!("    {name}::KIND,\n")).collect();
    Ok(format!(
        "{modules}\n/// Every architecture, sorted by file name.\npub const KINDS: &[Kind] = &[\n{entries}];\n"
    ))
}

#[derive(Default)]
struct Code {
    rev: Option<String>,
    dirty: bool,
}

/// The commit of the repository whose top is `root`.
fn checkout(root: &Path) -> Option<Code> {
    let ask = |args: &[&str]| {
        let mut git = Command::new("git");
        // Reading must not refresh the index: that would set off the next build.
        git.arg("--no-optional-locks").arg("-C").arg(root).args(args);
        // Set while hooks run, for a repository that may be another one.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        output(&mut git)
    };
    // An unpacked tarball may lie inside a repository that has nothing to do with it.
    let top = PathBuf::from(ask(&["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // In a linked worktree `.git` is a file, HEAD and index lie in one folder and branches in another.
    let own = root.join(ask(&["rev-parse", "--git-dir"])?);
    let common = root.join(ask(&["rev-parse", "--git-common-dir"])?);
    // The log of HEAD grows with every commit, even where the branch itself is a packed reference.
    for name in ["HEAD", "index", "logs/HEAD"] {
        watch(&own.join(name));
    }
    watch(&common.join("packed-refs"));
    if let Some(branch) = ask(&["symbolic-ref", "--quiet", "HEAD"]) {
        watch(&common.join(branch));
    }
    let rev = ask(&["rev-parse", "--short=9", "HEAD"])?;
    let changes = ask(&[&["status", "--porcelain", "--untracked-files=no", "--"][..], &SOURCES[..]].concat());
    Some(Code { rev: Some(rev), dirty: changes.is_none_or(|changes| !changes.is_empty()) })
}

/// The commit that `cargo package` noted in a published package.
fn package(root: &Path) -> Option<Code> {
    let path = root.join(".cargo_vcs_info.json");
    watch(&path);
    let info = fs::read_to_string(path).ok()?;
    let (_, rest) = info.split_once("\"sha1\"")?;
    let hash = rest.split('"').nth(1)?;
    let rev = hash.get(..9).filter(|rev| rev.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some(Code { rev: Some(rev.to_owned()), dirty: info.contains("\"dirty\": true") })
}

/// Version of `package` in a lockfile.
fn locked_version(lock: &[u8], package: &str) -> Option<String> {
    let text = std::str::from_utf8(lock).ok()?;
    let mut lines = text.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

/// Standard output of a command that succeeds, trimmed.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// A path that is not there would make every build run this again.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn set(name: &str, value: Option<String>) {
    println!("cargo::rustc-env={name}={}", value.as_deref().unwrap_or("unknown"));
}
