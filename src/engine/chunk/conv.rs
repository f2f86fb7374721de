//! Convolutions, as one product per pixel of a window; a linear map of rows is one of a single pixel.

use pcnbench_kernels::parts::{Panels, Scalar, Taps};

use super::value::{Memory, Numbers};
use super::windows::Windows;

/// A convolution or linear map: what its value reads, and what its transposed Jacobian reads.
#[derive(Debug)]
pub struct Conv {
    /// By tap.
    taps: Taps,
    /// By the same taps, from the value back to the image.
    back: Taps,
    /// Pixels of an image, and positions of its value.
    sizes: [usize; 2],
    /// Outputs, inputs and taps.
    pub weights: [usize; 3],
}

impl Conv {
    /// Of windows, with this many outputs.
    pub fn new(windows: &Windows, outputs: usize) -> Self {
        let taps = windows.taps();
        let [rows, columns, inputs] = windows.image;
        Self {
            back: taps.transposed(),
            taps,
            sizes: [rows * columns, windows.count()],
            weights: [outputs, inputs, windows.window.iter().product()],
        }
    }

    /// A linear map of rows with weights that several vertices use, the time steps of a recurrent network say: these are put in the
    /// order of products once per update, not once per product.
    pub fn linear(inputs: usize, outputs: usize) -> Self {
        let taps = Taps::new(1, 1, 1, |_, _| Some(0));
        Self { back: taps.clone(), taps, sizes: [1, 1], weights: [outputs, inputs, 1] }
    }

    /// The value at images; of `w` the form for that.
    pub fn forward<T: Scalar>(
        &self,
        memory: &Memory<T>,
        w: &Panels<T>,
        bias: Option<&[T]>,
        images: &[T],
    ) -> Numbers<T> {
        let ([pixels, positions], [outputs, inputs, _]) = (self.sizes, self.weights);
        let mut out = memory.take(images.len() / (pixels * inputs) * positions * outputs);
        T::taps_product(&self.taps, images, w, bias, out.write());
        out
    }

    /// The transposed Jacobian by the images, applied to c; of `w` the form for that.
    pub fn vjp<T: Scalar>(&self, memory: &Memory<T>, w: &Panels<T>, c: &[T]) -> Numbers<T> {
        let ([pixels, positions], [outputs, inputs, _]) = (self.sizes, self.weights);
        let mut images = memory.take(c.len() / (positions * outputs) * pixels * inputs);
        T::taps_product(&self.back, c, w, None, images.write());
        images
    }

    /// Adds the gradient of ⟨c, value⟩ by the weights, in the order of [`Panels`].
    pub fn add_param_grad<T: Scalar>(&self, images: &[T], c: &[T], w: &mut [T]) {
        T::taps_gradient(&self.taps, images, self.weights[1], c, w);
    }
}
