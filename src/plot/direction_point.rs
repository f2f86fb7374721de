//! The directions of one contender at one depth, step size and number of steps.

use std::collections::BTreeMap;

use crate::record::{AlignmentRow, SummaryRow};

/// Rows beyond this are damage, not data; following them would never end.
pub(super) const MOST_LAYERS: usize = 10_000;

/// One contender with given depth, step size and number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// The conditions.
    pub row: &'a SummaryRow,
    /// All layers together, if recorded.
    pub whole: Option<&'a AlignmentRow>,
    /// Layer by layer, from 1.
    pub layers: BTreeMap<usize, &'a AlignmentRow>,
}

impl Point<'_> {
    /// Norms of backpropagation's direction in layers 1..=L, if all of them are known and finite.
    pub fn bp_norms(&self) -> Option<Vec<f64>> {
        if self.row.depth == 0 || self.row.depth > MOST_LAYERS {
            return None;
        }
        (1..=self.row.depth)
            .map(|layer| self.layers.get(&layer).map(|r| r.bp_norm).filter(|n| n.is_finite() && *n >= 0.0))
            .collect()
    }
}

/// ‖g − g_bp‖/‖g_bp‖, from the cosine c and the ratio r of norms: √(1 + r² − 2rc). A zero direction is at distance 1
/// whatever its undefined cosine; `None` where the row is not finite.
pub fn distance(row: &AlignmentRow) -> Option<f64> {
    let (r, c) = (row.norm_ratio, row.cosine);
    if r == 0.0 {
        return Some(1.0);
    }
    if !c.is_finite() {
        return None;
    }
    // The same sum in a form that does not cancel where the directions agree; rounding can bring c above 1.
    let square = (1.0 - r) * (1.0 - r) + 2.0 * r * (1.0 - c).max(0.0);
    Some(square.sqrt()).filter(|d| d.is_finite())
}
