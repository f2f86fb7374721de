//! What a run is, in the words of its record: program, suite, data, and how threads and devices are set up.

use pcnbench_kernels::device::switches as gpu_switches;

use crate::contender::backend::fused::engine as fused;
use crate::engine::EngineKind;
use crate::measure::gpu_state::GpuState;
use crate::measure::{self, affinity, build};
use crate::record::{Run, SCHEMA};
use crate::suite::DeviceKind;
use crate::Result;

use super::job::Job;
use super::point::Prepared;
use super::resources::Resources;
use super::strategies::{self, Ran};

/// The header of the record of a run that has not begun.
///
/// # Errors
/// If a device does not answer.
pub(super) fn header(
    job: &Job<'_>,
    resources: &Resources<'_>,
    prepared: &[Prepared<'_>],
    warnings: Vec<String>,
) -> Result<Run> {
    Ok(Run {
        schema: SCHEMA,
        suite: job.suite.name.clone(),
        about: job.suite.about.clone(),
        definition: job.suite.definition.clone(),
        definition_sha256: job.suite.definition_sha256(),
        seed: job.suite.seed,
        argv: job.argv.clone(),
        started: measure::utc_now(),
        finished: None,
        version: build::VERSION.to_owned(),
        rev: build::REV.to_owned(),
        dirty: build::dirty(),
        lockfile_sha256: build::LOCKFILE_SHA256.to_owned(),
        features: build::features(),
        switches: switches(resources, prepared)?,
        candle: build::CANDLE.to_owned(),
        threads: measure::threads(),
        data: data(resources),
        ceilings: Vec::new(),
        warnings,
        shard: job.shard,
        shards: Vec::new(),
        rustc: build::RUSTC.to_owned(),
    })
}

/// What disturbs times on the GPU in use, a sentence each.
pub(super) fn gpu_warnings(resources: &Resources<'_>) -> Vec<String> {
    let gpu = resources.opened().get(&DeviceKind::Cuda);
    gpu.map_or_else(Vec::new, |device| GpuState::of(device).warnings())
}

/// How threads and the devices in use were set up, where that changes times, and on which strategies the fused engine
/// runs there.
fn switches(resources: &Resources<'_>, prepared: &[Prepared<'_>]) -> Result<Vec<String>> {
    let mut switches = Vec::new();
    if affinity::pinned() {
        switches.push("each worker thread on a core of its own".to_owned());
    }
    if prepared.iter().any(Prepared::flushes_denormals) {
        switches.push("denormals flushed to zero in timed f32 work on the cpu".to_owned());
    }
    let Some(gpu) = resources.opened().get(&DeviceKind::Cuda) else { return Ok(switches) };
    switches.extend(gpu_switches(gpu).into_iter().map(str::to_owned));
    let mut ran = Vec::new();
    for p in prepared.iter().filter(|p| p.point.device == DeviceKind::Cuda) {
        let chosen = |kind: EngineKind| kind.is_fused() && kind != EngineKind::FusedDeviation;
        for spec in p.specs.iter().filter(|spec| chosen(spec.id.engine)) {
            // another network runs there by the reference alone
            if spec.graph()?.as_stack().is_err() {
                continue;
            }
            if let Some(choice) = fused::strategy(spec, p.point.batch, gpu)? {
                let who = format!("{} at {}", spec.id, p.point.id);
                ran.push(Ran { who, operands: spec.id.engine.operands(), choice });
            }
        }
    }
    switches.extend(strategies::lines(resources.found_strategies(), &ran));
    Ok(switches)
}

/// One line per data set: name, rows, sizes, fingerprint.
fn data(resources: &Resources<'_>) -> Vec<String> {
    let line = |d: &crate::data::Dataset| {
        format!(
            "{}: {} training + {} test rows, {} -> {}, sha256 {}",
            d.name,
            d.train.rows(),
            d.test.rows(),
            d.inputs,
            d.outputs,
            d.fingerprint()
        )
    };
    let mut lines: Vec<String> = resources.loaded().map(line).collect();
    lines.sort();
    lines
}
