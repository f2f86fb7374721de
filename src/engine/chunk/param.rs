//! Parameters in the form in which a chunk reads them.

use std::sync::{Arc, OnceLock};

use pcnbench_kernels::parts::{Panels, Scalar};

/// A parameter; cheap to copy and to share between threads.
#[derive(Debug, Clone)]
pub struct Param<'a, T> {
    numbers: &'a [T],
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

/// Outputs, inputs and taps of the weights of a convolution or a linear map, the only parameters of four and of two axes.
fn windows(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [outputs, inputs] => Some([outputs, inputs, 1]),
        [outputs, inputs, rows, columns] => Some([outputs, inputs, rows * columns]),
        _ => None,
    }
}

impl<'a, T: Scalar> Param<'a, T> {
    /// From its numbers, row by row.
    pub fn new(numbers: &'a [T], shape: &[usize]) -> Self {
        let windowed = |shape| Arc::new(Windowed { shape, forms: [OnceLock::new(), OnceLock::new()] });
        Self { numbers, windows: windows(shape).map(windowed) }
    }

    /// Its numbers, row by row.
    pub fn numbers(&self) -> &'a [T] {
        self.numbers
    }

    /// Numbers of its direction in the order that [`sum_rows`] reads.
    pub(super) fn summed(&self) -> usize {
        self.windows.as_ref().map_or(self.numbers.len(), |own| Panels::<T>::len(own.shape))
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

/// Some rows of a direction, from the sums of several chunks.
pub fn sum_rows<T: Scalar>(parts: &[&[T]], shape: &[usize], first: usize, out: &mut [T]) {
    if let Some(shape) = windows(shape) {
        Panels::sum(parts, shape, first, out);
        return;
    }
    let start = first * shape.iter().skip(1).product::<usize>();
    for (at, value) in (start..).zip(out) {
        *value = parts.iter().fold(T::default(), |sum, part| sum + part[at]);
    }
}
