//! Alignment: how close a rule's parameter directions come to backpropagation's, untimed.

use candle_core::Tensor;

use crate::contender::{Contender, ContenderId, ContenderSpec};
use crate::engine::EngineKind;
use crate::net::{ParamId, Topology, VertexId};
use crate::optim::{Directions, OptimiserKind};
use crate::record::{AlignmentRow, PointResult};
use crate::rule::{Bp, Rule};
use crate::verify::preflight;
use crate::{Error, Result};

use super::device_health;
use super::job::Observer;
use super::point::Prepared;
use super::recorded_regimes;
use super::resources::Resources;
use super::sums::Sums;

/// Compares every contender of a point with backpropagation on one batch, from the network's start.
///
/// The comparison is made in f64 sums of whatever dtype the point has; backpropagation runs on the reference
/// engine on the contender's own network and parameters.
pub(super) fn compare(
    seed: u64,
    p: &Prepared<'_>,
    resources: &mut Resources<'_>,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    let (device, health_check) = (resources.device(p.point.device)?, resources.health_check());
    let [batch] = match p.rows_on_upload_failure(p.batches(resources), &device, health_check)? {
        Ok(batch) => batch,
        Err(refused) => return Ok(refused),
    };
    let mut result = PointResult::default();
    for spec in &p.specs {
        observer.at(&p.point.id, &spec.id.to_string());
        let mut row = p.row(spec)?;
        let outcome = preflight::check(spec, seed, &device).and_then(|share| {
            row.verify = Some(share);
            let contender = Contender::new(spec, seed, &device)?;
            let bp = Contender::with_params(&backpropagation(spec), contender.state()?.params)?;
            let energies = energies(&contender, &batch)?;
            let topology = contender.graph().topology();
            let groups = topology.groups();
            let judged: Vec<Option<f64>> =
                groups.iter().map(|group| judged(topology, group, &energies)).collect();
            let (own, bp) = (contender.directions(&batch)?, bp.directions(&batch)?);
            rows(&p.point.id, spec, &groups, (&own, &bp), (&energies, &judged))
        });
        match outcome {
            Ok(rows) => result.alignments.extend(rows),
            Err(e) => (row.status, row.err) = device_health::row(e, &device, health_check)?,
        }
        result.summary.push(row);
    }
    observer.at(&p.point.id, "regimes");
    (result.regimes, result.quantities) =
        recorded_regimes::read(seed, p, &batch, &result.summary, &mut resources.spectra);
    Ok(result)
}

fn backpropagation(spec: &ContenderSpec) -> ContenderSpec {
    let rule = Rule::Bp(Bp::default());
    let id = ContenderId { engine: EngineKind::Reference, ..spec.id.clone() };
    ContenderSpec { rule, id, optimiser: OptimiserKind::Sgd, ..spec.clone() }
}

/// Energy of each layer at the end of inference; empty for rules that minimise none.
fn energies(contender: &Contender, batch: &[Tensor]) -> Result<Vec<f64>> {
    if !contender.rule().has_energy() {
        return Ok(Vec::new());
    }
    contender.state()?.bind(contender.graph(), batch).energy(&contender.evaluate(batch)?)
}

/// The energy that a group of parameters lowers: of the states and losses that follow from its uses through deterministic
/// vertices alone; on a chain that of its layer.
fn judged(topology: &Topology, group: &[ParamId], energies: &[f64]) -> Option<f64> {
    let uses = (0..topology.len()).filter(|&i| topology.node(i).params.iter().any(|p| group.contains(p)));
    let (mut open, mut seen): (Vec<VertexId>, _) = (uses.collect(), vec![false; topology.len()]);
    let states: Vec<VertexId> = topology.latent().collect();
    let mut sum = None;
    let mut add = |term: usize| {
        if let Some(energy) = energies.get(term) {
            *sum.get_or_insert(0.0) += energy;
        }
    };
    while let Some(i) = open.pop() {
        if std::mem::replace(&mut seen[i], true) {
            continue;
        }
        match states.binary_search(&i) {
            Ok(term) => add(term),
            Err(_) => {
                topology.losses_at(i).iter().for_each(|loss| add(states.len() + loss));
                open.extend(topology.children(i).iter().map(|&(child, _)| child));
            }
        }
    }
    sum
}

/// One row per layer and one (layer 0) for all layers together.
fn rows(
    point: &str,
    spec: &ContenderSpec,
    groups: &[Vec<ParamId>],
    (own, bp): (&Directions, &Directions),
    (energies, judged): (&[f64], &[Option<f64>]),
) -> Result<Vec<AlignmentRow>> {
    let row = |layer: usize, s: Sums, energy: Option<f64>| AlignmentRow {
        point: point.to_owned(),
        contender: spec.id.to_string(),
        layer,
        cosine: s.cosine(),
        norm_ratio: s.norm_ratio(),
        bp_norm: s.bp_square().sqrt(),
        energy,
    };
    let (mut all, mut rows) = (Sums::default(), Vec::new());
    for (i, group) in groups.iter().enumerate() {
        let mut sums = Sums::default();
        for &p in group {
            sums = sums.plus(Sums::of(own[p].as_ref(), bp[p].as_ref())?);
        }
        all = all.plus(sums);
        rows.push(row(i + 1, sums, judged[i]));
    }
    if !all.is_finite() {
        let steps = spec.rule.steps();
        return Err(Error::Diverged {
            rule: spec.id.to_string(),
            quantity: "a parameter direction".into(),
            steps: steps.map_or(0, |s| s.count),
            step_size: steps.map_or(0.0, |s| s.size),
        });
    }
    rows.insert(0, row(0, all, (!energies.is_empty()).then(|| energies.iter().sum())));
    Ok(rows)
}
