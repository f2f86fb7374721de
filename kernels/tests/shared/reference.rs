//! Activations in f64, the error function from its series.

use pcnbench_kernels::Activation;

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

pub fn act(kind: Activation, z: f64) -> f64 {
    match kind {
        Activation::Identity => z,
        Activation::Tanh => z.tanh(),
        Activation::Relu => z.max(0.0),
        Activation::Gelu => 0.5 * z * (1.0 + erf(z / 2f64.sqrt())),
        other => panic!("no layer of a stack has {other}"),
    }
}

pub fn slope(kind: Activation, z: f64) -> f64 {
    match kind {
        Activation::Identity => 1.0,
        Activation::Tanh => 1.0 / z.cosh().powi(2),
        Activation::Relu => f64::from(u8::from(z > 0.0)),
        Activation::Gelu => {
            0.5 * (1.0 + erf(z / 2f64.sqrt()))
                + z * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
        }
        other => panic!("no layer of a stack has {other}"),
    }
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
