//! The one list of kernels: what is built for a card, what runs in the emulator, which mutants there are, and which
//! local memory is let pass. Read by the build script and by the crate.

/// One `.cu` file.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The file below `kernels/`, without `.cu`; its last part is the name of the module.
    pub path: &'static str,
    /// Whether it is built for cards; the others are for the emulator alone.
    pub card: bool,
    /// Every kernel in it.
    pub kernels: &'static [&'static str],
    /// Its mutants.
    pub plants: &'static [Plant],
}

/// A mutant: a kernel with a bug that a macro puts in, for tests to catch.
#[derive(Debug, Clone, Copy)]
pub struct Plant {
    /// The macro.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// Whether only AddressSanitizer can see it: what is read out of bounds reaches no result.
    pub silent: bool,
}

impl Plant {
    /// Whether the emulator has it: a silent bug shows under AddressSanitizer alone, every other one without it, in a
    /// fifth of the time. Tests of waits that time out start theirs either way.
    pub fn is_built(&self, asan: bool) -> bool {
        self.silent == asan || self.name == "PLANT_NEVER_TELL"
    }
}

/// Local memory of a kernel that is let pass.
#[derive(Debug, Clone, Copy)]
pub struct Spill {
    /// Which kernel.
    pub kernel: &'static str,
    /// Bytes of stack frame per thread, at most.
    pub frame: u32,
    /// Bytes of registers written to local memory and read back, at most.
    pub spilled: u32,
    /// Why that is all right.
    pub reason: &'static str,
}

const fn plant(name: &'static str, what: &'static str) -> Plant {
    Plant { name, what, silent: false }
}

const fn silent(name: &'static str, what: &'static str) -> Plant {
    Plant { name, what, silent: true }
}

/// Persistent sPC: by precision, then by samples of a tile.
pub const SPC_KERNELS: [&str; 9] = [
    "persistent_spc_16_f32",
    "persistent_spc_32_f32",
    "persistent_spc_64_f32",
    "persistent_spc_16_3xtf32",
    "persistent_spc_32_3xtf32",
    "persistent_spc_64_3xtf32",
    "persistent_spc_16_tf32",
    "persistent_spc_32_tf32",
    "persistent_spc_64_tf32",
];

/// Persistent ePC and BP: by precision, then by samples of a tile.
pub const SWEEP_KERNELS: [&str; 9] = [
    "persistent_sweep_16_f32",
    "persistent_sweep_32_f32",
    "persistent_sweep_64_f32",
    "persistent_sweep_16_3xtf32",
    "persistent_sweep_32_3xtf32",
    "persistent_sweep_64_3xtf32",
    "persistent_sweep_16_tf32",
    "persistent_sweep_32_tf32",
    "persistent_sweep_64_tf32",
];

/// All sources.
pub const SOURCES: &[Source] = &[
    Source {
        path: "cuda/relax",
        card: true,
        kernels: &[
            "relax_predict_f32_64",
            "relax_predict_f32_32",
            "relax_predict_f32_16",
            "relax_predict_f64_64",
            "relax_predict_f64_32",
            "relax_predict_f64_16",
            "relax_pull_f32_64",
            "relax_pull_f32_32",
            "relax_pull_f32_16",
            "relax_pull_f64_64",
            "relax_pull_f64_32",
            "relax_pull_f64_16",
        ],
        plants: &[
            plant("PLANT_DROP_SYNC", "a tile is overwritten while others still read it"),
            plant("PLANT_DROP_SYNC_AFTER_LOAD", "a tile is read before it is there"),
            plant("PLANT_BRING_THE_SAME", "every step of a product multiplies the numbers of the first"),
            plant("PLANT_ALL_ALIKE", "layers behind those with as many tiles each are taken for one of them"),
            plant("PLANT_LAYER_TOO_HIGH", "the last tile of a layer is taken for the first of the next"),
            plant("PLANT_STALE_INPUT", "φ_in of a rebuilt state is left as it was"),
            plant("PLANT_NO_SKIP_UP", "a prediction leaves out the skip"),
            plant("PLANT_NO_SKIP_DOWN", "a pull leaves out what the skip carries down"),
            plant("PLANT_FORGET_ARRIVAL", "a layer that an error reaches for the first time reads an error"),
            plant("PLANT_LAST_COLUMN", "the last column of an operand is left out"),
            plant("PLANT_ASSUME_FOURS", "rows are taken to begin at multiples of 16 bytes"),
            plant("PLANT_STORE_ONE_LESS", "the last of a row's results is not written"),
            silent("PLANT_READ_PAST_EDGE", "the last tile reads beyond the last row of the weights"),
            plant("PLANT_NOT_ROUNDED", "operands are read as they are where tf32 is asked for"),
        ],
    },
    Source {
        path: "cuda/around",
        card: true,
        kernels: &["around_f32", "around_f64", "softmax_f32", "softmax_f64"],
        plants: &[
            plant("PLANT_SUM_OF_HALF", "the sum of exponentials is taken over half a warp"),
            plant("PLANT_FACTOR_TWICE", "deltas of a persistent kernel keep the factor of their layer"),
        ],
    },
    Source {
        path: "cuda/learn",
        card: true,
        kernels: &[
            "learn_f32_64",
            "learn_f32_32",
            "learn_f32_16",
            "learn_f64_64",
            "learn_f64_32",
            "learn_f64_16",
            "mq_f32",
            "mq_f64",
        ],
        plants: &[
            plant("PLANT_STATE_IN_FOURS", "an optimiser's state is taken to begin at a multiple of 16 bytes"),
            plant("PLANT_SQUARE_LOST", "Adam's second moment takes d for its square"),
            plant("PLANT_SUM_WITHOUT_WAITING", "a sum over the block does not wait for its halves"),
            plant("PLANT_BIAS_WITHOUT_WAITING", "parts of a bias are added up before they are there"),
            plant("PLANT_BIAS_OF_EVERY_TILE", "every tile of a row moves the bias"),
        ],
    },
    Source {
        path: "cuda/primitives",
        card: true,
        kernels: &[
            "primitive_mma_tf32",
            "primitive_mma_3xtf32",
            "primitive_copy_async",
            "primitive_relay",
            "primitive_warp",
            "primitive_atomic",
            "primitive_tanh",
        ],
        plants: &[
            plant("PLANT_OPERAND_IS_CUT", "operands of tf32 are cut, not rounded"),
            plant("PLANT_TANH_TOO_SHORT", "tanh leaves out a term"),
            plant("PLANT_SMALL_IS_CUT", "the small part of an operand of 3×tf32 is cut, not rounded"),
            plant("PLANT_WAIT_TOO_LITTLE", "an asynchronous copy is read before it has arrived"),
            plant("PLANT_DROP_RING_SYNC", "a piece of the ring is overwritten while others still read it"),
            plant("PLANT_DROP_FLAG_WAIT", "a block does not wait for one of its neighbours"),
            plant("PLANT_SWAP_FLAG", "a block announces a row before it has written it"),
        ],
    },
    Source {
        path: "cuda/persistent",
        card: true,
        kernels: &SPC_KERNELS,
        plants: &[
            plant("PLANT_SWAP_FLAG", "a block announces predictions before it has written them"),
            plant("PLANT_DROP_PUBLISH_SYNC", "one thread announces what the others have not written yet"),
            plant("PLANT_DROP_SYNC", "a product begins before its operand is there"),
            plant("PLANT_WRONG_HALF", "a block writes over what a neighbour still reads"),
            plant("PLANT_HALF_BY_STEP", "the half is told from the step, not from the layer's own count"),
            plant("PLANT_WAIT_FOR_STEP_BEFORE", "a block waits for the step before the one it needs"),
            plant("PLANT_ARRIVE_LATE", "a layer begins a step after the first error has arrived"),
            plant("PLANT_TILE_EDGE", "a product leaves out what is beyond its last whole tile"),
            plant("PLANT_LAST_SAMPLE", "the last sample of a batch is left out"),
            plant("PLANT_RAGGED_OFF_BY_ONE", "the last input of a layer is left out"),
            plant("PLANT_DROP_SKIP", "the residual skip is left out of the prediction"),
            plant("PLANT_TOLD_TOO_FEW", "the last column of what another block has told is left out"),
            plant("PLANT_ASSUME_FOURS", "rows are taken to begin at multiples of 16 bytes"),
            plant("PLANT_BIAS_OF_FIRST_LAYER", "all layers of a block have the bias of its first"),
            plant("PLANT_COLUMNS_IN_A_ROW", "tensor cores take columns that lie apart for neighbours"),
            plant("PLANT_STALE_OPERAND", "an item that takes its turn finds the operand of the item before"),
            plant("PLANT_SPLIT_HALF", "3×tf32 leaves out the small part of one operand"),
            plant("PLANT_NEVER_TELL", "a layer does not say that its prediction is there"),
        ],
    },
    Source {
        path: "cuda/sweep",
        card: true,
        kernels: &SWEEP_KERNELS,
        plants: &[
            plant("PLANT_SWAP_FLAG", "a block announces an adjoint before it has written it"),
            plant("PLANT_DROP_PUBLISH_SYNC", "one thread announces what the others have not written yet"),
            plant("PLANT_DROP_SYNC", "a product begins before its operand is there"),
            plant("PLANT_WAIT_FOR_STEP_BEFORE", "a block waits for the way before the one it needs"),
            plant("PLANT_BROUGHT_TOO_FEW", "the last column of what is brought together is left out"),
            plant("PLANT_DROP_SKIP_BELOW", "the residual skip is left out of the adjoint"),
            plant("PLANT_STALE_OPERAND", "an item that takes its turn finds the operand of the item before"),
            plant("PLANT_NEVER_TELL", "a layer does not say that its adjoint is there"),
        ],
    },
    Source {
        path: "emu/faults",
        card: false,
        kernels: &[
            "fault_barrier_of_some",
            "fault_two_barriers",
            "fault_flag_nobody_sets",
            "fault_needs_cooperation",
            "fault_lane_left_out",
            "fault_masks_disagree",
            "fault_reads_outside_mask",
            "fault_misaligned",
            "fault_copy_not_awaited",
            "fault_reads_poison",
            "fault_deep_recursion",
            "fault_past_fixed",
            "fault_past_given",
            "fault_past_global",
        ],
        plants: &[],
    },
];

/// Flags of nvcc, besides the cards to build for.
pub const NVCC_FLAGS: &[&str] =
    &["-fatbin", "-std=c++17", "-O3", "-lineinfo", "--compress-mode=size", "-Xptxas", "-v,-warn-spills"];

/// Cards to build for, as compute capabilities; later cards translate the PTX of the last when a module is loaded.
/// PCNBENCH_CUDA_ARCHS, a list with commas, overrides it.
pub const CARDS: &[&str] = &["80", "90"];

/// Kernels that may use local memory. Every other that does is an error of the build: unintended use of local memory
/// costs more than most tricks gain.
pub const SPILLS: &[Spill] = &[];
