//! The chunk engine: executes a rule's schedule on a few samples at a time, on one thread, with operations of its own.
//!
//! No operation mixes samples, so all of inference can be done for some samples before it begins for the next: values stay in
//! cache between operations, threads work on samples of their own and meet only to add up directions. A rule that moves
//! parameters while it infers needs the directions of the whole batch in every step, so it has no place here.
//!
//! Images lie in memory with their channels side by side (see [`windows`]); values are converted where they enter
//! ([`Chunk::load`]) and where an image is flattened.

mod conv;
mod losses;
mod moves;
mod param;
mod pool;
mod rows;
mod step;
mod value;
mod windows;

use std::cell::RefCell;
use std::sync::Arc;

use pcnbench_kernels::parts::{Panels, Scalar};

use super::Engine;
use crate::net::{Activation, DataId, Graph, LatentEnergy, ParamId, Topology, VertexId};
use crate::{Error, Result};
pub use param::{Form, Param};
pub use step::Step;
pub use value::Numbers;
use value::{Memory, Value};

/// A network on the samples of a chunk, bound to parameters.
#[derive(Debug)]
pub struct Chunk<'a, T: Scalar> {
    graph: &'a Graph,
    steps: &'a [Step],
    params: &'a [Param<'a, T>],
    data: Vec<Value<T>>,
    /// Samples of the whole batch, which losses that are means divide by.
    batch: usize,
    memory: Memory<T>,
    bytes: Memory<u8>,
    /// Directions by parameter, summed over all samples so far.
    sums: RefCell<Vec<Option<Numbers<T>>>>,
}

/// That something has been added to the direction of a parameter, which the chunk keeps: adding up whole gradients, use after
/// use and chunk after chunk, would take longer than small products.
#[derive(Debug, Clone, Copy)]
pub struct Summed;

/// A vertex linearised at what it read.
#[derive(Debug, Clone)]
pub struct At<T: Scalar> {
    inputs: Vec<Value<T>>,
    value: Value<T>,
    /// φ'(z) of an activation; z and 1/√(var + ε) of a normalisation.
    kept: Vec<Value<T>>,
    /// Which pixel of each window was largest.
    which: Option<Arc<Numbers<u8>>>,
}

impl<'a, T: Scalar> Chunk<'a, T> {
    /// On samples that [`load`](Self::load) brings.
    pub fn new(graph: &'a Graph, steps: &'a [Step], params: &'a [Param<'a, T>], batch: usize) -> Self {
        Self {
            graph,
            steps,
            params,
            data: Vec::new(),
            batch,
            memory: Memory::of_this_thread(),
            bytes: Memory::of_this_thread(),
            sums: RefCell::new((0..params.len()).map(|_| None).collect()),
        }
    }

    /// The next samples: of every data tensor its numbers, sample after sample.
    pub fn load(&mut self, data: &[&[T]]) {
        let each = data.iter().zip(self.graph.data()).map(|(&numbers, named)| {
            let own = match named.shape[..] {
                [channels, rows, columns] => {
                    windows::swapped(&self.memory, numbers, channels, rows * columns)
                }
                _ => self.memory.map(numbers, |x| x),
            };
            Arc::new(own)
        });
        let loaded = each.collect();
        self.data = loaded;
    }

    /// The directions that have been summed, by parameter, in the order that [`Param::sum_rows`] reads.
    pub fn into_sums(self) -> Vec<Option<Numbers<T>>> {
        self.sums.into_inner()
    }

    /// Adds to the direction of a parameter.
    fn sum(&self, p: ParamId, add: impl FnOnce(&mut [T])) {
        let mut sums = self.sums.borrow_mut();
        let len = self.params[p].summed();
        add(sums[p].get_or_insert_with(|| self.memory.zeros(len)).write());
    }

    fn shared(numbers: Numbers<T>) -> Value<T> {
        Arc::new(numbers)
    }

    fn scaled(&self, a: &[T], s: f64) -> Value<T> {
        let s = T::of(s);
        Self::shared(self.memory.map(a, |a| s * a))
    }
}

/// Weights of a convolution or a linear map.
fn weights<'p, T: Scalar>(param: &'p Param<'_, T>, form: Form) -> Result<&'p Panels<T>> {
    let none = || Error::Invalid("weights that have neither two nor four axes".into());
    param.panels(form).ok_or_else(none)
}

impl<'a, T: Scalar> Engine for Chunk<'a, T> {
    type Value = Value<T>;
    type Linearization = At<T>;
    type Param = Param<'a, T>;
    type Direction = Summed;

    fn topology(&self) -> &Topology {
        self.graph.topology()
    }

    fn data(&self, d: DataId) -> &Value<T> {
        &self.data[d]
    }

    fn param(&self, p: ParamId) -> &Param<'a, T> {
        &self.params[p]
    }

    fn forward(
        &self,
        i: VertexId,
        params: &[&Param<'a, T>],
        inputs: &[&Value<T>],
    ) -> Result<(Value<T>, At<T>)> {
        let (memory, first) = (&self.memory, inputs[0]);
        let param = |slot: usize| params[slot].numbers();
        let (mut kept, mut which) = (Vec::new(), None);
        let numbers = match &self.steps[i] {
            Step::Conv { conv, bias } => {
                conv.forward(memory, weights(params[0], Form::Forward)?, bias.then(|| param(1)), first)
            }
            Step::MaxPool(windows) => {
                let (value, pixels) = pool::max_pool(windows, (memory, &self.bytes), first);
                which = Some(pixels);
                value
            }
            Step::AvgPool(windows) => pool::avg_pool(windows, memory, first),
            Step::Unpack { pixels, channels } => windows::swapped(memory, first, *pixels, *channels),
            Step::Act(activation) => {
                let (value, slope) = rows::activate(memory, *activation, first);
                kept.extend(slope.map(Arc::new));
                value
            }
            Step::Linear { inputs, bias } => {
                rows::linear(memory, param(0), bias.then(|| param(1)), first, *inputs)
            }
            Step::Add | Step::Mul | Step::Sub => {
                let each = match self.steps[i] {
                    Step::Add => |a, b| a + b,
                    Step::Sub => |a, b| a - b,
                    _ => |a: T, b: T| a * b,
                };
                let mut sum = memory.zip(first, inputs[1], each);
                for more in &inputs[2..] {
                    sum = memory.zip(&sum, more, each);
                }
                sum
            }
            Step::Scale(constant) => {
                let constant = T::of(*constant);
                memory.map(first, |a| constant * a)
            }
            Step::Same => memory.map(first, |a| a),
            Step::Slice { along, from, to } => moves::slice(memory, first, *along, *from, *to),
            Step::Concat { after, steps } => {
                let all: Vec<&[T]> = inputs.iter().map(|a| &a[..]).collect();
                moves::concat(memory, &all, *after, steps)
            }
            Step::Sum(along) => moves::sum(memory, first, *along),
            Step::Transpose(shape) => moves::transpose(memory, first, *shape),
            Step::Matmul(sizes) => moves::product(memory, (first, false), (inputs[1], false), *sizes),
            Step::Softmax(n) => rows::softmax(memory, first, *n),
            Step::LayerNorm { n, epsilon } => {
                let (z, r) = rows::normalise(memory, first, *n, *epsilon);
                let value = rows::affine(memory, &z, param(0), param(1));
                kept.extend([Arc::new(z), Arc::new(r)]);
                value
            }
        };
        let value = Self::shared(numbers);
        let inputs = inputs.iter().map(|&a| Arc::clone(a)).collect();
        Ok((Arc::clone(&value), At { inputs, value, kept, which }))
    }

    fn vjp(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&Param<'a, T>],
        at: &At<T>,
        c: &Value<T>,
    ) -> Result<Value<T>> {
        let memory = &self.memory;
        let param = |slot: usize| params[slot].numbers();
        Ok(Self::shared(match &self.steps[i] {
            Step::Conv { conv, .. } => conv.vjp(memory, weights(params[0], Form::Back)?, c),
            Step::MaxPool(windows) => {
                let which = at.which.as_ref().map_or(&[][..], |which| &which[..]);
                pool::max_pool_vjp(windows, memory, which, c)
            }
            Step::AvgPool(windows) => pool::avg_pool_vjp(windows, memory, c),
            Step::Unpack { pixels, channels } => windows::swapped(memory, c, *channels, *pixels),
            Step::Act(activation) => {
                let slope = at.kept.first().map(|slope| &slope[..]);
                rows::pull_back(memory, *activation, (&at.inputs[0], &at.value, slope), c)
            }
            Step::Linear { inputs, .. } => rows::linear_vjp(memory, param(0), c, *inputs),
            Step::Add | Step::Same => return Ok(Arc::clone(c)),
            Step::Sub if slot == 0 => return Ok(Arc::clone(c)),
            Step::Sub => memory.map(c, |c| -c),
            Step::Mul => {
                let others = at.inputs.iter().enumerate().filter(|(k, _)| *k != slot);
                let mut product = memory.map(c, |c| c);
                for (_, other) in others {
                    product = memory.zip(&product, other, |a, b| a * b);
                }
                product
            }
            Step::Scale(constant) => return Ok(self.scaled(c, *constant)),
            Step::Slice { along, from, to } => moves::unslice(memory, c, *along, *from, *to),
            Step::Concat { after, steps } => {
                let along = moves::Along { after: *after, n: steps.iter().sum() };
                let from: usize = steps[..slot].iter().sum();
                moves::slice(memory, c, along, from, from + steps[slot])
            }
            Step::Sum(along) => moves::repeat(memory, c, *along),
            Step::Transpose([rows, columns]) => moves::transpose(memory, c, [*columns, *rows]),
            Step::Matmul([m, k, n]) => match slot {
                0 => moves::product(memory, (c, false), (&at.inputs[1], true), [*m, *n, *k]),
                _ => moves::product(memory, (&at.inputs[0], true), (c, false), [*k, *m, *n]),
            },
            Step::Softmax(n) => rows::softmax_vjp(memory, &at.value, c, *n),
            Step::LayerNorm { .. } => rows::normalise_vjp(memory, (&at.kept[0], &at.kept[1]), param(0), c),
        }))
    }

    fn vjp_linear(
        &self,
        i: VertexId,
        _: usize,
        _: &[&Param<'a, T>],
        _: &At<T>,
        _: &Value<T>,
    ) -> Result<Value<T>> {
        Err(Error::Invalid(format!(
            "vertex `{}` has no feedback without derivatives on this engine; use engine reference",
            self.graph.name(i)
        )))
    }

    fn param_grad(&self, i: VertexId, at: &At<T>, c: &Value<T>) -> Result<Vec<Summed>> {
        let (memory, input) = (&self.memory, &at.inputs[0]);
        let grad =
            |slot: usize, add: &dyn Fn(&mut [T])| self.sum(self.graph.topology().node(i).params[slot], add);
        let row_sum = |slot: usize, c: &[T]| grad(slot, &|sum: &mut [T]| rows::add_rows(c, sum));
        match &self.steps[i] {
            Step::Conv { conv, bias } => {
                grad(0, &|w| conv.add_param_grad(input, c, w));
                if *bias {
                    row_sum(1, c);
                }
            }
            Step::Linear { inputs, bias } => {
                grad(0, &|w| rows::add_linear_param_grad(input, c, *inputs, w));
                if *bias {
                    row_sum(1, c);
                }
            }
            Step::LayerNorm { .. } => {
                row_sum(0, &memory.zip(c, &at.kept[0], |c, z| c * z));
                row_sum(1, c);
            }
            _ => {}
        }
        Ok(vec![Summed; self.graph.topology().node(i).params.len()])
    }

    fn add_directions(&self, _: &Summed, _: &Summed) -> Result<Summed> {
        Ok(Summed)
    }

    fn apply_update(&self, _: &Param<'a, T>, _: f64, _: &Summed) -> Result<Param<'a, T>> {
        Err(Error::Invalid(
            "a rule that moves parameters while it infers cannot work on part of a batch; use engine reference".into(),
        ))
    }

    fn loss_error(&self, k: usize, value: &Value<T>) -> Result<Value<T>> {
        let term = &self.graph.losses()[k];
        let shape = self.graph.shape(term.vertex);
        let all = self.batch * shape.iter().product::<usize>();
        let outputs = shape.last().copied().unwrap_or(1);
        let target = &self.data[term.target];
        Ok(Self::shared(losses::error(&self.memory, &term.loss, (self.batch, all), outputs, value, target)))
    }

    fn add(&self, a: &Value<T>, b: &Value<T>) -> Result<Value<T>> {
        Ok(Self::shared(self.memory.zip(a, b, |a, b| a + b)))
    }

    fn sub(&self, a: &Value<T>, b: &Value<T>) -> Result<Value<T>> {
        Ok(Self::shared(self.memory.zip(a, b, |a, b| a - b)))
    }

    fn scale(&self, s: f64, a: &Value<T>) -> Result<Value<T>> {
        Ok(self.scaled(a, s))
    }

    fn add_scaled(&self, a: &Value<T>, s: f64, b: &Value<T>) -> Result<Value<T>> {
        let s = T::of(s);
        Ok(Self::shared(self.memory.zip(a, b, |a, b| a + s * b)))
    }

    fn square(&self, a: &Value<T>) -> Result<Value<T>> {
        Ok(Self::shared(self.memory.map(a, |a| a * a)))
    }

    fn over_root(&self, _: &Value<T>, _: &Value<T>, _: f64) -> Result<Value<T>> {
        Err(Error::Invalid("a rule that infers by Adam runs on engine reference only; use that".into()))
    }

    fn influence(&self, energy: LatentEnergy, error: &Value<T>) -> Result<Value<T>> {
        let one = T::of(1.0);
        Ok(match energy {
            LatentEnergy::Gaussian => Arc::clone(error),
            LatentEnergy::Huber => Self::shared(self.memory.map(error, |e| {
                let most = if e > one { one } else { e };
                if most < -one {
                    -one
                } else {
                    most
                }
            })),
            LatentEnergy::LogCosh => Self::shared(rows::activate(&self.memory, Activation::Tanh, error).0),
        })
    }
}
