//! Points made ready: every contender's spec, checked against data and device before anything is measured.

use candle_core::{DType, Device};
use pcnbench_kernels::denormals;

use crate::contender::ContenderSpec;
use crate::net::MlpSpec;
use crate::record::{PointResult, SummaryRow};
use crate::suite::{Benchmark, ContenderId, DeviceKind, Model, Point, Suite};
use crate::{Error, Result};

use super::device_health::{self, HealthCheck};
use super::resources::Resources;
use super::size;

/// A point with its contenders.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) benchmark: &'a Benchmark,
    pub(super) point: &'a Point,
    pub(super) specs: Vec<ContenderSpec>,
    ids: Vec<ContenderId>,
}

/// All points of a suite, or the first thing wrong with any of them.
pub(super) fn prepare<'a>(suite: &'a Suite, resources: &mut Resources<'_>) -> Result<Vec<Prepared<'a>>> {
    let mut prepared = Vec::new();
    for benchmark in &suite.benchmarks {
        for point in &benchmark.points {
            resources.device(point.device)?;
            let data = resources.data(benchmark, point)?;
            if point.batch > data.train.rows() {
                return Err(Error::Key {
                    place: format!("suite `{}`, benchmark \"{}\"", suite.name, benchmark.name),
                    key: "batch".into(),
                    problem: format!(
                        "{} is larger than the data ({} has {} training rows)",
                        point.batch,
                        data.name,
                        data.train.rows()
                    ),
                });
            }
            let (inputs, outputs) = (data.inputs, data.outputs);
            let fused = benchmark.contenders.iter().any(|config| config.id.engine.is_fused());
            let strategies = if fused { resources.strategies(point.device)? } else { None };
            let specs = benchmark
                .contenders
                .iter()
                .map(|config| {
                    let (rule, axes) = config.at(point)?;
                    Ok(ContenderSpec {
                        id: config.id.to_string(),
                        rule,
                        engine: config.id.engine,
                        threads: config.id.threads,
                        network: MlpSpec {
                            inputs,
                            width: point.width,
                            outputs,
                            depth: point.depth,
                            activation: point.activation,
                            activation_order: benchmark.activation_order,
                            parameterisation: axes.parameterisation,
                            gain: benchmark.gain,
                            bias: benchmark.bias,
                        },
                        loss: benchmark.loss,
                        optimiser: benchmark.optimiser,
                        learning_rate: config.learning_rate.unwrap_or(benchmark.learning_rate),
                        dtype: point.dtype,
                        strategies: strategies.clone().filter(|_| config.id.engine.is_fused()),
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let ids = benchmark.contenders.iter().map(|c| c.id.clone()).collect();
            specs.iter().try_for_each(|spec| size::check_work(spec, point.batch))?;
            prepared.push(Prepared { benchmark, point, specs, ids });
        }
    }
    Ok(prepared)
}

impl Prepared<'_> {
    /// The baseline of a contender; none where nothing is timed.
    fn baseline(&self, spec: &ContenderSpec) -> String {
        let timed = self.benchmark.model == Model::WeightUpdate;
        let own = self.ids.iter().find(|id| timed && id.to_string() == spec.id);
        own.map_or_else(String::new, |id| id.baseline(&self.ids, &self.benchmark.baseline).to_string())
    }

    /// Whether a second copy of a contender is timed: of every contender to which another one's ratio is stated, since
    /// an interval is worth what is known of both of its ends.
    pub(super) fn has_control(&self, spec: &ContenderSpec) -> bool {
        let is_baseline = spec.id == self.benchmark.baseline.to_string()
            || self.specs.iter().any(|other| other.id != spec.id && self.baseline(other) == spec.id);
        self.benchmark.timing.control && is_baseline
    }

    /// Whether denormals are flushed to zero while contenders of this point are verified, timed and trained.
    pub(super) fn flushes_denormals(&self) -> bool {
        denormals::SUPPORTED
            && self.benchmark.model == Model::WeightUpdate
            && self.point.device == DeviceKind::Cpu
            && self.point.dtype == DType::F32
    }

    /// What was to be uploaded to the device for all contenders; or, if the device refused it, for want of memory say,
    /// the result in which the refusal is the `err` of every contender.
    ///
    /// # Errors
    /// Those that are not about the device, and all if it does not answer any more.
    pub(super) fn rows_on_upload_failure<T>(
        &self,
        what: Result<T>,
        device: &Device,
        health_check: HealthCheck<'_>,
    ) -> Result<std::result::Result<T, PointResult>> {
        let refused = match what {
            Err(e @ Error::Candle(_)) => device_health::row(e, device, health_check)?,
            other => return other.map(Ok),
        };
        let mut result = PointResult::default();
        for spec in &self.specs {
            let err = format!("the data could not be brought to the device: {refused}");
            result.summary.push(SummaryRow { err, ..self.row(spec)? });
        }
        Ok(Err(result))
    }

    /// A row that knows everything but measurements.
    pub(super) fn row(&self, spec: &ContenderSpec) -> Result<SummaryRow> {
        let counted = spec.counted(self.point.batch)?;
        let steps = spec.rule.steps();
        let analysis = spec.rule.analysis(&spec.net_cost(self.point.batch)?);
        let least = analysis.least;
        let data = self.point.batch * (spec.network.inputs + spec.network.outputs);
        let trains = self.benchmark.model == Model::WeightUpdate;
        Ok(SummaryRow {
            point: self.point.id.clone(),
            benchmark: self.benchmark.name.clone(),
            model: self.benchmark.model.name().to_owned(),
            contender: spec.id.clone(),
            baseline: self.baseline(spec),
            rule: spec.rule.name().to_owned(),
            engine: spec.engine.name().to_owned(),
            parameterisation: spec.network.parameterisation.to_string(),
            activation: spec.network.activation.to_string(),
            depth: self.point.depth,
            width: self.point.width,
            batch: self.point.batch,
            steps: steps.map_or(0, |s| s.count),
            step_size: steps.map_or(0.0, |s| s.size),
            dtype: self.point.dtype.as_str().to_owned(),
            device: self.point.device.name().to_owned(),
            updates: spec.rule.updates(),
            n: 0,
            min_ns: 0,
            q1_ns: 0,
            median_ns: 0,
            q3_ns: 0,
            mad_ns: 0,
            median_low_ns: 0,
            median_high_ns: 0,
            gemms: counted.work.gemms,
            gemm_flops: counted.work.gemm_flops,
            elementwise_flops: counted.work.elementwise,
            bytes: counted.work.moved * spec.dtype.size_in_bytes() as u64,
            critical_path: counted.critical_path,
            inference_over_bp: Some(analysis.inference.over_bp),
            parallel_over_bp: Some(analysis.layer_parallel.over_bp),
            verify: None,
            test_accuracy: None,
            train_updates: None,
            stop: String::new(),
            err: String::new(),
            contended: None,
            host_bound: None,
            peak_bytes: None,
            energy_uj: None,
            device_peak_bytes: None,
            trained_layers: trains.then(|| spec.trained_layers()).transpose()?,
            allocations: None,
            allocated_bytes: None,
            instructions: None,
            least_gemms: Some(least.update.gemms),
            least_gemm_flops: Some(least.update.gemm_flops),
            least_bytes: Some((least.read + least.written + data as u64) * spec.dtype.size_in_bytes() as u64),
        })
    }
}
