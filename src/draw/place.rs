//! Places of the boxes within their rows.

use super::layers::{Layers, Node};

/// Pixels between neighbouring boxes, and beside a line that passes through.
const GAP: (f64, f64) = (18.0, 9.0);
/// Sweeps over the rows, down and up in turn.
const SWEEPS: usize = 24;
/// How much a line wants to be straight by how many of its ends pass through (Gansner et al., IEEE Trans. Softw. Eng. 19,
/// 1993): bends in the middle of long lines are the ones that mislead.
const STRAIGHT: [f64; 3] = [1.0, 2.0, 8.0];

/// The middle of each node and the width of everything, in pixels from the left edge; `widths` are those of the nodes.
pub(super) fn middles(layers: &Layers, widths: &[f64]) -> (Vec<f64>, f64) {
    let mut x = vec![0.0; layers.nodes.len()];
    let apart = |a: usize, b: usize| {
        let line = layers.nodes[a] == Node::Pass || layers.nodes[b] == Node::Pass;
        (widths[a] + widths[b]) / 2.0 + if line { GAP.1 } else { GAP.0 }
    };
    for row in &layers.rows {
        settle(row, &mut x, |_| (0.0, 1.0), apart);
    }
    let passes = |node: usize| usize::from(layers.nodes[node] == Node::Pass);
    let mut above = vec![Vec::new(); layers.nodes.len()];
    let mut below = above.clone();
    for link in layers.links.iter().flatten() {
        let weight = STRAIGHT[passes(link.from) + passes(link.to)];
        above[link.to].push((link.from, weight));
        below[link.from].push((link.to, weight));
    }
    for sweep in 0..=SWEEPS {
        let last = sweep == SWEEPS;
        for step in 0..layers.rows.len() {
            let down = last || sweep % 2 == 0;
            let row = &layers.rows[if down { step } else { layers.rows.len() - 1 - step }];
            let old = x.clone();
            let wanted = |node: usize| {
                let upper = above[node].iter().filter(|_| last || down);
                let lower = below[node].iter().filter(|_| last || !down);
                let (sum, weight) =
                    upper.chain(lower).fold((0.0, 0.0), |(sum, all), (n, w)| (sum + w * old[*n], all + w));
                if weight > 0.0 {
                    (sum / weight, weight)
                } else {
                    (old[node], 0.1)
                }
            };
            settle(row, &mut x, wanted, apart);
        }
    }
    let edge = |node: usize, side: f64| x[node] + side * widths[node] / 2.0;
    let left = (0..x.len()).map(|node| edge(node, -1.0)).fold(f64::INFINITY, f64::min);
    let right = (0..x.len()).map(|node| edge(node, 1.0)).fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|x| *x -= left);
    (x, right - left)
}

/// Places the nodes of a row as near as possible to where they want to be, in the sense of weighted least squares, in their
/// order and no nearer to each other than `apart`: after a shift by the distances an isotonic regression, which pooling
/// adjacent violators solves.
fn settle(
    row: &[usize],
    x: &mut [f64],
    wanted: impl Fn(usize) -> (f64, f64),
    apart: impl Fn(usize, usize) -> f64,
) {
    let mut shift = vec![0.0; row.len()];
    for k in 1..row.len() {
        shift[k] = shift[k - 1] + apart(row[k - 1], row[k]);
    }
    // weighted sum, weight and length of each pool
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (&node, shift) in row.iter().zip(&shift) {
        let (at, weight) = wanted(node);
        let mut pool = (weight * (at - shift), weight, 1);
        while let Some(last) = pools.pop_if(|last| last.0 / last.1 > pool.0 / pool.1) {
            pool = (pool.0 + last.0, pool.1 + last.1, pool.2 + last.2);
        }
        pools.push(pool);
    }
    let places =
        pools.into_iter().flat_map(|(sum, weight, length)| std::iter::repeat_n(sum / weight, length));
    for ((&node, shift), at) in row.iter().zip(&shift).zip(places) {
        x[node] = at + shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_order_and_its_distances() {
        let mut x = vec![0.0; 4];
        let wanted = [50.0, 50.0, 0.0, 500.0];
        settle(&[0, 1, 2, 3], &mut x, |node| (wanted[node], 1.0), |_, _| 20.0);
        // three want to overlap: they stand side by side around their mean, and the fourth where it wants
        let third = 100.0 / 3.0;
        let expected = [third - 20.0, third, third + 20.0, 500.0];
        assert!(x.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{x:?}");
    }
}
