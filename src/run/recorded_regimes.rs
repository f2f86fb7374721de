//! The regimes of a point's contenders, as its record keeps them: after its measurements, within a budget.

use std::iter::successors;

use candle_core::{DType, Device, Tensor};

use crate::contender::stable_step::seeks_smallest;
use crate::contender::{ContenderSpec, State};
use crate::engine::counting::Totals;
use crate::engine::curvature::product_cost;
use crate::engine::EngineKind;
use crate::measure::memory_limit::Memory;
use crate::net::VerbCost;
use crate::record::{QuantityRow, RegimeRow, SummaryRow};
use crate::rule::{Bp, Rule};
use crate::suite::STEPS_TAKEN;
use crate::Result;

use super::point::Prepared;
use super::regime::{regime, Regime};
use super::size;
use super::spectra::{network, Spectra};

/// Work of a contender's regime up to which it is read on the whole batch; beyond it, on fewer samples. About half a second of two
/// cores.
const BUDGET: f64 = 3e9;

/// Work on a single sample beyond which a contender has no regime: a few seconds.
const MOST: f64 = 1e10;

/// What a matrix product counts as besides its FLOPs: a call of the reference engine takes some microseconds, however small.
const PER_PRODUCT: f64 = 2e4;

/// Operations on each parameter: it is drawn, converted, and compared under three rules.
const PER_PARAMETER: f64 = 20.0;

/// Products of a search for a spectrum at most: the largest curvature has settled long before, and the smallest settles late or not
/// at all.
const PRODUCTS: usize = 60;

/// Products of a search for λ_min by the inverse, about: a few products with it, each a system of some ten iterations.
const PRODUCTS_OF_SMALLEST: f64 = 200.0;

/// A regime, and what all contenders that share it have in common.
struct Known {
    rule: Rule,
    /// The bits of the rate, which some rules learn with while they infer.
    learning_rate: u64,
    network: String,
    /// Of [`precision`].
    precision: DType,
    /// The samples that it was read on, and what was found; none where it failed or takes too long.
    found: Option<(usize, Regime)>,
}

/// The regimes, and the inference steps that were taken where these end at a residual, of the contenders of a point that have not failed, in their order, at the first parameters and on a batch.
///
/// Engines of a rule compute the same, so that contenders of one rule, learning rate and network have one regime; but see
/// [`precision`]. Spectra are shared by all rules and points of a network. A contender whose regime cannot be computed, or not
/// within the budget, has no row: its numbers are measured all the same.
pub(super) fn read(
    seed: u64,
    p: &Prepared<'_>,
    batch: &[Tensor],
    rows: &[SummaryRow],
    spectra: &mut Spectra,
) -> (Vec<RegimeRow>, Vec<QuantityRow>) {
    let mut known: Vec<Known> = Vec::new();
    let (mut read, mut taken) = (Vec::new(), Vec::new());
    for (spec, row) in p.specs.iter().zip(rows).filter(|(_, row)| row.err.is_empty()) {
        let (learning_rate, network) =
            (spec.learning_rate.to_bits(), network(&row.point, &row.parameterisation));
        let precision = precision(spec);
        let same = |k: &Known| {
            (k.rule, k.learning_rate, k.precision) == (spec.rule, learning_rate, precision)
                && k.network == network
        };
        let at = known.iter().position(same).unwrap_or_else(|| {
            let found = find(seed, spec, &network, batch, spectra).ok().flatten();
            known.push(Known { rule: spec.rule, learning_rate, network, precision, found });
            known.len() - 1
        });
        if let Some((samples, regime)) = &known[at].found {
            read.push(regime.row(&p.point.id, spec, *samples));
            taken.extend(regime.taken.map(|steps| QuantityRow {
                point: p.point.id.clone(),
                contender: spec.id.to_string(),
                quantity: STEPS_TAKEN.name.to_owned(),
                at: *samples as f64,
                value: steps as f64,
            }));
        }
    }
    (read, taken)
}

/// The dtype whose rounding a contender's directions have: deviations from the forward pass keep, in f32 too, what states of f32 round
/// away.
fn precision(spec: &ContenderSpec) -> DType {
    match spec.id.engine {
        EngineKind::FusedDeviation => DType::F64,
        _ => spec.dtype,
    }
}

/// The regime of one contender, and the number of samples it was read on; none where even one takes too long, or memory does not
/// suffice.
fn find(
    seed: u64,
    spec: &ContenderSpec,
    network: &str,
    batch: &[Tensor],
    spectra: &mut Spectra,
) -> Result<Option<(usize, Regime)>> {
    if moves_otherwise(spec) {
        return Ok(None);
    }
    let Some((samples, batch)) = some_of(spec, batch)? else { return Ok(None) };
    let feedback = || spec.network.start_feedback(seed, spec.dtype, &Device::Cpu);
    let state = State {
        params: spec.network.start(seed, spec.dtype, &Device::Cpu)?,
        feedback: spec.rule.learns_feedback().then(feedback).transpose()?,
    };
    let own = ContenderSpec { dtype: precision(spec), ..spec.clone() };
    let regime = regime(&own, &state, &batch, &spectra.of(network, samples), PRODUCTS)?;
    if let Some(spectrum) = regime.spectrum {
        spectra.add(network, samples, spectrum);
    }
    Ok(Some((samples, regime)))
}

/// The regime of a contender at the parameters that it has, on as many samples of a batch as the budget allows; none where even one takes
/// too long.
pub(super) fn at(spec: &ContenderSpec, state: &State, batch: &[Tensor]) -> Result<Option<Regime>> {
    if moves_otherwise(spec) {
        return Ok(None);
    }
    let Some((_, batch)) = some_of(spec, batch)? else { return Ok(None) };
    let own = ContenderSpec { dtype: precision(spec), ..spec.clone() };
    regime(&own, state, &batch, &[], PRODUCTS).map(Some)
}

/// Whether an optimiser moves the parameters between the steps of inference: what it does depends on all updates before, and is no direction.
fn moves_otherwise(spec: &ContenderSpec) -> bool {
    spec.rule.moves_parameters() && spec.asks_an_optimiser()
}

/// As many samples of a batch as time and memory allow, on the CPU, and their number.
fn some_of(spec: &ContenderSpec, batch: &[Tensor]) -> Result<Option<(usize, Vec<Tensor>)>> {
    let size = batch.first().map_or(Ok(0), |t| t.dim(0))?;
    let Some(samples) = affordable(size, |samples| work(spec, samples))? else { return Ok(None) };
    if !Memory::of_this_process().has_room_for(bytes(spec, samples)?) {
        return Ok(None);
    }
    let first = |t: &Tensor| -> Result<Tensor> { Ok(t.narrow(0, 0, samples)?.to_device(&Device::Cpu)?) };
    Ok(Some((samples, batch.iter().map(first).collect::<Result<_>>()?)))
}

/// The whole batch if its work is within the budget, else the largest power of two of samples that is, and at least one sample; none
/// where one is too much.
fn affordable(batch: usize, work: impl Fn(usize) -> Result<f64>) -> Result<Option<usize>> {
    if work(1)? > MOST {
        return Ok(None);
    }
    let fewer = |&n: &usize| (n > 1).then(|| 1 << (n - 1).ilog2());
    for samples in successors(Some(batch), fewer) {
        if samples == 1 || work(samples)? <= BUDGET {
            return Ok(Some(samples));
        }
    }
    Ok(None)
}

/// FLOPs of a regime on this many samples, about: the rule in f64 and in its dtype, backpropagation, and the products of a search with
/// their reorthogonalisation, `4·products²·dim`.
fn work(spec: &ContenderSpec, samples: usize) -> Result<f64> {
    let flops =
        |cost: VerbCost| cost.gemm_flops as f64 + cost.elementwise as f64 + PER_PRODUCT * cost.gemms as f64;
    let graph = spec.graph()?;
    let times = if precision(spec) == DType::F64 { 1.0 } else { 2.0 };
    let Totals { work: own, .. } = spec.counted(samples)?;
    let bp = ContenderSpec { rule: Rule::Bp(Bp::default()), ..spec.clone() }.counted(samples)?.work;
    let searched = match spec.rule.descends() {
        None => 0.0,
        Some(energy) => {
            let (costs, topology) = (graph.costs(samples), graph.topology());
            let one = flops(product_cost(&costs, |i| topology.follows_state(i)));
            let dim: f64 = topology.latent().map(|i| size::product(graph.shape(i))).sum();
            let n = PRODUCTS as f64;
            let seeks =
                spec.rule.steps().is_some_and(|steps| seeks_smallest(energy.coordinates, steps.method));
            let n_smallest = if seeks { PRODUCTS_OF_SMALLEST } else { 0.0 };
            (n + n_smallest) * one + 4.0 * n * n * dim * samples as f64
        }
    };
    let parameters: f64 = graph.params().iter().map(size::elements).sum();
    Ok(times * flops(own) + flops(bp) + searched + PER_PARAMETER * parameters)
}

/// Bytes of a regime, about: parameters as drawn, in f64 and in their dtype, and the directions of three rules; the tensors of every
/// vertex that a rule and a linearisation keep; the vectors of a search.
fn bytes(spec: &ContenderSpec, samples: usize) -> Result<f64> {
    const SETS: f64 = 6.0;
    const KEPT: f64 = 16.0;
    let graph = spec.graph()?;
    let parameters: f64 = graph.params().iter().map(size::elements).sum();
    let values: f64 = (0..graph.len()).map(|i| size::product(graph.shape(i))).sum();
    let latent: f64 = graph.topology().latent().map(|i| size::product(graph.shape(i))).sum();
    let scratch = graph.costs(samples).iter().map(|cost| cost.scratch).max().unwrap_or(0) as f64;
    let per_sample = KEPT * values + PRODUCTS as f64 * latent;
    Ok(8.0 * (SETS * parameters + samples as f64 * per_sample + 2.0 * scratch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// Work proportional to samples: the whole batch, the largest power of two below it that fits, one, none.
    #[test]
    fn samples_fit_the_budget() {
        let of = |batch: usize, each: f64| affordable(batch, |n| Ok(each * n as f64)).unwrap();
        assert_eq!(of(60, BUDGET / 60.0), Some(60));
        assert_eq!(of(60, BUDGET / 59.0), Some(32));
        assert_eq!(of(64, BUDGET / 63.0), Some(32));
        assert_eq!(of(64, BUDGET / 2.0), Some(2));
        assert_eq!(of(64, 2.0 * BUDGET), Some(1), "one sample may take more");
        assert_eq!(of(64, 1.01 * MOST), None);
        assert_eq!(of(1, BUDGET), Some(1));
        let broken = affordable(4, |_| Err(Error::Invalid("no".into())));
        assert!(broken.is_err());
    }
}
