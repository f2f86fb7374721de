//! Σ over taps of pixels times weights: a tile of six rows and up to four vectors of outputs at a time, in registers.

use pulp::{Arch, Simd, WithSimd};

use super::panels::{Panel, Panels};
use super::reads::{Reads, Taps, ROWS};
use crate::cpu::real::Real;

/// Inputs whose weights are kept in the nearest cache while all tiles are gone through; a row of them is at most 256 bytes.
const INPUTS: usize = 128;

/// Some inputs of one tap.
#[derive(Debug, Clone, Copy)]
struct Piece {
    tap: usize,
    first: usize,
    count: usize,
}

/// All inputs of all taps, in passes of at most [`INPUTS`] inputs together.
fn passes(taps: usize, inputs: usize) -> Vec<Vec<Piece>> {
    let each = inputs.div_ceil(inputs.div_ceil(INPUTS).max(1));
    let mut passes: Vec<Vec<Piece>> = Vec::new();
    let mut filled = INPUTS;
    for tap in 0..taps {
        for first in (0..inputs).step_by(each.max(1)) {
            let piece = Piece { tap, first, count: each.min(inputs - first) };
            match passes.last_mut() {
                Some(pass) if filled + piece.count <= INPUTS => pass.push(piece),
                _ => {
                    filled = 0;
                    passes.push(vec![piece]);
                }
            }
            filled += piece.count;
        }
    }
    passes
}

/// out = Σ_t x_t W_t + b.
pub(crate) fn product<T: Real>(taps: &Taps, x: &[T], w: &Panels<T>, bias: Option<&[T]>, out: &mut [T]) {
    by_groups(taps, x, w, bias, out, |group| Arch::new().dispatch(group));
}

/// The same, the images of each group as `run` runs them.
pub(super) fn by_groups<T: Real>(
    taps: &Taps,
    x: &[T],
    w: &Panels<T>,
    bias: Option<&[T]>,
    out: &mut [T],
    run: impl Fn(Group<'_, T>),
) {
    let (inputs, outputs) = (w.cut.inputs, w.cut.outputs);
    assert!(w.cut.taps == taps.taps && bias.is_none_or(|b| b.len() == outputs), "weights that do not fit");
    let images = taps.images(x, inputs, out, outputs);
    let passes = passes(taps.taps, inputs);
    if passes.is_empty() {
        // nothing is read
        for row in out.chunks_exact_mut(outputs.max(1)) {
            match bias {
                Some(bias) => row.copy_from_slice(bias),
                None => row.fill(T::ZERO),
            }
        }
        return;
    }
    let (zeros, together) = (vec![T::ZERO; inputs.min(INPUTS)], taps.together());
    let mut reads: Option<(usize, Reads)> = None;
    for first in (0..images).step_by(together) {
        let count = together.min(images - first);
        let known = reads.take().filter(|(own, _)| *own == count);
        let (_, own) = reads.insert(known.unwrap_or_else(|| (count, taps.reads(count))));
        let x = &x[first * taps.read * inputs..][..count * taps.read * inputs];
        let out = &mut out[first * taps.written * outputs..][..count * taps.written * outputs];
        run(Group { reads: own, passes: &passes, x, w, bias, zeros: &zeros, out });
    }
}

/// The product of the images of a group.
pub(super) struct Group<'a, T> {
    reads: &'a Reads,
    passes: &'a [Vec<Piece>],
    x: &'a [T],
    w: &'a Panels<T>,
    bias: Option<&'a [T]>,
    /// As many as a piece has inputs.
    zeros: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Group<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { reads, passes, x, w, bias, zeros, out } = self;
        let (numbers, cut) = (w.numbers(), w.cut);
        for panel in cut.panels::<T>() {
            let weights = &numbers[panel.start..][..cut.taps * cut.inputs * panel.width];
            for (pass, pieces) in passes.iter().enumerate() {
                let begins = match (pass, bias) {
                    (0, Some(bias)) => Begin::Bias(bias[panel.first..].as_ptr()),
                    (0, None) => Begin::Zero,
                    _ => Begin::Kept,
                };
                for (k, rows) in reads.rows.chunks_exact(ROWS).enumerate() {
                    let tile = Tile {
                        pieces,
                        pixels: &reads.pixels[k * reads.taps * ROWS..][..reads.taps * ROWS],
                        rows,
                        x: x.as_ptr(),
                        inputs: cut.inputs,
                        zeros: zeros.as_ptr(),
                        weights: weights.as_ptr(),
                        panel,
                        begins,
                        out: out.as_mut_ptr(),
                        outputs: cut.outputs,
                    };
                    // SAFETY: `Taps::new` has checked that its pixels are rows of an image and its places rows of a result,
                    // and `Taps::images` that x and out are as many images of those sizes, so every row of `reads` lies in
                    // them; pieces are inputs of taps that the weights have, no more at once than there are zeros; the bias
                    // has one number per output. `out` is borrowed mutably, and so overlaps nothing that is read.
                    unsafe { tile.run(simd) };
                }
            }
        }
    }
}

/// What a tile begins with.
#[derive(Debug, Clone, Copy)]
enum Begin<T> {
    Zero,
    /// One number per output of the panel.
    Bias(*const T),
    /// What is there.
    Kept,
}

/// [`ROWS`] rows of a result, one panel of outputs.
struct Tile<'a, T> {
    pieces: &'a [Piece],
    /// `[tap, row]`.
    pixels: &'a [usize],
    rows: &'a [usize],
    x: *const T,
    inputs: usize,
    zeros: *const T,
    weights: *const T,
    panel: Panel,
    begins: Begin<T>,
    out: *mut T,
    outputs: usize,
}

impl<T: Real> Tile<'_, T> {
    /// # Safety
    /// Pixels must be rows of x or `usize::MAX`, `rows` rows of out, pieces inputs of the weights and at most as many as there
    /// are zeros; out must be writable and overlap nothing else.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, simd: S) {
        let lanes = T::lanes::<S>();
        let mut done = 0;
        // SAFETY: the caller's; the columns of a strip lie within the panel, those beyond its outputs are masked.
        unsafe {
            while done < self.panel.count {
                let left = self.panel.count - done;
                if left >= 4 * lanes && S::REGISTER_COUNT >= 32 {
                    self.strip::<S, 4, false>(simd, done);
                    done += 4 * lanes;
                } else if left >= 2 * lanes {
                    self.strip::<S, 2, false>(simd, done);
                    done += 2 * lanes;
                } else if left >= lanes {
                    self.strip::<S, 1, false>(simd, done);
                    done += lanes;
                } else {
                    self.strip::<S, 1, true>(simd, done);
                    done += lanes;
                }
            }
        }
    }

    /// M vectors of outputs from column `from` of the panel on; under a mask if `TAIL`.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    #[expect(clippy::needless_range_loop, reason = "one index for several arrays of registers, unrolled")]
    #[inline(always)]
    unsafe fn strip<S: Simd, const M: usize, const TAIL: bool>(&self, simd: S, from: usize) {
        let (lanes, width) = (T::lanes::<S>(), self.panel.width);
        let mask = T::first(simd, (self.panel.count - from).min(lanes));
        let mut sums = [[T::splat(simd, T::ZERO); M]; ROWS];
        // SAFETY: the caller's, for every address below.
        unsafe {
            let place = |r: usize| self.out.add(self.rows[r] * self.outputs + self.panel.first + from);
            for r in 0..ROWS {
                for m in 0..M {
                    let there = match self.begins {
                        Begin::Zero => continue,
                        Begin::Bias(bias) => bias.add(from),
                        Begin::Kept => place(r).cast_const(),
                    };
                    sums[r][m] = if TAIL {
                        T::load_some(simd, mask, there)
                    } else {
                        T::load::<S>(there.add(m * lanes))
                    };
                }
            }
            for &Piece { tap, first, count } in self.pieces {
                let pixels = &self.pixels[tap * ROWS..][..ROWS];
                if pixels.iter().all(|p| *p == usize::MAX) {
                    continue;
                }
                let mut rows = [self.zeros; ROWS];
                for r in 0..ROWS {
                    if pixels[r] != usize::MAX {
                        rows[r] = self.x.add(pixels[r] * self.inputs + first);
                    }
                }
                let mut weights = self.weights.add((tap * self.inputs + first) * width + from);
                for k in 0..count {
                    let mut vectors = [T::splat(simd, T::ZERO); M];
                    for m in 0..M {
                        vectors[m] = T::load::<S>(weights.add(m * lanes));
                    }
                    weights = weights.add(width);
                    for r in 0..ROWS {
                        let value = T::splat(simd, *rows[r].add(k));
                        for m in 0..M {
                            sums[r][m] = T::fma(simd, value, vectors[m], sums[r][m]);
                        }
                    }
                }
            }
            for r in 0..ROWS {
                for m in 0..M {
                    if TAIL {
                        T::store_some(simd, mask, place(r), sums[r][m]);
                    } else {
                        T::store::<S>(place(r).add(m * lanes), sums[r][m]);
                    }
                }
            }
        }
    }
}
