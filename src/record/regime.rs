//! The regime that a number of learning was measured in: `regimes.csv`, and its words.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::schema::{Record, SummaryRow};

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
    /// rule that descends no energy.
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
    match cosine > 0.0 {
        true if off < 0.1 => "in the direction of backpropagation".into(),
        true => format!("direction within {off:.1} % of backpropagation's"),
        false => "direction against backpropagation's".into(),
    }
}

/// Contenders that [`Regimes::silent`] names; of others it gives the number.
const NAMED: usize = 3;

/// The regimes of a record by point and contender.
#[derive(Debug)]
pub struct Regimes<'a>(HashMap<(&'a str, &'a str), &'a RegimeRow>);

impl<'a> Regimes<'a> {
    /// Of a record.
    pub fn of(record: &'a Record) -> Self {
        Self(record.regimes.iter().map(|row| ((&*row.point, &*row.contender), row)).collect())
    }

    /// Whether the record has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of a contender at a point.
    pub fn get(&self, point: &str, contender: &str) -> Option<&'a RegimeRow> {
        self.0.get(&(point, contender)).copied()
    }

    /// Which of the contenders of `rows` have layers that do not learn, in one sentence without its full stop: each in print by `name`
    /// and without its engine, at the row where these layers are most, of equals the deepest. Three contenders are named in the
    /// order of the rows, and the number of the others is given. None where all layers learn, or where no regime is known.
    pub fn silent<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r SummaryRow>,
        name: impl Fn(&str) -> String,
    ) -> Option<String> {
        let mut worst: Vec<(&str, &SummaryRow, &RegimeRow)> = Vec::new();
        for row in rows {
            let Some(own) = self.get(&row.point, &row.contender).filter(|own| own.silent() > 0) else {
                continue;
            };
            let called = row.contender.split('/').next().unwrap_or_default();
            match worst.iter_mut().find(|(known, ..)| *known == called) {
                None => worst.push((called, row, own)),
                Some(known) if (own.silent(), row.depth) > (known.2.silent(), known.1.depth) => {
                    *known = (called, row, own);
                }
                Some(_) => {}
            }
        }
        let more = worst.len().saturating_sub(NAMED);
        let said = worst.iter().take(NAMED).map(|(called, row, own)| {
            let steps = if row.steps > 0 { format!(" T={}", row.steps) } else { String::new() };
            format!("{}{steps} at depth {}: {}", name(called), row.depth, own.label())
        });
        let said = said.collect::<Vec<_>>().join("; ");
        match more {
            0 if said.is_empty() => None,
            0 => Some(said),
            more => Some(format!("{said}; and {more} more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::curvature::Coordinates;
    use crate::record::fixture::{regime, summary};

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
        assert_eq!(with(0.0), "direction against backpropagation's");
        assert_eq!(with(-1.0), "direction against backpropagation's");
        let part = RegimeRow { zero_layers: 4, rounded_layers: 2, cosine: 1.0, ..row };
        assert_eq!((part.silent(), part.label()), (6, "6 of 8 layers do not learn".to_owned()));
    }

    /// Of a rule by two engines at two depths the deeper one is named, once; of five rules three.
    #[test]
    fn contenders_with_silent_layers_are_named() {
        let row = |name: &str, engine: &str, depth: usize| SummaryRow {
            depth,
            steps: 4,
            ..summary(&format!("p@depth={depth}"), &format!("{name}/{engine}"))
        };
        let own = |row: &SummaryRow, zero_layers: usize| RegimeRow {
            zero_layers,
            layers: row.depth,
            ..regime(&row.point, &row.contender)
        };
        let fpa = [row("fpa", "reference", 8), row("fpa", "fused", 8), row("fpa", "reference", 32)];
        let bp = row("bp", "reference", 32);
        let all = [own(&fpa[0], 4), own(&fpa[1], 4), own(&fpa[2], 28), own(&bp, 0)];
        let regimes = Regimes(all.iter().map(|row| ((&*row.point, &*row.contender), row)).collect());
        let said = |rows: &[&SummaryRow]| regimes.silent(rows.iter().copied(), str::to_uppercase);
        assert_eq!(
            said(&[&bp, &fpa[0], &fpa[1], &fpa[2]]).unwrap(),
            "FPA T=4 at depth 32: 28 of 32 layers do not learn"
        );
        assert_eq!(said(&[&fpa[0]]).unwrap(), "FPA T=4 at depth 8: 4 of 8 layers do not learn");
        assert_eq!((said(&[&bp]), said(&[])), (None, None));

        let five = ["a", "b", "c", "d", "e"].map(|name| row(name, "reference", 8));
        let own = five.each_ref().map(|row| own(row, 1));
        let regimes = Regimes(own.iter().map(|row| ((&*row.point, &*row.contender), row)).collect());
        let said = regimes.silent(&five, str::to_owned).unwrap();
        let each = |name| format!("{name} T=4 at depth 8: 1 of 8 layers do not learn");
        assert_eq!(said, format!("{}; {}; {}; and 2 more", each("a"), each("b"), each("c")));
    }
}
