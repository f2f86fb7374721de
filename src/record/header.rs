//! The wire types of `run.json` and `machine.json`: what was run, and where.

use serde::{Deserialize, Serialize};

use super::shard::Shard;
use crate::{Error, Result};

/// File of [`Run`].
pub(super) const RUN: &str = "run.json";
/// File of [`Machine`].
pub(super) const MACHINE: &str = "machine.json";

/// `run.json`: what was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// [`SCHEMA`](super::SCHEMA) of the writer.
    pub schema: u32,
    /// Suite name, e.g. `quick`.
    pub suite: String,
    /// The suite's own sentence about what it is meant to show.
    pub about: String,
    /// The suite definition (TOML text) after command-line overrides.
    pub definition: String,
    /// SHA-256 of `definition`; points of two records compare only if it is equal.
    pub definition_sha256: String,
    /// Seed of every random stream of the run.
    pub seed: u64,
    /// Command line as typed, program name first.
    pub argv: Vec<String>,
    /// Start, RFC 3339 UTC.
    pub started: String,
    /// End, RFC 3339 UTC; absent while the run is unfinished.
    pub finished: Option<String>,
    /// Version of this program.
    pub version: String,
    /// Short commit hash that was built, or `unknown`.
    pub rev: String,
    /// Whether the built tree differed from that commit.
    pub dirty: bool,
    /// SHA-256 of the `Cargo.lock` that was built.
    pub lockfile_sha256: String,
    /// Cargo features compiled in.
    pub features: Vec<String>,
    /// How threads and devices were set up, where that changes times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<String>,
    /// Version of Candle.
    pub candle: String,
    /// Worker threads offered to Candle and rayon.
    pub threads: usize,
    /// Training and test data, e.g. `digits (1437 + 360, 64 -> 10)`.
    pub data: Vec<String>,
    /// Measured ceilings and reference rates, one per quantity, dtype, device and number of threads.
    pub ceilings: Vec<Ceiling>,
    /// Things the reader should know: a busy machine, contended samples and the like.
    pub warnings: Vec<String>,
    /// Which part of the suite's points this record holds; absent if all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The shards this record was merged from, in order; absent if it was measured as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardRun>,
    /// The compiler, as it names itself.
    pub rustc: String,
}

/// What is particular to one of the shards that a record was merged from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardRun {
    /// Which.
    pub shard: Shard,
    /// Its command line as typed.
    pub argv: Vec<String>,
    /// Its start, RFC 3339 UTC.
    pub started: String,
    /// Its end, RFC 3339 UTC.
    pub finished: String,
    /// Main memory of its machine in bytes.
    pub memory_bytes: u64,
    /// Operating system and kernel of its machine.
    pub os: String,
    /// Ceilings it measured; the highest of each kind over all shards is in [`Run::ceilings`].
    pub ceilings: Vec<Ceiling>,
}

/// A rate measured on this machine in this run.
///
/// `fma` is a ceiling: no product on as many threads can exceed it. The others are reference rates, which can be exceeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// `fma` (multiply-adds between registers, FLOP/s), `gemm` (square matrix products, FLOP/s), `product` (those of a
    /// layer of the suite, FLOP/s), `copy` (bytes/s, read plus written) or `read` (bytes/s).
    pub quantity: String,
    /// `f32` or `f64`.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Worker threads.
    pub threads: usize,
    /// Where the best rate was found, e.g. `1024x1024x1024` or `avx512f`; for `product` batch, units and inputs.
    pub at: String,
    /// FLOP/s or bytes/s.
    pub per_second: f64,
    /// For `fma`: the highest clock of a core that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_hz: Option<f64>,
    /// For `product`: whose product was best, `candle` or `fused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// `machine.json`: where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Machine class, the folder name under `results/`: `cpu-<model>-<cores>c` or the GPU's name.
    pub class: String,
    /// CPU model name.
    pub cpu: String,
    /// Physical cores, or logical where the system does not tell.
    pub physical_cores: usize,
    /// Logical processors this process may use.
    pub logical_cpus: usize,
    /// SIMD extensions that matter to GEMM and are present, e.g. `avx2 fma avx512f`.
    pub simd: String,
    /// Main memory in bytes that the process may use; 0 if unknown.
    pub memory_bytes: u64,
    /// Operating system and kernel.
    pub os: String,
    /// GPU name, empty without one.
    pub gpu: String,
    /// GPU driver version, empty without one.
    pub driver: String,
    /// Size of all data caches together, every level and core of the machine; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_bytes: Option<u64>,
}

pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::Invalid(format!("a record header cannot be written as JSON: {e}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}
