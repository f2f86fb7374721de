//! The headline of a record in Markdown: what rules cost next to backpropagation, at three depths.
//!
//! A results table has a row for every point and contender; a page that is to be read has room for a dozen. Rules are
//! rows here, first by their counted matrix products and then by their time on each engine, and depths are columns, so
//! that what was counted and what was measured stand below each other.

use std::collections::BTreeSet;

use super::{markdown, results};
use crate::engine::EngineKind;
use crate::record::{Mark, Marks, Record, Regimes, SummaryRow};
use crate::{Error, Result};

/// Rules of the headline as contender ids spell them, and as papers do: with two engines, a dozen rows at most.
const RULES: [(&str, &str); 4] = [("spc", "sPC"), ("epc", "ePC"), ("mupc", "μPC"), ("fpa", "FPA")];

/// Engines of the headline, on all threads of the run.
const ENGINES: [EngineKind; 2] = [EngineKind::Fused, EngineKind::Reference];

/// Depths of the headline, where a record has any of them.
const DEPTHS: [usize; 3] = [8, 32, 128];

/// How the record was made, the table, a paragraph for each sign in it, and one about rules of which layers do not learn.
///
/// The table is of the first benchmark that times a rule of the headline, and at each depth of the first point there. Its
/// depths are those of [`DEPTHS`] that the benchmark has; if it has none of them, its least, its middle and its greatest.
///
/// # Errors
/// [`Error::Content`] if the record times no rule of the headline.
pub(super) fn of(record: &Record) -> Result<String> {
    let headline = Headline::new(record)?;
    let mut marks = Vec::new();
    let table = headline.table(&mut marks);
    let notes = Mark::footnotes(marks).into_iter().map(|note| format!("\n{note}\n"));
    let silent = headline.silent().map_or_else(String::new, |said| format!("\n{said}.\n"));
    Ok(format!("{}\n\n{table}{}{silent}", headline.caption(), notes.collect::<String>()))
}

/// Contender id of a rule by an engine.
fn id(rule: &str, engine: EngineKind) -> String {
    format!("{rule}/{engine}")
}

/// Whether a row is of a rule and an engine of the headline.
fn in_headline(row: &SummaryRow) -> bool {
    RULES.iter().any(|(rule, _)| ENGINES.iter().any(|engine| row.contender == id(rule, *engine)))
}

/// What the headline shows of a record.
struct Headline<'a> {
    record: &'a Record,
    marks: Marks<'a>,
    /// One row of each depth, whose point is shown.
    depths: Vec<&'a SummaryRow>,
}

impl<'a> Headline<'a> {
    fn new(record: &'a Record) -> Result<Self> {
        let timed = || record.summary.iter().filter(|row| row.model == "weight-update" && in_headline(row));
        let Some(first) = timed().next() else {
            let ids: Vec<String> =
                RULES.iter().flat_map(|(rule, _)| ENGINES.map(|engine| id(rule, engine))).collect();
            return Err(Error::content(
                &record.dir,
                format!(
                    "times none of {}, whose ratios to backpropagation are what is written; expected a record of a suite such as \
                     `depth`",
                    ids.join(", ")
                ),
            ));
        };
        let own = || timed().filter(|row| row.benchmark == first.benchmark);
        let measured: Vec<usize> = own().map(|row| row.depth).collect::<BTreeSet<_>>().into_iter().collect();
        let mut shown: Vec<usize> = DEPTHS.into_iter().filter(|depth| measured.contains(depth)).collect();
        if shown.is_empty() {
            shown = [0, measured.len() / 2, measured.len() - 1].map(|i| measured[i]).to_vec();
            shown.dedup();
        }
        let depths = shown.into_iter().filter_map(|depth| own().find(|row| row.depth == depth)).collect();
        Ok(Self { record, marks: Marks::of(record), depths })
    }

    fn caption(&self) -> String {
        let (run, row) = (&self.record.run, self.depths[0]);
        let command = run.argv.iter().skip(1).fold("pcnbench".to_owned(), |line, word| line + " " + word);
        format!(
            "{} on {} ({} threads, revision {}{}), benchmark {}, width {}, batch {}, {}:",
            markdown::code(&command),
            markdown::text(&self.record.machine.cpu),
            run.threads,
            markdown::text(&run.rev),
            if run.dirty { " with local changes" } else { "" },
            markdown::text(&row.benchmark),
            row.width,
            row.batch,
            markdown::text(&row.dtype),
        )
    }

    /// Which rules of the table have layers that do not learn, where the record knows.
    fn silent(&self) -> Option<String> {
        let shown = self.depths.iter().flat_map(|at| self.rows(at)).filter(|row| in_headline(row));
        Regimes::of(self.record).silent(shown, |name| {
            RULES.iter().find(|(rule, _)| *rule == name).map_or(name, |(_, print)| print).to_owned()
        })
    }

    /// The table; `marks` gets those of its numbers.
    fn table(&self, marks: &mut Vec<Mark>) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let heads = self.depths.iter().map(|row| self.head(row));
        let mut text = line(["rule", "over BP"].map(str::to_owned).into_iter().chain(heads).collect());
        text += &line(
            ["---", "---"].into_iter().chain(self.depths.iter().map(|_| "---:")).map(str::to_owned).collect(),
        );
        for (rule, name) in RULES {
            let engines: Vec<EngineKind> = ENGINES.into_iter().filter(|e| self.has(rule, *e)).collect();
            if engines.is_empty() {
                continue;
            }
            let counted = self.depths.iter().map(|at| self.products(at, rule));
            let heading = [format!("{name} (`{rule}`)"), "matrix products, counted".to_owned()];
            text += &line(heading.into_iter().chain(counted).collect());
            for engine in engines {
                let times =
                    self.depths.iter().map(|at| self.time(at, &id(rule, engine), marks)).collect::<Vec<_>>();
                let heading = [String::new(), format!("time, engine `{engine}`")];
                text += &line(heading.into_iter().chain(times).collect());
            }
        }
        text
    }

    /// `L = 8, T = 8`; without T where rules take different numbers of steps.
    fn head(&self, at: &'a SummaryRow) -> String {
        if self.rows(at).filter(|row| in_headline(row)).all(|row| row.steps == at.steps) {
            format!("L = {}, T = {}", at.depth, at.steps)
        } else {
            format!("L = {}", at.depth)
        }
    }

    /// All rows of a point.
    fn rows(&self, at: &'a SummaryRow) -> impl Iterator<Item = &'a SummaryRow> {
        self.record.summary.iter().filter(move |row| row.point == at.point)
    }

    fn row(&self, at: &'a SummaryRow, contender: &str) -> Option<&'a SummaryRow> {
        self.rows(at).find(|row| row.contender == contender)
    }

    fn has(&self, rule: &str, engine: EngineKind) -> bool {
        self.depths.iter().any(|at| self.row(at, &id(rule, engine)).is_some())
    }

    /// Counted matrix products over those of the baseline, which no engine changes.
    fn products(&self, at: &'a SummaryRow, rule: &str) -> String {
        let row = ENGINES.into_iter().find_map(|engine| self.row(at, &id(rule, engine)));
        let pair =
            row.and_then(|row| Some((row, self.row(at, &row.baseline)?))).filter(|(_, bp)| bp.gemms > 0);
        pair.map_or_else(String::new, |(row, bp)| format!("{:.2}", row.gemms as f64 / bp.gemms as f64))
    }

    /// Time over that of the baseline with its interval and signs, or a word for why there is none.
    fn time(&self, at: &'a SummaryRow, contender: &str, marks: &mut Vec<Mark>) -> String {
        let Some(row) = self.row(at, contender) else { return String::new() };
        let ratio = self.record.ratios.iter().find(|r| r.point == at.point && r.contender == contender);
        let Some(ratio) = ratio else { return results::note(row).to_owned() };
        let mark = self.marks.ratio(&ratio.point, &ratio.contender, &ratio.baseline);
        marks.push(mark);
        results::with_interval(ratio, mark)
    }
}

#[cfg(test)]
#[path = "headline_tests.rs"]
mod tests;
