//! The regimes of a whole record: which contenders do not learn in all layers.

use std::collections::HashMap;

use super::regime::RegimeRow;
use super::schema::{Record, SummaryRow};

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
    use crate::record::fixture::{regime, summary};

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
