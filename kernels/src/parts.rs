//! Parts of computations for engines outside of this package: products, activations and threads, checked and safe.

use std::sync::Mutex;

use gemm::Parallelism;
use pulp::{Arch, Simd, WithSimd};

use crate::cpu::taps;
pub use crate::cpu::taps::{Panels, Taps};
use crate::cpu::{activation, Number, Pool, Real};
use crate::layer::Activation;
use crate::Result;

/// f32 or f64.
pub trait Scalar: Number {
    /// Rounded from f64.
    fn of(x: f64) -> Self;
    /// eˣ.
    fn exponential(self) -> Self;
    /// e^(−u) in place of every u ≥ 0; f32 with a relative error of at most 3e-7, and 0 from u = 87 on.
    fn exponentials_of_minus(u: &mut [Self]);
    /// out = φ(z), and slope = φ'(z) where it is wanted; all of one length. f32 tanh has a relative error of at most 4e-7,
    /// the normal distribution in gelu an absolute one of 3e-7.
    fn activate(act: Activation, z: &[Self], out: &mut [Self], slope: Option<&mut [Self]>);
    /// out = a b, or out + a b; out is row-major, `[a.rows, b.columns]`. On the calling thread.
    fn product(a: Matrix<'_, Self>, b: Matrix<'_, Self>, add: bool, out: &mut [Self]);
    /// Every row of `out` is b plus the rows of `x` that it reads, each times the weights of its tap (see [`Taps`]); x is
    /// `[images, pixels, inputs]`, out `[images, rows, outputs]`. On the calling thread.
    ///
    /// # Panics
    /// If the sizes do not fit.
    fn taps_product(taps: &Taps, x: &[Self], w: &Panels<Self>, bias: Option<&[Self]>, out: &mut [Self]);
    /// dw += the gradient of ⟨c, out⟩ by the weights of such a product, in the order of [`Panels`]. On the calling thread.
    ///
    /// # Panics
    /// If the sizes do not fit.
    fn taps_gradient(taps: &Taps, x: &[Self], inputs: usize, c: &[Self], dw: &mut [Self]);
}

/// A matrix in memory that is read.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    by_row: usize,
    by_column: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Row-major, over the first rows·columns elements of `data`.
    ///
    /// # Panics
    /// If `data` has fewer.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert!(rows.checked_mul(columns).is_some_and(|n| n <= data.len()), "a matrix larger than its data");
        Self { data, rows, columns, by_row: columns, by_column: 1 }
    }

    /// Transposed.
    #[must_use]
    pub fn t(self) -> Self {
        let Self { data, rows, columns, by_row, by_column } = self;
        Self { data, rows: columns, columns: rows, by_row: by_column, by_column: by_row }
    }
}

struct ExponentialsOfMinus<'a, T>(&'a mut [T]);

impl<T: Real> WithSimd for ExponentialsOfMinus<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for u in self.0 {
            *u = u.exp_of_minus::<S>();
        }
    }
}

struct Activate<'a, T> {
    act: Activation,
    z: &'a [T],
    out: &'a mut [T],
    slope: Option<&'a mut [T]>,
}

impl<T: Real> WithSimd for Activate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.slope {
            None => activation::value(simd, self.act, self.z, self.out),
            Some(slope) => activation::value_and_slope(simd, self.act, self.z, self.out, slope),
        }
    }
}

fn product<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, add: bool, out: &mut [T]) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert!(b.rows == k, "a product of matrices that do not fit");
    assert!(m.checked_mul(n).is_some_and(|all| all <= out.len()), "a product larger than its place");
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: a matrix is made row-major over data that hold it, and transposing swaps sizes with strides, so every index below
    // its sizes lies within its data; out holds m·n elements, is borrowed mutably, and so overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.data.as_ptr(),
            a.by_column as isize,
            a.by_row as isize,
            b.data.as_ptr(),
            b.by_column as isize,
            b.by_row as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

macro_rules! scalar {
    ($type:ty) => {
        impl Scalar for $type {
            fn of(x: f64) -> Self {
                x as $type
            }

            fn exponential(self) -> Self {
                Real::exp(self)
            }

            fn exponentials_of_minus(u: &mut [Self]) {
                Arch::new().dispatch(ExponentialsOfMinus(u));
            }

            fn activate(act: Activation, z: &[Self], out: &mut [Self], slope: Option<&mut [Self]>) {
                assert!(z.len() == out.len() && slope.as_ref().is_none_or(|s| s.len() == out.len()));
                Arch::new().dispatch(Activate { act, z, out, slope });
            }

            fn product(a: Matrix<'_, Self>, b: Matrix<'_, Self>, add: bool, out: &mut [Self]) {
                product(a, b, add, out);
            }

            fn taps_product(
                taps: &Taps,
                x: &[Self],
                w: &Panels<Self>,
                bias: Option<&[Self]>,
                out: &mut [Self],
            ) {
                taps::product(taps, x, w, bias, out);
            }

            fn taps_gradient(taps: &Taps, x: &[Self], inputs: usize, c: &[Self], dw: &mut [Self]) {
                taps::gradient(taps, x, inputs, c, dw);
            }
        }
    };
}

scalar!(f32);
scalar!(f64);

/// Runs `work`, compiled for the vector instructions of this processor if the closure is marked `#[inline(always)]`.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// Threads that run one function together: those that fused calls use.
#[derive(Debug, Clone)]
pub struct Threads(Pool);

impl Threads {
    /// `count` threads, at least one; one is the caller's own.
    ///
    /// # Errors
    /// [`Error::Threads`](crate::Error::Threads) if the system gives no more.
    pub fn new(count: usize) -> Result<Self> {
        Ok(Self(Pool::new(count)?))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.threads()
    }

    /// Runs `work(0)` to `work(count − 1)` at once and returns when all have returned.
    /// Whether denormals are flushed is as on the calling thread.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    ///
    /// # Panics
    /// If there are fewer threads.
    pub fn run(&self, count: usize, work: impl Fn(usize) + Sync) -> Result<()> {
        assert!(count <= self.count(), "more calls at once than there are threads");
        self.0.run(count, 1, |worker| work(worker.index))
    }

    /// Does every job once, on whichever thread is free.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn share<J: Send>(&self, jobs: Vec<J>, work: impl Fn(J) + Sync) -> Result<()> {
        let jobs = Mutex::new(jobs.into_iter());
        self.run(self.count(), |_| {
            // the lock is free again while a job is done
            let next = || jobs.lock().ok().and_then(|mut jobs| jobs.next());
            while let Some(job) = next() {
                work(job);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Products of small whole numbers, plain and transposed, are those of three loops.
    #[test]
    fn products_by_hand() {
        let a: Vec<f64> = (0..6).map(f64::from).collect();
        let b: Vec<f64> = (0..12).map(|x| f64::from(x) - 5.0).collect();
        let mut out = vec![1.0; 8];
        // [2, 3] × [3, 4]
        f64::product(Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 4), true, &mut out);
        let loops =
            |at: &dyn Fn(usize, usize) -> f64, bt: &dyn Fn(usize, usize) -> f64, k: usize| -> Vec<f64> {
                (0..8).map(|i| (0..k).map(|j| at(i / 4, j) * bt(j, i % 4)).sum::<f64>()).collect()
            };
        let want = loops(&|i, j| a[3 * i + j], &|j, c| b[4 * j + c], 3);
        assert_eq!(out, want.iter().map(|w| w + 1.0).collect::<Vec<_>>());
        // [3, 2]ᵀ × [4, 3]ᵀ
        f64::product(Matrix::new(&a, 3, 2).t(), Matrix::new(&b, 4, 3).t(), false, &mut out);
        assert_eq!(out, loops(&|i, j| a[2 * j + i], &|j, c| b[3 * c + j], 3));
    }

    #[test]
    #[should_panic(expected = "do not fit")]
    fn products_that_do_not_fit_are_refused() {
        f64::product(Matrix::new(&[1.0; 6], 2, 3), Matrix::new(&[1.0; 6], 2, 3), false, &mut [0.0; 9]);
    }

    #[test]
    fn every_job_is_done_once() {
        let seen = std::sync::Mutex::new(Vec::new());
        Threads::new(2).unwrap().share((0..50).collect(), |job| seen.lock().unwrap().push(job)).unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..50));
    }

    #[test]
    fn threads_run_every_index_once() {
        let threads = Threads::new(2).unwrap();
        let seen = std::sync::Mutex::new(Vec::new());
        threads.run(2, |index| seen.lock().unwrap().push(index)).unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
    }
}
