//! Points made ready: every contender's spec, checked against data and device before anything is measured.

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::denormals;

use crate::contender::{ContenderId, ContenderSpec};
use crate::net::architecture::Settings;
use crate::record::{PointResult, Status, SummaryRow};
use crate::suite::{Benchmark, ContenderConfig, DeviceKind, Model, Point, Suite};
use crate::{Error, Result};

use super::device_health::{self, HealthCheck};
use super::resources::Resources;
use super::size;
use super::suitable;
use super::train::material;

/// A point with its contenders.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) benchmark: &'a Benchmark,
    pub(super) point: &'a Point,
    pub(super) specs: Vec<ContenderSpec>,
}

/// All points of a suite, or the first thing wrong with any of them.
pub(super) fn prepare<'a>(suite: &'a Suite, resources: &mut Resources<'_>) -> Result<Vec<Prepared<'a>>> {
    let mut prepared = Vec::new();
    for benchmark in &suite.benchmarks {
        for point in &benchmark.points {
            resources.device(point.device)?;
            let fused = benchmark.contenders.iter().any(|config| config.id.engine.is_fused());
            let strategies = if fused { resources.strategies(point.device)? } else { None };
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
            if let Some(Err((key, problem))) =
                benchmark.training.map(|training| material::check(data, &training, point))
            {
                return Err(Error::Key {
                    place: format!("suite `{}`, benchmark \"{}\"", suite.name, benchmark.name),
                    key: key.into(),
                    problem,
                });
            }
            let input = data.image.map_or_else(|| vec![data.inputs], |image| image.to_vec());
            let outputs = data.outputs;
            let specs = benchmark
                .contenders
                .iter()
                .map(|config| {
                    let (rule, axes) = config.at(point)?;
                    Ok(ContenderSpec {
                        id: config.id.clone(),
                        rule,
                        network: benchmark.network(&Settings {
                            input: input.clone(),
                            outputs,
                            width: point.width,
                            depth: point.depth,
                            activation: point.activation,
                            activation_order: benchmark.activation_order,
                            parameterisation: axes.parameterisation,
                            gain: benchmark.gain,
                            bias: benchmark.bias,
                        }),
                        loss: benchmark.loss,
                        optimiser: benchmark.optimiser,
                        learning_rate: config.learning_rate(benchmark, point),
                        regularisation: benchmark
                            .training
                            .map_or_else(Default::default, |training| training.regularisation),
                        dtype: point.dtype,
                        strategies: strategies.clone().filter(|_| config.id.engine.is_fused()),
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            for spec in &specs {
                suitable::check(spec, benchmark.model, point, data).map_err(|problem| Error::Key {
                    place: format!("suite `{}`, benchmark \"{}\"", suite.name, benchmark.name),
                    key: "contenders".into(),
                    problem: format!(
                        "{} at depth {}, width {}: {problem}",
                        spec.id, point.depth, point.width
                    ),
                })?;
                size::check_work(spec, point)?;
            }
            prepared.push(Prepared { benchmark, point, specs });
        }
    }
    Ok(prepared)
}

impl Prepared<'_> {
    /// The seed of its parameters.
    pub(super) fn seed(&self, suite: u64) -> u64 {
        suite.wrapping_add(self.point.draw as u64)
    }

    /// The first N batches on its device, in its dtype and in the shapes of its networks' data.
    pub(super) fn batches<const N: usize>(&self, resources: &mut Resources<'_>) -> Result<[[Tensor; 2]; N]> {
        let flat: [_; N] = resources.batches(self.benchmark, self.point)?;
        let shaped = flat.into_iter().map(|batch| self.shaped(batch)).collect::<Result<Vec<_>>>()?;
        shaped.try_into().map_err(|_| Error::Invalid("a batch is gone".into()))
    }

    /// A batch in the shapes of its networks' data tensors, which are the same for all contenders of a point.
    pub(super) fn shaped(&self, batch: [Tensor; 2]) -> Result<[Tensor; 2]> {
        let Some(spec) = self.specs.first() else { return Ok(batch) };
        let graph = spec.network.graph(spec.loss)?;
        let [mut x, mut y] = batch;
        for (tensor, named) in [&mut x, &mut y].into_iter().zip(graph.data()) {
            *tensor = tensor.reshape([&[tensor.dim(0)?], &named.shape[..]].concat())?;
        }
        Ok([x, y])
    }

    /// The baseline of a contender; none where nothing is timed.
    fn baseline(&self, spec: &ContenderSpec) -> Option<ContenderId> {
        let timed = self.benchmark.model == Model::WeightUpdate;
        let ids: Vec<ContenderId> = self.specs.iter().map(|spec| spec.id.clone()).collect();
        timed.then(|| spec.id.baseline(&ids, &self.benchmark.baseline).clone())
    }

    /// Whether a second copy of a contender is timed: of every contender to which another one's ratio is stated, since
    /// an interval is worth what is known of both of its ends.
    pub(super) fn has_control(&self, spec: &ContenderSpec) -> bool {
        let on_it =
            |other: &ContenderSpec| other.id != spec.id && self.baseline(other).as_ref() == Some(&spec.id);
        let is_baseline = spec.id == self.benchmark.baseline || self.specs.iter().any(on_it);
        self.benchmark.timing.control && is_baseline
    }

    /// Whether denormals are flushed to zero while contenders of this point are verified, timed and trained.
    pub(super) fn flushes_denormals(&self) -> bool {
        denormals::SUPPORTED
            && matches!(self.benchmark.model, Model::WeightUpdate | Model::Training)
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
        let (status, refused) = match what {
            Err(e @ Error::Candle(_)) => device_health::row(e, device, health_check)?,
            other => return other.map(Ok),
        };
        let mut result = PointResult::default();
        for spec in &self.specs {
            let err = format!("the data could not be brought to the device: {refused}");
            result.summary.push(self.row(spec)?.failed(status, err));
        }
        Ok(Err(result))
    }

    /// A row that knows everything but measurements.
    pub(super) fn row(&self, spec: &ContenderSpec) -> Result<SummaryRow> {
        let mut counted = spec.counted(self.point.batch)?;
        counted.work += spec.search(self.point.batch)?;
        let steps = spec.rule.steps();
        let axes = self.benchmark.contenders.iter().find(|config| config.id == spec.id);
        let axes = axes.map(|config: &ContenderConfig| config.at(self.point)).transpose()?;
        let parameterisation = axes.map_or(self.point.parameterisation, |(_, axes)| axes.parameterisation);
        let analysis = spec.net_cost(self.point.batch)?.map(|net| spec.rule.analysis(&net));
        let data = self.point.batch as u64 * size::data(&spec.network.graph(spec.loss)?);
        let element = spec.dtype.size_in_bytes() as u64;
        let trains = self.benchmark.model == Model::WeightUpdate;
        Ok(SummaryRow {
            point: self.point.id.clone(),
            benchmark: self.benchmark.name.clone(),
            model: self.benchmark.model.name().to_owned(),
            contender: spec.id.to_string(),
            baseline: self.baseline(spec).map(|id| id.to_string()).unwrap_or_default(),
            rule: spec.rule.name().to_owned(),
            engine: spec.id.engine.name().to_owned(),
            architecture: spec.network.kind().to_owned(),
            parameterisation: parameterisation.to_string(),
            activation: self.point.activation.to_string(),
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
            bytes: counted.work.moved * element,
            critical_path: counted.critical_path,
            inference_over_bp: analysis.as_ref().map(|a| a.inference.over_bp),
            parallel_over_bp: analysis.as_ref().map(|a| a.layer_parallel.over_bp),
            verify: None,
            test_accuracy: None,
            train_updates: None,
            stop: String::new(),
            status: Status::Ok,
            err: String::new(),
            contended: None,
            host_bound: None,
            peak_bytes: None,
            energy_uj: None,
            device_peak_bytes: None,
            trained_layers: (trains && analysis.is_some()).then(|| spec.trained_layers()).transpose()?,
            allocations: None,
            allocated_bytes: None,
            instructions: None,
            least_gemms: analysis.as_ref().map(|a| a.least.update.gemms),
            least_gemm_flops: analysis.as_ref().map(|a| a.least.update.gemm_flops),
            least_bytes: analysis.map(|a| (a.least.read + a.least.written + data) * element),
        })
    }
}
