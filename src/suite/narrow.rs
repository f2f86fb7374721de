//! A suite cut down to one of its points.

use super::wire::{AxesWire, StepsWire, SuiteWire};
use super::{expand, Point, StepCount, Suite};
use crate::{Error, Result};

impl Suite {
    /// Only the point with this id, with all its contenders.
    ///
    /// All of them, because who runs between two samples of a contender decides what it finds in the caches: fewer
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
                b.axes = axes(point);
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

/// Axes of which each has the point's value alone.
fn axes(point: &Point) -> AxesWire {
    let steps = match point.steps {
        StepCount::Fixed(t) => StepsWire::Fixed(t),
        multiple @ StepCount::Depths { .. } => StepsWire::Depths(multiple.to_string()),
    };
    AxesWire {
        activation: vec![point.activation.to_string()],
        batch: vec![point.batch],
        depth: vec![point.depth],
        device: vec![point.device.name().to_owned()],
        dtype: vec![point.dtype.as_str().to_owned()],
        parameterisation: vec![point.parameterisation.to_string()],
        step_size: vec![point.step_size],
        steps: vec![steps],
        width: vec![point.width],
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
                    (&kept.contenders, kept.loss, kept.data),
                    (&benchmark.contenders, benchmark.loss, benchmark.data)
                );
                assert_eq!(kept.timing, benchmark.timing);
                assert_eq!(alone.seed, suite.seed);
            }
        }
    }

    #[test]
    fn strangers_are_refused() {
        let suite = Suite::load("quick", &Overrides::default()).unwrap();
        let stranger = suite.only_point("depth@depth=3").unwrap_err().to_string();
        assert_eq!(stranger, "suite `quick` has no point `depth@depth=3`");
    }
}
