//! VGG-5, VGG-7 and VGG-9 as predictive coding networks.

use crate::net::architecture_kind::{Kind, AS_WIDE};
use crate::net::drawing::{image, small_images, Drawing, Drawn, Place};
use crate::net::layers::{Act, MaxPool, Reshape};
use crate::net::topology::{DataId, Source, VertexId};
use crate::{Error, Result};

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "vgg",
    about: "VGG of depth 5, 7 or 9: 3×3 convolutions of width, 2·width and 4·width channels (published: width 128) and one \
            linear layer",
    build: |settings| Drawn::of("vgg", settings, |settings| settings.depth, draw, small_images),
    invented: AS_WIDE,
    depth_is: "weight layers",
};

/// Of each convolution: channels in units of the width, padding, and whether a 2×2 max-pool follows.
type Block = (usize, usize, bool);

/// The convolutions of the ePC paper's and of PCX's networks (arXiv 2505.20137, 2407.01163).
fn blocks(depth: usize) -> Result<&'static [Block]> {
    Ok(match depth {
        5 => &[(1, 1, true), (2, 1, true), (4, 1, true), (4, 1, true)],
        7 => &[(1, 1, true), (1, 1, false), (2, 1, true), (2, 0, false), (4, 1, true), (4, 0, false)],
        9 => &[
            (1, 1, true),
            (1, 1, false),
            (2, 1, true),
            (2, 1, false),
            (4, 1, true),
            (4, 1, false),
            (4, 1, true),
            (4, 1, false),
        ],
        other => return Err(Error::Invalid(format!("there is no vgg of depth {other}; expected 5, 7 or 9"))),
    })
}

/// One state per block of convolution, activation and pooling, at its end.
fn draw(net: &mut Drawing) -> Result<(VertexId, DataId)> {
    let (blocks, width) = (blocks(net.settings.depth)?, net.settings.width);
    let mut below = Source::Data(net.data("x", &image("vgg", &net.settings)?));
    for (k, &(channels, padding, pools)) in (1..).zip(blocks) {
        let (name, place) = (k.to_string(), if k == 1 { Place::First } else { Place::Hidden });
        let conv = net.conv(&name, below, channels * width, 3, (1, padding), place)?;
        below = if pools {
            let act = net.act(&format!("{name} act"), conv)?;
            net.state(&name, MaxPool { size: 2, stride: 2 }, &[act])?
        } else {
            net.state(&name, Act(net.settings.activation), &[conv])?
        };
    }
    let flat = net.value("flat", Reshape::FLAT, &[below])?;
    net.output(flat)
}
