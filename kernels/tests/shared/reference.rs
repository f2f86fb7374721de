//! One inference step as its equations say, element by element in f64, with a bound for what f32 may make of it.
//!
//! The bounds are first-order forward errors: a sum of K products in f32 is off by at most (K + 8)·ε times the sum of
//! their magnitudes, where 8 allows for a few roundings of its operands; activations are within 8·ε of their argument or
//! value; and errors that enter an activation are multiplied by at most 1.2, its largest slope.

use pcnbench_kernels::step::{Act, Dense, Loss, Settings};

const EPSILON: f64 = f32::EPSILON as f64;

/// A number and how far f32 may be from it.
#[derive(Debug, Clone, Copy)]
pub struct Bounded {
    pub value: f64,
    pub error: f64,
}

impl Bounded {
    fn exact(value: f64) -> Self {
        Self { value, error: 0.0 }
    }

    pub fn admits(self, got: f32) -> bool {
        (f64::from(got) - self.value).abs() <= self.error
    }
}

/// The error function: its Taylor series where that is short, otherwise the continued fraction of its complement.
pub fn erf(x: f64) -> f64 {
    let (x, sign) = (x.abs(), x.signum());
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return sign * sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut fraction = x;
    for n in (1..80).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    sign * (1.0 - (-x * x).exp() / fraction / std::f64::consts::PI.sqrt())
}

pub fn act(kind: Act, z: f64) -> f64 {
    match kind {
        Act::Identity => z,
        Act::Tanh => z.tanh(),
        Act::Relu => z.max(0.0),
        Act::Gelu => 0.5 * z * (1.0 + erf(z / 2f64.sqrt())),
    }
}

pub fn slope(kind: Act, z: f64) -> f64 {
    match kind {
        Act::Identity => 1.0,
        Act::Tanh => 1.0 / z.cosh().powi(2),
        Act::Relu => f64::from(u8::from(z > 0.0)),
        Act::Gelu => {
            0.5 * (1.0 + erf(z / 2f64.sqrt()))
                + z * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
        }
    }
}

/// φ_out's argument and μ of one unit of one sample, given the state below.
pub fn prediction(layer: &Dense, weights: &[f32], below: &[f32], unit: usize) -> (Bounded, Bounded) {
    let (matrix, biases) = weights.split_at(layer.inputs * layer.outputs);
    let bias = if layer.bias { f64::from(biases[unit]) } else { 0.0 };
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for (w, v) in matrix[unit * layer.inputs..].iter().zip(below) {
        let v = f64::from(*v);
        sum += f64::from(*w) * act(layer.act_in, v);
        // the argument, not the value: gelu of a negative number cancels
        magnitude += f64::from(w.abs()) * v.abs();
    }
    let scale = f64::from(layer.scale);
    let pre = scale * sum + bias;
    let pre_error = (layer.inputs as f64 + 8.0) * EPSILON * (scale.abs() * magnitude + bias.abs());
    let mut mu = act(layer.act_out, pre);
    let mut mu_error = 1.2 * pre_error + 8.0 * EPSILON * pre.abs();
    if layer.skip {
        let skipped = f64::from(below[unit]);
        mu += skipped;
        mu_error += EPSILON * (mu.abs() + skipped.abs());
    }
    (Bounded { value: pre, error: pre_error }, Bounded { value: mu, error: mu_error })
}

/// ε of one hidden unit, given its state.
pub fn hidden_error(mu: Bounded, state: f32) -> Bounded {
    let state = f64::from(state);
    Bounded { value: state - mu.value, error: mu.error + EPSILON * (state.abs() + mu.value.abs()) }
}

/// ε_L of one sample, given its outputs; what is uncertain about them widens the bound.
pub fn output_errors(settings: &Settings, mu: &[Bounded], y: &[f32]) -> Vec<Bounded> {
    let p = f64::from(settings.precision);
    let most = mu.iter().map(|o| o.value).fold(f64::NEG_INFINITY, f64::max);
    let least = mu.iter().map(|o| o.value).fold(f64::INFINITY, f64::min);
    let uncertain = mu.iter().map(|o| o.error).fold(0.0, f64::max);
    let sum: f64 = mu.iter().map(|o| (o.value - most).exp()).sum();
    let one = |(o, y): (&Bounded, &f32)| {
        let y = f64::from(*y);
        match settings.loss {
            Loss::HalfSquaredError | Loss::SquaredError => {
                let factor = if settings.loss == Loss::SquaredError { 2.0 * p } else { p };
                let rounding = 4.0 * EPSILON * (y.abs() + o.value.abs());
                Bounded { value: factor * (y - o.value), error: factor * (o.error + rounding) }
            }
            Loss::CrossEntropy => {
                let share = (o.value - most).exp() / sum;
                let relative = (mu.len() as f64 + 16.0 + most - least) * EPSILON + 2.0 * uncertain;
                Bounded {
                    value: p * (y - share),
                    error: p * (relative * share + 4.0 * EPSILON * (y.abs() + share)),
                }
            }
        }
    };
    mu.iter().zip(y).map(one).collect()
}

/// δ of one unit; relu's slope may be either where f32 cannot tell the sign of its argument.
pub fn delta(layer: &Dense, pre: Bounded, error: Bounded) -> [Bounded; 2] {
    let scale = f64::from(layer.scale);
    let with = |slope: f64| Bounded {
        value: scale * slope * error.value,
        error: scale.abs()
            * (1.2 * error.error
                + error.value.abs() * (1.2 * pre.error + 8.0 * EPSILON * (1.0 + pre.value.abs()))),
    };
    let here = with(slope(layer.act_out, pre.value));
    if layer.act_out == Act::Relu && pre.value.abs() <= pre.error {
        [with(0.0), with(1.0)]
    } else {
        [here, here]
    }
}

/// v of one unit after the step. `above` are the layer above, its W, and ε and δ of the same sample there.
pub fn moved(
    settings: &Settings,
    state: f32,
    error: f32,
    unit: usize,
    above: (&Dense, &[f32], &[f32], &[f32]),
) -> Bounded {
    let (layer, weights, errors, deltas) = above;
    let (state, error, g) = (f64::from(state), f64::from(error), f64::from(settings.step_size));
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for (k, delta) in deltas.iter().enumerate() {
        let product = f64::from(weights[k * layer.inputs + unit]) * f64::from(*delta);
        sum += product;
        magnitude += product.abs();
    }
    let slope = slope(layer.act_in, state);
    let mut pull = slope * sum;
    let mut uncertain = 1.2 * (layer.outputs as f64 + 8.0) * EPSILON * magnitude
        + 8.0 * EPSILON * (1.0 + state.abs()) * sum.abs();
    if layer.skip {
        pull += f64::from(errors[unit]);
        uncertain += 2.0 * EPSILON * (pull.abs() + f64::from(errors[unit].abs()));
    }
    let value = state + g * (pull - error);
    let rounding = 2.0 * EPSILON * (state.abs() + g.abs() * (pull.abs() + error.abs()));
    if g == 0.0 {
        return Bounded::exact(state);
    }
    Bounded { value, error: g.abs() * uncertain + rounding }
}

#[test]
fn erf_is_what_tables_say() {
    // Abramowitz & Stegun, table 7.1
    for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)]
    {
        assert!(
            (erf(x) - expected).abs() < 1e-10 && (erf(-x) + expected).abs() < 1e-10,
            "erf({x}) = {}",
            erf(x)
        );
    }
    // both branches where they meet
    assert!((erf(2.5 - 1e-12) - erf(2.5 + 1e-12)).abs() < 1e-12);
}
