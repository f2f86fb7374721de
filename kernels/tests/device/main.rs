//! The kernels of `cuda/` on a GPU, against the same equations as in the emulator. Without a GPU, the only
//! test is that the error names its absence.

mod again;
mod call;
#[path = "../shared/call_cases.rs"]
mod call_cases;
#[path = "../shared/primitive_cases.rs"]
mod primitive_cases;
#[path = "../shared/random.rs"]
mod random;

use candle_core::cuda_backend::cudarc::driver::{DevicePtr, DevicePtrMut};
use candle_core::{CudaDevice, Device};
use pcnbench_kernels::cuda::{kernel, Shape, MODULES};
use pcnbench_kernels::primitives::PrimitiveParams;

use primitive_cases::Work;

/// The first GPU, or nothing if there is none.
fn gpu() -> Option<CudaDevice> {
    match pcnbench_kernels::device::open(0) {
        Ok(Device::Cuda(gpu)) => Some(gpu),
        Ok(_) => panic!("not a GPU"),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("CUDA_ERROR") && !error.contains('\n'), "{error}");
            println!("skipped, there is no GPU: {error}");
            None
        }
    }
}

#[test]
fn every_kernel_is_there_and_keeps_to_its_registers() {
    let Some(gpu) = gpu() else { return };
    for name in MODULES.iter().flat_map(|module| module.kernels) {
        let (registers, local) = kernel(&gpu, name).unwrap().usage().unwrap();
        assert!(registers > 0 && local == 0, "{name}: {registers} registers, {local} bytes of local memory");
    }
    let error = kernel(&gpu, "no_such_kernel").unwrap_err().to_string();
    assert!(
        error.contains("no module has a kernel `no_such_kernel`; there are relax_predict_f32_64"),
        "{error}"
    );
}

fn launch(gpu: &CudaDevice, work: Work<'_>) -> candle_core::Result<()> {
    // an empty buffer cannot be allocated
    let upload = |numbers: &[f32]| gpu.clone_htod(&[numbers, &[f32::NAN]].concat());
    let (a, b, mut out) = (upload(work.a)?, upload(work.b)?, upload(work.out)?);
    let mut flags = gpu.clone_htod(&[&*work.flags, &[0]].concat())?;
    {
        let stream = gpu.cuda_stream();
        let (a, _a) = a.device_ptr(&stream);
        let (b, _b) = b.device_ptr(&stream);
        let (out, _out) = out.device_ptr_mut(&stream);
        let (flags, _flags) = flags.device_ptr_mut(&stream);
        let params = PrimitiveParams { a, b, out, flags, n: work.n as i32, steps: work.steps as i32 };
        let shape = Shape { shared: work.shared, ..Shape::new(work.blocks, work.threads) };
        let kernel = kernel(gpu, work.kernel)?;
        // SAFETY: the cases give every kernel what its comment in cuda/primitives.cu asks for; the buffers are freed on
        // the stream of the launch, so after it, and allocations are aligned to far more than 16 bytes.
        unsafe {
            if work.cooperative {
                kernel.launch_cooperative(shape, &params)?;
            } else {
                kernel.launch(shape, &params)?;
            }
        }
    }
    let (all, counts) = (gpu.clone_dtoh(&out)?, gpu.clone_dtoh(&flags)?);
    work.out.copy_from_slice(&all[..work.out.len()]);
    work.flags.copy_from_slice(&counts[..work.flags.len()]);
    Ok(())
}

/// The limit of shared memory belongs to the function, not to the caller: a caller that asks for less must not lower it
/// for another.
#[test]
fn shared_memory_that_was_allowed_stays_allowed() {
    let Some(gpu) = gpu() else { return };
    let copy = |kib: u32| {
        kernel(&gpu, "primitive_copy_async").unwrap().allow_shared(kib << 10).unwrap();
        let a: Vec<f32> = (0..300).map(|i| i as f32).collect();
        let mut out = vec![0.0; a.len()];
        let work = Work {
            kernel: "primitive_copy_async",
            blocks: 1,
            threads: 32,
            shared: 96 << 10,
            cooperative: false,
            a: &a,
            b: &[],
            out: &mut out,
            flags: &mut [],
            n: a.len(),
            steps: 0,
        };
        launch(&gpu, work).unwrap();
        out.reverse();
        assert_eq!(out, a);
    };
    copy(96);
    copy(64);
}

/// The building blocks do on a GPU what the emulator assumes.
#[test]
fn primitives_do_what_they_say_on_a_gpu() {
    let Some(gpu) = gpu() else { return };
    primitive_cases::check(&mut |work| launch(&gpu, work).map_err(|error| error.to_string())).unwrap();
}
