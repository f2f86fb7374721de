//! Launch strategies on a device.

use candle_core::{DType, Device, Result};

use crate::math_mode::MathMode;
use crate::schedule::Schedule;
use crate::stack::Stack;
use crate::tune::{Choice, Strategy, StrategyTable};

/// The strategy on which the fused engine runs a call of this dtype and math mode on a device, given a table of
/// measured times (see [`choose`](crate::tune::choose)), and why not on [`Strategy::Persistent`]; `None` on the CPU.
///
/// # Errors
/// If the driver does not answer, or there are no kernels for the dtype.
pub fn strategy(
    device: &Device,
    stack: &Stack,
    schedule: &Schedule,
    batch: usize,
    kind: (DType, MathMode),
    table: Option<&StrategyTable>,
) -> Result<Option<Choice>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => {
            let limits = crate::cuda::device_limits(cuda)?;
            let kind = (precision(kind.0)?, kind.1);
            Ok(Some(crate::tune::choose(table, stack, schedule, batch, kind, &limits)))
        }
        _ => {
            let _ = (stack, schedule, batch, kind, table);
            Ok(None)
        }
    }
}

/// The strategies that accept a call on a device; none on the CPU.
///
/// # Errors
/// As [`strategy`].
pub fn strategies(
    device: &Device,
    stack: &Stack,
    schedule: &Schedule,
    batch: usize,
    kind: (DType, MathMode),
) -> Result<Vec<Strategy>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => {
            let limits = crate::cuda::device_limits(cuda)?;
            let kind = (precision(kind.0)?, kind.1);
            let takes = |it: &Strategy| it.takes(stack, schedule, batch, kind, &limits).is_ok();
            Ok(Strategy::ALL.into_iter().filter(takes).collect())
        }
        _ => {
            let _ = (stack, schedule, batch, kind);
            Ok(vec![])
        }
    }
}

#[cfg(feature = "cuda")]
fn precision(dtype: DType) -> Result<crate::launch::Precision> {
    match crate::launch::Precision::of(dtype) {
        Some(precision) => Ok(precision),
        None => crate::refuse::refuse!("there are no kernels for {dtype:?}; expected f32 or f64"),
    }
}
