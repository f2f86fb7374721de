//! What a card clocks at, through NVML, which is looked for when a program runs.

use candle_core::CudaDevice;
use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::Nvml;

/// A card's number as NVML spells it; nothing if the driver does not say it.
pub fn uuid(device: &CudaDevice) -> Option<String> {
    let uuid = device.cuda_stream().context().uuid().ok()?;
    Some(crate::card::spelled(uuid.bytes.map(|b| b as u8)))
}

/// The clock of a card's multiprocessors.
#[derive(Debug)]
pub struct Sensor {
    nvml: Nvml,
    // by its own number: the order of cards differs between the two libraries
    uuid: String,
}

impl Sensor {
    /// That of the card behind `device`; nothing without NVML.
    pub fn of(device: &CudaDevice) -> Option<Self> {
        Some(Self { nvml: Nvml::init().ok()?, uuid: uuid(device)? })
    }

    /// Now, in MHz.
    pub fn mhz(&self) -> Option<u32> {
        self.nvml.device_by_uuid(self.uuid.as_str()).ok()?.clock_info(Clock::SM).ok()
    }
}
