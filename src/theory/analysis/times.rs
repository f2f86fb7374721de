//! Times of a network's verbs, and of steps made of them.

use crate::net::{LayerCost, VerbCost};
use crate::theory::cost::{NetCost, RuleCost};

/// F_l and V_l of a network as times, in GEMM FLOPs.
pub(super) struct Times {
    forward: Vec<u64>,
    vjp: Vec<u64>,
}

impl Times {
    /// `derivatives` off takes the VJP without φ'; the product, and so the time, is the same for dense layers.
    pub(super) fn new(net: &NetCost, derivatives: bool) -> Self {
        let vjp = |l: &LayerCost| if derivatives { l.vjp } else { l.vjp_linear };
        Self {
            forward: net.layers.iter().map(|l| l.forward.gemm_flops).collect(),
            vjp: net.layers.iter().map(|l| vjp(l).gemm_flops).collect(),
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.forward.len()
    }

    /// Σ F_l.
    pub(super) fn forwards(&self) -> u64 {
        self.forward.iter().sum()
    }

    /// V_l, l from 2: the VJP into v_{l−1}.
    pub(super) fn vjp(&self, l: usize) -> u64 {
        self.vjp[l - 1]
    }

    /// F_l, l from 1.
    pub(super) fn forward(&self, l: usize) -> u64 {
        self.forward[l - 1]
    }

    /// Σ_{l≥2} V_l.
    pub(super) fn vjps(&self) -> u64 {
        self.vjp.iter().skip(1).sum()
    }

    /// Σ_t max over the layers l ≥ 2 that step t touches: all of them, or under the light cone l ≥ L − t.
    pub(super) fn steps(&self, steps: u64, light_cone: bool, time: impl Fn(usize) -> u64) -> u64 {
        let depth = self.depth();
        let slowest = |lowest: usize| (lowest..=depth).map(&time).max().unwrap_or(0);
        if !light_cone {
            return steps * slowest(2);
        }
        let growing = steps.min(depth.saturating_sub(2) as u64);
        let cone: u64 = (0..growing).map(|t| slowest(depth - t as usize)).sum();
        cone + (steps - growing) * slowest(2)
    }

    /// argmax_{l≥2} V_l.
    pub(super) fn slowest_layer(&self) -> usize {
        (2..=self.depth()).rev().max_by_key(|l| self.vjp(*l)).unwrap_or(1)
    }
}

/// A network without its parameter VJPs, as the paper counts.
pub(super) fn inference_only(net: &NetCost) -> NetCost {
    let mut net = net.clone();
    for layer in &mut net.layers {
        layer.param_grad = VerbCost::default();
    }
    net
}

pub(super) fn over_bp(net: &NetCost, time: u64, updates: u64) -> f64 {
    let times = Times::new(net, true);
    let bp = (times.forwards() + times.vjps()).max(1);
    time as f64 / updates.max(1) as f64 / bp as f64
}

/// FLOPs of inference: the counted work of the rule, parameter VJPs taken out.
pub(super) fn inference_flops(net: &NetCost, cost: impl Fn(&NetCost) -> RuleCost) -> u64 {
    cost(&inference_only(net)).work.gemm_flops
}
