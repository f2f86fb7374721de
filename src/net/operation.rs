//! What a vertex computes: an operation with its derivatives and its cost.

use std::sync::Arc;

use candle_core::Tensor;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result};

/// Work of one verb on one batch. Matrix products and element-wise work are kept apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerbCost {
    /// Matrix products.
    pub gemms: u64,
    /// Their FLOPs: 2·B·n_in·n_out each.
    pub gemm_flops: u64,
    /// Element-wise operations; a transcendental counts as one.
    pub elementwise: u64,
    /// Tensor elements that must be read or written when nothing stays in cache between operations:
    /// each operand of a product and its result once; element-wise work is assumed fused into it.
    pub moved: u64,
}

impl VerbCost {
    /// Element-wise work alone: `ops` operations that read or write `moved` elements.
    pub fn elementwise(ops: u64, moved: u64) -> Self {
        Self { elementwise: ops, moved, ..Self::default() }
    }
}

impl std::ops::Add for VerbCost {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            gemms: self.gemms + o.gemms,
            gemm_flops: self.gemm_flops + o.gemm_flops,
            elementwise: self.elementwise + o.elementwise,
            moved: self.moved + o.moved,
        }
    }
}

impl std::ops::AddAssign for VerbCost {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl std::ops::Mul<u64> for VerbCost {
    type Output = Self;
    fn mul(self, k: u64) -> Self {
        Self {
            gemms: self.gemms * k,
            gemm_flops: self.gemm_flops * k,
            elementwise: self.elementwise * k,
            moved: self.moved * k,
        }
    }
}

impl std::iter::Sum for VerbCost {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), |a, b| a + b)
    }
}

/// Work of one operation, verb by verb, and the size of what it produces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationCost {
    /// Cost of [`Operation::forward`].
    pub forward: VerbCost,
    /// Cost of [`Operation::vjp`], per input slot.
    pub vjp: Vec<VerbCost>,
    /// Cost of [`Operation::vjp_linear`], per input slot; empty where that has no meaning.
    pub vjp_linear: Vec<VerbCost>,
    /// Cost of [`Operation::param_grad`].
    pub param_grad: VerbCost,
    /// Elements of the value: B times the operation's outputs.
    pub outputs: u64,
    /// Elements that a verb needs besides its operands and its result while it runs: the gathered windows of a convolution.
    pub scratch: u64,
}

impl OperationCost {
    /// Cost of [`Operation::vjp_linear`] of vertex i.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the operation has none.
    pub fn linear(&self, i: super::VertexId, slot: usize) -> Result<VerbCost> {
        self.vjp_linear.get(slot).copied().ok_or_else(|| {
            Error::Invalid(format!(
                "the operation of vertex {i} (from 0) has no feedback without derivatives; use a rule without -linear"
            ))
        })
    }
}

/// An operation by name, with a function that reads it from its attributes.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The operation with these attributes, a JSON object; else the problem, as the end of a sentence.
    pub read: fn(Value) -> Result<Arc<dyn Operation>, String>,
}

impl Kind {
    /// The operation of type `O`, whose fields are the attributes.
    pub const fn of<O: Operation + DeserializeOwned>(name: &'static str) -> Self {
        Self { name, read: read::<O> }
    }
}

fn read<O: Operation + DeserializeOwned>(attributes: Value) -> Result<Arc<dyn Operation>, String> {
    let operation: O = serde_json::from_value(attributes).map_err(|e| e.to_string())?;
    Ok(Arc::new(operation))
}

/// Work of one layer of a chain, as the closed formulas of [`crate::theory`] see it: one input, whose VJP has one cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerCost {
    /// Cost of [`Operation::forward`].
    pub forward: VerbCost,
    /// Cost of [`Operation::vjp`].
    pub vjp: VerbCost,
    /// Cost of [`Operation::vjp_linear`].
    pub vjp_linear: VerbCost,
    /// Cost of [`Operation::param_grad`].
    pub param_grad: VerbCost,
    /// Elements of the prediction μ_l: B times the layer's outputs.
    pub outputs: u64,
    /// Elements of all parameters of the layer.
    pub parameters: u64,
}

impl LayerCost {
    /// The same as the cost of an operation.
    pub fn operation(&self) -> OperationCost {
        OperationCost {
            forward: self.forward,
            vjp: vec![self.vjp],
            vjp_linear: vec![self.vjp_linear],
            param_grad: self.param_grad,
            outputs: self.outputs,
            scratch: 0,
        }
    }
}

/// An operation linearised at its inputs: what `forward` saw and the derivatives need.
///
/// Tensors are shared, so cloning is cheap.
#[derive(Debug, Clone)]
pub struct Linearization {
    /// The inputs, by slot.
    pub inputs: Vec<Tensor>,
    /// The value.
    pub value: Tensor,
    /// What the operation keeps for its derivatives besides; only the operation knows what it means.
    pub kept: Vec<Tensor>,
}

impl Linearization {
    /// Of an operation that keeps nothing but its inputs and its value.
    pub fn plain(inputs: &[&Tensor], value: &Tensor) -> Self {
        Self::keeping(inputs, value, Vec::new())
    }

    /// Of an operation that keeps more.
    pub fn keeping(inputs: &[&Tensor], value: &Tensor, kept: Vec<Tensor>) -> Self {
        Self { inputs: inputs.iter().map(|t| (*t).clone()).collect(), value: value.clone(), kept }
    }
}

/// An operation f(inputs; θ) with its derivatives. Tensors have the sample as their first axis; shapes in
/// [`shape`](Self::shape) and [`cost`](Self::cost) are without it. No operation mixes samples.
///
/// Operations hold structure, not parameters: parameters come in as tensors, so that one network can be trained
/// under several rules from the same bits.
pub trait Operation: std::any::Any + std::fmt::Debug + Send + Sync {
    /// The operation's name in case files.
    fn kind(&self) -> &'static str;

    /// Shape of the value, from the shapes of inputs and parameters.
    ///
    /// # Errors
    /// What was expected, for the caller to add the vertex's name.
    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// f(inputs; θ), and the linearisation there.
    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)>;

    /// J_slotᵀ c: the transposed Jacobian by the input in `slot`, applied to c, which has the shape of the value.
    fn vjp(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor>;

    /// As [`vjp`](Self::vjp), every φ' replaced by 1.
    ///
    /// Activation relaxation without derivatives (Millidge et al., arXiv 2009.05359) needs it. An operation that
    /// does not say what this means for it refuses, because a wrong guess would look like a result.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it has no meaning.
    fn vjp_linear(
        &self,
        _params: &[&Tensor],
        _: &Linearization,
        _slot: usize,
        _c: &Tensor,
    ) -> Result<Tensor> {
        Err(Error::Invalid(format!(
            "operation {} has no feedback without derivatives; use a rule without -linear",
            self.kind()
        )))
    }

    /// J_slot d: the Jacobian by the input in `slot`, applied to d, which has the shape of that input.
    fn jvp(&self, params: &[&Tensor], at: &Linearization, slot: usize, d: &Tensor) -> Result<Tensor>;

    /// (∂f/∂θ)ᵀ c summed over the batch, one tensor per parameter slot; an operation with parameters must have it.
    fn param_grad(&self, _at: &Linearization, _c: &Tensor) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }

    /// Work of the verbs on a batch.
    fn cost(&self, batch: usize, inputs: &[&[usize]], params: &[&[usize]]) -> OperationCost;
}

/// Elements of a batch of tensors of this shape.
pub(super) fn elements(batch: usize, shape: &[usize]) -> u64 {
    (batch * shape.iter().product::<usize>()) as u64
}

/// The only one of several shapes, or what was expected.
pub(super) fn only<'a>(what: &str, shapes: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match shapes {
        [one] => Ok(one),
        _ => Err(format!("has {} {what}; expected 1", shapes.len())),
    }
}

/// Refuses parameters of an operation that has none.
pub(super) fn no_params(params: &[&[usize]]) -> Result<(), String> {
    if params.is_empty() {
        return Ok(());
    }
    Err(format!("has {} parameters; expected none", params.len()))
}
