//! The rule of a conformance case, with every switch the format writes out.

use serde::Deserialize;
use serde_json::Value;

use super::case::wire::EQUILIBRIUM;
use crate::rule::{
    Ar, Bp, Decay, Epc, Feedback, Fpa, Ipc, Method, Nodes, PcAlm, Rule, SeqIl, Spc, StepUnit, Steps, Sweep,
    Zil,
};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecayWire {
    None,
    Inverse,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SweepWire {
    Simultaneous,
    TopDown,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CreditWire {
    PreDual,
    PostDual,
}

/// `rule`, one variant per name; unknown names and keys are refused.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
enum RuleWire {
    Bp {},
    LinearEquilibrium {},
    Spc {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
    },
    Epc {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
    },
    Fpa {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
    },
    #[serde(rename = "seqil")]
    SeqIl {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
    },
    Ipc {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
        weight_step_size: f64,
    },
    Ar {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
        sweep: SweepWire,
    },
    Zil {
        step_size: f64,
    },
    #[serde(rename = "pcalm")]
    PcAlm {
        steps: usize,
        step_size: f64,
        step_size_decay: DecayWire,
        inner_steps: usize,
        rho: f64,
        alpha: f64,
        weight_credit: CreditWire,
    },
}

/// Rule names of the format: those that are rules, then the closed form beside them.
pub(super) const NAMES: [&str; 10] =
    ["bp", "spc", "epc", "fpa", "zil", "seqil", "ipc", "ar", "pcalm", EQUILIBRIUM];

/// The rule (none for the closed form) and the inference steps its numbers went through.
pub(super) fn read(wire: Value, depth: usize) -> Result<(Option<Rule>, Steps), String> {
    let wire: RuleWire = serde_json::from_value(wire).map_err(|e| format!("rule: {e}"))?;
    let light_cone = true;
    let steps_of = |count, size, decay| Steps {
        count,
        size,
        decay: match decay {
            DecayWire::None => Decay::None,
            DecayWire::Inverse => Decay::Inverse,
        },
        unit: StepUnit::One,
        method: Method::Plain,
        residual: 0.0,
    };
    let rule = match wire {
        RuleWire::LinearEquilibrium {} => return Ok((None, Steps::constant(0, 0.0))),
        RuleWire::Bp {} => Rule::Bp(Bp::default()),
        RuleWire::Spc { steps, step_size, step_size_decay } => {
            let steps = steps_of(steps, step_size, step_size_decay);
            Rule::Spc(Spc { steps, light_cone, spike: false, even_odd: false })
        }
        RuleWire::Epc { steps, step_size, step_size_decay } => {
            Rule::Epc(Epc { steps: steps_of(steps, step_size, step_size_decay) })
        }
        RuleWire::Fpa { steps, step_size, step_size_decay } => {
            Rule::Fpa(Fpa { steps: steps_of(steps, step_size, step_size_decay), light_cone, nested: false })
        }
        RuleWire::SeqIl { steps, step_size, step_size_decay } => {
            Rule::SeqIl(SeqIl { steps: steps_of(steps, step_size, step_size_decay), mixing: None })
        }
        RuleWire::Ipc { steps, step_size, step_size_decay, weight_step_size } => Rule::Ipc(Ipc {
            steps: steps_of(steps, step_size, step_size_decay),
            weight_step: weight_step_size,
            light_cone,
            evaluate: true,
        }),
        RuleWire::Ar { steps, step_size, step_size_decay, sweep } => Rule::Ar(Ar {
            steps: steps_of(steps, step_size, step_size_decay),
            sweep: match sweep {
                SweepWire::Simultaneous => Sweep::Simultaneous,
                SweepWire::TopDown => Sweep::TopDown,
            },
            feedback: Feedback::Transposed,
            derivatives: true,
        }),
        RuleWire::PcAlm { steps, step_size, step_size_decay, inner_steps, rho, alpha, weight_credit } => {
            Rule::PcAlm(PcAlm {
                steps: steps_of(steps, step_size, step_size_decay),
                inner: inner_steps,
                rho,
                alpha,
                post: matches!(weight_credit, CreditWire::PostDual),
            })
        }
        RuleWire::Zil { step_size } => {
            if step_size != 1.0 {
                return Err(format!("rule: zil is defined for step_size 1, got {step_size}"));
            }
            let steps = Steps::constant(depth.saturating_sub(1), step_size);
            return Ok((Some(Rule::Zil(Zil { nodes: Nodes::Frontier })), steps));
        }
    };
    let steps = match rule {
        Rule::PcAlm(own) => Steps { count: own.steps.count * own.inner, ..own.steps },
        _ => rule.steps().unwrap_or(Steps::constant(0, 0.0)),
    };
    Ok((Some(rule), steps))
}
