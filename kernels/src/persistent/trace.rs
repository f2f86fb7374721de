//! The records of a traced build of the persistent sPC kernels: when the phases of a step begin.
//!
//! Feature `trace` compiles `cuda/persistent.cu` with `PCNBENCH_TRACE`, and the emulator always does. The words lie
//! behind the word of [`PersistentParams::timed_out`](super::PersistentParams): for each of the last [`STEPS`] steps
//! the clock at the beginning of each of [`PHASES`], of layer L/2 (counted from 0) on the first tile of the batch. A
//! step that the layer does not make leaves zeros. Where a block has several items, what it does for the others counts
//! as the last phase.

/// Names of the phases of a step, as `Phase` in `cuda/resident.cuh`.
pub const PHASES: [&str; 8] =
    ["wait", "errors", "product down", "move", "publish down", "product up", "predict", "publish up"];

/// Steps that are recorded, the last of a relaxation.
pub const STEPS: usize = 32;

/// Words of 64 bits behind the first.
pub const WORDS: usize = STEPS * PHASES.len();

/// Cycles of each phase, for every traced step that is followed by another.
///
/// The last phase of a step ends where the next step begins, so the last step has none. Steps with a clock of zero are
/// left out.
pub fn durations(clocks: &[u64]) -> Vec<[u64; PHASES.len()]> {
    let (steps, _) = clocks.as_chunks::<{ PHASES.len() }>();
    let whole = steps.windows(2).filter(|pair| pair.iter().flatten().all(|clock| *clock > 0));
    whole
        .map(|pair| {
            let end = |phase: usize| pair[0].get(phase + 1).unwrap_or(&pair[1][0]);
            std::array::from_fn(|phase| end(phase).wrapping_sub(pair[0][phase]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_where_the_next_one_begins() {
        // steps of 100 cycles, phases of 1, 2, 3, … cycles and the rest; the first step was not made
        let begins = [0, 1, 3, 6, 10, 15, 21, 28];
        let clocks: Vec<u64> = (0..4)
            .flat_map(|step| begins.map(|at| if step == 0 { 0 } else { 1000 + 100 * step + at }))
            .collect();
        assert_eq!(durations(&clocks), vec![[1, 2, 3, 4, 5, 6, 7, 72]; 2]);
        assert_eq!(durations(&clocks[..8]), Vec::<[u64; 8]>::new());
        assert_eq!(durations(&[]), Vec::<[u64; 8]>::new());
    }
}
