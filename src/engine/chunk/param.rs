//! Parameters in the form in which a chunk reads them.

use std::sync::{Arc, OnceLock};

use pcnbench_kernels::parts::{Panels, Scalar};

/// A parameter; cheap to copy and to share between threads.
#[derive(Debug, Clone)]
pub struct Param<'a, T> {
    numbers: &'a [T],
    /// Numbers of a row: of all that belongs to one output.
    row: usize,
    windows: Option<Arc<Windowed<T>>>,
}

/// Weights in the order in which products read them, made when they are first wanted.
#[derive(Debug)]
struct Windowed<T> {
    shape: [usize; 3],
    forms: [OnceLock<Panels<T>>; 2],
}

/// Who reads weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Its value.
    Forward,
    /// Its transposed Jacobian.
    Back,
}

/// Outputs, inputs and taps of weights that are put in the order of products: those of a convolution, the only parameter of four
/// axes, and those of a linear map that several vertices use, which are read often enough to be worth it.
fn windows(shape: &[usize], shared: bool) -> Option<[usize; 3]> {
    match *shape {
        [outputs, inputs] if shared => Some([outputs, inputs, 1]),
        [outputs, inputs, rows, columns] => Some([outputs, inputs, rows * columns]),
        _ => None,
    }
}

impl<'a, T: Scalar> Param<'a, T> {
    /// From its numbers, row by row; `shared` if several vertices use it.
    pub fn new(numbers: &'a [T], shape: &[usize], shared: bool) -> Self {
        let windowed = |shape| Arc::new(Windowed { shape, forms: [OnceLock::new(), OnceLock::new()] });
        let row = shape.iter().skip(1).product();
        Self { numbers, row, windows: windows(shape, shared).map(windowed) }
    }

    /// Its numbers, row by row.
    pub fn numbers(&self) -> &'a [T] {
        self.numbers
    }

    /// Numbers of its direction in the order that [`sum_rows`](Self::sum_rows) reads.
    pub(super) fn summed(&self) -> usize {
        self.windows.as_ref().map_or(self.numbers.len(), |own| Panels::<T>::len(own.shape))
    }

    /// Some rows of its direction, from the sums of several chunks.
    pub fn sum_rows(&self, parts: &[&[T]], first: usize, out: &mut [T]) {
        if let Some(own) = &self.windows {
            Panels::sum(parts, own.shape, first, out);
            return;
        }
        for (at, value) in (first * self.row..).zip(out) {
            *value = parts.iter().fold(T::default(), |sum, part| sum + part[at]);
        }
    }

    /// Weights as `form` says; `None` of a parameter that is none.
    pub fn panels(&self, form: Form) -> Option<&Panels<T>> {
        let Windowed { shape, forms } = &**self.windows.as_ref()?;
        Some(match form {
            Form::Forward => forms[0].get_or_init(|| Panels::new(self.numbers, *shape)),
            Form::Back => forms[1].get_or_init(|| Panels::transposed(self.numbers, *shape)),
        })
    }
}
