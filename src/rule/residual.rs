//! Where inference ends before its last step.

use super::Steps;
use crate::engine::{Engine, MaybeZero};
use crate::Result;

/// The bound of [`Steps::residual`], and the largest residual so far. At a forward start the descent of sPC is zero but next to the
/// losses, and its length may grow while the error spreads: so it is held against the largest that was seen, not against the first.
#[derive(Debug)]
pub(super) struct Residual {
    tolerance: f64,
    largest: f64,
}

impl Residual {
    /// The bound of a schedule, if it has one.
    pub(super) fn of(steps: &Steps) -> Option<Self> {
        (steps.residual > 0.0).then_some(Self { tolerance: steps.residual, largest: 0.0 })
    }

    /// Whether inference ends here, given −∂F/∂z of all that it moves. An engine without numbers never ends it: what it counts is an
    /// upper bound.
    pub(super) fn reached<E: Engine>(
        &mut self,
        engine: &E,
        descents: &[MaybeZero<E::Value>],
    ) -> Result<bool> {
        let (mut square, mut known) = (0.0, true);
        for descent in descents.iter().flatten() {
            match engine.sum_of_squares(descent)? {
                Some(own) => square += own,
                None => known = false,
            }
        }
        let length = f64::sqrt(square);
        self.largest = self.largest.max(length);
        Ok(known && length <= self.tolerance * self.largest)
    }
}
