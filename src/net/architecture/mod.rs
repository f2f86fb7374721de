//! Architectures: functions from a few numbers to a graph.

pub mod mlp;
