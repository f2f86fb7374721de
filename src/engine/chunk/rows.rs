//! Operations on the rows of the last axis, and activations.

use pcnbench_kernels::parts::{vectorised, Matrix, Scalar};

use super::value::{Memory, Numbers};
use crate::net::Activation;

/// a Wᵀ + b.
pub fn linear<T: Scalar>(
    memory: &Memory<T>,
    w: &[T],
    bias: Option<&[T]>,
    a: &[T],
    inputs: usize,
) -> Numbers<T> {
    let (outputs, rows) = (w.len() / inputs, a.len() / inputs);
    let mut out = memory.take(rows * outputs);
    if let Some(bias) = bias {
        out.write().chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
    }
    T::product(
        Matrix::new(a, rows, inputs),
        Matrix::new(w, outputs, inputs).t(),
        bias.is_some(),
        out.write(),
    );
    out
}

/// c W.
pub fn linear_vjp<T: Scalar>(memory: &Memory<T>, w: &[T], c: &[T], inputs: usize) -> Numbers<T> {
    let outputs = w.len() / inputs;
    let rows = c.len() / outputs;
    let mut out = memory.take(rows * inputs);
    T::product(Matrix::new(c, rows, outputs), Matrix::new(w, outputs, inputs), false, out.write());
    out
}

/// w += cᵀ a.
pub fn add_linear_param_grad<T: Scalar>(a: &[T], c: &[T], inputs: usize, w: &mut [T]) {
    let rows = a.len() / inputs;
    let outputs = c.len() / rows.max(1);
    T::product(Matrix::new(c, rows, outputs).t(), Matrix::new(a, rows, inputs), true, w);
}

/// Adds all rows of c to `sum`.
pub fn add_rows<T: Scalar>(c: &[T], sum: &mut [T]) {
    vectorised(
        #[inline(always)]
        || {
            for row in c.chunks_exact(sum.len()) {
                sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
            }
        },
    );
}

/// φ(z), and what the derivative needs besides z and φ(z): φ'(z), where it follows from neither.
pub fn activate<T: Scalar>(memory: &Memory<T>, act: Activation, z: &[T]) -> (Numbers<T>, Option<Numbers<T>>) {
    let mut out = memory.take(z.len());
    let mut slope = (act == Activation::Gelu).then(|| memory.take(z.len()));
    T::activate(act, z, out.write(), slope.as_mut().map(Numbers::write));
    (out, slope)
}

/// c ⊙ φ'(z).
pub fn pull_back<T: Scalar>(
    memory: &Memory<T>,
    act: Activation,
    (z, value, slope): (&[T], &[T], Option<&[T]>),
    c: &[T],
) -> Numbers<T> {
    let one = T::of(1.0);
    match (act, slope) {
        (_, Some(slope)) => memory.zip(c, slope, |c, slope| c * slope),
        (Activation::Tanh, _) => memory.zip(c, value, |c, a| c * (one - a * a)),
        (Activation::Sigmoid, _) => memory.zip(c, value, |c, a| c * a * (one - a)),
        (Activation::Relu, _) => memory.zip(c, value, |c, a| if a > T::default() { c } else { T::default() }),
        (Activation::Identity, _) => memory.map(c, |c| c),
        (other, _) => memory.zip(c, z, |c, z| c * T::of(other.at(z.to_f64()).1)),
    }
}

/// The softmax of every row of n.
pub fn softmax<T: Scalar>(memory: &Memory<T>, a: &[T], n: usize) -> Numbers<T> {
    let mut out = memory.take(a.len());
    for (row, out) in a.chunks_exact(n).zip(out.write().chunks_exact_mut(n)) {
        let most = row.iter().copied().fold(row[0], |most, x| if x > most { x } else { most });
        out.iter_mut().zip(row).for_each(|(out, &x)| *out = most - x);
    }
    T::exponentials_of_minus(out.write());
    for out in out.write().chunks_exact_mut(n) {
        let sum = out.iter().fold(T::default(), |sum, &x| sum + x);
        let share = T::of(1.0) / sum;
        out.iter_mut().for_each(|x| *x *= share);
    }
    out
}

/// s ⊙ (c − ⟨s, c⟩) row by row.
pub fn softmax_vjp<T: Scalar>(memory: &Memory<T>, s: &[T], c: &[T], n: usize) -> Numbers<T> {
    let mut out = memory.take(s.len());
    let rows = s.chunks_exact(n).zip(c.chunks_exact(n)).zip(out.write().chunks_exact_mut(n));
    for ((s, c), out) in rows {
        let along = dot(s, c);
        for ((out, &s), &c) in out.iter_mut().zip(s).zip(c) {
            *out = s * (c - along);
        }
    }
    out
}

/// z = (a − mean)/√(var + ε) row by row, and 1/√(var + ε) of every row.
pub fn normalise<T: Scalar>(memory: &Memory<T>, a: &[T], n: usize, epsilon: f64) -> (Numbers<T>, Numbers<T>) {
    let (mut z, mut r) = (memory.take(a.len()), memory.take(a.len() / n));
    let share = T::of(1.0 / n as f64);
    let rows = a.chunks_exact(n).zip(z.write().chunks_exact_mut(n)).zip(r.write().iter_mut());
    for ((a, z), r) in rows {
        let mean = sum(a) * share;
        z.iter_mut().zip(a).for_each(|(z, &a)| *z = a - mean);
        let variance = dot(z, z) * share;
        *r = T::of(1.0 / (variance.to_f64() + epsilon).sqrt());
        z.iter_mut().for_each(|z| *z *= *r);
    }
    (z, r)
}

/// g ⊙ z + b row by row.
pub fn affine<T: Scalar>(memory: &Memory<T>, z: &[T], gain: &[T], bias: &[T]) -> Numbers<T> {
    let mut out = memory.take(z.len());
    for (z, out) in z.chunks_exact(gain.len()).zip(out.write().chunks_exact_mut(gain.len())) {
        for (((out, &z), &g), &b) in out.iter_mut().zip(z).zip(gain).zip(bias) {
            *out = g * z + b;
        }
    }
    out
}

/// r (h − mean h − z mean(z ⊙ h)) with h = g ⊙ c, row by row.
pub fn normalise_vjp<T: Scalar>(memory: &Memory<T>, (z, r): (&[T], &[T]), gain: &[T], c: &[T]) -> Numbers<T> {
    let n = gain.len();
    let share = T::of(1.0 / n as f64);
    let mut out = memory.take(c.len());
    let rows = z.chunks_exact(n).zip(c.chunks_exact(n)).zip(r).zip(out.write().chunks_exact_mut(n));
    for (((z, c), &r), out) in rows {
        for ((out, &c), &g) in out.iter_mut().zip(c).zip(gain) {
            *out = g * c;
        }
        let (mean, along) = (sum(out) * share, dot(z, out) * share);
        for (out, &z) in out.iter_mut().zip(z) {
            *out = r * (*out - mean - z * along);
        }
    }
    out
}

fn sum<T: Scalar>(a: &[T]) -> T {
    a.iter().fold(T::default(), |sum, &x| sum + x)
}

fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::default(), |sum, (&a, &b)| sum + a * b)
}
