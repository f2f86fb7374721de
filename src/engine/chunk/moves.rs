//! Operations that move numbers, sum them, or multiply two values sample by sample.

use pcnbench_kernels::parts::{Matrix, Scalar};

use super::value::{Memory, Numbers};

/// An axis of n between `before` and `after` numbers: a value is `[before, n, after]`, samples among those before.
#[derive(Debug, Clone, Copy)]
pub struct Along {
    /// Numbers of one step along the axis.
    pub after: usize,
    /// Steps.
    pub n: usize,
}

impl Along {
    fn block(self) -> usize {
        self.n * self.after
    }
}

/// Entries `from` to `to` − 1 along an axis.
pub fn slice<T: Scalar>(memory: &Memory<T>, a: &[T], along: Along, from: usize, to: usize) -> Numbers<T> {
    let (width, start) = ((to - from) * along.after, from * along.after);
    let mut out = memory.take(a.len() / along.n * (to - from));
    for (a, out) in a.chunks_exact(along.block()).zip(out.write().chunks_exact_mut(width)) {
        out.copy_from_slice(&a[start..start + width]);
    }
    out
}

/// The same entries put back among zeros.
pub fn unslice<T: Scalar>(memory: &Memory<T>, c: &[T], along: Along, from: usize, to: usize) -> Numbers<T> {
    let (width, start) = ((to - from) * along.after, from * along.after);
    let mut out = memory.zeros(c.len() / width * along.block());
    for (c, out) in c.chunks_exact(width).zip(out.write().chunks_exact_mut(along.block())) {
        out[start..start + width].copy_from_slice(c);
    }
    out
}

/// Values joined along an axis, each with its own number of steps.
pub fn concat<T: Scalar>(memory: &Memory<T>, inputs: &[&[T]], after: usize, steps: &[usize]) -> Numbers<T> {
    let block = steps.iter().sum::<usize>() * after;
    let mut out = memory.take(inputs.iter().map(|a| a.len()).sum());
    let mut start = 0;
    for (a, n) in inputs.iter().zip(steps) {
        let width = n * after;
        for (a, out) in a.chunks_exact(width).zip(out.write().chunks_exact_mut(block)) {
            out[start..start + width].copy_from_slice(a);
        }
        start += width;
    }
    out
}

/// The sum along an axis.
pub fn sum<T: Scalar>(memory: &Memory<T>, a: &[T], along: Along) -> Numbers<T> {
    let mut out = memory.zeros(a.len() / along.n);
    for (a, out) in a.chunks_exact(along.block()).zip(out.write().chunks_exact_mut(along.after)) {
        for step in a.chunks_exact(along.after) {
            out.iter_mut().zip(step).for_each(|(sum, &value)| *sum += value);
        }
    }
    out
}

/// c repeated along an axis.
pub fn repeat<T: Scalar>(memory: &Memory<T>, c: &[T], along: Along) -> Numbers<T> {
    let mut out = memory.take(c.len() * along.n);
    for (c, out) in c.chunks_exact(along.after).zip(out.write().chunks_exact_mut(along.block())) {
        out.chunks_exact_mut(along.after).for_each(|step| step.copy_from_slice(c));
    }
    out
}

/// `[.., rows, columns]` as `[.., columns, rows]`.
pub fn transpose<T: Scalar>(memory: &Memory<T>, a: &[T], [rows, columns]: [usize; 2]) -> Numbers<T> {
    let mut out = memory.take(a.len());
    for (a, out) in a.chunks_exact(rows * columns).zip(out.write().chunks_exact_mut(rows * columns)) {
        for (i, row) in a.chunks_exact(columns).enumerate() {
            row.iter().enumerate().for_each(|(j, &value)| out[j * rows + i] = value);
        }
    }
    out
}

/// `[.., m, k]` times `[.., k, n]`, matrix by matrix; either factor may be stored transposed.
pub fn product<T: Scalar>(
    memory: &Memory<T>,
    (a, a_transposed): (&[T], bool),
    (b, b_transposed): (&[T], bool),
    [m, k, n]: [usize; 3],
) -> Numbers<T> {
    let mut out = memory.take(a.len() / (m * k) * m * n);
    let each = a.chunks_exact(m * k).zip(b.chunks_exact(k * n)).zip(out.write().chunks_exact_mut(m * n));
    for ((a, b), out) in each {
        let a = if a_transposed { Matrix::new(a, k, m).t() } else { Matrix::new(a, m, k) };
        let b = if b_transposed { Matrix::new(b, n, k).t() } else { Matrix::new(b, k, n) };
        T::product(a, b, false, out);
    }
    out
}
