//! Pooling: the largest or the mean value of each window.

use candle_core::{Tensor, D};
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use super::windows::Windows;
use crate::{Error, Result};

/// The largest value of each window.
pub const MAX: Kind = Kind::of::<MaxPool>("maxpool");
/// The mean of each window.
pub const MEAN: Kind = Kind::of::<AvgPool>("avgpool");

/// The largest value of each `size`×`size` window, every `stride` pixels, without padding: `[B, C, R, K]` becomes
/// `[B, C, ⌊(R − size)/stride⌋ + 1, ⌊(K − size)/stride⌋ + 1]`.
///
/// The derivative goes to the first largest pixel in row-major order. The backward pass of Candle 0.11.1's own max-pool divides it
/// by the number of pixels of the window, and refuses windows that overlap; BIAS.md says what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Rows and columns of a window.
    pub size: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
}

/// The mean of each window, of shape and sizes as [`MaxPool`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool {
    /// Rows and columns of a window.
    pub size: usize,
    /// Pixels from one window to the next.
    pub stride: usize,
}

fn windows(size: usize, stride: usize, image: &[usize]) -> Result<Windows, String> {
    let &[.., rows, columns] = image else {
        return Err(format!("reads {image:?} values per sample; expected [channels, rows, columns]"));
    };
    Windows::new([rows, columns], [size; 2], stride, 0)
}

fn windows_of(size: usize, stride: usize, image: &Tensor) -> Result<Windows> {
    windows(size, stride, image.dims()).map_err(Error::Invalid)
}

fn shape(size: usize, stride: usize, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
    no_params(params)?;
    let &[channels, rows, columns] = only("inputs", inputs)? else {
        return Err(format!("reads {:?} values per sample; expected [channels, rows, columns]", inputs[0]));
    };
    let [rows, columns] = windows(size, stride, &[rows, columns])?.positions();
    Ok(vec![channels, rows, columns])
}

/// `[B, C, R, K]` as `[B, C, R·K]`.
fn flat(t: &Tensor) -> Result<Tensor> {
    Ok(t.flatten_from(2)?.contiguous()?)
}

/// `[B, C, positions]` as images.
fn images(t: &Tensor, windows: &Windows) -> Result<Tensor> {
    let ((batch, channels, _), [rows, columns]) = (t.dims3()?, windows.positions());
    Ok(t.reshape((batch, channels, rows, columns))?)
}

/// `[B, C, positions, pixels of a window]`.
fn gathered(image: &Tensor, windows: &Windows) -> Result<Tensor> {
    let (batch, channels, ..) = image.dims4()?;
    let all = flat(image)?.index_select(&windows.pixels(image.device())?, 2)?;
    Ok(all.reshape((batch, channels, windows.count(), windows.size()))?)
}

impl MaxPool {
    /// The pixel of each window that is largest: `[B, C, positions]`.
    fn largest(&self, image: &Tensor, windows: &Windows) -> Result<Tensor> {
        let (batch, channels, ..) = image.dims4()?;
        let device = image.device();
        let within = gathered(&image.detach(), windows)?.argmax(D::Minus1)?.flatten_all()?;
        let offsets = Tensor::new(windows.offsets(), device)?.index_select(&within, 0)?;
        let corners = Tensor::new(windows.corners(), device)?;
        Ok(offsets.reshape((batch, channels, windows.count()))?.broadcast_add(&corners)?)
    }
}

impl Operation for MaxPool {
    fn kind(&self) -> &'static str {
        "maxpool"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        shape(self.size, self.stride, inputs, params)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let windows = windows_of(self.size, self.stride, inputs[0])?;
        let pixels = self.largest(inputs[0], &windows)?;
        let value = images(&flat(inputs[0])?.gather(&pixels, 2)?, &windows)?;
        let at = Linearization::keeping(inputs, &value, vec![pixels]);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        let zeros = flat(&at.inputs[0])?.zeros_like()?;
        Ok(zeros.scatter_add(&at.kept[0], &flat(c)?, 2)?.reshape(at.inputs[0].shape())?)
    }

    fn jvp(&self, _: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(flat(d)?.gather(&at.kept[0], 2)?.reshape(at.value.shape())?)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let Ok(windows) = windows(self.size, self.stride, inputs[0]) else { return OperationCost::default() };
        let n = elements(batch, inputs[0]);
        let outputs = (batch * inputs[0][0] * windows.count()) as u64;
        let size = windows.size() as u64;
        OperationCost {
            forward: VerbCost::elementwise(outputs * (size - 1), n + 2 * outputs),
            vjp: vec![VerbCost::elementwise(outputs, n + 2 * outputs)],
            vjp_linear: Vec::new(),
            outputs,
            scratch: size * outputs,
            ..OperationCost::default()
        }
    }
}

impl Operation for AvgPool {
    fn kind(&self) -> &'static str {
        "avgpool"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        shape(self.size, self.stride, inputs, params)
    }

    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = self.jvp(params, &Linearization::plain(inputs, inputs[0]), 0, inputs[0])?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        let windows = windows_of(self.size, self.stride, &at.inputs[0])?;
        let (batch, channels, ..) = c.dims4()?;
        let size = windows.size();
        let each = flat(c)?.affine(1.0 / size as f64, 0.0)?.unsqueeze(3)?;
        let each = each.broadcast_as((batch, channels, windows.count(), size))?.contiguous()?;
        let each = each.reshape((batch, channels, windows.count() * size))?;
        let zeros = flat(&at.inputs[0])?.zeros_like()?;
        Ok(zeros.index_add(&windows.pixels(c.device())?, &each, 2)?.reshape(at.inputs[0].shape())?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        let windows = windows_of(self.size, self.stride, d)?;
        images(&gathered(d, &windows)?.mean(D::Minus1)?, &windows)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let Ok(windows) = windows(self.size, self.stride, inputs[0]) else { return OperationCost::default() };
        let n = elements(batch, inputs[0]);
        let outputs = (batch * inputs[0][0] * windows.count()) as u64;
        let size = windows.size() as u64;
        let back = VerbCost::elementwise(outputs * (size + 1), n + outputs);
        OperationCost {
            forward: VerbCost::elementwise(outputs * size, n + outputs),
            vjp: vec![back],
            vjp_linear: vec![back],
            outputs,
            scratch: size * outputs,
            ..OperationCost::default()
        }
    }
}
