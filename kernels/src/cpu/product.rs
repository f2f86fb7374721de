//! The three matrix products of a layer, on tiles, through the `gemm` crate on the calling thread.

use gemm::Parallelism;

use super::arena::View;
use super::real::Real;

/// Where W lies: row-major `[outputs, inputs]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<T> {
    pub(super) ptr: *mut T,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// out `[outputs, w]` = scale · W h, h `[inputs, w]`.
///
/// # Safety
/// W must be allocated and initialised, nobody may write W or h or touch `out` meanwhile, and `out` overlaps neither.
pub(super) unsafe fn forward<T: Real>(w: Weights<T>, scale: f64, h: View<T>, out: View<T>) {
    debug_assert!(h.rows == w.inputs && out.rows >= w.outputs && out.width == h.width);
    if w.inputs == 0 {
        // SAFETY: the caller gives `out` to us alone.
        (0..w.outputs).for_each(|j| unsafe { out.row_mut(j) }.fill(T::ZERO));
        return;
    }
    let (rows, columns) = (1, w.inputs as isize);
    // SAFETY: with the sizes asserted above, every element that is read or written lies within the three operands:
    // the samples are the rows of the product (distance 1 in h and out), the units its columns.
    unsafe {
        gemm::gemm(
            out.width,
            w.outputs,
            w.inputs,
            out.ptr(),
            out.stride as isize,
            1,
            false,
            h.ptr(),
            h.stride as isize,
            1,
            w.ptr,
            columns,
            rows,
            T::ZERO,
            T::of(scale),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// out `[inputs, w]` = scale · Wᵀ d, d `[outputs, w]`.
///
/// # Safety
/// As for [`forward`].
pub(super) unsafe fn backward<T: Real>(w: Weights<T>, scale: f64, d: View<T>, out: View<T>) {
    debug_assert!(d.rows == w.outputs && out.rows >= w.inputs && out.width == d.width);
    if w.outputs == 0 {
        // SAFETY: the caller gives `out` to us alone.
        (0..w.inputs).for_each(|j| unsafe { out.row_mut(j) }.fill(T::ZERO));
        return;
    }
    // SAFETY: as in `forward`, with W read along its other side.
    unsafe {
        gemm::gemm(
            out.width,
            w.inputs,
            w.outputs,
            out.ptr(),
            out.stride as isize,
            1,
            false,
            d.ptr(),
            d.stride as isize,
            1,
            w.ptr,
            1,
            w.inputs as isize,
            T::ZERO,
            T::of(scale),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// out = keep·out + factor · d hᵀ for `rows` units from unit `first` of d; out is row-major `[rows, inputs]`, h and d
/// are whole panels with the same samples.
///
/// # Safety
/// out must be allocated and initialised for rows·inputs elements that nobody else touches meanwhile; nobody may
/// write h or d.
pub(super) unsafe fn outer<T: Real>(
    out: *mut T,
    keep: bool,
    factor: f64,
    (first, rows): (usize, usize),
    d: View<T>,
    h: View<T>,
) {
    debug_assert!(first + rows <= d.rows && d.width == h.width);
    // SAFETY: rows first..first + rows lie within d, out has rows·inputs elements; inputs are the rows of the
    // product (distance 1 in out), units its columns.
    unsafe {
        gemm::gemm(
            h.rows,
            rows,
            h.width,
            out,
            h.rows as isize,
            1,
            keep,
            h.ptr(),
            1,
            h.stride as isize,
            d.ptr().add(first * d.stride),
            d.stride as isize,
            1,
            T::ONE,
            T::of(factor),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
