//! A recurrent network, unrolled, with an output at every step.

use super::rnn;
use crate::net::architecture_kind::{Kind, Settings, SEQUENCES};
use crate::net::drawing::{short_sequences, Drawn};

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "rnn-many",
    about: "as rnn, with an output and a target at every step: the data's outputs are cut into depth equal pieces",
    build: |settings| Drawn::of("rnn-many", settings, |_| 3, |net| rnn::draw(net, true), reduced),
    invented: SEQUENCES,
    depth_is: "time steps",
};

/// Short sequences with two outputs per step.
pub(super) fn reduced(settings: &Settings) -> Settings {
    let short = short_sequences(settings);
    Settings { outputs: 2 * short.depth, ..short }
}
