//! The kernels of `cuda/`, run on the CPU by `emu/`: against loops in f64, in several orders of threads and blocks, with
//! bugs planted, and under AddressSanitizer if the emulator was built with it.

mod faults;
mod plants;
mod primitives;
mod random;
mod reference;
mod step;
