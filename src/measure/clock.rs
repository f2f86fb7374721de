//! Wall clock of one piece of work, and the date.

use std::time::{Duration, Instant, SystemTime};

use candle_core::Device;
use pcnbench_kernels::device::Stopwatch;

use crate::Result;

/// Wall time of `work`, from a device at rest to a device at rest.
///
/// Launches on a GPU return before the work is done; without the first synchronisation the time would
/// include what was queued earlier, without the second it would miss what `work` queued.
///
/// # Errors
/// Those of `work` and of the device.
pub fn time(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    device.synchronize()?;
    let start = Instant::now();
    work()?;
    device.synchronize()?;
    Ok(start.elapsed())
}

/// The same, and nanoseconds of the device's own stream between the work's first and last operation, gaps in which it
/// waited for the host included; none on the CPU.
///
/// # Errors
/// Those of `work` and of the device.
pub fn time_with_device(
    device: &Device,
    work: impl FnOnce() -> Result<()>,
) -> Result<(Duration, Option<u64>)> {
    let watch = Stopwatch::of(device)?;
    let wall = time(device, || {
        watch.start()?;
        work()?;
        Ok(watch.stop()?)
    })?;
    Ok((wall, watch.elapsed_ns()?))
}

/// The time now in UTC, RFC 3339 with whole seconds: `2026-11-22T05:36:00Z`. Sorts as text.
pub fn utc_now() -> String {
    rfc3339(SystemTime::now())
}

/// The date now in UTC, as in folder names: `2026-11-22`.
pub fn utc_today() -> String {
    utc_now().chars().take_while(|&c| c != 'T').collect()
}

fn rfc3339(time: SystemTime) -> String {
    // The formatter panics outside 1970 to 9999, where only a machine without a set clock can be.
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let last = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since.min(last)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn dates() {
        let at = |seconds| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        // 2000-02-29: a leap day in a century that is one.
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1 << 40), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        assert!(utc_now().starts_with(&utc_today()) && utc_today().len() == 10);
    }

    #[test]
    fn time_is_that_of_the_work() {
        let nap = Duration::from_millis(20);
        let slept = time(&Device::Cpu, || {
            std::thread::sleep(nap);
            Ok(())
        });
        assert!(slept.unwrap() >= nap);
        let (wall, of_device) = time_with_device(&Device::Cpu, || {
            std::thread::sleep(nap);
            Ok(())
        })
        .unwrap();
        assert!(wall >= nap && of_device.is_none());
        assert!(time(&Device::Cpu, || Err(Error::Invalid("no".into()))).is_err());
    }
}
