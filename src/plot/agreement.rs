//! When engines executed a rule alike, so that a figure of directions need not draw it twice.

use super::direction_point::{distance, Point};
use crate::record::AlignmentRow;

/// Whether two engines' points of a rule are the same to the eye: at the same conditions, directions of all layers
/// together as far from BP's, and layer by layer as long and at the same angle, to a thousandth or to rounding.
pub(super) fn agree(a: &[Point<'_>], b: &[Point<'_>]) -> bool {
    let condition = |p: &Point<'_>| (p.row.depth, p.row.step_size.to_bits(), p.row.steps);
    let both = |a: &Point<'_>, b: &Point<'_>| {
        // Some tens of units in the last place.
        let floor = if a.row.dtype == "f64" { 1e-14 } else { 1e-5 };
        let same = |x: f64, y: f64| (x - y).abs() <= 1e-3 * x.abs().max(y.abs()) + floor;
        let pairs = || a.layers.values().zip(b.layers.values());
        // Directions of next to nothing have no angle.
        let long = |r: &AlignmentRow| r.norm_ratio > floor && r.cosine.is_finite();
        let wholes = match (a.whole.and_then(distance), b.whole.and_then(distance)) {
            (Some(x), Some(y)) => same(x, y),
            (x, y) => x.is_none() && y.is_none(),
        };
        condition(a) == condition(b)
            && wholes
            && a.layers.keys().eq(b.layers.keys())
            && pairs().all(|(x, y)| same(x.norm_ratio, y.norm_ratio))
            && pairs().filter(|(x, y)| long(x) && long(y)).all(|(x, y)| same(x.cosine, y.cosine))
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| both(a, b))
}

#[cfg(test)]
mod tests {
    use super::super::direction::fields;
    use super::super::synthetic::{align, empty};
    use super::*;

    /// Engines that agree are one line; one that differs in a single layer, or by more than rounding near zero, is
    /// another.
    #[test]
    fn engines_that_agree_are_one() {
        let rule = |change: fn(&mut AlignmentRow)| {
            let mut record = empty();
            for contender in ["spc/reference", "spc/fused", "zil/fused"] {
                align(
                    &mut record,
                    contender,
                    &[0.5],
                    |l, t| l * t,
                    |c, d| {
                        let share = (c.arrived)(c, d);
                        (1.0 - 0.1 * share, share)
                    },
                );
            }
            record.alignments.iter_mut().filter(|r| r.contender == "spc/fused").for_each(change);
            fields(&record)[0].series.iter().map(|r| r.printed.clone()).collect::<Vec<_>>()
        };
        let one = ["sPC · reference and fused", "Z-IL · fused"];
        let two = ["sPC · reference", "sPC · fused", "Z-IL · fused"];
        assert_eq!(rule(|_| ()), one);
        assert_eq!(rule(|r| (r.cosine, r.norm_ratio) = (r.cosine + 1e-9, r.norm_ratio + 1e-9)), one);
        assert_eq!(rule(|r| r.norm_ratio *= if r.layer == 2 { 1.1 } else { 1.0 }), two);
        assert_eq!(rule(|r| r.cosine -= if r.layer == 4 { 0.1 } else { 0.0 }), two);
        assert_eq!(rule(|r| r.cosine -= if r.layer == 0 { 0.1 } else { 0.0 }), two);
        assert_eq!(rule(|r| r.norm_ratio += if r.layer == 1 { 1e-3 } else { 0.0 }), two);
    }
}
