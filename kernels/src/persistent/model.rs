//! How long a step of sPC is predicted to take on a GPU: a model, not a measurement.
//!
//! A step of an item is a wait, two products, element-wise work, and publishing. The counts of instructions are those
//! of the machine code that nvcc made (`machine-code.csv`, by `scripts/sass.sh`, the worst loop of a kernel); latencies
//! are assumptions. No measurement has validated the model. A block has eight warps, two on each of the four
//! schedulers, which issue an instruction a cycle:
//!
//!   product   max(2 · i, 8 · c · s) cycles for i instructions of a warp, s of them loads from shared memory of c cycles
//!             each: two in f32, where 16 bytes are loaded per thread, one on tensor cores, where 4 are
//!   elements  2 · (2 · a + 12) · E for E elements of a thread, with a instructions for each activation and what belongs
//!             to it
//!   publish   two fences and four barriers
//!   wait      a poll, a load of R·n floats and a fence, once for all items of a block: other waits overlap with work

use super::{fits, CooperativeLimits, Relaxation, PATIENCE};
use crate::math_mode::MathMode;
use crate::sources::SPC_KERNELS;
use crate::stack::Stack;

/// The committed table of machine code for GPUs of compute capability 9.0.
const MACHINE_CODE: &str = include_str!("../../machine-code.csv");

/// The assumptions of the model about a GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceModel {
    /// Its name.
    pub name: &'static str,
    /// The limits of a launch.
    pub limits: CooperativeLimits,
    /// Cycles per second, at most.
    pub clock: f64,
    /// Cycles from a request to the answer of the L2 cache, when all multiprocessors ask.
    pub l2_latency: f64,
    /// Bytes per cycle between the L2 cache and a multiprocessor.
    pub l2_bytes: f64,
    /// Cycles of a fence over the GPU.
    pub fence: f64,
    /// Cycles of a barrier of a block.
    pub barrier: f64,
}

/// An H100 SXM: 132 multiprocessors, 227 KiB of shared memory for a block, at most 1.98 GHz. Latencies are guesses.
pub const H100: DeviceModel = DeviceModel {
    name: "h100",
    limits: CooperativeLimits {
        multiprocessors: 132,
        shared_per_block: 227 * 1024,
        resident_blocks: 132,
        capability: (9, 0),
        patience: PATIENCE,
    },
    clock: 1.98e9,
    l2_latency: 700.0,
    l2_bytes: 64.0,
    fence: 500.0,
    barrier: 40.0,
};

/// A line of the table of machine code.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Code {
    per_multiplication: f64,
    loads_per_multiplication: f64,
    per_activation: f64,
}

impl Code {
    fn of(kernel: &str) -> Option<Self> {
        let mut lines = MACHINE_CODE.lines();
        let columns: Vec<_> = lines.next()?.split(',').collect();
        let line: Vec<_> = lines
            .map(|line| line.split(',').collect::<Vec<_>>())
            .find(|line| line.first() == Some(&kernel))?;
        let number = |name: &str| line.get(columns.iter().position(|column| *column == name)?)?.parse().ok();
        Some(Self {
            per_multiplication: number("per_multiplication")?,
            loads_per_multiplication: number("loads_per_multiplication")?,
            per_activation: number("per_activation")?,
        })
    }
}

/// Instructions of a warp for the `rows`×128·⌈columns/128⌉ results that a block makes of `depth` terms each.
fn multiplications(math: MathMode, rows: usize, depth: usize, columns: usize) -> f64 {
    let terms = rows as f64 * (columns.div_ceil(128) * 128) as f64 * depth as f64;
    match math {
        MathMode::F32 => terms / 256.0,
        // of 16×8×8 terms, among eight warps
        MathMode::Tf32x3 => 3.0 * terms / 1024.0 / 8.0,
        MathMode::Tf32 | MathMode::Bf16 => terms / 1024.0 / 8.0,
    }
}

/// Seconds of a step of sPC once the error has reached all layers, on the busiest block; `None` where there is no such
/// step or it is not modelled: one layer, a math mode without kernels, a stack that does not fit, or items that use one
/// set of tiles in turn.
pub fn spc_step(stack: &Stack, batch: usize, math: MathMode, device: &DeviceModel) -> Option<f64> {
    let shape = fits(stack, batch, Relaxation::Spc { light_cone: true }, &device.limits).ok()?;
    let kind = MathMode::RESIDENT.iter().position(|it| *it == math)?;
    let tile = [16, 32, 64].iter().position(|rows| *rows == shape.rows)?;
    let code = Code::of(SPC_KERNELS[3 * kind + tile])?;
    let layer = stack.layers().iter().skip(1).max_by_key(|layer| layer.inputs * layer.outputs)?;
    if !shape.resident {
        return None;
    }
    let load = if math == MathMode::F32 { 2.0 } else { 1.0 };
    let product = |depth: usize, columns: usize| {
        let count = multiplications(math, shape.rows, depth, columns);
        (2.0 * count * code.per_multiplication).max(8.0 * load * count * code.loads_per_multiplication)
    };
    let products = product(layer.outputs, layer.inputs) + product(layer.inputs, layer.outputs);
    let elements = (shape.rows * layer.inputs.max(layer.outputs).div_ceil(128) * 128) as f64 / 256.0;
    let element_wise = 2.0 * (2.0 * code.per_activation + 12.0) * elements;
    let publishing = 2.0 * device.fence + 4.0 * device.barrier;
    let received = (shape.rows * layer.outputs * size_of::<f32>()) as f64 / device.l2_bytes;
    let waiting = 2.0 * device.l2_latency + received + device.fence;
    let items = shape.tiles.div_ceil(shape.replicas) * shape.per_block;
    Some((items as f64 * (products + element_wise + publishing) + waiting) / device.clock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Activation, Dense};

    fn net(depth: usize) -> Stack {
        let units = |l: usize| {
            if l == 0 {
                784
            } else if l == depth {
                10
            } else {
                128
            }
        };
        let layer = |l: usize| Dense { act_in: Activation::Tanh, ..Dense::linear(units(l - 1), units(l)) };
        Stack::new((1..=depth).map(layer).collect()).unwrap()
    }

    #[test]
    fn a_step_is_no_faster_than_its_multiplications() {
        for (depth, rows) in [(8, 16), (32, 16), (64, 32), (128, 64)] {
            // 128 lanes of a multiprocessor make one multiplication each per cycle, tensor cores of tf32 a thousand
            for (math, lanes) in [(MathMode::F32, 128.0), (MathMode::Tf32x3, 341.0), (MathMode::Tf32, 1024.0)]
            {
                let seconds = spc_step(&net(depth), 64, math, &H100).unwrap();
                let least = 2.0 * (rows * 128 * 128) as f64 / lanes / H100.clock;
                assert!(seconds > least && seconds < 4.0 * least + 6e-6, "{depth}: {seconds}, least {least}");
            }
        }
    }

    /// Seconds of a step of a captured graph at width 128 and batch 64: a guess, of which this is the lower end, 9 µs
    /// in 8 layers and 18 µs in 128, and a straight line between them.
    fn graph_step(depth: usize) -> f64 {
        9e-6 + 9e-6 * (depth as f64 - 8.0) / 120.0
    }

    /// Why [`tune::cuda`](crate::tune::cuda) takes `persistent` wherever it fits: nowhere does the model see `graph`
    /// ahead by more than its own error of 30 %, and at depths that are powers of two nowhere at all (between them
    /// tiles of 64 rows begin, and f32 is up to a tenth behind).
    #[test]
    fn a_persistent_step_is_predicted_to_be_no_slower_than_a_replayed_one() {
        for depth in 8..=128 {
            for math in MathMode::RESIDENT {
                let seconds = spc_step(&net(depth), 64, math, &H100).unwrap();
                let ratio = seconds / graph_step(depth);
                assert!(ratio < 1.3, "{depth} {math}: {ratio}");
                assert!(ratio < 1.0 || !depth.is_power_of_two(), "{depth} {math}: {ratio}");
            }
        }
    }

    #[test]
    fn every_resident_kernel_is_in_the_table() {
        for kernel in SPC_KERNELS {
            let code = Code::of(kernel).unwrap();
            // a multiplication is an instruction, an activation several
            assert!(code.per_multiplication > 1.0 && code.per_activation > 10.0, "{kernel}: {code:?}");
        }
        assert_eq!(Code::of("no_such_kernel"), None);
    }

    #[test]
    fn what_is_not_modelled_is_not_predicted() {
        for (depth, math) in [(8, MathMode::Bf16), (600, MathMode::F32), (1, MathMode::F32)] {
            assert_eq!(spc_step(&net(depth), 64, math, &H100), None, "{depth} {math}");
        }
        // a block has many tiles, which use one set of shared memory in turn
        assert_eq!(spc_step(&net(8), 8192, MathMode::F32, &H100), None);
    }
}
