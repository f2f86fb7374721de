//! A suite cut down to one of its points, or measured for longer.

use std::ops::RangeInclusive;

use super::wire::SuiteWire;
use super::{expand, limits, Suite, AXES};
use crate::{Error, Result};

impl Suite {
    /// Only the point with this id, with all its contenders.
    ///
    /// All of them, because those that run between two samples of a contender decide what it finds in the caches: fewer
    /// neighbours would be another measurement.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such point.
    pub fn only_point(&self, id: &str) -> Result<Self> {
        let found = self.benchmarks.iter().find_map(|b| Some((b, b.points.iter().find(|p| p.id == id)?)));
        let Some((benchmark, point)) = found else {
            return Err(Error::Invalid(format!("suite `{}` has no point `{id}`", self.name)));
        };
        self.changed(|wire| {
            wire.benchmark.retain(|b| b.name == benchmark.name);
            for b in &mut wire.benchmark {
                for axis in AXES {
                    b.axes.set(axis, vec![axis.of(point)]);
                }
            }
        })
    }

    /// The same, measured `times` as long: with that factor on instances, rounds and time.
    ///
    /// # Errors
    /// If the suite cannot be expanded again.
    pub fn longer(&self, times: usize) -> Result<Self> {
        let within = |n: usize, limits: RangeInclusive<usize>| n.saturating_mul(times).min(*limits.end());
        self.changed(|wire| {
            for t in wire.benchmark.iter_mut().map(|b| &mut b.timing) {
                t.instances = within(t.instances, limits::INSTANCES);
                t.min_rounds = within(t.min_rounds, limits::ROUNDS);
                t.max_rounds = within(t.max_rounds, limits::ROUNDS);
                t.max_seconds = (t.max_seconds * times as f64).min(*limits::SECONDS.end());
            }
        })
    }

    fn changed(&self, change: impl FnOnce(&mut SuiteWire)) -> Result<Self> {
        let mut wire: SuiteWire = toml::from_str(&self.definition).map_err(|e| {
            Error::Invalid(format!("suite `{}` cannot be read back: {}", self.name, e.message()))
        })?;
        change(&mut wire);
        expand::suite(wire, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Overrides, BUILT_IN};

    /// Every point of every built-in suite can be measured alone, as the very point it was.
    #[test]
    fn each_point_stays_itself() {
        for (name, _) in BUILT_IN {
            let suite = Suite::load(name, &Overrides::default()).unwrap();
            for (benchmark, point) in
                suite.benchmarks.iter().flat_map(|b| b.points.iter().map(move |p| (b, p)))
            {
                let alone = suite.only_point(&point.id).unwrap();
                assert_eq!(alone.benchmarks.len(), 1, "{name}");
                let kept = &alone.benchmarks[0];
                assert_eq!(kept.points, std::slice::from_ref(point));
                assert_eq!(
                    (&kept.contenders, kept.loss, kept.data.name),
                    (&benchmark.contenders, benchmark.loss, benchmark.data.name)
                );
                assert_eq!(kept.timing, benchmark.timing);
                assert_eq!(alone.seed, suite.seed);
            }
        }
    }

    /// Nothing but how long it is measured.
    #[test]
    fn a_longer_suite_is_the_same_but_for_its_limits() {
        let suite = Suite::load("gate", &Overrides::default()).unwrap();
        let longer = suite.longer(4).unwrap();
        for (a, b) in suite.benchmarks.iter().zip(&longer.benchmarks) {
            assert_eq!((&a.points, &a.contenders), (&b.points, &b.contenders));
            let (a, b) = (&a.timing, &b.timing);
            assert_eq!(
                [4 * a.instances, 4 * a.min_rounds, 4 * a.max_rounds],
                [b.instances, b.min_rounds, b.max_rounds]
            );
            assert_eq!(4.0 * a.max_seconds, b.max_seconds);
            let same = crate::suite::Timing {
                instances: a.instances,
                min_rounds: a.min_rounds,
                max_rounds: a.max_rounds,
                max_seconds: a.max_seconds,
                ..b.clone()
            };
            assert_eq!(*a, same);
        }
        let most = suite.longer(usize::MAX).unwrap();
        assert_eq!(most.benchmarks[0].timing.max_rounds, *limits::ROUNDS.end());
    }

    #[test]
    fn strangers_are_refused() {
        let suite = Suite::load("quick", &Overrides::default()).unwrap();
        let stranger = suite.only_point("depth@depth=3").unwrap_err().to_string();
        assert_eq!(stranger, "suite `quick` has no point `depth@depth=3`");
    }
}
