//! Energy of a piece of work, where a counter can be read: the processor's own (RAPL) or the GPU's (NVML).
//!
//! Counters cover everything that the package or the GPU does, idle power and other work included, and advance in
//! steps of milliseconds; so the work is repeated for a while and the energy divided by the number of repetitions.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::Device;

use super::gpu_state::GpuState;
use crate::Result;

/// Processors update their counters every millisecond: a thousand steps.
const PROCESSOR_WINDOW: Duration = Duration::from_secs(1);
/// GPUs sample their power for only a part of the time; shorter windows can miss much of it.
const GPU_WINDOW: Duration = Duration::from_secs(10);

/// The window of each of the `contenders` of a point whose samples may take `max_seconds` together: energy takes no
/// longer than samples do, so that a limit on the time of samples limits the whole suite.
pub fn share(max_seconds: f64, contenders: usize) -> Duration {
    Duration::try_from_secs_f64(max_seconds / contenders.max(1) as f64).unwrap_or(Duration::MAX)
}

/// A counter of energy.
#[derive(Debug)]
pub enum Meter<'a> {
    /// Packages and memory of this machine.
    Processor(Vec<Zone>),
    /// The GPU.
    Gpu(&'a GpuState),
}

/// One counter of the processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    counter: PathBuf,
    /// It starts again from 0 after this.
    range_uj: u64,
}

impl<'a> Meter<'a> {
    /// The counter of what works on `device`; `None` where there is none, or this user may not read it.
    pub fn of(device: &Device, gpu: &'a GpuState) -> Option<Self> {
        match device {
            Device::Cpu => {
                let zones = zones(Path::new("/sys/class/powercap"));
                (!zones.is_empty()).then_some(Self::Processor(zones))
            }
            _ => gpu.energy_mj().map(|_| Self::Gpu(gpu)),
        }
    }

    /// Microjoules per call of `work`, repeated for a window no longer than `most`; `None` if a counter fails.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn per_call(
        &self,
        device: &Device,
        most: Duration,
        work: impl FnMut() -> Result<()>,
    ) -> Result<Option<f64>> {
        let window = self.window().min(most);
        let begin = Instant::now();
        self.per_call_while(|_| begin.elapsed() < window, device, work)
    }

    /// What `work` gives, done once, and the joules spent meanwhile; `None` if a counter fails. Work of many minutes may see the counter start again
    /// twice, which nothing tells.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Option<f64>) {
        let before = self.read();
        let done = work();
        let spent = before.zip(self.read()).map(|(before, after)| self.spent(&before, &after));
        (done, spent.map(|uj| uj as f64 * 1e-6))
    }

    /// How long work is repeated where there is time.
    fn window(&self) -> Duration {
        match self {
            Self::Processor(_) => PROCESSOR_WINDOW,
            Self::Gpu(_) => GPU_WINDOW,
        }
    }

    /// Once, and again for as long as `more` of the number of calls so far.
    fn per_call_while(
        &self,
        more: impl Fn(u64) -> bool,
        device: &Device,
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Option<f64>> {
        device.synchronize()?;
        let before = self.read();
        let mut calls = 0;
        while calls == 0 || more(calls) {
            work()?;
            // otherwise a GPU's queue would take in work long after the window
            device.synchronize()?;
            calls += 1;
        }
        let after = self.read();
        let spent = before.zip(after).map(|(before, after)| self.spent(&before, &after));
        Ok(spent.map(|uj| uj as f64 / calls as f64))
    }

    /// The counters, in microjoules.
    fn read(&self) -> Option<Vec<u64>> {
        match self {
            Self::Processor(zones) => zones.iter().map(|zone| number(&zone.counter)).collect(),
            Self::Gpu(gpu) => Some(vec![gpu.energy_mj()?.saturating_mul(1000)]),
        }
    }

    fn spent(&self, before: &[u64], after: &[u64]) -> u64 {
        let range = |i: usize| match self {
            Self::Processor(zones) => zones[i].range_uj,
            Self::Gpu(_) => u64::MAX,
        };
        let pairs = before.iter().zip(after).enumerate();
        pairs.map(|(i, (&before, &after))| advance(before, after, range(i))).sum()
    }
}

/// How far a counter went that starts again from 0 after `range`, at most once on the way.
fn advance(before: u64, after: u64, range: u64) -> u64 {
    if after >= before {
        after - before
    } else {
        range.saturating_sub(before) + after
    }
}

/// Readable counters of whole packages, and of memory, which packages do not include. Cores are parts of packages
/// and `psys` is more than they are, so neither is counted.
fn zones(root: &Path) -> Vec<Zone> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()).collect();
    folders.sort();
    let named = |path: &PathBuf| {
        let folder = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = fs::read_to_string(path.join("name")).unwrap_or_default();
        // intel-rapl-mmio shows the packages of intel-rapl a second time
        folder.starts_with("intel-rapl:") && (name.starts_with("package-") || name.trim() == "dram")
    };
    let zone = |path: PathBuf| {
        let counter = path.join("energy_uj");
        number(&counter)?;
        Some(Zone { range_uj: number(&path.join("max_energy_range_uj"))?, counter })
    };
    folders.into_iter().filter(named).filter_map(zone).collect()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn counters_start_again() {
        assert_eq!(advance(5, 5, 100), 0);
        assert_eq!(advance(5, 9, 100), 4);
        assert_eq!(advance(98, 3, 100), 5);
        assert_eq!(advance(100, 0, 100), 0);
        // a counter beyond its own range is damaged, but must not wrap ours
        assert_eq!(advance(200, 3, 100), 3);
    }

    #[test]
    fn contenders_share_the_time_of_a_point() {
        assert_eq!(share(8.0, 4), Duration::from_secs(2));
        assert_eq!(share(8.0, 0), Duration::from_secs(8));
        assert_eq!(share(f64::MAX, 1), Duration::MAX);
        // the windows that are cut, and those that are not
        let gpu = GpuState::default();
        let (gpu, processor) = (Meter::Gpu(&gpu), Meter::Processor(vec![]));
        let seconds = |meter: &Meter<'_>, most: Duration| meter.window().min(most).as_secs_f64();
        assert_eq!((seconds(&gpu, share(8.0, 4)), seconds(&gpu, share(120.0, 4))), (2.0, 10.0));
        assert_eq!((seconds(&processor, share(8.0, 4)), seconds(&processor, share(2.0, 4))), (1.0, 0.5));
    }

    /// Left to itself, the window is 1 s; work of 5 ms in one of 50 ms is done at most ten times.
    #[test]
    fn the_limit_ends_the_window() {
        let root = machine();
        let meter = Meter::Processor(zones(root.path()));
        let mut calls = 0;
        let work = || {
            calls += 1;
            std::thread::sleep(Duration::from_millis(5));
            Ok(())
        };
        meter.per_call(&Device::Cpu, Duration::from_millis(50), work).unwrap();
        assert!((1..=10).contains(&calls), "{calls} calls");
    }

    fn folder(root: &Path, folder: &str, name: &str, uj: &str) {
        let dir = root.join(folder);
        fs::create_dir(&dir).unwrap();
        for (file, text) in [("name", name), ("energy_uj", uj), ("max_energy_range_uj", "1000")] {
            fs::write(dir.join(file), format!("{text}\n")).unwrap();
        }
    }

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), "intel-rapl:0", "package-0", "900");
        folder(root.path(), "intel-rapl:0:0", "core", "50");
        folder(root.path(), "intel-rapl:0:1", "dram", "10");
        folder(root.path(), "intel-rapl:1", "package-1", "20");
        folder(root.path(), "intel-rapl:2", "psys", "70");
        folder(root.path(), "intel-rapl-mmio:0", "package-0", "80");
        root
    }

    #[test]
    fn packages_and_memory_are_counted_once() {
        let root = machine();
        let found: Vec<PathBuf> = zones(root.path()).into_iter().map(|zone| zone.counter).collect();
        let expected = ["intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1"];
        assert_eq!(found, expected.map(|name| root.path().join(name).join("energy_uj")));
        fs::write(root.path().join("intel-rapl:1/energy_uj"), "denied").unwrap();
        assert_eq!(zones(root.path()).len(), 2, "what cannot be read is no zone");
        assert_eq!(zones(&root.path().join("none")), []);
    }

    /// Packages go from 900 over 1000 to 100 and from 20 to 50, memory from 10 to 16: 200 + 30 + 6, over one call.
    #[test]
    fn energy_per_call() {
        let root = machine();
        let meter = Meter::Processor(zones(root.path()));
        let write = |zone: &str, uj: &str| fs::write(root.path().join(zone).join("energy_uj"), uj).unwrap();
        let spent = meter.per_call_while(
            |_| false,
            &Device::Cpu,
            || {
                write("intel-rapl:0", "100");
                write("intel-rapl:0:1", "16");
                write("intel-rapl:1", "50");
                Ok(())
            },
        );
        assert_eq!(spent.unwrap(), Some(236.0));
        let mut calls = 0u64;
        let spent = meter.per_call_while(
            |calls| calls < 7,
            &Device::Cpu,
            || {
                calls += 1;
                write("intel-rapl:1", &(50 + 3 * calls).to_string());
                Ok(())
            },
        );
        assert_eq!(calls, 7);
        assert_eq!(spent.unwrap(), Some(3.0));
        let gone = meter.per_call_while(
            |_| false,
            &Device::Cpu,
            || {
                write("intel-rapl:1", "");
                Ok(())
            },
        );
        assert_eq!(gone.unwrap(), None);
        let failed = || Err(Error::Invalid("no".into()));
        write("intel-rapl:1", "1");
        assert!(meter.per_call_while(|_| false, &Device::Cpu, failed).is_err());
    }
}
