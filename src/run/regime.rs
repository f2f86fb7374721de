//! The regime of a contender: how far its inference gets, and how near its directions come to backpropagation's.

use candle_core::{DType, Device, Tensor};

use crate::contender::stable_step::{least_curvature, seeks_smallest, smallest_curvature};
use crate::contender::{ContenderSpec, State};
use crate::engine::curvature::{Curvature, Descended, Matrix};
use crate::engine::reference::Reference;
use crate::engine::Shown;
use crate::net::Graph;
use crate::optim::Directions;
use crate::record::{regime_label, Layered, RegimeRow};
use crate::rule::{Rule, StepUnit, Steps};
use crate::theory::lanczos::Ends;
use crate::theory::linear::trajectory::relaxed_fraction;
use crate::{Error, Result};

use super::sums::Sums;

/// Lanczos products at most where `explain` asks: enough for both ends of small problems; of large ones the smaller end is
/// then a bound.
pub(super) const PRODUCTS: usize = 120;

/// Bytes that the vectors of a search may take; fewer products where it would be more.
const ROOM: usize = 1 << 30;

/// Relative residual at which an end of a spectrum has settled.
const SETTLED: f64 = 1e-4;

/// A direction is below rounding if what the dtype makes of it is this far from the same direction in f64, in units of its length.
const LOST: f64 = 0.5;

/// Curvature of the energy at the start of inference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spectrum {
    /// Of which energy, in which variables.
    pub energy: Descended,
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
    /// Inference steps taken in the dtype of the point, of a rule that ends at a residual.
    pub taken: Option<usize>,
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
    /// η·λ_max: stable below 2. None under a method that reads no step size.
    pub fn step_times_largest(&self) -> Option<f64> {
        let steps = self.steps.filter(|steps| steps.method.reads_step_size())?;
        Some(steps.size * self.spectrum?.largest())
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

    /// The cosine of every layer.
    pub fn layer_cosines(&self) -> Layered {
        Layered::of(self.layers.iter().map(|layer| layer.cosine))
    }

    /// The length of every layer's direction, over that of backpropagation's.
    pub fn layer_norm_ratios(&self) -> Layered {
        Layered::of(self.layers.iter().map(|layer| layer.norm_ratio))
    }

    /// Layers that do not learn.
    pub fn silent(&self) -> usize {
        self.count(Learns::No) + self.count(Learns::BelowRounding)
    }

    /// Layers of which this becomes.
    pub fn count(&self, what: Learns) -> usize {
        self.layers.iter().filter(|layer| layer.learns == what).count()
    }

    /// The label that stands beside a number of this contender; [`RegimeRow::label`] says the same.
    pub fn label(&self) -> String {
        regime_label(self.layers.len(), self.silent(), self.cosine)
    }

    /// As a record keeps it, of a contender at a point, read on this many samples. How far descent gets is told of `plain` descent
    /// below its largest stable step alone, which is what the law holds for.
    pub(super) fn row(&self, point: &str, contender: &ContenderSpec, samples: usize) -> RegimeRow {
        let finite = |value: f64| Some(value).filter(|v| v.is_finite());
        let step = self.step_times_largest().and_then(finite);
        let holds = is_plain(&contender.rule) && step.is_some_and(|step| step < 2.0);
        let relaxed = self.relaxed().filter(|_| holds);
        RegimeRow {
            point: point.to_owned(),
            contender: contender.id.to_string(),
            samples,
            layers: self.layers.len(),
            curvature_in: self.spectrum.map_or("", |spectrum| spectrum.energy.coordinates.name()).to_owned(),
            step_times_curvature: step,
            relaxed_flattest: relaxed.and_then(|(flat, _)| flat).and_then(finite),
            relaxed_steepest: relaxed.and_then(|(_, steep)| finite(steep)),
            cosine: self.cosine,
            norm_ratio: self.norm_ratio,
            lowest_quarter_cosine: self.lowest_quarter(),
            zero_layers: self.count(Learns::No),
            rounded_layers: self.count(Learns::BelowRounding),
            layer_cosines: self.layer_cosines(),
            layer_norm_ratios: self.layer_norm_ratios(),
        }
    }
}

/// Whether inference is plain descent of all its coordinates at once, in steps of one size.
pub(super) fn is_plain(rule: &Rule) -> bool {
    match rule {
        Rule::Spc(spc) => spc.steps.plain() && !spc.spike && !spc.even_odd,
        Rule::Epc(epc) => epc.steps.plain(),
        _ => false,
    }
}

/// The regime of a contender at parameters on a batch, both in the dtype of its point and on the CPU; `known` are spectra of the same
/// network, parameters and batch, and another one is searched for with `products` products at most.
///
/// # Errors
/// If the rule is not defined on the network, or its inference diverges.
pub fn regime(
    spec: &ContenderSpec,
    state: &State,
    batch: &[Tensor],
    known: &[Spectrum],
    products: usize,
) -> Result<Regime> {
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

    let spectrum = match spec.rule.descends().filter(|_| graph.topology().latent().next().is_some()) {
        None => None,
        Some(energy) => match known.iter().find(|own| own.energy == energy) {
            Some(own) => Some(*own),
            None => Some(spectrum(engine, energy, products)?),
        },
    };
    let steps = match (spec.rule.steps(), spectrum) {
        (Some(own), Some(spectrum)) if own.unit == StepUnit::Stable => {
            let lower_end = spectrum.ends.smallest.value.max(0.0);
            let smallest = match least_curvature(&graph, spectrum.energy.coordinates) {
                Some(least) => least,
                None if seeks_smallest(spectrum.energy.coordinates, own.method) => {
                    let curvature = Curvature::of(engine, spectrum.energy)?;
                    smallest_curvature(&curvature).unwrap_or(lower_end)
                }
                None => lower_end,
            };
            Some(own.found(2.0 / spectrum.largest(), smallest))
        }
        (own, _) => own,
    };
    let rule = steps.map_or(spec.rule, |steps| spec.rule.with_steps(steps));
    let (own, mut taken) = learned(spec, rule, &graph, &exact, &data)?;
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
    let seen = match spec.dtype {
        // the same sums
        DType::F64 => own.clone(),
        _ => {
            let (seen, own) = learned(spec, rule, &graph, &rounded, &narrow_data)?;
            taken = own;
            seen
        }
    };
    let taken = steps.filter(|steps| steps.residual > 0.0).map(|_| taken);
    let (bp, _) = learned(spec, Rule::from_name("bp", Steps::constant(0, 0.0))?, &graph, &exact, &data)?;

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
    Ok(Regime { spectrum, steps, taken, layers, cosine: all.cosine(), norm_ratio: all.norm_ratio() })
}

/// Curvature at the forward pass, in `most` products at most.
///
/// # Errors
/// If the network has no states, or its curvature is not finite.
pub(super) fn spectrum(engine: Reference<'_>, energy: Descended, most: usize) -> Result<Spectrum> {
    let curvature = Curvature::of(engine, energy)?;
    let products = (ROOM / (size_of::<f64>() * curvature.dim().max(1))).clamp(8, most.max(8));
    Ok(Spectrum { energy, ends: curvature.ends(Matrix::GaussNewton, SETTLED, products)? })
}

/// Directions of a rule by the reference, of one that moves parameters the way it moves them over its weight step; and the inference steps
/// that it took.
fn learned(
    spec: &ContenderSpec,
    rule: Rule,
    graph: &Graph,
    state: &State,
    data: &[Tensor],
) -> Result<(Directions, usize)> {
    let rule = rule.with_weight_step(spec.learning_rate);
    let mut taken = 0;
    let mut watch = |shown: Shown<'_, Tensor>| {
        taken = shown.step;
        Ok(())
    };
    let result = rule.learn(&state.bind(graph, data), &mut watch)?;
    if !rule.moves_parameters() {
        return Ok((result.directions, taken));
    }
    let moved =
        result.params.into_iter().zip(&state.params).map(|(new, old)| {
            new.map(|new| Ok((new - old)?.affine(1.0 / spec.learning_rate, 0.0)?)).transpose()
        });
    Ok((moved.collect::<Result<_>>()?, taken))
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

#[cfg(test)]
mod tests {
    use super::super::point::prepare;
    use super::super::{device_health, resources::Resources};
    use super::*;
    use crate::suite::{Overrides, Suite};

    /// A row says in the same words what the regime says, and holds the law of plain descent where there is one: T steps of size η
    /// go f = 1 − (1 − ηλ)^T of the way.
    #[test]
    fn a_row_has_the_words_and_numbers_of_its_regime() {
        let text = r#"schema = 1
name = "rows"
about = "One point."
seed = 1
[[benchmark]]
name = "only"
model = "alignment"
about = "x"
contenders = ["bp/reference", "spc/reference", "epc/reference", "spc-momentum/reference", "zil/reference", "fpa/reference"]
[benchmark.axes]
depth = [4]
width = [3]
batch = [2]
steps = [2]
step_size = [0.25]
dtype = ["f64"]
"#;
        let suite = Suite::parse(text, "rows.toml", &Overrides::default()).unwrap();
        let mut resources = Resources::new(&suite, None, &device_health::synchronise).unwrap();
        let prepared = prepare(&suite, &mut resources).unwrap();
        let p = &prepared[0];
        let [batch] = p.batches(&mut resources).unwrap();
        for spec in &p.specs {
            let params = spec.network.start(suite.seed, spec.dtype, &Device::Cpu).unwrap();
            let state = State { params, feedback: None };
            let regime = regime(spec, &state, &batch, &[], PRODUCTS).unwrap();
            let row = regime.row("p", spec, 2);
            assert_eq!(row.label(), regime.label(), "{}", spec.id);
            assert_eq!((row.layers, row.silent()), (4, regime.silent()), "{}", spec.id);
            assert_eq!(row.step_times_curvature, regime.step_times_largest(), "{}", spec.id);
            let coordinates = match spec.id.name.as_str() {
                "spc" | "spc-momentum" => "states",
                "epc" => "errors",
                _ => "",
            };
            assert_eq!(row.curvature_in, coordinates, "{}", spec.id);
            let plain = ["spc", "epc"].contains(&&*spec.id.name);
            let steepest = regime.spectrum.filter(|_| plain).map(|spectrum| {
                let left = 1.0 - 0.25 * spectrum.ends.largest.value;
                1.0 - left * left
            });
            // Z-IL is backpropagation, and FPA its share P[Binomial(2, ¼) ≥ L − l] of it
            let shares = match spec.id.name.as_str() {
                "bp" | "zil" => [1.0; 4],
                "fpa" => [0.0, 0.0625, 0.4375, 1.0],
                // what no error reaches has no direction; the error of the output is the loss's at the states there are
                _ => regime.layers.iter().map(|l| l.norm_ratio).collect::<Vec<_>>().try_into().unwrap(),
            };
            let (cosines, ratios) = (row.layer_cosines.values(), row.layer_norm_ratios.values());
            for (l, share) in shares.into_iter().enumerate() {
                assert!(
                    (ratios[l] - share).abs() <= 5.1e-3 * share,
                    "{}, layer {}: {}",
                    spec.id,
                    l + 1,
                    ratios[l]
                );
                let cosine = if share == 0.0 { 0.0 } else { regime.layers[l].cosine };
                assert!((cosines[l] - cosine).abs() <= 5e-3, "{}, layer {}", spec.id, l + 1);
            }
            assert_eq!((cosines.len(), ratios.len()), (4, 4), "{}", spec.id);
            match (row.relaxed_steepest, steepest) {
                (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{}", spec.id),
                (found, expected) => assert_eq!((found, expected), (None, None), "{}", spec.id),
            }
        }
    }
}
