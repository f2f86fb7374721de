//! Products by cuBLAS, on Candle's own handle and stream, in full f32 or f64 unless other operands are asked for.

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{CudaDevice, Result};

use crate::launch::{Addresses, Base, Operand, Product};
use crate::math_mode::MathMode;
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
    ($number:ty, $type:ident, $exactly:ident) => {
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
                    (base + (operand.offset * size_of::<$number>()) as u64) as *mut c_void
                };
                let turn = |turned: bool| match turned {
                    true => sys::cublasOperation_t::CUBLAS_OP_T,
                    false => sys::cublasOperation_t::CUBLAS_OP_N,
                };
                let compute = match product.math {
                    // f32 in f32, not in tf32; two parts of tf32 would be as good, and no faster to make here
                    MathMode::F32 | MathMode::Tf32x3 => sys::cublasComputeType_t::$exactly,
                    // the library reads f32 and makes of it what tensor cores take
                    MathMode::Tf32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
                    MathMode::Bf16 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_16BF,
                };
                let handle = device.cublas_handle();
                let (one, zero): ($number, $number) = (1.0, 0.0);
                let number = sys::cudaDataType::$type;
                // SAFETY: the handle lives as long as the device, the two factors longer than the call, which reads
                // them on the host and takes them for numbers of the type that it computes in, which they are; the
                // caller answers for the rest.
                let queued = unsafe {
                    result::gemm_strided_batched_ex(
                        *handle.handle(),
                        turn(columns.turn_right),
                        turn(columns.turn_left),
                        n,
                        m,
                        k,
                        std::ptr::from_ref(&one).cast(),
                        start(product.right),
                        number,
                        ld_right,
                        product.right.stride as i64,
                        start(product.left),
                        number,
                        ld_left,
                        product.left.stride as i64,
                        std::ptr::from_ref(&zero).cast(),
                        start(product.to),
                        number,
                        n,
                        product.to.stride as i64,
                        count,
                        compute,
                        sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
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

multiply!(f32, CUDA_R_32F, CUBLAS_COMPUTE_32F);
multiply!(f64, CUDA_R_64F, CUBLAS_COMPUTE_64F);
