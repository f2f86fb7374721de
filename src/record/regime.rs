//! The regime that a number of learning was measured in: a row of `regimes.csv`, and its words.

use serde::{Deserialize, Serialize};

use super::layered::Layered;

/// What `curvature_in` says; [`crate::engine::curvature::Coordinates`] by their names.
pub(super) const COORDINATES: [&str; 2] = ["states", "errors"];

/// One row of `regimes.csv`: how far the inference of a contender gets at its point, and how near the directions in which
/// it moves the parameters come to those of backpropagation, both at the first parameters and the first batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegimeRow {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Samples of the first batch that it was read on: the first ones, all of them where the budget allows.
    pub samples: usize,
    /// Groups of parameters; layers, of a chain.
    pub layers: usize,
    /// What inference moves, `states` or `errors`: the coordinates of the next three columns; empty, as they are, for a
    /// rule that descends no energy. Of EP those of its energy with the losses weighted by the nudge.
    pub curvature_in: String,
    /// ηλ_max, step size times the largest curvature of the energy at the start of inference; below 2 descent is stable.
    pub step_times_curvature: Option<f64>,
    /// 1 − (1 − ηλ)^T along the flattest direction, the share of the way to the minimum that T steps of plain, stable descent go;
    /// absent for other rules and steps, and where the least curvature is not known.
    pub relaxed_flattest: Option<f64>,
    /// The same along the steepest direction.
    pub relaxed_steepest: Option<f64>,
    /// Cosine between the direction of all parameters and that of backpropagation.
    pub cosine: f64,
    /// Norm of the direction in units of that of backpropagation's.
    pub norm_ratio: f64,
    /// Mean of the cosines of the lowest quarter of the layers.
    pub lowest_quarter_cosine: f64,
    /// Layers whose direction is exactly zero.
    pub zero_layers: usize,
    /// Layers whose direction is below the rounding of the point's dtype.
    pub rounded_layers: usize,
    /// `cosine` of each layer, from the input on; none in records from before this column.
    #[serde(default)]
    pub layer_cosines: Layered,
    /// `norm_ratio` of each layer, likewise.
    #[serde(default)]
    pub layer_norm_ratios: Layered,
}

impl RegimeRow {
    /// Layers that do not learn.
    pub fn silent(&self) -> usize {
        self.zero_layers + self.rounded_layers
    }

    /// The words that stand beside a number of this contender.
    pub fn label(&self) -> String {
        regime_label(self.layers, self.silent(), self.cosine)
    }
}

/// The cosine from which on a direction is called near: below it, "within 99 %" would be said of right angles.
const NEAR: f64 = 0.5;

/// A regime in words, from its number of layers, how many of them do not learn, and the cosine of the direction of all
/// parameters to that of backpropagation.
///
/// A direction g is within 100·√(1 − cos²) % of backpropagation's: the sine of the angle between them is the length of what
/// remains of g, in units of its own, once its part along backpropagation's direction is taken away.
pub fn regime_label(layers: usize, silent: usize, cosine: f64) -> String {
    if silent > 0 {
        return format!("{silent} of {layers} layers do not learn");
    }
    let off = 100.0 * (1.0 - cosine.powi(2)).max(0.0).sqrt();
    match cosine {
        _ if cosine < 0.0 => "direction against backpropagation's".into(),
        _ if cosine < NEAR => format!("direction far from backpropagation's: cosine {cosine:.2}"),
        _ if off < 0.1 => "in the direction of backpropagation".into(),
        _ => format!("direction within {off:.1} % of backpropagation's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::curvature::Coordinates;
    use crate::record::fixture::regime;

    #[test]
    fn coordinates_are_those_of_the_engine() {
        assert_eq!([Coordinates::States, Coordinates::Errors].map(|c| c.name()), COORDINATES);
    }

    /// cos = 0.6 is an angle whose sine is 0.8; silent layers come first.
    #[test]
    fn words_follow_from_the_numbers() {
        let row = regime("p", "spc/reference");
        assert_eq!(row.label(), "direction within 80.0 % of backpropagation's");
        let with = |cosine| RegimeRow { cosine, ..row.clone() }.label();
        assert_eq!(with(1.0), "in the direction of backpropagation");
        assert_eq!(with(0.0), "direction far from backpropagation's: cosine 0.00");
        assert_eq!(with(-0.3), "direction against backpropagation's");
        assert_eq!(with(-1.0), "direction against backpropagation's");
        let part = RegimeRow { zero_layers: 4, rounded_layers: 2, cosine: 1.0, ..row };
        assert_eq!((part.silent(), part.label()), (6, "6 of 8 layers do not learn".to_owned()));
    }
}
