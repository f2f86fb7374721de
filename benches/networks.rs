//! One weight update of networks that are no chain of dense layers: convolutional blocks, an LSTM, a block of attention.

mod common;

use common::{Criterion, Result};
use pcnbench::net::architecture::{Kind, Settings};
use pcnbench::net::{Activation, ActivationOrder, Parameterisation};

/// Kind, shape of a sample, depth, width and outputs.
const NETWORKS: [(&str, &[usize], usize, usize, usize); 3] =
    [("vgg", &[3, 32, 32], 5, 16, 10), ("lstm", &[8 * 32], 8, 64, 32), ("attention", &[16 * 32], 16, 64, 32)];

fn networks(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("networks");
    for (name, device) in &common::devices() {
        for (kind, input, depth, width, outputs) in NETWORKS {
            let network = (Kind::of(kind)?.build)(&Settings {
                input: input.to_vec(),
                outputs,
                width,
                depth,
                activation: Activation::Gelu,
                activation_order: ActivationOrder::Post,
                parameterisation: Parameterisation::SP,
                gain: 1.0,
                bias: true,
            });
            for id in ["bp/reference", "spc/reference", "epc/reference"] {
                let spec = common::on(id, network.clone())?;
                let name = format!("{name}/{kind}");
                common::contender(&mut group, (&name, device), &spec, depth, |contender, batch| {
                    contender.update(batch)
                })?;
            }
        }
    }
    group.finish();
    Ok(())
}

fn main() -> std::process::ExitCode {
    common::main(&[networks])
}
