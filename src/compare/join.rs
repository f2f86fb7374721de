//! Two sides joined by point and contender.

use super::exact;
use super::row::{Comparison, Measure, Missing, Row};
use super::side::{Entry, Side};
use crate::engine::EngineKind;
use crate::stats::{self, Change, PairedRatio, Tolerance, Verdict};
use crate::suite::axis;

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Options {
    /// Also judge absolute times, on one machine class and thread count.
    pub absolute: bool,
    /// Tolerate at least this much, as a factor minus one.
    pub threshold: f64,
    /// Compare ratios of different machine classes or thread counts too, tolerating at least this factor (1.5: half
    /// as much again).
    pub cross_machine: Option<f64>,
}

/// Compares `new` with `base`, point by point; nothing that either side holds is left out of the rows.
pub fn compare(base: &Side, new: &Side, options: &Options) -> Comparison {
    let whole = Whole::of(base, new, options);
    let (mut rows, mut work, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for n in &new.entries {
        let b = base.get(&n.point, &n.contender);
        // A result that the new side failed to give, and that the base side has given or never tried.
        if b.is_none_or(|b| b.err.is_empty()) && !n.err.is_empty() {
            broken.push(format!("{} at {}: {}", n.contender, n.point, n.err));
        }
        let Some(b) = b else {
            rows.extend(absent(n, Missing::Base, options));
            continue;
        };
        let reasons = reasons(b, n);
        // Work of another definition differs for a reason that the row gives.
        if reasons.is_empty() {
            work.extend(work_differences(b, n));
            work.extend(exact::differences((base, b), (new, n)));
        }
        if is_ratio(b) || is_ratio(n) {
            rows.push(whole.row(b, n, Measure::Ratio, &reasons));
        }
        if options.absolute {
            rows.push(whole.row(b, n, Measure::Time, &reasons));
        }
    }
    let gone = base.entries.iter().filter(|b| new.get(&b.point, &b.contender).is_none());
    rows.extend(gone.flat_map(|b| absent(b, Missing::New, options)));
    rows.extend(slower_baselines(&rows));
    let notes = whole.notes().into_iter().chain(exact::skipped(base, new)).collect();
    Comparison { base: base.name.clone(), new: new.name.clone(), rows, work, broken, notes }
}

/// Whether a contender's products are the fused engine's own, whose gain over Candle's depends on cores and vector units.
fn is_fused(contender: &str) -> bool {
    let engine = contender.split_once('/').and_then(|(_, engine)| engine.split(':').next());
    engine.and_then(|name| name.parse::<EngineKind>().ok()).is_some_and(EngineKind::is_fused)
}

/// Whether several threads do each update of a contender together: the fused engine's, but for one that has only one.
fn shares_updates(contender: &str) -> bool {
    is_fused(contender) && !contender.ends_with(":1")
}

/// What holds for every point.
struct Whole<'a> {
    options: &'a Options,
    /// Why nothing compares.
    all: Vec<String>,
    /// Why the machines differ, if they do.
    machines: Vec<String>,
}

impl<'a> Whole<'a> {
    fn of(base: &Side, new: &Side, options: &'a Options) -> Self {
        let (mut all, mut machines) = (vec![], vec![]);
        let within = |a: &Side, b: &Side| a.data.iter().all(|line| b.data.contains(line));
        // A suite of several data sets does not say which belongs to which point; a point they share has its own in
        // both lists.
        if !within(base, new) && !within(new, base) {
            all.push(format!("data: {} before, {} now", base.data.join("; "), new.data.join("; ")));
        }
        if base.class != new.class {
            machines.push(format!("machine class: {} before, {} now", base.class, new.class));
        }
        if base.threads != new.threads {
            machines.push(format!("threads: {} before, {} now", base.threads, new.threads));
        }
        Self { options, all, machines }
    }

    fn notes(&self) -> Vec<String> {
        match self.options.cross_machine {
            Some(factor) if !self.machines.is_empty() => vec![format!(
                "{}: ratios are tolerated up to a factor of {factor}, since a ratio of two rules may itself depend on \
                 the machine; absolute times are not compared",
                self.machines.join("; ")
            )],
            _ => vec![],
        }
    }

    fn row(&self, base: &Entry, new: &Entry, measure: Measure, reasons: &[String]) -> Row {
        let estimate = |e: &Entry| match measure {
            Measure::Ratio => e.ratio,
            Measure::Time => e.time,
        };
        let (b, n) = (estimate(base), estimate(new));
        let mut reasons: Vec<String> = self.all.iter().chain(reasons).cloned().collect();
        let crossing = self.options.cross_machine.filter(|_| measure == Measure::Ratio);
        let between_engines = crossing.is_some()
            && !self.machines.is_empty()
            && is_fused(&new.contender) != is_fused(&new.baseline);
        if crossing.is_none() {
            reasons.extend(self.machines.iter().cloned());
        } else if between_engines {
            reasons.push(format!(
                "{}: how many times faster the fused engine is than others may be any number on another machine",
                self.machines.join("; ")
            ));
        }
        let machines = crossing.filter(|_| !self.machines.is_empty()).map_or(0.0, |factor| factor - 1.0);
        let tolerance =
            Tolerance::new([base.noise_floor, new.noise_floor], self.options.threshold.max(machines));
        let shared = shares_updates(&new.contender) || shares_updates(&new.baseline);
        let unseen = if shared { stats::BETWEEN_INSTANCES_SHARED } else { stats::BETWEEN_INSTANCES };
        let estimates = b.zip(n).filter(|_| reasons.is_empty());
        let change = estimates.and_then(|(b, n)| stats::change(&b, &n, unseen));
        let mut verdict = match (change, estimates) {
            (Some(change), _) => stats::verdict(&change, tolerance),
            // Both were measured, but not for long enough to know how well.
            (None, Some(_)) => Verdict::Ambiguous,
            (None, None) => Verdict::Invalid,
        };
        match (change, estimates) {
            (Some(change), _) => {
                let doubts = match verdict {
                    Verdict::Regressed | Verdict::Improved => doubts(base, new, measure, &change),
                    _ if tolerance.is_blind() => vec![too_noisy(tolerance)],
                    _ => vec![],
                };
                if !doubts.is_empty() {
                    verdict = Verdict::Ambiguous;
                    reasons.extend(doubts);
                }
                if tolerance.is_wide_for(&change) {
                    reasons.push(format!("within the {} asked for", per_cent(tolerance.asked)));
                }
            }
            (None, Some((b, n))) => {
                reasons.extend(too_short("BASE", &b).into_iter().chain(too_short("NEW", &n)))
            }
            (None, None) if reasons.is_empty() => reasons.push(format!("no {} on one side", measure.name())),
            (None, None) => {}
        }
        let tolerance = tolerance.limit();
        let reason = reasons.join("; ");
        Row { verdict, reason, between_engines, ..row(new, measure, (b, n), change, tolerance) }
    }
}

/// Why there is no verdict where the controls of either side are too noisy for one.
fn too_noisy(tolerance: Tolerance) -> String {
    format!(
        "identical programs may differ by {} here, and beyond {} neither a change nor its absence can be told",
        per_cent(tolerance.noise),
        per_cent(stats::MOST_NOISE)
    )
}

/// Why an estimate has no interval.
fn too_short(side: &str, estimate: &PairedRatio) -> Option<String> {
    let (n, least) = (estimate.pairs, stats::FEWEST_FOR_INTERVAL);
    let rounds = if n == 1 { "round" } else { "rounds" };
    estimate.interval().is_none().then(|| format!("{n} {rounds} in {side}, and an interval takes {least}"))
}

/// A factor minus one in per cent; rounded to what is worth reading.
fn per_cent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Why a change may be the machine's rather than the code's, whatever its interval says.
fn doubts(base: &Entry, new: &Entry, measure: Measure, change: &Change) -> Vec<String> {
    let quiet = |e: &Entry| match measure {
        Measure::Ratio => e.quiet_ratio,
        Measure::Time => e.quiet_ns,
    };
    let moved = quiet(new).zip(quiet(base)).map(|(n, b)| n / b);
    let alone = moved.filter(|moved| !stats::is_quiet_too(change, *moved)).map(|moved| {
        let which = match measure {
            Measure::Ratio => "quietest quarter of the rounds",
            Measure::Time => "fastest tenth of the samples",
        };
        format!("the {which} moved by a factor of {moved:.3} only")
    });
    let state = (measure == Measure::Ratio).then(|| other_state(base, new, change)).flatten();
    let waited = new
        .waited
        .map(|share| format!("other programs had the processors for {:.0} % of the time", 100.0 * share));
    alone.into_iter().chain(state).chain(waited).collect()
}

/// Whether a ratio between two engines changed less than the speed of the machine did.
///
/// Contenders of one engine do the same kind of work, and what slows a machine down slows both sides of their ratio
/// alike. Between the fused engine and Candle's operations it does not: a neighbour on the same core, which may stay
/// for longer than a run, slows full vector units more than passes over memory. On two cores of a shared machine BP by
/// the reference took 1.3 times as long in some runs as in others, and its ratio to the fused engine's 1.14 times. The
/// baseline's own time tells: if it moved the same way and by as much as the ratio, the machine may have moved both.
fn other_state(base: &Entry, new: &Entry, change: &Change) -> Option<String> {
    if is_fused(&new.contender) == is_fused(&new.baseline) {
        return None;
    }
    let of_baseline = |e: &Entry| Some(e.time?.ratio / e.ratio?.ratio);
    let moved = of_baseline(new)? / of_baseline(base)?;
    let (by, changed) = (moved.ln(), change.ratio.ln());
    (by * changed > 0.0 && by.abs() >= changed.abs()).then(|| {
        format!(
            "{} took {moved:.2} times as long as before, and what slows one engine down may slow another down more",
            new.baseline
        )
    })
}

fn row(
    e: &Entry,
    measure: Measure,
    (base, new): (Option<PairedRatio>, Option<PairedRatio>),
    change: Option<Change>,
    tolerance: f64,
) -> Row {
    Row {
        point: e.point.clone(),
        contender: e.contender.clone(),
        baseline: e.baseline.clone(),
        settings: e.settings.clone(),
        measure,
        base,
        new,
        change,
        tolerance,
        verdict: Verdict::Invalid,
        missing: None,
        between_engines: false,
        reason: String::new(),
    }
}

fn is_ratio(e: &Entry) -> bool {
    e.contender != e.baseline
}

fn absent(e: &Entry, missing: Missing, options: &Options) -> Vec<Row> {
    let measures = [(Measure::Ratio, is_ratio(e) || !options.absolute), (Measure::Time, options.absolute)];
    let wanted = measures.into_iter().filter(|(_, wanted)| *wanted);
    wanted
        .map(|(measure, _)| {
            let estimate = if measure == Measure::Ratio { e.ratio } else { e.time };
            let (pair, reason) = match missing {
                Missing::Base => ((None, estimate), "only in NEW"),
                Missing::New => ((estimate, None), "only in BASE"),
            };
            Row { missing: Some(missing), reason: reason.into(), ..row(e, measure, pair, None, 0.0) }
        })
        .collect()
}

/// Why two entries are no measurements of the same thing.
fn reasons(base: &Entry, new: &Entry) -> Vec<String> {
    let mut reasons = Vec::new();
    if base.definition_sha256 != new.definition_sha256 {
        let names: std::collections::BTreeSet<&String> = base.facts.keys().chain(new.facts.keys()).collect();
        let known = !base.facts.is_empty() && !new.facts.is_empty();
        let differing =
            names.into_iter().filter(|name| known && base.facts.get(*name) != new.facts.get(*name));
        let none = "none".to_owned();
        let told = differing.map(|name| {
            let value = |e: &'_ Entry| e.facts.get(name).unwrap_or(&none).clone();
            format!("{name}: {} before, {} now", value(base), value(new))
        });
        reasons.extend(told);
        if reasons.is_empty() {
            reasons.push("the point is defined otherwise than before (its definition hash differs)".into());
        }
    }
    for (e, side) in [(base, "BASE"), (new, "NEW")] {
        if !e.err.is_empty() {
            reasons.push(format!("failed in {side}: {}", e.err));
        }
    }
    reasons
}

fn work_differences(base: &Entry, new: &Entry) -> Option<String> {
    let pairs = base.work.columns().into_iter().zip(new.work.columns());
    let differing: Vec<String> = pairs
        .filter(|(b, n)| b.1 != n.1)
        .map(|((name, before), (_, now))| format!("{name} {before} before, {now} now"))
        .collect();
    (!differing.is_empty()).then(|| format!("{} at {}: {}", new.contender, new.point, differing.join(", ")))
}

/// Contenders that must have improved, at the least, before they speak about their baseline.
const WITNESSES: usize = 3;

/// Baselines that slowed down, seen by three quarters of the ratios to them at a point having improved.
///
/// A ratio cannot tell which of its two sides changed, but several with one side in common can; and without this a
/// slower baseline would pass for a faster everything else. Not all of them must agree: noise leaves some undecided, and
/// what slowed down with its baseline shows no change. The change is the inverse of the middle one of theirs.
fn slower_baselines(rows: &[Row]) -> Vec<Row> {
    let mut groups: Vec<Vec<(&Row, Change)>> = Vec::new();
    for row in rows.iter().filter(|row| row.measure == Measure::Ratio) {
        let Some(change) = row.change else { continue };
        let same = |g: &&mut Vec<(&Row, Change)>| {
            g.first().is_some_and(|(r, _)| r.point == row.point && r.baseline == row.baseline)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push((row, change)),
            None => groups.push(vec![(row, change)]),
        }
    }
    let inferred = groups.into_iter().filter_map(|mut group| {
        let improved = group.iter().filter(|(row, _)| row.verdict == Verdict::Improved).count();
        if improved < WITNESSES || 4 * improved < 3 * group.len() {
            return None;
        }
        group.sort_by(|(_, a), (_, b)| a.ratio.total_cmp(&b.ratio));
        let (witness, change) = *group.get(group.len() / 2)?;
        Some(Row {
            contender: witness.baseline.clone(),
            settings: witness.settings.clone().with(&axis::STEPS, 0),
            base: None,
            new: None,
            change: Some(Change {
                ratio: 1.0 / change.ratio,
                low: 1.0 / change.high,
                high: 1.0 / change.low,
            }),
            verdict: Verdict::Regressed,
            reason: format!("inferred: {improved} of {} contenders against it improved", group.len()),
            ..witness.clone()
        })
    });
    inferred.collect()
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
