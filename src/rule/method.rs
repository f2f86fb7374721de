//! The optimisers of inference: what a step makes of the descent of the energy.

use crate::engine::{Engine, MaybeZero};
use crate::theory::cost::Carried;
use crate::{Error, Result};

/// How inference moves what it moves, z: all states of sPC or all errors of ePC, every one by itself. With d_t = −∂F/∂z where z stands
/// before step t = 0..T−1, and the g_t of [`Steps`](super::Steps), every method makes z ← z + g_t a_t and differs in a_t;
/// conjugate gradients alone ask for more than the d_t of each coordinate.
///
/// A coordinate that nothing has reached has d = 0 up to then, and keeps nothing: leaving it alone is exact under every method. No
/// method but conjugate gradients costs a product; the passes over memory that each adds are in [`cost::inference`](crate::theory::cost::Carried).
///
/// The kernels have every method but Adam on a CPU, on a GPU plain descent alone. They read u as one more tensor where they take
/// the step, in no pass of their own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Method {
    /// a_t = d_t.
    #[default]
    Plain,
    /// Polyak's heavy ball (Polyak 1964): a_t = u_t with u_t = d_t + β u_{t−1}, from u = 0. One tensor per coordinate.
    HeavyBall {
        /// β.
        beta: f64,
    },
    /// Nesterov's accelerated gradient with the momentum t/(t + 3), which needs no smallest curvature (Nesterov 1983; in this form Su,
    /// Boyd & Candès, arXiv 1503.01243): v_{t+1} = z_t + g d_t, z_{t+1} = v_{t+1} + t/(t + 3) (v_{t+1} − v_t). As a_t that is
    /// d_t + t/(t + 3) u_t with u_t = d_t + (t − 1)/(t + 2) u_{t−1}. On a convex quadratic F(v_t) − min F ≤ 2‖z_0 − z*‖²/(g (t + 1)²) for
    /// g ≤ 1/λ_max. Inference stands at z, which looks ahead of v, and ends there. One tensor per coordinate.
    ///
    /// The variants named so read g in units of 2/λ_max: 0.5 is the step 1/λ_max of the theory.
    Nesterov,
    /// Chebyshev semi-iteration on the spectrum [λ_min, 2/g] (Golub & Varga 1961; Saad, *Iterative Methods for Sparse Linear Systems*,
    /// 2nd ed., §12.3): of all polynomials in the curvature the one whose largest factor over that interval is least after each number
    /// of steps, 1/T_t((θ)/(δ)) ≤ 2((√κ − 1)/(√κ + 1))^t with θ and δ the middle and the half of the interval. a_t = u_t with
    /// u_t = d_t + β_t u_{t−1} and g_t in place of g:
    ///
    /// g_0 = 1/θ, q_0 = δ²/θ; then β_t = q_{t−1} g_{t−1}/2, g_t = 2/(2θ − q_{t−1}), q_t = δ²/(2θ − q_{t−1}).
    ///
    /// What curves more than 2/g grows; what curves less than λ_min shrinks, more slowly. It is meant for a quadratic, that is for a
    /// linear network under a squared error, and for small errors elsewhere. g_t follows from the interval alone: a decay of steps says
    /// nothing to it. One tensor per coordinate.
    ///
    /// The variants named so read g in units of 2/λ_max, so that 1 ends the interval at λ_max and 0.8 a quarter above it.
    Chebyshev {
        /// λ_min. A contender finds it: in errors it takes the least precision of a latent vertex, below which no curvature of the
        /// Gauss–Newton matrix lies (the loss is convex, and e enters the energy as π φ(e) with φ'' = 1 at e = 0); in states it searches
        /// for the largest eigenvalue of the inverse, whose products are two sweeps and a system in the errors
        /// ([`stable_step`](crate::contender::stable_step)). Where that system is conditioned worse than the dtype resolves, it takes the
        /// lower end of the search for λ_max, which never lies below λ_min and may lie well above it. A schedule that is executed by
        /// itself has 1.
        smallest: f64,
    },
    /// Conjugate gradients, every sample by itself: the equations are in `rule/conjugate.rs`. On a linear network under a squared error the
    /// minimum is reached in as many steps as a sample's quadratic has different eigenvalues. It moves all coordinates of a sample along
    /// one direction, whose length follows from the curvature along it, so no step size and no decay is read. A step costs one sweep of
    /// Jacobians more than a step of plain descent: three products per layer in place of two. Two tensors per coordinate.
    ConjugateGradient,
    /// Adam (Kingma & Ba, arXiv 1412.6980): m_t = β₁ m_{t−1} + (1 − β₁) d_t, s_t = β₂ s_{t−1} + (1 − β₂) d_t², number by number;
    /// a_t = m̂/(√ŝ + ε) with m̂ = m_t/(1 − β₁^{t+1}), ŝ = s_t/(1 − β₂^{t+1}); β₁ = 0.9, β₂ = 0.999, ε = 1e-8. The first step is g in
    /// the direction of the sign of d wherever |d| is far above ε, whatever the size of d. Two tensors per coordinate.
    Adam,
}

/// β of the variants `-momentum`.
const HEAVY: f64 = 0.9;

/// β₁, β₂ and ε of Adam.
const ADAM: (f64, f64, f64) = (0.9, 0.999, 1e-8);

/// λ_min of a Chebyshev schedule before one is found: that of ePC where all precisions are 1.
const SMALLEST: f64 = 1.0;

/// What the vertex of a method keeps from step to step; none before it first moves.
#[derive(Debug, Clone)]
pub(super) struct Memory<V> {
    /// u, or m.
    first: MaybeZero<V>,
    /// s.
    second: MaybeZero<V>,
}

impl<V> Default for Memory<V> {
    fn default() -> Self {
        Self { first: None, second: None }
    }
}

/// A step of a method that carries u: u_t = d_t + β u_{t−1} and a_t = s d_t + c u_t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// β.
    pub beta: f64,
    /// s.
    pub direct: f64,
    /// c.
    pub carried: f64,
}

/// A step of a method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stride {
    method: Method,
    t: usize,
    /// g_t.
    pub(super) size: f64,
    /// The share of the last u that goes into the next.
    carried: f64,
}

impl Method {
    /// The method of a switch in a contender's name.
    pub(super) fn of(switch: &str) -> Option<Self> {
        match switch {
            "momentum" => Some(Self::HeavyBall { beta: HEAVY }),
            "nesterov" => Some(Self::Nesterov),
            "chebyshev" => Some(Self::Chebyshev { smallest: SMALLEST }),
            "cg" => Some(Self::ConjugateGradient),
            "adam" => Some(Self::Adam),
            _ => None,
        }
    }

    /// Whether a step size means anything to the method.
    pub fn reads_step_size(self) -> bool {
        self != Self::ConjugateGradient
    }

    /// Whether variants of this method read their step in units of the largest stable one.
    pub(super) fn follows_curvature(self) -> bool {
        matches!(self, Self::Nesterov | Self::Chebyshev { .. })
    }

    /// Tensors that every coordinate keeps from step to step.
    pub fn tensors(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::HeavyBall { .. } | Self::Nesterov | Self::Chebyshev { .. } => 1,
            // p and the last r
            Self::ConjugateGradient | Self::Adam => 2,
        }
    }

    /// What its cost depends on.
    pub(super) fn carried(self) -> Carried {
        match self {
            // costs of its own
            Self::Plain | Self::ConjugateGradient => Carried::Nothing,
            Self::HeavyBall { .. } | Self::Chebyshev { .. } => Carried::Momentum,
            Self::Nesterov => Carried::LookingAhead,
            Self::Adam => Carried::Moments,
        }
    }

    /// Whether u alone is carried from step to step, or nothing, so that a step is three numbers ([`Momentum`]).
    pub fn is_linear(self) -> bool {
        !matches!(self, Self::Adam | Self::ConjugateGradient)
    }

    /// Step t, where the size asked for is `size`, and `decayed` in this step.
    pub(super) fn stride(self, size: f64, decayed: f64, t: usize) -> Stride {
        let (size, carried) = match self {
            Self::Plain | Self::Adam => (decayed, 0.0),
            Self::HeavyBall { beta } => (decayed, beta),
            Self::Nesterov => (decayed, looking_ahead(t.saturating_sub(1))),
            Self::Chebyshev { smallest } => chebyshev(smallest, size, t),
            Self::ConjugateGradient => (0.0, 0.0),
        };
        Stride { method: self, t, size, carried }
    }
}

/// The momentum of Nesterov's method after step t.
fn looking_ahead(t: usize) -> f64 {
    t as f64 / (t + 3) as f64
}

/// g_t and β_t of the Chebyshev semi-iteration on [`smallest`, 2/g]; an interval that holds nothing is the point 2/g.
fn chebyshev(smallest: f64, g: f64, t: usize) -> (f64, f64) {
    if g <= 0.0 {
        // an interval without an end: nothing moves
        return (0.0, 0.0);
    }
    let top = 2.0 / g;
    let bottom = smallest.min(top);
    let (middle, half) = (0.5 * (top + bottom), 0.5 * (top - bottom));
    let (mut size, mut carried, mut q) = (1.0 / middle, 0.0, half * half / middle);
    for _ in 0..t {
        let before = (size, carried, q);
        carried = 0.5 * q * size;
        size = 2.0 / (2.0 * middle - q);
        q = half * half / (2.0 * middle - q);
        // the recursion comes to rest after about √κ steps, and a schedule may have many more
        if before == (size, carried, q) {
            break;
        }
    }
    (size, carried)
}

impl Stride {
    /// The three numbers of a step; none of plain descent, Adam and conjugate gradients.
    pub(super) fn momentum(&self) -> Option<Momentum> {
        let (direct, carried) = match self.method {
            Method::Plain | Method::Adam | Method::ConjugateGradient => return None,
            Method::HeavyBall { .. } | Method::Chebyshev { .. } => (0.0, 1.0),
            Method::Nesterov => (1.0, looking_ahead(self.t)),
        };
        Some(Momentum { beta: self.carried, direct, carried })
    }

    /// a_t of a coordinate with this descent; `None` where it is exactly zero.
    pub(super) fn along<E: Engine>(
        &self,
        engine: &E,
        descent: MaybeZero<E::Value>,
        memory: &mut Memory<E::Value>,
    ) -> Result<MaybeZero<E::Value>> {
        match self.method {
            Method::Plain => Ok(descent),
            Method::HeavyBall { .. } | Method::Chebyshev { .. } => {
                memory.first = sum(engine, &descent, self.carried, &memory.first)?;
                Ok(memory.first.clone())
            }
            Method::Nesterov => {
                // momentum is zero in step 0, and nothing of step 0 is in step 1
                if self.t < 2 {
                    memory.first.clone_from(&descent);
                } else {
                    memory.first = sum(engine, &descent, self.carried, &memory.first)?;
                }
                match self.t {
                    0 => Ok(descent),
                    t => sum(engine, &descent, looking_ahead(t), &memory.first),
                }
            }
            Method::Adam => self.adam(engine, descent, memory),
            Method::ConjugateGradient => Err(Error::Invalid(
                "conjugate gradients move all coordinates at once, which this rule does not; use spc-cg or epc-cg".into(),
            )),
        }
    }

    fn adam<E: Engine>(
        &self,
        engine: &E,
        descent: MaybeZero<E::Value>,
        memory: &mut Memory<E::Value>,
    ) -> Result<MaybeZero<E::Value>> {
        let (beta1, beta2, epsilon) = ADAM;
        let (mut first, mut second) = (None, None);
        if let Some(d) = &descent {
            first = Some(engine.scale(1.0 - beta1, d)?);
            second = Some(engine.scale(1.0 - beta2, &engine.square(d)?)?);
        }
        memory.first = sum(engine, &first, beta1, &memory.first)?;
        memory.second = sum(engine, &second, beta2, &memory.second)?;
        let (Some(first), Some(second)) = (&memory.first, &memory.second) else { return Ok(None) };
        let steps = (self.t + 1) as f64;
        let unbiased = |beta: f64, moment: &E::Value| engine.scale(1.0 / (1.0 - beta.powf(steps)), moment);
        engine.over_root(&unbiased(beta1, first)?, &unbiased(beta2, second)?, epsilon).map(Some)
    }
}

/// a + s b.
fn sum<E: Engine>(
    engine: &E,
    a: &MaybeZero<E::Value>,
    s: f64,
    b: &MaybeZero<E::Value>,
) -> Result<MaybeZero<E::Value>> {
    match (a, b) {
        (Some(a), Some(b)) => engine.add_scaled(a, s, b).map(Some),
        (Some(a), None) => Ok(Some(a.clone())),
        (None, Some(b)) => engine.scale(s, b).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After t steps a coordinate of curvature h is left with T_t((θ − h)/δ)/T_t(θ/δ) of its distance from the minimum.
    #[test]
    fn residuals_are_chebyshev_polynomials() {
        let polynomial = |t: u32, x: f64| match x.abs() <= 1.0 {
            true => (f64::from(t) * x.acos()).cos(),
            false => x.signum().powi(t as i32) * (f64::from(t) * x.abs().acosh()).cosh(),
        };
        let (smallest, g) = (0.3, 0.25);
        let (middle, half) = (0.5 * (8.0 + smallest), 0.5 * (8.0 - smallest));
        for h in [0.1, 0.3, 1.0, 4.15, 7.9, 8.0] {
            let (mut distance, mut u) = (1.0, 0.0);
            for t in 0..12 {
                let (size, carried) = chebyshev(smallest, g, t);
                u = -h * distance + carried * u;
                distance += size * u;
                let t = t as u32 + 1;
                let want = polynomial(t, (middle - h) / half) / polynomial(t, middle / half);
                assert!((distance - want).abs() < 1e-13, "{h}, {t} steps: {distance} for {want}");
            }
        }
    }

    /// An interval of one point is plain descent that ends in one step there; a step of zero moves nothing.
    #[test]
    fn intervals_without_inside() {
        for t in 0..3 {
            assert_eq!(chebyshev(9.0, 0.5, t), (0.25, 0.0));
            assert_eq!(chebyshev(1.0, 0.0, t), (0.0, 0.0));
        }
    }
}
