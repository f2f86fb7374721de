//! Thresholds that count only when they are held, and curves that are kept at steps of growing distance.

/// Where a curve has passed a threshold and stayed beyond it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crossing {
    first: Option<usize>,
    held: bool,
}

impl Crossing {
    pub(super) fn new() -> Self {
        Self { first: None, held: false }
    }

    /// The window after `step` over which a threshold has to be held: a quarter of the steps until then, and at least two. Momentum
    /// passes thresholds in transit.
    fn window(step: usize) -> usize {
        (step / 4).max(2)
    }

    /// Told whether the curve is beyond the threshold after `step`; whether it has been held long enough.
    pub(super) fn see(&mut self, step: usize, beyond: bool) -> bool {
        if self.held {
            return true;
        }
        match (beyond, self.first) {
            (false, _) => self.first = None,
            (true, None) => self.first = Some(step),
            (true, Some(first)) => self.held = step >= first + Self::window(first),
        }
        self.held
    }

    /// The first step beyond the threshold, if it was held.
    pub(super) fn step(&self) -> Option<usize> {
        self.first.filter(|_| self.held)
    }
}

/// Steps of growing distance: every one up to 16, then about every `part`-th of the steps before further.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sparse {
    part: usize,
    last: usize,
}

impl Sparse {
    /// Close enough to measure a threshold by.
    pub(super) const FINE: Self = Self { part: 16, last: 0 };

    /// Close enough to draw a curve by.
    pub(super) const CURVE: Self = Self { part: 6, last: 0 };

    /// Whether the step is one of them, given in rising order.
    pub(super) fn takes(&mut self, step: usize) -> bool {
        let taken = step <= 16 || step >= self.last + (self.last / self.part).max(1);
        if taken {
            self.last = step;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_touch_does_not_count() {
        let mut crossing = Crossing::new();
        let beyond = |step: usize| (8..=9).contains(&step) || step >= 20;
        let end = (0..100).find(|&step| crossing.see(step, beyond(step)));
        assert_eq!((end, crossing.step()), (Some(25), Some(20)));
        let mut early = Crossing::new();
        assert!((0..5).all(|step| !early.see(step, step >= 3)) && early.step().is_none());
    }

    #[test]
    fn curves_are_kept_ever_more_sparsely() {
        let mut fine = Sparse::FINE;
        let all: Vec<usize> = (0..=1000).filter(|&step| fine.takes(step)).collect();
        assert_eq!(&all[..18], &(0..18).collect::<Vec<_>>()[..]);
        assert!(all.len() < 100 && all.windows(2).all(|w| w[1] - w[0] <= 1 + w[0] / 16), "{all:?}");
    }
}
