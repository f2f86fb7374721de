//! Operations of a network in the form in which a chunk executes them.

use std::any::Any;
use std::sync::Arc;

use super::conv::Conv;
use super::moves::Along;
use super::windows::Windows;
use crate::net::layers::{
    Act, Add, AvgPool, Concat, Conv2d, LayerNorm, Linear, Matmul, MaxPool, Mul, Reshape, Scale, Slice,
    Softmax, Sub, Sum, Transpose,
};
use crate::net::{Activation, Graph, Source, VertexId};
use crate::{Error, Result};

/// What a vertex does to the values of a chunk.
#[derive(Debug, Clone)]
pub enum Step {
    /// A convolution, or a linear map of the last axis whose weights other vertices use, too.
    Conv { conv: Arc<Conv>, bias: bool },
    /// A linear map of the last axis with weights of its own.
    Linear { inputs: usize, bias: bool },
    /// The largest pixel of each window.
    MaxPool(Windows),
    /// The mean of each window.
    AvgPool(Windows),
    /// Images as rows: channel by channel, as every other program has them.
    Unpack { pixels: usize, channels: usize },
    /// φ.
    Act(Activation),
    /// Sum of all inputs.
    Add,
    /// The first less the second.
    Sub,
    /// Product of all inputs, element by element.
    Mul,
    /// A multiple.
    Scale(f64),
    /// The same numbers.
    Same,
    /// Some entries along an axis.
    Slice { along: Along, from: usize, to: usize },
    /// Inputs joined, each with its number of steps.
    Concat { after: usize, steps: Vec<usize> },
    /// The sum along an axis.
    Sum(Along),
    /// The last two axes swapped.
    Transpose([usize; 2]),
    /// A product of two inputs.
    Matmul([usize; 3]),
    /// The softmax of rows of n.
    Softmax(usize),
    /// Layer normalisation of rows of n.
    LayerNorm { n: usize, epsilon: f64 },
}

fn product(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn axis(shape: &[usize], axis: usize) -> Along {
    let own = axis.saturating_sub(1);
    Along { after: product(&shape[own + 1..]), n: shape[own] }
}

/// Windows over an image `[channels, rows, columns]`.
fn windows(image: &[usize], window: [usize; 2], stride: usize, padding: usize) -> Option<Windows> {
    let &[channels, rows, columns] = image else { return None };
    let positions = [(rows, window[0]), (columns, window[1])]
        .map(|(size, own)| (size + 2 * padding).checked_sub(own).map_or(0, |rest| rest / stride.max(1) + 1));
    Some(Windows { image: [rows, columns, channels], window, stride, padding, positions })
}

impl Step {
    /// What vertex i does; `None` if a chunk has no such operation.
    fn of(graph: &Graph, i: VertexId) -> Option<Self> {
        let operation = graph.operation(i) as &dyn Any;
        let read = |source: &Source| match *source {
            Source::Data(d) => &graph.data()[d].shape[..],
            Source::Vertex(v) => graph.shape(v),
        };
        let inputs: Vec<&[usize]> = graph.topology().node(i).inputs.iter().map(read).collect();
        let (first, value) = (*inputs.first()?, graph.shape(i));
        let param =
            |slot: usize| graph.topology().node(i).params.get(slot).map(|&p| &graph.params()[p].shape[..]);
        // three axes are an image, whose channels a chunk keeps side by side
        let is_image = |shape: &[usize]| shape.len() == 3;
        let plain = !is_image(value) && !inputs.iter().any(|shape| is_image(shape));
        if let Some(&Conv2d { stride, padding, bias }) = operation.downcast_ref() {
            let &[outputs, _, rows, columns] = param(0)? else { return None };
            let windows = windows(first, [rows, columns], stride, padding)?;
            return Some(Self::Conv { conv: Arc::new(Conv::new(&windows, outputs)), bias });
        }
        if let Some(&MaxPool { size, stride }) = operation.downcast_ref() {
            // which pixel of a window it is is kept in a byte
            return windows(first, [size; 2], stride, 0).filter(|_| size * size <= 256).map(Self::MaxPool);
        }
        if let Some(&AvgPool { size, stride }) = operation.downcast_ref() {
            return windows(first, [size; 2], stride, 0).map(Self::AvgPool);
        }
        if let Some(&Act(activation)) = operation.downcast_ref() {
            return Some(Self::Act(activation));
        }
        if operation.is::<Add>() {
            return Some(Self::Add);
        }
        if operation.is::<Sub>() {
            return Some(Self::Sub);
        }
        if operation.is::<Mul>() {
            return Some(Self::Mul);
        }
        if let Some(&Scale { constant }) = operation.downcast_ref() {
            return Some(Self::Scale(constant));
        }
        if operation.downcast_ref() == Some(&Reshape::FLAT)
            && let &[channels, rows, columns] = first
        {
            return Some(Self::Unpack { pixels: rows * columns, channels });
        }
        if !plain {
            return None;
        }
        if let Some(&Linear { bias }) = operation.downcast_ref() {
            let (inputs, weights) = (*first.last()?, *graph.topology().node(i).params.first()?);
            return Some(match graph.topology().is_shared(weights) {
                true => Self::Conv { conv: Arc::new(Conv::linear(inputs, *value.last()?)), bias },
                false => Self::Linear { inputs, bias },
            });
        }
        if operation.is::<Reshape>() {
            return Some(Self::Same);
        }
        if let Some(slice) = operation.downcast_ref::<Slice>() {
            return Some(Self::Slice { along: axis(first, slice.axis), from: slice.from, to: slice.to });
        }
        if let Some(concat) = operation.downcast_ref::<Concat>() {
            let steps = inputs.iter().map(|shape| axis(shape, concat.axis).n).collect();
            return Some(Self::Concat { after: axis(first, concat.axis).after, steps });
        }
        if let Some(sum) = operation.downcast_ref::<Sum>() {
            return Some(Self::Sum(axis(first, sum.axis)));
        }
        if let (true, &[.., rows, columns]) = (operation.is::<Transpose>(), first) {
            return Some(Self::Transpose([rows, columns]));
        }
        if let (true, &[.., m, k]) = (operation.is::<Matmul>(), first) {
            return Some(Self::Matmul([m, k, *value.last()?]));
        }
        if operation.is::<Softmax>() {
            return first.last().map(|&n| Self::Softmax(n));
        }
        if let Some(&LayerNorm { epsilon }) = operation.downcast_ref() {
            return first.last().map(|&n| Self::LayerNorm { n, epsilon });
        }
        None
    }

    /// What every vertex of a network does.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first vertex whose operation a chunk does not have.
    pub fn all(graph: &Graph) -> Result<Vec<Self>> {
        let step = |i: VertexId| {
            Self::of(graph, i).ok_or_else(|| {
                Error::Invalid(format!(
                    "vertex `{}` is a {} operation on values of shape {:?}, which fused engines do not have; use engine \
                     reference",
                    graph.name(i),
                    graph.operation(i).kind(),
                    graph.shape(i)
                ))
            })
        };
        (0..graph.len()).map(step).collect()
    }
}
