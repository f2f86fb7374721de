//! The kernels on a card: loading, launching, timing, replaying. Everything runs on the stream that Candle itself uses,
//! so that it keeps its order with Candle's operations without waiting.

mod engine;
mod facts;
mod graph;
mod kept;
mod library;
mod module;
mod pool;
mod sensor;
mod setup;
mod time;

pub(crate) use engine::{Asked, Engine};
pub(crate) use facts::{capability_of, card_of};
pub use graph::Graph;
pub use module::{kernel, Kernel, Module, Shape, MODULES};
pub use pool::Pool;
pub use sensor::{uuid, Sensor};
pub(crate) use setup::{keep_pool, setup};
pub(crate) use time::Events;
