//! What is trained: layers, networks, parameterisations, losses.

pub mod activation;
pub mod dense;
pub mod layer;
pub mod loss;
pub mod network;
pub mod parameterisation;
pub mod rng;

pub use activation::Activation;
pub use dense::Dense;
pub use layer::{Layer, LayerCost, Local, VerbCost};
pub use loss::{Loss, LossKind, Reduction};
pub use network::{host_tensor, MlpSpec, Network, Params, Placement};
pub use parameterisation::{Parameterisation, Scheme};
