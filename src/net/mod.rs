//! What is trained: networks as graphs of operations, their losses, scalings and starts.

pub mod architecture;
pub mod architecture_kind;
pub mod drawing;
pub mod graph;
pub mod latent_energy;
pub mod layers;
pub mod levels;
pub mod loss;
pub mod operation;
pub mod parameterisation;
pub mod rng;
pub mod topology;
pub mod weighted;

pub use architecture::mlp::MlpSpec;
pub use architecture::{ActivationOrder, Architecture};
pub use graph::{Graph, GraphBuilder, LossTerm, Named, Params};
pub use latent_energy::LatentEnergy;
pub use layers::{Activation, Dense, Elementwise};
pub use loss::{Loss, LossKind, OutputEnergy, Reduction};
pub use operation::{LayerCost, Linearization, Operation, OperationCost, VerbCost};
pub use parameterisation::{Parameterisation, Scheme};
pub use topology::{DataId, ParamId, Source, Topology, VertexId};
pub use weighted::Weighted;

use candle_core::{DType, Device, Tensor};

/// Host numbers as a tensor: rounded to `dtype` on the host, then copied, so devices get the same bits.
pub fn host_tensor(
    values: Vec<f64>,
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> crate::Result<Tensor> {
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}
