//! What inference will do at a point, before anything is measured: curvature, regimes, distances, counts.

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::contender::{Contender, ContenderSpec, State};
use crate::engine::counting::Totals;
use crate::engine::curvature::{Coordinates, Curvature, Descended};
use crate::engine::reference::Reference;
use crate::rule::{Bp, Rule};
use crate::suite::Suite;
use crate::{Error, Result};

use super::device_health;
use super::point;
use super::regime::{is_plain, regime, spectrum, Regime, Spectrum, PRODUCTS};
use super::resources::Resources;

/// One point, explained.
#[derive(Debug)]
pub struct Explained {
    /// The point.
    pub point: String,
    /// Groups of parameters: layers, of a chain.
    pub layers: usize,
    /// Latent vertices.
    pub latent: usize,
    /// Inference steps that an error of sPC needs to the farthest vertex.
    pub distance: usize,
    /// Samples.
    pub batch: usize,
    /// Type of all numbers.
    pub dtype: DType,
    /// Curvature at the start in both sets of coordinates; none without states.
    pub spectra: Vec<Spectrum>,
    /// Its contenders, one per rule.
    pub rules: Vec<Told>,
}

/// A contender, explained.
#[derive(Debug)]
pub struct Told {
    /// Its name without the engine.
    pub name: String,
    /// Whether its inference is plain descent with steps of one size.
    pub plain: bool,
    /// What it does from the network's start on the first batch, or why that cannot be said.
    pub regime: Result<Regime>,
    /// Counted work, the search for a step included (in no critical path).
    pub counted: Totals,
    /// The same of backpropagation.
    pub backpropagation: Totals,
}

/// Of every benchmark its last point.
///
/// # Errors
/// As for [`super::run`], before anything is measured.
pub fn explain(suite: &Suite, data: Option<&Path>) -> Result<Vec<Explained>> {
    let mut suite = suite.clone();
    for benchmark in &mut suite.benchmarks {
        let last = benchmark.points.pop();
        benchmark.points = last.into_iter().collect();
    }
    let mut resources = Resources::new(&suite, data, &device_health::synchronise)?;
    let prepared = point::prepare(&suite, &mut resources)?;
    let mut explained = Vec::new();
    for p in prepared {
        let [batch] = p.batches(&mut resources)?;
        let device = resources.device(p.point.device)?;
        let Some(first) = p.specs.first() else { continue };
        let graph = first.network.graph(first.loss)?;
        let topology = graph.topology();
        let known = spectra(first, suite.seed, &batch)?;
        let mut seen = BTreeSet::new();
        let mut rules = Vec::new();
        for spec in p.specs.iter().filter(|spec| seen.insert(spec.id.name.clone())) {
            let state = Contender::new(spec, suite.seed, &device)?.state()?;
            // contenders of one point may have networks of their own
            let same = spec.id.parameterisation == first.id.parameterisation;
            let backpropagation = ContenderSpec { rule: Rule::Bp(Bp::default()), ..spec.clone() };
            rules.push(Told {
                name: spec.id.name.clone(),
                plain: is_plain(&spec.rule),
                regime: regime(spec, &state, &batch, if same { &known } else { &[] }, PRODUCTS),
                counted: with_search(spec, p.point.batch)?,
                backpropagation: backpropagation.counted(p.point.batch)?,
            });
        }
        let known = known
            .into_iter()
            .map(|own| refined(first, suite.seed, &batch, own))
            .collect::<Result<Vec<_>>>()?;
        explained.push(Explained {
            point: p.point.id.clone(),
            layers: topology.groups().len(),
            latent: topology.latent().count(),
            distance: topology.distances().into_iter().max().unwrap_or(0),
            batch: p.point.batch,
            dtype: p.point.dtype,
            spectra: known,
            rules,
        });
    }
    if explained.is_empty() {
        return Err(Error::Invalid(format!("suite `{}` has no point to explain", suite.name)));
    }
    Ok(explained)
}

/// Work of an update, the search for its step included.
fn with_search(spec: &ContenderSpec, batch: usize) -> Result<Totals> {
    let mut counted = spec.counted(batch)?;
    counted.work += spec.search(batch)?;
    Ok(counted)
}

/// Curvature at the start of the first contender's network, in states and in errors.
fn spectra(spec: &ContenderSpec, seed: u64, batch: &[Tensor]) -> Result<Vec<Spectrum>> {
    at_start(spec, seed, batch, |engine| {
        if engine.graph.topology().latent().next().is_none() {
            return Ok(Vec::new());
        }
        let both = [Coordinates::States, Coordinates::Errors];
        let energy = |coordinates| Descended { coordinates, loss_weight: 1.0 };
        both.into_iter().map(|coordinates| spectrum(engine, energy(coordinates), PRODUCTS)).collect()
    })
}

/// The same spectrum with a lower end that had not settled found by products with the inverse, for the words alone: regimes are those of
/// what a contender finds. What the inverse cannot solve stays unknown.
fn refined(spec: &ContenderSpec, seed: u64, batch: &[Tensor], own: Spectrum) -> Result<Spectrum> {
    if own.smallest().is_some() {
        return Ok(own);
    }
    at_start(spec, seed, batch, |engine| {
        let mut found = own;
        if let Ok(smallest) = Curvature::of(engine, own.energy)?.smallest(1e-3, PRODUCTS) {
            found.ends.smallest = smallest;
        }
        Ok(found)
    })
}

/// The reference engine in f64 on the network's first parameters.
fn at_start<T>(
    spec: &ContenderSpec,
    seed: u64,
    batch: &[Tensor],
    read: impl FnOnce(Reference<'_>) -> Result<T>,
) -> Result<T> {
    let graph = spec.network.graph(spec.loss)?;
    let params = spec.network.start(seed, DType::F64, &Device::Cpu)?;
    let state = State { params, feedback: None };
    let wide = |t: &Tensor| -> Result<Tensor> { Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?) };
    let data = batch.iter().map(wide).collect::<Result<Vec<_>>>()?;
    read(state.bind(&graph, &data))
}
