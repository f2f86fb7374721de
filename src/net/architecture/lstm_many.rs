//! A long short-term memory, unrolled, with an output at every step.

use super::{lstm, rnn_many};
use crate::net::architecture_kind::{Kind, SEQUENCES};
use crate::net::drawing::Drawn;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "lstm-many",
    about: "as lstm, with an output and a target at every step: the data's outputs are cut into depth equal pieces",
    build: |settings| Drawn::of("lstm-many", settings, |_| 3, |net| lstm::draw(net, true), rnn_many::reduced),
    invented: SEQUENCES,
    depth_is: "time steps",
};
