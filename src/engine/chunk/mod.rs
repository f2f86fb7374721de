//! The chunk engine: executes a rule's schedule on a few samples at a time, on one thread, with operations of its own.
//!
//! No operation mixes samples, so all of inference can be done for some samples before it begins for the next: values stay in
//! cache between operations, threads work on samples of their own and meet only to add up directions. A rule that moves
//! parameters while it infers needs the directions of the whole batch in every step, so it has no place here.
//!
//! Images lie in memory with their channels side by side (see [`conv`]); values are converted where they enter
//! ([`Chunk::load`]) and where an image is flattened.

mod conv;
mod losses;
mod moves;
mod rows;
mod step;
mod value;

use std::rc::Rc;
use std::sync::Arc;

use pcnbench_kernels::parts::Scalar;

use super::Engine;
use crate::net::{DataId, Graph, ParamId, Topology, VertexId};
use crate::{Error, Result};
pub use step::Step;
use value::{Memory, Numbers, Value};

/// A network on the samples of a chunk, bound to parameters.
#[derive(Debug)]
pub struct Chunk<'a, T: Scalar> {
    graph: &'a Graph,
    steps: &'a [Step],
    /// Parameters in the chunk's own order of axes.
    params: &'a [Arc<Vec<T>>],
    data: Vec<Value<T>>,
    /// Samples of the whole batch, which losses that are means divide by.
    batch: usize,
    memory: Memory<T>,
    bytes: Memory<u8>,
}

/// A vertex linearised at what it read.
#[derive(Debug, Clone)]
pub struct At<T: Scalar> {
    inputs: Vec<Value<T>>,
    value: Value<T>,
    /// φ'(z) of an activation; z and 1/√(var + ε) of a normalisation.
    kept: Vec<Value<T>>,
    /// Which pixel of each window was largest.
    which: Option<Rc<Numbers<u8>>>,
}

impl<'a, T: Scalar> Chunk<'a, T> {
    /// On samples that [`load`](Self::load) brings.
    pub fn new(graph: &'a Graph, steps: &'a [Step], params: &'a [Arc<Vec<T>>], batch: usize) -> Self {
        Self {
            graph,
            steps,
            params,
            data: Vec::new(),
            batch,
            memory: Memory::of_this_thread(),
            bytes: Memory::of_this_thread(),
        }
    }

    /// The next samples: of every data tensor its numbers, sample after sample.
    pub fn load(&mut self, data: &[&[T]]) {
        let each = data.iter().zip(self.graph.data()).map(|(&numbers, named)| {
            let own = match named.shape[..] {
                [channels, rows, columns] => conv::swapped(&self.memory, numbers, channels, rows * columns),
                _ => self.memory.map(numbers, |x| x),
            };
            Rc::new(own)
        });
        let loaded = each.collect();
        self.data = loaded;
    }

    fn shared(numbers: Numbers<T>) -> Value<T> {
        Rc::new(numbers)
    }

    fn scaled(&self, a: &[T], s: f64) -> Value<T> {
        let s = T::of(s);
        Self::shared(self.memory.map(a, |a| s * a))
    }
}

/// A weight tensor `[outputs, channels, rows, columns]` in the order `[outputs, rows, columns, channels]` in which a chunk has
/// it, or back; other shapes are as they are.
pub fn reordered<T: Scalar>(numbers: &[T], shape: &[usize], back: bool) -> Vec<T> {
    let &[_, channels, rows, columns] = shape else { return numbers.to_vec() };
    let pixels = rows * columns;
    let mut out = vec![T::default(); numbers.len()];
    let (across, along) = if back { (pixels, channels) } else { (channels, pixels) };
    for (from, to) in numbers.chunks_exact(channels * pixels).zip(out.chunks_exact_mut(channels * pixels)) {
        for (i, row) in from.chunks_exact(along).enumerate() {
            row.iter().enumerate().for_each(|(j, &value)| to[j * across + i] = value);
        }
    }
    out
}

impl<T: Scalar> Engine for Chunk<'_, T> {
    type Value = Value<T>;
    type Linearization = At<T>;
    type Param = Arc<Vec<T>>;
    type Direction = Arc<Vec<T>>;

    fn topology(&self) -> &Topology {
        self.graph.topology()
    }

    fn data(&self, d: DataId) -> &Value<T> {
        &self.data[d]
    }

    fn param(&self, p: ParamId) -> &Arc<Vec<T>> {
        &self.params[p]
    }

    fn forward(
        &self,
        i: VertexId,
        params: &[&Arc<Vec<T>>],
        inputs: &[&Value<T>],
    ) -> Result<(Value<T>, At<T>)> {
        let (memory, first) = (&self.memory, inputs[0]);
        let param = |slot: usize| params[slot].as_slice();
        let (mut kept, mut which) = (Vec::new(), None);
        let numbers = match &self.steps[i] {
            Step::Conv { windows, outputs, bias } => {
                conv::forward(windows, memory, param(0), bias.then(|| param(1)), first, *outputs)
            }
            Step::MaxPool(windows) => {
                let (value, pixels) = conv::max_pool(windows, (memory, &self.bytes), first);
                which = Some(pixels);
                value
            }
            Step::AvgPool(windows) => conv::avg_pool(windows, memory, first),
            Step::Unpack { pixels, channels } => conv::swapped(memory, first, *pixels, *channels),
            Step::Act(activation) => {
                let (value, slope) = rows::activate(memory, *activation, first);
                kept.extend(slope.map(Rc::new));
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
                kept.extend([Rc::new(z), Rc::new(r)]);
                value
            }
        };
        let value = Self::shared(numbers);
        let inputs = inputs.iter().map(|&a| Rc::clone(a)).collect();
        Ok((Rc::clone(&value), At { inputs, value, kept, which }))
    }

    fn vjp(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&Arc<Vec<T>>],
        at: &At<T>,
        c: &Value<T>,
    ) -> Result<Value<T>> {
        let memory = &self.memory;
        let param = |slot: usize| params[slot].as_slice();
        Ok(Self::shared(match &self.steps[i] {
            Step::Conv { windows, outputs, .. } => conv::vjp(windows, memory, param(0), c, *outputs),
            Step::MaxPool(windows) => {
                let which = at.which.as_ref().map_or(&[][..], |which| &which[..]);
                conv::max_pool_vjp(windows, memory, which, c)
            }
            Step::AvgPool(windows) => conv::avg_pool_vjp(windows, memory, c),
            Step::Unpack { pixels, channels } => conv::swapped(memory, c, *channels, *pixels),
            Step::Act(activation) => {
                let slope = at.kept.first().map(|slope| &slope[..]);
                rows::pull_back(memory, *activation, (&at.inputs[0], &at.value, slope), c)
            }
            Step::Linear { inputs, .. } => rows::linear_vjp(memory, param(0), c, *inputs),
            Step::Add | Step::Same => return Ok(Rc::clone(c)),
            Step::Sub if slot == 0 => return Ok(Rc::clone(c)),
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
        _: &[&Arc<Vec<T>>],
        _: &At<T>,
        _: &Value<T>,
    ) -> Result<Value<T>> {
        Err(Error::Invalid(format!(
            "vertex `{}` has no feedback without derivatives on this engine; use engine reference",
            self.graph.name(i)
        )))
    }

    fn param_grad(&self, i: VertexId, at: &At<T>, c: &Value<T>) -> Result<Vec<Arc<Vec<T>>>> {
        let (memory, input) = (&self.memory, &at.inputs[0]);
        let bias = |n: usize| rows::row_sum(memory, c, n);
        let grads = match &self.steps[i] {
            Step::Conv { windows, outputs, bias: own } => {
                let w = conv::param_grad(windows, memory, input, c, *outputs);
                [Some(w), own.then(|| bias(*outputs))]
            }
            Step::Linear { inputs, bias: own } => {
                let w = rows::linear_param_grad(memory, input, c, *inputs);
                let outputs = w.len() / inputs;
                [Some(w), own.then(|| bias(outputs))]
            }
            Step::LayerNorm { n, .. } => {
                let along = memory.zip(c, &at.kept[0], |c, z| c * z);
                [Some(rows::row_sum(memory, &along, *n)), Some(bias(*n))]
            }
            _ => [None, None],
        };
        Ok(grads.into_iter().flatten().map(|numbers| Arc::new(numbers.to_vec())).collect())
    }

    fn add_directions(&self, a: &Arc<Vec<T>>, b: &Arc<Vec<T>>) -> Result<Arc<Vec<T>>> {
        Ok(Arc::new(a.iter().zip(b.iter()).map(|(&a, &b)| a + b).collect()))
    }

    fn apply_update(&self, param: &Arc<Vec<T>>, s: f64, direction: &Arc<Vec<T>>) -> Result<Arc<Vec<T>>> {
        let s = T::of(s);
        Ok(Arc::new(param.iter().zip(direction.iter()).map(|(&p, &d)| p + s * d).collect()))
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
}
