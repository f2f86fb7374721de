//! The rules in f64, straight from their equations: nested loops over samples and units, nothing skipped, nothing
//! shared.
//!
//! Layer l predicts μ_l = φ_out(a W φ_in(v_{l−1}) + b) + v_{l−1} (if it has a skip). With δ = φ_out' ⊙ e,
//! J_lᵀe = φ_in' ⊙ a Wᵀδ + e (if it has a skip), and parameters learn along a δ φ_in(v_{l−1})ᵀ and δ.

use pcnbench_kernels::{Activation, Dense, Loss, LossKind, Momentum, Optimiser, Rule, Schedule, Stack};

/// Values of one layer for one sample, or of all layers.
type Row = Vec<f64>;
type Rows = Vec<Row>;

/// The results of a rule: θ in the flat form (directions, or the moved parameters), and per layer `[B, n_l]`.
pub struct Left {
    pub theta: Row,
    pub output: Row,
    pub states: Rows,
    pub errors: Rows,
    /// The largest number met on the way.
    pub scale: f64,
    /// The argument of relu that came nearest to its kink, exact zeros apart.
    pub nearest_kink: f64,
}

/// A stack with parameters, and what its evaluations have met.
struct Net<'a> {
    stack: &'a Stack,
    theta: Row,
    scale: f64,
    kink: f64,
}

/// One sample on its way: v_0..v_{L−1}, μ_1..μ_L and ε_1..ε_L.
#[derive(Clone)]
struct Chain {
    v: Rows,
    mu: Rows,
    e: Rows,
}

fn phi(act: Activation, z: f64) -> f64 {
    match act {
        Activation::Identity => z,
        Activation::Tanh => z.tanh(),
        Activation::Relu => z.max(0.0),
        Activation::Gelu => 0.5 * z * (1.0 + libm::erf(z / 2f64.sqrt())),
        other => panic!("no layer of a stack has {other}"),
    }
}

fn slope(act: Activation, z: f64) -> f64 {
    match act {
        Activation::Identity => 1.0,
        Activation::Tanh => 1.0 / z.cosh().powi(2),
        Activation::Relu => f64::from(u8::from(z > 0.0)),
        Activation::Gelu => {
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            0.5 * (1.0 + libm::erf(z / 2f64.sqrt())) + z * density
        }
        other => panic!("no layer of a stack has {other}"),
    }
}

impl Net<'_> {
    fn layer(&self, l: usize) -> &Dense {
        self.stack.layer(l)
    }

    fn weight(&self, l: usize, i: usize, j: usize) -> f64 {
        self.theta[self.stack.weights(l).start + i * self.stack.units(l - 1) + j]
    }

    fn meet(&mut self, act: Activation, values: &[f64]) {
        for z in values {
            self.scale = self.scale.max(z.abs());
            if act == Activation::Relu && *z != 0.0 {
                self.kink = self.kink.min(z.abs());
            }
        }
    }

    fn pre(&mut self, l: usize, below: &[f64]) -> Row {
        let layer = *self.layer(l);
        let mut pre = vec![0.0; layer.outputs];
        for (i, z) in pre.iter_mut().enumerate() {
            for (j, v) in below.iter().enumerate() {
                *z += self.weight(l, i, j) * phi(layer.act_in, *v);
            }
            *z *= layer.scale;
            if layer.bias {
                *z += self.theta[self.stack.biases(l).start + i];
            }
        }
        self.meet(layer.act_in, below);
        self.meet(layer.act_out, &pre);
        pre
    }

    fn forward(&mut self, l: usize, below: &[f64]) -> Row {
        let layer = *self.layer(l);
        let mut mu: Row = self.pre(l, below).iter().map(|z| phi(layer.act_out, *z)).collect();
        if layer.skip {
            mu.iter_mut().zip(below).for_each(|(m, v)| *m += v);
        }
        mu
    }

    fn delta(&mut self, l: usize, below: &[f64], e: &[f64]) -> Row {
        let act = self.layer(l).act_out;
        self.meet(Activation::Identity, e);
        self.pre(l, below).iter().zip(e).map(|(z, e)| slope(act, *z) * e).collect()
    }

    /// J_lᵀ e at the state below.
    fn pull(&mut self, l: usize, below: &[f64], e: &[f64]) -> Row {
        let layer = *self.layer(l);
        let delta = self.delta(l, below, e);
        let mut r = vec![0.0; layer.inputs];
        for (j, r) in r.iter_mut().enumerate() {
            for (i, d) in delta.iter().enumerate() {
                *r += self.weight(l, i, j) * d;
            }
            *r *= layer.scale * slope(layer.act_in, below[j]);
            if layer.skip {
                *r += e[j];
            }
        }
        r
    }

    /// Adds one sample's direction of layer l to the flat sum.
    fn learn(&mut self, l: usize, below: &[f64], e: &[f64], sum: &mut [f64]) {
        let layer = *self.layer(l);
        let delta = self.delta(l, below, e);
        let (w, b) = (self.stack.weights(l).start, self.stack.biases(l));
        for (i, d) in delta.iter().enumerate() {
            for (j, v) in below.iter().enumerate() {
                sum[w + i * layer.inputs + j] += layer.scale * d * phi(layer.act_in, *v);
            }
            if layer.bias {
                sum[b.start + i] += d;
            }
        }
    }

    /// The forward pass of one sample.
    fn start(&mut self, x: &[f64]) -> Chain {
        let depth = self.stack.depth();
        let (mut v, mut mu) = (vec![x.to_vec()], vec![]);
        for l in 1..=depth {
            let next = self.forward(l, &v[l - 1]);
            mu.push(next.clone());
            v.push(next);
        }
        v.pop();
        let e = mu.iter().map(|m| vec![0.0; m.len()]).collect();
        Chain { v, mu, e }
    }

    /// Predictions and errors at the present states.
    fn refresh(&mut self, chain: &mut Chain, output: &dyn Fn(&[f64]) -> Row) {
        let depth = self.stack.depth();
        for l in 1..=depth {
            chain.mu[l - 1] = self.forward(l, &chain.v[l - 1]);
            chain.e[l - 1] = match l < depth {
                true => chain.v[l].iter().zip(&chain.mu[l - 1]).map(|(v, m)| v - m).collect(),
                false => output(&chain.mu[l - 1]),
            };
        }
    }
}

/// −∂loss/∂o, times the factor of a mixed target.
pub fn output_error(loss: Loss, factor: f64, o: &[f64], y: &[f64]) -> Row {
    let total: f64 = o.iter().map(|o| o.exp()).sum();
    let each = |(o, y): (&f64, &f64)| match loss.kind {
        LossKind::HalfSquaredError => y - o,
        LossKind::SquaredError => 2.0 * (y - o),
        LossKind::CrossEntropy => y - o.exp() / total,
        other => panic!("no stack has loss {other}"),
    };
    o.iter().zip(y).map(each).map(|e| factor * loss.precision * e).collect()
}

fn moved(from: &[f64], by: f64, along: &[f64]) -> Row {
    from.iter().zip(along).map(|(v, d)| v + by * d).collect()
}

fn difference(a: &[f64], b: &[f64]) -> Row {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// What a step goes along: a d + c u, u being d + β times the u of the step before; d itself without momentum.
fn along(momentum: Option<&Momentum>, descent: &[f64], sum: &mut Row) -> Row {
    let Some(m) = momentum else { return descent.to_vec() };
    *sum = moved(descent, m.beta, sum);
    descent.iter().zip(&*sum).map(|(d, u)| m.direct * d + m.carried * u).collect()
}

/// The inference of one sample under a rule that leaves the parameters alone; errors are left at the last point.
fn infer(net: &mut Net<'_>, schedule: &Schedule, output: &dyn Fn(&[f64]) -> Row, x: &[f64]) -> (Chain, Rows) {
    let depth = net.stack.depth();
    let mut c = net.start(x);
    c.e[depth - 1] = output(&c.mu[depth - 1]);
    let start = c.v.clone();
    match schedule.rule {
        Rule::Bp | Rule::Zil => {
            for l in (1..depth).rev() {
                c.e[l - 1] = net.pull(l + 1, &start[l], &c.e[l].clone());
            }
            if schedule.rule == Rule::Zil {
                (1..depth).for_each(|l| c.v[l] = moved(&start[l], 1.0, &c.e[l - 1]));
            }
        }
        Rule::Spc { .. } => {
            let mut sums: Rows = c.e.iter().map(|e| vec![0.0; e.len()]).collect();
            for (t, g) in schedule.steps.iter().enumerate() {
                let old = c.clone();
                for l in 1..depth {
                    let descent = difference(&net.pull(l + 1, &old.v[l], &old.e[l]), &old.e[l - 1]);
                    let along = along(schedule.momentum.get(t), &descent, &mut sums[l - 1]);
                    c.v[l] = moved(&old.v[l], *g, &along);
                }
                net.refresh(&mut c, output);
            }
        }
        Rule::Epc => {
            let mut free: Rows = c.e.clone();
            let mut sums: Rows = c.e.iter().map(|e| vec![0.0; e.len()]).collect();
            for (t, g) in schedule.steps.iter().enumerate() {
                let mut b = output(&net.forward(depth, &c.v[depth - 1]));
                for l in (1..depth).rev() {
                    b = net.pull(l + 1, &c.v[l], &b);
                    let descent = difference(&b, &free[l - 1]);
                    let along = along(schedule.momentum.get(t), &descent, &mut sums[l - 1]);
                    free[l - 1] = moved(&free[l - 1], *g, &along);
                }
                for l in 1..depth {
                    c.v[l] = moved(&net.forward(l, &c.v[l - 1]), 1.0, &free[l - 1]);
                }
            }
            let o = net.forward(depth, &c.v[depth - 1]);
            (c.e, c.mu[depth - 1]) = (free, o);
            c.e[depth - 1] = output(&c.mu[depth - 1]);
        }
        Rule::Fpa { .. } => {
            for g in &schedule.steps {
                let old = c.e.clone();
                for l in 1..depth {
                    let descent = difference(&net.pull(l + 1, &start[l], &old[l]), &old[l - 1]);
                    c.v[l] = moved(&c.v[l], *g, &descent);
                    c.e[l - 1] = difference(&c.v[l], &start[l]);
                }
            }
        }
        Rule::Ar { top_down } => {
            (1..depth).for_each(|l| c.e[l - 1] = start[l].iter().map(|v| -v).collect());
            for g in &schedule.steps {
                let old = c.e.clone();
                let order: Vec<usize> =
                    if top_down { (1..depth).rev().collect() } else { (1..depth).collect() };
                for l in order {
                    let above = if top_down { c.e[l].clone() } else { old[l].clone() };
                    let descent = difference(&net.pull(l + 1, &start[l], &above), &old[l - 1]);
                    c.e[l - 1] = moved(&old[l - 1], *g, &descent);
                }
            }
        }
        Rule::SeqIl { .. } => {
            for g in &schedule.steps {
                for l in (1..depth).rev() {
                    // the state above has moved; its prediction is still that of the sweep before
                    let above = match l + 1 < depth {
                        true => difference(&c.v[l + 1], &c.mu[l]),
                        false => c.e[depth - 1].clone(),
                    };
                    let own = difference(&c.v[l], &c.mu[l - 1]);
                    c.v[l] = moved(&c.v[l], *g, &difference(&net.pull(l + 1, &c.v[l], &above), &own));
                }
                net.refresh(&mut c, output);
            }
        }
        Rule::Ipc { .. } => unreachable!("moves the parameters"),
    }
    let read = if matches!(schedule.rule, Rule::Bp | Rule::Zil | Rule::Fpa { .. } | Rule::Ar { .. }) {
        start
    } else {
        c.v.clone()
    };
    (c, read)
}

/// A rule on a batch of `rows` samples of x and y, row-major.
pub fn learn(
    stack: &Stack,
    schedule: &Schedule,
    loss: Loss,
    theta: &[f64],
    x: &[f64],
    y: &[f64],
    rows: usize,
) -> Left {
    let (depth, inputs, outputs) = (stack.depth(), stack.units(0), stack.units(stack.depth()));
    let mut net = Net { stack, theta: theta[..stack.parameters()].to_vec(), scale: 1.0, kink: f64::INFINITY };
    let x = |s: usize| &x[s * inputs..(s + 1) * inputs];
    let y = |s: usize| &y[s * outputs..(s + 1) * outputs];
    let factor = if let Rule::SeqIl { mixing } = schedule.rule { mixing } else { 1.0 };
    let mut sum = vec![0.0; stack.parameters()];
    let mut chains = vec![];
    if let Rule::Ipc { weight_step, evaluate, .. } = schedule.rule {
        for s in 0..rows {
            let mut c = net.start(x(s));
            net.refresh(&mut c, &|o| output_error(loss, 1.0, o, y(s)));
            chains.push(c);
        }
        for (t, g) in schedule.steps.iter().enumerate() {
            sum.fill(0.0);
            for c in &mut chains {
                let old = c.clone();
                for l in 1..=depth {
                    net.learn(l, &old.v[l - 1], &old.e[l - 1], &mut sum);
                }
                for l in 1..depth {
                    let descent = difference(&net.pull(l + 1, &old.v[l], &old.e[l]), &old.e[l - 1]);
                    c.v[l] = moved(&old.v[l], *g, &descent);
                }
            }
            net.theta = moved(&net.theta, weight_step, &sum);
            if t + 1 < schedule.steps.len() || evaluate {
                for (s, c) in chains.iter_mut().enumerate() {
                    net.refresh(c, &|o| output_error(loss, 1.0, o, y(s)));
                }
            }
        }
        sum.clone_from(&net.theta);
    } else {
        for s in 0..rows {
            let output = |o: &[f64]| output_error(loss, factor, o, y(s));
            let (chain, read) = infer(&mut net, schedule, &output, x(s));
            for l in 1..=depth {
                net.learn(l, &read[l - 1], &chain.e[l - 1], &mut sum);
            }
            chains.push(chain);
        }
    }
    let of = |pick: &dyn Fn(&Chain) -> Row| chains.iter().flat_map(pick).collect::<Row>();
    Left {
        theta: sum,
        output: of(&|c| c.mu[depth - 1].clone()),
        states: (1..depth).map(|l| of(&|c| c.v[l].clone())).collect(),
        errors: (1..=depth).map(|l| of(&|c| c.e[l - 1].clone())).collect(),
        scale: net.scale,
        nearest_kink: net.kink,
    }
}

/// One update of θ along d, with the state behind it in the same vector.
pub fn step(stack: &Stack, optimiser: Optimiser, theta: &mut [f64], d: &[f64], rows: usize) {
    let (theta, state) = theta.split_at_mut(stack.parameters());
    let n = theta.len();
    match optimiser {
        Optimiser::Sgd { rate } => (0..n).for_each(|i| theta[i] += rate * d[i]),
        Optimiser::Momentum { rate, mu } => {
            for i in 0..n {
                state[i] = mu * state[i] + d[i];
                theta[i] += rate * state[i];
            }
        }
        Optimiser::Adam { rate, betas, epsilon, update } => {
            for i in 0..n {
                state[i] = betas.0 * state[i] + (1.0 - betas.0) * d[i];
                state[n + i] = betas.1 * state[n + i] + (1.0 - betas.1) * d[i] * d[i];
                let m = state[i] / (1.0 - betas.0.powi(update));
                let s = state[n + i] / (1.0 - betas.1.powi(update));
                theta[i] += rate * m / (s.sqrt() + epsilon);
            }
        }
        Optimiser::Mq { rate, min_rate, r, decay } => {
            for l in 1..=stack.depth() {
                let own = stack.weights(l).chain(stack.biases(l));
                let v = state[l - 1];
                let mut sum = 0.0;
                for i in own.clone() {
                    let mean = d[i] / rows as f64;
                    theta[i] += (rate / (v + r) + min_rate) * mean;
                    sum += mean.abs();
                }
                state[l - 1] = decay * v + (1.0 - decay) * sum / own.count().max(1) as f64;
            }
        }
    }
}
