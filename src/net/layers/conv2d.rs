//! Two-dimensional convolution, as one matrix product over the pixels of all windows.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{elements, only, Kind, Linearization, Operation, OperationCost, VerbCost};
use super::windows::Windows;
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Conv2d>("conv2d");

/// Cross-correlation (the kernel is not flipped), with a = 0 outside of the image:
///
/// f_{o,r,k} = b_o + Σ_{c,i,j} W_{o,c,i,j} · a_{c, r·stride + i − padding, k·stride + j − padding}.
///
/// a is `[B, channels, rows, columns]`, W `[outputs, channels, rows, columns]` and b `[outputs]`.
///
/// All windows of a batch are gathered into a matrix X of one row per position (im2col), so that the value, the transposed
/// Jacobian and the parameter gradient are one product each: X Wᵀ, c W added back to the pixels of each window (col2im), and cᵀ X.
/// X is k² times the image at stride 1. It is gathered anew for the parameter gradient, so that it need not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Pixels from one window to the next, in both directions.
    pub stride: usize,
    /// Zeros on all four sides.
    pub padding: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

/// `[B, n, rows, columns]` as `[B·rows·columns, n]`.
fn pixel_rows(t: &Tensor) -> Result<Tensor> {
    let (batch, n, rows, columns) = t.dims4()?;
    Ok(t.permute((0, 2, 3, 1))?.reshape((batch * rows * columns, n))?)
}

impl Conv2d {
    /// Windows over an image of shape `[.., rows, columns]` for weights `[.., rows, columns]`.
    fn windows(&self, image: &[usize], weights: &[usize]) -> Result<Windows, String> {
        let ([.., rows, columns], [.., window_rows, window_columns]) = (image, weights) else {
            return Err(format!(
                "reads {image:?} with weights {weights:?}; expected images and [.., rows, columns]"
            ));
        };
        Windows::new([*rows, *columns], [*window_rows, *window_columns], self.stride, self.padding)
    }

    fn windows_of(&self, image: &Tensor, weights: &[usize]) -> Result<Windows> {
        self.windows(image.dims(), weights).map_err(crate::Error::Invalid)
    }

    /// X: `[B·positions, window·channels]`, the channels of a pixel side by side.
    fn columns(&self, image: &Tensor, windows: &Windows) -> Result<Tensor> {
        let (batch, channels, ..) = image.dims4()?;
        let pad = self.padding;
        let padded = image.permute((0, 2, 3, 1))?.contiguous()?;
        let padded = padded.pad_with_zeros(1, pad, pad)?.pad_with_zeros(2, pad, pad)?;
        let pixels = padded.reshape((batch, windows.image.iter().product::<usize>(), channels))?;
        let gathered = pixels.index_select(&windows.pixels(image.device())?, 1)?;
        Ok(gathered.reshape((batch * windows.count(), windows.size() * channels))?)
    }

    /// W as `[outputs, window·channels]`, in the order of the columns of X.
    fn weights(w: &Tensor) -> Result<Tensor> {
        let (outputs, channels, rows, columns) = w.dims4()?;
        Ok(w.permute((0, 2, 3, 1))?.reshape((outputs, rows * columns * channels))?)
    }

    /// X Wᵀ in the shape of the value.
    fn product(&self, w: &Tensor, image: &Tensor) -> Result<Tensor> {
        let windows = self.windows_of(image, w.dims())?;
        let product = self.columns(image, &windows)?.matmul(&Self::weights(w)?.t()?)?;
        let ([rows, columns], outputs) = (windows.positions(), w.dim(0)?);
        let value = product.reshape((image.dim(0)?, rows, columns, outputs))?;
        Ok(value.permute((0, 3, 1, 2))?.contiguous()?)
    }
}

impl Operation for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        let a = only("inputs", inputs)?;
        let [channels, ..] = *a else {
            return Err("reads one number per sample; expected [channels, rows, columns]".into());
        };
        if a.len() != 3 {
            return Err(format!("reads {a:?} values per sample; expected [channels, rows, columns]"));
        }
        let w = match (params, self.bias) {
            ([w], false) | ([w, _], true) => w,
            _ => {
                let expected = if self.bias { "2 (W and b)" } else { "1 (W)" };
                return Err(format!("has {} parameters; expected {expected}", params.len()));
            }
        };
        let [outputs, inputs, _, _] = **w else {
            return Err(format!("has a W of shape {w:?}; expected [outputs, {channels}, rows, columns]"));
        };
        if inputs != channels {
            return Err(format!(
                "reads {channels} channels but its W is {w:?}; expected [outputs, {channels}, rows, columns]"
            ));
        }
        if let Some(b) = params.get(1).filter(|b| **b != [outputs]) {
            return Err(format!("has a bias of shape {b:?}; expected [{outputs}]"));
        }
        let [rows, columns] = self.windows(a, w)?.positions();
        Ok(vec![outputs, rows, columns])
    }

    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let mut value = self.product(params[0], inputs[0])?;
        if self.bias {
            value = value.broadcast_add(&params[1].reshape((1, (), 1, 1))?)?;
        }
        // of the weights only their shape is kept
        let shape = params[0].detach();
        let at = Linearization::keeping(inputs, &value, vec![shape]);
        Ok((value, at))
    }

    fn vjp(&self, params: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        let (batch, channels, rows, columns) = at.inputs[0].dims4()?;
        let windows = self.windows_of(&at.inputs[0], params[0].dims())?;
        let products = pixel_rows(c)?.matmul(&Self::weights(params[0])?)?;
        let products = products.reshape((batch, windows.count() * windows.size(), channels))?;
        let pixels: usize = windows.image.iter().product();
        let image = Tensor::zeros((batch, pixels, channels), c.dtype(), c.device())?;
        let image = image.index_add(&windows.pixels(c.device())?, &products, 1)?;
        let image = image.reshape((batch, windows.image[0], windows.image[1], channels))?;
        let image = image.narrow(1, self.padding, rows)?.narrow(2, self.padding, columns)?;
        Ok(image.permute((0, 3, 1, 2))?.contiguous()?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, params: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        self.product(params[0], d)
    }

    fn param_grad(&self, at: &Linearization, c: &Tensor) -> Result<Vec<Tensor>> {
        let (outputs, channels, rows, columns) = at.kept[0].dims4()?;
        let windows = self.windows_of(&at.inputs[0], at.kept[0].dims())?;
        let c = pixel_rows(c)?;
        let w = c.t()?.matmul(&self.columns(&at.inputs[0], &windows)?)?;
        let w = w.reshape((outputs, rows, columns, channels))?.permute((0, 3, 1, 2))?.contiguous()?;
        let mut grads = vec![w];
        if self.bias {
            grads.push(c.sum(0)?);
        }
        Ok(grads)
    }

    /// A product counts 2·B·outputs·window·channels·positions FLOPs; X is written and read once beside it.
    fn cost(&self, batch: usize, inputs: &[&[usize]], params: &[&[usize]]) -> OperationCost {
        let Ok(windows) = self.windows(inputs[0], params[0]) else { return OperationCost::default() };
        let (w, read) = (elements(1, params[0]), elements(batch, inputs[0]));
        let positions = (batch * windows.count()) as u64;
        let outputs = params[0][0] as u64;
        let gathered = positions * (w / outputs);
        let written = positions * outputs;
        let product = VerbCost {
            gemms: 1,
            gemm_flops: 2 * gathered * outputs,
            elementwise: 0,
            moved: w + 2 * gathered + read + written,
        };
        let bias = written * u64::from(self.bias);
        // adding back to the pixels
        let back = VerbCost { elementwise: gathered, ..product };
        OperationCost {
            forward: VerbCost { elementwise: bias, ..product },
            vjp: vec![back],
            vjp_linear: vec![back],
            param_grad: VerbCost { elementwise: bias, ..product },
            outputs: written,
            scratch: 2 * gathered,
        }
    }
}
