//! One relaxation: the forward pass, T inference steps and the directions they end in; no optimiser.

mod common;

use common::{Criterion, Result, DEPTHS};

fn relaxation(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("relaxation");
    for (name, device) in &common::devices() {
        for depth in DEPTHS {
            for id in ["spc/reference", "spc/fused", "epc/reference", "epc/fused"] {
                let spec = common::spec(id, depth)?;
                common::contender(&mut group, (name, device), &spec, depth, |contender, batch| {
                    contender.directions(batch).map(drop)
                })?;
            }
        }
    }
    group.finish();
    Ok(())
}

fn main() -> std::process::ExitCode {
    common::main(&[relaxation])
}
