//! What no suite may ask for, found before anything is expanded, loaded or measured.

use candle_core::DType;

use super::place::Place;
use super::wire::BenchmarkWire;
use super::{limits, ContenderConfig, DeviceKind, Model, Point, Study, Training};
use crate::engine::EngineKind;
use crate::optim::OptimiserKind;
use crate::rule::{Rule, Steps};
use crate::Result;

/// Refuses suites that are too large as a whole, before any of it is expanded.
pub(super) fn size(benchmarks: &[BenchmarkWire], root: &Place) -> Result<()> {
    let (mut points, mut rows) = (0usize, 0usize);
    for b in benchmarks {
        let own = b.axes.points();
        points = points.saturating_add(own);
        rows = rows.saturating_add(own.saturating_mul(b.contenders.len()));
    }
    let too_many = |what: &str, most: usize| {
        let advice = "leave out values, contenders or benchmarks, or make several suites of it";
        root.key("benchmark", format!("the suite has more than {most} {what}; {advice}"))
    };
    match benchmarks {
        // a single benchmark is told by its name
        [_, _, ..] if points > limits::POINTS => Err(too_many("points", limits::POINTS)),
        _ if points <= limits::POINTS && rows > limits::ROWS => {
            Err(too_many("rows (one for each contender at a point)", limits::ROWS))
        }
        _ => Ok(()),
    }
}

/// Refuses a benchmark that would measure nothing.
pub(super) fn says_something(model: Model, updates: u64, here: &Place) -> Result<()> {
    if model == Model::Study(Study::Landscape) && updates == 0 {
        let problem =
            "is 0, and the model landscape trains for this number of updates; give a number in [benchmark.training]";
        return Err(here.key("accuracy_updates", problem));
    }
    Ok(())
}

/// Refuses learning rates as an axis where none moves a parameter, and where a search finds them.
pub(super) fn learning_rates(
    model: Model,
    training: Option<&Training>,
    points: &[Point],
    here: &Place,
) -> Result<()> {
    let Some(rate) = points.iter().map(|point| point.learning_rate).find(|&rate| rate > 0.0) else {
        return Ok(());
    };
    if rate < *limits::RATE.start() {
        here.within("learning_rate", rate, limits::RATE)?;
    }
    let problem = match (model, training) {
        (Model::Training, Some(training)) if training.search.is_some() => {
            "its search finds the learning rate; leave out the axis or [benchmark.training.search]".to_owned()
        }
        (Model::Training | Model::WeightUpdate, _) => return Ok(()),
        _ => format!(
            "is an axis of the models training and weight-update, and this benchmark's is {}",
            model.name()
        ),
    };
    Err(here.key("learning_rate", problem))
}

/// Refuses a contender that could not run at any time: there is nothing to measure that would tell more.
pub(super) fn can_run(
    config: &ContenderConfig,
    model: Model,
    optimiser: OptimiserKind,
    points: &[Point],
    here: &Place,
) -> Result<()> {
    let id = &config.id;
    let moves = Rule::from_name(&id.rule, Steps::constant(1, 1.0))?.moves_parameters();
    if moves && optimiser != OptimiserKind::Sgd && (id.engine.is_fused() || model == Model::Alignment) {
        let problem = match model {
            Model::Alignment => format!("directions of `{id}` are those of plain descent; expected sgd"),
            _ => format!(
                "`{id}` moves the parameters itself, by plain descent; expected sgd, or `{}/reference`",
                id.rule
            ),
        };
        return Err(here.key("optimiser", format!("{problem}, got {optimiser}")));
    }
    points.iter().try_for_each(|point| {
        if point.residual > 0.0 && !model.learns() {
            let problem = format!(
                "is {}, and the model {} takes all steps; use residual = [0]",
                point.residual,
                model.name()
            );
            return Err(here.key("residual", problem));
        }
        let timed_on_cpu = model == Model::WeightUpdate && point.device == DeviceKind::Cpu;
        if let Model::Study(study) = model
            && (point.device != DeviceKind::Cpu || point.dtype != DType::F64 || id.engine != EngineKind::Reference)
        {
            let problem = format!(
                "`{id}` on {} in {}: the model {} is computed in f64 by the reference engine on the CPU; use /reference, \
                 dtype = [\"f64\"], device = [\"cpu\"]",
                point.device.name(),
                point.dtype.as_str(),
                study.name()
            );
            return Err(here.key("contenders", problem));
        }
        let checked = id.engine.check(point.dtype, timed_on_cpu);
        checked.map_err(|e| here.key("contenders", format!("`{id}`: {e}")))
    })
}
