use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::*;
use crate::record::Status;
use crate::record::{self, Record};
use crate::run::point::prepare;
use crate::run::resources::Resources;
use crate::run::{run_with, Job, Observer, Target};
use crate::suite::{Overrides, Suite};

struct Silent;

impl Observer for Silent {
    fn waiting(&mut self, _: &str) {}
    fn planned(&mut self, _: usize, _: usize) {}
    fn at(&mut self, _: &str, _: &str) {}
    fn finished(&mut self, _: &str) {}
}

/// Two points; sPC diverges at the second, where the step size is absurd.
fn suite(model: &str) -> Suite {
    let (baseline, timing) = match model {
        "weight-update" => (
            "baseline = \"spc/reference\"",
            "[benchmark.timing]\nwarmup_seconds = 0.0\nmin_rounds = 3\nmax_rounds = 3\ninstances = 1\n",
        ),
        _ => ("", ""),
    };
    let text = format!(
        r#"schema = 1
name = "lost"
about = "One contender fails at the second point."
seed = 1
[[benchmark]]
name = "only"
model = "{model}"
about = "x"
contenders = ["spc/reference"]
{baseline}
[benchmark.axes]
depth = [3]
width = [4]
batch = [2]
activation = ["identity"]
steps = [200]
step_size = [0.1, 1e3]
{timing}"#
    );
    Suite::parse(&text, "lost.toml", &Overrides::default()).unwrap()
}

fn run(suite: &Suite, target: Target, health_check: HealthCheck<'_>) -> Result<PathBuf> {
    let job = Job {
        suite,
        data: None,
        results: Path::new("nowhere"),
        target,
        argv: vec![],
        shard: None,
        allow_debug: true,
        ceilings: false,
        wait_quiet: None,
    };
    run_with(&job, &mut Silent, health_check)
}

fn gone(_: &Device) -> Result<()> {
    Err(Error::Invalid("CUDA_ERROR_ILLEGAL_ADDRESS".into()))
}

fn steps(record: &Record) -> Vec<f64> {
    record.summary.iter().map(|row| row.step_size).collect()
}

#[test]
fn a_run_ends_when_device_and_contender_fail_and_is_resumed_later() {
    for model in ["weight-update", "signal-decay", "alignment"] {
        let (suite, folder) = (suite(model), tempfile::tempdir().unwrap());
        let dir = folder.path().join("record");
        let error = run(&suite, Target::New(Some(dir.clone())), &gone).unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{model}: {error}");
        let said = error.to_string();
        let resume = format!("`pcnbench run --resume={}`", dir.display());
        for part in ["`cpu` has stopped working", "spc", "diverged", "kept in", resume.as_str()] {
            assert!(said.contains(part), "{model}: {part} is missing in: {said}");
        }
        assert!(!said.contains('\n'));

        let begun = record::read(&dir).unwrap();
        assert_eq!(begun.run.finished, None, "{model}");
        assert_eq!(steps(&begun), [0.1], "{model}: the point that was being measured is none");
        assert_eq!(begun.summary[0].err, "", "{model}");

        run(&suite, Target::Resume(dir.clone()), &|_| Ok(())).unwrap();
        let whole = record::read(&dir).unwrap();
        assert!(whole.run.finished.is_some());
        assert_eq!(steps(&whole), [0.1, 1e3], "{model}");
        assert!(whole.summary[1].err.contains("diverged"), "{model}: {}", whole.summary[1].err);
        assert_eq!(begun.summary[0], whole.summary[0], "{model}: finished points stay as they are");
    }
}

#[test]
fn data_that_do_not_fit_on_a_device_are_an_error_of_every_contender() {
    let suite = suite("weight-update");
    let mut resources = Resources::new(&suite, None, &synchronise).unwrap();
    let prepared = prepare(&suite, &mut resources).unwrap();
    let point = &prepared[0];
    let full = || Error::Candle(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".into()));
    let works: HealthCheck<'_> = &|_| Ok(());

    assert_eq!(point.rows_on_upload_failure(Ok(7), &Device::Cpu, works).unwrap().unwrap(), 7);
    let result =
        point.rows_on_upload_failure(Err::<(), _>(full()), &Device::Cpu, works).unwrap().unwrap_err();
    assert!(result.samples.is_empty() && result.ratios.is_empty());
    assert_eq!(result.summary.len(), point.specs.len());
    for row in &result.summary {
        assert!(row.err.contains("OUT_OF_MEMORY") && row.n == 0, "{}", row.err);
    }
    // on a GPU that is gone, and for what no device has anything to do with, the run ends
    assert!(point.rows_on_upload_failure(Err::<(), _>(full()), &Device::Cpu, &gone).is_err());
    let other = Error::Invalid("the data hold no batch".into());
    assert!(point.rows_on_upload_failure(Err::<(), _>(other), &Device::Cpu, works).is_err());
}

#[test]
fn devices_are_asked_only_after_an_error() {
    let (suite, folder) = (suite("weight-update"), tempfile::tempdir().unwrap());
    let asked = RefCell::new(0);
    let dir = run(&suite, Target::New(Some(folder.path().join("record"))), &|_| {
        *asked.borrow_mut() += 1;
        Ok(())
    });
    let record = record::read(&dir.unwrap()).unwrap();
    assert!(record.run.finished.is_some());
    assert!(record.summary[0].err.is_empty() && record.summary[1].err.contains("diverged"));
    assert_eq!(asked.take(), 2, "for the contender that failed, and for its control");
}

#[test]
fn errors_on_a_device_that_answers_stay_what_they_are() {
    let error = || Error::Invalid("does not fit".into());
    assert_eq!(row(error(), &Device::Cpu, &|_| Ok(())).unwrap(), (Status::Failed, "does not fit".to_owned()));
    assert_eq!(row(error(), &Device::Cpu, &gone).unwrap_err().to_string(), "does not fit");
    let end = |health_check: HealthCheck<'_>| {
        end(error(), [("cpu", &Device::Cpu)], health_check, Path::new("kept"))
    };
    assert!(matches!(end(&synchronise), Error::Invalid(_)));
    assert!(matches!(end(&gone), Error::Lost { device, .. } if device == "cpu"));
}
