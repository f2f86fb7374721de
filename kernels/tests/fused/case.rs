//! A call of the engine: drawn, run by it, and run by the plain loops.

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::{
    Activation, Dense, Fused, Loss, LossKind, Momentum, Reduction, Rule, Schedule, Stack,
};
use proptest::prelude::*;

use crate::plain::{self, Left};
use crate::random::Random;

/// Sizes of stacks and batches, from the smallest to past every tile.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// Units 0..40, mostly one thread.
    Small,
    /// Enough work for four threads.
    Large,
}

/// Everything of a call but the numbers, which follow from the seed.
#[derive(Debug, Clone)]
pub struct Case {
    pub layers: Vec<Dense>,
    pub schedule: Schedule,
    pub loss: Loss,
    pub batch: usize,
    pub threads: usize,
    pub seed: u64,
}

/// θ, x and y in f64, each a number of f32.
pub struct Numbers {
    pub theta: Vec<f64>,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
}

fn rule(kind: usize, flags: (bool, bool), batch: usize) -> Rule {
    let (light_cone, other) = flags;
    // sums over the batch, so that the parameters of a large one do not run away
    let weight_step = 0.05 / batch.max(1) as f64;
    match kind {
        0 => Rule::Bp,
        1 => Rule::Zil,
        2 => Rule::Spc { light_cone, deviation: other },
        3 => Rule::Epc,
        4 => Rule::Fpa { light_cone },
        6 => Rule::Ar { top_down: other },
        5 => Rule::SeqIl { mixing: if other { 1.0 } else { 100.0 / 101.0 } },
        _ => Rule::Ipc { light_cone, weight_step, evaluate: other },
    }
}

/// Plain descent, the heavy ball, Nesterov's method, and any numbers, of T steps.
fn momentum(kind: usize, drawn: &[[f64; 3]]) -> Vec<Momentum> {
    let of = |t: usize| match kind {
        0 => Momentum { beta: 0.9, direct: 0.0, carried: 1.0 },
        1 => {
            let after = |t: usize| t as f64 / (t + 3) as f64;
            Momentum { beta: after(t.saturating_sub(1)), direct: 1.0, carried: after(t) }
        }
        _ => Momentum { beta: drawn[t][0], direct: drawn[t][1], carried: drawn[t][2] },
    };
    (0..drawn.len()).map(of).collect()
}

prop_compose! {
    fn shape(size: Size)(
        sizes in match size {
            Size::Small => proptest::collection::vec(0usize..41, 2..7).boxed(),
            Size::Large => proptest::collection::vec(
                prop_oneof![8 => 20usize..41, 1 => Just(64), 1 => Just(65), 1 => Just(128)], 3..7).boxed(),
        },
        // as often as not a layer keeps the size of the one below, so that it can have a skip
        keep in proptest::collection::vec(any::<bool>(), 7),
        kinds in proptest::collection::vec((0usize..4, 0usize..4, any::<bool>(), any::<bool>()), 7),
        scale in prop_oneof![Just(1.0), 0.5f64..1.1],
    ) -> Vec<Dense> {
        let mut sizes = sizes;
        for l in 1..sizes.len() {
            if keep[l] {
                sizes[l] = sizes[l - 1];
            }
        }
        (1..sizes.len()).map(|l| {
            let (act_in, act_out, skip, bias) = kinds[l];
            let (inputs, outputs) = (sizes[l - 1], sizes[l]);
            let skip = skip && inputs == outputs;
            let [act_in, act_out] = [act_in, act_out].map(|i| Activation::STACKED[i]);
            Dense { inputs, outputs, act_in, act_out, scale, skip, bias }
        }).collect()
    }
}

prop_compose! {
    /// Any call of this size.
    pub fn case(size: Size)(
        layers in shape(size),
        kind in 0usize..8,
        flags in any::<(bool, bool)>(),
        loss in (0usize..3, prop_oneof![Just(1.0), 0.1f64..1.0]),
        batch in match size {
            Size::Small => proptest::sample::select(vec![0, 1, 2, 15, 16, 17, 63, 64, 65]),
            Size::Large => proptest::sample::select(vec![15, 16, 17, 63, 64, 65, 130]),
        },
        steps in match size {
            Size::Small => proptest::collection::vec(0.02f64..0.2, 0..13),
            Size::Large => proptest::collection::vec(0.02f64..0.2, 4..13),
        },
        carried in (0usize..6, proptest::collection::vec([-0.5f64..0.95, 0.0f64..1.0, 0.0f64..1.0], 13)),
        threads in 1usize..5,
        seed in any::<u64>(),
    ) -> Case {
        let loss = Loss { kind: LossKind::STACKED[loss.0], reduction: Reduction::Sum, precision: loss.1 };
        let steps = if kind < 2 { vec![] } else { steps };
        let mut schedule = Schedule::new(rule(kind, flags, batch), steps);
        if matches!(schedule.rule, Rule::Spc { .. } | Rule::Epc) && carried.0 < 3 {
            schedule.momentum = momentum(carried.0, &carried.1[..schedule.steps.len()]);
        }
        Case { layers, schedule, loss, batch, threads, seed }
    }
}

impl Case {
    pub fn stack(&self) -> Stack {
        Stack::new(self.layers.clone()).unwrap()
    }

    /// Weights uniform in ±1/√n_{l−1}, x in ±1, y in ±1 or, under cross-entropy, a distribution.
    pub fn numbers(&self) -> Numbers {
        let mut random = Random::new(self.seed);
        let stack = self.stack();
        let mut theta = vec![];
        for layer in &self.layers {
            let bound = 1.0 / (layer.inputs.max(1) as f32).sqrt();
            let biases = if layer.bias { layer.outputs } else { 0 };
            theta.extend((0..layer.inputs * layer.outputs + biases).map(|_| bound * random.number()));
        }
        let outputs = stack.units(stack.depth());
        let x = random.numbers(self.batch * stack.units(0));
        let mut y = random.numbers(self.batch * outputs);
        if self.loss.kind == LossKind::CrossEntropy {
            // one class each; sums to 1 in every precision
            for row in y.chunks_mut(outputs.max(1)) {
                let class = random.index(row.len());
                row.iter_mut().enumerate().for_each(|(i, y)| *y = f32::from(u8::from(i == class)));
            }
        }
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        Numbers { theta: wide(theta), x: wide(x), y: wide(y) }
    }

    /// By the plain loops.
    pub fn plain(&self, n: &Numbers) -> Left {
        plain::learn(&self.stack(), &self.schedule, self.loss, &n.theta, &n.x, &n.y, self.batch)
    }

    /// θ, x and y as tensors.
    pub fn tensors(&self, n: &Numbers, dtype: DType) -> [Tensor; 3] {
        let stack = self.stack();
        let tensor = |values: &[f64], shape: &[usize]| {
            Tensor::from_slice(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        let (inputs, outputs) = (stack.units(0), stack.units(stack.depth()));
        let (x, y) = (tensor(&n.x, &[self.batch, inputs]), tensor(&n.y, &[self.batch, outputs]));
        [tensor(&n.theta, &[n.theta.len()]), x, y]
    }

    /// By the engine.
    pub fn fused(&self, n: &Numbers, dtype: DType) -> Left {
        let engine = Fused::new(self.stack(), self.threads).unwrap();
        self.fused_on(&engine, n, dtype)
    }

    pub fn fused_on(&self, engine: &Fused, n: &Numbers, dtype: DType) -> Left {
        let [theta, x, y] = self.tensors(n, dtype);
        let learned = engine.learn(&self.schedule, self.loss, &theta, (&x, &y), true).unwrap();
        assert_eq!(values(&theta), n.theta, "learning leaves the parameters alone");
        let (states, errors) = learned.traces.unwrap();
        let all = |tensors: Vec<Tensor>| tensors.iter().map(values).collect();
        Left {
            theta: values(&learned.theta),
            output: values(&learned.output),
            states: all(states),
            errors: all(errors),
            scale: f64::NAN,
            nearest_kink: f64::NAN,
        }
    }

    /// The allowed error of a state, error or output, relative to the largest number of the call: a rounding for every
    /// term of a sum, which add up like a random walk, in each of the L layers of each of the T sweeps and the two
    /// others, plus four for what follows a product. f32 takes its transcendentals from approximations of relative
    /// error 4e-7, seven roundings.
    pub fn tolerance(&self, dtype: DType) -> f64 {
        let stack = self.stack();
        let (rounding, transcendental) =
            if dtype == DType::F32 { (2f64.powi(-24), 7.0) } else { (2f64.powi(-53), 1.0) };
        let sweeps = (self.schedule.steps.len() + 2) * (stack.depth() + 1);
        rounding * ((stack.widest() as f64).sqrt() + 4.0 + transcendental) * sweeps as f64
    }
}

pub fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// Largest |a − b|; infinite where one of them is not a number or lengths differ.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let each = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    each.fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { worst.max(d) })
}

impl Left {
    /// The largest distance from `want` in units of what is allowed, and where.
    ///
    /// A direction is a sum over the batch of products of two numbers that are each as wrong as is allowed.
    pub fn against(&self, want: &Left, tolerance: f64, batch: usize) -> (f64, String) {
        let one = tolerance * want.scale;
        let sum = one * (2.0 * want.scale) * batch.max(1) as f64;
        let mut all = vec![
            (distance(&self.theta, &want.theta) / sum, "directions".to_owned()),
            (distance(&self.output, &want.output) / one, "output".to_owned()),
        ];
        assert_eq!((self.states.len(), self.errors.len()), (want.states.len(), want.errors.len()));
        for (name, got, want) in
            [("state", &self.states, &want.states), ("error", &self.errors, &want.errors)]
        {
            let each = got.iter().zip(want).enumerate();
            all.extend(each.map(|(i, (g, w))| (distance(g, w) / one, format!("{name} {}", i + 1))));
        }
        all.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    }
}
