//! Oracle: the rules as plain loops in f64. The fused engine on the CPU against them, against itself, and against bad
//! operands.

mod agreement;
mod bits;
mod case;
mod optimisers;
mod plain;
// not all of what the emulator's tests draw is drawn here
#[allow(dead_code)]
#[path = "../shared/random.rs"]
mod random;
mod refusals;
