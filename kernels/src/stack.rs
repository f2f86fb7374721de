//! The packed layer stack: a chain of dense and residual layers, its parameters in one flat tensor.
//!
//! Layer l predicts μ_l = φ_out( a W φ_in(v_{l−1}) + b ) + (v_{l−1} if skip), l = 1..L. Sizes may differ from layer
//! to layer (ragged ends and ragged middles alike). The flat tensor holds W_1 row-major `[n_1, n_0]`, then b_1 if
//! there is one, then W_2 and so on.

use std::ops::Range;

use crate::layer::{Activation, Dense};
use crate::{Error, Result};

/// Layers, and the offsets of their parameters in the flat tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    layers: Vec<Dense>,
    offsets: Vec<usize>,
    parameters: usize,
}

impl Stack {
    /// A stack of the given layers, first to last.
    ///
    /// # Errors
    /// [`Error::Layer`] if there is none, if n_l of one layer is not n_{l−1} of the next, if an activation is none of
    /// [`Activation::STACKED`], or if a skip joins different sizes.
    pub fn new(layers: Vec<Dense>) -> Result<Self> {
        let wrong = |layer: usize, problem: String| Err(Error::Layer { layer, problem });
        if layers.is_empty() {
            return wrong(1, "is missing; a stack has at least one layer".into());
        }
        let mut offsets = Vec::with_capacity(layers.len());
        let mut parameters = 0usize;
        for (i, layer) in layers.iter().enumerate() {
            if i > 0 && layers[i - 1].outputs != layer.inputs {
                return wrong(
                    i + 1,
                    format!(
                        "has {} inputs, but layer {i} has {} outputs",
                        layer.inputs,
                        layers[i - 1].outputs
                    ),
                );
            }
            let stacked = |act: &Activation| Activation::STACKED.contains(act);
            if let Some(other) = [layer.act_in, layer.act_out].into_iter().find(|act| !stacked(act)) {
                return wrong(
                    i + 1,
                    format!(
                        "activation {other} is not built into the kernels; use identity, tanh, relu or gelu, or engine \
                         reference"
                    ),
                );
            }
            if layer.skip && layer.inputs != layer.outputs {
                return wrong(
                    i + 1,
                    format!("adds its input of {} units to {} outputs", layer.inputs, layer.outputs),
                );
            }
            offsets.push(parameters);
            let own = layer.inputs.checked_mul(layer.outputs).and_then(|w| w.checked_add(layer.bias_units()));
            match own.and_then(|own| parameters.checked_add(own)) {
                Some(sum) => parameters = sum,
                None => return wrong(i + 1, "has more parameters than can be addressed".into()),
            }
        }
        Ok(Self { layers, offsets, parameters })
    }

    /// L.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Layer l, from 1.
    pub fn layer(&self, l: usize) -> &Dense {
        &self.layers[l - 1]
    }

    /// All layers, first to last.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// n_l, units of state l = 0..L.
    pub fn units(&self, l: usize) -> usize {
        if l == 0 {
            self.layers[0].inputs
        } else {
            self.layers[l - 1].outputs
        }
    }

    /// The largest n_l.
    pub fn widest(&self) -> usize {
        (0..=self.depth()).map(|l| self.units(l)).max().unwrap_or(0)
    }

    /// Elements of the flat parameter tensor.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Where W_l lies in it, row-major `[n_l, n_{l−1}]`.
    pub fn weights(&self, l: usize) -> Range<usize> {
        let start = self.offsets[l - 1];
        start..start + self.layers[l - 1].inputs * self.layers[l - 1].outputs
    }

    /// Where b_l lies in it; empty if the layer has none.
    pub fn biases(&self, l: usize) -> Range<usize> {
        let start = self.weights(l).end;
        start..start + self.layers[l - 1].bias_units()
    }

    /// FLOPs of one product of layer l on a batch, 2·B·n_{l−1}·n_l.
    pub fn product_flops(&self, l: usize, batch: usize) -> f64 {
        2.0 * batch as f64 * self.units(l - 1) as f64 * self.units(l) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(inputs: usize, outputs: usize, bias: bool) -> Dense {
        Dense { bias, ..Dense::linear(inputs, outputs) }
    }

    #[test]
    fn parameters_lie_layer_after_layer_weights_first() {
        let stack = Stack::new(vec![dense(3, 5, true), dense(5, 2, false), dense(2, 2, true)]).unwrap();
        assert_eq!((stack.weights(1), stack.biases(1)), (0..15, 15..20));
        assert_eq!((stack.weights(2), stack.biases(2)), (20..30, 30..30));
        assert_eq!((stack.weights(3), stack.biases(3)), (30..34, 34..36));
        assert_eq!((stack.parameters(), stack.widest(), stack.units(0), stack.units(3)), (36, 5, 3, 2));
    }

    #[test]
    fn layers_that_do_not_fit_are_named() {
        let message = |layers| Stack::new(layers).unwrap_err().to_string();
        assert!(message(vec![]).contains("layer 1"));
        assert_eq!(
            message(vec![dense(3, 5, true), dense(4, 2, true)]),
            "layer 2 of the stack: has 4 inputs, but layer 1 has 5 outputs"
        );
        let skip = Dense { skip: true, ..dense(3, 4, true) };
        assert_eq!(message(vec![skip]), "layer 1 of the stack: adds its input of 3 units to 4 outputs");
        let square = Dense { act_out: Activation::Square, ..dense(3, 4, true) };
        assert!(
            message(vec![square]).starts_with("layer 1 of the stack: activation square is not built into")
        );
        assert!(message(vec![dense(usize::MAX, 2, false)]).contains("more parameters"));
    }
}
