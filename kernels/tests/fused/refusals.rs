//! Operands that do not fit are refused in one sentence, and no buffer is changed.

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::{
    Activation, Dense, Error, Fused, Loss, MathMode, Momentum, Optimiser, Rule, Schedule, Stack,
};

const LOSS: Loss = Loss::HALF_SQUARED_ERROR;
const SGD: Optimiser = Optimiser::Sgd { rate: 0.1 };

/// 3 → 4 → 2 with biases: 26 parameters.
fn engine() -> Fused {
    let layer =
        |inputs, outputs| Dense { act_out: Activation::Tanh, bias: true, ..Dense::linear(inputs, outputs) };
    Fused::new(Stack::new(vec![layer(3, 4), layer(4, 2)]).unwrap(), 2).unwrap()
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap()
}

/// What both calls say to these operands; θ is as it was.
fn refused(theta: &Tensor, x: &Tensor, y: &Tensor, optimiser: Optimiser) -> String {
    let schedule = Schedule::new(Rule::Spc { light_cone: true, deviation: false }, vec![0.1; 3]);
    let before = theta.copy().unwrap().to_dtype(DType::F64).unwrap();
    let error = engine().train(&schedule, LOSS, optimiser, theta, (x, y)).unwrap_err();
    assert!(matches!(error, Error::Operand { .. }), "{error:?}");
    let after = theta.to_dtype(DType::F64).unwrap();
    assert_eq!((after - before).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
    let sentence = error.to_string();
    if matches!(optimiser, Optimiser::Sgd { .. }) {
        let learning = engine().learn(&schedule, LOSS, theta, (x, y), false).unwrap_err();
        assert_eq!(learning.to_string(), sentence);
    }
    assert!(!sentence.contains('\n'), "{sentence}");
    sentence
}

#[test]
fn shapes() {
    let (theta, x, y) = (ones(&[26]), ones(&[5, 3]), ones(&[5, 2]));
    for (theta, x, y, sentence) in [
        (&ones(&[25]), &x, &y, "the flat parameters: expected shape [26], got [25]"),
        (&ones(&[26, 1]), &x, &y, "the flat parameters: expected shape [26], got [26, 1]"),
        (&ones(&[52]), &x, &y, "the flat parameters: expected shape [26], got [52]"),
        (&theta, &ones(&[5, 4]), &y, "x: expected shape [5, 3], got [5, 4]"),
        (&theta, &ones(&[15]), &y, "x: expected shape [15, 3], got [15]"),
        (&theta, &ones(&[]), &y, "x: expected shape [0, 3], got []"),
        (&theta, &x, &ones(&[4, 2]), "y: expected shape [5, 2], got [4, 2]"),
        (&theta, &x, &ones(&[5, 2, 1]), "y: expected shape [5, 2], got [5, 2, 1]"),
    ] {
        assert_eq!(refused(theta, x, y, SGD), sentence);
    }
    let momentum = Optimiser::Momentum { rate: 0.1, mu: 0.9 };
    assert_eq!(refused(&theta, &x, &y, momentum), "the flat parameters: expected shape [52], got [26]");
    let mq = Optimiser::Mq { rate: 0.1, min_rate: 0.0, r: 1.0, decay: 0.5 };
    assert_eq!(refused(&theta, &x, &y, mq), "the flat parameters: expected shape [28], got [26]");
    assert_eq!(
        refused(&ones(&[28]), &ones(&[0, 3]), &ones(&[0, 2]), mq),
        "x under MQ, which averages over the batch: expected at least one row, got none"
    );
}

#[test]
fn dtypes() {
    let (theta, x, y) = (ones(&[26]), ones(&[5, 3]), ones(&[5, 2]));
    let to = |t: &Tensor, dtype| t.to_dtype(dtype).unwrap();
    for (theta, x, y, sentence) in [
        (&to(&theta, DType::F16), &x, &y, "the flat parameters: expected f32 or f64, got f16"),
        (&to(&theta, DType::U32), &x, &y, "the flat parameters: expected f32 or f64, got u32"),
        (&to(&theta, DType::F64), &x, &y, "x: expected the parameters' dtype, got f32"),
        (&theta, &to(&x, DType::F64), &y, "x: expected the parameters' dtype, got f64"),
        (&theta, &x, &to(&y, DType::BF16), "y: expected the parameters' dtype, got bf16"),
    ] {
        assert_eq!(refused(theta, x, y, SGD), sentence);
    }
}

#[test]
fn memory() {
    let (theta, x, y) = (ones(&[26]), ones(&[5, 3]), ones(&[5, 2]));
    let turned = ones(&[3, 5]).t().unwrap();
    assert_eq!(refused(&theta, &turned, &y, SGD), "x: expected contiguous memory, got strides [1, 5]");
    let part = ones(&[5, 7]).narrow(1, 2, 2).unwrap();
    assert_eq!(refused(&theta, &x, &part, SGD), "y: expected contiguous memory, got strides [7, 1]");
    let spread = ones(&[26, 2]).narrow(1, 0, 1).unwrap().squeeze(1).unwrap();
    let sentence = "the flat parameters: expected contiguous memory, got strides [2]";
    assert_eq!(refused(&spread, &x, &y, SGD), sentence);
}

/// Contiguous parts of larger tensors are no copies: what lies before and behind them is neither written nor read.
#[test]
fn contiguous_parts_are_taken_where_they_lie() {
    let schedule = Schedule::new(Rule::Epc, vec![0.1; 2]);
    let whole = Tensor::arange(0f32, 36.0, &Device::Cpu).unwrap().affine(0.01, 0.0).unwrap();
    let theta = whole.narrow(0, 4, 26).unwrap();
    let (x, y) = (ones(&[9, 3]).narrow(0, 2, 5).unwrap(), ones(&[9, 2]).narrow(0, 4, 5).unwrap());
    let (copy, before) = (theta.copy().unwrap(), whole.to_vec1::<f32>().unwrap());
    engine().train(&schedule, LOSS, SGD, &copy, (&ones(&[5, 3]), &ones(&[5, 2]))).unwrap();
    engine().train(&schedule, LOSS, SGD, &theta, (&x, &y)).unwrap();
    let after = whole.to_vec1::<f32>().unwrap();
    assert_eq!((&after[..4], &after[30..]), (&before[..4], &before[30..]));
    assert_eq!(&after[4..30], copy.to_vec1::<f32>().unwrap());
    assert_ne!(&after[4..30], &before[4..30]);
}

/// Momentum is of sPC and ePC, and of every step or none.
#[test]
fn momentum() {
    let heavy = Momentum { beta: 0.9, direct: 0.0, carried: 1.0 };
    let (theta, x, y) = (ones(&[26]), ones(&[5, 3]), ones(&[5, 2]));
    for (rule, momenta, sentence) in [
        (Rule::Epc, 2, "a schedule of 3 steps needs the momentum of each of them or none, and has 2"),
        (Rule::Epc, 4, "a schedule of 3 steps needs the momentum of each of them or none, and has 4"),
        (
            Rule::SeqIl { mixing: 1.0 },
            3,
            "rule seqil has no momentum in the fused engine, which gives it to spc and epc only",
        ),
    ] {
        let schedule = Schedule { momentum: vec![heavy; momenta], ..Schedule::new(rule, vec![0.1; 3]) };
        let trained = engine().train(&schedule, LOSS, SGD, &theta, (&x, &y)).unwrap_err();
        let learned = engine().learn(&schedule, LOSS, &theta, (&x, &y), false).unwrap_err();
        assert_eq!((trained.to_string(), learned.to_string()), (sentence.into(), sentence.into()));
    }
    assert_eq!(theta.sum_all().unwrap().to_scalar::<f32>().unwrap(), 26.0);
}

/// What a CPU would only imitate it does not do; f32 as it is, it does.
#[test]
fn operands_of_tensor_cores() {
    let schedule = Schedule::new(Rule::Bp, vec![]);
    let (theta, x, y) = (ones(&[26]), ones(&[5, 3]), ones(&[5, 2]));
    for math in MathMode::ALL {
        let engine = engine().with_math(math);
        assert_eq!(engine.math(), math);
        match engine.learn(&schedule, LOSS, &theta, (&x, &y), false) {
            Ok(_) => assert_eq!(math, MathMode::F32),
            Err(error) => assert_eq!(
                error.to_string(),
                format!(
                    "{math} operands need a GPU and f32; use device `cuda` and dtype f32, or operands of f32"
                )
            ),
        }
        engine.settled().unwrap();
    }
}
