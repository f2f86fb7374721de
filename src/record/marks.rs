//! What a reader should know beside a number, and how to say it.

use std::collections::HashMap;

use super::schema::{Record, SummaryRow};
use super::summarise::{CONTROL, CROWDED};
use crate::measure::exact::Exact;

/// Contended samples that it takes at the least: a single one leaves a median where it is.
const FEWEST: u64 = 2;

/// What stands beside a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Other work kept this process from running during more samples than a median shrugs off.
    pub contended: bool,
    /// How many layers an update trains, if that is not all of them.
    pub trained: Option<usize>,
}

impl SummaryRow {
    /// Whether its network is a chain of dense layers, whose layers are as many as it is deep; what is known of a rule in
    /// closed form holds on chains.
    pub fn is_chain(&self) -> bool {
        self.architecture == "mlp"
    }

    /// What stands beside a time of this row.
    pub fn mark(&self) -> Mark {
        let crowded = |n: u64| n >= FEWEST && n as f64 > CROWDED * self.n as f64;
        Mark {
            contended: self.contended.is_some_and(crowded),
            trained: self.trained_layers.filter(|trained| *trained < self.depth),
        }
    }

    /// Takes in what one update was counted to ask of the machine.
    pub fn set_exact(&mut self, exact: Exact) {
        self.allocations = exact.allocations;
        self.allocated_bytes = exact.allocated_bytes;
        self.instructions = exact.instructions;
    }

    /// What one update was counted to ask of the machine.
    pub fn exact(&self) -> Exact {
        let Self { allocations, allocated_bytes, instructions, .. } = *self;
        Exact { allocations, allocated_bytes, instructions }
    }
}

impl Mark {
    /// The signs behind a number in tables; empty without a mark.
    pub fn signs(self) -> &'static str {
        match (self.trained, self.contended) {
            (None, false) => "",
            (Some(_), false) => " †",
            (None, true) => " ‡",
            (Some(_), true) => " †‡",
        }
    }

    /// Of a number that both rows have a part in: contended if either is, with the layers of this one.
    pub fn beside(self, other: Self) -> Self {
        Self { contended: self.contended || other.contended, ..self }
    }

    /// What the signs of these marks mean, a sentence for each that is among them.
    pub fn footnotes(marks: impl IntoIterator<Item = Self>) -> Vec<&'static str> {
        let all = marks.into_iter().fold(Self::default(), |all, mark| Self {
            contended: all.contended || mark.contended,
            trained: all.trained.or(mark.trained),
        });
        let part = "† an update trains only the upper layers: T inference steps are too few for an error to reach the others, \
                    and part of the work is not done";
        let contended = "‡ contended: during more than 5 % of the samples (two at least) of the contender, or of what its ratio is \
                         to, other work kept this process from running";
        let of = |shown: bool, text| shown.then_some(text);
        [of(all.trained.is_some(), part), of(all.contended, contended)].into_iter().flatten().collect()
    }
}

/// The marks of all rows of a record.
#[derive(Debug)]
pub struct Marks<'a>(HashMap<(&'a str, &'a str), Mark>);

impl<'a> Marks<'a> {
    /// Of a record.
    pub fn of(record: &'a Record) -> Self {
        Self(record.summary.iter().map(|row| ((&*row.point, &*row.contender), row.mark())).collect())
    }

    /// Of the ratio of a contender, or its control, to a baseline.
    pub fn ratio(&self, point: &str, contender: &str, baseline: &str) -> Mark {
        let own = |id: &str| self.0.get(&(point, id)).copied().unwrap_or_default();
        own(contender.strip_suffix(CONTROL).unwrap_or(contender)).beside(own(baseline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::summary;

    fn row(n: usize, contended: Option<u64>, trained_layers: Option<usize>) -> SummaryRow {
        SummaryRow { n, contended, trained_layers, ..summary("p", "spc/reference") }
    }

    /// More than 5 % of 40 is three; of ten it is one, but two are asked for.
    #[test]
    fn contended_beyond_the_limit() {
        let contended = |n, count| row(n, Some(count), None).mark().contended;
        assert_eq!([2, 3].map(|count| contended(40, count)), [false, true]);
        assert_eq!([1, 2].map(|count| contended(10, count)), [false, true]);
        assert!(!row(40, None, None).mark().contended, "not told");
    }

    #[test]
    fn trained_in_part() {
        // the fixture has eight layers
        let trained = |n| row(40, None, n).mark().trained;
        assert_eq!([None, Some(8), Some(2)].map(trained), [None, None, Some(2)]);
    }

    #[test]
    fn signs_have_footnotes() {
        let (part, busy) = (row(40, None, Some(2)).mark(), row(40, Some(9), None).mark());
        let both = Mark { contended: true, ..part };
        let none = Mark::default();
        assert_eq!([none, part, busy, both].map(Mark::signs), ["", " †", " ‡", " †‡"]);
        assert_eq!(Mark::footnotes([none, none]), Vec::<&str>::new());
        for marks in [vec![part, busy], vec![both]] {
            let notes = Mark::footnotes(marks);
            assert!(notes[0].starts_with('†') && notes[1].starts_with('‡'), "{notes:?}");
        }
        assert_eq!(Mark::footnotes([none, busy]).len(), 1);
    }

    /// A ratio is as good as the worse of its two sides, but trains what its own rule trains.
    #[test]
    fn ratios_have_two_sides() {
        let (bp, mut spc) = (row(40, Some(40), None), row(40, Some(0), Some(3)));
        let bp = SummaryRow { contender: "bp/reference".into(), ..bp };
        spc.contender = "spc/reference".into();
        let marks = [&bp, &spc].map(|row| ((&*row.point, &*row.contender), row.mark()));
        let marks = Marks(marks.into());
        let mark = marks.ratio("p", "spc/reference", "bp/reference");
        assert_eq!(mark, Mark { contended: true, trained: Some(3) });
        assert!(marks.ratio("p", "bp/reference~aa", "bp/reference").contended);
        assert_eq!(marks.ratio("q", "spc/reference", "bp/reference"), Mark::default());
    }
}
