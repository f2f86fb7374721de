//! The output error ε_L = −∂loss/∂o on a tile.

use super::arena::{View, PANEL};
use super::real::Real;
use crate::loss::OutputError;

/// e = weight · (y − o), or with softmax(o) over the units of each sample in place of o.
///
/// # Safety
/// Meanwhile no code writes o or y, and no other code reads or writes e.
pub(super) unsafe fn error<T: Real>(of: OutputError, o: View<T>, y: View<T>, e: View<T>) {
    let weight = T::of(of.weight);
    let n = o.width;
    // SAFETY: the caller's, for every row.
    unsafe {
        if !of.softmax {
            for j in 0..o.rows {
                let (o, y, e) = (o.row(j), y.row(j), e.row_mut(j));
                (0..n).for_each(|c| e[c] = weight * (y[c] - o[c]));
            }
            return;
        }
        // the largest output of a sample is taken away first, so that no exponential overflows
        let (mut largest, mut sum) = ([T::ZERO; PANEL], [T::ZERO; PANEL]);
        for j in 0..o.rows {
            let o = o.row(j);
            (0..n).for_each(|c| {
                if j == 0 || o[c] > largest[c] {
                    largest[c] = o[c];
                }
            });
        }
        for j in 0..o.rows {
            let (o, e) = (o.row(j), e.row_mut(j));
            for c in 0..n {
                e[c] = (o[c] - largest[c]).exp();
                sum[c] += e[c];
            }
        }
        for j in 0..o.rows {
            let (y, e) = (y.row(j), e.row_mut(j));
            (0..n).for_each(|c| e[c] = weight * (y[c] - e[c] / sum[c]));
        }
    }
}
