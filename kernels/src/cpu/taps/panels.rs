//! Weights in the order in which a product reads them.

use std::ops::Range;

use crate::cpu::arena::Aligned;
use crate::cpu::real::Number;

/// Bytes of the widest row of a panel: four vectors of the widest processor.
const WIDEST: usize = 256;

/// Bytes that a row of a panel is a multiple of.
const VECTOR: usize = 64;

/// The sizes of one matrix per tap, `[taps, inputs, outputs]`, cut into panels of neighbouring outputs: a panel is
/// `[taps, inputs, width]`, its outputs filled up with zeros to whole vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) taps: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// Outputs `first` to + `count`, at `start` of the numbers, `width` of them in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) width: usize,
    pub(super) start: usize,
}

impl Cut {
    pub(super) fn panels<T>(self) -> impl Iterator<Item = Panel> {
        let (widest, vector) = (WIDEST / size_of::<T>(), VECTOR / size_of::<T>());
        (0..self.outputs).step_by(widest).map(move |first| {
            let count = widest.min(self.outputs - first);
            let width = count.next_multiple_of(vector);
            Panel { first, count, width, start: first * self.taps * self.inputs }
        })
    }

    /// Numbers of all panels.
    pub(super) fn len<T>(self) -> usize {
        self.panels::<T>().last().map_or(0, |p| p.start + self.taps * self.inputs * p.width)
    }
}

/// Calls `each` for every output and a few inputs, so few that their part of a panel stays in a near cache from one output to
/// the next.
fn near(inputs: usize, outputs: Range<usize>, mut each: impl FnMut(usize, Range<usize>)) {
    const INPUTS: usize = 16;
    for from in (0..inputs).step_by(INPUTS) {
        outputs.clone().for_each(|o| each(o, from..inputs.min(from + INPUTS)));
    }
}

/// Weights `[taps, inputs, outputs]` as a product reads them.
#[derive(Debug)]
pub struct Panels<T> {
    pub(super) cut: Cut,
    numbers: Aligned<T>,
}

impl<T: Number> Panels<T> {
    /// From `[outputs, inputs, taps]`, as convolutions have their weights everywhere else.
    ///
    /// # Panics
    /// If `w` is not that large.
    pub fn new(w: &[T], [outputs, inputs, taps]: [usize; 3]) -> Self {
        assert!(w.len() == outputs * inputs * taps, "weights of another size");
        let cut = Cut { taps, inputs, outputs };
        let mut numbers = Aligned::new();
        numbers.reserve(cut.len::<T>());
        let all = numbers.as_mut_slice();
        for panel in cut.panels::<T>() {
            near(inputs, 0..panel.count, |o, own| {
                for i in own {
                    let taps = w[((panel.first + o) * inputs + i) * taps..][..taps].iter().enumerate();
                    taps.for_each(|(t, &value)| {
                        all[panel.start + (t * inputs + i) * panel.width + o] = value
                    });
                }
            });
        }
        Self { cut, numbers }
    }

    /// W_tᵀ for every tap, from the same numbers.
    ///
    /// # Panics
    /// As for [`new`](Self::new).
    pub fn transposed(w: &[T], [outputs, inputs, taps]: [usize; 3]) -> Self {
        assert!(w.len() == outputs * inputs * taps, "weights of another size");
        let cut = Cut { taps, inputs: outputs, outputs: inputs };
        let mut numbers = Aligned::new();
        numbers.reserve(cut.len::<T>());
        let all = numbers.as_mut_slice();
        for panel in cut.panels::<T>() {
            for o in 0..outputs {
                for i in 0..panel.count {
                    let own = &w[(o * inputs + panel.first + i) * taps..][..taps];
                    for (t, &value) in own.iter().enumerate() {
                        all[panel.start + (t * outputs + o) * panel.width + i] = value;
                    }
                }
            }
        }
        Self { cut, numbers }
    }

    /// Numbers of a gradient of weights `[outputs, inputs, taps]`.
    pub fn len([outputs, inputs, taps]: [usize; 3]) -> usize {
        Cut { taps, inputs, outputs }.len::<T>()
    }

    /// The sum of some gradients as rows `first` and on of `[outputs, inputs, taps]`, as many as `w` has room for.
    ///
    /// # Panics
    /// If a gradient has fewer numbers than [`len`](Self::len) says, or there are not as many rows.
    pub fn sum(gradients: &[&[T]], [outputs, inputs, taps]: [usize; 3], first: usize, w: &mut [T]) {
        let (cut, size) = (Cut { taps, inputs, outputs }, inputs * taps);
        let last = first + w.len() / size.max(1);
        assert!(last <= outputs, "more rows than the weights have");
        for panel in cut.panels::<T>() {
            near(inputs, first.max(panel.first)..last.min(panel.first + panel.count), |o, own| {
                for i in own {
                    let row = &mut w[(o - first) * size + i * taps..][..taps];
                    for (t, value) in row.iter_mut().enumerate() {
                        let at = panel.start + (t * inputs + i) * panel.width + o - panel.first;
                        *value = gradients.iter().fold(T::default(), |sum, gradient| sum + gradient[at]);
                    }
                }
            });
        }
    }

    pub(super) fn numbers(&self) -> &[T] {
        self.numbers.as_slice()
    }
}
