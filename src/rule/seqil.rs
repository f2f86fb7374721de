//! Sequential inference learning (SeqIL).

use super::chain::Chain;
use super::{LearningRule, Steps};
use crate::engine::{directions, Engine, Learned, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// sPC swept from the output down, in place (Alonso, Krichmar & Neftci, arXiv 2305.13562).
///
/// T times, for l = L − 1 down to 1:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(v_l)ᵀ ε_{l+1}),  ε_{l+1} = v_{l+1} − f_{l+1}(v_l)
///
/// with the already moved v_{l+1} and the not yet moved v_l and v_{l−1}; f_{l+1}(v_l) is therefore the
/// prediction of the sweep before. The error reaches every layer in the first sweep. 2L + 2T(L − 1) products:
/// per sweep L − 1 pulled back one after another, and L − 1 predictions.
///
/// The paper's step is g/(1 + t), [`Decay::Inverse`](super::Decay::Inverse); its output target
/// (β y + o)/(1 + β) is [`mixing`](Self::mixing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeqIl {
    /// T and g.
    pub steps: Steps,
    /// β of the output target (β y + o)/(1 + β), which makes ε_L = β/(1 + β) times −∂loss/∂o: the same as an
    /// output precision of β/(1 + β). `None` for the target y. Energies still report the loss itself.
    pub mixing: Option<f64>,
}

impl SeqIl {
    /// ε_L scaled by β/(1 + β).
    fn mix<E: Engine>(&self, engine: &E, chain: &mut Chain<E>) -> Result<()> {
        if let (Some(beta), Some(Some(eps))) = (self.mixing, chain.errors.last_mut()) {
            *eps = engine.scale(beta / (1.0 + beta), eps)?;
        }
        Ok(())
    }
}

impl LearningRule for SeqIl {
    const NAME: &'static str = "seqil";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let mut chain = Chain::start(engine, true)?;
        self.mix(engine, &mut chain)?;
        watch(0, &chain.errors, &chain.output)?;
        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            for l in (1..depth).rev() {
                if let Some(descent) = chain.descent(engine, l)? {
                    chain.states[l] = engine.add_scaled(&chain.states[l], g, &descent)?;
                    if l > 1 {
                        // what layer l − 1 reads: the new v_l against the prediction from the old v_{l−1}
                        let error = engine.sub(&chain.states[l], &chain.predictions[l - 1])?;
                        chain.errors[l - 1] = Some(error);
                    }
                }
            }
            if depth > 1 {
                chain.refresh(engine, 1)?;
                self.mix(engine, &mut chain)?;
            }
            watch(t + 1, &chain.errors, &chain.output)?;
        }
        let directions = directions(engine, &chain.locals, &chain.errors)?;
        let states = chain.states.split_off(1);
        Ok(Learned::from_directions(states, chain.output, chain.errors, directions))
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::seqil(net, self.steps.count as u64, self.mixing.is_some())
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::seqil(net, self.steps.count as u64, self.mixing.is_some())
    }
}
