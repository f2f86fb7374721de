//! One step of ePC, of size 1.

use super::info::{Inference, Info};
use super::{Epc, LearningRule, Steps};
use crate::engine::{Engine, LearnedOn, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// ePC (Goemaere et al., arXiv 2505.20137) with T = 1 and g = 1, so that the hidden errors are the negative adjoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once;

const STEP: Steps = Steps { count: 1, size: 1.0, decay: super::Decay::None };

impl LearningRule for Once {
    const VARIANTS: &'static [Info] = &[Info::new("once", "once", Inference::Without, true, false)];

    fn variant(_: &str, _: Steps) -> Self {
        Self
    }

    fn name(&self) -> &'static str {
        "once"
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        Epc { steps: STEP }.learn(engine, watch)
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::epc(net, 1)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::epc(net, 1)
    }
}
