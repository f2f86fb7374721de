//! Pooling; windows have no padding.

use std::sync::Arc;

use pcnbench_kernels::parts::{vectorised, Scalar};

use super::value::{Memory, Numbers};
use super::windows::Windows;

/// Calls `each` with every tap of every position of all images: which tap, and where the channels of the position and of the pixel
/// begin.
#[inline(always)]
fn taps(windows: &Windows, positions: usize, mut each: impl FnMut(usize, usize, usize)) {
    let (channels, per_image, taps) = (windows.image[2], windows.count(), windows.size());
    let pixels = windows.pixels() / channels;
    let places: Vec<usize> =
        (0..per_image).flat_map(|p| (0..taps).filter_map(move |tap| windows.pixel(tap, p))).collect();
    for position in 0..positions {
        let (image, own) = (position / per_image * pixels, &places[position % per_image * taps..][..taps]);
        for (tap, pixel) in own.iter().enumerate() {
            each(tap, position * channels, (image + pixel) * channels);
        }
    }
}

/// The largest pixel of each window and channel, and which pixel of the window it is, the first of several.
pub fn max_pool<T: Scalar>(
    windows: &Windows,
    (memory, bytes): (&Memory<T>, &Memory<u8>),
    images: &[T],
) -> (Numbers<T>, Arc<Numbers<u8>>) {
    let channels = windows.image[2];
    let positions = images.len() / windows.pixels() * windows.count();
    let mut out = memory.take(positions * channels);
    let mut which = bytes.take(positions * channels);
    let (most, places) = (out.write(), which.write());
    vectorised(
        #[inline(always)]
        || match windows.size() {
            4 => largest::<T, 4>(windows, images, most, places),
            9 => largest::<T, 9>(windows, images, most, places),
            _ => taps(windows, positions, |tap, at, pixel| {
                let (most, places) = (&mut most[at..at + channels], &mut places[at..at + channels]);
                let values = &images[pixel..pixel + channels];
                if tap == 0 {
                    most.copy_from_slice(values);
                    places.fill(0);
                    return;
                }
                for ((most, place), &value) in most.iter_mut().zip(places).zip(values) {
                    let larger = value > *most;
                    *most = if larger { value } else { *most };
                    *place = if larger { tap as u8 } else { *place };
                }
            }),
        },
    );
    (out, Arc::new(which))
}

/// [`max_pool`] of windows of N pixels, all of them in one pass.
#[inline(always)]
fn largest<T: Scalar, const N: usize>(windows: &Windows, images: &[T], most: &mut [T], places: &mut [u8]) {
    let channels = windows.image[2];
    let positions = most.len() / channels;
    let mut pixels = [0; N];
    taps(windows, positions, |tap, at, pixel| {
        pixels[tap] = pixel;
        if tap + 1 < N {
            return;
        }
        let values = pixels.map(|pixel| &images[pixel..pixel + channels]);
        let (most, places) = (&mut most[at..at + channels], &mut places[at..at + channels]);
        for c in 0..channels {
            let (mut own, mut place) = (values[0][c], 0);
            for (k, values) in (1u8..).zip(&values[1..]) {
                let larger = values[c] > own;
                own = if larger { values[c] } else { own };
                place = if larger { k } else { place };
            }
            (most[c], places[c]) = (own, place);
        }
    });
}

/// c at the pixels that were largest.
pub fn max_pool_vjp<T: Scalar>(windows: &Windows, memory: &Memory<T>, which: &[u8], c: &[T]) -> Numbers<T> {
    let channels = windows.image[2];
    let positions = c.len() / channels;
    let mut images = windows.unwritten(memory, positions);
    let (out, once) = (images.write(), windows.tile());
    vectorised(
        #[inline(always)]
        || {
            taps(windows, positions, |tap, at, pixel| {
                let pixels = out[pixel..pixel + channels].iter_mut();
                let each = pixels.zip(&c[at..at + channels]).zip(&which[at..at + channels]);
                // a window has at most 256 pixels
                let own = |c: T, place: u8| if place == tap as u8 { c } else { T::default() };
                if once {
                    each.for_each(|((to, &c), &place)| *to = own(c, place));
                } else {
                    each.for_each(|((to, &c), &place)| *to += own(c, place));
                }
            });
        },
    );
    images
}

/// The mean of each window and channel.
pub fn avg_pool<T: Scalar>(windows: &Windows, memory: &Memory<T>, images: &[T]) -> Numbers<T> {
    let channels = windows.image[2];
    let positions = images.len() / windows.pixels() * windows.count();
    let share = T::of(1.0 / windows.size() as f64);
    let mut out = memory.zeros(positions * channels);
    let sums = out.write();
    vectorised(
        #[inline(always)]
        || {
            taps(windows, positions, |_, at, pixel| {
                let values = &images[pixel..pixel + channels];
                sums[at..at + channels].iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
            });
            sums.iter_mut().for_each(|sum| *sum *= share);
        },
    );
    out
}

/// c spread evenly over each window.
pub fn avg_pool_vjp<T: Scalar>(windows: &Windows, memory: &Memory<T>, c: &[T]) -> Numbers<T> {
    let channels = windows.image[2];
    let positions = c.len() / channels;
    let share = T::of(1.0 / windows.size() as f64);
    let mut images = windows.unwritten(memory, positions);
    let (out, once) = (images.write(), windows.tile());
    vectorised(
        #[inline(always)]
        || {
            taps(windows, positions, |_, at, pixel| {
                let each = out[pixel..pixel + channels].iter_mut().zip(&c[at..at + channels]);
                if once {
                    each.for_each(|(to, &from)| *to = share * from);
                } else {
                    each.for_each(|(to, &from)| *to += share * from);
                }
            });
        },
    );
    images
}
