//! Quantiles, spread, and confidence intervals of the median from order statistics.

/// Sorted copy, or `None` if there are no values or one is NaN.
pub(super) fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() || values.iter().any(|x| x.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}

/// Type-7 quantile of values already sorted; `sorted` is not empty and `0 <= q <= 1`.
pub(super) fn quantile_sorted(sorted: &[f64], q: f64) -> f64 {
    let h = q * (sorted.len() - 1) as f64;
    let below = h.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    let weight = h - below as f64;
    // Equal neighbours (infinite ones too) and weight 0 must give the value itself, not inf - inf.
    if weight == 0.0 || low == high {
        low
    } else {
        (1.0 - weight) * low + weight * high
    }
}

/// Quantile `q` in `[0, 1]`, by linear interpolation between order statistics; unit of the values.
///
/// With `h = (n - 1) q`: `x_⌊h⌋ + (h - ⌊h⌋)(x_⌊h⌋₊₁ - x_⌊h⌋)`, counting from zero. This is type 7 of
/// Hyndman and Fan, "Sample quantiles in statistical packages" (1996), the default of R and NumPy.
/// NaN if there are no values, one is NaN, or `q` lies outside `[0, 1]`.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    match sorted(values) {
        Some(sorted) if (0.0..=1.0).contains(&q) => quantile_sorted(&sorted, q),
        _ => f64::NAN,
    }
}

/// Middle value, or the mean of the two middle ones; unit of the values.
/// NaN if there are no values or one is NaN.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Median absolute deviation `med_i |x_i - med x|`; unit of the values.
///
/// Not multiplied by 1.4826, so it is no estimate of a standard deviation. NaN as for
/// [`median`], and if the median is infinite.
pub fn mad(values: &[f64]) -> f64 {
    let centre = median(values);
    median(&values.iter().map(|x| (x - centre).abs()).collect::<Vec<_>>())
}

/// Five numbers that describe a sample of times, in whole nanoseconds.
///
/// Each is computed exactly in integers and rounded once, half to even: the same samples give the same
/// digits on every machine, so a stored summary can be compared for equality with a recomputed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Smallest value.
    pub min: u64,
    /// First quartile (type 7, see [`quantile`]).
    pub q1: u64,
    /// Median.
    pub median: u64,
    /// Third quartile (type 7).
    pub q3: u64,
    /// Median absolute deviation from the median before rounding (see [`mad`]).
    pub mad: u64,
}

impl Spread {
    /// The spread of `ns`; `None` if there are no values.
    pub fn of(ns: &[u64]) -> Option<Self> {
        let mut x: Vec<u128> = ns.iter().map(|&v| u128::from(v)).collect();
        x.sort_unstable();
        let min = *x.first()?;
        // In quarters of a nanosecond every type-7 quartile is whole, so the deviations are too; their
        // own median is whole in sixteenths.
        let centre = quarters(&x, 2);
        let mut deviations: Vec<u128> = x.iter().map(|v| (4 * v).abs_diff(centre)).collect();
        deviations.sort_unstable();
        Some(Self {
            min: narrow(min),
            q1: round_half_even(quarters(&x, 1), 4),
            median: round_half_even(centre, 4),
            q3: round_half_even(quarters(&x, 3), 4),
            mad: round_half_even(quarters(&deviations, 2), 16),
        })
    }
}

/// Four times the type-7 quartile number `quartile` (1, 2 or 3) of a sorted, non-empty slice.
fn quarters(sorted: &[u128], quartile: usize) -> u128 {
    let h = (sorted.len() - 1) * quartile;
    let (below, weight) = (h / 4, (h % 4) as u128);
    let above = (below + 1).min(sorted.len() - 1);
    (4 - weight) * sorted[below] + weight * sorted[above]
}

fn round_half_even(numerator: u128, denominator: u128) -> u64 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    let up = 2 * rest > denominator || (2 * rest == denominator && whole % 2 == 1);
    narrow(whole + u128::from(up))
}

/// Quantiles and deviations of u64 values fit into u64; saturating keeps the conversion total.
fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Confidence interval of the median from two order statistics; unit of the values.
///
/// `[x_(k), x_(n+1-k)]` with the largest `k` whose coverage `1 - 2 P(Bin(n, 1/2) < k)` is at least
/// `level`: exact for independent samples of any continuous distribution, hence conservative (97.9 % at
/// n = 10 for 95 %). Source: David and Nagaraja, "Order Statistics" (2003), section 7.1.
///
/// `None` if even the extremes cover less than `level` (n < 6 at 95 %, n < 8 at 99 %): so few values have no such
/// interval. `None` too if one of them is NaN, or `level` lies outside `(0, 1)`.
pub fn median_ci(values: &[f64], level: f64) -> Option<(f64, f64)> {
    let x = sorted(values).filter(|_| level > 0.0 && level < 1.0)?;
    let Depth { k, coverage, .. } = Depth::at(x.len(), level);
    (coverage >= level - ROUNDING).then(|| (x[k - 1], x[x.len() - k]))
}

/// Fewest values of which order statistics give a 95 % confidence interval of the median: the extremes of n values
/// cover `1 − 2^(1 − n)`, which is 93.75 % for five and 96.9 % for six.
pub const FEWEST_FOR_INTERVAL: usize = 6;

/// Coverages such as 1 - 2⁻⁴ are common levels; rounding must not turn "equal" into "less".
const ROUNDING: f64 = 1e-12;

/// As [`median_ci`], but interpolated between the ranks `k` and `k + 1` so that coverage is near
/// `level` instead of above it; `sorted` is not empty.
///
/// Hettmansperger and Sheather, "Confidence intervals based on interpolated order statistics" (1986):
/// with coverages `γ_k >= level > γ_{k+1}` and `I = (γ_k - level) / (γ_k - γ_{k+1})`, each end moves
/// inwards by the share `λ = (n - k) I / (k + (n - 2k) I)` of the gap. `λ` is exact for the Laplace
/// distribution, and off by little for others.
pub(super) fn median_ci_interpolated(sorted: &[f64], level: f64) -> (f64, f64) {
    let n = sorted.len();
    let Depth { k, coverage, next } = Depth::at(n, level);
    let (low, high) = (sorted[k - 1], sorted[n - k]);
    // Too few values for the level, or no rank left between the ends and the middle.
    if coverage < level || 2 * k >= n {
        return (low, high);
    }
    let share = (coverage - level) / (coverage - next);
    let (n, k_real) = (n as f64, k as f64);
    let lambda = (n - k_real) * share / (k_real + (n - 2.0 * k_real) * share);
    (low + lambda * (sorted[k] - low), high + lambda * (sorted[sorted.len() - k - 1] - high))
}

/// How far from either end of the sorted sample the interval of the median begins.
struct Depth {
    /// Rank from 1.
    k: usize,
    /// Coverage of `[x_(k), x_(n+1-k)]`; below the level only if k = 1.
    coverage: f64,
    /// Coverage of `[x_(k+1), x_(n-k)]`.
    next: f64,
}

impl Depth {
    fn at(n: usize, level: f64) -> Self {
        let wanted = level - ROUNDING;
        // In logarithms, because 2⁻ⁿ underflows beyond n = 1074.
        let mut ln_mass = -(n as f64) * std::f64::consts::LN_2;
        let mut tail = ln_mass.exp();
        let (mut k, mut coverage) = (1, 1.0 - 2.0 * tail);
        loop {
            ln_mass += ((n - k + 1) as f64 / k as f64).ln();
            tail += ln_mass.exp();
            let next = 1.0 - 2.0 * tail;
            // Beyond the middle the two ends would change sides.
            if next < wanted || 2 * (k + 1) > n + 1 {
                return Self { k, coverage, next };
            }
            (k, coverage) = (k + 1, next);
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
