//! How much less a series tells of its median if neighbours resemble each other.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, PI};

/// Quantile 0.975 of the standard normal distribution.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// Largest |ρ| thought possible. A series that resembles itself more is one of drift, which has no median to speak of.
const LIMIT: f64 = 0.9;

/// Points of the quadrature over ρ. Twice as many change a multiplier by less than 0.1 %.
const POINTS: usize = 61;

/// Rank correlation of neighbours, `Σ R_i R_{i+1} / Σ R_i²` with `R_i` the ranks of the values less their mean, ties
/// sharing theirs (Wald and Wolfowitz 1943). In independent rounds of any distribution it is −1/n on average.
///
/// `None` if all values are equal; there are at least two, and none is NaN.
pub(super) fn rank_correlation(values: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let mut first = 0;
    for group in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let shared = first as f64 + (group.len() as f64 - 1.0) / 2.0 - middle;
        group.iter().for_each(|&i| ranks[i] = shared);
        first += group.len();
    }
    let square: f64 = ranks.iter().map(|r| r * r).sum();
    let product: f64 = ranks.windows(2).map(|w| w[0] * w[1]).sum();
    (square > 0.0).then(|| product / square)
}

/// How many standard deviations of the sign test an interval of the median must span on either side to cover 95 %, given
/// the rank correlation `r` of `n` neighbouring rounds; at least six rounds.
///
/// The rounds are taken for an AR(1) series with unknown ρ. The number z of rounds below the median then varies by
/// `τ(ρ)` times what it would if they were independent (see [`deviation`]), and what is looked for is the z for which
/// coverage, averaged over the ρ that the rounds leave possible, is 95 %:
///
/// `∫ p(ρ | r) (2 Φ(z / τ(ρ)) − 1) dρ = 0.95`, all ρ in ±0.9 being equally likely beforehand.
///
/// Few rounds say little about ρ, and the average then runs over much of its range, in the way in which a t interval
/// allows for an unknown variance; many rounds settle it. Given ρ, r is normal about `ρ_S − (1 + 4 ρ_S)/n` with
/// variance `(1 − ρ²)(n − 2)/n²`: `ρ_S = 6/π arcsin(ρ/2)` is the rank correlation of two normal values (Pearson 1907),
/// what is subtracted the bias of a short series (Kendall 1954, Marriott and Pope 1954), and for ρ = 0 mean and
/// variance are those of a random order of the ranks, the latter up to terms in 1/n².
pub(super) fn multiplier(r: f64, n: usize) -> f64 {
    let len = n as f64;
    // Nearly all of the weight lies within five of r's standard deviations, so the points need not be spread wider.
    let unbiased = (r + 1.0 / len) / (1.0 - 4.0 / len);
    let about = 2.0 * (PI / 6.0 * unbiased.clamp(-1.0, 1.0)).sin();
    let (from, to) = (about - 5.0 / len.sqrt(), about + 5.0 / len.sqrt());
    let (from, to) = (from.clamp(-LIMIT, LIMIT - 0.1), to.clamp(0.1 - LIMIT, LIMIT));
    let at = |i: usize| from + (to - from) * i as f64 / (POINTS - 1) as f64;
    let log_weight = |rho: f64| {
        let rank = 6.0 / PI * (rho / 2.0).asin();
        let variance = (1.0 - rho * rho) * (len - 2.0) / (len * len);
        -(r - rank + (1.0 + 4.0 * rank) / len).powi(2) / (2.0 * variance) - 0.5 * variance.ln()
    };
    let points: Vec<(f64, f64)> =
        (0..POINTS).map(at).map(|rho| (deviation(rho, n), log_weight(rho))).collect();
    let top = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let mut points: Vec<(f64, f64)> = points.iter().map(|(tau, w)| (*tau, (w - top).exp())).collect();
    // The trapezoidal rule.
    for end in [0, POINTS - 1] {
        points[end].1 *= 0.5;
    }
    let total: f64 = points.iter().map(|p| p.1).sum();
    // Coverage grows with z and ever more slowly, so that Newton's steps from too narrow an interval never overshoot.
    let mut z = Z_95 * points.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    for _ in 0..64 {
        let missing =
            0.95 * total - points.iter().map(|(t, w)| w * libm::erf(z / t * FRAC_1_SQRT_2)).sum::<f64>();
        let slope = points.iter().map(|(t, w)| w / t * (-0.5 * (z / t).powi(2)).exp()).sum::<f64>();
        let step = missing / (slope * FRAC_2_PI.sqrt());
        z += step;
        if step <= 1e-14 * z {
            break;
        }
    }
    z
}

/// τ: standard deviation of the number of rounds below the median, in units of that of independent rounds.
///
/// `τ² = 1 + 2 Σ_{k<n} (1 − k/n) s_k` with `s_k = 2/π arcsin ρ^k` the correlation of the signs of two normal values with
/// correlation ρ^k (Sheppard 1899).
fn deviation(rho: f64, n: usize) -> f64 {
    let mut sum = 0.0;
    let mut power = rho;
    for k in 1..n {
        // All further ones together add less than ten times this.
        if power.abs() < 1e-9 {
            break;
        }
        sum += (1.0 - k as f64 / n as f64) * FRAC_2_PI * power.asin();
        power *= rho;
    }
    (1.0 + 2.0 * sum).sqrt()
}

#[cfg(test)]
#[path = "autocorrelation_tests.rs"]
mod tests;
