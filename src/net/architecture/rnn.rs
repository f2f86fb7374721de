//! A recurrent network, unrolled, with one output after its last step.

use crate::net::architecture_kind::{Kind, SEQUENCE};
use crate::net::drawing::{per_step, short_sequences, Drawing, Drawn, Place};
use crate::net::layers::{Act, Add, Concat, Reshape, Slice};
use crate::net::topology::{DataId, Source, VertexId};
use crate::Result;

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "rnn",
    about: "recurrent network of width hidden units over depth steps, each reading an equal piece of the sample; one output \
            after the last",
    build: |settings| Drawn::of("rnn", settings, |_| 3, |net| draw(net, false), short_sequences),
    invented: SEQUENCE,
    depth_is: "time steps",
};

/// Step t of `of`, which is `[steps, n]`, as `[n]`.
pub(super) fn step(net: &mut Drawing, name: &str, of: Source, t: usize) -> Result<Source> {
    let n = net.shape(of).last().copied().unwrap_or(1);
    let cut = net.value(&format!("{name} cut"), Slice { axis: 1, from: t, to: t + 1 }, &[of])?;
    net.value(&format!("{name} in"), Reshape::to(&[n]), &[cut])
}

/// The input as a sequence of `depth` pieces of the sample.
pub(super) fn sequence(net: &mut Drawing, kind: &str) -> Result<Source> {
    let steps = net.settings.depth;
    let each = per_step(kind, "numbers", net.settings.input.iter().product(), steps)?;
    Ok(Source::Data(net.data("x", &[steps, each])))
}

/// The output of the last hidden state, or one per step: `[steps, outputs/steps]`.
pub(super) fn readout(
    net: &mut Drawing,
    kind: &str,
    hidden: &[Source],
    many: bool,
) -> Result<(VertexId, DataId)> {
    if !many {
        return net.output(hidden[hidden.len() - 1]);
    }
    let steps = hidden.len();
    let outputs = per_step(kind, "targets", net.settings.outputs, steps)?;
    let y = net.data("y", &[steps, outputs]);
    let mut rows = Vec::with_capacity(steps);
    for (t, &h) in (1..).zip(hidden) {
        let width = net.shape(h).to_vec();
        rows.push(net.value(&format!("row {t}"), Reshape::to(&[&[1], &width[..]].concat()), &[h])?);
    }
    let all = match rows[..] {
        [only] => only,
        _ => net.value("rows", Concat { axis: 1 }, &rows)?,
    };
    let output = net.linear("output", all, outputs, Place::Last)?;
    net.loss_on(output, y)
}

/// h_t = φ(W_x x_t + b + W_h h_{t−1}), a state per step, with h_0 = 0; W_x x of all steps is one product, and so is the output of
/// all steps (Millidge, Tschantz & Buckley, arXiv 2006.04182).
pub(super) fn draw(net: &mut Drawing, many: bool) -> Result<(VertexId, DataId)> {
    let (kind, width) = (if many { "rnn-many" } else { "rnn" }, net.settings.width);
    let x = sequence(net, kind)?;
    let read = net.linear("x", x, width, Place::First)?;
    let (w, _) = net.weights("w.h", &[width, width], Place::Hidden);
    let mut hidden: Vec<Source> = Vec::new();
    for t in 0..net.settings.depth {
        net.next_stage();
        let name = (t + 1).to_string();
        let mut z = step(net, &name, read, t)?;
        if let Some(&before) = hidden.last() {
            let linear = crate::net::layers::Linear { bias: false };
            let carried = net.add(&format!("{name} carried"), linear, &[before], &[w], None)?;
            z = net.value(&format!("{name} sum"), Add, &[z, carried])?;
        }
        hidden.push(net.state(&format!("h{name}"), Act(net.settings.activation), &[z])?);
    }
    readout(net, kind, &hidden, many)
}
