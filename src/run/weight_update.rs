//! Time per weight update: one sample is one whole update, or the mean of several short ones, synchronised at both ends.

use std::cell::RefCell;
use std::collections::HashSet;

use candle_core::Device;
use pcnbench_kernels::denormals::Flush;
use rand::SeedableRng;
use sha2::{Digest, Sha256};

use crate::contender::{Contender, ContenderSpec};
use crate::data::{Batches, Dataset};
use crate::measure::affinity;
use crate::measure::delay::Scheduler;
use crate::measure::energy::{self, Meter};
use crate::measure::sampler::{self, Subject};
use crate::net::rng::{stream, Purpose};
use crate::record::{summarise, PointResult, Sample};
use crate::verify::twin;
use crate::{Error, Result};

use super::material::Material;
use super::point::Prepared;
use super::training::Training;
use super::{lost, Observer, Watch};

/// Batches that samples rotate through, so that no sample repeats the last one's input.
const ROTATION: usize = 8;

/// Share of waiting in what threads ran or waited during a round from which the calling thread does not insist on its core.
const CONTENDED: f64 = 0.1;

/// Verifies, measures and checks the accuracy of every contender of a point.
pub(super) fn measure(
    seed: u64,
    p: &Prepared<'_>,
    material: &mut Material<'_>,
    watch: &mut Watch,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    let device = material.device(p.point.device)?;
    let probe = material.probe();
    let failed = |e: Error| lost::row(e, &device, probe);
    let _flush = p.flushes_denormals().then(Flush::new);
    let batches: [_; ROTATION] = match p.brought(material.batches(p.benchmark, p.point), &device, probe)? {
        Ok(batches) => batches,
        Err(refused) => return Ok(refused),
    };
    let data = material.data(p.benchmark, p.point)?;
    let mut rows = p.specs.iter().map(|spec| p.row(spec)).collect::<Result<Vec<_>>>()?;

    // Everyone whom another contender's ratio is to: an interval is worth what is known of both of its ends.
    let baselines: HashSet<String> =
        rows.iter().filter(|row| row.baseline != row.contender).map(|row| row.baseline.clone()).collect();
    let controlled = |id: &str| id == p.benchmark.baseline.to_string() || baselines.contains(id);

    // who may be timed: index into rows (None for a control) and the subject
    let mut names: Vec<(Option<usize>, String)> = Vec::new();
    let mut trainings: Vec<Training<'_>> = Vec::new();
    let Watch { card, clocks, pauses } = watch;
    let scheduler = RefCell::new(Scheduler::of_this_process());
    let training = |contender| Training::new(contender, &batches, &device, card, &scheduler);
    for (i, spec) in p.specs.iter().enumerate() {
        observer.at(&p.point.id, &format!("verifying {}", spec.id));
        let built = twin::check(spec, seed, &device).and_then(|share| {
            rows[i].verify = Some(share);
            let control = p.benchmark.timing.control && controlled(&spec.id);
            with_control(|| Contender::new(spec, seed, &device), control)
        });
        let (contender, control) = match built {
            Ok(built) => built,
            Err(e) => {
                rows[i].err = failed(e)?;
                continue;
            }
        };
        names.push((Some(i), spec.id.clone()));
        trainings.push(training(contender));
        if let Some(control) = control {
            names.push((None, format!("{}{}", spec.id, summarise::CONTROL)));
            trainings.push(training(control));
        }
    }
    observer.at(&p.point.id, "warming up");
    let mut rng = rand_chacha::ChaCha8Rng::from_seed(order_seed(seed, &p.point.id));
    let mut subjects: Vec<Box<dyn Subject + '_>> =
        trainings.iter_mut().map(|training| Box::new(training) as Box<dyn Subject + '_>).collect();
    let mut held = device.is_cpu().then(affinity::hold);
    let times = || scheduler.borrow_mut().as_mut().and_then(Scheduler::times).unwrap_or_default();
    let mut before = times();
    let sampled = sampler::sample(&mut subjects, &p.benchmark.timing, &mut rng, clocks, pauses, |round| {
        observer.at(&p.point.id, &format!("round {round}"));
        if let Some(held) = &mut held {
            let now = times();
            held.give_way(now.delay_share_since(before) > CONTENDED);
            before = now;
        }
    });
    drop(held);
    drop(subjects);

    let meter = Meter::of(&device, card);
    let window = energy::share(p.benchmark.timing.max_seconds, p.specs.len());
    for (((row, name), outcome), training) in names.iter().zip(&sampled.subjects).zip(&mut trainings) {
        let (Some(i), true) = (row, outcome.is_ok()) else { continue };
        rows[*i].peak_bytes = training.peak_bytes;
        rows[*i].device_peak_bytes = training.device_peak_bytes;
        if let Some(meter) = &meter {
            observer.at(&p.point.id, &format!("energy of {name}"));
            // A contender that fails only now has been measured all the same; its energy stays unknown.
            rows[*i].energy_uj = match meter.per_call(&device, window, || training.update()) {
                Ok(spent) => spent,
                Err(e) => failed(e).map(|_| None)?,
            };
        }
    }
    drop(trainings);

    let mut samples = Vec::new();
    for ((row, name), outcome) in names.iter().zip(sampled.subjects) {
        match (outcome, row) {
            (Ok(timed), _) => samples.extend(timed.into_iter().map(|(round, t)| Sample {
                point: p.point.id.clone(),
                contender: name.clone(),
                round,
                wall_ns: t.wall_ns,
                device_ns: t.device_ns,
                checksum: t.checksum,
                delay_ns: t.delay_ns,
                sm_clock_mhz: t.sm_clock_mhz,
                executions: Some(t.executions),
                instance: Some(0),
            })),
            (Err(e), Some(i)) => rows[*i].err = failed(e)?,
            (Err(e), None) => drop(failed(e)?),
        }
    }
    for (row, spec) in rows.iter_mut().zip(&p.specs).filter(|(row, _)| row.err.is_empty()) {
        row.stop = sampled.stop.name().to_owned();
        if p.benchmark.accuracy_updates > 0 && p.point.depth <= p.benchmark.accuracy_max_depth {
            observer.at(&p.point.id, &format!("accuracy of {}", spec.id));
            match accuracy(spec, seed, data, p, &device) {
                Ok(share) => {
                    row.test_accuracy = share;
                    row.train_updates = share.map(|_| p.benchmark.accuracy_updates);
                }
                Err(e) => row.err = failed(e)?,
            }
        }
    }
    for row in rows.iter_mut().filter(|row| !row.err.is_empty()) {
        (row.peak_bytes, row.device_peak_bytes, row.energy_uj) = (None, None, None);
    }
    // a contender that failed has no timing, whenever it failed
    samples.retain(|s| rows.iter().all(|r| r.err.is_empty() || r.contender != s.contender));
    let ratios = summarise::fill(&mut rows, &samples)?;
    Ok(PointResult { samples, summary: rows, ratios, ..PointResult::default() })
}

/// A contender, and a second one for control if `wanted`. Without its control nobody knows what a ratio to it is worth, so
/// memory that holds one of them only is too little.
fn with_control<C>(mut new: impl FnMut() -> Result<C>, wanted: bool) -> Result<(C, Option<C>)> {
    let own = new()?;
    let control = wanted.then(new).transpose();
    let control = control
        .map_err(|e| Error::Invalid(format!("no second copy of it could be made for control: {e}")))?;
    Ok((own, control))
}

/// Test accuracy after the benchmark's number of updates from the start; `None` without classes.
fn accuracy(
    spec: &ContenderSpec,
    seed: u64,
    data: &Dataset,
    p: &Prepared<'_>,
    device: &Device,
) -> Result<Option<f64>> {
    let Some(labels) = data.test.labels() else { return Ok(None) };
    let mut contender = Contender::new(spec, seed, device)?;
    let updates = usize::try_from(p.benchmark.accuracy_updates).unwrap_or(usize::MAX);
    for batch in Batches::new(&data.train, p.point.batch, seed)?.endless().take(updates) {
        let (x, y) = batch.to_tensors(p.point.dtype, device)?;
        contender.update(&x, &y)?;
    }
    contender.finite_checksum()?;
    let all = data.test.in_order(data.test.rows().max(1)).next();
    let all = all.ok_or_else(|| Error::Invalid(format!("{} has no test rows", data.name)))?;
    let (x, _) = all.to_tensors(p.point.dtype, device)?;
    Ok(Some(contender.accuracy(&x, labels)?))
}

/// The round order depends on the run's seed and the point, not on which points ran before.
fn order_seed(seed: u64, point: &str) -> [u8; 32] {
    use rand::RngCore;
    let mut hash = Sha256::new();
    hash.update(point.as_bytes());
    hash.update(stream(seed, Purpose::RoundOrder).next_u64().to_le_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory for so many contenders, each a number.
    fn memory(room: u32) -> impl FnMut() -> Result<u32> {
        let mut made = 0;
        move || {
            made += 1;
            let full = || Error::Candle(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".into()));
            if made <= room {
                Ok(made)
            } else {
                Err(full())
            }
        }
    }

    #[test]
    fn a_contender_whose_control_cannot_be_made_fails_and_says_so() {
        assert_eq!(with_control(memory(2), true).unwrap(), (1, Some(2)));
        assert_eq!(with_control(memory(1), false).unwrap(), (1, None));
        let error = with_control(memory(1), true).unwrap_err().to_string();
        assert!(error.contains("control") && error.contains("OUT_OF_MEMORY"), "{error}");
        let error = with_control(memory(0), true).unwrap_err().to_string();
        assert!(!error.contains("control") && error.contains("OUT_OF_MEMORY"), "{error}");
    }
}
