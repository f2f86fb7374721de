//! Persistent relaxations in the emulator.

use candle_core::Result;

use super::{Emulator, Shape};
use crate::loss::OutputError;
use crate::persistent::{self, Addresses, Plan};
use crate::refuse::refuse;

/// The buffers of a launch, in the memory of the host, laid out as [`StateLayout`](persistent::StateLayout) says.
#[derive(Debug)]
pub struct Buffers<'a> {
    /// W and b of every layer, as in a [`Stack`](crate::Stack).
    pub weights: &'a [f32],
    /// y.
    pub targets: &'a [f32],
    /// v_0 to v_L.
    pub states: &'a mut [f32],
    /// ε.
    pub errors: &'a mut [f32],
    /// δ.
    pub deltas: &'a mut [f32],
}

impl Emulator {
    /// Runs a [`Plan`]: from v_0 in `on.states` to v, ε and δ, with g_t of `step_sizes`. Returns the phase clocks of
    /// the kernel ([`persistent::trace`]).
    ///
    /// # Errors
    /// As [`launch`](Self::launch), and buffers that are not as long as the plan's stack and layout of states say.
    pub fn relax(
        &self,
        plan: &Plan,
        on: &mut Buffers<'_>,
        output: OutputError,
        step_sizes: &[f32],
    ) -> Result<Vec<u64>> {
        let (states, depth) = (plan.states(), plan.stack().depth());
        for (what, got, expected) in [
            ("weights", on.weights.len(), plan.stack().parameters()),
            ("targets", on.targets.len(), states.range(depth).len()),
            ("states", on.states.len(), states.elements()),
            ("errors", on.errors.len(), states.elements()),
            ("deltas", on.deltas.len(), states.elements()),
        ] {
            if got != expected {
                refuse!("the buffer of {what} has {got} numbers; expected {expected}");
            }
        }
        let mut timed_out = vec![0u64; 1 + persistent::trace::WORDS];
        // a value that a block reads before a layer has published it must be NaN
        let (mut exchange, mut flags) = (vec![f32::NAN; plan.exchange()], vec![0u32; plan.flags()]);
        let at = Addresses {
            rows: plan.rows().as_ptr() as u64,
            theta: on.weights.as_ptr() as u64,
            y: on.targets.as_ptr() as u64,
            step_sizes: step_sizes.as_ptr() as u64,
            states: on.states.as_mut_ptr() as u64,
            errors: on.errors.as_mut_ptr() as u64,
            deltas: on.deltas.as_mut_ptr() as u64,
            exchange: exchange.as_mut_ptr() as u64,
            flags: flags.as_mut_ptr() as u64,
            timed_out: timed_out.as_mut_ptr() as u64,
        };
        let launch = plan.launch(&at, step_sizes.len(), output)?;
        let shape = Shape {
            shared: launch.shared as usize,
            cooperative: true,
            ..Shape::new(launch.blocks, launch.threads)
        };
        // SAFETY: the addresses are those of the plan's rows, of buffers whose lengths have been checked against it, of
        // three that are as long as the plan and the kernels say; all are borrowed or owned until this returns.
        // `launch` runs a kernel that the plan was made for, in its shape, with as many step sizes as it has steps.
        unsafe { self.launch(launch.kernel, &shape, &launch.params)? };
        let clocks = timed_out.split_off(1);
        timeout_error(persistent::describe_timeout(&launch.params, launch.kernel, timed_out[0]))?;
        Ok(clocks)
    }
}

/// An error if a block's wait has timed out.
pub(super) fn timeout_error(said: Option<String>) -> Result<()> {
    match said {
        None => Ok(()),
        Some(said) => refuse!("{said}"),
    }
}
