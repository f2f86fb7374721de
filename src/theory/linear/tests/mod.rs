//! Proofs of the closed forms: against published numbers, against the equations, against each other.

mod cases;
mod curvature;
mod descent;
mod minimum;

use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{LinearLayer, LinearNet};
use crate::Error;

fn gaussian(rows: usize, columns: usize, rng: &mut ChaCha8Rng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
}

/// Widths 3-4-4-6-2-3 with biases, scales and one skip: every switch at once, hidden layers narrower and
/// wider than the output, so that nothing is square by accident.
fn ragged(curvature: f64, seed: u64) -> (LinearNet, DMatrix<f64>, DMatrix<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let widths = [3, 4, 4, 6, 2, 3];
    let layers = (1..widths.len())
        .map(|l| LinearLayer {
            weight: gaussian(widths[l], widths[l - 1], &mut rng),
            bias: (l != 3).then(|| gaussian(widths[l], 1, &mut rng).column(0).into_owned()),
            scale: 0.3 + 0.1 * l as f64,
            skip: l == 2,
        })
        .collect();
    let (x, y) = (gaussian(5, 3, &mut rng), gaussian(5, 3, &mut rng));
    (LinearNet::new(layers, curvature).unwrap(), x, y)
}

/// μPC residual net of `hidden` layers (Innocenti, Achour & Buckley, arXiv 2505.13124): N(0,1) weights, scales 1,
/// 1/√(N·L) with skip, 1/N.
fn mupc(hidden: usize, width: usize, outputs: usize, seed: u64) -> LinearNet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (n, depth) = (width as f64, (hidden + 1) as f64);
    let mut layers = vec![LinearLayer::new(gaussian(width, 1, &mut rng))];
    for _ in 1..hidden {
        let weight = gaussian(width, width, &mut rng);
        layers.push(LinearLayer { weight, bias: None, scale: 1.0 / (n * depth).sqrt(), skip: true });
    }
    let weight = gaussian(outputs, width, &mut rng);
    layers.push(LinearLayer { weight, bias: None, scale: 1.0 / n, skip: false });
    LinearNet::new(layers, 1.0).unwrap()
}

/// Orthogonal hidden weights and orthonormal readout.
fn orthogonal(hidden: usize, width: usize, outputs: usize, seed: u64) -> LinearNet {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut layers = vec![LinearLayer::new(gaussian(width, 2, &mut rng))];
    for _ in 1..hidden {
        layers.push(LinearLayer::new(gaussian(width, width, &mut rng).qr().q()));
    }
    layers.push(LinearLayer::new(gaussian(width, outputs, &mut rng).qr().q().transpose()));
    LinearNet::new(layers, 1.0).unwrap()
}

fn assert_near(what: &str, got: &DMatrix<f64>, want: &DMatrix<f64>, relative: f64) {
    assert_eq!(got.shape(), want.shape(), "{what}");
    let bound = relative * want.amax() + 1e-14;
    let worst = (got - want).amax();
    assert!(worst <= bound, "{what}: differs by {worst:e}, allowed {bound:e}");
}

/// Every misuse is an error with its reason; the degenerate sizes that are legal (one layer, empty batch)
/// work.
#[test]
fn edges() {
    let zeros = DMatrix::<f64>::zeros;
    let layer = |rows, columns| LinearLayer::new(DMatrix::from_element(rows, columns, 1.0));
    assert!(LinearNet::new(vec![], 1.0).is_err());
    assert!(matches!(LinearNet::new(vec![layer(3, 2), layer(2, 4)], 1.0), Err(Error::Shape { .. })));
    assert!(LinearNet::new(vec![layer(3, 0)], 1.0).is_err());
    assert!(LinearNet::new(vec![LinearLayer { skip: true, ..layer(3, 2) }], 1.0).is_err());
    assert!(LinearNet::new(vec![LinearLayer { scale: f64::NAN, ..layer(3, 2) }], 1.0).is_err());
    assert!(LinearNet::new(vec![LinearLayer { bias: Some(DVector::zeros(2)), ..layer(3, 2) }], 1.0).is_err());
    for curvature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(LinearNet::new(vec![layer(3, 2)], curvature).is_err());
    }

    let single = LinearNet::new(vec![layer(2, 2)], 3.0).unwrap();
    let rest = single.equilibrium(&zeros(1, 2), &DMatrix::from_element(1, 2, 1.0)).unwrap();
    assert!((rest.free_energy() - 3.0).abs() < 1e-14, "nothing to relax: F is the loss, (3/2)·2");
    assert!(single.state_extremes().is_err() && single.error_extremes().is_err());
    assert_eq!(single.state_hessian().nrows(), 0);
    assert!(single.state_descent(&zeros(1, 2), &zeros(1, 2), 0.1, 3).is_ok());

    let net = LinearNet::new(vec![layer(2, 2), layer(3, 2)], 1.0).unwrap();
    let empty = net.equilibrium(&zeros(0, 2), &zeros(0, 3)).unwrap();
    assert_eq!(empty.free_energy(), 0.0);
    assert_eq!(empty.weight_gradients[1], zeros(3, 2));
    assert!(net.state_descent(&zeros(0, 2), &zeros(0, 3), 0.1, 3).is_ok());
    assert!(net.error_descent(&zeros(0, 2), &zeros(0, 3), 0.1, 3).is_ok());
    assert!(net.equilibrium(&zeros(2, 3), &zeros(2, 3)).is_err(), "x of the wrong width");
    assert!(net.equilibrium(&zeros(2, 2), &zeros(1, 3)).is_err(), "y of another batch");
    assert!(net.equilibrium(&DMatrix::from_element(1, 2, f64::NAN), &zeros(1, 3)).is_err());
    assert!(net.snapshot(&zeros(1, 2), &zeros(1, 3), vec![]).is_err());
    assert!(net.snapshot(&zeros(1, 2), &zeros(1, 3), vec![zeros(1, 3)]).is_err());
    assert!(net.apply_state_hessian(&DVector::zeros(3)).is_err());
    assert!(net.state_descent(&zeros(1, 2), &zeros(1, 3), f64::NAN, 3).is_err());

    // Two hidden units, three outputs: at c = 1e300 the third eigenvalue of S, 1/c, is below rounding. With
    // three hidden units of full rank the same c is harmless: the limit of a clamped output.
    let steep = LinearNet::new(vec![layer(2, 2), layer(3, 2)], 1e300).unwrap();
    assert!(steep.equilibrium(&zeros(1, 2), &zeros(1, 3)).is_err());
    let clamped =
        LinearNet::new(vec![layer(3, 2), LinearLayer::new(DMatrix::identity(3, 3))], 1e300).unwrap();
    let target = DMatrix::from_element(1, 3, 2.0);
    let rest = clamped.equilibrium(&zeros(1, 2), &target).unwrap();
    assert_near("clamped output", &rest.output, &target, 1e-15);
    assert!((rest.free_energy() - 6.0).abs() < 1e-14);
    let huge = LinearLayer { scale: 1e200, ..layer(2, 2) };
    let huge = LinearNet::new(vec![huge.clone(), huge.clone(), huge], 1.0).unwrap();
    assert!(huge.equilibrium(&zeros(1, 2), &zeros(1, 2)).is_err(), "S overflows");
    assert!(huge.state_extremes().is_err() && huge.error_extremes().is_err());
}
