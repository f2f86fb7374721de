//! Engines: who executes a rule's schedule.
//!
//! A rule is written once against [`Engine`]. [`reference::Reference`] executes it with one Candle
//! operation after another on any device; [`counting::Counting`] executes nothing and counts the work;
//! [`recording::Recording`] executes nothing and keeps the task graph; [`reach::Reach`] executes nothing and keeps which
//! layers learn; [`rounded::Rounded`] imitates what tensor cores read.
//! [`fused`] is not an engine of this kind: it runs the schedules of rules, a whole one per call. Neither is
//! [`autograd`], which is backpropagation as Candle itself offers it.

pub mod autograd;
pub mod counting;
pub mod fused;
pub mod reach;
pub mod recording;
pub mod reference;
pub mod rounded;
pub mod threads;

use std::fmt;
use std::str::FromStr;

use candle_core::DType;
use pcnbench_kernels::Operands;

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
    pub fn operands(self) -> Operands {
        match self {
            Self::Reference | Self::Autograd | Self::Fused | Self::FusedDeviation => Operands::F32,
            Self::FusedTf32x3 => Operands::Tf32x3,
            Self::FusedTf32 => Operands::Tf32,
            Self::FusedBf16 => Operands::Bf16,
        }
    }

    /// Refuses what an engine whose products round their operands is not for: another dtype than f32, and time on a CPU,
    /// which only imitates them.
    ///
    /// # Errors
    /// [`Error::Invalid`] in one sentence.
    pub fn check(self, dtype: DType, timed_on_cpu: bool) -> Result<()> {
        let operands = self.operands();
        if operands == Operands::F32 {
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
                "engine {self} needs a card: a CPU imitates {operands} operands, and how long that takes says nothing; use \
                 --device cuda, or engine fused"
            )));
        }
        Ok(())
    }

    /// Whether the engine can execute a rule at all.
    pub fn runs(self, rule: &str) -> bool {
        match self {
            Self::Reference => true,
            Self::Autograd => rule == "bp",
            Self::Fused | Self::FusedTf32x3 | Self::FusedTf32 | Self::FusedBf16 => {
                let unlike = ["zil-all", "feedback", "linear"];
                !unlike.iter().any(|part| rule.contains(part))
            }
            Self::FusedDeviation => rule.starts_with("spc"),
        }
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
/// Layers are numbered l = 1..L as in the literature. Values have shape `[B, n_l]`. An engine never changes:
/// a rule that moves parameters while it infers holds the moved ones itself and hands them to the verbs that
/// end in `_with`.
pub trait Engine {
    /// A state, prediction or error of one layer.
    type Value: Clone;
    /// A layer linearised at the state below it.
    type Local: Clone;
    /// θ of one layer.
    type Params: Clone;
    /// −∂F/∂θ of one layer: the direction in which learning moves its parameters.
    type Direction;

    /// L.
    fn depth(&self) -> usize;
    /// v_0 = x.
    fn input(&self) -> Self::Value;
    /// θ_l as the engine was given it.
    fn params(&self, l: usize) -> &Self::Params;
    /// Backward weights of layer l, in the form of θ_l; θ_l itself where none are kept apart.
    fn feedback(&self, l: usize) -> &Self::Params {
        self.params(l)
    }
    /// μ_l = f_l(below; θ) and the linearisation there.
    fn forward_with(
        &self,
        l: usize,
        params: &Self::Params,
        below: &Self::Value,
    ) -> Result<(Self::Value, Self::Local)>;
    /// J_lᵀ e at the linearisation, its product taken with the weights in `params`.
    fn vjp_with(
        &self,
        l: usize,
        params: &Self::Params,
        at: &Self::Local,
        e: &Self::Value,
    ) -> Result<Self::Value>;
    /// As [`vjp_with`](Self::vjp_with), every φ' replaced by 1.
    fn vjp_linear_with(
        &self,
        l: usize,
        params: &Self::Params,
        at: &Self::Local,
        e: &Self::Value,
    ) -> Result<Self::Value>;
    /// θ + s·d for layer l.
    fn moved(
        &self,
        l: usize,
        params: &Self::Params,
        s: f64,
        direction: &Self::Direction,
    ) -> Result<Self::Params>;
    /// (∂μ_l/∂θ_l)ᵀ e summed over the batch; with e = ε_l this is −∂F/∂θ_l.
    fn param_grad(&self, l: usize, at: &Self::Local, e: &Self::Value) -> Result<Self::Direction>;
    /// ε_L = −∂loss/∂o.
    fn output_error(&self, o: &Self::Value) -> Result<Self::Value>;
    /// a + b.
    fn add(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// a − b.
    fn sub(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// s·a.
    fn scale(&self, s: f64, a: &Self::Value) -> Result<Self::Value>;
    /// a + s·b.
    fn add_scaled(&self, a: &Self::Value, s: f64, b: &Self::Value) -> Result<Self::Value>;

    /// μ_l = f_l(below; θ_l) and the linearisation there.
    fn forward(&self, l: usize, below: &Self::Value) -> Result<(Self::Value, Self::Local)> {
        self.forward_with(l, self.params(l), below)
    }
    /// J_lᵀ e at the linearisation.
    fn vjp(&self, l: usize, at: &Self::Local, e: &Self::Value) -> Result<Self::Value> {
        self.vjp_with(l, self.params(l), at, e)
    }
}

/// An error of one layer; `None` where it is known to be exactly zero without computing it.
pub type MaybeZero<V> = Option<V>;

/// Called by a rule after each inference step with the number of steps done, ε_1..ε_L and the output.
pub type Watch<'a, V> = dyn FnMut(usize, &[MaybeZero<V>], &V) -> Result<()> + 'a;

/// A [`Watch`] that looks at nothing.
pub fn unwatched<V>(_: usize, _: &[MaybeZero<V>], _: &V) -> Result<()> {
    Ok(())
}

/// What a rule leaves behind: everything evaluated at the same point, after the last step.
pub struct Learned<E: Engine + ?Sized> {
    /// v_1..v_{L−1}.
    pub states: Vec<E::Value>,
    /// o = f_L(v_{L−1}).
    pub output: E::Value,
    /// ε_1..ε_L (for backpropagation and activation relaxation the negative adjoints).
    pub errors: Vec<MaybeZero<E::Value>>,
    /// −∂F/∂θ_1..L; `None` where the layer's error is exactly zero.
    pub directions: Vec<Option<E::Direction>>,
    /// θ_1..L where the rule moved them itself, once per inference step; `None` where they are as they were.
    /// A rule that moves parameters leaves no directions.
    pub params: Vec<Option<E::Params>>,
}

impl<E: Engine + ?Sized> Learned<E> {
    /// What a rule leaves behind that does not move parameters itself.
    pub fn from_directions(
        states: Vec<E::Value>,
        output: E::Value,
        errors: Vec<MaybeZero<E::Value>>,
        directions: Vec<Option<E::Direction>>,
    ) -> Self {
        let params = vec![None; directions.len()];
        Self { states, output, errors, directions, params }
    }
}

/// The forward pass: states v_0..v_{L−1}, linearisations 1..L and the output.
pub struct Forward<E: Engine + ?Sized> {
    /// v_0..v_{L−1}; `states[l]` is v_l.
    pub states: Vec<E::Value>,
    /// `locals[l − 1]` is layer l linearised at v_{l−1}.
    pub locals: Vec<E::Local>,
    /// o.
    pub output: E::Value,
}

/// Runs the forward pass: L products, one after another.
pub fn forward_pass<E: Engine + ?Sized>(engine: &E) -> Result<Forward<E>> {
    let depth = engine.depth();
    let mut states = vec![engine.input()];
    let mut locals = Vec::with_capacity(depth);
    for l in 1..=depth {
        let (mu, local) = engine.forward(l, &states[l - 1])?;
        states.push(mu);
        locals.push(local);
    }
    let output = states.pop().unwrap_or_else(|| engine.input());
    Ok(Forward { states, locals, output })
}

/// −∂F/∂θ_l of every layer from its error; layers with an error of exactly zero cost nothing.
pub fn directions<E: Engine + ?Sized>(
    engine: &E,
    locals: &[E::Local],
    errors: &[MaybeZero<E::Value>],
) -> Result<Vec<Option<E::Direction>>> {
    locals
        .iter()
        .zip(errors)
        .enumerate()
        .map(|(i, (local, error))| error.as_ref().map(|e| engine.param_grad(i + 1, local, e)).transpose())
        .collect()
}
