//! Inference in one cooperative launch, in place of the list that a plan has for it. The launch works on states, errors
//! and deltas of its own behind the arena; an element-wise launch before it copies the batch there, and one after it
//! copies the results into the arena.

use super::params::{Elementwise, Params, Precision, Relax};
use super::{list, plan, Ask, Launch, Plan};
use crate::math_mode::MathMode;
use crate::persistent::{self, CooperativeLimits, Relaxation, ResidentRow};
use crate::refuse::refuse;
use crate::rows::Field;
use crate::schedule::Rule;
use crate::stack::Stack;

/// The inputs of a persistent launch besides θ and the arena, the same in every call.
#[derive(Debug, Clone, PartialEq)]
pub struct Resident {
    /// Its table.
    pub rows: Vec<ResidentRow>,
    /// g_t; one zero if there is no step.
    pub step_sizes: Vec<f32>,
}

/// Inference of a call as one cooperative launch.
///
/// # Errors
/// As the end of a sentence after "because", for a call that the persistent kernels cannot run: a rule other than sPC,
/// ePC, BP and Z-IL, f64, or a stack that does not fit on the GPU ([`persistent::Misfit`]).
pub fn relaxation(
    stack: &Stack,
    rule: &Rule,
    batch: usize,
    (precision, math): (Precision, MathMode),
    limits: &CooperativeLimits,
) -> Result<persistent::Plan, String> {
    let what = match *rule {
        Rule::Spc { light_cone, .. } => Relaxation::Spc { light_cone },
        Rule::Epc => Relaxation::Epc,
        // Z-IL's frontier makes the same products
        Rule::Bp | Rule::Zil => Relaxation::Bp,
        Rule::Fpa { .. } | Rule::Ar { .. } | Rule::SeqIl { .. } | Rule::Ipc { .. } => {
            return Err("its rule is not one of spc, epc, bp and zil".to_owned());
        }
    };
    if precision != Precision::F32 {
        return Err("it is in f64, and there are kernels for f32 only".to_owned());
    }
    if let Some(index) = stack.layers().iter().position(|layer| layer.scale as f32 == 0.0) {
        return Err(format!("layer {} has a factor of zero", index + 1));
    }
    persistent::Plan::new(stack, batch, what, math, limits).map_err(|why| why.to_string())
}

/// Plans a call whose inference is one cooperative launch.
///
/// # Errors
/// As [`plan`], and, in a sentence with the reason, as [`relaxation`].
pub fn resident(ask: &Ask<'_>, limits: &CooperativeLimits) -> candle_core::Result<Plan> {
    let mut plan = plan(ask)?;
    if ask.products {
        refuse!("a call is asked for with products by a library and without them; choose one");
    }
    let kind = (ask.precision, ask.math);
    let relaxation = relaxation(ask.stack, &ask.schedule.rule, ask.batch, kind, limits).map_err(|why| {
        candle_core::Error::Msg(format!(
            "strategy `persistent` does not take this call: {why}; take strategy `graph`"
        ))
    })?;

    let flops = Plan { load: vec![], finish: vec![], ..plan.clone() }.flops();
    let states = relaxation.states().elements().next_multiple_of(32);
    let from = plan.arena.next_multiple_of(32);
    let flags = from + 7 * states;
    plan.arena = flags + relaxation.flags();
    if i64::try_from(plan.arena * size_of::<f32>()).is_err() {
        refuse!("a stack has more states than can be addressed; make the batch smaller");
    }
    let bytes = |element: usize| (element * size_of::<f32>()) as u64;
    let at = persistent::Addresses {
        rows: 0,
        theta: 0,
        // layer L has targets in every table
        y: bytes(plan.table.at(ask.stack.depth(), Field::Target).unwrap_or(0)),
        step_sizes: 0,
        states: bytes(from),
        errors: bytes(from + states),
        deltas: bytes(from + 2 * states),
        exchange: bytes(from + 3 * states),
        flags: bytes(flags),
        timed_out: 0,
    };
    let launch = relaxation.launch(&at, ask.schedule.steps.len(), ask.output)?;
    let count = relaxation.flags();
    plan.infer = {
        let mut list = list(ask, &plan.table);
        let depth = ask.stack.depth();
        let begin =
            Params { states_at: from as i64, flags_at: flags as i64, flags: count as i32, ..list.base };
        list.elementwise(0, depth, Elementwise::PackStates, begin);
        list.launches.push(Launch::Relax(Relax {
            name: launch.kernel,
            blocks: launch.blocks,
            threads: launch.threads,
            shared: launch.shared,
            flops,
            params: launch.params,
        }));
        let end = Params { states_at: from as i64, buffer_stride: states as i64, ..list.base };
        list.elementwise(1, depth, Elementwise::UnpackStates, end);
        list.launches
    };
    let mut step_sizes: Vec<f32> = ask.schedule.steps.iter().map(|g| *g as f32).collect();
    // not every allocator returns empty buffers
    step_sizes.resize(step_sizes.len().max(1), 0.0);
    plan.resident = Some(Resident { rows: relaxation.rows().to_vec(), step_sizes });
    Ok(plan)
}
