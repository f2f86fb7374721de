//! Finite trajectories and the limits of the step.

use nalgebra::DMatrix;

use super::super::{trajectory::relaxed_fraction, Snapshot};
use super::{assert_near, ragged};
use crate::theory::decay::SignalDecay;
use crate::Error;

/// Closed trajectories against the iterations v ← v − γ dF/dv and e ← e − γ (e − M…ᵀ ε_L) written out, below
/// and above the limits 2/λ_max: 1 % below F falls for good, 1 % above it grows without bound. Without it a
/// limit that is off by a constant factor would still "usually work".
#[test]
fn descent_and_its_limits() {
    for curvature in [0.3, 1.0, 8.0] {
        let (net, x, y) = ragged(curvature, 15);
        let rest = net.equilibrium(&x, &y).unwrap();
        let limits = (net.state_extremes().unwrap().step_bound(), net.error_extremes().unwrap().step_bound());
        for factor in [0.3, 0.99, 1.01] {
            let (gamma, eta) = (factor * limits.0, factor * limits.1);
            let hidden = net.hidden().len();
            let mut states = net.forward(&x).unwrap();
            states.truncate(hidden);
            let mut spc = net.snapshot(&x, &y, states).unwrap();
            for _ in 0..40 {
                let mut states = spc.states.clone();
                for (l, state) in states.iter_mut().enumerate() {
                    *state -= (&spc.errors[l] - &spc.errors[l + 1] * &net.matrices()[l + 1]) * gamma;
                }
                spc = net.snapshot(&x, &y, states).unwrap();
            }
            let closed = net.state_descent(&x, &y, gamma, 40).unwrap();
            let mut epc = net.error_descent(&x, &y, eta, 0).unwrap();
            for _ in 0..40 {
                let pulled = net.pull_back(epc.errors[hidden].clone());
                let mut states: Vec<DMatrix<f64>> = Vec::new();
                for (l, pulled) in pulled[..hidden].iter().enumerate() {
                    let error = &epc.errors[l] * (1.0 - eta) + pulled * eta;
                    let prediction = net.predict(l, states.last().unwrap_or(&x));
                    states.push(prediction + error);
                }
                epc = net.snapshot(&x, &y, states).unwrap();
            }
            let closed_epc = net.error_descent(&x, &y, eta, 40).unwrap();
            for l in 0..=hidden {
                assert_near("spc error", &spc.errors[l], &closed.errors[l], 1e-9);
                assert_near("epc error", &epc.errors[l], &closed_epc.errors[l], 1e-9);
            }
            let above = |after: Snapshot| after.free_energy() - rest.free_energy();
            let start = above(net.state_descent(&x, &y, gamma, 0).unwrap());
            let (spc, epc) = (
                above(net.state_descent(&x, &y, gamma, 2000).unwrap()),
                above(net.error_descent(&x, &y, eta, 2000).unwrap()),
            );
            let stable = factor < 1.0;
            assert_eq!(spc < start, stable, "c = {curvature}, factor {factor}: {spc:e} from {start:e}");
            assert_eq!(epc < start, stable, "c = {curvature}, factor {factor}: {epc:e} from {start:e}");
        }
        assert!(matches!(net.state_descent(&x, &y, 10.0, u32::MAX), Err(Error::Diverged { .. })));
        assert!(matches!(net.error_descent(&x, &y, 10.0, u32::MAX), Err(Error::Diverged { .. })));
    }
}

/// First arrival in sPC: ε_l is zero before step d = L − l and λ^d times the negative BP gradient at that
/// step. Without it the light cone (which layers a step may skip) would be a belief.
#[test]
fn first_arrival() {
    let (net, x, y) = ragged(2.0, 17);
    let start = net.error_descent(&x, &y, 0.0, 0).unwrap();
    let adjoint = net.pull_back(start.errors[start.errors.len() - 1].clone());
    let decay = SignalDecay::new(0.1).unwrap();
    for (index, adjoint) in adjoint.iter().enumerate() {
        let d = (net.layers().len() - 1 - index) as u32;
        let at = |steps: u32| net.state_descent(&x, &y, 0.1, steps).unwrap().errors[index].clone();
        assert_near("arrival", &at(d), &(adjoint * decay.first_arrival(d.into())), 1e-8);
        if d > 0 {
            assert!(at(d - 1).amax() < 1e-12, "nothing arrives before step {d}");
        }
    }
}

/// ePC with T = 1 is γ times backpropagation in every hidden layer; many small steps end at the equilibrium;
/// the relaxed fraction keeps its digits where it is about ηλT. Without it a rule would be called "PC" where
/// it is BP.
#[test]
fn first_step_and_last() {
    let (net, x, y) = ragged(2.0, 16);
    let once = net.error_descent(&x, &y, 0.01, 1).unwrap();
    let forward = net.error_descent(&x, &y, 0.01, 0).unwrap();
    let adjoint = net.pull_back(forward.errors[forward.errors.len() - 1].clone());
    for (error, adjoint) in once.errors.iter().zip(&adjoint).take(once.states.len()) {
        assert_near("first step", error, &(adjoint * 0.01), 1e-12);
    }
    let rest = net.equilibrium(&x, &y).unwrap();
    for end in [net.state_descent(&x, &y, 0.05, 1_000_000), net.error_descent(&x, &y, 1e-3, 1_000_000)] {
        let end = end.unwrap();
        for l in 0..rest.errors.len() {
            assert_near("last step", &end.errors[l], &rest.errors[l], 1e-9);
        }
    }
    assert!((relaxed_fraction(1e-3, 1e-9, 5) / 5e-12 - 1.0).abs() < 1e-11);
    assert_eq!(relaxed_fraction(0.5, 2.0, 1), 1.0);
    assert_eq!(relaxed_fraction(0.75, 2.0, 2), 0.75);
    assert_eq!(relaxed_fraction(0.5, 2.0, 0), 0.0);
}
