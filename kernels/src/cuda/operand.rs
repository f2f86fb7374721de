//! What a call is given: numbers, and where they begin.

use candle_core::cuda_backend::cudarc::driver::DeviceRepr;
use candle_core::cuda_backend::CudaDType;
use candle_core::{CudaStorage, Layout, WithDType};

use super::library::Multiply;

/// Numbers that both Candle and the kernels have.
pub(crate) trait Number: CudaDType + WithDType + DeviceRepr + Multiply {}
impl Number for f32 {}
impl Number for f64 {}

/// An operand: its storage and where it begins there.
pub(crate) type Operand<'a> = (&'a CudaStorage, &'a Layout);
