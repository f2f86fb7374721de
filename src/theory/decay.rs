//! How fast a signal travels from the output down a chain of layers that relax by a fixed share per step.
//!
//! One number says where a layer is: its distance d = L − l to the output, in layers: 0 for the output
//! itself, L − 1 for layer 1 of an L-layer net. λ is the state step and t the number of steps taken. Shares
//! are of the final error −G_l, with G_l the BP gradient of the activations of layer l. From a feed-forward
//! start nothing reaches distance d before step d (Zahid, Guo & Fountas, arXiv 2304.02658); what arrives
//! then, and how it grows, is binomial:
//!
//! | law | statement | holds for |
//! |---|---|---|
//! | first arrival | \|ε_l(d)\| = λ^d \|G_l\| | sPC and FPA, any net |
//! | unit-Jacobian model | C(t,d) λ^d (1−λ)^(t−d) | an output error that relaxes too (Goemaere et al., arXiv 2505.20137) |
//! | FPA law | ε_l(t) = P\[Binomial(t, λ) ≥ d\]·ε_l(∞) | fixed prediction, any net (proof: [`SignalDecay::arrived_share`]) |
//!
//! Binomial terms are computed by Loader's saddle-point expansion (*Fast and Accurate Computation of Binomial
//! Probabilities*, 2000) rather than by three log-gammas: those are about t·ln t each and cancel, which costs
//! five digits at t = 10⁴; the expansion costs none.

use crate::{Error, Result};

/// Steps above which integers are no longer exact in `f64`; nothing physical is that slow.
const MAX_STEPS: u64 = 1 << 53;

/// The laws of a chain that relaxes with a given state step; every quantity is a share of a full signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalDecay {
    step_size: f64,
}

impl SignalDecay {
    /// Laws for a state step λ in \[0, 1\].
    ///
    /// # Errors
    /// [`Error::Invalid`] outside that range: the recursions still run there, but their terms alternate in
    /// sign and are no longer probabilities.
    pub fn new(step_size: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&step_size) {
            return Err(Error::Invalid(format!(
                "the decay laws need a state step between 0 and 1; got {step_size}"
            )));
        }
        Ok(Self { step_size })
    }

    /// λ.
    pub fn step_size(&self) -> f64 {
        self.step_size
    }

    /// λ^d: the share of the BP gradient that distance d holds at step t = d, the first step at which it is
    /// not zero.
    ///
    /// Exact for sPC and FPA on any net: after d steps only the path straight down has reached the layer, at
    /// the Jacobians of the forward pass. Underflows to 0 below about 1e-308;
    /// [`SignalDecay::ln_unit_jacobian`] with t = d does not.
    pub fn first_arrival(&self, distance: u64) -> f64 {
        self.step_size.powf(distance as f64)
    }

    /// C(t,d) λ^d (1−λ)^(t−d): error at distance d after t steps, relative to the initial output error.
    ///
    /// The model ε_d ← (1−λ)ε_d + λ ε_{d−1} with unit Jacobians, the output error ε_0 relaxing at the same
    /// rate. It leaves out that in sPC a moving state also moves the prediction of the layer above it.
    /// Relative error about 1e-15 times the larger of 1 and |ln of the result|.
    pub fn unit_jacobian(&self, distance: u64, steps: u64) -> f64 {
        ln_binomial(distance, steps, self.step_size).exp()
    }

    /// Natural logarithm of [`SignalDecay::unit_jacobian`], finite far below where that underflows; −∞ for a
    /// true zero.
    pub fn ln_unit_jacobian(&self, distance: u64, steps: u64) -> f64 {
        ln_binomial(distance, steps, self.step_size)
    }

    /// P\[Binomial(t, λ) ≥ d\]: the share of its final error, minus the BP gradient, that FPA has at distance
    /// d after t steps.
    ///
    /// FPA runs ε_l ← (1−λ)ε_l + λ J_{l+1}ᵀ ε_{l+1} with fixed J and fixed ε_L. Every layer therefore holds
    /// its final error times a scalar p_d with p_0 = 1 and p_d ← (1−λ)p_d + λ p_{d−1}: the chance that t coin
    /// flips show at least d heads. Sums of positive terms only; tiny tails keep their relative accuracy.
    /// Cost: at most t terms, in practice a few standard deviations √(tλ(1−λ)).
    pub fn arrived_share(&self, distance: u64, steps: u64) -> f64 {
        tails(distance, steps, self.step_size).1
    }

    /// 1 − [`SignalDecay::arrived_share`], accurate where that rounds to 1.
    pub fn missing_share(&self, distance: u64, steps: u64) -> f64 {
        tails(distance, steps, self.step_size).0
    }

    /// Smallest t at which [`SignalDecay::arrived_share`] at distance d reaches `share`; `None` if λ is so
    /// small that it takes more than 2^53 steps, in particular for λ = 0 and d > 0.
    ///
    /// For layer 1 of an L-layer net d = L − 1. Cost: about 2·log₂ t evaluations of the law.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless 0 < `share` < 1: with λ < 1 the whole signal never arrives.
    pub fn steps_until(&self, distance: u64, share: f64) -> Result<Option<u64>> {
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::Invalid(format!("the share must be above 0 and below 1; got {share}")));
        }
        let arrived = |t: u64| self.missing_share(distance, t) <= 1.0 - share;
        Ok(first_step(distance, arrived))
    }

    /// λ·C(t,d−1) λ^(d−1) (1−λ)^(t−d+1): by how much step t+1 of FPA raises the share at distance d ≥ 1 (0
    /// for d = 0).
    ///
    /// The difference of two neighbours of the FPA law, as one positive term.
    pub fn increment(&self, distance: u64, steps: u64) -> f64 {
        match distance {
            0 => 0.0,
            d => self.step_size * self.unit_jacobian(d - 1, steps),
        }
    }

    /// The steps at which `f32` states feel FPA at distance d ≥ 1: first and last t + 1 whose exact update,
    /// `signal` times [`SignalDecay::increment`], is not lost when added to a state of value `state`; `None`
    /// if every one is lost.
    ///
    /// `signal` is the final error of that unit, with its sign. Before the window the update is too small
    /// because the signal has hardly arrived, after it because little is left: the state stalls short of the
    /// fixed point, s + λg == s. The window assumes the layers above are exact; with stalled layers above it
    /// is narrower still, see [`f32_chain`]. An engine that stores deviations from the forward pass adds to a
    /// state near 0 and feels every step that is not an underflow.
    pub fn f32_window(&self, distance: u64, signal: f32, state: f32) -> Option<(u64, u64)> {
        if distance == 0 || self.step_size == 0.0 {
            return None;
        }
        let felt = |t: u64| !f32_is_lost(state, (f64::from(signal) * self.increment(distance, t)) as f32);
        // The increment rises up to t ≈ (d−1)/λ and falls from there, so each side has one edge.
        let peak = ((distance - 1) as f64 / self.step_size).floor().clamp(0.0, MAX_STEPS as f64) as u64;
        let peak = [peak.saturating_sub(1), peak, peak + 1].into_iter().find(|&t| felt(t))?;
        let first = bisect(distance - 1, peak, felt);
        let end = first_step(peak, |t| !felt(t))?;
        Some((first + 1, end))
    }
}

/// Whether `f32` addition swallows an update: s + u == s. True iff |u| is at most half the spacing at s (ties
/// to even).
pub fn f32_is_lost(state: f32, update: f32) -> bool {
    state + update == state
}

/// FPA errors at distances 0..=`depth` after `steps` steps of a unit-Jacobian chain whose states are stored
/// in `f32`.
///
/// Every state starts at its prediction `rest`, the output error is `signal`; v ← v − λ(ε_d − ε_{d−1}) with
/// ε_d = v_d − rest, all layers at once, every operation rounded to `f32`. With `rest` = 0 the states *are*
/// the deviations and the chain follows [`SignalDecay::arrived_share`] to rounding; with `rest` ≈ 1 the lower
/// layers receive exactly nothing at first. Cost: 4·`depth`·`steps` FLOPs.
pub fn f32_chain(step_size: f32, depth: usize, steps: usize, signal: f32, rest: f32) -> Vec<f32> {
    let mut states = vec![rest; depth];
    for _ in 0..steps {
        // From the far end upwards, so that each layer still sees the old state above it.
        for d in (0..depth).rev() {
            let above = if d == 0 { signal } else { states[d - 1] - rest };
            let own = states[d] - rest;
            states[d] -= step_size * (own - above);
        }
    }
    std::iter::once(signal).chain(states.into_iter().map(|state| state - rest)).collect()
}

/// Smallest t ≥ `from` with `reached(t)`, for a property that stays once reached; `None` above 2^53.
fn first_step(from: u64, reached: impl Fn(u64) -> bool) -> Option<u64> {
    let mut width = 1;
    let mut high = from;
    while !reached(high) {
        high = from.checked_add(width).filter(|&t| t <= MAX_STEPS)?;
        width *= 2;
    }
    Some(bisect(from, high, reached))
}

/// Smallest t in `low..=high` with `reached(t)`, given that it holds at `high`.
fn bisect(mut low: u64, mut high: u64, reached: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if reached(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// P\[X < d\] and P\[X ≥ d\] for X ~ Binomial(t, λ). The smaller side is summed, the other is its complement.
fn tails(d: u64, t: u64, lambda: f64) -> (f64, f64) {
    if d == 0 {
        return (0.0, 1.0);
    }
    if d > t || lambda == 0.0 {
        return (1.0, 0.0);
    }
    if lambda == 1.0 {
        return (0.0, 1.0);
    }
    let odds = lambda / (1.0 - lambda);
    if d as f64 > t as f64 * lambda {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in d..t {
            term *= (t - k) as f64 / (k + 1) as f64 * odds;
            sum += term;
            if term < sum * 1e-18 {
                break;
            }
        }
        let upper = (ln_binomial(d, t, lambda).exp() * sum).min(1.0);
        (1.0 - upper, upper)
    } else {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in (1..d).rev() {
            term *= k as f64 / (t - k + 1) as f64 / odds;
            sum += term;
            if term < sum * 1e-18 {
                break;
            }
        }
        let lower = (ln_binomial(d - 1, t, lambda).exp() * sum).min(1.0);
        (lower, 1.0 - lower)
    }
}

/// ln of C(n,k) p^k (1−p)^(n−k), Loader's form: Stirling errors and two deviances, nothing large cancels.
fn ln_binomial(k: u64, n: u64, p: f64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    if p == 0.0 || p == 1.0 {
        let certain = if p == 0.0 { 0 } else { n };
        return if k == certain { 0.0 } else { f64::NEG_INFINITY };
    }
    let (kf, nf, rest) = (k as f64, n as f64, (n - k) as f64);
    if k == 0 {
        return nf * libm::log1p(-p);
    }
    if k == n {
        return nf * p.ln();
    }
    let stirling = stirling_error(nf) - stirling_error(kf) - stirling_error(rest);
    let deviance = deviance(kf, nf * p) + deviance(rest, nf * (1.0 - p));
    stirling - deviance + 0.5 * (nf / (2.0 * std::f64::consts::PI * kf * rest)).ln()
}

/// ln n! − ln(√(2πn) (n/e)^n), the error of Stirling's formula, for n ≥ 1.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        // Small enough that the log-gamma's cancellation is a few 1e-15 absolute.
        let half_ln_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
        return libm::lgamma(n + 1.0) - (n + 0.5) * n.ln() + n - half_ln_two_pi;
    }
    // Coefficients B_{2j}/(2j(2j−1)) of the asymptotic series; the first one left out is below 2e-16 at n =
    // 16.
    let square = n * n;
    (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - (1.0 / 1188.0) / square) / square) / square)
            / square)
        / n
}

/// x ln(x/m) + m − x ≥ 0, without cancellation where x ≈ m (Loader's bd0).
fn deviance(x: f64, m: f64) -> f64 {
    if (x - m).abs() < 0.1 * (x + m) {
        // With v = (x−m)/(x+m): x ln((1+v)/(1−v)) − (x−m) = (x−m)v + 2x Σ_{j≥1} v^{2j+1}/(2j+1).
        let v = (x - m) / (x + m);
        let mut sum = (x - m) * v;
        let mut term = 2.0 * x * v;
        for j in 1..1000 {
            term *= v * v;
            let next = sum + term / f64::from(2 * j + 1);
            if next == sum {
                break;
            }
            sum = next;
        }
        return sum;
    }
    x * (x / m).ln() + m - x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(step_size: f64) -> SignalDecay {
        SignalDecay::new(step_size).unwrap()
    }

    fn close(got: f64, want: f64, relative: f64) {
        assert!((got - want).abs() <= relative * want.abs(), "{got:e} against {want:e}");
    }

    /// FPA law against its own recursion p_d ← (1−λ)p_d + λ p_{d−1}, p_0 = 1, all d and t up to 300 (positive
    /// terms: the recursion is accurate too). Without it an off-by-one in d would shift every predicted
    /// figure by one layer.
    #[test]
    fn fpa_law_is_the_recursion() {
        for lambda in [0.01, 0.1, 0.3, 0.5, 0.9, 1.0] {
            let depth = 40;
            let mut p = vec![0.0; depth + 1];
            p[0] = 1.0;
            for t in 0..=300u64 {
                for (d, &want) in p.iter().enumerate() {
                    close(law(lambda).arrived_share(d as u64, t), want, 1e-12);
                    close(law(lambda).missing_share(d as u64, t) + want, 1.0, 1e-12);
                }
                for d in (1..=depth).rev() {
                    let raised = lambda * (p[d - 1] - p[d]);
                    close(law(lambda).increment(d as u64, t) + p[d], p[d] + raised, 1e-12);
                    p[d] = (1.0 - lambda) * p[d] + lambda * p[d - 1];
                }
            }
        }
    }

    /// Unit-Jacobian model against its recursion, the output error relaxing too, and first arrival as its
    /// value at t = d. Without it the decay figure's "predicted" line could be any binomial.
    #[test]
    fn unit_jacobian_is_the_recursion() {
        for lambda in [0.1, 0.5, 0.77] {
            let depth = 40;
            let mut e = vec![0.0; depth + 1];
            e[0] = 1.0;
            for t in 0..=200u64 {
                for (d, &want) in e.iter().enumerate() {
                    close(law(lambda).unit_jacobian(d as u64, t), want, 1e-12);
                }
                for d in (0..=depth).rev() {
                    e[d] = (1.0 - lambda) * e[d] + if d > 0 { lambda * e[d - 1] } else { 0.0 };
                }
            }
            for d in 0..100 {
                close(law(lambda).unit_jacobian(d, d), law(lambda).first_arrival(d), 1e-12);
            }
        }
    }

    /// Large t and tiny tails: exact rationals (λ the very double that is passed), computed with big integers
    /// and rounded once. Without it cancellation between
    /// log-gammas (1e-11 at t = 1e4) or underflow would pass unseen.
    #[test]
    fn large_and_tiny() {
        close(law(0.5).unit_jacobian(5000, 10_000), 0.007978646139382154, 1e-14);
        close(law(0.01).unit_jacobian(100, 10_000), 0.040061805774913646, 1e-14);
        close(law(0.1).arrived_share(60, 64), 4.199238865000014e-55, 1e-13);
        close(law(0.1).missing_share(20, 2000), 9.786358862587628e-65, 1e-13);
        close(law(0.1).ln_unit_jacobian(1000, 1000), 1000.0 * 0.1f64.ln(), 1e-15);
        assert_eq!(law(0.1).unit_jacobian(1000, 1000), 0.0, "underflows, the logarithm does not");
        assert_eq!(law(0.3).arrived_share(5, 4), 0.0, "nothing before step d");
    }

    /// Least t with P[Binomial(t, λ) ≥ L−1] ≥ 0.99: the steps until layer 1 (d = L−1) of a fixed-prediction network
    /// (Millidge, Tschantz & Buckley, arXiv 2006.04182) has 99 % of its gradient.
    #[test]
    fn steps_until_ninety_nine_percent() {
        for (depth, expected) in [(8, [7, 25, 142]), (32, [31, 82, 447])] {
            for (lambda, want) in [1.0, 0.5, 0.1].into_iter().zip(expected) {
                assert_eq!(
                    law(lambda).steps_until(depth - 1, 0.99).unwrap(),
                    Some(want),
                    "L = {depth}, λ = {lambda}"
                );
                assert!(law(lambda).arrived_share(depth - 1, want) >= 0.99);
                assert!(law(lambda).arrived_share(depth - 1, want - 1) < 0.99);
            }
        }
        assert_eq!(law(0.0).steps_until(1, 0.5).unwrap(), None);
        assert_eq!(law(0.0).steps_until(0, 0.5).unwrap(), Some(0));
        assert!(law(0.5).steps_until(3, 1.0).is_err() && law(0.5).steps_until(3, f64::NAN).is_err());
        assert!(SignalDecay::new(1.1).is_err() && SignalDecay::new(f64::NAN).is_err());
    }

    /// The f32 window against a scan of s + u == s over all steps. Without it the bisection could stop at the
    /// wrong side of the peak and report a stall where there is none.
    #[test]
    fn f32_window_is_the_scan() {
        for (lambda, d, signal, state) in [
            (0.1, 1, 1.0, 1.0),
            (0.1, 9, 1.0, 1.0),
            (0.1, 20, 0.01, 1.0),
            (0.5, 7, 1e-3, 0.3),
            (0.9, 3, 1.0, -2.0),
        ] {
            let felt: Vec<u64> = (0..2000)
                .filter(|&t| !f32_is_lost(state, (f64::from(signal) * law(lambda).increment(d, t)) as f32))
                .map(|t| t + 1)
                .collect();
            let window = law(lambda).f32_window(d, signal, state);
            assert_eq!(window, Some((felt[0], felt[felt.len() - 1])), "λ = {lambda}, d = {d}");
            assert_eq!(felt.len() as u64, felt[felt.len() - 1] - felt[0] + 1, "one window, no gaps");
        }
        assert_eq!(law(0.1).f32_window(3, 1e-9, 1.0), None, "a signal below rounding is never felt");
        assert_eq!(law(0.0).f32_window(3, 1.0, 1.0), None);
    }

    /// The signal decay of Goemaere et al. (arXiv 2505.20137) at their λ = 0.1, with states near 1, in 64 steps: the
    /// error λ^d (Zahid, Guo & Fountas, arXiv 2304.02658) arrives at distance d in step d as long as λ^d survives the
    /// addition and late from then on; the far layers get exactly nothing, while stored deviations follow the law to
    /// f32 rounding. Without it "signal decay" and "float32 stall" would be one unexplained effect.
    #[test]
    fn f32_states_stall_and_deviations_do_not() {
        let depth = 30;
        let arrival = |d: usize| (1..=64).find(|&t| f32_chain(0.1, depth, t, 1.0, 1.0)[d] != 0.0);
        assert!((1..=7).all(|d| arrival(d) == Some(d)), "λ^7 = 1e-7 is above half the spacing at 1, 6e-8");
        assert!((9..=15).all(|d| arrival(d).is_some_and(|t| t > d)), "late from d = 9 at the latest");
        let stalled = f32_chain(0.1, depth, 64, 1.0, 1.0);
        let kept = f32_chain(0.1, depth, 64, 1.0, 0.0);
        let last_felt = (0..=depth).rev().find(|&d| stalled[d] != 0.0).unwrap();
        assert!(stalled[last_felt + 1..].iter().all(|&e| e == 0.0) && last_felt < depth, "{last_felt}");
        // The window of the exact law says how far it gets without the layers above stalling too.
        let reach =
            (1..64).rev().find(|&d| law(0.1).f32_window(d, 1.0, 1.0).is_some_and(|(first, _)| first <= 64));
        assert!(reach.unwrap().abs_diff(last_felt as u64) <= 3, "{reach:?} against {last_felt}");
        for (d, &value) in kept.iter().enumerate() {
            close(f64::from(value), law(f64::from(0.1f32)).arrived_share(d as u64, 64), 1e-5);
        }
        // Many steps later the stalled chain is still short of the fixed point 1 by about half a spacing over
        // λ.
        let late = f32_chain(0.1, 5, 2000, 1.0, 1.0)[5];
        assert!(late < 1.0 && late > 0.999_99, "{late}");
    }
}
