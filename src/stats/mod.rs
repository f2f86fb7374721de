//! Order statistics, paired ratios and scaling fits: pure functions of numbers.
//!
//! Nothing here panics: where a result does not exist (no values, a NaN, a negative time) a function
//! returns NaN or `None`, and says which. Whatever resamples takes a seed and is reproducible from it.

mod autocorrelation;
mod bootstrap;
mod fit;
mod instances;
mod order;
mod verdict;

pub use bootstrap::{paired_ratio, PairedRatio};
pub use fit::{log_slope, power_fit, PowerFit, P_MAX};
pub use instances::{ratio_over_instances, Rounds};
pub use order::{mad, median, median_ci, quantile, Spread, FEWEST_FOR_INTERVAL};
pub use verdict::{
    change, is_quiet_too, noise_floor, quiet_ratio, verdict, Change, Tolerance, Verdict, BETWEEN_INSTANCES,
    BETWEEN_INSTANCES_SHARED, LEAST_TOLERANCE, MOST_NOISE, OF_INTEREST, QUIET, QUIET_ROUNDS,
};

/// Resamples of a bootstrap unless the caller has reasons for another number: the Monte-Carlo error of
/// a 2.5 % tail is then 0.35 percentage points.
pub const RESAMPLES: usize = 2000;

/// `(x_1 · … · x_n)^(1/n)`, the mean for ratios; same unit as the values.
///
/// Summed in logarithms, so products beyond the range of f64 are no obstacle. A zero makes it zero.
/// NaN if there are no values or one is negative or NaN.
pub fn geometric_mean(values: &[f64]) -> f64 {
    // f64::ln is NaN for negative input, and an empty sum over zero is NaN: no case needs a branch.
    (values.iter().map(|x| x.ln()).sum::<f64>() / values.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::geometric_mean;

    #[test]
    fn geometric_mean_of_a_geometric_sequence_is_its_middle() {
        assert!((geometric_mean(&[1.0, 2.0, 4.0, 8.0, 16.0]) - 4.0).abs() < 1e-14);
        // A ratio and its inverse cancel, which the arithmetic mean would not show.
        assert!((geometric_mean(&[5.0, 0.2]) - 1.0).abs() < 1e-15);
        assert!((geometric_mean(&[1e300, 1e300, 1e-300, 1e-300, 1e300]) / 1e60 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn geometric_mean_of_what_has_none() {
        assert!(geometric_mean(&[]).is_nan());
        assert!(geometric_mean(&[1.0, -2.0]).is_nan());
        assert!(geometric_mean(&[1.0, f64::NAN]).is_nan());
        assert_eq!(geometric_mean(&[3.0, 0.0]), 0.0);
    }
}
