//! The preflight of a timed point: the same contender on a reduced problem, a network small enough for the f64 oracle.
//!
//! A contender that is wrong on its reduced problem gets a row with `err` and no timing.

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::MathMode;
use rand::RngExt;
use rand_distr::StandardNormal;

use super::oracle::{self, Problem};
use crate::contender::{Contender, ContenderId, ContenderSpec, State};
use crate::engine::EngineKind;
use crate::net::rng::{stream, Purpose};
use crate::net::{host_tensor, Graph, LossTerm, Named};
use crate::rule::{Method, Rule, StepUnit, Steps};
use crate::{Error, Result};

const BATCH: usize = 3;

/// Weight step of rules that move the parameters themselves: small enough for the reduced problem to stay near its start.
const MOVING_STEP: f64 = 0.002;

/// Above this a step size is capped on the reduced problem: unstable inference amplifies rounding until nothing can be
/// said about the schedule, and whether it diverges shows when it is measured.
const LARGEST_STEP: f64 = 1.0;

/// The same of a step in units of the largest stable one.
const LARGEST_SHARE: f64 = 0.9;

/// Steps of conjugate gradients on the reduced problem at most. Where the curvature is ill conditioned every step multiplies the rounding
/// of the one before, which no bound in T alone allows for; the third step has every term of their recursion, and tests hold longer
/// schedules against the oracle on random networks.
const CONJUGATE_STEPS: usize = 3;

/// The specification of the reduced problem: everything kept but sizes, depth, step count and steps that are too large.
/// A rule that moves the parameters itself also gets a weight step of its own. All steps are taken: a residual that the oracle is above in
/// f64 and the contender below would make two schedules of one.
fn reduced(spec: &ContenderSpec) -> Result<ContenderSpec> {
    let mut small = spec.clone();
    small.network = spec.network.reduced();
    if let Some(steps) = spec.rule.steps() {
        let most = match steps.method {
            Method::ConjugateGradient => CONJUGATE_STEPS,
            _ => 2 * small.network.graph(spec.loss)?.len(),
        };
        let count = steps.count.min(most);
        let most = if steps.unit == StepUnit::Stable { LARGEST_SHARE } else { LARGEST_STEP };
        small.rule =
            spec.rule.with_steps(Steps { count, size: steps.size.min(most), residual: 0.0, ..steps });
    }
    if spec.rule.moves_parameters() {
        small.learning_rate = MOVING_STEP;
    }
    Ok(small)
}

/// The largest error of the reduced problem's parameter directions against the f64 oracle, in units of its allowance
/// (1 or less passes): u·(n + 2)·(L + 2T)·8·(largest direction of the layer + 1), with u the dtype's unit
/// roundoff and n the longest sum; plus u·T·(largest parameter)/α where a rule moves the parameters
/// itself and its direction is their difference over α, and u·T·B·s·max(s, 1)/β, s being the largest value of the forward pass, where its
/// direction is a difference of two phases over 2β. The oracle starts from the contender's own rounded bits, so the
/// rounding of the start does not count.
///
/// A contender whose products round their operands is checked twice: with operands of f32 to that bound, then as it is,
/// where each of 2(L + Σ g_t) + 1 products adds 2u of what it sums (u: [`MathMode::unit`], twice for what a sum's terms
/// are larger than it): errors reach the states of T steps through their sizes g_t. What is returned is the larger
/// share. A network that is no stack of layers is checked in f64 besides.
///
/// # Errors
/// [`Error::Wrong`] if the error exceeds the allowance; the message names the tensor. [`Error::Diverged`]
/// if the oracle itself arrives at numbers that the dtype cannot hold.
pub fn check(spec: &ContenderSpec, seed: u64, device: &Device) -> Result<f64> {
    if spec.id.engine.operands() == MathMode::F32 {
        let own = share(spec, seed, device)?;
        // Sums over images are long, and what f32 is allowed for them hides small directions: the same schedule in f64 shows it.
        if spec.dtype == DType::F32 && spec.network.graph(spec.loss)?.as_stack().is_err() {
            let wide = ContenderSpec { dtype: DType::F64, ..spec.clone() };
            return Ok(own.max(share(&wide, seed, device)?));
        }
        return Ok(own);
    }
    let id = ContenderId { engine: EngineKind::Fused, ..spec.id.clone() };
    let exact = ContenderSpec { id, ..spec.clone() };
    Ok(share(&exact, seed, device)?.max(share(spec, seed, device)?))
}

fn share(spec: &ContenderSpec, seed: u64, device: &Device) -> Result<f64> {
    let small = reduced(spec)?;
    let contender = Contender::new(&small, seed, device)?;
    let graph = contender.graph();
    let data = data(graph, seed)?;
    let on_device = |t: &Tensor| -> Result<Tensor> { Ok(t.to_dtype(small.dtype)?.to_device(device)?) };
    let batch = data.iter().map(on_device).collect::<Result<Vec<_>>>()?;
    let (got, rule) = (contender.directions(&batch)?, contender.rule_on(&batch)?);

    let widen = |t: &Tensor| -> Result<Tensor> { Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?) };
    let State { params, feedback } = contender.state()?;
    let params = params.iter().map(widen).collect::<Result<Vec<_>>>()?;
    let widen_some = |t: &Option<Tensor>| t.as_ref().map(widen).transpose();
    let feedback = feedback.map(|table| table.iter().map(widen_some).collect::<Result<Vec<_>>>());
    let feedback = feedback.transpose()?;
    let data = data.iter().map(|t| widen(&t.to_dtype(small.dtype)?)).collect::<Result<Vec<_>>>()?;
    let problem = Problem { graph, params: &params, data: &data, feedback: feedback.as_deref() };
    let expected = oracle::directions(&problem, &rule)?;

    let (epsilon, most) = match small.dtype {
        DType::F64 => (f64::EPSILON, f64::MAX),
        _ => (f64::from(f32::EPSILON), f64::from(f32::MAX)),
    };
    let unit = epsilon / 2.0;
    let longest = graph.longest_sum().max(BATCH * graph.most_rows()) as f64;
    let (depth, through) = (graph.len(), steps_through(&small, graph));
    let chain = (depth + 2 * through) as f64;
    // parameters rounded after every update, over the weight step
    let moves = if small.rule.moves_parameters() { through as f64 / small.learning_rate } else { 0.0 };
    let sizes = small.rule.steps().map_or(0.0, |s| (0..s.count).map(|t| s.size(t).abs()).sum::<f64>());
    // states rounded in every step of two phases, whose difference over 2β meets the values below and is summed over the batch
    let nudged = match small.rule {
        Rule::Ep(ep) => {
            let values = graph.forward(&params, problem.data)?;
            let largest =
                values.iter().map(largest_of).try_fold(0.0f64, |most, own| Ok::<_, Error>(most.max(own?)))?;
            (BATCH * through) as f64 * largest * largest.max(1.0) / ep.nudge.abs()
        }
        _ => 0.0,
    };
    let products = 2.0 * (depth as f64 + sizes.max(through.min(1) as f64)) + 1.0;
    // moved in every step, so as many directions add up
    let products = products + if small.rule.moves_parameters() { through as f64 } else { 0.0 };
    let rounded = 2.0 * 2.0 * small.id.engine.operands().unit() * products;
    let mut worst = 0.0f64;
    for (p, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let largest = largest_of(expected)?;
        if !largest.is_finite() || largest > most {
            let steps = small.rule.steps();
            return Err(Error::Diverged {
                rule: small.rule.name().to_owned(),
                quantity: "a direction on the reduced problem of this point".into(),
                steps: steps.map_or(0, |s| s.count),
                step_size: steps.map_or(0.0, |s| s.size),
            });
        }
        let distance = match got {
            Some(own) => largest_of(&(widen(own)? - expected)?)?,
            None => largest,
        };
        let arithmetic = (longest + 2.0) * chain * 8.0 * (largest + 1.0);
        let moved = moves * largest_of(&params[p])?;
        let share = distance / (unit * (arithmetic + moved + nudged) + rounded * (largest + 1.0));
        if share.is_nan() || share > 1.0 {
            return Err(Error::Wrong(format!(
                "{} is wrong on the reduced problem of this point: the direction of {} is off by {distance:.2e} of {largest:.2e}, {share:.1} times what {}{} \
                 allows",
                small.id,
                graph.params()[p].name,
                small.dtype.as_str(),
                if rounded > 0.0 { " with operands rounded" } else { "" }
            )));
        }
        worst = worst.max(share);
    }
    Ok(worst)
}

/// Inference steps the numbers of a contender go through.
fn steps_through(spec: &ContenderSpec, graph: &Graph) -> usize {
    match spec.rule {
        Rule::Zil(_) => graph.len() - 1,
        _ => spec.rule.steps().map_or(0, |s| s.count),
    }
}

/// Normal numbers; a distribution over the last axis where a cross-entropy has its target.
fn data(graph: &Graph, seed: u64) -> Result<Vec<Tensor>> {
    let mut rng = stream(seed, Purpose::VerificationData);
    let mut tensors = Vec::new();
    for (d, Named { shape, .. }) in graph.data().iter().enumerate() {
        let shape = [&[BATCH], &shape[..]].concat();
        let mut values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.sample(StandardNormal)).collect();
        let is_distribution = |term: &LossTerm| term.target == d && term.loss.kind.judges_distributions();
        if graph.losses().iter().any(is_distribution) {
            for row in values.chunks_mut(shape[shape.len() - 1]) {
                row.iter_mut().for_each(|v| *v = v.exp());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|v| *v /= sum);
            }
        }
        tensors.push(host_tensor(values, &shape, DType::F64, &Device::Cpu)?);
    }
    Ok(tensors)
}

fn largest_of(t: &Tensor) -> Result<f64> {
    let values = t.abs()?.flatten_all()?.to_vec1::<f64>()?;
    Ok(values.into_iter().fold(0.0, |m: f64, v| if v.is_nan() { f64::INFINITY } else { m.max(v) }))
}
