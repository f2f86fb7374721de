//! `pcnbench gate`: a small suite measured and held against the committed baseline.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::grid::Format;
use super::progress::Bar;
use super::{compared, Verdict};
use crate::compare::baseline::{self, Baseline, Choice};
use crate::compare::export::Target as Export;
use crate::compare::gate::{self, Outcome};
use crate::compare::{compare, Comparison, Options, Side};
use crate::measure::{self, Gpu, Waiting};
use crate::record::{self, Machine, Record};
use crate::run::{self, open_device, Job, Target};
use crate::suite::{DeviceKind, Overrides, Suite};
use crate::{Error, Result};

/// Options of `gate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite, or a path to a .toml file
    #[arg(long, value_name = "SUITE|FILE", default_value = "gate")]
    suite: String,
    /// Compare with this baseline instead of the one of this machine class under --results
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Folder of all records, where DIR/<machine class>/baseline.toml is looked for
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Write report, exports and records into this folder, which must be new or empty
    #[arg(long, value_name = "DIR", default_value = "gate-out")]
    out: PathBuf,
    /// Measure in four sessions and make that the baseline of this machine class (or FILE of --baseline)
    #[arg(long)]
    update_baseline: bool,
    /// Judge this record instead of measuring one; then nothing is measured again either
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Measure on this device instead of the suite's (cpu, cuda)
    #[arg(long)]
    device: Option<String>,
    /// Judge absolute times too, for a machine that does nothing else; only against a baseline of equal machine class
    /// and threads
    #[arg(long)]
    absolute: bool,
    /// Tolerate changes up to this many per cent, at least 1, or up to what the controls show, whichever is more
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, allow_negative_numbers = true)]
    threshold: f64,
    /// Tolerate ratios up to this factor against a baseline of another machine class or thread count
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    cross_machine_tolerance: f64,
    /// Believe no change seen while other programs had the processors for more than this share of the time; such
    /// sessions are first tried again
    #[arg(long, value_name = "PERCENT", default_value_t = 25.0, allow_negative_numbers = true)]
    most_waiting: f64,
    /// Exit code 4 if anything stays ambiguous
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Measure in a debug build too; the record carries a warning
    #[arg(long, hide = true)]
    allow_debug_build: bool,
}

impl Args {
    /// The share of waiting, if it is more than is believed in.
    fn too_much(&self, waited: Option<f64>) -> Option<f64> {
        waited.filter(|share| 100.0 * share > self.most_waiting)
    }
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let options = Options {
        absolute: args.absolute,
        threshold: super::cmp::threshold(args.threshold)?,
        cross_machine: Some(super::cmp::factor("--cross-machine-tolerance", args.cross_machine_tolerance)?),
    };
    if !(0.0..=100.0).contains(&args.most_waiting) {
        let problem =
            format!("--most-waiting {} is out of range; expected 0 to 100 (per cent)", args.most_waiting);
        return Err(Error::Invalid(problem).into());
    }
    let overrides = Overrides { device: args.device.clone(), ..Overrides::default() };
    let suite = Suite::load(&args.suite, &overrides)?;
    let place = Place::of(args, &suite)?;
    // What cannot be compared with or written to is said before minutes of measuring.
    let choice = if args.update_baseline { None } else { place.choice(args)? };
    check_empty(&args.out)?;
    fs::create_dir_all(&args.out).map_err(|e| Error::io("create the folder", &args.out, e))?;

    if args.update_baseline {
        return update(args, &suite, &place, out);
    }
    let Session { record, waited } = match &args.record {
        Some(dir) => Session { record: record::read(dir)?, waited: None },
        None => measure(args, &suite, "record")?,
    };
    let first = Side::of(&record)?.having_waited(args.too_much(waited));
    let mut report =
        Report { record: &record, choice, comparison: None, waited, again: vec![], outcome: Outcome::Passed };
    report.outcome = match &report.choice {
        None => alone(&first),
        Some(choice) => {
            let base = choice.baseline.side(choice.path.display().to_string());
            let mut comparison = compare(&base, &first, &options);
            if args.record.is_none() {
                let again = second_look(args, &suite, &comparison)?;
                comparison = compare(&base, &gate::with_second_look(&first, &again, &comparison), &options);
                report.again = again.into_iter().map(|side| side.name).collect();
            }
            let outcome = gate::outcome(&comparison, true, args.strict);
            report.comparison = Some(comparison);
            outcome
        }
    };
    report.write(&args.out, &first)?;
    report.print(args, out)?;
    Ok(compared::verdict(report.outcome))
}

/// Where the gate stands, as far as the choice of a baseline goes.
struct Place {
    class: String,
    threads: usize,
}

impl Place {
    fn of(args: &Args, suite: &Suite) -> Result<Self> {
        if let Some(dir) = &args.record {
            let record = record::read(dir)?;
            return Ok(Self { class: record.machine.class, threads: record.run.threads });
        }
        let card = suite.benchmarks.iter().flat_map(|b| &b.points).any(|p| p.device == DeviceKind::Cuda);
        let gpu = if card { Gpu::of(&open_device(DeviceKind::Cuda)?)? } else { None };
        Ok(Self { class: Machine::detect(gpu).class, threads: measure::threads() })
    }

    fn choice(&self, args: &Args) -> Result<Option<Choice>> {
        match &args.baseline {
            Some(path) => Ok(Some(Choice { baseline: Baseline::read(path)?, path: path.clone(), why: None })),
            None => baseline::choose(&args.results, &self.class, self.threads),
        }
    }

    /// Where the baseline of this place belongs.
    fn path(&self, args: &Args) -> PathBuf {
        let own = || args.results.join(record::slug(&self.class)).join(baseline::FILE);
        args.baseline.clone().unwrap_or_else(own)
    }
}

fn check_empty(dir: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(dir) else {
        return match fs::symlink_metadata(dir) {
            Ok(_) => {
                Err(Error::content(dir, "is not a folder that can be read; choose another one with `--out`"))
            }
            Err(_) => Ok(()),
        };
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::content(dir, "is not empty; choose an empty or a new folder with `--out`")),
    }
}

/// A record, and for which share of the time other programs kept it from running.
struct Session {
    record: Record,
    waited: Option<f64>,
}

/// Attempts at a session, for a machine that is too busy only now and then.
const ATTEMPTS: usize = 3;

/// Measures a suite into a record under the gate's folder; again, into `name-retry-1`, …, while the processors are
/// contended.
fn measure(args: &Args, suite: &Suite, name: &str) -> Result<Session> {
    let mut session = attempt(args, suite, name)?;
    for retry in 1..ATTEMPTS {
        if args.too_much(session.waited).is_none() {
            break;
        }
        let other = attempt(args, suite, &format!("{name}-retry-{retry}"))?;
        // The calmest counts, whatever it measured.
        if other.waited < session.waited {
            session = other;
        }
    }
    Ok(session)
}

/// Ceilings would tell nothing here and take seconds.
fn attempt(args: &Args, suite: &Suite, name: &str) -> Result<Session> {
    let job = Job {
        suite,
        data: None,
        results: &args.results,
        target: Target::New(Some(args.out.join(name))),
        argv: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        allow_debug: args.allow_debug_build,
        shard: None,
        ceilings: false,
    };
    let mut bar = Bar::new();
    let before = Waiting::now();
    let dir = run::run(&job, &mut bar);
    let waited = Waiting::now().zip(before).map(|(now, before)| now.share_since(before));
    bar.clear();
    Ok(Session { record: record::read(&dir?)?, waited })
}

/// Measures the points of suspects again, each as a whole and in several sessions.
fn second_look(args: &Args, suite: &Suite, comparison: &Comparison) -> Result<Vec<Side>> {
    let points = gate::suspects(comparison);
    let mut sides = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let name = format!("again-{}", i + 1);
        let (records, waited) = sessions(args, &suite.only_point(point)?, &name)?;
        let mut side = Side::pooled(&records)?.having_waited(args.too_much(waited));
        side.name = args.out.join(name).display().to_string();
        sides.push(side);
    }
    Ok(sides)
}

/// Measures a suite several times, into records `name-1`, `name-2`, …; and their mean share of waiting.
fn sessions(args: &Args, suite: &Suite, name: &str) -> Result<(Vec<Record>, Option<f64>)> {
    let (mut records, mut shares) = (Vec::new(), Vec::new());
    for k in 1..=gate::SESSIONS {
        let session = measure(args, suite, &format!("{name}-{k}"))?;
        records.push(session.record);
        shares.extend(session.waited);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    Ok((records, Some(mean).filter(|mean| mean.is_finite())))
}

/// Without a baseline only what a record says of itself can be judged.
fn alone(side: &Side) -> Outcome {
    match side.entries.iter().find(|e| !e.err.is_empty()) {
        Some(e) => Outcome::Changed(format!("failed: {} at {}: {}", e.contender, e.point, e.err)),
        None => Outcome::Passed,
    }
}

/// Measures in several sessions, since a baseline is compared with many times, and writes it.
fn update(args: &Args, suite: &Suite, place: &Place, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let (records, waited) = match &args.record {
        Some(dir) => (vec![record::read(dir)?], None),
        None => sessions(args, suite, "record")?,
    };
    let path = place.path(args);
    let baseline = Baseline::of(&records)?;
    baseline.write(&path)?;
    for warning in records.iter().flat_map(|r| &r.run.warnings) {
        writeln!(out, "warning: {warning}")?;
    }
    if let Some(share) = args.too_much(waited) {
        writeln!(
            out,
            "warning: other programs had the processors for {:.0} % of the time; make the baseline again when the machine is \
             quiet",
            100.0 * share
        )?;
    }
    if let (vague @ 1.., all) = baseline.vague() {
        writeln!(
            out,
            "warning: {vague} of {all} ratios are known to no better than {} %; make the baseline again when the machine is \
             quiet",
            100.0 * baseline::VAGUE
        )?;
    }
    let (entries, sessions) = (baseline.entry.len(), records.len());
    writeln!(out, "baseline: {} ({entries} entries from {sessions} sessions)", path.display())?;
    Ok(Verdict::Clean)
}

/// What a gate says in the end.
struct Report<'a> {
    record: &'a Record,
    choice: Option<Choice>,
    comparison: Option<Comparison>,
    /// Share of the time that the first look was kept waiting.
    waited: Option<f64>,
    /// Records of the second look.
    again: Vec<String>,
    outcome: Outcome,
}

impl Report<'_> {
    fn write(&self, dir: &Path, side: &Side) -> Result<()> {
        for target in Export::ALL {
            record::replace(&dir.join(target.file()), target.write(self.record, side).as_bytes())?;
        }
        // Last: a report beside which something is missing would be read as complete.
        record::replace(&dir.join("gate.md"), self.markdown().as_bytes())
    }

    fn print(&self, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
        let people = args.format == Format::Table;
        if let Some(comparison) = &self.comparison {
            compared::table(comparison, !people && args.format != Format::Md).print(args.format, out)?;
        }
        if people {
            for line in self.lines() {
                writeln!(out, "{line}")?;
            }
            writeln!(out, "report: {}", args.out.join("gate.md").display())?;
        }
        Ok(())
    }

    /// Everything but the table, a sentence each.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.record.run.warnings.iter().map(|w| format!("warning: {w}")).collect();
        match &self.choice {
            None => lines.push(
                "there is no baseline, so only verification was judged; make one on a quiet machine with \
                 `pcnbench gate --update-baseline`"
                    .into(),
            ),
            Some(choice) => {
                let b = &choice.baseline;
                lines.push(format!(
                    "compared with {} (revision {}, {}, {} threads, {})",
                    choice.path.display(),
                    b.rev,
                    b.cpu,
                    b.threads,
                    b.started
                ));
                lines.extend(choice.why.clone());
            }
        }
        if let Some(share) = self.waited {
            lines.push(format!("other programs had the processors for {:.1} % of the time", 100.0 * share));
        }
        if !self.again.is_empty() {
            lines.push(format!(
                "suspects were measured again in {} sessions each: {}",
                gate::SESSIONS,
                self.again.join(", ")
            ));
        }
        lines.extend(self.comparison.iter().flat_map(compared::remarks));
        lines
    }

    /// For a pull request: the outcome, what matters, and everything folded away below it.
    fn markdown(&self) -> String {
        let outcome = match &self.outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Changed(what) => format!("failed: {what}"),
            Outcome::Regressed(what) => format!("regressed: {what}"),
            Outcome::Inconclusive(what) => format!("inconclusive: {what}"),
        };
        let run = &self.record.run;
        let mut text = format!(
            "## Gate {outcome}\n\nSuite `{}` at revision {}{} on {}, {} threads.\n\n",
            run.suite,
            run.rev,
            if run.dirty { " with local changes" } else { "" },
            self.record.machine.cpu,
            run.threads
        );
        for line in self.lines() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "- {line}");
        }
        if let Some(comparison) = &self.comparison {
            let mut notable = comparison.clone();
            notable.rows.retain(|row| row.verdict != crate::stats::Verdict::Same);
            if !notable.rows.is_empty() {
                let _ = write!(text, "\n{}", compared::table(&notable, false).markdown());
            }
            let _ = write!(
                text,
                "\n<details><summary>All {} rows</summary>\n\n{}\n</details>\n",
                comparison.rows.len(),
                compared::table(comparison, false).markdown()
            );
        }
        text
    }
}
