//! The kernels of `cuda/`, run on the CPU by `emu/`: against loops in f64, in several orders of threads and blocks, as
//! mutants, and under AddressSanitizer if the emulator was built with it.

mod call;
#[path = "../shared/call_cases.rs"]
mod call_cases;
mod energy;
mod faults;
mod math_mode;
mod mutants;
mod persistent;
#[path = "../shared/primitive_cases.rs"]
mod primitive_cases;
mod primitives;
#[path = "../shared/random.rs"]
mod random;
#[path = "../shared/reference.rs"]
mod reference;
#[path = "../shared/relaxation.rs"]
mod relaxation;
mod trace;
