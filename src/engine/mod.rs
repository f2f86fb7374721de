//! Engines: who executes a rule's schedule.
//!
//! A rule is written once against [`Engine`]. [`reference::Reference`] executes it with one Candle
//! operation after another on any device; [`counting::Counting`] executes nothing and counts the work;
//! [`recording::Recording`] executes nothing and keeps the task graph; [`reach::Reach`] executes nothing and keeps which
//! layers learn; [`rounded::Rounded`] imitates what tensor cores read.
//! [`autograd`] is not an engine of this kind: it is backpropagation as Candle itself offers it. Neither is
//! [`fused`](crate::contender::backend::fused), which runs the schedules of rules, a whole one per call.

pub mod autograd;
pub(crate) mod chunk;
pub mod counting;
pub mod curvature;
pub(crate) mod on_tensors;
pub mod reach;
pub mod recording;
pub mod reference;
pub mod rounded;
pub mod threads;

use std::fmt;
use std::str::FromStr;

use candle_core::DType;
use pcnbench_kernels::MathMode;

use crate::net::{DataId, LatentEnergy, ParamId, Topology, VertexId};
use crate::{Error, Result};

/// An engine by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// One Candle operation after another.
    Reference,
    /// Candle's autograd; backpropagation only.
    Autograd,
    /// One call into the kernels for a whole rule.
    Fused,
    /// The same, states stored as deviations from the forward pass; sPC only.
    FusedDeviation,
    /// As [`Fused`](Self::Fused), products of f32 on tensor cores, three for one.
    FusedTf32x3,
    /// As [`Fused`](Self::Fused), operands of products rounded to tf32.
    FusedTf32,
    /// As [`Fused`](Self::Fused), operands of products rounded to bf16.
    FusedBf16,
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 7] = [
        Self::Reference,
        Self::Autograd,
        Self::Fused,
        Self::FusedDeviation,
        Self::FusedTf32x3,
        Self::FusedTf32,
        Self::FusedBf16,
    ];

    /// The name after the slash of a contender id.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Autograd => "autograd",
            Self::Fused => "fused",
            Self::FusedDeviation => "fused-deviation",
            Self::FusedTf32x3 => "fused-3xtf32",
            Self::FusedTf32 => "fused-tf32",
            Self::FusedBf16 => "fused-bf16",
        }
    }

    /// Whether it is one of the fused engines.
    pub fn is_fused(self) -> bool {
        !matches!(self, Self::Reference | Self::Autograd)
    }

    /// What its products read of their operands.
    pub fn operands(self) -> MathMode {
        match self {
            Self::Reference | Self::Autograd | Self::Fused | Self::FusedDeviation => MathMode::F32,
            Self::FusedTf32x3 => MathMode::Tf32x3,
            Self::FusedTf32 => MathMode::Tf32,
            Self::FusedBf16 => MathMode::Bf16,
        }
    }

    /// Refuses what an engine whose products round their operands is not for: another dtype than f32, and time on a CPU,
    /// which only imitates them.
    ///
    /// # Errors
    /// [`Error::Invalid`] in one sentence.
    pub fn check(self, dtype: DType, timed_on_cpu: bool) -> Result<()> {
        let operands = self.operands();
        if operands == MathMode::F32 {
            return Ok(());
        }
        if dtype != DType::F32 {
            return Err(Error::Invalid(format!(
                "engine {self} computes in f32 on operands of {operands}, not in {}; use --dtype f32",
                dtype.as_str()
            )));
        }
        if timed_on_cpu {
            return Err(Error::Invalid(format!(
                "engine {self} needs a GPU: a CPU imitates {operands} operands, and how long that takes says nothing; use \
                 --device cuda, or engine fused"
            )));
        }
        Ok(())
    }
}

impl FromStr for EngineKind {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| Error::unknown("engine", s, Self::ALL.map(Self::name)))
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The verbs of a network bound to one batch, as a rule sees them.
///
/// Vertices are numbered in topological order from 0. Values have the sample as their first axis. An engine never
/// changes, but for the optimiser of one that has it: a rule that moves parameters while it infers holds the moved ones itself and hands them to the verbs.
pub trait Engine {
    /// A state, prediction or error of one vertex.
    type Value: Clone;
    /// A vertex linearised at what it reads.
    type Linearization: Clone;
    /// A parameter.
    type Param: Clone;
    /// −∂F/∂θ of one parameter: the direction in which learning moves it.
    type Direction: Clone;

    /// The network's wiring.
    fn topology(&self) -> &Topology;
    /// A data tensor.
    fn data(&self, d: DataId) -> &Self::Value;
    /// A parameter as the engine was given it.
    fn param(&self, p: ParamId) -> &Self::Param;
    /// What carries errors down in place of a parameter, in its form; the parameter itself where nothing is kept apart.
    fn feedback(&self, p: ParamId) -> &Self::Param {
        self.param(p)
    }
    /// f_i(inputs; params) and the linearisation there.
    fn forward(
        &self,
        i: VertexId,
        params: &[&Self::Param],
        inputs: &[&Self::Value],
    ) -> Result<(Self::Value, Self::Linearization)>;
    /// Jᵀ c by the input in `slot` at the linearisation, its product taken with the weights in `params`.
    fn vjp(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&Self::Param],
        at: &Self::Linearization,
        c: &Self::Value,
    ) -> Result<Self::Value>;
    /// As [`vjp`](Self::vjp), every φ' replaced by 1.
    fn vjp_linear(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&Self::Param],
        at: &Self::Linearization,
        c: &Self::Value,
    ) -> Result<Self::Value>;
    /// (∂f_i/∂θ)ᵀ c summed over the batch, by parameter slot; with c = π_i ε_i this is −∂F/∂θ through vertex i.
    fn param_grad(
        &self,
        i: VertexId,
        at: &Self::Linearization,
        c: &Self::Value,
    ) -> Result<Vec<Self::Direction>>;
    /// The sum of two directions of one parameter.
    fn add_directions(&self, a: &Self::Direction, b: &Self::Direction) -> Result<Self::Direction>;
    /// θ + s·d.
    fn apply_update(&self, param: &Self::Param, s: f64, direction: &Self::Direction) -> Result<Self::Param>;
    /// θ + s·d of every parameter that has a direction, `moved` where a rule has moved it already. An engine with an
    /// optimiser moves them by one step of that instead.
    fn apply_updates(
        &self,
        moved: &[Option<Self::Param>],
        s: f64,
        directions: &[Option<Self::Direction>],
    ) -> Result<Vec<Option<Self::Param>>> {
        let each = directions.iter().zip(moved).enumerate();
        each.map(|(p, (direction, moved))| match direction {
            None => Ok(moved.clone()),
            Some(direction) => {
                self.apply_update(moved.as_ref().unwrap_or(self.param(p)), s, direction).map(Some)
            }
        })
        .collect()
    }
    /// −∂loss_k/∂(value of its vertex).
    fn loss_error(&self, k: usize, value: &Self::Value) -> Result<Self::Value>;
    /// a + b.
    fn add(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// a − b.
    fn sub(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// s·a.
    fn scale(&self, s: f64, a: &Self::Value) -> Result<Self::Value>;
    /// a + s·b.
    fn add_scaled(&self, a: &Self::Value, s: f64, b: &Self::Value) -> Result<Self::Value>;
    /// a², number by number.
    fn square(&self, a: &Self::Value) -> Result<Self::Value>;
    /// a/(√b + ε), number by number; b is not negative.
    fn over_root(&self, a: &Self::Value, b: &Self::Value, epsilon: f64) -> Result<Self::Value>;
    /// ψ(ε) of an energy.
    fn influence(&self, energy: LatentEnergy, error: &Self::Value) -> Result<Self::Value>;

    /// Σ a² over the batch, as a number of the host, which a device is waited for; none of an engine without numbers.
    fn sum_of_squares(&self, _: &Self::Value) -> Result<Option<f64>> {
        Err(Error::Invalid("this engine ends no inference at a residual; use engine reference".into()))
    }

    // What conjugate gradients ask for besides. An engine without it runs every other method.

    /// J d by the input in `slot` at the linearisation, d having the shape of that input.
    fn jvp(
        &self,
        _: VertexId,
        _slot: usize,
        _params: &[&Self::Param],
        _: &Self::Linearization,
        _d: &Self::Value,
    ) -> Result<Self::Value> {
        no_conjugate_gradients()
    }
    /// The second derivative of loss k by the value of its vertex, applied to d.
    fn loss_curvature(&self, _k: usize, _value: &Self::Value, _d: &Self::Value) -> Result<Self::Value> {
        no_conjugate_gradients()
    }
    /// φ''(ε) d, number by number.
    fn curvature(&self, _: LatentEnergy, _error: &Self::Value, _d: &Self::Value) -> Result<Self::Value> {
        no_conjugate_gradients()
    }
    /// Σ a b of every sample: one number per sample.
    fn dot(&self, _a: &Self::Value, _b: &Self::Value) -> Result<Self::Value> {
        no_conjugate_gradients()
    }
    /// a/b of every sample where both are positive, else 0.
    fn quotient(&self, _a: &Self::Value, _b: &Self::Value) -> Result<Self::Value> {
        no_conjugate_gradients()
    }
    /// Every sample of a times its own number in s.
    fn scale_rows(&self, _s: &Self::Value, _a: &Self::Value) -> Result<Self::Value> {
        no_conjugate_gradients()
    }
}

/// The refusal of an engine that lacks what conjugate gradients ask for.
fn no_conjugate_gradients<V>() -> Result<V> {
    Err(Error::Invalid("this engine has no conjugate gradients; use engine reference".into()))
}

/// An error of one vertex; `None` where it is known to be exactly zero without computing it.
pub type MaybeZero<V> = Option<V>;

/// What a rule shows after an inference step.
#[derive(Debug)]
pub struct Shown<'a, V> {
    /// Inference steps done.
    pub step: usize,
    /// Per vertex: ε_i of a latent one (the negative adjoint under rules that relax adjoints); the negative derivative
    /// of the losses on a deterministic one. Backpropagation shows the negative adjoint of every vertex on which a
    /// parameter has an influence, and `None`, which says nothing there, of the others, unless it is
    /// [evaluated](crate::rule::Rule::evaluated).
    pub errors: &'a [MaybeZero<V>],
    /// Per loss the value that it judges.
    pub outputs: &'a [V],
    /// As in [`Learned::multipliers`]; before the last update of them where directions are taken before it.
    pub multipliers: &'a [MaybeZero<V>],
}

/// Called by a rule at the start (0 steps done) and after each inference step.
pub type Watch<'a, V> = dyn FnMut(Shown<'_, V>) -> Result<()> + 'a;

/// A [`Watch`] that looks at nothing.
pub fn unwatched<V>(_: Shown<'_, V>) -> Result<()> {
    Ok(())
}

/// The result of a rule: everything evaluated at the same point, after the last step. `V`, `P` and `D` are values,
/// parameters and directions of the engine that executed it.
#[derive(Debug, Clone)]
pub struct Learned<V, P, D> {
    /// Per vertex its state, or its value if it is deterministic.
    pub states: Vec<V>,
    /// Per loss the value that it judges.
    pub outputs: Vec<V>,
    /// Per vertex as in [`Shown::errors`].
    pub errors: Vec<MaybeZero<V>>,
    /// λ_i per latent vertex of a rule that has multipliers, `None` where it is exactly zero; of other rules empty.
    pub multipliers: Vec<MaybeZero<V>>,
    /// −∂F/∂θ per parameter; `None` where it is exactly zero, or the parameter is frozen.
    pub directions: Vec<Option<D>>,
    /// Parameters where the rule moved them itself, once per inference step; `None` where they are as they were.
    /// A rule that moves parameters leaves no directions.
    pub params: Vec<Option<P>>,
}

/// The result of a rule on an engine.
pub type LearnedOn<E> = Learned<<E as Engine>::Value, <E as Engine>::Param, <E as Engine>::Direction>;
