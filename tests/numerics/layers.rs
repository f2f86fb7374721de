//! Oracle: finite differences, for what automatic differentiation shares with us (φ, losses).

use super::{close, normal};
use candle_core::Tensor;
use pcnbench::net::layers::{
    Act, Add, AvgPool, Concat, Conv2d, Embedding, LayerNorm, Linear, Matmul, MaxPool, Mul, Reshape, Scale,
    Slice, Softmax, Sub, Sum, Transpose,
};
use pcnbench::net::{Activation, Dense, Elementwise, Loss, LossKind, Operation, OutputEnergy, Reduction};

/// φ' by central differences; catches a wrong derivative that autograd would share.
#[test]
fn activations_differentiate() {
    let z = normal(&[5, 40], 3);
    let h = 1e-6;
    for activation in Activation::STACKED {
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
    // the entropy of a certain target is 0, and a target that is the softmax leaves nothing
    assert!((value(LossKind::Kl, Reduction::Sum) - 2.0 * row).abs() < 1e-14);
    let same = candle_nn::ops::softmax(&o, 1).unwrap();
    let kl = Loss { kind: LossKind::Kl, reduction: Reduction::Sum, precision: 1.0 };
    assert!(kl.value(&o, &same).unwrap().abs() < 1e-15);
    // log(1 + e^o) − y o
    let softplus = |o: f64| (1.0 + o.exp()).ln();
    let bernoulli = softplus(1.0) + softplus(2.0) - 2.0 + softplus(0.0) + softplus(-1.0);
    assert!((value(LossKind::Bernoulli, Reduction::Sum) - bernoulli).abs() < 1e-14);
    // far from 0 nothing overflows
    let far = Tensor::new(&[[800.0f64, -800.0]], cpu).unwrap();
    let certain = Loss { kind: LossKind::Bernoulli, reduction: Reduction::Sum, precision: 1.0 };
    assert_eq!(certain.value(&far, &Tensor::new(&[[1.0f64, 0.0]], cpu).unwrap()).unwrap(), 0.0);
    assert_eq!(certain.value(&far, &Tensor::new(&[[0.0f64, 0.0]], cpu).unwrap()).unwrap(), 800.0);
    // differences of 1 are where the two parts of h meet; 3 is beyond, and a half before
    assert_eq!(value(LossKind::Huber, Reduction::Sum), 2.0);
    let huber = Loss { kind: LossKind::Huber, reduction: Reduction::Sum, precision: 1.0 };
    let zero = Tensor::new(&[[0.0f64, 0.0]], cpu).unwrap();
    assert_eq!(huber.value(&Tensor::new(&[[-3.0f64, 0.5]], cpu).unwrap(), &zero).unwrap(), 2.5 + 0.125);
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
    let weights = normal(&[5, 12], 1);
    let w = [&weights];
    let image = normal(&[2, 3, 2, 2], 2);
    let rows = image.reshape((2, 12)).unwrap();
    let (a, at) = layer.forward(&w, &[&image]).unwrap();
    let (b, _) = layer.forward(&w, &[&rows]).unwrap();
    close(&a, &b, 0.0, "forward");
    assert_eq!(layer.vjp(&w, &at, 0, &a).unwrap().dims(), image.dims());
    assert!(layer.forward(&w, &[&normal(&[2, 11], 1)]).is_err());
}

/// Every operation: Jᵀ against central differences of the value, J against Jᵀ, parameter gradients against central
/// differences, and the shape against what `forward` gives.
#[test]
fn operations_differentiate() {
    let act = |f| Box::new(Act(f)) as Box<dyn Operation>;
    let smooth = [
        Activation::Identity,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Sin,
        Activation::Tan,
        Activation::Square,
        Activation::LeakyRelu,
    ];
    // operation, shapes of inputs and of parameters
    type Shapes = Vec<Vec<usize>>;
    let mut cases: Vec<(Box<dyn Operation>, Shapes, Shapes)> =
        smooth.into_iter().map(|f| (act(f), vec![vec![2, 3]], vec![])).collect();
    let three = |n: usize| vec![vec![2, 3]; n];
    cases.push((Box::new(Linear { bias: true }), three(1), vec![vec![4, 3], vec![4]]));
    cases.push((Box::new(Linear { bias: false }), vec![vec![3]], vec![vec![4, 3]]));
    cases.push((Box::new(Add), three(3), vec![]));
    cases.push((Box::new(Sub), three(2), vec![]));
    cases.push((Box::new(Mul), three(3), vec![]));
    cases.push((Box::new(Scale { constant: -1.5 }), three(1), vec![]));
    cases.push((Box::new(Concat { axis: 1 }), vec![vec![1, 3], vec![2, 3]], vec![]));
    cases.push((Box::new(Concat { axis: 2 }), vec![vec![2, 3], vec![2, 1]], vec![]));
    cases.push((Box::new(Slice { axis: 2, from: 1, to: 3 }), three(1), vec![]));
    cases.push((Box::new(Sum { axis: 1 }), three(1), vec![]));
    cases.push((Box::new(Sum { axis: 2 }), three(1), vec![]));
    cases.push((Box::new(Reshape::FLAT), three(1), vec![]));
    cases.push((Box::new(Reshape::to(&[3, 1, 2])), three(1), vec![]));
    cases.push((Box::new(Transpose {}), three(1), vec![]));
    cases.push((Box::new(Transpose {}), vec![vec![2, 3, 4]], vec![]));
    cases.push((Box::new(Matmul {}), vec![vec![2, 3], vec![3, 4]], vec![]));
    cases.push((Box::new(Matmul {}), vec![vec![3, 2, 3], vec![3, 3, 4]], vec![]));
    cases.push((Box::new(Softmax {}), three(1), vec![]));
    cases.push((Box::new(LayerNorm { epsilon: 1e-3 }), three(1), vec![vec![3], vec![3]]));
    let image = || vec![vec![2, 5, 4]];
    for (stride, padding, bias) in [(1, 0, true), (1, 1, false), (2, 1, true), (3, 2, true), (2, 0, false)] {
        let mut params = vec![vec![3, 2, 3, 2]];
        params.extend(bias.then(|| vec![3]));
        cases.push((Box::new(Conv2d { stride, padding, bias }), image(), params));
    }
    for (size, stride) in [(2, 2), (2, 1), (3, 2), (1, 3), (2, 3)] {
        cases.push((Box::new(MaxPool { size, stride }), image(), vec![]));
        cases.push((Box::new(AvgPool { size, stride }), image(), vec![]));
    }
    let dense = Dense {
        inputs: 6,
        outputs: 6,
        act_in: Activation::Tanh,
        act_out: Activation::Gelu,
        scale: 0.7,
        skip: true,
        bias: true,
    };
    cases.push((Box::new(dense), vec![vec![6]], vec![vec![6, 6], vec![6]]));
    for (k, (operation, inputs, params)) in cases.iter().enumerate() {
        differentiates(operation.as_ref(), inputs, params, 10 * k as u64);
    }
    // positive arguments only
    let root = Act(Activation::Sqrt);
    let z = normal(&[2, 3], 9).sqr().unwrap().affine(1.0, 0.5).unwrap();
    check(&root, &[z], &[], 99);
}

fn differentiates(operation: &dyn Operation, inputs: &[Vec<usize>], params: &[Vec<usize>], seed: u64) {
    let with_batch = |shape: &Vec<usize>| [&[2], &shape[..]].concat();
    let draw = |shape: &[usize], k: u64| normal(shape, seed + k).affine(0.4, 0.0).unwrap();
    let values: Vec<Tensor> = inputs.iter().zip(0..).map(|(s, k)| draw(&with_batch(s), k)).collect();
    let own: Vec<Tensor> = params.iter().zip(5..).map(|(s, k)| draw(s, k)).collect();
    check(operation, &values, &own, seed);
    let (a, b): (Vec<&[usize]>, Vec<&[usize]>) =
        (inputs.iter().map(Vec::as_slice).collect(), params.iter().map(Vec::as_slice).collect());
    let shape = operation.shape(&a, &b).unwrap();
    let value =
        operation.forward(&own.iter().collect::<Vec<_>>(), &values.iter().collect::<Vec<_>>()).unwrap().0;
    assert_eq!(value.dims(), with_batch(&shape), "{}", operation.kind());
    let cost = operation.cost(2, &a, &b);
    assert_eq!(cost.outputs as usize, value.elem_count(), "{}", operation.kind());
    assert_eq!(cost.vjp.len(), inputs.len(), "{}", operation.kind());
}

fn check(operation: &dyn Operation, inputs: &[Tensor], params: &[Tensor], seed: u64) {
    let dot = |a: &Tensor, b: &Tensor| (a * b).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
    let value = |inputs: &[Tensor], params: &[Tensor]| {
        operation.forward(&params.iter().collect::<Vec<_>>(), &inputs.iter().collect::<Vec<_>>()).unwrap()
    };
    let own: Vec<&Tensor> = params.iter().collect();
    let (f, at) = value(inputs, params);
    let c = normal(f.dims(), seed + 70);
    let h = 1e-6;
    // the derivative of <c, f> along d, of one tensor among many
    let along = |tensors: &[Tensor], k: usize, d: &Tensor, at: &dyn Fn(&[Tensor]) -> Tensor| {
        let moved = |s: f64| {
            let mut all = tensors.to_vec();
            all[k] = (&all[k] + d.affine(s, 0.0).unwrap()).unwrap();
            dot(&c, &at(&all))
        };
        (moved(h) - moved(-h)) / (2.0 * h)
    };
    for (slot, input) in inputs.iter().enumerate() {
        let d = normal(input.dims(), seed + 80 + slot as u64);
        let pulled = operation.vjp(&own, &at, slot, &c).unwrap();
        let (got, want) = (dot(&pulled, &d), along(inputs, slot, &d, &|all| value(all, params).0));
        assert!(
            (got - want).abs() < 1e-7 * (1.0 + want.abs()),
            "{} slot {slot}: {got} for {want}",
            operation.kind()
        );
        let pushed = dot(&c, &operation.jvp(&own, &at, slot, &d).unwrap());
        assert!((pushed - got).abs() < 1e-12 * (1.0 + got.abs()), "{} slot {slot}: jvp", operation.kind());
    }
    let grads = operation.param_grad(&at, &c).unwrap();
    assert_eq!(grads.len(), params.len(), "{}", operation.kind());
    for (k, (grad, param)) in grads.iter().zip(params).enumerate() {
        let d = normal(param.dims(), seed + 90 + k as u64);
        let (got, want) = (dot(grad, &d), along(params, k, &d, &|all| value(inputs, all).0));
        assert!(
            (got - want).abs() < 1e-7 * (1.0 + want.abs()),
            "{} parameter {k}: {got} for {want}",
            operation.kind()
        );
    }
}

/// A convolution by hand: its sum written out, with zeros around the image.
#[test]
fn convolution_by_hand() {
    let (stride, padding) = (2, 1);
    let (image, w, b) = (normal(&[2, 3, 5, 4], 1), normal(&[2, 3, 3, 2], 2), normal(&[2], 3));
    let conv = Conv2d { stride, padding, bias: true };
    let (value, _) = conv.forward(&[&w, &b], &[&image]).unwrap();
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let (a, w, b) = (numbers(&image), numbers(&w), numbers(&b));
    let at = |sample: usize, c: usize, row: usize, column: usize| {
        // an index before the image has wrapped round to a large one
        if row < 5 && column < 4 {
            a[((sample * 3 + c) * 5 + row) * 4 + column]
        } else {
            0.0
        }
    };
    let mut want = Vec::new();
    for n in 0..2 * 2 * 3 * 3 {
        let (sample, o, r, k) = (n / 18, n / 9 % 2, n / 3 % 3, n % 3);
        let term = |m: usize| {
            let (c, i, j) = (m / 6, m / 2 % 3, m % 2);
            let (row, column) =
                ((r * stride + i).wrapping_sub(padding), (k * stride + j).wrapping_sub(padding));
            w[((o * 3 + c) * 3 + i) * 2 + j] * at(sample, c, row, column)
        };
        want.push(b[o] + (0..3 * 3 * 2).map(term).sum::<f64>());
    }
    let want = Tensor::from_vec(want, (2, 2, 3, 3), &candle_core::Device::Cpu).unwrap();
    close(&value, &want, 1e-13, "convolution");
}

/// Of several largest pixels the first one in row-major order gets the derivative.
#[test]
fn ties_of_a_maximum_go_to_the_first() {
    let cpu = &candle_core::Device::Cpu;
    let image = Tensor::new(&[[[[1.0f64, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]]]], cpu).unwrap();
    let pool = MaxPool { size: 2, stride: 2 };
    let (value, at) = pool.forward(&[], &[&image]).unwrap();
    let pulled = pool.vjp(&[], &at, 0, &value.ones_like().unwrap()).unwrap();
    let want = Tensor::new(&[[[[0.0f64, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]], cpu).unwrap();
    close(&pulled, &want, 0.0, "ties");
}

/// Candle's own max-pool divides the derivative by the pixels of a window: BIAS.md says so as long as it does.
#[test]
fn candles_own_max_pool_has_another_derivative() {
    let image = candle_core::Var::from_tensor(&normal(&[1, 1, 4, 4], 5)).unwrap();
    let value = image.max_pool2d(2).unwrap().sum_all().unwrap();
    let theirs = value.backward().unwrap().get(&image).unwrap().clone();
    let pool = MaxPool { size: 2, stride: 2 };
    let (value, at) = pool.forward(&[], &[image.as_tensor()]).unwrap();
    let ours = pool.vjp(&[], &at, 0, &value.ones_like().unwrap()).unwrap();
    close(&theirs, &ours.affine(0.25, 0.0).unwrap(), 1e-15, "a quarter");
}

/// An embedding's gradient is the sum over uses of a row, and a code without a row is refused.
#[test]
fn embeddings_by_hand() {
    let cpu = &candle_core::Device::Cpu;
    let table = normal(&[3, 2], 8);
    let codes = Tensor::new(&[[2.0f64, 0.0], [2.0, 2.0]], cpu).unwrap();
    let (value, at) = Embedding {}.forward(&[&table], &[&codes]).unwrap();
    let row = |r: usize| table.get(r).unwrap();
    let want = Tensor::stack(&[row(2), row(0), row(2), row(2)], 0).unwrap().reshape((2, 2, 2)).unwrap();
    close(&value, &want, 0.0, "rows");
    let grads = Embedding {}.param_grad(&at, &value.ones_like().unwrap()).unwrap();
    let want = Tensor::new(&[[1.0f64, 1.0], [0.0, 0.0], [3.0, 3.0]], cpu).unwrap();
    close(&grads[0], &want, 0.0, "uses");
    let cost = Embedding {}.cost(2, &[&[2]], &[&[3, 2]]);
    assert_eq!((cost.outputs, Embedding {}.shape(&[&[2]], &[&[3, 2]]).unwrap()), (8, vec![2, 2]));
    for wrong in [3.0, -1.0, 0.5, f64::NAN] {
        let codes = Tensor::new(&[[wrong]], cpu).unwrap();
        let error = Embedding {}.forward(&[&table], &[&codes]).unwrap_err().to_string();
        assert!(error.contains("whole numbers from 0 to 2"), "{error}");
    }
}
