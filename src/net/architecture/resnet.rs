//! Residual convolutional networks as predictive coding networks.

use crate::net::architecture_kind::{Kind, Settings, AS_WIDE};
use crate::net::drawing::{image, small_images, Drawing, Drawn, Place};
use crate::net::layers::{Act, Add, AvgPool, Reshape};
use crate::net::topology::{DataId, Source, VertexId};
use crate::{Error, Result};

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "resnet",
    about: "residual network of depth 10 or 18: four stages of width to 8·width channels (published: width 64), without batch \
            normalisation",
    build: |settings| Drawn::of("resnet", settings, |settings| settings.depth, draw, small_images),
    invented: AS_WIDE,
    depth_is: "weight layers",
};

/// Basic blocks per stage.
fn blocks(settings: &Settings) -> Result<usize> {
    match settings.depth {
        10 => Ok(1),
        18 => Ok(2),
        other => Err(Error::Invalid(format!("there is no resnet of depth {other}; expected 10 or 18"))),
    }
}

/// The blocks of the ePC paper (arXiv 2505.20137): a state after the stem, one in the middle of each block and one at its end;
/// the skip is deterministic, a 3×3 convolution of stride 2 where sizes change. Its batch normalisation is left out, because it
/// mixes samples and predictive coding is defined on one; its network called ResNet-18 has one block per stage, as `depth = 10`
/// here.
fn draw(net: &mut Drawing) -> Result<(VertexId, DataId)> {
    let (count, width, phi) = (blocks(&net.settings)?, net.settings.width, Act(net.settings.activation));
    let x = Source::Data(net.data("x", &image("resnet", &net.settings)?));
    let stem = net.conv("stem", x, width, 3, (1, 1), Place::First)?;
    let mut below = net.state("stem", phi, &[stem])?;
    for stage in 0..4 {
        for block in 0..count {
            let name = format!("{}.{}", stage + 1, block + 1);
            let (channels, stride) = (width << stage, if stage > 0 && block == 0 { 2 } else { 1 });
            let first = net.conv(&format!("{name}a"), below, channels, 3, (stride, 1), Place::Hidden)?;
            let middle = net.state(&format!("{name}a"), phi, &[first])?;
            let skip = match stride {
                1 => below,
                _ => net.conv(&format!("{name} skip"), below, channels, 3, (stride, 1), Place::Hidden)?,
            };
            let second = net.conv(&format!("{name}b"), middle, channels, 3, (1, 1), Place::Branch)?;
            let sum = net.value(&format!("{name} sum"), Add, &[second, skip])?;
            below = if (stage, block + 1) == (3, count) {
                let act = net.value(&format!("{name} act"), phi, &[sum])?;
                // 4×4 of images of 32×32, all that there is of smaller ones
                let size = net.shape(act).iter().skip(1).copied().min().unwrap_or(1).min(4);
                net.state(&name, AvgPool { size, stride: size }, &[act])?
            } else {
                net.state(&name, phi, &[sum])?
            };
        }
    }
    let flat = net.value("flat", Reshape::FLAT, &[below])?;
    net.output(flat)
}
