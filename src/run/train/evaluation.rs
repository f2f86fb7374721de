//! Loss and accuracy of a forward pass over a part of the data.

use candle_core::{DType, Device, Tensor};

use crate::data::{Brightness, Split};
use crate::net::architecture::mlp::X;
use crate::net::{Graph, Loss, OutputEnergy, Params, Reduction};
use crate::{Error, Result};

/// Rows that pass the network at a time, unless a batch of the run has more.
pub(in crate::run) const ROWS: usize = 250;

/// What a forward pass says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The losses per sample: summed over outputs and terms, the mean over rows.
    pub loss: f64,
    /// Share of rows whose largest output is that of their class; none of a network whose output is no class.
    pub accuracy: Option<f64>,
}

/// A network's data tensors from flat rows of inputs and targets.
#[derive(Debug, Clone)]
pub(super) struct Shapes(Vec<Vec<usize>>);

impl Shapes {
    pub(super) fn of(graph: &Graph) -> Self {
        Self(graph.data().iter().map(|named| named.shape.clone()).collect())
    }

    /// `[B, …]` of every data tensor.
    pub(super) fn give(&self, batch: [Tensor; 2]) -> Result<Vec<Tensor>> {
        let shaped = |(tensor, shape): (Tensor, &Vec<usize>)| -> Result<Tensor> {
            Ok(tensor.reshape([&[tensor.dim(0)?], &shape[..]].concat())?)
        };
        batch.into_iter().zip(&self.0).map(shaped).collect()
    }
}

/// Evaluates parameters on every row of a split, whose brightness is changed first where one is given.
///
/// # Errors
/// If a tensor does not fit.
pub(super) fn evaluate(
    (graph, params): (&Graph, &Params),
    (split, brightness): (&Split, Option<&Brightness>),
    batch: usize,
    (dtype, device): (DType, &Device),
) -> Result<Evaluation> {
    let shapes = Shapes::of(graph);
    let (mut loss, mut correct, mut from) = (0.0, 0usize, 0usize);
    let judged = graph.losses().first().ok_or_else(|| Error::Invalid("the network has no loss".into()))?;
    let classes = judged.target != X && graph.data()[judged.target].shape == [split.outputs()];
    let labels = split.labels().filter(|_| classes && graph.losses().len() == 1);
    for mut part in split.in_order(batch.max(ROWS)) {
        if let Some(brightness) = brightness {
            brightness.apply(&mut part);
        }
        let data = shapes.give(part.to_tensors(dtype, device)?)?;
        let values = graph.forward(params, &data)?;
        for term in graph.losses() {
            let whole = Loss { reduction: Reduction::Sum, ..term.loss };
            loss += whole.value(&values[term.vertex], &data[term.target])?;
        }
        if let Some(labels) = labels {
            let found = values[judged.vertex].argmax(1)?.to_vec1::<u32>()?;
            let own = &labels[from..from + part.rows];
            correct += found.iter().zip(own).filter(|(found, label)| found == label).count();
        }
        from += part.rows;
    }
    let rows = split.rows() as f64;
    Ok(Evaluation { loss: loss / rows, accuracy: labels.map(|_| correct as f64 / rows) })
}
