//! sPC as one operation of Candle after another, the same operations as in the engine `reference` of `pcnbench`, on a
//! network with tanh before every product and biases.

use candle_core::{Result, Tensor};

/// A network, its batch and its loss.
pub struct Plain {
    weights: Vec<Tensor>,
    biases: Vec<Tensor>,
    x: Tensor,
    y: Tensor,
    /// Of ½‖o − y‖².
    loss: f64,
}

/// Layer l linearised: its input after tanh.
type Local = Tensor;

impl Plain {
    /// With parameters as they lie in a flat tensor: W_1, b_1, W_2 and so on.
    pub fn new(
        theta: &Tensor,
        (width, depth): (usize, usize),
        (x, y): (&Tensor, &Tensor),
        loss: f64,
    ) -> Result<Self> {
        let size = width * width + width;
        let own = |l: usize, from: usize, len: usize| theta.narrow(0, l * size + from, len)?.copy();
        Ok(Self {
            weights: (0..depth)
                .map(|l| own(l, 0, width * width)?.reshape((width, width)))
                .collect::<Result<_>>()?,
            biases: (0..depth).map(|l| own(l, width * width, width)).collect::<Result<_>>()?,
            x: x.clone(),
            y: y.clone(),
            loss,
        })
    }

    /// μ_l from v_{l−1}; l from 0.
    fn forward(&self, l: usize, below: &Tensor) -> Result<(Tensor, Local)> {
        let input = below.tanh()?;
        let mu = input.matmul(&self.weights[l].t()?)?.broadcast_add(&self.biases[l])?;
        Ok((mu, input))
    }

    fn output_error(&self, o: &Tensor) -> Result<Tensor> {
        (&self.y - o)?.affine(self.loss, 0.0)
    }

    /// −∂F/∂W_l and −∂F/∂b_l of every layer after `steps` steps of size g, with the light cone.
    pub fn spc(&self, steps: usize, g: f64) -> Result<Vec<Tensor>> {
        let depth = self.weights.len();
        let mut states = vec![self.x.clone()];
        let mut locals = vec![];
        for l in 0..depth {
            let (mu, local) = self.forward(l, &states[l])?;
            states.push(mu);
            locals.push(local);
        }
        // predictions[l] and errors[l] are of layer l + 1; the output is the last prediction
        let mut predictions = states.split_off(1);
        states.extend(predictions[..depth - 1].iter().cloned());
        let mut errors: Vec<Option<Tensor>> = vec![None; depth];
        errors[depth - 1] = Some(self.output_error(&predictions[depth - 1])?);
        for _ in 0..steps {
            let mut moved = vec![];
            for l in 1..depth {
                let Some(above) = &errors[l] else { continue };
                let slope = locals[l].sqr()?.affine(-1.0, 1.0)?;
                let pulled = (above.matmul(&self.weights[l])? * slope)?;
                let descent = match &errors[l - 1] {
                    Some(own) => (pulled - own)?,
                    None => pulled,
                };
                moved.push((l, (&states[l] + descent.affine(g, 0.0)?)?));
            }
            let lowest = moved.first().map_or(depth, |(l, _)| *l);
            for (l, state) in moved {
                states[l] = state;
            }
            for l in lowest..depth {
                (predictions[l], locals[l]) = self.forward(l, &states[l])?;
            }
            for l in lowest..depth {
                errors[l - 1] = Some((&states[l] - &predictions[l - 1])?);
            }
            if lowest < depth {
                errors[depth - 1] = Some(self.output_error(&predictions[depth - 1])?);
            }
        }
        let mut directions = vec![];
        for (error, input) in errors.iter().zip(&locals) {
            let Some(error) = error else { continue };
            directions.push(error.t()?.matmul(input)?);
            directions.push(error.sum(0)?);
        }
        Ok(directions)
    }
}
