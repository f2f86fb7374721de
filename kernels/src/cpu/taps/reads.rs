//! Which pixels a result reads, and in which order.

/// Rows of a tile of a result.
pub(super) const ROWS: usize = 6;

/// Rows of a result that are worked on while the weights are near, if images are smaller: enough to make the fetching of
/// weights cheap, few enough that what is read and written stays in the second cache.
const TOGETHER: usize = 252;

/// No pixel: outside of the image.
const NONE: u32 = u32::MAX;

/// Which pixels a result reads.
#[derive(Debug, Clone)]
pub struct Taps {
    /// Rows of an image that is read, and of its result.
    pub(super) read: usize,
    pub(super) written: usize,
    pub(super) taps: usize,
    /// Rows of the result, those side by side that have the same taps inside of the image.
    order: Vec<u32>,
    /// The pixel that each of them reads, `[place in order, tap]`.
    pixels: Vec<u32>,
}

impl Taps {
    /// `written` rows from `read` rows through `taps` taps; `pixel(t, r)` is the row that row r of the result reads through
    /// tap t, or none.
    ///
    /// # Panics
    /// If a pixel is not below `read`, or an image has 2³² − 1 rows or more.
    pub fn new(
        read: usize,
        written: usize,
        taps: usize,
        pixel: impl Fn(usize, usize) -> Option<usize>,
    ) -> Self {
        assert!(read.max(written) < NONE as usize, "an image of too many pixels");
        let of = |r: usize| -> Vec<u32> {
            let each = (0..taps).map(|t| {
                pixel(t, r).map_or(NONE, |p| {
                    assert!(p < read, "a window reads a pixel that is not there");
                    p as u32
                })
            });
            each.collect()
        };
        let mut rows: Vec<(u32, Vec<u32>)> = (0..written).map(|r| (r as u32, of(r))).collect();
        rows.sort_by_key(|(r, pixels)| (pixels.iter().map(|p| *p == NONE).collect::<Vec<_>>(), *r));
        let order = rows.iter().map(|(r, _)| *r).collect();
        let pixels = rows.into_iter().flat_map(|(_, pixels)| pixels).collect();
        Self { read, written, taps, order, pixels }
    }

    /// The same taps in the other direction: row p reads through tap t the row of the result that reads p through it.
    ///
    /// # Panics
    /// If two rows of the result read one pixel through the same tap.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut back = vec![None; self.read * self.taps];
        for (place, &r) in self.order.iter().enumerate() {
            for (t, &p) in self.pixels[place * self.taps..][..self.taps].iter().enumerate() {
                if p != NONE {
                    let old = back[p as usize * self.taps + t].replace(r as usize);
                    assert!(old.is_none(), "two windows hold the same pixel at the same place");
                }
            }
        }
        Self::new(self.written, self.read, self.taps, |t, r| back[r * self.taps + t])
    }

    /// Images whose results are worked on together.
    pub(super) fn together(&self) -> usize {
        (TOGETHER / self.written.max(1)).max(1)
    }

    /// How many images `x` holds.
    ///
    /// # Panics
    /// If `x` and `result` are not as many images of these sizes.
    pub(super) fn images<T>(&self, x: &[T], inputs: usize, result: &[T], outputs: usize) -> usize {
        let images = result.len() / (self.written * outputs).max(1);
        assert!(
            result.len() == images * self.written * outputs && x.len() == images * self.read * inputs,
            "images and a result that do not fit"
        );
        images
    }

    /// What the results of a number of images read.
    pub(super) fn reads(&self, images: usize) -> Reads {
        let count = self.written * images;
        let at = |entry: usize| (entry / images.max(1), entry % images.max(1));
        let mut rows: Vec<usize> = (0..count)
            .map(|entry| {
                let (place, image) = at(entry);
                image * self.written + self.order[place] as usize
            })
            .collect();
        let mut pixels = Vec::with_capacity(count.next_multiple_of(ROWS) * self.taps);
        for first in (0..count).step_by(ROWS) {
            for t in 0..self.taps {
                // the last tile is filled up with its last row
                pixels.extend((first..first + ROWS).map(|entry| {
                    let (place, image) = at(entry.min(count - 1));
                    match self.pixels[place * self.taps + t] {
                        NONE => usize::MAX,
                        pixel => image * self.read + pixel as usize,
                    }
                }));
            }
        }
        let last = rows.last().copied();
        rows.extend(last.into_iter().cycle().take(count.next_multiple_of(ROWS) - count));
        Reads { taps: self.taps, count, rows, pixels }
    }
}

/// What the rows of the results of some images read, in tiles of [`ROWS`] rows; the last tile repeats its last row.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) taps: usize,
    /// Rows, each counted once.
    pub(super) count: usize,
    /// Rows of the result.
    pub(super) rows: Vec<usize>,
    /// Rows of the images, `[tile, tap, row of the tile]`; `usize::MAX` for none.
    pub(super) pixels: Vec<usize>,
}
