//! Each rule as a list of launches. Equations and signs are in `pcnbench`'s rules of the same names.
//!
//! Which launch writes what: `relax_predict` writes errors and, on the way forward, the states of its one layer;
//! `relax_pull` writes the states of its layers and errors that no other layer of the launch reads (those of the lowest
//! one, or the second buffer). So no block of a launch reads what another one writes.

use super::list::List;
use super::params::{Elementwise, Moves, Params, Predict, Pull};
use crate::schedule::{Rule, Schedule};

/// The lowest layer that has moved after t + 1 steps from the forward pass (L if there is none to move).
fn lowest(depth: usize, t: usize, light_cone: bool) -> usize {
    if light_cone {
        depth.saturating_sub(t + 1).max(1)
    } else {
        1
    }
}

/// The lowest layer whose error is not known to be exactly zero at the end.
pub(super) fn reached(schedule: &Schedule, depth: usize) -> usize {
    let steps = schedule.steps.len();
    match schedule.rule {
        Rule::Bp | Rule::Zil | Rule::Ar { .. } => 1,
        Rule::Spc { light_cone: true, .. } | Rule::Fpa { light_cone: true } => {
            depth.saturating_sub(steps).max(1)
        }
        // under iPC no directions are taken at the last point, so its errors matter for results only
        Rule::Ipc { light_cone: true, evaluate, .. } => {
            depth.saturating_sub(if evaluate { steps } else { steps.saturating_sub(1) }).max(1)
        }
        _ if steps == 0 => depth,
        _ => 1,
    }
}

impl List<'_> {
    /// From the loaded batch to states and errors at the last point.
    pub(super) fn infer(&mut self, schedule: &Schedule) {
        let depth = self.table.depth();
        for l in 1..=depth {
            self.predict(l, l, Predict::Forward);
        }
        let steps = &schedule.steps;
        match schedule.rule {
            Rule::Bp | Rule::Zil => {
                for k in (1..depth).rev() {
                    self.pull(k, k, Pull::Adjoint, 0.0, (0, false));
                }
            }
            Rule::Spc { light_cone, .. } => self.spc(steps, light_cone),
            Rule::Epc => self.epc(steps),
            Rule::Fpa { light_cone } => {
                if !light_cone {
                    self.clear();
                }
                self.fixed(steps, light_cone);
            }
            Rule::Ar { top_down } => {
                self.elementwise(1, depth - 1, Elementwise::Start, self.base);
                if top_down {
                    self.in_place(steps);
                } else {
                    self.fixed(steps, false);
                }
            }
            Rule::SeqIl { .. } => self.seqil(steps),
            Rule::Ipc { light_cone, weight_step, evaluate } => {
                self.ipc(steps, (light_cone, evaluate), weight_step);
            }
        }
    }

    fn clear(&mut self) {
        self.elementwise(1, self.table.depth() - 1, Elementwise::Clear, self.base);
    }

    /// Two launches per step: states move from errors, then errors follow from states.
    fn spc(&mut self, steps: &[f64], light_cone: bool) {
        let depth = self.table.depth();
        if !light_cone {
            self.clear();
        }
        for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
            let low = lowest(depth, t, light_cone);
            let arriving = arriving(depth, t, light_cone);
            self.pull(low, depth - 1, Pull::Move, *g, (arriving, false));
            // a layer that an error has just reached is predicted by a state that has not moved
            self.predict(if low == 1 { 1 } else { low + 1 }, depth, Predict::Errors);
        }
    }

    /// A sweep down and one up per step, a launch per layer each. Layer 1 is rebuilt where its error has moved.
    fn epc(&mut self, steps: &[f64]) {
        let depth = self.table.depth();
        for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
            for k in (1..depth).rev() {
                self.pull(k, k, Pull::Descend, *g, (if t == 0 { k } else { 0 }, false));
            }
            for l in 2..=depth {
                self.predict(l, l, Predict::Rebuild);
            }
        }
        // parameters learn from e, not from the adjoint
        if steps.is_empty() {
            self.clear();
        } else {
            self.elementwise(1, depth - 1, Elementwise::LearnError, self.base);
        }
    }

    /// One launch per step: (`Error`, `Delta`) and (`OtherError`, `OtherDelta`) alternate. `State` stays at the forward
    /// pass.
    fn fixed(&mut self, steps: &[f64], light_cone: bool) {
        let depth = self.table.depth();
        for (t, g) in steps.iter().enumerate() {
            let arriving = arriving(depth, t, light_cone);
            let low = lowest(depth, t, light_cone);
            self.pull(low, depth - 1, Pull::Fixed, *g, (arriving, t % 2 == 1));
        }
        if steps.len() % 2 == 1 {
            let low = lowest(depth, steps.len() - 1, light_cone);
            self.elementwise(low, depth - 1, Elementwise::SwapBuffers, self.base);
        }
    }

    /// A launch per layer from the output down; each reads the errors that the launch before has updated.
    fn in_place(&mut self, steps: &[f64]) {
        for g in steps {
            for k in (1..self.table.depth()).rev() {
                self.pull(k, k, Pull::InPlace, *g, (0, false));
            }
        }
    }

    /// A launch per layer on the way down; then one for all predictions, during which no state moves.
    fn seqil(&mut self, steps: &[f64]) {
        let depth = self.table.depth();
        for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
            for k in (1..depth).rev() {
                self.pull(k, k, Pull::Sweep, *g, (if t == 0 { k } else { 0 }, false));
            }
            self.predict(1, depth, if t + 1 < steps.len() { Predict::Slopes } else { Predict::Errors });
        }
        if steps.is_empty() {
            self.clear();
        }
    }

    /// Four launches per step, every gradient at the same point: steps of the states into `PendingStep`, then the
    /// weights move, then the states, then errors follow from both.
    fn ipc(&mut self, steps: &[f64], (light_cone, evaluate): (bool, bool), weight_step: f64) {
        let depth = self.table.depth();
        if !light_cone {
            self.clear();
        }
        for (t, g) in steps.iter().enumerate() {
            let low = lowest(depth, t, light_cone);
            let reached = if light_cone { depth.saturating_sub(t).max(1) } else { 1 };
            let arriving = arriving(depth, t, light_cone);
            self.pull(low, depth - 1, Pull::Delay, *g, (arriving, false));
            let c = [weight_step, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            self.learn(reached, reached, Moves::Sgd, c, 0);
            let with = Params { arriving: arriving as i32, ..self.base };
            self.elementwise(low, depth - 1, Elementwise::Advance, with);
            if t + 1 < steps.len() || evaluate {
                self.predict(reached, depth, Predict::Errors);
            }
        }
    }
}

/// The layer that an error first reaches in step t (of those there are), or 0.
fn arriving(depth: usize, t: usize, light_cone: bool) -> usize {
    if light_cone {
        depth.saturating_sub(t + 1)
    } else {
        0
    }
}
