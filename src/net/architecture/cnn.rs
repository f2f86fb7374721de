//! The convolutional network of the fixed-prediction paper.

use crate::net::architecture_kind::{Kind, Settings, AS_WIDE};
use crate::net::drawing::{image, Drawing, Drawn, Place};
use crate::net::layers::{Act, MaxPool, Reshape};
use crate::net::topology::{DataId, Source, VertexId};
use crate::Result;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "cnn",
    about: "two 5×5 convolutions of 6 and 16 channels, then dense layers of width and ¾·width units (published: width 200); \
            depth is not used",
    build: |settings| Drawn::of("cnn", settings, |_| 5, draw, reduced),
    invented: AS_WIDE,
    depth_is: "not used",
};

fn reduced(settings: &Settings) -> Settings {
    Settings {
        input: settings.input.iter().zip([2, 16, 16]).map(|(size, most)| (*size).min(most)).collect(),
        width: settings.width.min(4),
        outputs: settings.outputs.min(3),
        ..settings.clone()
    }
}

/// Convolution, max-pool, convolution, two dense layers and a linear output, each of which but the last has a state (Millidge,
/// Tschantz & Buckley, arXiv 2006.04182).
fn draw(net: &mut Drawing) -> Result<(VertexId, DataId)> {
    let (width, phi) = (net.settings.width, Act(net.settings.activation));
    let x = Source::Data(net.data("x", &image("cnn", &net.settings)?));
    let conv = net.conv("1", x, 6, 5, (1, 0), Place::First)?;
    let first = net.state("1", phi, &[conv])?;
    let pooled = net.state("2", MaxPool { size: 2, stride: 2 }, &[first])?;
    let conv = net.conv("3", pooled, 16, 5, (1, 0), Place::Hidden)?;
    let second = net.state("3", phi, &[conv])?;
    let mut below = net.value("flat", Reshape::FLAT, &[second])?;
    for (name, units) in [("4", width), ("5", (width * 3 / 4).max(1))] {
        let linear = net.linear(name, below, units, Place::Hidden)?;
        below = net.state(name, phi, &[linear])?;
    }
    net.output(below)
}
