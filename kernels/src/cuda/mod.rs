//! The kernels on a card: loading, launching, timing, replaying. Everything runs on the stream that Candle itself uses,
//! so that it keeps its order with Candle's operations without waiting.

mod engine;
mod graph;
mod library;
mod module;
mod setup;
mod step;
mod time;

pub(crate) use engine::{card_of, Asked, Engine};
pub use graph::Graph;
pub use module::{kernel, Kernel, Module, Shape, MODULES};
pub(crate) use setup::{keep_pool, setup};
pub use step::Stack;
pub use time::{time, Events};
