//! Hessians in states and errors, their spectra, and the identities between them.

use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::{orthogonal_spectrum, LinearLayer, LinearNet};
use super::{assert_near, gaussian, mupc, orthogonal, ragged};

/// H and E are the second derivatives of F in states and errors: F is quadratic, so second differences are
/// exact up to rounding for any h. Independent of the block formulas. Without it a missing c in the last
/// block or a transposed off-diagonal block would move every stability limit.
#[test]
fn hessians_are_second_differences() {
    let (net, x, y) = ragged(2.5, 5);
    let (x, y) = (x.rows(0, 1).into_owned(), y.rows(0, 1).into_owned());
    let units = net.hidden_units();
    let unflatten = |z: &DVector<f64>| {
        let mut start = 0;
        net.hidden()
            .iter()
            .map(|m| {
                let part = DMatrix::from_row_slice(1, m.nrows(), &z.as_slice()[start..start + m.nrows()]);
                start += m.nrows();
                part
            })
            .collect::<Vec<_>>()
    };
    let of_states = |z: &DVector<f64>| net.snapshot(&x, &y, unflatten(z)).unwrap().free_energy();
    let of_errors = |e: &DVector<f64>| {
        let mut states: Vec<DMatrix<f64>> = Vec::new();
        for (index, error) in unflatten(e).into_iter().enumerate() {
            let prediction = net.predict(index, states.last().unwrap_or(&x));
            states.push(prediction + error);
        }
        net.snapshot(&x, &y, states).unwrap().free_energy()
    };
    let unit = |i: usize| DVector::from_fn(units, |j, _| f64::from(u8::from(i == j)));
    let second = |f: &dyn Fn(&DVector<f64>) -> f64| {
        DMatrix::from_fn(units, units, |i, j| {
            0.25 * (f(&(unit(i) + unit(j))) - f(&(unit(i) - unit(j))) - f(&(unit(j) - unit(i)))
                + f(&(-unit(i) - unit(j))))
        })
    };
    assert_near("H", &net.state_hessian(), &second(&of_states), 1e-12);
    assert_near("E", &net.error_hessian(), &second(&of_errors), 1e-12);
}

/// H z by sweeps = H z by the formed matrix; det H = det E = det(cS), so T is volume preserving and S is the
/// right Woodbury partner; the extremes of E (dense) are those of cS, also with fewer hidden units than
/// outputs. Without it ePC's limit would be taken from S, which is wrong by the factor c.
#[test]
fn curvature_identities() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let narrow = LinearNet::new(
        vec![LinearLayer::new(gaussian(2, 3, &mut rng)), LinearLayer::new(gaussian(5, 2, &mut rng))],
        4.0,
    );
    for net in [ragged(0.2, 7).0, ragged(30.0, 8).0, narrow.unwrap()] {
        let units = net.hidden_units();
        let hessian = net.state_hessian();
        let z = gaussian(units, 1, &mut rng).column(0).into_owned();
        let swept = net.apply_state_hessian(&z).unwrap();
        assert!((&hessian * &z - swept).amax() < 1e-12 * hessian.amax());

        let scaled = net.rescaling_matrix() * net.curvature();
        let log = |m: DMatrix<f64>| m.cholesky().unwrap().ln_determinant();
        let errors = net.error_hessian();
        assert!((log(hessian) - log(scaled.clone())).abs() < 1e-9);
        assert!((log(errors.clone()) - log(scaled)).abs() < 1e-9);

        let dense = errors.symmetric_eigenvalues();
        let extremes = net.error_extremes().unwrap();
        assert!((extremes.largest - dense.max()).abs() < 1e-10 * dense.max());
        assert!((extremes.smallest - dense.min()).abs() < 1e-10 * dense.max());
    }
}

/// Spectrum of orthogonal chains, 2 − 2cos(kπ/(H+1)) and 2 − 2cos((2k−1)π/(2H+1)), against the dense solver;
/// their quotients κ (114, 1.7e3, 2.7e4 at H = 8, 32, 128) and the limit 16H²/π². Without it a wrong end
/// condition (fixed for free) changes κ fourfold.
#[test]
fn orthogonal_chains() {
    for (hidden, width, outputs) in [(1, 4, 2), (5, 6, 2), (7, 5, 5), (4, 3, 1)] {
        let closed = orthogonal_spectrum(hidden, width, outputs).unwrap();
        let dense = orthogonal(hidden, width, outputs, 9).state_eigenvalues().unwrap();
        assert_eq!(closed.len(), dense.len());
        for (a, b) in closed.iter().zip(&dense) {
            assert!((a - b).abs() < 1e-13, "H = {hidden}: {a} against {b}");
        }
    }
    for (hidden, expected) in [(8usize, 114.0), (32, 1.7e3), (128, 2.7e4)] {
        let spectrum = orthogonal_spectrum(hidden, 128, 10).unwrap();
        let kappa = spectrum[spectrum.len() - 1] / spectrum[0];
        assert!((kappa / expected - 1.0).abs() < 0.03, "H = {hidden}: {kappa}");
        let limit = 16.0 * (hidden * hidden) as f64 / std::f64::consts::PI.powi(2);
        assert!((kappa / limit - 1.0).abs() < 1.2 / hidden as f64, "H = {hidden}: {kappa} against {limit}");
    }
    assert!(orthogonal_spectrum(0, 3, 1).is_err() && orthogonal_spectrum(2, 3, 4).is_err());
}

/// Lanczos on H and on H⁻¹ (Woodbury through S) against the dense solver and, at 20 layers, the closed form.
/// Without it λ_min of large nets would rest on the inverse formula alone.
#[test]
fn extremes_by_iteration() {
    for net in [ragged(0.2, 10).0, ragged(50.0, 11).0, mupc(4, 20, 5, 12)] {
        let dense = net.state_eigenvalues().unwrap();
        let found = net.state_extremes_lanczos().unwrap();
        assert!((found.smallest / dense[0] - 1.0).abs() < 1e-9, "{found:?} against {}", dense[0]);
        assert!((found.largest / dense[dense.len() - 1] - 1.0).abs() < 1e-10, "{found:?}");
    }
    let closed = orthogonal_spectrum(20, 16, 3).unwrap();
    let found = orthogonal(20, 16, 3, 13).state_extremes().unwrap();
    assert!((found.smallest / closed[0] - 1.0).abs() < 1e-10);
    assert!((found.largest / closed[closed.len() - 1] - 1.0).abs() < 1e-10);
}

/// κ ≈ 541 at H = 8 and 8.5e3 at H = 32, λ_max between 4.2 and 5.4, for residual networks of N = 128 under the scalings
/// of μPC (Innocenti, Achour & Buckley, arXiv 2505.13124); one draw each, so 15 %. Without it the depth scaling
/// 1/√(N·L) could be 1/√N, which also stays finite.
#[test]
fn mupc_condition_number() {
    for (hidden, expected) in [(8, 541.0), (32, 8.5e3)] {
        let found = mupc(hidden, 128, 10, 14).state_extremes().unwrap();
        let kappa = found.condition_number();
        assert!((kappa / expected - 1.0).abs() < 0.15, "H = {hidden}: κ = {kappa}, {found:?}");
        assert!((4.2..5.4).contains(&found.largest), "H = {hidden}: {found:?}");
    }
}
