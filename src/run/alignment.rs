//! Alignment: how close a rule's parameter directions come to backpropagation's, untimed.

use candle_core::{DType, Tensor};

use crate::contender::{Contender, ContenderSpec};
use crate::engine::EngineKind;
use crate::optim::{Directions, OptimiserKind};
use crate::record::{AlignmentRow, PointResult};
use crate::rule::{Bp, Rule};
use crate::verify::twin;
use crate::{Error, Result};

use super::material::Material;
use super::point::Prepared;
use super::{lost, Observer};

/// Compares every contender of a point with backpropagation on one batch, from the network's start.
///
/// The comparison is made in f64 sums of whatever dtype the point has; backpropagation runs on the reference
/// engine on the contender's own network and parameters.
pub(super) fn compare(
    seed: u64,
    p: &Prepared<'_>,
    material: &mut Material<'_>,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    let (device, probe) = (material.device(p.point.device)?, material.probe());
    let [(x, y)] = match p.brought(material.batches(p.benchmark, p.point), &device, probe)? {
        Ok(batch) => batch,
        Err(refused) => return Ok(refused),
    };
    let mut result = PointResult::default();
    for spec in &p.specs {
        observer.at(&p.point.id, &spec.id);
        let mut row = p.row(spec)?;
        let outcome = twin::check(spec, seed, &device).and_then(|share| {
            row.verify = Some(share);
            let contender = Contender::new(spec, seed, &device)?;
            let bp = Contender::with_params(&backpropagation(spec), contender.params().clone())?;
            let energies = energies(&contender, &x, &y)?;
            rows(&p.point.id, spec, &contender.directions(&x, &y)?, &bp.directions(&x, &y)?, &energies)
        });
        match outcome {
            Ok(rows) => result.alignments.extend(rows),
            Err(e) => row.err = lost::row(e, &device, probe)?,
        }
        result.summary.push(row);
    }
    Ok(result)
}

fn backpropagation(spec: &ContenderSpec) -> ContenderSpec {
    let rule = Rule::Bp(Bp);
    ContenderSpec { rule, engine: EngineKind::Reference, optimiser: OptimiserKind::Sgd, ..spec.clone() }
}

/// Energy of each layer at the end of inference; empty for rules that minimise none.
fn energies(contender: &Contender, x: &Tensor, y: &Tensor) -> Result<Vec<f64>> {
    if !contender.rule().has_energy() {
        return Ok(Vec::new());
    }
    let engine = contender.bind(x, y);
    let learned = contender.evaluate(x, y)?;
    engine.energy(&learned)
}

/// One row per layer and one (layer 0) for all layers together.
fn rows(
    point: &str,
    spec: &ContenderSpec,
    own: &Directions,
    bp: &Directions,
    energies: &[f64],
) -> Result<Vec<AlignmentRow>> {
    let row = |layer: usize, s: Sums, energy: Option<f64>| AlignmentRow {
        point: point.to_owned(),
        contender: spec.id.clone(),
        layer,
        cosine: s.cosine(),
        norm_ratio: if s.bp > 0.0 { (s.own / s.bp).sqrt() } else { 0.0 },
        bp_norm: s.bp.sqrt(),
        energy,
    };
    let (mut all, mut rows) = (Sums::default(), Vec::new());
    for (i, (own, bp)) in own.iter().zip(bp).enumerate() {
        let sums = Sums::of(own.as_deref(), bp.as_deref())?;
        all = Sums { own: all.own + sums.own, bp: all.bp + sums.bp, dot: all.dot + sums.dot };
        rows.push(row(i + 1, sums, energies.get(i).copied()));
    }
    if ![all.own, all.bp, all.dot].iter().all(|v| v.is_finite()) {
        let steps = spec.rule.steps();
        return Err(Error::Diverged {
            rule: spec.id.clone(),
            quantity: "a parameter direction".into(),
            steps: steps.map_or(0, |s| s.count),
            step_size: steps.map_or(0.0, |s| s.size),
        });
    }
    rows.insert(0, row(0, all, (!energies.is_empty()).then(|| energies.iter().sum())));
    Ok(rows)
}

/// ‖own‖², ‖bp‖² and own·bp.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    own: f64,
    bp: f64,
    dot: f64,
}

impl Sums {
    fn of(own: Option<&[Tensor]>, bp: Option<&[Tensor]>) -> Result<Self> {
        let sum = |a: &Tensor, b: &Tensor| -> Result<f64> {
            Ok((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar::<f64>()?)
        };
        let square =
            |side: Option<&[Tensor]>| side.unwrap_or(&[]).iter().map(|t| sum(t, t)).sum::<Result<f64>>();
        let dot = match (own, bp) {
            (Some(own), Some(bp)) => own.iter().zip(bp).map(|(a, b)| sum(a, b)).sum::<Result<f64>>()?,
            _ => 0.0,
        };
        Ok(Self { own: square(own)?, bp: square(bp)?, dot })
    }

    /// 0 where either side is exactly zero: nothing points nowhere.
    fn cosine(self) -> f64 {
        let scale = self.own.sqrt() * self.bp.sqrt();
        if scale > 0.0 {
            (self.dot / scale).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }
}
