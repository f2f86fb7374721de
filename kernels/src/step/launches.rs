//! The launches of a step.

use candle_core::Result;

use super::{Addresses, Launch, Loss, Settings, StepParams, Table, SOFTMAX_WARPS, TILE_THREADS};
use crate::refuse::refuse;

impl Table {
    /// The launches that leave ε_l and δ_l for layers `first`..=L (and v_L = μ_L): one, or two with cross entropy.
    ///
    /// # Errors
    /// If there is no layer `first`.
    pub fn predict(&self, at: &Addresses, settings: &Settings, first: usize) -> Result<[Option<Launch>; 2]> {
        self.layer(first)?;
        Ok(self.predictions(at, settings, first, self.depth(), false))
    }

    /// The launches that make v_l its prediction, with ε_l = 0 and δ_l = 0; for l = L the same as
    /// [`predict`](Self::predict). A forward pass is one after the other for l = 1..=L.
    ///
    /// # Errors
    /// If there is no layer l.
    pub fn forward(&self, at: &Addresses, settings: &Settings, l: usize) -> Result<[Option<Launch>; 2]> {
        self.layer(l)?;
        Ok(self.predictions(at, settings, l, l, true))
    }

    /// The launch that moves v_l for layers `first`..L; none if there is nothing to move.
    ///
    /// ε and δ of layers `first`..=L must be up to date. Layers below the light cone have no error and need not move.
    ///
    /// # Errors
    /// If there is no layer `first`.
    pub fn update(&self, at: &Addresses, settings: &Settings, first: usize) -> Result<Option<Launch>> {
        self.layer(first)?;
        if first == self.depth() {
            return Ok(None);
        }
        Ok(self.launch("step_update_f32", at, settings, first, self.depth() - 1))
    }

    fn layer(&self, l: usize) -> Result<()> {
        if l == 0 || l > self.depth() {
            refuse!("there is no layer {l}; expected 1 to {}", self.depth());
        }
        Ok(())
    }

    fn predictions(
        &self,
        at: &Addresses,
        settings: &Settings,
        first: usize,
        last: usize,
        forward: bool,
    ) -> [Option<Launch>; 2] {
        let mut predict = self.launch("step_predict_f32", at, settings, first, last);
        if let Some(launch) = &mut predict {
            launch.params.forward = i32::from(forward);
        }
        let softmax =
            (settings.loss == Loss::CrossEntropy && last == self.depth() && self.targets > 0).then(|| {
                Launch {
                    kernel: "step_softmax_f32",
                    blocks: self.batch.div_ceil(SOFTMAX_WARPS) as u32,
                    threads: 32 * SOFTMAX_WARPS as u32,
                    params: self.params(at, settings, last, last),
                }
            });
        [predict, softmax]
    }

    /// Over layers `first`..=`last`; none if they have no tile, because a launch needs a block.
    fn launch(
        &self,
        kernel: &'static str,
        at: &Addresses,
        settings: &Settings,
        first: usize,
        last: usize,
    ) -> Option<Launch> {
        let tiles = self.tiles[last - 1] - self.rows[first - 1].tiles;
        let params = self.params(at, settings, first, last);
        (tiles > 0).then_some(Launch { kernel, blocks: tiles as u32, threads: TILE_THREADS, params })
    }

    fn params(&self, at: &Addresses, settings: &Settings, first: usize, last: usize) -> StepParams {
        StepParams {
            layers: at.layers,
            weights: at.weights,
            targets: at.targets,
            states: at.states,
            errors: at.errors,
            deltas: at.deltas,
            batch: self.batch as i32,
            depth: self.depth() as i32,
            first: first as i32 - 1,
            count: (last - first) as i32 + 1,
            loss: settings.loss as i32,
            forward: 0,
            step_size: settings.step_size,
            precision: settings.precision,
        }
    }
}
