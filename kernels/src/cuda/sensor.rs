//! The clock of a GPU, through NVML, which is loaded when a program runs.

use candle_core::CudaDevice;
use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::Nvml;

/// The UUID of a GPU as NVML spells it; `None` if the driver does not report it.
pub fn uuid(device: &CudaDevice) -> Option<String> {
    let uuid = device.cuda_stream().context().uuid().ok()?;
    Some(crate::device::spelled(uuid.bytes.map(|b| b as u8)))
}

/// The clock of a GPU's multiprocessors.
#[derive(Debug)]
pub struct Sensor {
    nvml: Nvml,
    // by UUID, because the order of GPUs differs between the two libraries
    uuid: String,
}

impl Sensor {
    /// The clock of the GPU behind `device`; `None` without NVML.
    pub fn of(device: &CudaDevice) -> Option<Self> {
        Some(Self { nvml: Nvml::init().ok()?, uuid: uuid(device)? })
    }

    /// Now, in MHz.
    pub fn mhz(&self) -> Option<u32> {
        self.nvml.device_by_uuid(self.uuid.as_str()).ok()?.clock_info(Clock::SM).ok()
    }
}
