//! The fused engine on networks that are no stack of layers: a whole rule on a few samples at a time, on every thread.

mod total;

use std::cmp::Reverse;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Layout, Storage, Tensor};
use pcnbench_kernels::parts::{Scalar, Threads};

use super::{Backend, LearnedTensors, State};
use crate::contender::spec::ContenderSpec;
use crate::engine::chunk::{Chunk, Form, Param, Step};
use crate::engine::{unwatched, Watch};
use crate::net::{Graph, Params};
use crate::optim::{Directions, Memory, Optimiser, OptimiserKind};
use crate::rule::Rule;
use crate::{Error, Result};
use total::{total, Sums};

/// Bytes of values that one thread works on at a time: a share of the last-level cache.
const AT_ONCE: usize = 32 << 20;

/// A contender that works on chunks of the batch.
#[derive(Debug)]
pub struct Chunks {
    schedule: Schedule,
    params: Params,
    optimiser: Box<dyn Optimiser>,
    /// The rate of plain gradient descent, which moves parameters where directions are summed.
    plain: Option<f64>,
    threads: Threads,
}

/// What every thread executes.
#[derive(Debug)]
struct Schedule {
    rule: Rule,
    graph: Arc<Graph>,
    steps: Vec<Step>,
    /// By parameter, whether several vertices use it.
    shared: Vec<bool>,
    /// [`AT_ONCE`].
    bytes: usize,
}

/// Whether a contender can work on chunks of its batch.
///
/// # Errors
/// [`Error::Invalid`] naming the rule, the vertex whose operation is not there, or the device.
pub fn check(spec: &ContenderSpec, on_gpu: bool) -> Result<()> {
    if on_gpu {
        return Err(Error::Invalid(format!(
            "engine {} runs networks that are no stack of layers on the CPU only; use --device cpu or engine reference",
            spec.id.engine
        )));
    }
    if spec.rule.moves_parameters() {
        return Err(Error::Invalid(format!(
            "rule {} moves the parameters in every step, which fused engines do on stacks of layers only; use engine reference",
            spec.rule.name()
        )));
    }
    let graph = spec.graph()?;
    if let Some(term) = graph
        .losses()
        .iter()
        .find(|term| graph.shape(term.vertex).len() == 3 && term.loss.kind.judges_distributions())
    {
        return Err(Error::Invalid(format!(
            "vertex `{}` is an image with a loss {}, which fused engines do not have; use engine reference",
            graph.name(term.vertex),
            term.loss.kind
        )));
    }
    Step::all(&graph).map(drop)
}

impl Chunks {
    /// From `params`, on the CPU.
    ///
    /// # Errors
    /// As for [`check`]; and if the device is a GPU, or the system gives no more threads.
    pub(in crate::contender) fn new(
        spec: &ContenderSpec,
        rule: Rule,
        graph: Arc<Graph>,
        params: Params,
    ) -> Result<Self> {
        check(spec, params.iter().any(|param| !param.device().is_cpu()))?;
        let threads = Threads::new(spec.id.threads.unwrap_or_else(pcnbench_kernels::tune::threads))?;
        let optimiser = spec.build_optimiser(&graph);
        let shared = (0..params.len()).map(|p| graph.topology().is_shared(p)).collect();
        let schedule = Schedule { rule, steps: Step::all(&graph)?, graph, shared, bytes: AT_ONCE };
        let alone = spec.optimiser == OptimiserKind::Sgd && spec.regularisation.is_none();
        let plain = alone.then_some(spec.learning_rate);
        Ok(Self { schedule, params, optimiser, plain, threads })
    }

    /// Directions d of the rule on a batch, or parameters moved to θ + rate·d where there is a rate; `None` where d is zero.
    fn learn(&self, data: &[Tensor], rate: Option<f64>) -> Result<Vec<Option<Tensor>>> {
        match self.params.first().map_or(DType::F32, Tensor::dtype) {
            DType::F64 => self.learn_in::<f64>(data, rate),
            _ => self.learn_in::<f32>(data, rate),
        }
    }

    fn learn_in<T: Scalar>(&self, data: &[Tensor], rate: Option<f64>) -> Result<Vec<Option<Tensor>>> {
        let (schedule, graph) = (&self.schedule, &self.schedule.graph);
        let (params, data) = (contiguous(&self.params)?, contiguous(data)?);
        let (params, data) = (held(&params), held(&data));
        let params = params.iter().zip(graph.params()).zip(&schedule.shared);
        let params =
            params.map(|((held, named), &shared)| Ok(Param::new(held.numbers::<T>()?, &named.shape, shared)));
        let params = params.collect::<Result<Vec<Param<'_, T>>>>()?;
        let data = data.iter().map(Held::numbers).collect::<Result<Vec<&[T]>>>()?;
        let sizes: Vec<usize> = graph.data().iter().map(|named| named.shape.iter().product()).collect();
        let batch = data.first().map_or(0, |x: &&[T]| x.len()) / sizes.first().copied().unwrap_or(1).max(1);

        // the forms in which products read their weights, before all threads want the same one
        let forms = params.iter().flat_map(|param| [(param, Form::Forward), (param, Form::Back)]);
        let mut forms: Vec<_> = forms.collect();
        forms.sort_by_key(|(param, _)| Reverse(param.numbers().len()));
        self.threads.share(forms, |(param, form)| {
            param.panels(form);
        })?;

        let count = self.threads.count().min(batch).max(1);
        let found: Vec<Mutex<Result<Sums<T>>>> = (0..count).map(|_| Mutex::new(Ok(Vec::new()))).collect();
        self.threads.run(count, |index| {
            let samples = index * batch / count..(index + 1) * batch / count;
            let sum = schedule.sum(&params, (&data, &sizes), samples, batch);
            if let Ok(mut place) = found[index].lock() {
                *place = sum;
            }
        })?;
        let panicked = |_| Error::Invalid("a worker thread has panicked".into());
        let parts = found.into_iter().map(|part| part.into_inner().map_err(panicked)?);
        total(&self.threads, (&params, graph.params()), &parts.collect::<Result<Vec<_>>>()?, rate)
    }

    fn state_of(&self) -> State {
        State { params: self.params.clone(), feedback: None }
    }
}

impl Schedule {
    /// Directions summed over some samples, chunk after chunk.
    fn sum<T: Scalar>(
        &self,
        params: &[Param<'_, T>],
        (data, sizes): (&[&[T]], &[usize]),
        samples: std::ops::Range<usize>,
        batch: usize,
    ) -> Result<Sums<T>> {
        let mut chunk = Chunk::new(&self.graph, &self.steps, params, batch);
        let values: usize =
            (0..self.graph.len()).map(|i| self.graph.shape(i).iter().product::<usize>()).sum();
        let most = (self.bytes / size_of::<T>() / values.max(1)).clamp(1, samples.len().max(1));
        // equal parts
        let parts = samples.len().div_ceil(most);
        let mut found = vec![false; params.len()];
        for part in 0..parts {
            let [from, to] = [part, part + 1].map(|k| samples.start + k * samples.len() / parts);
            let own: Vec<&[T]> = data.iter().zip(sizes).map(|(all, n)| &all[from * n..to * n]).collect();
            chunk.load(&own);
            let learned = self.rule.learn(&chunk, &mut unwatched)?;
            found
                .iter_mut()
                .zip(&learned.directions)
                .for_each(|(found, direction)| *found |= direction.is_some());
        }
        Ok(chunk.into_sums().into_iter().zip(found).map(|(sum, found)| sum.filter(|_| found)).collect())
    }
}

fn contiguous(tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    tensors.iter().map(|t| Ok(t.contiguous()?)).collect()
}

/// The numbers of a contiguous tensor on the CPU, where they are.
struct Held<'a, G>(G, &'a Layout);

/// The storages of tensors, held while their numbers are read.
fn held(tensors: &[Tensor]) -> Vec<Held<'_, impl Deref<Target = Storage>>> {
    tensors.iter().map(Tensor::storage_and_layout).map(|(storage, layout)| Held(storage, layout)).collect()
}

impl<G: Deref<Target = Storage>> Held<'_, G> {
    fn numbers<T: Scalar>(&self) -> Result<&[T]> {
        let (storage, offsets) = (&*self.0, self.1.contiguous_offsets());
        let (Storage::Cpu(storage), Some((from, to))) = (storage, offsets) else {
            return Err(Error::Invalid("a tensor whose numbers do not lie on the CPU in order".into()));
        };
        Ok(&T::cpu_storage_as_slice(storage)?[from..to])
    }
}

impl Backend for Chunks {
    fn update(&mut self, data: &[Tensor]) -> Result<()> {
        let Some(rate) = self.plain else {
            let directions = self.learn(data, None)?;
            return self.optimiser.step(&mut self.params, &directions, data[0].dim(0)?);
        };
        let moved = self.learn(data, Some(rate))?;
        for (param, moved) in self.params.iter_mut().zip(moved) {
            *param = moved.unwrap_or_else(|| param.clone());
        }
        Ok(())
    }

    fn set_rule(&mut self, rule: Rule) -> Result<()> {
        self.schedule.rule = rule;
        Ok(())
    }

    fn directions(&self, data: &[Tensor]) -> Result<Directions> {
        self.learn(data, None)
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.plain = self.plain.map(|_| rate);
        self.optimiser.set_rate(rate);
    }

    fn memory(&self) -> Result<[Memory; 2]> {
        Ok([self.optimiser.memory(), Memory::default()])
    }

    fn restore(&mut self, state: State, [memory, _]: [Memory; 2]) -> Result<()> {
        self.params = state.params;
        self.optimiser.restore(memory)
    }

    fn state(&self) -> Result<State> {
        Ok(self.state_of())
    }

    /// By the reference engine: states of chunks are gone when their directions are there.
    fn learned(&self, rule: &Rule, data: &[Tensor]) -> Result<LearnedTensors> {
        rule.learn(&self.state_of().bind(&self.schedule.graph, data), &mut unwatched)
    }

    /// As for [`learned`](Self::learned).
    fn watch(&self, rule: &Rule, data: &[Tensor], watch: &mut Watch<'_, Tensor>) -> Result<()> {
        rule.learn(&self.state_of().bind(&self.schedule.graph, data), watch).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::net::architecture::{Kind, Settings};
    use crate::net::{Activation, ActivationOrder, Loss, Parameterisation};
    use crate::rule::Steps;

    /// Directions do not depend on how many samples a thread works on at a time.
    #[test]
    fn samples_may_come_one_by_one() {
        let settings = Settings {
            input: vec![2, 16, 16],
            outputs: 3,
            width: 4,
            depth: 5,
            activation: Activation::Tanh,
            activation_order: ActivationOrder::Post,
            parameterisation: Parameterisation::SP,
            gain: 1.0,
            bias: true,
        };
        let spec = ContenderSpec {
            id: "spc/fused:1".parse().unwrap(),
            rule: Rule::from_name("spc", Steps::constant(6, 0.1)).unwrap(),
            network: (Kind::of("cnn").unwrap().build)(&settings),
            loss: Loss { reduction: crate::net::Reduction::ElementMean, ..Loss::HALF_SQUARED_ERROR },
            optimiser: OptimiserKind::Sgd,
            learning_rate: 0.1,
            regularisation: Default::default(),
            dtype: DType::F64,
            strategies: None,
        };
        let params = spec.network.start(3, DType::F64, &Device::Cpu).unwrap();
        let graph = Arc::new(spec.graph().unwrap());
        let mut chunks = Chunks::new(&spec, spec.rule, graph, params).unwrap();
        let numbers = |n: usize| (0..n).map(|k| (k as f64 * 0.7).sin()).collect::<Vec<_>>();
        let x = Tensor::from_vec(numbers(7 * 512), (7, 2, 16, 16), &Device::Cpu).unwrap();
        let y = Tensor::from_vec(numbers(7 * 3), (7, 3), &Device::Cpu).unwrap();
        let together = chunks.directions(&[x.clone(), y.clone()]).unwrap();
        // θ + α d, as the optimiser by itself has it
        let (mut moved, before) = (chunks.params.clone(), chunks.params.clone());
        chunks.optimiser.step(&mut moved, &together, 7).unwrap();
        chunks.update(&[x.clone(), y.clone()]).unwrap();
        for (own, moved) in chunks.params.iter().zip(&moved) {
            let own = own.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(own, moved.flatten_all().unwrap().to_vec1::<f64>().unwrap());
        }
        chunks.params = before;
        chunks.schedule.bytes = 1;
        let apart = chunks.directions(&[x, y]).unwrap();
        for (a, b) in together.iter().zip(&apart) {
            let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
            let off = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let off = off.to_scalar::<f64>().unwrap();
            assert!(off < 1e-14, "{off}");
        }
    }
}
