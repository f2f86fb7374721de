//! Builds the launches of a call: the kernel, its blocks, and the products before it if a library makes them.

use super::params::{Elementwise, Kernel, Launch, Moves, Params, Precision, Predict, Pull};
use super::product::{Base, Form, Operand, Product};
use super::table::{Table, CHUNKS, PARAMETERS};
use crate::math_mode::MathMode;
use crate::rows::Field;
use crate::tune;

/// Threads of every kernel but cross entropy.
const THREADS: u32 = 256;
/// Samples per block of cross entropy, one warp each.
const SOFTMAX_WARPS: usize = 4;

/// Which family of tiled kernels.
#[derive(Clone, Copy)]
enum Family {
    Predict,
    Pull,
    Learn,
}

const NAMES: [[[&str; 3]; 2]; 3] = [
    [
        ["relax_predict_f32_64", "relax_predict_f32_32", "relax_predict_f32_16"],
        ["relax_predict_f64_64", "relax_predict_f64_32", "relax_predict_f64_16"],
    ],
    [
        ["relax_pull_f32_64", "relax_pull_f32_32", "relax_pull_f32_16"],
        ["relax_pull_f64_64", "relax_pull_f64_32", "relax_pull_f64_16"],
    ],
    [["learn_f32_64", "learn_f32_32", "learn_f32_16"], ["learn_f64_64", "learn_f64_32", "learn_f64_16"]],
];

/// See the module.
pub(super) struct List<'a> {
    pub(super) table: &'a Table,
    pub(super) precision: Precision,
    pub(super) math: MathMode,
    pub(super) device: tune::DeviceLimits,
    /// If a library makes the products, the offset in the arena of its directions.
    pub(super) products: Option<usize>,
    /// The parameters that all launches have in common.
    pub(super) base: Params,
    pub(super) softmax: bool,
    pub(super) launches: Vec<Launch>,
}

impl List<'_> {
    fn push(&mut self, name: &'static str, blocks: usize, threads: u32, params: Params) {
        // a launch without blocks is left out, and the table has refused more blocks than fit
        if let Some(blocks) = u32::try_from(blocks).ok().filter(|n| *n > 0) {
            self.launches.push(Launch::Kernel(Kernel { name, blocks, threads, params }));
        }
    }

    fn by_library(&self) -> bool {
        self.products.is_some()
    }

    fn range(&self, first: usize, last: usize) -> Params {
        Params { first: first as i32, count: (last + 1 - first) as i32, ..self.base }
    }

    /// The tile size for layers `first..=last`, and the number of tiles; `which` as in `Row::before`.
    fn tile(&self, which: usize, first: usize, last: usize) -> (usize, usize) {
        let counts = [0, 1, 2].map(|i| self.table.count(which + i, first, last));
        let tile = if self.by_library() { 0 } else { tune::tile_on(counts, &self.device) };
        (tile, counts[tile])
    }

    fn tiled(&mut self, family: Family, which: usize, params: Params) -> usize {
        let (first, last) = (params.first as usize, (params.first + params.count) as usize - 1);
        let (tile, blocks) = self.tile(which, first, last);
        let name = NAMES[family as usize][usize::from(self.precision == Precision::F64)][tile];
        self.push(name, blocks, THREADS, self.with_uniform_run(which + tile, params));
        tile
    }

    /// The same with the longest run of layers with equally many blocks: blocks of these find their layer without the
    /// table.
    fn with_uniform_run(&self, which: usize, params: Params) -> Params {
        let (first, last) = (params.first as usize, (params.first + params.count) as usize - 1);
        let blocks = |l: usize| self.table.count(which, l, l);
        let mut best = params;
        let mut from = first;
        for l in first..=last {
            if blocks(l) != blocks(from) {
                from = l;
            }
            let layers = l + 1 - from;
            if layers * blocks(l) > (best.uniform_layers * best.uniform_blocks) as usize {
                best.uniform_first = from as i32;
                best.uniform_layers = layers as i32;
                best.uniform_blocks = blocks(l) as i32;
                let before = |l: usize| self.table.rows[l].before[which];
                best.uniform_before = (before(from) - before(first)) as i32;
            }
        }
        best
    }

    /// Predictions of layers `first..=last`.
    pub(super) fn predict(&mut self, first: usize, last: usize, mode: Predict) {
        if first > last {
            return;
        }
        let depth = self.table.depth();
        if self.by_library() {
            let known = first == 1 && depth > 1 && self.table.at(1, Field::Prediction).is_some();
            let from = if known && matches!(mode, Predict::Errors | Predict::Slopes) { 2 } else { first };
            self.products(Form::Up, from, last, false);
        }
        let params =
            Params { mode: mode as i32, products: i32::from(self.by_library()), ..self.range(first, last) };
        self.tiled(Family::Predict, 0, params);
        if last == depth && self.softmax {
            let rows = if self.table.rows[depth].units > 0 { self.table.batch } else { 0 };
            let name = self.of("softmax_f32", "softmax_f64");
            self.push(
                name,
                rows.div_ceil(SOFTMAX_WARPS),
                32 * SOFTMAX_WARPS as u32,
                self.range(depth, depth),
            );
        }
    }

    /// Errors of layers `first + 1..=last + 1` pulled back to states `first..=last`.
    pub(super) fn pull(
        &mut self,
        first: usize,
        last: usize,
        mode: Pull,
        g: f64,
        (arriving, swap): (usize, bool),
    ) {
        if first > last {
            return;
        }
        if self.by_library() {
            self.products(Form::Down, first, last, swap);
        }
        let params = Params {
            mode: mode as i32,
            step_size: g,
            arriving: arriving as i32,
            swap: i32::from(swap),
            products: i32::from(self.by_library()),
            ..self.range(first, last)
        };
        self.tiled(Family::Pull, 0, params);
    }

    /// One element-wise launch over layers `first..=last`.
    pub(super) fn elementwise(&mut self, first: usize, last: usize, mode: Elementwise, with: Params) {
        if first > last {
            return;
        }
        let Params { first: at, count, .. } = self.range(first, last);
        let blocks = self.table.count(CHUNKS, first, last);
        let name = self.of("elementwise_f32", "elementwise_f64");
        let params = Params { first: at, count, mode: mode as i32, ..with };
        self.push(name, blocks, THREADS, self.with_uniform_run(CHUNKS, params));
    }

    /// Directions of layers `first..=L`, exactly zero below `low`, and the optimiser; `c` are its coefficients.
    /// `sums` is the offset at which MQ stores one sum per tile.
    pub(super) fn learn(&mut self, first: usize, low: usize, mode: Moves, c: [f64; 7], sums: usize) {
        let depth = self.table.depth();
        if self.by_library() {
            self.products(Form::Outer, low.max(first), depth, false);
        }
        let params = Params {
            mode: mode as i32,
            lowest_nonzero: low as i32,
            c,
            products: i32::from(self.by_library()),
            products_at: self.products.unwrap_or(0) as i64,
            delta_sums_at: sums as i64,
            ..self.range(first, depth)
        };
        let tile = self.tiled(Family::Learn, PARAMETERS, params);
        if mode == Moves::Mq {
            let name = self.of("mq_f32", "mq_f64");
            let params = Params { tile: tile as i32, ..params };
            self.push(name, depth, THREADS, params);
        }
    }

    fn of(&self, f32: &'static str, f64: &'static str) -> &'static str {
        match self.precision {
            Precision::F32 => f32,
            Precision::F64 => f64,
        }
    }

    /// Products of layers (for `Down`: of states) `first..=last`; consecutive layers at equal distances share one call.
    fn products(&mut self, form: Form, first: usize, last: usize, swap: bool) {
        let mut l = first;
        while l <= last {
            let mut product = self.product(form, l, swap);
            let mut next = l + 1;
            while next <= last && follows(&mut product, &self.product(form, next, swap)) {
                next += 1;
            }
            if product.m > 0 && product.n > 0 {
                self.launches.push(Launch::Product(product));
            }
            l = next;
        }
    }

    fn product(&self, form: Form, l: usize, swap: bool) -> Product {
        let t = self.table;
        let units = |l: usize| t.rows[l].units as usize;
        let arena = |l: usize, field: Field| Operand {
            base: Base::Arena,
            // a layer has all the fields that its products read or write
            offset: t.at(l, field).unwrap_or(0),
            stride: 0,
        };
        let weights = |l: usize| Operand { base: Base::Theta, offset: t.rows[l].weights as usize, stride: 0 };
        let (m, n, k, left, right, to) = match form {
            Form::Up => {
                let to = arena(l, Field::Product);
                (t.batch, units(l), units(l - 1), arena(l - 1, Field::Activated), weights(l), to)
            }
            Form::Down => {
                let delta = arena(l + 1, if swap { Field::OtherDelta } else { Field::Delta });
                (t.batch, units(l), units(l + 1), delta, weights(l + 1), arena(l, Field::Product))
            }
            Form::Outer => {
                let offset = self.products.unwrap_or(0) + t.rows[l].weights as usize;
                let to = Operand { base: Base::Arena, offset, stride: 0 };
                (
                    units(l),
                    units(l - 1),
                    t.batch,
                    arena(l, Field::Learned),
                    arena(l - 1, Field::Activated),
                    to,
                )
            }
        };
        Product { form, m, n, k, count: 1, left, right, to, math: self.math }
    }
}

/// Adds one more layer to a batched product, if it has the same shape and the same distance as the layers before.
fn follows(product: &mut Product, next: &Product) -> bool {
    let same = (product.m, product.n, product.k) == (next.m, next.n, next.k);
    let stride = |a: &Operand, b: &Operand| {
        let last = a.offset + a.stride * (product.count - 1);
        b.offset.checked_sub(last).filter(|s| product.count == 1 || *s == a.stride)
    };
    let strides = (
        stride(&product.left, &next.left),
        stride(&product.right, &next.right),
        stride(&product.to, &next.to),
    );
    let (true, (Some(left), Some(right), Some(to))) = (same, strides) else { return false };
    (product.left.stride, product.right.stride, product.to.stride) = (left, right, to);
    product.count += 1;
    true
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
