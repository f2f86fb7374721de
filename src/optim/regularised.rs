//! Weight decay and clipping, around any optimiser.

use candle_core::{DType, Tensor};

use super::optimiser::{Directions, Memory, Optimiser};
use crate::net::{ParamId, Params};
use crate::Result;

/// What is done to directions and parameters beside the optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Regularisation {
    /// λ of decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101): θ ← θ + step − α λ θ, where θ on the right is the parameter
    /// before the step, and α the learning rate of this update. Of all parameters that are not frozen, biases included. With Adam it is
    /// AdamW.
    pub weight_decay: f64,
    /// The largest Euclidean norm of all directions together, as they reach the optimiser (sums over the batch, or means where the loss
    /// is a mean): longer ones are scaled down to it (Pascanu, Mikolov & Bengio, arXiv 1211.5063).
    pub clip_norm: Option<f64>,
}

impl Regularisation {
    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// An optimiser with weight decay and clipping.
#[derive(Debug)]
pub struct Regularised {
    optimiser: Box<dyn Optimiser>,
    rate: f64,
    how: Regularisation,
    frozen: Vec<ParamId>,
}

impl Regularised {
    /// Around an optimiser of this learning rate; `frozen` parameters do not decay.
    pub fn new(optimiser: Box<dyn Optimiser>, rate: f64, how: Regularisation, frozen: Vec<ParamId>) -> Self {
        Self { optimiser, rate, how, frozen }
    }
}

impl Optimiser for Regularised {
    fn step(&mut self, params: &mut Params, directions: &Directions, batch: usize) -> Result<()> {
        let before = (self.how.weight_decay > 0.0).then(|| params.clone());
        match self.how.clip_norm {
            None => self.optimiser.step(params, directions, batch)?,
            Some(most) => self.optimiser.step(params, &clipped(directions, most)?, batch)?,
        }
        if let Some(before) = before {
            let share = self.rate * self.how.weight_decay;
            for (p, (param, before)) in params.iter_mut().zip(&before).enumerate() {
                if !self.frozen.contains(&p) {
                    *param = (&*param - before.affine(share, 0.0)?)?;
                }
            }
        }
        Ok(())
    }

    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
        self.optimiser.set_rate(rate);
    }

    fn memory(&self) -> Memory {
        self.optimiser.memory()
    }

    fn restore(&mut self, memory: Memory) -> Result<()> {
        self.optimiser.restore(memory)
    }
}

/// The directions, no longer than `most` together.
fn clipped(directions: &Directions, most: f64) -> Result<Directions> {
    let mut square = 0.0;
    for direction in directions.iter().flatten() {
        square += direction.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
    }
    let norm = square.sqrt();
    if norm <= most {
        return Ok(directions.clone());
    }
    let scaled = |direction: &Option<Tensor>| -> Result<Option<Tensor>> {
        Ok(direction.as_ref().map(|d| d.affine(most / norm, 0.0)).transpose()?)
    };
    directions.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::optim::OptimiserKind;

    fn numbers(t: &Tensor) -> Vec<f64> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// AdamW after two steps, against its equations written out in plain numbers.
    #[test]
    fn adam_with_decay_is_adamw() {
        let (rate, lambda) = (0.1, 0.3);
        let how = Regularisation { weight_decay: lambda, clip_norm: None };
        let mut optimiser = Regularised::new(OptimiserKind::Adam.build(rate, Vec::new()), rate, how, vec![1]);
        let fixed = Tensor::new(&[7.0f64], &Device::Cpu).unwrap();
        let mut params = vec![Tensor::new(&[2.0f64, -1.0], &Device::Cpu).unwrap(), fixed];
        let gradients = [[0.5, -2.0], [0.1, 3.0]];
        let (mut want, mut m, mut s) = ([2.0f64, -1.0], [0.0f64; 2], [0.0f64; 2]);
        for (t, g) in gradients.iter().enumerate() {
            let direction = Tensor::new(&g.map(|g: f64| -g), &Device::Cpu).unwrap();
            optimiser.step(&mut params, &vec![Some(direction), None], 1).unwrap();
            let (c1, c2) = (1.0 - 0.9f64.powi(t as i32 + 1), 1.0 - 0.999f64.powi(t as i32 + 1));
            for k in 0..2 {
                m[k] = 0.9 * m[k] + 0.1 * g[k];
                s[k] = 0.999 * s[k] + 0.001 * g[k] * g[k];
                want[k] -= rate * (m[k] / c1 / ((s[k] / c2).sqrt() + 1e-8) + lambda * want[k]);
            }
        }
        assert_eq!(numbers(&params[1]), [7.0], "a frozen parameter");
        for (got, want) in numbers(&params[0]).iter().zip(want) {
            assert!((got - want).abs() < 1e-14, "{got} for {want}");
        }
    }

    /// Directions of norm 5 become directions of norm 1 along the same way; shorter ones stay to the bit.
    #[test]
    fn clipping_keeps_the_way() {
        let how = |most| Regularisation { weight_decay: 0.0, clip_norm: Some(most) };
        for (most, want) in [(1.0, [0.6, 0.8]), (5.0, [3.0, 4.0]), (6.0, [3.0, 4.0])] {
            let mut optimiser =
                Regularised::new(OptimiserKind::Sgd.build(1.0, Vec::new()), 1.0, how(most), Vec::new());
            let zero = || Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap();
            let mut params = vec![zero(), zero(), zero()];
            let direction = |d: f64| Some(Tensor::new(&[d], &Device::Cpu).unwrap());
            optimiser.step(&mut params, &vec![direction(3.0), None, direction(4.0)], 1).unwrap();
            let got = [numbers(&params[0])[0], numbers(&params[2])[0]];
            assert!(
                got.iter().zip(want).all(|(g, w): (&f64, f64)| (g - w).abs() < 1e-15),
                "{got:?} for {want:?}"
            );
            assert_eq!(numbers(&params[1]), [0.0]);
        }
    }
}
