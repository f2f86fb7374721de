//! Products of images with one matrix per pixel of a window, without gathering the windows.
//!
//! An image is rows of channels, one row per pixel. Row r of a result is Σ over taps t of x_{read(t, r)} W_t, where a tap is a
//! pixel of the window and `read(t, r)` the pixel that the window at r has there. Gathering all windows first (im2col) would
//! copy every pixel as often as windows hold it, and the product would copy it once more into the order that it reads. Here
//! a tile of the result follows the pixels that it reads instead, and taps at which no window of the tile holds a pixel are
//! left out.

mod gradient;
mod panels;
mod product;
mod reads;

pub(crate) use gradient::gradient;
pub use panels::Panels;
pub(crate) use product::product;
pub use reads::Taps;

#[cfg(test)]
mod tests;
