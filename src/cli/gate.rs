//! `pcnbench gate`: a small suite measured and held against the committed baseline.

mod args;
mod report;
mod session;
mod update;

use std::fs;
use std::io::Write;
use std::path::Path;

use super::cmp::{factor, threshold};
use super::compared;
use super::exit::Exit;
use crate::compare::baseline::Choice;
use crate::compare::gate::{self, GateOutcome};
use crate::compare::{compare, Options, Side};
use crate::measure::quiet;
use crate::record;
use crate::suite::{axis, Overrides, Suite};
use crate::{Error, Result};

pub use args::Args;
use args::Place;
use report::Report;
use session::{measure, second_look, Session};
use update::update;

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let options = Options {
        absolute: args.absolute,
        threshold: threshold(args.threshold)?,
        cross_machine: Some(factor("--cross-machine-tolerance", args.cross_machine_tolerance)?),
    };
    if !(0.0..=100.0).contains(&args.most_waiting) {
        let problem =
            format!("--most-waiting {} is out of range; expected 0 to 100 (per cent)", args.most_waiting);
        return Err(Error::Invalid(problem).into());
    }
    args.wait_quiet.map(quiet::limit).transpose()?;
    let overrides = Overrides::default().with(&axis::DEVICE, args.device.clone());
    let suite = Suite::load(&args.suite, &overrides)?;
    let place = Place::of(args, &suite)?;
    // What cannot be compared with or written to is said before minutes of measuring.
    let choice = if args.update_baseline { None } else { place.choice(args)? };
    if let Some(Choice { path, baseline, .. }) = choice.as_ref().filter(|c| c.baseline.suite != place.suite) {
        let problem = format!(
            "is a baseline of suite `{}`, and this gate is of `{}`; give that suite's own with `--baseline`, made with \
             `--update-baseline`",
            baseline.suite, place.suite
        );
        return Err(Error::content(path, problem).into());
    }
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
    let mut report = Report {
        record: &record,
        choice,
        comparison: None,
        waited,
        again: vec![],
        outcome: GateOutcome::Passed,
    };
    report.outcome = match &report.choice {
        None => alone(&first, args.strict),
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
    Ok(compared::exit(report.outcome))
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

/// Without a baseline only what a record says of itself can be judged.
fn alone(side: &Side, strict: bool) -> GateOutcome {
    match side.entries.iter().find(|e| !e.err.is_empty()) {
        Some(e) => GateOutcome::Changed(format!("failed: {} at {}: {}", e.contender, e.point, e.err)),
        None if strict => GateOutcome::Inconclusive("nothing compares: there is no baseline".into()),
        None => GateOutcome::Passed,
    }
}
