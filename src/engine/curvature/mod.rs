//! Curvature of the energy at a point of inference, on any network: products of its second derivative with vectors, never the
//! matrix.
//!
//! In two sets of coordinates (Innocenti, Achour & Buckley, arXiv 2505.13124; Goemaere et al., arXiv 2505.20137): the states v, which
//! sPC moves, and the errors e with v_i = f_i + e_i, which ePC moves. And as two matrices:
//!
//! - **Gauss–Newton**: every f_i replaced by its linearisation. Positive semidefinite; a product is one forward sweep of jvp and one
//!   backward sweep of vjp, as a step of the rule that moves these coordinates.
//! - **Hessian**: by central differences of the gradient, h = 6e-6 (1 + largest number)/largest entry of z, which leaves a relative
//!   error of about 1e-10 in f64; exact but for rounding where the energy is quadratic.
//!
//! The two agree where no error meets a curved f: on linear networks everywhere, in the errors at e = 0 with a loss of small
//! residual. Descent with step η on a quadratic is stable iff η < 2/λ_max.

mod inverse;
mod minimum;
mod point;
mod products;
mod sweeps;

pub use inverse::Inner;
pub use minimum::{minimum, Minimum};
pub use point::{Coordinates, Curvature, Descended};
pub use products::{product_cost, Matrix};
