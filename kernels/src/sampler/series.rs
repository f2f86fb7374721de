//! One number per round of a measurement, and arithmetic round by round.

/// One number per round of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Series(Vec<f64>);

/// Quartiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// A quarter of the numbers are no larger.
    pub low: f64,
    /// Half of them.
    pub median: f64,
    /// Three quarters of them.
    pub high: f64,
}

impl Series {
    /// These numbers.
    pub fn new(rounds: Vec<f64>) -> Self {
        Self(rounds)
    }

    /// The numbers, in the order of the rounds.
    pub fn rounds(&self) -> &[f64] {
        &self.0
    }

    /// a − b, both of the same round.
    pub fn minus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    /// a / b, both of the same round.
    pub fn over(&self, other: &Self) -> Self {
        self.with(other, |a, b| a / b)
    }

    /// f of every number.
    pub fn each(&self, f: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|a| f(*a)).collect())
    }

    /// The marginal cost of one unit: `self` are the times with `difference` units more than `few`.
    pub fn marginal(&self, few: &Self, difference: usize) -> Self {
        self.minus(few).each(|cost| cost / difference as f64)
    }

    /// Its quartiles, by linear interpolation; NaN if there are no numbers.
    pub fn spread(&self) -> Spread {
        let mut ordered = self.0.clone();
        ordered.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * ordered.len().saturating_sub(1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            match (ordered.get(below), ordered.get(above)) {
                (Some(a), Some(b)) => a + (b - a) * (place - place.floor()),
                _ => f64::NAN,
            }
        };
        Spread { low: at(0.25), median: at(0.5), high: at(0.75) }
    }

    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| f(*a, *b)).collect())
    }
}
