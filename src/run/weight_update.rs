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
use crate::measure::exact::Exact;
use crate::measure::sampler::{Sampler, Subject, Taken};
use crate::net::rng::{stream, Purpose};
use crate::record::{summarise, PointResult, Sample};
use crate::verify::twin;
use crate::{Error, Result};

use super::layout::Layout;
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

    // who may be timed
    let mut names: Vec<Named<'_>> = Vec::new();
    for (row, spec) in p.specs.iter().enumerate() {
        observer.at(&p.point.id, &format!("verifying {}", spec.id));
        match twin::check(spec, seed, &device) {
            Ok(share) => rows[row].verify = Some(share),
            Err(e) => {
                rows[row].err = failed(e)?;
                continue;
            }
        }
        names.push(Named { id: spec.id.clone(), spec, role: Role::Row(row) });
        if p.benchmark.timing.control && controlled(&spec.id) {
            let role = Role::Control(names.len() - 1);
            names.push(Named { id: format!("{}{}", spec.id, summarise::CONTROL), spec, role });
        }
    }
    let roles: Vec<Role> = names.iter().map(|named| named.role).collect();
    let Watch { card, clocks, pauses } = watch;
    let scheduler = RefCell::new(Scheduler::of_this_process());
    let rng = rand_chacha::ChaCha8Rng::from_seed(order_seed(seed, &p.point.id));
    let mut sampler = Sampler::new(names.len(), &p.benchmark.timing, rng, clocks, pauses);
    let times = || scheduler.borrow_mut().as_mut().and_then(Scheduler::times).unwrap_or_default();
    let mut layout = Layout::new();
    let mut trainings: Vec<(usize, Training<'_>)> = Vec::new();
    for instance in 0..sampler.instances() {
        observer.at(&p.point.id, "building");
        let order = sampler.order();
        // Before the next are built, which need not fit beside these.
        trainings.clear();
        let built = order.into_iter().map(|i| {
            let contender = layout.shift(&device).and_then(|()| Contender::new(names[i].spec, seed, &device));
            let training = contender.and_then(|contender| {
                let batches = layout.copies(&batches, &device)?;
                Ok(Training::new(contender, batches, &device, card, &scheduler))
            });
            (i, training)
        });
        let (built, broken) = whole_pairs(built.collect(), &roles);
        broken.into_iter().for_each(|(i, e)| sampler.fail(i, e));
        trainings = built;
        let mut subjects: Vec<(usize, Box<dyn Subject + '_>)> = trainings
            .iter_mut()
            .map(|(i, training)| (*i, Box::new(training) as Box<dyn Subject + '_>))
            .collect();
        let mut held = device.is_cpu().then(affinity::hold);
        let mut before = times();
        sampler.measure(&mut subjects, |round| {
            observer.at(&p.point.id, &format!("round {round}"));
            if let Some(held) = &mut held {
                let now = times();
                held.give_way(now.delay_share_since(before) > CONTENDED);
                before = now;
            }
        });
        drop(held);
        drop(subjects);
        for (i, training) in trainings.iter().filter(|_| instance == 0) {
            if let Role::Row(row) = roles[*i] {
                rows[row].peak_bytes = training.peak_bytes;
                rows[row].device_peak_bytes = training.device_peak_bytes;
            }
        }
    }
    let sampled = sampler.finish();

    let meter = Meter::of(&device, card);
    let window = energy::share(p.benchmark.timing.max_seconds, p.specs.len());
    for (i, training) in &mut trainings {
        let (Role::Row(row), true) = (roles[*i], sampled.subjects[*i].is_ok()) else { continue };
        observer.at(&p.point.id, &format!("counting {}", names[*i].id));
        observer.alone(true);
        let counted = training.count();
        observer.alone(false);
        // A contender that fails only now has been measured all the same; its counts stay unknown.
        rows[row].set_exact(match counted {
            Ok(counted) => counted,
            Err(e) => failed(e).map(|_| Exact::default())?,
        });
        if let Some(meter) = &meter {
            observer.at(&p.point.id, &format!("energy of {}", names[*i].id));
            // A contender that fails only now has been measured all the same; its energy stays unknown.
            rows[row].energy_uj = match meter.per_call(&device, window, || training.update()) {
                Ok(spent) => spent,
                Err(e) => failed(e).map(|_| None)?,
            };
        }
    }
    drop(trainings);

    let mut samples = Vec::new();
    for (named, outcome) in names.iter().zip(sampled.subjects) {
        match (outcome, named.role) {
            (Ok(taken), _) => {
                samples.extend(taken.into_iter().map(|Taken { instance, round, timed: t }| Sample {
                    point: p.point.id.clone(),
                    contender: named.id.clone(),
                    round,
                    wall_ns: t.wall_ns,
                    device_ns: t.device_ns,
                    checksum: t.checksum,
                    delay_ns: t.delay_ns,
                    sm_clock_mhz: t.sm_clock_mhz,
                    executions: Some(t.executions),
                    instance: Some(instance),
                }))
            }
            (Err(e), Role::Row(row)) => rows[row].err = failed(e)?,
            (Err(e), Role::Control(_)) => drop(failed(e)?),
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
        row.set_exact(Exact::default());
    }
    // a contender that failed has no timing, whenever it failed
    samples.retain(|s| rows.iter().all(|r| r.err.is_empty() || r.contender != s.contender));
    let ratios = summarise::fill(&mut rows, &samples)?;
    Ok(PointResult { samples, summary: rows, ratios, ..PointResult::default() })
}

/// A subject of the sampler.
struct Named<'a> {
    id: String,
    spec: &'a ContenderSpec,
    role: Role,
}

/// What its samples are for.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// The contender of this row.
    Row(usize),
    /// The second copy of the contender that is this subject.
    Control(usize),
}

/// Values with the numbers of their subjects.
type Numbered<T> = Vec<(usize, T)>;

/// Contenders that were built, without any that lacks its control or the other way round: the worth of a ratio to it would
/// be unknown, so memory that holds one of the two only is too little.
fn whole_pairs<T>(made: Vec<(usize, Result<T>)>, roles: &[Role]) -> (Numbered<T>, Numbered<Error>) {
    let (mut built, mut broken) = (vec![], vec![]);
    for (i, outcome) in made {
        match outcome {
            Ok(subject) => built.push((i, subject)),
            Err(e) => broken.push((i, e)),
        }
    }
    for i in 0..broken.len() {
        let (failed, e) = &broken[i];
        let (other, problem) = match roles[*failed] {
            Role::Control(of) => (of, format!("no second copy of it could be made for control: {e}")),
            Role::Row(_) => match roles.get(failed + 1) {
                Some(Role::Control(of)) if of == failed => {
                    (failed + 1, "it has nothing to control".to_owned())
                }
                _ => continue,
            },
        };
        if let Some(at) = built.iter().position(|(i, _)| *i == other) {
            built.remove(at);
            broken.push((other, Error::Invalid(problem)));
        }
    }
    (built, broken)
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

    /// What is built in this order in memory for `room` subjects, and why the others are not. A contender with its control,
    /// and one without.
    fn built(order: [usize; 3], room: usize) -> (Vec<usize>, Vec<(usize, String)>) {
        let roles = [Role::Row(0), Role::Control(0), Role::Row(1)];
        let full = || Error::Candle(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".into()));
        let made = order.iter().enumerate().map(|(n, &i)| (i, if n < room { Ok(()) } else { Err(full()) }));
        let (built, broken) = whole_pairs(made.collect(), &roles);
        let broken = broken.into_iter().map(|(i, e)| (i, e.to_string())).collect();
        (built.into_iter().map(|(i, ())| i).collect(), broken)
    }

    #[test]
    fn a_contender_whose_control_cannot_be_made_fails_and_says_so() {
        assert_eq!(built([2, 1, 0], 3).0, [2, 1, 0]);
        // the control is what finds no memory
        let (left, broken) = built([2, 0, 1], 2);
        assert_eq!(left, [2]);
        let said = &broken.iter().find(|(i, _)| *i == 0).unwrap().1;
        assert!(said.contains("control") && said.contains("OUT_OF_MEMORY"), "{said}");
        // the contender is, and its control goes
        let (left, broken) = built([1, 2, 0], 2);
        assert_eq!(left, [2]);
        let said = &broken.iter().find(|(i, _)| *i == 0).unwrap().1;
        assert!(!said.contains("control") && said.contains("OUT_OF_MEMORY"), "{said}");
        let (left, broken) = built([0, 1, 2], 0);
        assert!(left.is_empty() && broken.len() == 3);
        let (left, broken) = built([0, 1, 2], 2);
        assert_eq!((left, broken.len()), (vec![0, 1], 1));
    }
}
