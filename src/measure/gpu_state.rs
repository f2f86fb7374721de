//! What a GPU says of itself while it works: its clock and its energy, through NVML.
//!
//! The library is looked for when a run starts; without it, without the feature `cuda` and on the CPU nothing is known,
//! which is what the columns then say.

use candle_core::Device;

/// The GPU behind a device, as far as it can be asked.
#[derive(Debug, Default)]
pub struct GpuState {
    #[cfg(feature = "cuda")]
    asked: Option<(nvml_wrapper::Nvml, String)>,
}

impl GpuState {
    /// The GPU behind `device`.
    pub fn of(device: &Device) -> Self {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => {
                // by its own number: the order of GPUs differs between the two libraries
                Self { asked: nvml_wrapper::Nvml::init().ok().zip(pcnbench_kernels::cuda::uuid(gpu)) }
            }
            _ => Self::default(),
        }
    }

    /// Clock of its multiprocessors now, in MHz.
    pub fn sm_clock_mhz(&self) -> Option<u32> {
        #[cfg(feature = "cuda")]
        {
            use nvml_wrapper::enum_wrappers::device::Clock;
            let (nvml, uuid) = self.asked.as_ref()?;
            nvml.device_by_uuid(uuid.as_str()).ok()?.clock_info(Clock::SM).ok()
        }
        #[cfg(not(feature = "cuda"))]
        None
    }

    /// Sentences for the record if it holds its clocks down or works for others too.
    pub fn warnings(&self) -> Vec<String> {
        self.facts().iter().filter_map(|(what, found)| doubt(what, found)).collect()
    }

    /// What it is doing and may do: clocks, why it holds them down, which other processes work on it; what it does not
    /// report is left out.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        #[cfg(feature = "cuda")]
        {
            use nvml_wrapper::enum_wrappers::device::Clock;
            let asked = self.asked.as_ref();
            let device = asked.and_then(|(nvml, uuid)| nvml.device_by_uuid(uuid.as_str()).ok());
            let Some(device) = device else { return vec![] };
            let mut facts = Vec::new();
            let clock = |clock| Some((device.clock_info(clock).ok()?, device.max_clock_info(clock).ok()?));
            if let (Some((sm, most)), Some((memory, most_memory))) = (clock(Clock::SM), clock(Clock::Memory))
            {
                let found = format!("SM {sm} of {most} MHz, memory {memory} of {most_memory} MHz");
                facts.push(("clocks", found));
            }
            if let Ok(reasons) = device.current_throttle_reasons() {
                let names = reasons.iter_names().map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>();
                let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                facts.push(("clocks held down by", found));
            }
            if let Ok(processes) = device.running_compute_processes() {
                let others = processes.iter().filter(|p| p.pid != std::process::id()).count();
                facts.push(("other processes on the GPU", others.to_string()));
            }
            facts
        }
        #[cfg(not(feature = "cuda"))]
        vec![]
    }

    /// Energy since its driver was loaded, in millijoules.
    pub fn energy_mj(&self) -> Option<u64> {
        #[cfg(feature = "cuda")]
        {
            let (nvml, uuid) = self.asked.as_ref()?;
            nvml.device_by_uuid(uuid.as_str()).ok()?.total_energy_consumption().ok()
        }
        #[cfg(not(feature = "cuda"))]
        None
    }
}

/// What one of the [facts](GpuState::facts) means for times, if anything.
fn doubt(what: &str, found: &str) -> Option<String> {
    match what {
        // a GPU at rest clocks down, and up again when there is work
        "clocks held down by" if !["nothing", "gpu_idle"].contains(&found) => Some(format!(
            "the GPU's clocks are held down by {found}; let it cool, or lift the limit, and run again"
        )),
        "other processes on the GPU" if found != "0" => {
            Some(format!("other processes on the GPU: {found}; end them and run again"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_disturbs_times_is_said() {
        for quiet in [
            ("clocks", "SM 210 of 1980 MHz, memory 2619 of 2619 MHz"),
            ("clocks held down by", "nothing"),
            ("clocks held down by", "gpu_idle"),
            ("other processes on the GPU", "0"),
        ] {
            assert_eq!(doubt(quiet.0, quiet.1), None);
        }
        let held = doubt("clocks held down by", "gpu_idle, sw_power_cap").unwrap();
        assert!(held.contains("held down by gpu_idle, sw_power_cap"), "{held}");
        assert!(doubt("other processes on the GPU", "2").unwrap().contains("on the GPU: 2"));
    }

    #[test]
    fn of_the_processor_nothing_is_known() {
        let none = GpuState::of(&Device::Cpu);
        assert_eq!((none.sm_clock_mhz(), none.energy_mj()), (None, None));
        assert!(none.facts().is_empty() && none.warnings().is_empty());
    }
}
