//! Differential test of an engine against the reference engine in f64 on the CPU, on networks with sizes around those
//! of tiles.
//!
//! Conformance cases have other people's numbers and few sizes; these have every size at which a kernel takes another
//! way, and numbers of this program's own. What they share with the kernels is the equations, not a line of code.

use candle_core::{DType, Device};
use rand::RngExt;

use super::case::Case;
use super::execute::{self, Produced};
use super::host::Host;
use super::{compare, CaseOutcome, Options, Report, Worst};
use crate::engine::EngineKind;
use crate::net::architecture::mlp::chain;
use crate::net::rng::{stream, Purpose};
use crate::net::{Activation, Dense, Loss, LossKind};
use crate::rule::{Info, Method, Rule, StepUnit, Steps};
use crate::Result;

/// One, and around the tiles of 16, 32, 64 and 128.
const WIDTHS: [usize; 10] = [1, 15, 16, 17, 31, 33, 64, 127, 128, 129];
const BATCHES: [usize; 5] = [1, 3, 31, 64, 65];
const DEPTHS: [usize; 4] = [1, 2, 3, 9];

/// Units from input to output, and the batch, where no two layers that meet have one width.
const RAGGED: [(&[usize], usize); 5] = [
    (&[129, 1], 64),
    (&[17, 1, 129], 65),
    (&[1, 129, 16, 33], 31),
    (&[127, 15, 128, 17, 64], 3),
    (&[33, 128, 15, 64, 127, 16, 31, 1, 129, 17], 65),
];

/// Enough for an error of the output to come down every depth but the last, and for a GPU to take a rule's steps in one
/// launch where that pays.
const STEPS: usize = 5;
const STEP: f64 = 0.1;
/// α of iPC.
const WEIGHT_STEP: f64 = 0.01;

/// What f64 may differ by, of the largest number and besides: some forty times what rounding does in the worst of these
/// networks, and far below any mistake.
const RELATIVE: f64 = 1e-11;
const ABSOLUTE: f64 = 1e-11;

/// The engine that `verify` compares with the reference engine: the one asked for if it is a fused one, `fused` on a
/// GPU, whose kernels are what there is to be checked there, none otherwise. What a CPU imitates says nothing of a
/// kernel.
pub fn engine(options: &Options) -> Option<EngineKind> {
    let on_cpu = options.device.is_cpu();
    match options.engine {
        kind if kind.is_fused() => kind.check(options.dtype, on_cpu).is_ok().then_some(kind),
        _ => (!on_cpu).then_some(EngineKind::Fused),
    }
}

/// One report for each rule and variant that [`engine`] runs, over all networks; none without such an engine.
pub fn run(options: &Options) -> impl Iterator<Item = Report> + '_ {
    let engine = engine(options);
    let on_cpu = options.device.is_cpu();
    let runs = move |name: &&str| {
        let here = on_cpu || Info::of(name).is_some_and(|info| info.on_gpu);
        here && engine.is_some_and(|kind| Info::runs(name, kind))
    };
    let names = Rule::NAMES.into_iter().filter(runs).filter(|name| has_own_schedule(name));
    names.filter_map(move |name| {
        let options = Options { engine: engine?, ..options.clone() };
        report(name, &options, &|case| execute::execute(case, options.engine, options.dtype, &options.device))
    })
}

/// Whether a rule's schedule is no other rule's: plain descent in units of the largest stable step, which a contender finds, is that of
/// the rule without. Other methods take the step as it stands here.
fn has_own_schedule(name: &str) -> bool {
    let steps = Rule::from_name(name, Steps::constant(STEPS, STEP)).ok().and_then(|rule| rule.steps());
    steps.is_none_or(|steps| steps.unit == StepUnit::One || steps.method != Method::Plain)
}

/// A rule on every network, by whatever `execute` does; none if the options leave the rule out.
fn report(name: &str, options: &Options, execute: &dyn Fn(&Case) -> Result<Produced>) -> Option<Report> {
    let id = format!("differential/{name}/{}", options.engine);
    let failed = |why: String| CaseOutcome::Failed(why);
    let rule = match Rule::from_name(name, Steps::constant(STEPS, STEP)) {
        Ok(rule) => rule.with_weight_step(WEIGHT_STEP).evaluated(),
        Err(error) => return Some(Report { id, outcome: failed(error.to_string()) }),
    };
    if options.rule.as_deref().is_some_and(|wanted| wanted != rule.family()) {
        return None;
    }
    let (mut all, mut closest, mut wrong) = (0, None::<Worst>, Vec::new());
    let networks = networks();
    for (units, batch) in &networks {
        let place = format!("{} at batch {batch}", text(units));
        let outcome = reference_case(name, rule, units, *batch)
            .and_then(|case| Ok(compare(&case, &execute(&case)?, options)))
            .unwrap_or_else(|error| failed(error.to_string()));
        match outcome {
            CaseOutcome::Passed { compared, worst } => {
                all += compared;
                let share = |w: &Worst| w.error / w.allowed;
                if closest.as_ref().is_none_or(|c| share(&worst) > share(c)) {
                    closest = Some(Worst { entry: format!("{} of {place}", worst.entry), ..worst });
                }
            }
            CaseOutcome::Failed(why) | CaseOutcome::Skipped(why) => wrong.push((place, why)),
        }
    }
    let outcome = match (wrong.split_first(), closest) {
        (None, Some(worst)) => CaseOutcome::Passed { compared: all, worst },
        (None, None) => failed("has no network".to_owned()),
        (Some(((place, why), rest)), _) => {
            // with sizes that pass beside those that do not, the list says which size it is
            let others: String = rest.iter().map(|(place, _)| format!("; also {place}")).collect();
            failed(format!("{} of {} networks: {place}: {why}{others}", wrong.len(), networks.len()))
        }
    };
    Some(Report { id, outcome })
}

fn text(units: &[usize]) -> String {
    units.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")
}

/// Every width at every depth, the batches in turn so that each depth meets each, then the ragged ones.
fn networks() -> Vec<(Vec<usize>, usize)> {
    let even = WIDTHS.into_iter().enumerate().flat_map(|(i, width)| {
        let batch = move |j: usize| BATCHES[(i + j) % BATCHES.len()];
        DEPTHS.into_iter().enumerate().map(move |(j, depth)| (vec![width; depth + 1], batch(j)))
    });
    even.chain(RAGGED.into_iter().map(|(units, batch)| (units.to_vec(), batch))).collect()
}

/// A network with what its rule produces on the reference engine, in f64, as expected numbers. Activations are smooth:
/// a slope with a kink may fall on either side of it in f32.
fn reference_case(name: &str, rule: Rule, units: &[usize], batch: usize) -> Result<Case> {
    let depth = units.len() - 1;
    let layers: Vec<Dense> = (1..=depth)
        .map(|l| Dense {
            inputs: units[l - 1],
            outputs: units[l],
            act_in: if l == 1 { Activation::Identity } else { Activation::Tanh },
            act_out: if l % 2 == 0 { Activation::Gelu } else { Activation::Identity },
            scale: if l % 2 == 0 { 0.75 } else { 1.0 },
            skip: l > 1 && l % 2 == 1 && units[l - 1] == units[l],
            bias: l % 3 != 0,
        })
        .collect();
    let seed = units.iter().fold(batch as u64, |seed, n| seed.wrapping_mul(131).wrapping_add(*n as u64));
    let mut rng = stream(seed, Purpose::VerificationData);
    // numbers of f32, so that both precisions start from the same bits
    let mut numbers = |shape: &[usize], most: f64| {
        let one = |_| f64::from((most * (2.0 * rng.random::<f64>() - 1.0)) as f32);
        Host { shape: shape.to_vec(), data: (0..shape.iter().product()).map(one).collect() }
    };
    let params = layers
        .iter()
        .flat_map(|layer| {
            let most = (layer.inputs as f64).sqrt().recip();
            let mut own = vec![numbers(&[layer.outputs, layer.inputs], most)];
            own.extend(layer.bias.then(|| numbers(&[layer.outputs], 0.5)));
            own
        })
        .collect();
    let x = numbers(&[batch, units[0]], 1.0);
    let mut y = numbers(&[batch, units[depth]], 1.0);
    let mut loss = Loss::HALF_SQUARED_ERROR;
    if depth == 2 && units[depth] > 1 {
        loss.kind = LossKind::CrossEntropy;
        for row in y.data.chunks_mut(units[depth]) {
            let largest = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            row.iter_mut().enumerate().for_each(|(i, v)| *v = f64::from(u8::from(i == largest)));
        }
    }
    let steps = match rule {
        Rule::Zil(_) => Steps::constant(depth - 1, 1.0),
        _ => rule.steps().unwrap_or(Steps::constant(0, 0.0)),
    };
    let mut case = Case {
        id: format!("{name} on {}", text(units)),
        rule: rule.family().to_owned(),
        schedule: Some(rule),
        steps,
        graph: chain(layers, &[units[0]], loss)?,
        chain: true,
        data: vec![x, y],
        params,
        expect: Produced::new(),
        relative: RELATIVE,
        absolute: ABSOLUTE,
    };
    case.expect = execute::execute(&case, EngineKind::Reference, DType::F64, &Device::Cpu)?;
    // sums over the batch that the host takes of the others: no kernel's, and so large that they would widen what f32
    // may do
    case.expect.retain(|entry, _| !["energy", "loss"].contains(&entry.as_str()));
    Ok(case)
}

#[cfg(test)]
#[path = "differential_tests.rs"]
mod tests;
