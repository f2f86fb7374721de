//! A dense autoencoder.

use crate::net::architecture_kind::{Kind, Settings, AS_WIDE};
use crate::net::drawing::{Drawing, Drawn, Place};
use crate::net::layers::Act;
use crate::net::topology::{DataId, Source, VertexId};
use crate::Result;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "autoencoder",
    about: "dense layers that narrow from width to ⅛·width and widen again (depth of them, an even number), whose target is the \
            sample itself",
    build: |settings| Drawn::of("autoencoder", settings, |settings| settings.depth, draw, reduced),
    invented: AS_WIDE,
    depth_is: "weight layers",
};

fn reduced(settings: &Settings) -> Settings {
    let inputs = settings.input.iter().product::<usize>().min(6);
    Settings {
        input: vec![inputs],
        width: settings.width.min(5),
        depth: if settings.depth > 2 { 4 } else { 2 },
        ..settings.clone()
    }
}

/// Units of hidden layer l of L, from 1: from the width down to an eighth of it in the middle, and back.
fn units(width: usize, l: usize, depth: usize) -> usize {
    let to_the_middle = l.min(depth - l);
    let middle = depth / 2;
    let narrow = width.div_ceil(8);
    match middle {
        0 | 1 => narrow,
        _ => width - (width - narrow) * (to_the_middle - 1) / (middle - 1),
    }
}

/// A state per hidden layer; the output is linear, and the target is the input.
fn draw(net: &mut Drawing) -> Result<(VertexId, DataId)> {
    let Settings { width, depth, .. } = net.settings;
    let inputs = net.settings.input.iter().product();
    if depth % 2 == 1 {
        return Err(crate::Error::Invalid(format!(
            "an autoencoder of depth {depth} has no middle; expected an even number of layers"
        )));
    }
    let x = net.data("x", &[inputs]);
    let mut below = Source::Data(x);
    for l in 1..depth {
        let name = l.to_string();
        let place = if l == 1 { Place::First } else { Place::Hidden };
        let linear = net.linear(&name, below, units(width, l, depth), place)?;
        below = net.state(&name, Act(net.settings.activation), &[linear])?;
    }
    let output = net.linear("output", below, inputs, Place::Last)?;
    net.loss_on(output, x)
}
