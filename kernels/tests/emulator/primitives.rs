//! `cuda/primitives.cu` in the emulator.

use pcnbench_kernels::emu::{Emulator, Order, Shape};
use pcnbench_kernels::primitives::PrimitiveParams;

use crate::primitive_cases::{check, Work};

/// 16-byte aligned, as `Vec<f32>` need not be.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Four([f32; 4]);

fn launch(emulator: &Emulator, work: Work<'_>) -> Result<(), String> {
    let four = |chunk: &[f32]| Four(std::array::from_fn(|i| chunk.get(i).copied().unwrap_or(f32::NAN)));
    let a: Vec<_> = work.a.chunks(4).map(four).collect();
    let params = PrimitiveParams {
        a: a.as_ptr() as u64,
        b: work.b.as_ptr() as u64,
        out: work.out.as_mut_ptr() as u64,
        flags: work.flags.as_mut_ptr() as u64,
        n: work.n as i32,
        steps: work.steps as i32,
    };
    let shape = Shape {
        shared: work.shared as usize,
        cooperative: work.cooperative,
        ..Shape::new(work.blocks, work.threads)
    };
    // SAFETY: everything is borrowed until this returns, and the cases give every kernel what its comment in
    // cuda/primitives.cu asks for.
    unsafe { emulator.launch(work.kernel, &shape, &params) }.map_err(|error| error.to_string())
}

/// All tests of `cuda/primitives.cu`, on one variant of it.
pub fn battery(variant: &str) -> Result<(), String> {
    for order in Order::ALL {
        let emulator = Emulator { order, variant: variant.to_owned() };
        check(&mut |work| launch(&emulator, work)).map_err(|wrong| format!("{order:?}: {wrong}"))?;
    }
    Ok(())
}

#[test]
fn primitives_do_what_they_say_in_every_order() {
    battery("clean").unwrap();
}
