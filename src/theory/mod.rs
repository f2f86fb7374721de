//! What is known without running anything: pure functions of numbers and small `f64` matrices.
//!
//! No tensors, no devices. Everything here is an oracle for the code that does run: a rule that
//! disagrees with a closed form is wrong, whatever its own tests say.

pub mod analysis;
pub mod conjugate_gradient;
pub mod cost;
pub mod decay;
pub mod lanczos;
pub mod linear;
pub mod makespan;
