//! Where a run happens: facts about the machine.
//!
//! Everything is read from text that Linux offers; what another system does not offer is `unknown` or
//! zero. Nothing here needs more rights than an ordinary user has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use candle_core::Device;

use super::memory_limit::{field, Memory};
use crate::record::{slug, Machine};
use crate::Result;

/// What tells one GPU from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// As the driver names it.
    pub name: String,
    /// Release of the driver and the newest CUDA version it runs, `580.82.07 (CUDA 13.0)`.
    pub driver: String,
}

impl Gpu {
    /// The GPU behind a Candle device; `None` for the CPU.
    ///
    /// # Errors
    /// If the driver does not answer.
    pub fn of(device: &Device) -> Result<Option<Self>> {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => {
                let name = gpu.cuda_stream().context().name().map_err(candle_core::Error::wrap)?;
                let (major, minor) = pcnbench_kernels::device::driver_cuda_version()?;
                let release = driver_release(&text("/proc/driver/nvidia/version"));
                Ok(Some(Self { name, driver: format!("{release} (CUDA {major}.{minor})") }))
            }
            _ => Ok(None),
        }
    }
}

/// Release of NVIDIA's kernel module, from the line that begins with `NVRM version:`.
#[cfg(any(feature = "cuda", test))]
fn driver_release(version: &str) -> String {
    let line = field(version, "NVRM version").unwrap_or_default();
    // what stands around the release differs between the open and the closed module
    let release = |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    line.split_whitespace().find(release).unwrap_or("unknown").to_owned()
}

impl Machine {
    /// The machine this process runs on, with `gpu` if the run uses one.
    ///
    /// Cores and memory are those this process may use: affinity, container quotas and limits count.
    pub fn detect(gpu: Option<Gpu>) -> Self {
        let cpuinfo = text("/proc/cpuinfo");
        let (physical_cores, logical_cpus) = usable(&cpuinfo);
        let cpu = cpu_model(&cpuinfo);
        let (gpu, driver) = gpu.map_or_else(Default::default, |gpu| (gpu.name, gpu.driver));
        let class = if gpu.is_empty() { format!("cpu-{}-{physical_cores}c", slug(&cpu)) } else { slug(&gpu) };
        let memory_bytes = Memory::of_this_process().bytes;
        let (simd, os, cache_bytes) = (simd(), os(), cache_bytes(Path::new("/sys/devices/system/cpu")));
        Self { class, cpu, physical_cores, logical_cpus, simd, memory_bytes, os, gpu, driver, cache_bytes }
    }
}

/// The processor's name.
pub fn cpu() -> String {
    cpu_model(&text("/proc/cpuinfo"))
}

/// Physical cores and logical processors this process may use.
pub fn processors() -> (usize, usize) {
    usable(&text("/proc/cpuinfo"))
}

/// The first logical processor of each physical core this process may use; empty where the system does not number them.
pub(super) fn one_processor_per_core() -> Vec<usize> {
    let allowed = field(&text("/proc/self/status"), "Cpus_allowed_list").map(cpu_list);
    physical_cores(&text("/proc/cpuinfo"), allowed.as_ref())
}

/// Worker threads that a matrix product can use: what Candle asks for, but no more than this process may
/// run at once. Candle counts the machine's cores whatever the process's affinity; its thread pool does not.
pub fn threads() -> usize {
    pcnbench_kernels::tune::threads()
}

/// Whether this program was built without full optimisation; its times would say nothing.
pub fn debug_build() -> bool {
    cfg!(debug_assertions)
}

fn usable(cpuinfo: &str) -> (usize, usize) {
    let logical = logical_cpus();
    let allowed = field(&text("/proc/self/status"), "Cpus_allowed_list").map(cpu_list);
    let physical = match physical_cores(cpuinfo, allowed.as_ref()).len() {
        0 => logical,
        cores => cores.min(logical),
    };
    (physical, logical)
}

/// Logical processors this process may use.
pub(super) fn logical_cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Content of a small system file, empty if there is none.
pub(super) fn text(path: &str) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Numbers in a list such as `0-3,8`.
fn cpu_list(list: &str) -> BTreeSet<usize> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let ranges = list.split(',').filter_map(|part| match part.split_once('-') {
        Some((first, last)) => Some(number(first)?..=number(last)?),
        None => Some(number(part)?..=number(part)?),
    });
    // No machine has more; a damaged list must not exhaust memory.
    ranges.flat_map(|range| range.take(1 << 16)).collect()
}

/// The first allowed processor of each core, in their order; none if the system does not number its cores.
fn physical_cores(cpuinfo: &str, allowed: Option<&BTreeSet<usize>>) -> Vec<usize> {
    let (mut cores, mut first) = (BTreeSet::new(), Vec::new());
    for block in cpuinfo.split("\n\n") {
        let Some(processor) = field(block, "processor").and_then(|n| n.parse().ok()) else { continue };
        if allowed.is_none_or(|allowed| allowed.contains(&processor)) {
            let Some(core) = field(block, "core id") else { return Vec::new() };
            if cores.insert((field(block, "physical id"), core)) {
                first.push(processor);
            }
        }
    }
    first
}

fn cpu_model(cpuinfo: &str) -> String {
    let named = field(cpuinfo, "model name").map(str::to_owned);
    // ARM cores state their maker and their part number instead of a name.
    let numbered = || Some((field(cpuinfo, "CPU implementer")?, field(cpuinfo, "CPU part")?));
    let arm = || numbered().map(|(maker, part)| format!("{} {maker} {part}", std::env::consts::ARCH));
    named.or_else(arm).unwrap_or_else(|| "unknown".to_owned())
}

/// Bytes of all caches that hold data, each counted once however many processors share it; none if the system lists none.
///
/// Those of processors that this process may not use count too: another thread may have left data there.
fn cache_bytes(processors: &Path) -> Option<u64> {
    let folders =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut seen = BTreeSet::new();
    let mut bytes: Option<u64> = None;
    for cache in folders(processors).flat_map(|cpu| folders(&cpu.join("cache")).collect::<Vec<_>>()) {
        let read = |name: &str| fs::read_to_string(cache.join(name)).unwrap_or_default().trim().to_owned();
        let (level, kind, shared) = (read("level"), read("type"), read("shared_cpu_list"));
        let size = cache_size(&read("size")).filter(|_| kind == "Data" || kind == "Unified");
        if let Some(size) = size.filter(|_| seen.insert((level, kind, shared))) {
            bytes = Some(bytes.unwrap_or(0).saturating_add(size));
        }
    }
    bytes
}

/// `48K`, `260M`.
fn cache_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn os() -> String {
    let release = text("/proc/sys/kernel/osrelease");
    format!("{} {}", std::env::consts::OS, release.trim()).trim_end().to_owned()
}

/// Names of those vector extensions that decide the speed of a matrix product.
fn simd() -> String {
    #[cfg(target_arch = "x86_64")]
    let present = [
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let present = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("sve", std::arch::is_aarch64_feature_detected!("sve")),
        ("sve2", std::arch::is_aarch64_feature_detected!("sve2")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let present: [(&str, bool); 0] = [];
    present.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sockets of two cores with two threads each; socket 1 repeats the core ids of socket 0.
    fn two_sockets() -> String {
        let block = |n: usize| {
            format!(
                "processor\t: {n}\nmodel name\t: Big CPU\nphysical id\t: {}\ncore id\t\t: {}\n\n",
                n / 4,
                n % 2
            )
        };
        (0..8).map(block).collect()
    }

    #[test]
    fn cores_are_counted_once_and_only_where_allowed() {
        let info = two_sockets();
        assert_eq!(physical_cores(&info, None), [0, 1, 4, 5]);
        assert_eq!(physical_cores(&info, Some(&cpu_list("0-3"))), [0, 1]);
        assert_eq!(physical_cores(&info, Some(&cpu_list("0,2"))), [0]);
        assert_eq!(physical_cores(&info, Some(&cpu_list("1,4-5"))), [1, 4, 5]);
        assert!(physical_cores("processor : 0\n", None).is_empty());
        assert!(physical_cores("", None).is_empty());
        assert_eq!(cpu_model(&info), "Big CPU");
    }

    #[test]
    fn lists_of_processors() {
        assert_eq!(cpu_list("0-2,7"), BTreeSet::from([0, 1, 2, 7]));
        assert_eq!(cpu_list("x,3-,5"), BTreeSet::from([5]));
        assert_eq!(cpu_list("0-18446744073709551615").len(), 1 << 16);
    }

    #[test]
    fn other_systems_are_unknown() {
        assert_eq!(cpu_model(""), "unknown");
        let arm = "processor : 0\nCPU implementer : 0x41\nCPU part : 0xd40\n";
        assert!(cpu_model(arm).ends_with(" 0x41 0xd40"));
    }

    /// Two cores with caches of their own, one shared, and instructions in a fourth.
    #[test]
    fn caches_are_counted_once() {
        let root = tempfile::tempdir().unwrap();
        let put = |cpu: &str, index: &str, [level, kind, size, shared]: [&str; 4]| {
            let dir = root.path().join(cpu).join("cache").join(index);
            fs::create_dir_all(&dir).unwrap();
            let files = [("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)];
            files.iter().for_each(|(name, text)| fs::write(dir.join(name), format!("{text}\n")).unwrap());
        };
        assert_eq!(cache_bytes(root.path()), None);
        for (cpu, own) in [("cpu0", "0"), ("cpu1", "1")] {
            put(cpu, "index0", ["1", "Data", "48K", own]);
            put(cpu, "index1", ["1", "Instruction", "32K", own]);
            put(cpu, "index3", ["3", "Unified", "8M", "0-1"]);
        }
        assert_eq!(cache_bytes(root.path()), Some(2 * (48 << 10) + (8 << 20)));
        assert_eq!(cache_bytes(&root.path().join("nowhere")), None);
        assert_eq!([cache_size("12"), cache_size("x"), cache_size("1T")], [Some(12), None, None]);
    }

    #[test]
    fn this_machine() {
        let here = Machine::detect(None);
        assert!(here.physical_cores >= 1 && here.physical_cores <= here.logical_cpus, "{here:?}");
        assert_eq!(here.class, slug(&here.class), "a class is a folder name");
        assert!(
            here.class.starts_with("cpu-") && here.class.ends_with(&format!("-{}c", here.physical_cores))
        );
        let gpu = Gpu { name: "NVIDIA H100 80GB HBM3".into(), driver: "550.54".into() };
        let with_gpu = Machine::detect(Some(gpu));
        assert_eq!((with_gpu.class.as_str(), with_gpu.driver.as_str()), ("nvidia-h100-80gb-hbm3", "550.54"));
    }

    #[test]
    fn releases_of_the_driver() {
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27 16:01:57 UTC 2025\n\
                      GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n";
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (a@b)\n";
        assert_eq!(driver_release(closed), "580.82.07");
        assert_eq!(driver_release(open), "580.95.05");
        assert_eq!(driver_release(""), "unknown");
        assert_eq!(driver_release("NVRM version: x86_64\n"), "unknown");
    }
}
