//! Whole calls of the engine, on stacks of every kind, with the results of the engine on the CPU in f64.

use candle_core::{Device, Tensor};
use pcnbench_kernels::launch::Task;
use pcnbench_kernels::{
    Activation, Dense, Fused, Loss, LossKind, Optimiser, Reduction, Rule, Schedule, Stack,
};

use crate::random::Random;

/// Sizes around the edges of tiles of 16, 32 and 64.
const SIZES: [usize; 9] = [0, 1, 3, 15, 16, 17, 33, 64, 65];

/// Every rule with every switch.
pub const RULES: [Rule; 14] = [
    Rule::Bp,
    Rule::Zil,
    Rule::Spc { light_cone: true, deviation: false },
    Rule::Spc { light_cone: false, deviation: false },
    Rule::Epc,
    Rule::Fpa { light_cone: true },
    Rule::Fpa { light_cone: false },
    Rule::Ar { top_down: false },
    Rule::Ar { top_down: true },
    Rule::SeqIl { mixing: 1.0 },
    Rule::SeqIl { mixing: 0.6 },
    Rule::Ipc { light_cone: true, weight_step: 0.05, evaluate: true },
    Rule::Ipc { light_cone: true, weight_step: 0.05, evaluate: false },
    Rule::Ipc { light_cone: false, weight_step: 0.05, evaluate: true },
];

/// Every task.
pub fn tasks() -> [Task; 6] {
    [
        Task::Learn { traces: true },
        Task::Learn { traces: false },
        Task::Train(Optimiser::Sgd { rate: 0.1 }),
        Task::Train(Optimiser::Momentum { rate: 0.1, mu: 0.9 }),
        // an ε that keeps rounding of tiny directions from becoming a step
        Task::Train(Optimiser::Adam { rate: 0.01, betas: (0.9, 0.999), epsilon: 1e-3, update: 3 }),
        Task::Train(Optimiser::Mq { rate: 0.02, min_rate: 0.003, r: 1e-6, decay: 0.75 }),
    ]
}

#[derive(Debug, Clone)]
pub struct Case {
    pub stack: Stack,
    pub schedule: Schedule,
    pub loss: Loss,
    pub batch: usize,
    pub task: Task,
    seed: u64,
}

/// Numbers of a case.
pub struct Start {
    /// θ, with the optimiser's state behind it.
    pub theta: Vec<f64>,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
}

/// A stack of these widths, everything else drawn.
pub fn stack(random: &mut Random, widths: &[usize]) -> Stack {
    let layers = widths.windows(2).map(|pair| Dense {
        inputs: pair[0],
        outputs: pair[1],
        act_in: random.one_of(&Activation::STACKED),
        act_out: random.one_of(&Activation::STACKED),
        scale: random.one_of(&[1.0, 0.4, -0.7]),
        skip: pair[0] == pair[1] && random.index(2) == 0,
        bias: random.index(3) > 0,
    });
    Stack::new(layers.collect()).unwrap()
}

pub fn case(seed: u64, widths: &[usize], batch: usize, rule: Rule, steps: usize, task: Task) -> Case {
    let mut random = Random::new(seed);
    let stack = stack(&mut random, widths);
    let kind = random.one_of(&LossKind::STACKED);
    let precision = random.one_of(&[1.0, 0.3]);
    let steps = if matches!(rule, Rule::Bp | Rule::Zil) { 0 } else { steps };
    let steps = (0..steps).map(|t| [0.2, 0.1, 0.3][t % 3]).collect();
    Case {
        stack,
        schedule: Schedule::new(rule, steps),
        loss: Loss { kind, reduction: Reduction::Sum, precision },
        batch,
        task,
        seed,
    }
}

/// Every rule with every task, then drawn ones.
pub fn cases(drawn: u64) -> Vec<Case> {
    let mut cases = vec![];
    for (i, rule) in RULES.into_iter().enumerate() {
        for (j, task) in tasks().into_iter().enumerate() {
            let widths: &[usize] = [&[5, 6, 6, 6, 4][..], &[7, 20, 20, 3], &[17, 5, 33, 2]][(i + j) % 3];
            // none, within the light cone, beyond it; odd and even
            let steps = [4, 1, 2, 6, 3, 5][(i + j) % 6];
            cases.push(case(1000 + 10 * i as u64 + j as u64, widths, [3, 17, 5][j % 3], rule, steps, task));
        }
        let learn = Task::Learn { traces: true };
        cases.push(case(2000 + i as u64, &[3, 4, 4, 2], 2, rule, 0, learn));
        cases.push(case(2100 + i as u64, &[6, 3], 4, rule, 2, learn));
        cases.push(case(2200 + i as u64, &[6, 5, 3], 0, rule, 2, learn));
        cases.push(case(2300 + i as u64, &[0, 3, 0, 2, 0], 3, rule, 3, tasks()[3]));
    }
    for seed in 3000..3000 + drawn {
        let mut random = Random::new(seed);
        let mut widths = vec![random.one_of(&SIZES)];
        for _ in 0..1 + random.index(4) {
            let last = widths[widths.len() - 1];
            widths.push(if random.index(2) == 0 { last } else { random.one_of(&SIZES) });
        }
        let task = random.one_of(&tasks());
        // MQ averages over the batch, and there is no softmax of nothing to hold a result against
        let batch = random.one_of(&[1, 1, 2, 16, 31, 64, 65]);
        cases.push(case(seed, &widths, batch, random.one_of(&RULES), random.index(6), task));
    }
    cases
}

impl Case {
    pub fn start(&self) -> Start {
        let mut random = Random::new(self.seed ^ 0x5eed);
        let mut numbers = |n: usize| (0..n).map(|_| f64::from(random.number())).collect::<Vec<_>>();
        let (stack, depth) = (&self.stack, self.stack.depth());
        let mut theta = numbers(stack.parameters());
        for l in 1..=depth {
            // as large as keeps states of the order of 1
            let factor = 1.5 / (stack.units(l - 1).max(1) as f64).sqrt();
            theta[stack.weights(l)].iter_mut().for_each(|w| *w *= factor);
        }
        if let Task::Train(optimiser) = self.task {
            let moves = matches!(self.schedule.rule, Rule::Ipc { .. });
            let mut state = numbers(optimiser.state_elements(stack.parameters(), depth));
            // second moments and scales of layers are positive
            state.iter_mut().for_each(|s| *s = 0.01 + s.abs());
            if !moves {
                theta.extend(state);
            }
        }
        let x = numbers(self.batch * stack.units(0));
        let outputs = stack.units(depth);
        let mut y = numbers(self.batch * outputs);
        if self.loss.kind == LossKind::CrossEntropy {
            for row in y.chunks_mut(outputs.max(1)) {
                let sum: f64 = row.iter().map(|v| v.abs()).sum();
                row.iter_mut().for_each(|v| *v = v.abs() / sum);
            }
        }
        Start { theta, x, y }
    }

    /// θ (with the optimiser's state) after `train`, or all results of `learn`, by the engine on the CPU in f64.
    pub fn on_cpu(&self, start: &Start) -> Vec<f64> {
        let engine = Fused::new(self.stack.clone(), 1).unwrap();
        let tensor =
            |numbers: &[f64], shape: &[usize]| Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap();
        let depth = self.stack.depth();
        let x = tensor(&start.x, &[self.batch, self.stack.units(0)]);
        let y = tensor(&start.y, &[self.batch, self.stack.units(depth)]);
        let (schedule, loss) = (&self.schedule, self.loss);
        let theta = tensor(&start.theta, &[start.theta.len()]);
        match self.task {
            Task::Learn { traces } => {
                let learned = engine.learn(schedule, loss, &theta, (&x, &y), traces).unwrap();
                let (states, errors) = learned.traces.unwrap_or_default();
                let mut all = vec![learned.theta, learned.output];
                all.extend(states.into_iter().chain(errors));
                all.iter().flat_map(|t| t.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
            }
            Task::Train(optimiser) => {
                // a rule that moves θ itself leaves the optimiser alone
                let sgd = Optimiser::Sgd { rate: 0.0 };
                let moves = matches!(schedule.rule, Rule::Ipc { .. });
                let optimiser = if moves { sgd } else { optimiser };
                engine.train(schedule, loss, optimiser, &theta, (&x, &y)).unwrap();
                theta.to_vec1().unwrap()
            }
        }
    }

    /// How far a result in a type with this ε may be from one in f64, relative to the largest number in it: sums of K
    /// products are off by (K + 8)·ε, once in each of the L + T sweeps through the net, on weights that neither let
    /// states grow nor die; 8 of that for the way back and the optimiser.
    pub fn bound(&self, epsilon: f64) -> f64 {
        let (depth, steps) = (self.stack.depth(), self.schedule.steps.len());
        let terms = self.stack.widest().max(self.batch) + 8;
        8.0 * epsilon * terms as f64 * (depth + steps + 1) as f64
    }

    /// Compares a result with that of the CPU.
    pub fn compare(&self, got: &[f64], expected: &[f64], epsilon: f64) -> Result<(), String> {
        assert_eq!(got.len(), expected.len());
        let most = expected.iter().fold(1.0f64, |most, e| most.max(e.abs()));
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            let off = (got - expected).abs();
            if off.is_nan() || off > self.bound(epsilon) * most {
                return Err(format!(
                    "element {i} is {got:e}; expected {expected:e} ± {:.1e}",
                    self.bound(epsilon) * most
                ));
            }
        }
        Ok(())
    }
}
