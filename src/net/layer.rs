//! The three verbs every learning rule is a schedule of.

use candle_core::Tensor;

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

/// Work of one layer, verb by verb, and the size of what it produces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerCost {
    /// Cost of [`Layer::forward`].
    pub forward: VerbCost,
    /// Cost of [`Layer::vjp`].
    pub vjp: VerbCost,
    /// Cost of [`Layer::vjp_linear`].
    pub vjp_linear: VerbCost,
    /// Cost of [`Layer::param_grad`].
    pub param_grad: VerbCost,
    /// Elements of the prediction μ_l: B times the layer's outputs.
    pub outputs: u64,
    /// Elements of all parameters of the layer.
    pub parameters: u64,
}

/// A layer linearised at the state below it: what `forward` saw and `vjp` and `param_grad` need.
///
/// Tensors are shared, so cloning is cheap. Nothing here is recomputed by the later verbs except the
/// activation's derivative, which is an element-wise function of what is stored.
#[derive(Debug, Clone)]
pub struct Local {
    /// v_{l−1}, the raw state below.
    pub below: Tensor,
    /// φ_in(v_{l−1}), as the product read it.
    pub input: Tensor,
    /// Pre-activation of φ_out.
    pub pre: Tensor,
    /// φ_out(pre), before any skip is added.
    pub post: Tensor,
}

/// A layer f_l: a prediction μ_l = f_l(v_{l−1}; θ_l) and its two transposed derivatives.
///
/// Layers hold structure, not parameters: parameters come in as tensors (`w.l`, then `b.l` if there is
/// one), so that one network can be trained under several rules from the same bits.
pub trait Layer: std::fmt::Debug + Send + Sync {
    /// The layer kind's name in case files.
    fn kind(&self) -> &'static str;

    /// Shapes of the parameters, in order.
    fn param_shapes(&self) -> Vec<Vec<usize>>;

    /// Units of μ_l per sample.
    fn outputs(&self) -> usize;

    /// μ_l = f_l(v), shape `[B, outputs]`, with the linearisation at v.
    fn forward(&self, params: &[Tensor], v: &Tensor) -> Result<(Tensor, Local)>;

    /// J_l(v)ᵀ e, the transposed Jacobian at the stored state, shape of v. `e` is `[B, outputs]`.
    fn vjp(&self, params: &[Tensor], at: &Local, e: &Tensor) -> Result<Tensor>;

    /// J_lᵀ e with every φ' replaced by 1: the transposed product alone (and the skip), shape of v.
    ///
    /// Activation relaxation without derivatives (Millidge et al., arXiv 2009.05359) needs it. A layer that
    /// does not say what this means for it refuses, because a wrong guess would look like a result.
    fn vjp_linear(&self, _params: &[Tensor], _at: &Local, _e: &Tensor) -> Result<Tensor> {
        Err(Error::Invalid(format!("a {} layer has no feedback without derivatives", self.kind())))
    }

    /// (∂μ_l/∂θ_l)ᵀ e summed over the batch, one tensor per parameter.
    fn param_grad(&self, at: &Local, e: &Tensor) -> Result<Vec<Tensor>>;

    /// Work of the three verbs on a batch of `batch` samples.
    fn cost(&self, batch: usize) -> LayerCost;
}
