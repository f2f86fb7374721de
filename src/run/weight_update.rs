//! Time per weight update: one sample is one whole update, or the mean of several short ones, synchronised at both ends.

use std::cell::RefCell;

use candle_core::{Device, Tensor};
use pcnbench_kernels::denormals::Flush;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::contender::Contender;
use crate::measure::affinity;
use crate::measure::energy::{self, Meter};
use crate::measure::exact::Exact;
use crate::measure::run_queue_wait::Scheduler;
use crate::measure::sampler::{Sampler, Subject, Taken};
use crate::net::rng::{stream, Purpose};
use crate::record::{summarise, PointResult, Sample, SummaryRow};
use crate::verify::preflight;
use crate::{Error, Result};

use super::accuracy::accuracy;
use super::device_health::{self, HealthCheck};
use super::job::Observer;
use super::layout::Layout;
use super::pairs::{whole_pairs, Named, Numbered, Role};
use super::point::Prepared;
use super::recorded_regimes;
use super::resources::Resources;
use super::training::Training;
use super::watch::Watch;

/// Batches that samples rotate through, so that no sample repeats the last one's input.
pub(super) const ROTATION: usize = 8;

/// Share of waiting in what threads ran or waited during a round from which the calling thread does not insist on its
/// core.
const CONTENDED: f64 = 0.1;

/// A point whose contenders are verified and, instance by instance, measured.
///
/// Between two instances it holds no contender: others may be measured then.
pub(super) struct Measuring<'a> {
    seed: u64,
    p: &'a Prepared<'a>,
    device: Device,
    health_check: HealthCheck<'a>,
    batches: [[Tensor; 2]; ROTATION],
    rows: Vec<SummaryRow>,
    /// Those that may be timed, each followed by its control if it has one.
    names: Vec<Named<'a>>,
    sampler: Sampler<'a, ChaCha8Rng>,
    /// Instances measured so far.
    instance: usize,
    layout: Layout,
    scheduler: RefCell<Option<Scheduler>>,
}

impl<'a> Measuring<'a> {
    /// Verifies every contender of a point; the result in which all have failed if the device refuses the data.
    ///
    /// # Errors
    /// Those that are about no contender.
    pub(super) fn begin(
        seed: u64,
        p: &'a Prepared<'a>,
        resources: &mut Resources<'a>,
        observer: &mut dyn Observer,
    ) -> Result<std::result::Result<Self, PointResult>> {
        let device = resources.device(p.point.device)?;
        let health_check = resources.health_check();
        let _flush = p.flushes_denormals().then(Flush::new);
        let batches = match p.rows_on_upload_failure(p.batches(resources), &device, health_check)? {
            Ok(batches) => batches,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut rows = p.specs.iter().map(|spec| p.row(spec)).collect::<Result<Vec<_>>>()?;
        let mut names: Vec<Named<'_>> = Vec::new();
        for (row, spec) in p.specs.iter().enumerate() {
            observer.at(&p.point.id, &format!("verifying {}", spec.id));
            match preflight::check(spec, seed, &device) {
                Ok(share) => rows[row].verify = Some(share),
                Err(e) => {
                    let row = &mut rows[row];
                    (row.status, row.err) = device_health::row(e, &device, health_check)?;
                    continue;
                }
            }
            names.push(Named { id: spec.id.to_string(), spec, role: Role::Row(row) });
            if p.has_control(spec) {
                let role = Role::Control(names.len() - 1);
                names.push(Named { id: format!("{}{}", spec.id, summarise::CONTROL), spec, role });
            }
        }
        let rng = ChaCha8Rng::from_seed(order_seed(seed, &p.point.id));
        let sampler = Sampler::new(names.len(), &p.benchmark.timing, rng);
        let (layout, scheduler) = (Layout::new(), RefCell::new(Scheduler::of_this_process()));
        let instance = 0;
        Ok(Ok(Self {
            seed,
            p,
            device,
            health_check,
            batches,
            rows,
            names,
            sampler,
            instance,
            layout,
            scheduler,
        }))
    }

    /// Instances left to measure.
    pub(super) fn left(&self) -> usize {
        self.sampler.instances() - self.instance
    }

    /// Builds all contenders and measures them in rounds; after those of the last instance, also what is counted.
    ///
    /// # Errors
    /// Those that are about no contender.
    pub(super) fn next(&mut self, watch: &mut Watch, observer: &mut dyn Observer) -> Result<()> {
        let point = &self.p.point.id;
        let (names, device, scheduler) = (&self.names, &self.device, &self.scheduler);
        let _flush = self.p.flushes_denormals().then(Flush::new);
        let Watch { gpu, clocks, pauses } = watch;
        observer.at(point, "building");
        let mut built = Vec::new();
        for i in self.sampler.order() {
            let shifted = self.layout.shift(device);
            let contender = shifted.and_then(|()| Contender::new(names[i].spec, self.seed, device));
            let training = contender.and_then(|contender| {
                let batches = self.layout.copies(&self.batches, device)?;
                Ok(Training::new(contender, batches, device, gpu, scheduler))
            });
            built.push((i, training));
        }
        let roles: Vec<Role> = names.iter().map(|named| named.role).collect();
        let (mut trainings, broken) = whole_pairs(built, &roles);
        broken.into_iter().for_each(|(i, e)| self.sampler.fail(i, e));

        let mut subjects: Numbered<Box<dyn Subject + '_>> = trainings
            .iter_mut()
            .map(|(i, training)| (*i, Box::new(training) as Box<dyn Subject + '_>))
            .collect();
        let mut pin = device.is_cpu().then(affinity::pin_current_thread);
        let times = || scheduler.borrow_mut().as_mut().and_then(Scheduler::times).unwrap_or_default();
        let mut before = times();
        self.sampler.measure(&mut subjects, clocks, pauses, |round| {
            observer.at(point, &format!("round {round}"));
            if let Some(pin) = &mut pin {
                let now = times();
                pin.give_way(now.delay_share_since(before) > CONTENDED);
                before = now;
            }
        });
        drop((pin, subjects));
        for (i, training) in trainings.iter().filter(|_| self.instance == 0) {
            if let Role::Row(row) = roles[*i] {
                self.rows[row].peak_bytes = training.peak_bytes;
                self.rows[row].device_peak_bytes = training.device_peak_bytes;
            }
        }
        self.instance += 1;
        if self.left() > 0 {
            return Ok(());
        }

        let meter = Meter::of(device, gpu);
        let window = energy::share(self.p.benchmark.timing.max_seconds, self.p.specs.len());
        for (i, training) in &mut trainings {
            let (Role::Row(row), true) = (roles[*i], self.sampler.succeeds(*i)) else { continue };
            observer.at(point, &format!("counting {}", names[*i].id));
            observer.alone(true);
            let counted = training.count();
            observer.alone(false);
            // A contender that fails only now has been measured all the same; its counts stay unknown.
            self.rows[row].set_exact(match counted {
                Ok(counted) => counted,
                Err(e) => device_health::row(e, device, self.health_check).map(|_| Exact::default())?,
            });
            if let Some(meter) = &meter {
                observer.at(point, &format!("energy of {}", names[*i].id));
                let _limit = training.limit_threads();
                // A contender that fails only now has been measured all the same; its energy stays unknown.
                self.rows[row].energy_uj = match meter.per_call(device, window, || training.update()) {
                    Ok(spent) => spent,
                    Err(e) => device_health::row(e, device, self.health_check).map(|_| None)?,
                };
            }
        }
        Ok(())
    }

    /// Checks the accuracy of every contender; what all instances gave.
    ///
    /// # Errors
    /// Those that are about no contender.
    pub(super) fn finish(
        self,
        resources: &mut Resources<'a>,
        observer: &mut dyn Observer,
    ) -> Result<PointResult> {
        let Self { seed, p, device, health_check, batches, mut rows, names, sampler, .. } = self;
        let failed = |e: Error| device_health::row(e, &device, health_check);
        let flush = p.flushes_denormals().then(Flush::new);
        let sampled = sampler.finish();
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
                        executions: t.executions,
                        instance,
                    }))
                }
                (Err(e), Role::Row(row)) => (rows[row].status, rows[row].err) = failed(e)?,
                (Err(e), Role::Control(_)) => drop(failed(e)?),
            }
        }
        let data = resources.data(p.benchmark, p.point)?;
        for (row, spec) in rows.iter_mut().zip(&p.specs).filter(|(row, _)| row.err.is_empty()) {
            row.stop = sampled.stop.name().to_owned();
            if p.benchmark.accuracy_updates > 0 && p.point.depth <= p.benchmark.accuracy_max_depth {
                observer.at(&p.point.id, &format!("accuracy of {}", spec.id));
                match accuracy(spec, seed, data, p, &device) {
                    Ok(share) => {
                        row.test_accuracy = share;
                        row.train_updates = share.map(|_| p.benchmark.accuracy_updates);
                    }
                    Err(e) => (row.status, row.err) = failed(e)?,
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
        // a regime is what the numbers say, whatever the timing flushes
        drop(flush);
        observer.at(&p.point.id, "regimes");
        let (regimes, quantities) =
            recorded_regimes::read(seed, p, &batches[0], &rows, &mut resources.spectra);
        Ok(PointResult { samples, summary: rows, ratios, regimes, quantities, ..PointResult::default() })
    }
}

/// The round order depends on the run's seed and the point, not on which points ran before.
fn order_seed(seed: u64, point: &str) -> [u8; 32] {
    use rand::Rng;
    let mut hash = Sha256::new();
    hash.update(point.as_bytes());
    hash.update(stream(seed, Purpose::RoundOrder).next_u64().to_le_bytes());
    hash.finalize().into()
}
