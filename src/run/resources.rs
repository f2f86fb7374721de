//! What a run is made of besides its definition: data sets and devices, each loaded once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use pcnbench_kernels::device::capability;
use pcnbench_kernels::tune::StrategyTable;

use crate::data::{Batches, Dataset, Folder, Kind, Request, Sizes, FOLDER, KINDS};
use crate::error::plain;
use crate::measure::gpu_state::GpuState;
use crate::measure::memory_limit::Memory;
use crate::measure::Gpu;
use crate::suite::{Benchmark, DeviceKind, Point, Suite};
use crate::tune::file::{self, Found};
use crate::{Error, Result};

use super::device_health::{self, HealthCheck};
use super::spectra::Spectra;

/// Opens a device.
///
/// # Errors
/// [`Error::Device`] for `cuda` in a build without it, or on a machine without a usable GPU.
pub fn open_device(kind: DeviceKind) -> Result<Device> {
    match kind {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda if !cfg!(feature = "cuda") => Err(Error::Device {
            device: "cuda".into(),
            reason:
                "this program was built without CUDA; build with `--features cuda`, or use `--device cpu`"
                    .into(),
        }),
        DeviceKind::Cuda => pcnbench_kernels::device::open(0).map_err(|e| Error::Device {
            device: "cuda".into(),
            reason: format!("no usable GPU ({}); use `--device cpu`", plain(&e)),
        }),
    }
}

/// Data sets and devices of a run.
pub(super) struct Resources<'a> {
    suite: &'a Suite,
    folder: Option<&'a Path>,
    /// By name, and by sizes where these decide the content.
    sets: HashMap<(&'static str, Option<Sizes>), Dataset>,
    devices: HashMap<DeviceKind, Device>,
    health_check: HealthCheck<'a>,
    memory: Memory,
    /// Folder of all records, where launch strategies are looked for.
    results: Option<&'a Path>,
    /// The launch strategies of the GPU, once they were looked for.
    strategies: Option<Option<Found>>,
    /// Curvatures of its networks, as far as regimes have asked for them.
    pub(super) spectra: Spectra,
}

impl<'a> Resources<'a> {
    pub(super) fn new(
        suite: &'a Suite,
        folder: Option<&'a Path>,
        health_check: HealthCheck<'a>,
    ) -> Result<Self> {
        let memory = Memory::of_this_process();
        Ok(Self {
            suite,
            folder,
            sets: HashMap::new(),
            devices: HashMap::new(),
            health_check,
            memory,
            results: None,
            strategies: None,
            spectra: Spectra::default(),
        })
    }

    /// The same with the launch strategies that are under the folder of all records.
    pub(super) fn with_results(self, results: &'a Path) -> Self {
        Self { results: Some(results), ..self }
    }

    /// The times that launch strategies on a device are chosen by, if there are any; looked for at first use.
    ///
    /// # Errors
    /// If the file of the device in use cannot be read, or is of another device.
    pub(super) fn strategies(&mut self, kind: DeviceKind) -> Result<Option<Arc<StrategyTable>>> {
        if kind != DeviceKind::Cuda {
            return Ok(None);
        }
        if self.strategies.is_none() {
            let device = self.device(kind)?;
            let found = match (self.results, Gpu::of(&device)?, capability(&device)?) {
                (Some(results), Some(gpu), Some(capability)) => file::find(results, &gpu.name, capability)?,
                _ => None,
            };
            self.strategies = Some(found);
        }
        Ok(self.strategies.iter().flatten().next().map(|found| found.strategies.table.clone()))
    }

    /// The collection that `--data` names instead of a folder: `mnist` or `fashion-mnist`, unless a folder of
    /// that name is there.
    fn collection(&self) -> Option<&'static Kind> {
        let name = self.folder.filter(|folder| !folder.exists())?.to_str()?;
        KINDS.into_iter().find(|kind| kind.folder == Folder::Used && kind.name == name)
    }

    /// The data set of a benchmark, with `--data` in its place where the benchmark leaves it to that.
    fn kind(&self, benchmark: &Benchmark) -> Result<&'static Kind> {
        let given = self.folder.map(|_| self.collection().unwrap_or(&FOLDER));
        match (benchmark.data.folder, given) {
            (Folder::Replaces | Folder::Needed, Some(given)) => Ok(given),
            (Folder::Needed, None) => Err(Error::Key {
                place: format!("benchmark \"{}\"", benchmark.name),
                key: "data".into(),
                problem: format!(
                    "`{}` needs --data DIR with the four IDX files of MNIST or Fashion-MNIST, or the binary files of \
                     CIFAR-10 or CIFAR-100",
                    benchmark.data.name
                ),
            }),
            _ => Ok(benchmark.data),
        }
    }

    /// The data of a point, loaded at first use.
    pub(super) fn data(&mut self, benchmark: &Benchmark, point: &Point) -> Result<&Dataset> {
        let kind = self.kind(benchmark)?;
        let (inputs, outputs) = (benchmark.architecture.invented)(point.width, point.depth);
        let sizes = Sizes { inputs, outputs, train: point.batch.saturating_mul(8), test: point.batch };
        let key = (kind.name, kind.sized.then_some(sizes));
        if !self.sets.contains_key(&key) {
            if kind.sized {
                super::size::check_data(kind, &sizes, &self.memory)?;
            }
            let folder = self.folder.filter(|_| self.collection().is_none());
            let set = (kind.load)(&Request { folder, seed: self.suite.seed, sizes })?;
            self.sets.insert(key, set);
        }
        self.sets.get(&key).ok_or_else(|| Error::Invalid("a data set that was loaded is gone".into()))
    }

    /// The first N batches of a point, on its device and in its dtype, every sample flat.
    pub(super) fn batches<const N: usize>(
        &mut self,
        benchmark: &Benchmark,
        point: &Point,
    ) -> Result<[[Tensor; 2]; N]> {
        let (device, seed) = (self.device(point.device)?, self.suite.seed);
        let rows = &self.data(benchmark, point)?.train;
        let batches = Batches::new(rows, point.batch, seed)?
            .endless()
            .take(N)
            .map(|batch| batch.to_tensors(point.dtype, &device))
            .collect::<Result<Vec<_>>>()?;
        batches.try_into().map_err(|_| Error::Invalid("the data hold no batch".into()))
    }

    /// A device, opened at first use.
    pub(super) fn device(&mut self, kind: DeviceKind) -> Result<Device> {
        if let Some(device) = self.devices.get(&kind) {
            return Ok(device.clone());
        }
        let device = open_device(kind)?;
        self.devices.insert(kind, device.clone());
        Ok(device)
    }

    /// Main memory that this process may use.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Finds out whether a device still answers.
    pub(super) fn health_check(&self) -> HealthCheck<'a> {
        self.health_check
    }

    /// The error that ends a run whose record is in `dir`; see [`device_health::end`].
    pub(super) fn end(&self, error: Error, dir: &Path) -> Error {
        device_health::end(
            error,
            self.devices.iter().map(|(kind, device)| (kind.name(), device)),
            self.health_check,
            dir,
        )
    }

    /// The GPU in use, as far as it can be asked while it works.
    pub(super) fn gpu_state(&self) -> GpuState {
        self.devices.get(&DeviceKind::Cuda).map(GpuState::of).unwrap_or_default()
    }

    /// The GPU, if one is in use.
    pub(super) fn gpu(&self) -> Result<Option<Gpu>> {
        self.devices.get(&DeviceKind::Cuda).map(Gpu::of).transpose().map(Option::flatten)
    }

    /// The devices in use, by kind.
    pub(super) fn opened(&self) -> &HashMap<DeviceKind, Device> {
        &self.devices
    }

    /// The data sets in use.
    pub(super) fn loaded(&self) -> impl Iterator<Item = &Dataset> {
        self.sets.values()
    }

    /// The launch strategies that were found, if they were looked for.
    pub(super) fn found_strategies(&self) -> Option<&Found> {
        self.strategies.as_ref().and_then(Option::as_ref)
    }
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
