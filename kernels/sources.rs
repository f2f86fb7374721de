//! The one list of kernels: the sources for GPUs and for the emulator, the mutants, and the local memory that is
//! allowed. Read by the build script and by the crate.

/// One `.cu` file.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The file below `kernels/`, without `.cu`; its last part is the name of the module.
    pub path: &'static str,
    /// Whether it is built for GPUs; the others are for the emulator only.
    pub for_gpu: bool,
    /// Every kernel in it.
    pub kernels: &'static [&'static str],
    /// Its mutants.
    pub mutants: &'static [Mutant],
}

/// A mutant: a kernel with a bug that a macro puts in, for tests to catch.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// The macro.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// Whether only AddressSanitizer detects it, because the value read out of bounds affects no result.
    pub silent: bool,
}

impl Mutant {
    /// Whether the emulator has it: a silent mutant is built with AddressSanitizer only, every other one without it,
    /// where tests take a fifth of the time. The mutant for tests of timeouts is built in both cases.
    pub fn is_built(&self, asan: bool) -> bool {
        self.silent == asan || self.name == "MUTANT_NEVER_PUBLISH"
    }
}

/// Local memory that a kernel is allowed to use.
#[derive(Debug, Clone, Copy)]
pub struct Spill {
    /// The kernel.
    pub kernel: &'static str,
    /// Bytes of stack frame per thread, at most.
    pub frame: u32,
    /// Bytes of registers written to local memory and read back, at most.
    pub spilled: u32,
    /// Why it is allowed.
    pub reason: &'static str,
}

const fn mutant(name: &'static str, what: &'static str) -> Mutant {
    Mutant { name, what, silent: false }
}

const fn silent(name: &'static str, what: &'static str) -> Mutant {
    Mutant { name, what, silent: true }
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
        for_gpu: true,
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
        mutants: &[
            mutant("MUTANT_DROP_SYNC", "a tile is overwritten while others still read it"),
            mutant("MUTANT_DROP_SYNC_AFTER_LOAD", "a tile is read before it is there"),
            mutant("MUTANT_LOAD_SAME_STEP", "every step of a product multiplies the operands of the first"),
            mutant("MUTANT_ALL_UNIFORM", "layers after the uniform run are taken for one of it"),
            mutant("MUTANT_LAYER_TOO_HIGH", "the last tile of a layer is taken for the first of the next"),
            mutant("MUTANT_STALE_INPUT", "φ_in of a rebuilt state is left as it was"),
            mutant("MUTANT_NO_SKIP_UP", "a prediction leaves out the skip"),
            mutant("MUTANT_NO_SKIP_DOWN", "a pull leaves out the error that the skip carries down"),
            mutant(
                "MUTANT_FORGET_ARRIVAL",
                "a layer that an error reaches for the first time reads an error",
            ),
            mutant("MUTANT_LAST_COLUMN", "the last column of an operand is left out"),
            mutant("MUTANT_ASSUME_FOURS", "rows are taken to begin at multiples of 16 bytes"),
            mutant("MUTANT_STORE_ONE_LESS", "the last of a row's results is not written"),
            silent("MUTANT_READ_PAST_EDGE", "the last tile reads beyond the last row of the weights"),
            mutant("MUTANT_NOT_ROUNDED", "operands are read as they are where tf32 is asked for"),
        ],
    },
    Source {
        path: "cuda/elementwise",
        for_gpu: true,
        kernels: &["elementwise_f32", "elementwise_f64", "softmax_f32", "softmax_f64"],
        mutants: &[
            mutant("MUTANT_SUM_OF_HALF", "the sum of exponentials is taken over half a warp"),
            mutant("MUTANT_FACTOR_TWICE", "deltas of a persistent kernel keep the factor of their layer"),
        ],
    },
    Source {
        path: "cuda/learn",
        for_gpu: true,
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
        mutants: &[
            mutant(
                "MUTANT_STATE_IN_FOURS",
                "an optimiser's state is taken to begin at a multiple of 16 bytes",
            ),
            mutant("MUTANT_MOMENT_OF_D", "Adam's second moment uses d in place of its square"),
            mutant("MUTANT_SUM_WITHOUT_WAITING", "a sum over the block does not wait for its halves"),
            mutant("MUTANT_BIAS_WITHOUT_WAITING", "parts of a bias are added up before they are there"),
            mutant("MUTANT_BIAS_OF_EVERY_TILE", "every tile of a row moves the bias"),
        ],
    },
    Source {
        path: "cuda/primitives",
        for_gpu: true,
        kernels: &[
            "primitive_mma_tf32",
            "primitive_mma_3xtf32",
            "primitive_copy_async",
            "primitive_relay",
            "primitive_warp",
            "primitive_atomic",
            "primitive_tanh",
        ],
        mutants: &[
            mutant("MUTANT_OPERAND_IS_CUT", "operands of tf32 are cut, not rounded"),
            mutant("MUTANT_TANH_TOO_SHORT", "tanh leaves out a term"),
            mutant("MUTANT_SMALL_IS_CUT", "the small part of an operand of 3×tf32 is cut, not rounded"),
            mutant("MUTANT_WAIT_TOO_LITTLE", "an asynchronous copy is read before it has arrived"),
            mutant("MUTANT_DROP_RING_SYNC", "a piece of the ring is overwritten while others still read it"),
            mutant("MUTANT_DROP_FLAG_WAIT", "a block does not wait for one of its neighbours"),
            mutant("MUTANT_SWAP_FLAG", "a block announces a row before it has written it"),
        ],
    },
    Source {
        path: "cuda/persistent",
        for_gpu: true,
        kernels: &SPC_KERNELS,
        mutants: &[
            mutant("MUTANT_SWAP_FLAG", "a block announces predictions before it has written them"),
            mutant("MUTANT_DROP_PUBLISH_SYNC", "one thread announces what the others have not written yet"),
            mutant("MUTANT_DROP_SYNC", "a product begins before its operand is there"),
            mutant("MUTANT_WRONG_HALF", "a block writes over what a neighbour still reads"),
            mutant("MUTANT_HALF_BY_STEP", "the half follows from the step, not from the layer's own count"),
            mutant("MUTANT_WAIT_FOR_STEP_BEFORE", "a block waits for the step before the one it needs"),
            mutant("MUTANT_ARRIVE_LATE", "a layer begins a step after the first error has arrived"),
            mutant("MUTANT_TILE_EDGE", "a product leaves out what is beyond its last whole tile"),
            mutant("MUTANT_LAST_SAMPLE", "the last sample of a batch is left out"),
            mutant("MUTANT_RAGGED_OFF_BY_ONE", "the last input of a layer is left out"),
            mutant("MUTANT_DROP_SKIP", "the residual skip is left out of the prediction"),
            mutant(
                "MUTANT_DROP_LAST_PUBLISHED",
                "the last column of values that another block has published is left out",
            ),
            mutant("MUTANT_ASSUME_FOURS", "rows are taken to begin at multiples of 16 bytes"),
            mutant("MUTANT_BIAS_OF_FIRST_LAYER", "all layers of a block have the bias of its first"),
            mutant("MUTANT_COLUMNS_IN_A_ROW", "tensor cores take columns that lie apart for neighbours"),
            mutant(
                "MUTANT_STALE_OPERAND",
                "an item finds the operand of the item that used the tiles before",
            ),
            mutant("MUTANT_SPLIT_HALF", "3×tf32 leaves out the small part of one operand"),
            mutant("MUTANT_NEVER_PUBLISH", "a layer does not publish its prediction"),
        ],
    },
    Source {
        path: "cuda/sweep",
        for_gpu: true,
        kernels: &SWEEP_KERNELS,
        mutants: &[
            mutant("MUTANT_SWAP_FLAG", "a block announces an adjoint before it has written it"),
            mutant("MUTANT_DROP_PUBLISH_SYNC", "one thread announces what the others have not written yet"),
            mutant("MUTANT_DROP_SYNC", "a product begins before its operand is there"),
            mutant("MUTANT_WAIT_FOR_STEP_BEFORE", "a block waits for the way before the one it needs"),
            mutant(
                "MUTANT_DROP_LAST_LOADED",
                "the last column of values that are loaded together is left out",
            ),
            mutant("MUTANT_DROP_SKIP_BELOW", "the residual skip is left out of the adjoint"),
            mutant(
                "MUTANT_STALE_OPERAND",
                "an item finds the operand of the item that used the tiles before",
            ),
            mutant("MUTANT_NEVER_PUBLISH", "a layer does not publish its adjoint"),
        ],
    },
    Source {
        path: "emu/faults",
        for_gpu: false,
        kernels: &[
            "fault_barrier_of_some",
            "fault_two_barriers",
            "fault_flag_never_set",
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
        mutants: &[],
    },
];

/// Flags of nvcc, besides the compute capabilities to build for.
pub const NVCC_FLAGS: &[&str] =
    &["-fatbin", "-std=c++17", "-O3", "-lineinfo", "--compress-mode=size", "-Xptxas", "-v,-warn-spills"];

/// Compute capabilities to build for; later GPUs translate the PTX of the last when a module is loaded.
/// PCNBENCH_CUDA_ARCHS, a list with commas, overrides it.
pub const CAPABILITIES: &[&str] = &["80", "90"];

/// Kernels that may use local memory. Every other that does is an error of the build: unintended use of local memory
/// costs more than most tricks gain.
pub const SPILLS: &[Spill] = &[];
