//! The kernels on a GPU: loading, launching, timing, replaying. Everything runs on the stream that Candle uses, so that
//! it keeps its order with Candle's operations without synchronisation.

mod device_limits;
mod engine;
mod graph;
mod library;
mod module;
mod operand;
mod plan_cache;
mod pool;
mod sensor;
mod setup;
mod time;

pub(crate) use device_limits::{capability_of, device_limits};
pub(crate) use engine::{Asked, Engine};
pub use graph::Graph;
pub use module::{kernel, Kernel, Module, Shape, MODULES};
pub use pool::Pool;
pub use sensor::{uuid, Sensor};
pub(crate) use setup::{keep_pool, setup};
pub(crate) use time::Events;
