//! The regime of a contender: how far its inference gets, and how near its directions come to backpropagation's.

use candle_core::{DType, Device, Tensor};

use crate::contender::stable_step::least_curvature;
use crate::contender::{ContenderSpec, State};
use crate::engine::curvature::{Coordinates, Curvature, Matrix};
use crate::engine::reference::Reference;
use crate::engine::unwatched;
use crate::net::Graph;
use crate::optim::Directions;
use crate::rule::{Rule, StepUnit, Steps};
use crate::theory::lanczos::Ends;
use crate::theory::linear::trajectory::relaxed_fraction;
use crate::{Error, Result};

use super::alignment::Sums;

/// Lanczos products at most: enough for both ends of small problems; of large ones the smaller end is then a bound.
const PRODUCTS: usize = 120;

/// Bytes that the vectors of a search may take; fewer products where it would be more.
const ROOM: usize = 1 << 30;

/// Relative residual at which an end of a spectrum has settled.
const SETTLED: f64 = 1e-4;

/// A direction is below rounding if what the dtype makes of it is this far from the same direction in f64, in units of its length.
const LOST: f64 = 0.5;

/// Curvature of the energy at the start of inference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spectrum {
    /// Which variables.
    pub coordinates: Coordinates,
    /// The ends, of the Gauss–Newton matrix at the forward pass.
    pub ends: Ends,
}

/// What becomes of a group of parameters: a layer, of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learns {
    /// Its direction is there.
    Yes,
    /// In this dtype the direction is mostly rounding.
    BelowRounding,
    /// It is exactly zero.
    No,
}

/// The directions of a group, beside backpropagation's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerRegime {
    /// Of the two directions.
    pub cosine: f64,
    /// Its length over that of backpropagation's.
    pub norm_ratio: f64,
    /// Whether it learns.
    pub learns: Learns,
}

/// The regime of a rule on a network, a batch and parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Regime {
    /// Curvature in what the rule moves; none for a rule that descends no energy.
    pub spectrum: Option<Spectrum>,
    /// Inference steps with the step that they have here.
    pub steps: Option<Steps>,
    /// Groups of parameters, in the order of the network.
    pub layers: Vec<LayerRegime>,
    /// Cosine of all directions together.
    pub cosine: f64,
    /// Their length over that of backpropagation's.
    pub norm_ratio: f64,
}

impl Spectrum {
    /// λ_max as far as the search has found it, with its residual as a margin.
    pub fn largest(&self) -> f64 {
        self.ends.largest.value + self.ends.largest.residual
    }

    /// λ_min, if it has settled and is above rounding.
    pub fn smallest(&self) -> Option<f64> {
        let end = self.ends.smallest;
        let above = end.value > 1e-14 * self.ends.largest.value;
        (above && end.residual <= 1e-2 * end.value).then_some(end.value)
    }
}

impl Regime {
    /// η·λ_max: stable below 2.
    pub fn step_times_largest(&self) -> Option<f64> {
        Some(self.steps?.size * self.spectrum?.largest())
    }

    /// f = 1 − (1 − ηλ)^T of the way to the minimum along the flattest and the steepest direction.
    pub fn relaxed(&self) -> Option<(Option<f64>, f64)> {
        let (steps, spectrum) = (self.steps?, self.spectrum?);
        let share =
            |lambda: f64| relaxed_fraction(steps.size, lambda, steps.count.try_into().unwrap_or(u32::MAX));
        Some((spectrum.smallest().map(share), share(spectrum.ends.largest.value)))
    }

    /// Cosine of the lowest quarter of the layers, at least one, each of one weight.
    pub fn lowest_quarter(&self) -> f64 {
        let count = self.layers.len().div_ceil(4).max(1);
        let lowest = self.layers.iter().take(count).map(|layer| layer.cosine);
        lowest.sum::<f64>() / count.min(self.layers.len()).max(1) as f64
    }

    /// Layers that do not learn.
    pub fn silent(&self) -> usize {
        self.layers.iter().filter(|layer| layer.learns != Learns::Yes).count()
    }

    /// The label that stands beside a number of this contender.
    pub fn label(&self) -> String {
        let (silent, all) = (self.silent(), self.layers.len());
        if silent > 0 {
            return format!("{silent} of {all} layers do not learn");
        }
        // the sine of the angle: how far off the direction is in units of its length
        let off = 100.0 * (1.0 - self.cosine.powi(2)).max(0.0).sqrt();
        match self.cosine > 0.0 {
            true if off < 0.1 => "in the direction of backpropagation".into(),
            true => format!("direction within {off:.1} % of backpropagation's"),
            false => "direction against backpropagation's".into(),
        }
    }
}

/// The regime of a contender at parameters on a batch, both in the dtype of its point and on the CPU; `known` are spectra of the same
/// network, parameters and batch.
///
/// # Errors
/// If the rule is not defined on the network, or its inference diverges.
pub fn regime(spec: &ContenderSpec, state: &State, batch: &[Tensor], known: &[Spectrum]) -> Result<Regime> {
    let graph = spec.graph()?;
    let wide = |t: &Tensor| -> Result<Tensor> { Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?) };
    let params = state.params.iter().map(wide).collect::<Result<Vec<_>>>()?;
    let feedback = state
        .feedback
        .as_ref()
        .map(|table| table.iter().map(|t| t.as_ref().map(wide).transpose()).collect::<Result<Vec<_>>>());
    let exact = State { params, feedback: feedback.transpose()? };
    let data = batch.iter().map(wide).collect::<Result<Vec<_>>>()?;
    let engine = exact.bind(&graph, &data);

    let spectrum = match spec.rule.coordinates().filter(|_| graph.topology().latent().next().is_some()) {
        None => None,
        Some(coordinates) if known.iter().any(|own| own.coordinates == coordinates) => {
            known.iter().copied().find(|own| own.coordinates == coordinates)
        }
        Some(coordinates) => Some(spectrum(engine, coordinates)?),
    };
    let steps = match (spec.rule.steps(), spectrum) {
        (Some(own), Some(spectrum)) if own.unit == StepUnit::Stable => {
            let least = least_curvature(&graph, spectrum.coordinates);
            let smallest = least.unwrap_or(spectrum.ends.smallest.value.max(0.0));
            Some(own.found(2.0 / spectrum.largest(), smallest))
        }
        (own, _) => own,
    };
    let rule = steps.map_or(spec.rule, |steps| spec.rule.with_steps(steps));
    let own = learned(spec, rule, &graph, &exact, &data)?;
    let narrow = |t: &Tensor| -> Result<Tensor> { Ok(t.to_dtype(spec.dtype)?) };
    let rounded = State {
        params: exact.params.iter().map(narrow).collect::<Result<_>>()?,
        feedback: exact
            .feedback
            .clone()
            .map(|table| table.iter().map(|t| t.as_ref().map(narrow).transpose()).collect::<Result<Vec<_>>>())
            .transpose()?,
    };
    let narrow_data = data.iter().map(narrow).collect::<Result<Vec<_>>>()?;
    let seen = learned(spec, rule, &graph, &rounded, &narrow_data)?;
    let bp = learned(spec, Rule::from_name("bp", Steps::constant(0, 0.0))?, &graph, &exact, &data)?;

    let mut all = Sums::default();
    let mut layers = Vec::new();
    for group in graph.topology().groups() {
        let (mut sums, mut off) = (Sums::default(), 0.0);
        for &p in &group {
            sums = sums.plus(Sums::of(own[p].as_ref(), bp[p].as_ref())?);
            off += distance(own[p].as_ref(), seen[p].as_ref())?;
        }
        all = all.plus(sums);
        layers.push(LayerRegime {
            cosine: sums.cosine(),
            norm_ratio: sums.norm_ratio(),
            learns: match sums.own_square() {
                0.0 => Learns::No,
                own if off <= LOST * LOST * own => Learns::Yes,
                // and where the dtype has no number for it
                _ => Learns::BelowRounding,
            },
        });
    }
    if !all.own_square().is_finite() {
        return Err(Error::Diverged {
            rule: spec.id.to_string(),
            quantity: "a parameter direction".into(),
            steps: steps.map_or(0, |s| s.count),
            step_size: steps.map_or(0.0, |s| s.size),
        });
    }
    Ok(Regime { spectrum, steps, layers, cosine: all.cosine(), norm_ratio: all.norm_ratio() })
}

/// Curvature at the forward pass.
///
/// # Errors
/// If the network has no states, or its curvature is not finite.
pub(super) fn spectrum(engine: Reference<'_>, coordinates: Coordinates) -> Result<Spectrum> {
    let curvature = Curvature::at_forward(engine, coordinates)?;
    let products = (ROOM / (size_of::<f64>() * curvature.dim().max(1))).clamp(8, PRODUCTS);
    Ok(Spectrum { coordinates, ends: curvature.ends(Matrix::GaussNewton, SETTLED, products)? })
}

/// Directions of a rule by the reference; of one that moves parameters the way it moves them over its weight step.
fn learned(
    spec: &ContenderSpec,
    rule: Rule,
    graph: &Graph,
    state: &State,
    data: &[Tensor],
) -> Result<Directions> {
    let rule = rule.with_weight_step(spec.learning_rate);
    let result = rule.learn(&state.bind(graph, data), &mut unwatched)?;
    if !rule.moves_parameters() {
        return Ok(result.directions);
    }
    let moved =
        result.params.into_iter().zip(&state.params).map(|(new, old)| {
            new.map(|new| Ok((new - old)?.affine(1.0 / spec.learning_rate, 0.0)?)).transpose()
        });
    moved.collect()
}

/// ‖a − b‖², a missing one being zero.
fn distance(a: Option<&Tensor>, b: Option<&Tensor>) -> Result<f64> {
    let wide = |t: &Tensor| t.to_dtype(DType::F64);
    let difference = match (a, b) {
        (Some(a), Some(b)) => (wide(a)? - wide(b)?)?,
        (Some(one), None) | (None, Some(one)) => wide(one)?,
        (None, None) => return Ok(0.0),
    };
    Ok(difference.sqr()?.sum_all()?.to_scalar::<f64>()?)
}
