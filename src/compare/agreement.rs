//! Whether runs of one program agree: how many intervals of change hold 1 over all pairs of them, and how many rows are
//! called regressed.

use statrs::distribution::{Beta, ContinuousCDF, StudentsT};

use super::join::{compare, Options};
use super::row::Measure;
use super::side::Side;
use crate::stats::Verdict;
use crate::{Error, Result};

/// Fewest runs of which pairs say something about runs.
pub const FEWEST_RUNS: usize = 3;

/// A share of rows, over all pairs of runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Rows of which it is so.
    pub count: usize,
    /// All rows.
    pub rows: usize,
    /// Standard error of `count / rows`, clustered by run (see [`Agreement::of`]).
    pub error: f64,
}

/// What pairs of runs of one program gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Runs.
    pub runs: usize,
    /// Pairs of them.
    pub pairs: usize,
    /// Rows whose interval of change holds 1; 95 in 100 should.
    pub holding: Share,
    /// Rows called regressed; none should.
    pub regressed: Share,
    /// Rows called ambiguous.
    pub ambiguous: Share,
}

/// Counts over the rows of a pair: all, holding 1, regressed, ambiguous.
type Counts = [usize; 4];

impl Agreement {
    /// Compares every run with every later one; `sides` are in the order in which they were measured.
    ///
    /// Rows of a pair share two runs, and pairs share runs, so they are not independent. Standard errors are those of the
    /// jackknife that leaves out one run at a time, with all its pairs: for R runs, `σ² = (R − 1)/R Σ_r (p_r − p̄)²`, `p_r`
    /// the share without run r and `p̄` the mean of these.
    ///
    /// # Errors
    /// If there are fewer than [`FEWEST_RUNS`], or two of them do not compare at all.
    pub fn of(sides: &[Side]) -> Result<Self> {
        if sides.len() < FEWEST_RUNS {
            let problem = format!("{} records; whether runs agree takes {FEWEST_RUNS} at least", sides.len());
            return Err(Error::Invalid(problem));
        }
        let options = Options::default();
        let (mut all, mut of_run) = (Counts::default(), vec![Counts::default(); sides.len()]);
        for (i, base) in sides.iter().enumerate() {
            for (j, new) in sides.iter().enumerate().skip(i + 1) {
                let comparison = compare(base, new, &options);
                // What is inferred from other rows is no row of its own.
                let own = comparison.rows.iter().filter(|r| r.measure == Measure::Ratio && r.base.is_some());
                let rows: Vec<_> = own.filter_map(|row| Some((row.change?, row.verdict))).collect();
                if rows.is_empty() {
                    return Err(Error::Invalid(format!(
                        "{} and {} have no ratio to compare",
                        base.name, new.name
                    )));
                }
                let with = |verdict| rows.iter().filter(|(_, v)| *v == verdict).count();
                let holding = rows.iter().filter(|(c, _)| c.low <= 1.0 && c.high >= 1.0).count();
                let counts = [rows.len(), holding, with(Verdict::Regressed), with(Verdict::Ambiguous)];
                for total in [i, j].map(|run| run + 1).into_iter().chain([0]) {
                    let total = if total == 0 { &mut all } else { &mut of_run[total - 1] };
                    total.iter_mut().zip(counts).for_each(|(t, n)| *t += n);
                }
            }
        }
        let runs = sides.len();
        let share = |k: usize| {
            let without: Vec<f64> =
                of_run.iter().map(|own| (all[k] - own[k]) as f64 / (all[0] - own[0]).max(1) as f64).collect();
            let mean = without.iter().sum::<f64>() / runs as f64;
            let squares: f64 = without.iter().map(|p| (p - mean).powi(2)).sum();
            Share { count: all[k], rows: all[0], error: ((runs - 1) as f64 / runs as f64 * squares).sqrt() }
        };
        let pairs = runs * (runs - 1) / 2;
        Ok(Self { runs, pairs, holding: share(1), regressed: share(2), ambiguous: share(3) })
    }

    /// The 95 % interval of the share of intervals that hold 1: `p ± t σ` with one degree of freedom less than runs.
    pub fn holding_interval(&self) -> (f64, f64) {
        let half = self.t(0.975) * self.holding.error;
        ((self.holding.of() - half).max(0.0), (self.holding.of() + half).min(1.0))
    }

    /// The upper 95 % limit of the share of rows called regressed.
    ///
    /// The larger of two: `p + t σ`; and that of Clopper and Pearson (1934) for as many independent rows as carry what these
    /// do, as Korn and Graubard (1998) have it for clustered surveys. Rows are divided by their design effect `σ² n / (p (1 − p))`,
    /// which is 2 at least, since each lies in two runs. Where nothing regressed, nothing is known of how such rows cluster; then
    /// it is that of the intervals that miss 1, which are more and cluster more.
    pub fn most_regressed(&self) -> f64 {
        let (share, least) =
            if self.regressed.count > 0 { (self.regressed, 2.0) } else { (self.holding, 1.0) };
        let p = share.of();
        let independent = p * (1.0 - p) / share.rows as f64;
        let effect = if independent > 0.0 { (share.error.powi(2) / independent).max(least) } else { 1.0 };
        let (rows, count) = (self.regressed.rows as f64 / effect, self.regressed.count as f64 / effect);
        let exact = Beta::new(count + 1.0, rows - count).map_or(1.0, |b| b.inverse_cdf(0.95));
        exact.max(self.regressed.of() + self.t(0.95) * self.regressed.error)
    }

    fn t(&self, level: f64) -> f64 {
        StudentsT::new(0.0, 1.0, (self.runs - 1) as f64).map_or(f64::NAN, |t| t.inverse_cdf(level))
    }
}

impl Share {
    /// The share.
    pub fn of(&self) -> f64 {
        self.count as f64 / self.rows as f64
    }
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
