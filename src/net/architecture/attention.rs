//! One block of self-attention.

use super::rnn::sequence;
use crate::net::architecture_kind::{Kind, SEQUENCE};
use crate::net::drawing::{short_sequences, Drawing, Drawn, Place};
use crate::net::layers::{Act, Add, LayerNorm, Matmul, Scale, Softmax, Sum, Transpose};
use crate::net::topology::{DataId, Source, VertexId};
use crate::Result;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "attention",
    about: "one block of self-attention of width units with a hidden layer of 4·width, over depth tokens, each an equal piece of \
            the sample; the mean of all tokens is read out",
    build: |settings| Drawn::of("attention", settings, |_| 6, draw, short_sequences),
    invented: SEQUENCE,
    depth_is: "tokens",
};

/// ε of the layer normalisations, PyTorch's.
const EPSILON: f64 = 1e-5;

fn norm(net: &mut Drawing, name: &str, of: Source) -> Result<Source> {
    let width = net.settings.width;
    let gain = net.constant(&format!("gain.{name}"), &[width], 1.0);
    let bias = net.constant(&format!("shift.{name}"), &[width], 0.0);
    net.add(&format!("{name} norm"), LayerNorm { epsilon: EPSILON }, &[of], &[gain, bias], None)
}

/// A block with its normalisations before what they feed (Xiong et al., arXiv 2002.04745):
/// h = W_e x; u = h + W_o softmax(q kᵀ/√d) v with q, k, v linear in norm h; w = u + W_2 φ(W_1 norm u); output of the mean of w
/// over tokens. States: h, q, k, v, the attention's weights, u, φ(…) and w.
fn draw(net: &mut Drawing) -> Result<(VertexId, DataId)> {
    let (width, tokens) = (net.settings.width, net.settings.depth);
    let x = sequence(net, "attention")?;
    let h = net.linear_state("h", x, width, Place::First)?;
    let read = norm(net, "first", h)?;
    let mut project = |name: &str| net.linear_state(name, read, width, Place::Hidden);
    let (q, k, v) = (project("q")?, project("k")?, project("v")?);
    let k = net.value("k transposed", Transpose {}, &[k])?;
    let scores = net.value("scores", Matmul {}, &[q, k])?;
    let scores = net.value("scores scaled", Scale { constant: (width as f64).sqrt().recip() }, &[scores])?;
    let weights = net.state("weights", Softmax {}, &[scores])?;
    let mixed = net.value("mixed", Matmul {}, &[weights, v])?;
    let mixed = net.linear("o", mixed, width, Place::Branch)?;
    let u = net.state("u", Add, &[h, mixed])?;
    let read = norm(net, "second", u)?;
    let wide = net.linear("1", read, 4 * width, Place::Hidden)?;
    let wide = net.state("hidden", Act(net.settings.activation), &[wide])?;
    let narrow = net.linear("2", wide, width, Place::Branch)?;
    let w = net.state("w", Add, &[u, narrow])?;
    let sum = net.value("sum", Sum { axis: 1 }, &[w])?;
    let mean = net.value("mean", Scale { constant: 1.0 / tokens as f64 }, &[sum])?;
    net.output(mean)
}
