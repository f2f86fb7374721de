//! Windows of an image: which pixels each position of a convolution or of a pooling reads.

use candle_core::{Device, Tensor};

use crate::Result;

/// Square or rectangular windows that move over the rows and columns of an image in equal strides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Windows {
    /// Rows and columns of the image, padding included.
    pub image: [usize; 2],
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: usize,
}

impl Windows {
    /// Windows of `window` over an image of `[rows, columns]` with `padding` zeros on all four sides, or why there are none.
    pub fn new(image: [usize; 2], window: [usize; 2], stride: usize, padding: usize) -> Result<Self, String> {
        if stride == 0 || window.contains(&0) {
            return Err(format!("has windows of {window:?} every {stride}; expected sizes of at least 1"));
        }
        if padding > window[0].max(window[1]) {
            return Err(format!(
                "has a padding of {padding} for windows of {window:?}; expected at most their size"
            ));
        }
        let [rows, columns] = image.map(|size| size + 2 * padding);
        if window[0] > rows || window[1] > columns {
            return Err(format!(
                "has windows of {window:?} over {rows} rows and {columns} columns, padding included; expected windows that fit"
            ));
        }
        Ok(Self { image: [rows, columns], window, stride })
    }

    /// Rows and columns of positions: ⌊(image − window)/stride⌋ + 1 of each.
    pub fn positions(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.image[axis] - self.window[axis]) / self.stride + 1)
    }

    /// Positions.
    pub fn count(&self) -> usize {
        self.positions().iter().product()
    }

    /// Pixels of a window.
    pub fn size(&self) -> usize {
        self.window.iter().product()
    }

    /// Per position, in row-major order, the first pixel of its window.
    pub fn corners(&self) -> Vec<u32> {
        let [rows, columns] = self.positions();
        let corner = move |row| move |column| (row * self.image[1] + column) * self.stride;
        (0..rows).flat_map(|row| (0..columns).map(corner(row))).map(|pixel| pixel as u32).collect()
    }

    /// Per pixel of a window, in row-major order, how many pixels it is behind the first.
    pub fn offsets(&self) -> Vec<u32> {
        let [rows, columns] = self.window;
        let offset = |row: usize, column: usize| (row * self.image[1] + column) as u32;
        (0..rows).flat_map(|row| (0..columns).map(move |column| offset(row, column))).collect()
    }

    /// The pixels of all windows, window after window, as an index on `device`.
    pub fn pixels(&self, device: &Device) -> Result<Tensor> {
        let offsets = self.offsets();
        let all = self.corners().into_iter().flat_map(|corner| offsets.iter().map(move |o| corner + o));
        Ok(Tensor::from_iter(all, device)?)
    }
}
