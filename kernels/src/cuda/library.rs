//! Products by cuBLAS, on Candle's own handle and stream, in full f32 or f64.

use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{CudaDevice, Result};

use crate::launch::{Addresses, Base, Operand, Product};
use crate::refuse::refuse;

/// Numbers that the library multiplies.
pub(crate) trait Multiply: Sized {
    /// Queues the product.
    ///
    /// # Errors
    /// If sizes are beyond what the library counts with, or it refuses.
    ///
    /// # Safety
    /// The addresses must be good, on this device, for all that the product names, until the stream has passed it.
    unsafe fn multiply(device: &CudaDevice, product: &Product, at: &Addresses) -> Result<()>;
}

macro_rules! multiply {
    ($number:ty, $gemm:ident) => {
        impl Multiply for $number {
            unsafe fn multiply(device: &CudaDevice, product: &Product, at: &Addresses) -> Result<()> {
                let columns = product.by_columns();
                let size = |n: usize| match i32::try_from(n) {
                    Ok(fits) => Ok(fits),
                    Err(_) => refuse!("cuBLAS counts to {}, not to the {n} of a product", i32::MAX),
                };
                let (m, n, k, count) =
                    (size(product.m)?, size(product.n)?, size(product.k)?, size(product.count)?);
                let (ld_left, ld_right) = (size(columns.ld_left)?, size(columns.ld_right)?);
                let start = |operand: Operand| {
                    let base = match operand.base {
                        Base::Arena => at.arena,
                        Base::Theta => at.theta,
                    };
                    (base + (operand.offset * size_of::<$number>()) as u64) as *mut $number
                };
                let turn = |turned: bool| match turned {
                    true => sys::cublasOperation_t::CUBLAS_OP_T,
                    false => sys::cublasOperation_t::CUBLAS_OP_N,
                };
                // the handle's default mode computes f32 in f32, not in tf32
                let handle = device.cublas_handle();
                let (one, zero): ($number, $number) = (1.0, 0.0);
                // SAFETY: the handle lives as long as the device, the two factors longer than the call, which reads
                // them on the host; the caller answers for the rest.
                let queued = unsafe {
                    result::$gemm(
                        *handle.handle(),
                        turn(columns.turn_right),
                        turn(columns.turn_left),
                        n,
                        m,
                        k,
                        &one,
                        start(product.right),
                        ld_right,
                        product.right.stride as i64,
                        start(product.left),
                        ld_left,
                        product.left.stride as i64,
                        &zero,
                        start(product.to),
                        n,
                        product.to.stride as i64,
                        count,
                    )
                };
                match queued {
                    Ok(()) => Ok(()),
                    Err(error) => refuse!(
                        "cuBLAS refuses {count} products of [{m}, {k}] and [{k}, {n}] ({:?})",
                        error.0
                    ),
                }
            }
        }
    };
}

multiply!(f32, sgemm_strided_batched);
multiply!(f64, dgemm_strided_batched);
