//! The layout of states in the buffers of a persistent launch.

use std::ops::Range;

use super::Misfit;
use crate::stack::Stack;

/// v_0 to v_L one after another without gaps, each `[batch, n_l]` row by row; ε and δ have the same layout in buffers
/// of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct StateLayout {
    /// Where v_0 to v_L begin, and where v_L ends.
    starts: Vec<usize>,
}

/// The most samples, units or layers of the kernels: an index has 32 bits, and can be up to a tile beyond the last.
const MOST: usize = i32::MAX as usize - 64;
/// The most elements of a buffer.
const MOST_ELEMENTS: usize = i64::MAX as usize;

impl StateLayout {
    /// The layout of a stack on a batch.
    ///
    /// # Errors
    /// [`Misfit::Size`].
    pub fn new(stack: &Stack, batch: usize) -> Result<Self, Misfit> {
        let most = |what, got, most| if got <= most { Ok(()) } else { Err(Misfit::Size { what, got, most }) };
        most("the batch size", batch, MOST)?;
        most("the number of layers", stack.depth(), MOST)?;
        most("the number of parameters", stack.parameters(), MOST_ELEMENTS)?;
        let mut starts = vec![0usize];
        for l in 0..=stack.depth() {
            most("the number of units of a layer", stack.units(l), MOST)?;
            let end = stack.units(l).checked_mul(batch).and_then(|own| own.checked_add(starts[l]));
            let end = end.unwrap_or(usize::MAX);
            most("the number of states", end, MOST_ELEMENTS)?;
            starts.push(end);
        }
        Ok(Self { starts })
    }

    /// Where v_l, ε_l and δ_l lie, l = 0..=L.
    ///
    /// # Panics
    /// If l > L.
    pub fn range(&self, l: usize) -> Range<usize> {
        self.starts[l]..self.starts[l + 1]
    }

    /// Elements of a whole buffer.
    pub fn elements(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Activation, Dense};

    fn stack(widths: &[usize]) -> Stack {
        let act = Activation::Tanh;
        let layer = |pair: &[usize]| Dense { act_in: act, act_out: act, ..Dense::linear(pair[0], pair[1]) };
        Stack::new(widths.windows(2).map(layer).collect()).unwrap()
    }

    #[test]
    fn states_follow_one_another_without_gaps() {
        let layout = StateLayout::new(&stack(&[5, 70, 0, 3]), 65).unwrap();
        let (a, b) = (65 * 5, 65 * 75);
        assert_eq!([0, 1, 2, 3].map(|l| layout.range(l)), [0..a, a..b, b..b, b..65 * 78]);
        assert_eq!(layout.elements(), 65 * 78);
    }

    #[test]
    fn what_cannot_be_counted_is_said_in_one_sentence() {
        let billion = 1 << 30;
        // eight matrices, or eight states between layers of no units: 2⁶³ elements
        let (full, hollow) = (vec![billion; 9], [billion, 0].repeat(8));
        for (widths, batch, said) in [
            (vec![1, 1], usize::MAX, "the batch size is 18446744073709551615; expected at most 2147483583"),
            (vec![1, 1 << 31], 1, "the number of units of a layer is 2147483648; expected at most"),
            (
                full,
                1,
                "the number of parameters is 9223372036854775808; expected at most 9223372036854775807",
            ),
            (hollow, billion, "the number of states is 9223372036854775808; expected at most"),
        ] {
            let error = StateLayout::new(&stack(&widths), batch).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains('\n'), "{error}");
        }
    }
}
