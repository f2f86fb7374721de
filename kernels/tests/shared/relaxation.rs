//! Whole relaxations in f64, straight from their equations: every sample on its own, plain loops, all layers in every
//! step.

use pcnbench_kernels::persistent::{Relaxation, StateLayout};
use pcnbench_kernels::{Dense, Loss, LossKind, OutputError, Stack};

use crate::reference::{act, slope};

/// A stack with everything that a relaxation of it starts from.
#[derive(Debug, Clone)]
pub struct Net {
    pub stack: Stack,
    pub batch: usize,
    pub loss: Loss,
    /// g_t.
    pub step_sizes: Vec<f32>,
    pub weights: Vec<f32>,
    /// v_0.
    pub input: Vec<f32>,
    pub targets: Vec<f32>,
}

impl Net {
    /// Its output error, as the kernels read it.
    pub fn output(&self) -> OutputError {
        self.loss.on(self.batch, self.targets.len()).unwrap()
    }
}

/// What it ends at, laid out as [`StateLayout`] says.
pub struct Exact {
    pub states: Vec<f64>,
    pub errors: Vec<f64>,
    pub deltas: Vec<f64>,
}

struct Layer<'a> {
    spec: &'a Dense,
    weights: Vec<f64>,
    biases: Vec<f64>,
}

impl Layer<'_> {
    /// a, as the kernels read it.
    fn scale(&self) -> f64 {
        f64::from(self.spec.scale as f32)
    }

    /// φ_out's argument and μ, given the state below.
    fn predict(&self, below: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let operand: Vec<_> = below.iter().map(|v| act(self.spec.act_in, *v)).collect();
        let pre: Vec<f64> = (0..self.spec.outputs)
            .map(|unit| {
                let row = &self.weights[unit * self.spec.inputs..][..self.spec.inputs];
                let sum: f64 = row.iter().zip(&operand).map(|(w, v)| w * v).sum();
                self.scale() * sum + self.biases.get(unit).copied().unwrap_or(0.0)
            })
            .collect();
        let skipped = |unit: usize| if self.spec.skip { below[unit] } else { 0.0 };
        let mu = pre.iter().enumerate().map(|(unit, z)| act(self.spec.act_out, *z) + skipped(unit)).collect();
        (pre, mu)
    }

    /// s·φ_out' ⊙ error.
    fn delta(&self, pre: &[f64], error: &[f64]) -> Vec<f64> {
        let scale = self.scale();
        pre.iter().zip(error).map(|(z, e)| scale * slope(self.spec.act_out, *z) * e).collect()
    }

    /// The transposed Jacobian at `below` on `error`.
    fn pull(&self, below: &[f64], pre: &[f64], error: &[f64]) -> Vec<f64> {
        let delta = self.delta(pre, error);
        (0..self.spec.inputs)
            .map(|unit| {
                let sum: f64 = delta
                    .iter()
                    .enumerate()
                    .map(|(k, d)| d * self.weights[k * self.spec.inputs + unit])
                    .sum();
                slope(self.spec.act_in, below[unit]) * sum + if self.spec.skip { error[unit] } else { 0.0 }
            })
            .collect()
    }
}

fn output_error(loss: Loss, mu: &[f64], y: &[f32]) -> Vec<f64> {
    let p = f64::from(loss.precision as f32);
    let most = mu.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = mu.iter().map(|o| (o - most).exp()).sum();
    let one = |(o, y): (&f64, &f32)| match loss.kind {
        LossKind::HalfSquaredError => p * (f64::from(*y) - o),
        LossKind::SquaredError => 2.0 * p * (f64::from(*y) - o),
        LossKind::CrossEntropy => p * (f64::from(*y) - (o - most).exp() / sum),
        other => panic!("no stack has loss {other}"),
    };
    mu.iter().zip(y).map(one).collect()
}

/// One sample: v_0..v_L, then argument and error of every layer, index l − 1.
struct Sample {
    v: Vec<Vec<f64>>,
    pre: Vec<Vec<f64>>,
    error: Vec<Vec<f64>>,
}

impl Sample {
    /// v_l = μ_l + e_l upwards, with e_l of hidden layers as they are; the output's error follows.
    fn forward(&mut self, layers: &[Layer<'_>], loss: Loss, y: &[f32]) {
        for (i, layer) in layers.iter().enumerate() {
            let (pre, mut mu) = layer.predict(&self.v[i]);
            self.pre[i] = pre;
            if i + 1 == layers.len() {
                self.error[i] = output_error(loss, &mu, y);
            } else {
                mu.iter_mut().zip(&self.error[i]).for_each(|(mu, e)| *mu += e);
            }
            self.v[i + 1] = mu;
        }
    }

    fn spc(&mut self, layers: &[Layer<'_>], net: &Net, y: &[f32]) {
        for g in &net.step_sizes {
            let moved: Vec<Vec<f64>> = (1..layers.len())
                .map(|l| {
                    let pull = layers[l].pull(&self.v[l], &self.pre[l], &self.error[l]);
                    let step =
                        pull.iter().zip(&self.error[l - 1]).map(|(pull, e)| f64::from(*g) * (pull - e));
                    self.v[l].iter().zip(step).map(|(v, step)| v + step).collect()
                })
                .collect();
            for (l, moved) in moved.into_iter().enumerate() {
                self.v[l + 1] = moved;
            }
            for (i, layer) in layers.iter().enumerate() {
                let (pre, mu) = layer.predict(&self.v[i]);
                self.pre[i] = pre;
                if i + 1 == layers.len() {
                    self.error[i] = output_error(net.loss, &mu, y);
                    self.v[i + 1] = mu;
                } else {
                    self.error[i] = self.v[i + 1].iter().zip(&mu).map(|(v, mu)| v - mu).collect();
                }
            }
        }
    }

    /// Adjoints' negatives of all layers.
    fn backward(&self, layers: &[Layer<'_>]) -> Vec<Vec<f64>> {
        let mut b = self.error.clone();
        for i in (1..layers.len()).rev() {
            b[i - 1] = layers[i].pull(&self.v[i], &self.pre[i], &b[i]);
        }
        b
    }

    fn epc(&mut self, layers: &[Layer<'_>], net: &Net, y: &[f32]) {
        for g in &net.step_sizes {
            let b = self.backward(layers);
            for (error, b) in self.error.iter_mut().zip(&b).take(layers.len() - 1) {
                error.iter_mut().zip(b).for_each(|(e, b)| *e += f64::from(*g) * (b - *e));
            }
            self.forward(layers, net.loss, y);
        }
    }
}

/// Where a relaxation ends.
pub fn relaxed(net: &Net, what: Relaxation) -> Exact {
    let layout = StateLayout::new(&net.stack, net.batch).unwrap();
    let wide = |numbers: &[f32]| numbers.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let layer = |l: usize| Layer {
        spec: net.stack.layer(l),
        weights: wide(&net.weights[net.stack.weights(l)]),
        biases: wide(&net.weights[net.stack.biases(l)]),
    };
    let layers: Vec<Layer<'_>> = (1..=net.stack.depth()).map(layer).collect();
    let [mut states, mut errors, mut deltas] = [(); 3].map(|()| vec![0.0; layout.elements()]);
    let (inputs, outputs) = (net.stack.units(0), net.stack.units(layers.len()));
    for s in 0..net.batch {
        let y = &net.targets[s * outputs..][..outputs];
        let zeros: Vec<_> = net.stack.layers().iter().map(|layer| vec![0.0; layer.outputs]).collect();
        let mut sample = Sample { v: vec![vec![]; layers.len() + 1], pre: zeros.clone(), error: zeros };
        sample.v[0] = wide(&net.input[s * inputs..][..inputs]);
        sample.forward(&layers, net.loss, y);
        match what {
            Relaxation::Spc { .. } => sample.spc(&layers, net, y),
            Relaxation::Epc => sample.epc(&layers, net, y),
            Relaxation::Bp => sample.error = sample.backward(&layers),
        }
        for (i, layer) in layers.iter().enumerate() {
            let n = layer.spec.outputs;
            let first = layout.range(i + 1).start;
            let at = first + s * n..first + (s + 1) * n;
            states[at.clone()].copy_from_slice(&sample.v[i + 1]);
            errors[at.clone()].copy_from_slice(&sample.error[i]);
            deltas[at].copy_from_slice(&layer.delta(&sample.pre[i], &sample.error[i]));
        }
    }
    Exact { states, errors, deltas }
}
