//! A long short-term memory, unrolled, with an output at every step.

use std::sync::Arc;

use super::{lstm, rnn_many};
use crate::net::architecture_kind::{Kind, SEQUENCES};
use crate::net::drawing::Drawn;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "lstm-many",
    about: "as lstm, with an output and a target at every step: the data's outputs are cut into depth equal pieces",
    build: |settings| {
        Arc::new(Drawn {
            kind: "lstm-many",
            settings: settings.clone(),
            draw: |net| lstm::draw(net, true),
            depth: |_| 3,
            reduced: rnn_many::reduced,
        })
    },
    invented: SEQUENCES,
    depth_is: "time steps",
};
