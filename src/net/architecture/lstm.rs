//! A long short-term memory, unrolled, with one output after its last step.

use super::rnn::{readout, sequence, step};
use crate::net::architecture_kind::{Kind, SEQUENCE};
use crate::net::drawing::{short_sequences, Drawing, Drawn, Place};
use crate::net::layers::{Act, Activation, Add, Linear, Mul, Slice};
use crate::net::topology::{DataId, Source, VertexId};
use crate::Result;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "lstm",
    about: "long short-term memory of width hidden units over depth steps, each reading an equal piece of the sample; gates are \
            states; one output after the last step",
    build: |settings| Drawn::of("lstm", settings, |_| 3, |net| draw(net, false), short_sequences),
    invented: SEQUENCE,
    depth_is: "time steps",
};

/// f, i, o = σ(z) and g = tanh z with z = W_x x_t + b + W_h h_{t−1}; c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh c_t, from
/// h_0 = c_0 = 0. All of f, i, o, g, c and h are states (Millidge, Tschantz & Buckley, arXiv 2006.04182). The four gates are
/// one product, W_x x of all steps is one, and so is the output of all steps; the settings' activation is not used. Without
/// c_0 the first step has no f.
pub(super) fn draw(net: &mut Drawing, many: bool) -> Result<(VertexId, DataId)> {
    let (kind, width) = (if many { "lstm-many" } else { "lstm" }, net.settings.width);
    let x = sequence(net, kind)?;
    let read = net.linear("x", x, 4 * width, Place::First)?;
    let (w, _) = net.weights("w.h", &[4 * width, width], Place::Hidden);
    let mut hidden: Vec<Source> = Vec::new();
    let mut cell: Option<Source> = None;
    for t in 0..net.settings.depth {
        net.next_stage();
        let name = (t + 1).to_string();
        let mut z = step(net, &name, read, t)?;
        if let Some(&before) = hidden.last() {
            let carried =
                net.add(&format!("{name} carried"), Linear { bias: false }, &[before], &[w], None)?;
            z = net.value(&format!("{name} sum"), Add, &[z, carried])?;
        }
        let mut gate = |letter: &str, k: usize, function: Activation| {
            let part = Slice { axis: 1, from: k * width, to: (k + 1) * width };
            let cut = net.value(&format!("{letter}{name} in"), part, &[z])?;
            net.state(&format!("{letter}{name}"), Act(function), &[cut])
        };
        let input = gate("i", 1, Activation::Sigmoid)?;
        let candidate = gate("g", 3, Activation::Tanh)?;
        let output = gate("o", 2, Activation::Sigmoid)?;
        let new = match cell {
            None => net.state(&format!("c{name}"), Mul, &[input, candidate])?,
            Some(before) => {
                let forget = gate("f", 0, Activation::Sigmoid)?;
                let kept = net.value(&format!("{name} kept"), Mul, &[forget, before])?;
                let new = net.value(&format!("{name} new"), Mul, &[input, candidate])?;
                net.state(&format!("c{name}"), Add, &[kept, new])?
            }
        };
        cell = Some(new);
        let squashed = net.value(&format!("{name} tanh"), Act(Activation::Tanh), &[new])?;
        hidden.push(net.state(&format!("h{name}"), Mul, &[output, squashed])?);
    }
    readout(net, kind, &hidden, many)
}
