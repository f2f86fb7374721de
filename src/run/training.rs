//! A contender under the clock, and what is read beside it.

use std::cell::RefCell;

use candle_core::{Device, Tensor};

use crate::contender::Contender;
use crate::measure::card::Card;
use crate::measure::delay::Delay;
use crate::measure::sampler::{Subject, Timed};
use crate::measure::{self, memory};
use crate::Result;

/// Executions of a contender after which no more threads are expected; fewer than those of warming up.
const NEW_THREADS: usize = 3;

/// A contender whose updates are samples.
pub(super) struct Training<'a> {
    contender: Contender,
    batches: &'a [(Tensor, Tensor)],
    device: &'a Device,
    card: &'a Card,
    delay: &'a RefCell<Option<Delay>>,
    /// Growth of the process in the first update, which is one of warming up.
    pub(super) peak_bytes: Option<u64>,
}

impl<'a> Training<'a> {
    /// `contender` on batches that it takes in turn.
    pub(super) fn new(
        contender: Contender,
        batches: &'a [(Tensor, Tensor)],
        device: &'a Device,
        card: &'a Card,
        delay: &'a RefCell<Option<Delay>>,
    ) -> Self {
        Self { contender, batches, device, card, delay, peak_bytes: None }
    }

    /// One weight update.
    pub(super) fn update(&mut self, turn: usize) -> Result<()> {
        let (x, y) = &self.batches[turn % self.batches.len()];
        if turn > 0 {
            return self.contender.update(x, y);
        }
        let (grown, done) = memory::growth(|| self.contender.update(x, y));
        self.peak_bytes = grown;
        done
    }

    /// How long threads of this process have waited so far; asked for outside the time of a sample.
    fn waited(&self, turn: usize) -> Option<u64> {
        let mut delay = self.delay.borrow_mut();
        // Worker threads start with the first product that needs them.
        if turn < NEW_THREADS {
            delay.as_mut()?.look_for_threads();
        }
        delay.as_mut()?.total_ns()
    }
}

impl Subject for &mut Training<'_> {
    fn execute(&mut self, turn: usize) -> Result<Timed> {
        let (device, before) = (self.device, self.waited(turn));
        let (wall, device_ns) = measure::time_with_device(device, || self.update(turn))?;
        let delay_ns = before.and_then(|before| Some(self.waited(turn)?.saturating_sub(before)));
        let sm_clock_mhz = self.card.sm_clock_mhz();
        let checksum = self.contender.finite_checksum()?;
        let wall_ns = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        Ok(Timed { wall_ns, device_ns, checksum, delay_ns, sm_clock_mhz })
    }
}
