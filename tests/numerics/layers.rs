//! Oracle: finite differences, for what automatic differentiation shares with us (φ, losses).

use super::{close, normal};
use candle_core::Tensor;
use pcnbench::net::{Activation, Dense, Layer, Loss, LossKind, Reduction};

/// φ' by central differences; catches a wrong derivative that autograd would share.
#[test]
fn activations_differentiate() {
    let z = normal(&[5, 40], 3);
    let h = 1e-6;
    for activation in Activation::ALL {
        let ones = z.ones_like().unwrap();
        let a = activation.apply(&z).unwrap();
        let got = activation.pull_back(&z, &a, &ones).unwrap();
        let up = activation.apply(&z.affine(1.0, h).unwrap()).unwrap();
        let down = activation.apply(&z.affine(1.0, -h).unwrap()).unwrap();
        let want = (up - down).unwrap().affine(0.5 / h, 0.0).unwrap();
        close(&got, &want, 1e-8, activation.name());
    }
    let zero = Tensor::zeros((1, 1), candle_core::DType::F64, &candle_core::Device::Cpu).unwrap();
    let slope = Activation::Relu.pull_back(&zero, &zero, &zero.ones_like().unwrap()).unwrap();
    assert_eq!(super::largest(&slope), 0.0, "relu'(0) = 0");
}

/// gelu(1) = Φ(1) and its relatives, from tables of the normal distribution.
#[test]
fn gelu_is_the_erf_form() {
    let z = Tensor::new(&[[1.0f64, -1.0, 2.0, 0.5]], &candle_core::Device::Cpu).unwrap();
    let got = Activation::Gelu.apply(&z).unwrap();
    let table =
        [0.841_344_746_068_543, -0.158_655_253_931_457, 1.954_499_736_103_642, 0.345_731_230_637_006_5];
    let want = Tensor::new(&[table], &candle_core::Device::Cpu).unwrap();
    close(&got, &want, 1e-13, "gelu");
}

/// ε_L is minus the derivative of the loss, for every kind and reduction.
#[test]
fn output_errors_are_loss_gradients() {
    let (o, y) = (normal(&[3, 4], 5), candle_nn::ops::softmax(&normal(&[3, 4], 6), 1).unwrap());
    let h = 1e-6;
    for kind in LossKind::ALL {
        for reduction in Reduction::ALL {
            let loss = Loss { kind, reduction, precision: 1.7 };
            let got = loss.output_error(&o, &y).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let flat = o.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for i in 0..flat.len() {
                let at = |d: f64| {
                    let mut moved = flat.clone();
                    moved[i] += d;
                    let moved = Tensor::from_vec(moved, (3, 4), &candle_core::Device::Cpu).unwrap();
                    loss.value(&moved, &y).unwrap()
                };
                let want = -(at(h) - at(-h)) / (2.0 * h);
                assert!((got[i] - want).abs() < 1e-7, "{kind} {reduction:?} {i}: {} for {want}", got[i]);
            }
        }
    }
}

/// The loss's value on numbers small enough to check by hand.
#[test]
fn losses_by_hand() {
    let cpu = &candle_core::Device::Cpu;
    let o = Tensor::new(&[[1.0f64, 2.0], [0.0, -1.0]], cpu).unwrap();
    let y = Tensor::new(&[[0.0f64, 1.0], [1.0, 0.0]], cpu).unwrap();
    // squares of differences: 1, 1, 1, 1
    let value = |kind, reduction| Loss { kind, reduction, precision: 1.0 }.value(&o, &y).unwrap();
    assert_eq!(value(LossKind::HalfSquaredError, Reduction::Sum), 2.0);
    assert_eq!(value(LossKind::SquaredError, Reduction::BatchMean), 2.0);
    assert_eq!(value(LossKind::SquaredError, Reduction::ElementMean), 1.0);
    // both rows: the right class leads by 1, so −log(1/(1 + e^−1)) each
    let row = (1.0 + (-1.0f64).exp()).ln();
    assert!((value(LossKind::CrossEntropy, Reduction::Sum) - 2.0 * row).abs() < 1e-14);
}

/// Any sample shape is read as one row-major vector, and the VJP gives that shape back.
#[test]
fn dense_reads_images_as_rows() {
    let layer = Dense {
        inputs: 12,
        outputs: 5,
        act_in: Activation::Tanh,
        act_out: Activation::Identity,
        scale: 0.5,
        skip: false,
        bias: false,
    };
    let w = vec![normal(&[5, 12], 1)];
    let image = normal(&[2, 3, 2, 2], 2);
    let rows = image.reshape((2, 12)).unwrap();
    let (a, at) = layer.forward(&w, &image).unwrap();
    let (b, _) = layer.forward(&w, &rows).unwrap();
    close(&a, &b, 0.0, "forward");
    assert_eq!(layer.vjp(&w, &at, &a).unwrap().dims(), image.dims());
    assert!(layer.forward(&w, &normal(&[2, 11], 1)).is_err());
}
