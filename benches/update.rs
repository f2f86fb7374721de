//! One weight update: forward pass, inference, directions, optimiser. What one sample of a suite times.

mod common;

use common::{Criterion, Result, DEPTHS};

const RULES: [&str; 7] = ["bp", "spc", "epc", "fpa", "zil", "seqil", "ipc"];

fn update(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("update");
    for (name, device) in &common::devices() {
        for depth in DEPTHS {
            let both = RULES.iter().flat_map(|rule| ["reference", "fused"].map(|e| format!("{rule}/{e}")));
            for id in std::iter::once("bp/autograd".to_owned()).chain(both) {
                let spec = common::spec(&id, depth)?;
                common::contender(&mut group, (name, device), &spec, depth, |contender, batch| {
                    contender.update(batch)
                })?;
            }
        }
    }
    group.finish();
    Ok(())
}

fn main() -> std::process::ExitCode {
    common::main(&[update])
}
