//! Values from one place to another: fields to fields, tensors to fields and back.

use super::arena::{Tile, View};
use super::real::Real;

/// # Safety
/// The contract of [`super::net`], for both views.
pub(super) unsafe fn copy<T: Real>(from: View<T>, to: View<T>, at: Tile) {
    for j in at.rows(to.rows) {
        // SAFETY: the caller's.
        unsafe { to.row_mut(j).copy_from_slice(from.row(j)) };
    }
}

/// Samples of a tile from row-major `[B, n]` into columns.
///
/// # Safety
/// `from` has B·n elements, and no other code reads or writes the tile meanwhile.
pub(super) unsafe fn transpose_in<T: Real>(from: &[T], to: View<T>, at: Tile) {
    let n = to.rows;
    let start = (at.panel + at.first) * n;
    let from = &from[start..start + at.width * n];
    for j in at.rows(n) {
        // SAFETY: the caller's.
        let row = unsafe { to.row_mut(j) };
        row.iter_mut().enumerate().for_each(|(c, v)| *v = from[c * n + j]);
    }
}

/// Columns of a tile into row-major `[B, n]`.
///
/// # Safety
/// `to` has B·n elements; no other code reads or writes the samples of the tile in it meanwhile.
pub(super) unsafe fn transpose_out<T: Real>(from: View<T>, to: *mut T, at: Tile) {
    let n = from.rows;
    let start = (at.panel + at.first) * n;
    for j in 0..n {
        // SAFETY: the samples of the tile are rows start/n .. start/n + width of `to`.
        unsafe {
            for (c, v) in from.row(j).iter().enumerate() {
                to.add(start + c * n + j).write(*v);
            }
        }
    }
}
