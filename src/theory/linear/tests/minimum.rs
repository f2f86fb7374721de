//! The equilibrium is the minimum, and its local gradients are the derivatives of the minimum.

use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::{LinearLayer, LinearNet};
use super::{assert_near, gaussian, mupc, ragged};

/// dF/dv_l = ε_l − M_{l+1}ᵀ ε_{l+1} = 0 with errors recomputed from the states (not from the closed form),
/// and F* = ½ Σ q·r. Over curvatures, because c enters S, ε_L and the loss in three different ways: a c
/// misplaced in one of them leaves c = 1 correct and every other precision wrong.
#[test]
fn equilibrium_is_stationary() {
    for curvature in [0.05, 1.0, 10.0, 1e4] {
        let (net, x, y) = ragged(curvature, 1);
        let rest = net.equilibrium(&x, &y).unwrap();
        let fresh = net.snapshot(&x, &y, rest.states.clone()).unwrap();
        // The solve loses κ(S) of the 16 digits of q (1e6 of them at c = 1e4, where two hidden units cannot
        // reach three outputs), and what is lost in q reaches every ε through products of order 10.
        let spectrum = net.rescaling_matrix().symmetric_eigenvalues();
        let q = rest.errors.last().unwrap();
        let largest_state = rest.states.iter().map(DMatrix::amax).fold(0.0, f64::max);
        let digits = 10.0 * f64::EPSILON * spectrum.max() / spectrum.min();
        let bound = digits * q.amax() + 10.0 * f64::EPSILON * largest_state;
        for l in 0..rest.states.len() {
            let carried = &fresh.errors[l + 1] * &net.matrices()[l + 1];
            assert!(
                (&fresh.errors[l] - carried).amax() < bound,
                "dF/dv of layer {} at c = {curvature}",
                l + 1
            );
            assert!((&rest.errors[l] - &fresh.errors[l]).amax() < bound, "ε of layer {}", l + 1);
        }
        assert!((q - fresh.errors.last().unwrap()).amax() < bound, "ε of the output at c = {curvature}");
        let residual = &y - net.forward(&x).unwrap().last().unwrap();
        let closed = 0.5 * rest.errors.last().unwrap().dot(&residual);
        assert!((rest.free_energy() - closed).abs() < digits * closed);
        assert!((fresh.free_energy() - closed).abs() < digits * closed);
    }
}

/// F* is a minimum and the local weight gradients are the total derivative of F* (envelope theorem), by
/// central differences of F* itself: error h²·F'''/6 + ε·F/h, about 1e-8 at h = 1e-4. Without it a gradient
/// that forgets the scale, or the batch sum, would train slightly wrong nets that still train.
#[test]
fn local_gradients_are_derivatives_of_the_minimum() {
    let (net, x, y) = ragged(3.0, 2);
    let rest = net.equilibrium(&x, &y).unwrap();
    let h = 1e-4;
    let minimum = |change: &dyn Fn(&mut Vec<LinearLayer>)| {
        let mut layers = net.layers().to_vec();
        change(&mut layers);
        LinearNet::new(layers, net.curvature()).unwrap().equilibrium(&x, &y).unwrap().free_energy()
    };
    for l in 0..net.layers().len() {
        let numeric = net.layers()[l].weight.map_with_location(|i, j, _| {
            let side = |h: f64| minimum(&move |layers| layers[l].weight[(i, j)] += h);
            (side(h) - side(-h)) / (2.0 * h)
        });
        assert_near("grad.w", &rest.weight_gradients[l], &numeric, 1e-6);
        assert_eq!(rest.bias_gradients[l].is_some(), net.layers()[l].bias.is_some());
        if let Some(gradient) = &rest.bias_gradients[l] {
            for i in 0..gradient.len() {
                let side = |h: f64| {
                    minimum(&move |layers| {
                        if let Some(bias) = layers[l].bias.as_mut() {
                            bias[i] += h;
                        }
                    })
                };
                let numeric = (side(h) - side(-h)) / (2.0 * h);
                assert!((gradient[i] - numeric).abs() < 1e-6 * gradient.amax(), "grad.b.{}", l + 1);
            }
        }
    }
    let mut shifted = rest.states.clone();
    shifted[1][(0, 0)] += 1e-3;
    assert!(net.snapshot(&x, &y, shifted).unwrap().free_energy() > rest.free_energy());
}

/// Loss/F* → 1 as N ≫ H for residual networks at the start of μPC (Innocenti, Achour & Buckley, arXiv 2505.13124); F*
/// is the equilibrated energy of arXiv 2408.11979, Theorem 1 (1.018 and 1.10 for N = 128, H = 2, 8). Expected: each P_l
/// P_lᵀ averages (1 + 1/L)^(L−l)·I/N, because a residual layer with scale 1/√(N·L) multiplies squared norms by 1 + 1/L;
/// summed, Loss/F* ≈ 1 + (L/N)((1 + 1/L)^H − 1). Bounds are ten standard errors, √(2/(N·O)) relative for the sum.
/// Without it a scale that is off by √L would only show as a slow drift with depth.
#[test]
fn mupc_loss_ratio() {
    for (hidden, approximate) in [(2usize, 1.018), (8, 1.10)] {
        let (width, outputs) = (128, 10);
        let net = mupc(hidden, width, outputs, 3);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (x, y) = (gaussian(16, 1, &mut rng), gaussian(16, outputs, &mut rng));
        let ratio = net.forward_loss(&x, &y).unwrap() / net.equilibrium(&x, &y).unwrap().free_energy();
        let depth = (hidden + 1) as f64;
        let excess = depth / width as f64 * ((1.0 + 1.0 / depth).powi(hidden as i32) - 1.0);
        let relative = 10.0 * (2.0 / (width * outputs) as f64).sqrt();
        assert!(
            ((ratio - 1.0) / excess - 1.0).abs() < relative,
            "H = {hidden}: {ratio}, expected {}",
            1.0 + excess
        );
        assert!((ratio - approximate).abs() < 0.1 * (approximate - 1.0) + 0.01, "H = {hidden}: {ratio}");
    }
}
