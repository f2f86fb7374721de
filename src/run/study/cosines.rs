//! Directions beside those of backpropagation: all together, and the lowest quarter of the layers.

use crate::engine::unwatched;
use crate::net::ParamId;
use crate::optim::Directions;
use crate::rule::{Bp, Rule};
use crate::Result;

use super::subject::Subject;
use crate::run::sums::Sums;

/// Backpropagation's directions of a network, with its layers.
pub(super) struct Backpropagation {
    directions: Directions,
    groups: Vec<Vec<ParamId>>,
}

/// How directions lie beside backpropagation's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cosines {
    /// Of all parameters together.
    pub(super) whole: f64,
    /// Mean over the lowest quarter of the layers, at least one.
    pub(super) lowest: f64,
    /// Length over that of backpropagation's.
    pub(super) norm_ratio: f64,
}

impl Backpropagation {
    pub(super) fn of(subject: &Subject<'_>) -> Result<Self> {
        let directions = Rule::Bp(Bp::default()).learn(&subject.engine(), &mut unwatched)?.directions;
        Ok(Self { directions, groups: subject.graph.topology().groups() })
    }

    /// Its directions.
    pub(super) fn directions(&self) -> &Directions {
        &self.directions
    }

    pub(super) fn beside(&self, own: &Directions) -> Result<Cosines> {
        let (mut all, mut lowest) = (Sums::default(), 0.0);
        let quarter = self.groups.len().div_ceil(4);
        for (i, group) in self.groups.iter().enumerate() {
            let mut sums = Sums::default();
            for &p in group {
                sums = sums.plus(Sums::of(own[p].as_ref(), self.directions[p].as_ref())?);
            }
            all = all.plus(sums);
            if i < quarter {
                lowest += sums.cosine() / quarter as f64;
            }
        }
        Ok(Cosines { whole: all.cosine(), lowest, norm_ratio: all.norm_ratio() })
    }
}
