//! What a run would do, without doing it: counted work beside its closed formula.

use std::path::Path;

use crate::net::Network;
use crate::record::SummaryRow;
use crate::suite::Suite;
use crate::theory::cost::{NetCost, RuleCost};
use crate::{rule, Result};

use super::material::Material;
use super::point;

/// A point that has not been measured.
#[derive(Debug)]
pub struct Planned {
    /// Backpropagation's cost at this point, on the first contender's network.
    pub backpropagation: RuleCost,
    /// A row per contender with counted work and no measurements, and (GEMMs, GEMM FLOPs, critical path)
    /// from the closed formula.
    pub rows: Vec<(SummaryRow, (u64, u64, u64))>,
}

/// Counts every contender at every point of a suite.
///
/// # Errors
/// As for [`super::run`], before anything is measured.
pub fn plan(suite: &Suite, data: Option<&Path>) -> Result<Vec<Planned>> {
    let mut material = Material::new(suite, data)?;
    point::prepare(suite, &mut material)?
        .iter()
        .map(|p| {
            let mut backpropagation = None;
            let rows = p
                .specs
                .iter()
                .map(|spec| {
                    let network = Network::mlp(&spec.network)?;
                    let net = NetCost::new(network.costs(p.point.batch), &spec.loss);
                    backpropagation.get_or_insert_with(|| rule::Rule::Bp(rule::Bp).cost(&net));
                    let formula = spec.rule.cost(&net);
                    Ok((p.row(spec)?, (formula.work.gemms, formula.work.gemm_flops, formula.critical_path)))
                })
                .collect::<Result<Vec<_>>>()?;
            let backpropagation = backpropagation
                .ok_or_else(|| crate::Error::Invalid(format!("point {} has no contender", p.point.id)))?;
            Ok(Planned { backpropagation, rows })
        })
        .collect()
}
