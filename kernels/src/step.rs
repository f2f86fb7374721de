//! One sPC inference step of a stack of dense layers, as `lab/step.cu` does it: the table of layers, the parameters of
//! its kernels and the shape of every launch. Nothing here touches memory of a device.
//!
//! μ_l = φ_out(s·φ_in(v_{l−1}) Wᵀ + b) + (v_{l−1} if skip), ε_l = v_l − μ_l for l < L, ε_L = −∂loss/∂μ_L, and
//! v_l ← v_l + g·(φ_in'(v_l) ⊙ (δ_{l+1} W_{l+1}) + (ε_{l+1} if skip) − ε_l) with δ_l = s·φ_out'(·) ⊙ ε_l.

mod launches;
mod layout;

pub use layout::{Addresses, Buffers, Launch, LayerRow, StepParams};

use std::ops::Range;

use candle_core::Result;

use crate::refuse::refuse;

/// Rows and columns of the results of one block.
pub const TILE: usize = 64;
/// Threads of a block of `step_predict_f32` and `step_update_f32`.
pub const TILE_THREADS: u32 = 256;
/// Samples per block of `step_softmax_f32`, one warp each.
pub const SOFTMAX_WARPS: usize = 4;

/// An element-wise activation φ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Act {
    /// φ(z) = z.
    Identity = 0,
    /// φ(z) = tanh z.
    Tanh = 1,
    /// φ(z) = max(z, 0), with φ'(0) = 0.
    Relu = 2,
    /// φ(z) = z·Φ(z) with Φ the normal distribution function.
    Gelu = 3,
}

/// The loss of which ε_L is minus the derivative, before its factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Loss {
    /// ½‖μ_L − y‖².
    HalfSquaredError = 0,
    /// ‖μ_L − y‖².
    SquaredError = 1,
    /// −Σ y log softmax(μ_L), with rows of y that sum to 1.
    CrossEntropy = 2,
}

/// A dense layer. W is `[outputs, inputs]`, row by row, followed by b `[outputs]` where there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Columns of W.
    pub inputs: usize,
    /// Rows of W.
    pub outputs: usize,
    /// φ_in, applied to the state below.
    pub act_in: Act,
    /// φ_out, applied to the scaled product plus bias.
    pub act_out: Act,
    /// s, the factor of the product.
    pub scale: f32,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether the state below is added to the prediction; needs as many outputs as inputs.
    pub skip: bool,
}

/// What a step needs to know besides the layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The loss.
    pub loss: Loss,
    /// Its factor p/N.
    pub precision: f32,
    /// Step size g of the states.
    pub step_size: f32,
}

/// Where everything of a stack of layers lies, for one batch size.
///
/// Parameters: W and b of layer 1, of layer 2, and so on. States: v_0, v_1, ..., v_L, each `[batch, n_l]` row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    rows: Vec<LayerRow>,
    batch: usize,
    parameters: usize,
    states: usize,
    targets: usize,
    /// Tiles of all layers up to and with each.
    tiles: Vec<i64>,
}

impl Table {
    /// Lays out a stack.
    ///
    /// # Errors
    /// No layer, widths that do not fit together, a skip between different widths, or more than indices can count.
    pub fn new(layers: &[Dense], batch: usize) -> Result<Self> {
        let Some(input) = layers.first() else { refuse!("a stack has no layer; expected at least one") };
        let too_many = || candle_core::Error::Msg("a stack has more numbers than can be counted".to_owned());
        let area =
            |a: usize, b: usize| a.checked_mul(b).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(too_many);
        let sum =
            |a: usize, b: usize| a.checked_add(b).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(too_many);
        let narrow = |n: usize, what: &str| match i32::try_from(n) {
            Ok(fits) if n <= i32::MAX as usize - TILE => Ok(fits),
            _ => refuse!("{what} is {n}; expected at most {}", i32::MAX as usize - TILE),
        };
        narrow(batch, "the batch size")?;
        let (mut parameters, mut below, mut own) = (0, 0, area(batch, input.inputs)?);
        let mut count = 0;
        let (mut rows, mut tiles) = (Vec::with_capacity(layers.len()), Vec::with_capacity(layers.len()));
        for (index, layer) in layers.iter().enumerate() {
            let l = index + 1;
            if index > 0 && layers[index - 1].outputs != layer.inputs {
                refuse!(
                    "layer {l} has {} inputs; the layer below has {} outputs",
                    layer.inputs,
                    layers[index - 1].outputs
                );
            }
            if layer.skip && layer.inputs != layer.outputs {
                refuse!(
                    "layer {l} has a skip from {} inputs to {} outputs; expected as many",
                    layer.inputs,
                    layer.outputs
                );
            }
            let weights = parameters;
            let bias = sum(weights, area(layer.outputs, layer.inputs)?)?;
            parameters = if layer.bias { sum(bias, layer.outputs)? } else { bias };
            rows.push(LayerRow {
                weights: weights as i64,
                bias: if layer.bias { bias as i64 } else { -1 },
                below: below as i64,
                own: own as i64,
                tiles: count,
                inputs: narrow(layer.inputs, "the number of inputs of a layer")?,
                outputs: narrow(layer.outputs, "the number of outputs of a layer")?,
                act_in: layer.act_in as i32,
                act_out: layer.act_out as i32,
                skip: i32::from(layer.skip),
                scale: layer.scale,
            });
            count += (batch.div_ceil(TILE) * layer.outputs.div_ceil(TILE)) as i64;
            tiles.push(count);
            below = own;
            own = sum(own, area(batch, layer.outputs)?)?;
        }
        narrow(layers.len(), "the number of layers")?;
        if i32::try_from(count).is_err() {
            refuse!("a stack has {count} tiles; expected at most {}", i32::MAX);
        }
        let targets = own - below;
        Ok(Self { rows, batch, parameters, states: own, targets, tiles })
    }

    /// The table itself.
    pub fn rows(&self) -> &[LayerRow] {
        &self.rows
    }

    /// L.
    pub fn depth(&self) -> usize {
        self.rows.len()
    }

    /// Samples.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Floats in all W and b.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Floats in v_0 to v_L, and in the buffers of ε and δ.
    pub fn states(&self) -> usize {
        self.states
    }

    /// Floats in y.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Where v_l, ε_l and δ_l lie, l = 0..L.
    ///
    /// # Panics
    /// If l > L.
    pub fn state(&self, l: usize) -> Range<usize> {
        let start = if l == 0 { 0 } else { self.rows[l - 1].own as usize };
        let end = if l == self.depth() { self.states } else { self.rows[l].own as usize };
        start..end
    }

    /// Says whether buffers are as long as they must be.
    ///
    /// # Errors
    /// In one sentence, with the name of the first that is not.
    pub fn check(
        &self,
        weights: usize,
        targets: usize,
        states: usize,
        errors: usize,
        deltas: usize,
    ) -> Result<()> {
        for (what, got, expected) in [
            ("weights", weights, self.parameters),
            ("targets", targets, self.targets),
            ("states", states, self.states),
            ("errors", errors, self.states),
            ("deltas", deltas, self.states),
        ] {
            if got != expected {
                refuse!("the buffer of {what} has {got} numbers; expected {expected}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
