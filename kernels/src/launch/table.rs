//! The layout of a call's arena, and the table of layers that the kernels of a list of launches read.

use crate::layer::Activation;
use crate::refuse::refuse;
use crate::rows::{Field, Row};
use crate::schedule::Rule;
use crate::stack::Stack;

/// Rows and columns of the results of one block, largest first.
pub const TILES: [usize; 3] = [64, 32, 16];
/// Elements of one block of an element-wise launch.
pub const CHUNK: usize = 1024;
/// Index in [`Row::before`] of tiles of parameters.
pub const PARAMETERS: usize = 3;
/// Index in [`Row::before`] of chunks.
pub const CHUNKS: usize = 6;

/// The table of a stack, a rule and a batch: rows 0..=L, and one more that ends all counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The rows.
    pub rows: Vec<Row>,
    /// Elements of all fields together.
    pub elements: usize,
    /// B.
    pub batch: usize,
}

impl Table {
    /// Lays out the fields that a rule needs; `traces` if errors are asked for, `products` if a library makes products.
    ///
    /// # Errors
    /// If sizes are beyond the range of the kernels' indices.
    pub fn new(
        stack: &Stack,
        rule: &Rule,
        batch: usize,
        traces: bool,
        products: bool,
    ) -> candle_core::Result<Self> {
        let depth = stack.depth();
        let limit = i32::MAX as usize - TILES[0];
        for (what, n) in
            [("the batch", batch), ("the widest layer", stack.widest()), ("the number of layers", depth)]
        {
            if n > limit {
                refuse!("{what} is {n} on a GPU; expected at most {limit}");
            }
        }
        let mut table = Self { rows: Vec::with_capacity(depth + 2), elements: 0, batch };
        let mut before = [0i64; 7];
        let mut units_before = 0;
        for l in 0..=depth {
            let units = stack.units(l);
            let own = if l > 0 { Row::layer(stack, l) } else { Row::input(stack) };
            table.rows.push(Row { before, units_before, ..own });
            if l > 0 {
                units_before += units as i64;
                for (i, tile) in TILES.into_iter().enumerate() {
                    before[i] += (batch.div_ceil(tile) * units.div_ceil(tile)) as i64;
                    // a layer without inputs may have biases
                    let across = stack.units(l - 1).div_ceil(tile).max(1);
                    before[PARAMETERS + i] += (units.div_ceil(tile) * across) as i64;
                }
            }
            before[CHUNKS] += (batch * units).div_ceil(CHUNK) as i64;
        }
        if before.iter().any(|n| *n > i64::from(i32::MAX)) {
            refuse!("a stack has more tiles than one launch can have blocks; make the batch or the layers smaller");
        }
        table.rows.push(Row { before, units_before, units: 0, ..Row::input(stack) });
        table.lay_out(stack, rule, traces, products)?;
        Ok(table)
    }

    /// L.
    pub fn depth(&self) -> usize {
        self.rows.len() - 2
    }

    /// Where a field of layer l begins, if it has one.
    pub fn at(&self, l: usize, field: Field) -> Option<usize> {
        usize::try_from(self.rows[l].at[field as usize]).ok()
    }

    /// The count at index `which` of [`Row::before`] over layers `first..=last`.
    pub fn count(&self, which: usize, first: usize, last: usize) -> usize {
        (self.rows[last + 1].before[which] - self.rows[first].before[which]).max(0) as usize
    }

    fn add(&mut self, l: usize, field: Field) -> candle_core::Result<()> {
        // whole lines of 128 bytes, so that no two arrays share one
        let size = (self.batch * self.rows[l].units as usize).next_multiple_of(32);
        self.rows[l].at[field as usize] = self.elements as i64;
        match self.elements.checked_add(size) {
            Some(all) if i64::try_from(all).is_ok() => self.elements = all,
            _ => refuse!("a stack has more states than can be addressed; make the batch smaller"),
        }
        Ok(())
    }

    fn same(&mut self, l: usize, field: Field, of: Field) {
        self.rows[l].at[field as usize] = self.rows[l].at[of as usize];
    }

    fn add_unless(&mut self, same: bool, l: usize, field: Field, of: Field) -> candle_core::Result<()> {
        if same {
            self.same(l, field, of);
            return Ok(());
        }
        self.add(l, field)
    }

    /// The same array of all layers lies together, so that layers of one size are equally far apart.
    fn lay_out(
        &mut self,
        stack: &Stack,
        rule: &Rule,
        traces: bool,
        products: bool,
    ) -> candle_core::Result<()> {
        use Field::*;
        let depth = stack.depth();
        let plain = |l: usize| stack.layer(l).act_out == Activation::Identity;
        let adjoint = matches!(rule, Rule::Bp | Rule::Zil);
        for l in 0..depth {
            self.add(l, State)?;
        }
        for l in 0..depth {
            self.add_unless(stack.layer(l + 1).act_in == Activation::Identity, l, Activated, State)?;
        }
        // adjoints are read by skips, by a caller that asks for traces, and by products where they are δ
        for l in 1..=depth {
            if !adjoint || l == depth || plain(l) || stack.layer(l).skip || traces {
                self.add(l, Error)?;
            }
        }
        for l in 1..=depth {
            // under ePC a skip carries down the adjoint, while parameters learn from ε
            let same = plain(l) && !(l < depth && matches!(rule, Rule::Epc));
            self.add_unless(same, l, Delta, Error)?;
            self.same(l, Learned, if plain(l) { Error } else { Delta });
            self.same(l, Carried, Error);
        }
        for l in 1..depth {
            match rule {
                Rule::Spc { .. } | Rule::Epc | Rule::SeqIl { .. } if l == 1 => {
                    self.add(l, Prediction)?;
                    if !plain(l) {
                        self.add(l, OutputSlope)?;
                    }
                }
                Rule::Fpa { .. } | Rule::Ar { .. } => {
                    self.add(l, OtherError)?;
                    self.add_unless(plain(l), l, OtherDelta, OtherError)?;
                    if !plain(l) {
                        self.add(l, OutputSlope)?;
                    }
                }
                Rule::Ipc { .. } => self.add(l, PendingStep)?,
                _ => {}
            }
            if matches!(rule, Rule::Epc) {
                if plain(l) {
                    self.same(l, Carried, Delta);
                } else if stack.layer(l).skip {
                    self.add(l, PendingStep)?;
                    self.same(l, Carried, PendingStep);
                }
            }
        }
        // the output error never changes, so it has one buffer
        self.same(depth, OtherError, Error);
        self.same(depth, OtherDelta, Delta);
        self.add(depth, Prediction)?;
        self.add(depth, Target)?;
        if products {
            for l in 1..=depth {
                self.add(l, Product)?;
            }
        }
        Ok(())
    }
}
