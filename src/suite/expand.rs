//! From the TOML form to validated points.

use std::collections::HashSet;

use super::axis::{self, Axes, Axis, Value, Values, AXES};
use super::place::Place;
use super::wire::{AxesWire, BenchmarkWire, ContenderWire, StepsWire, SuiteWire};
use super::{
    checks, limits, training, Benchmark, ContenderConfig, Model, Overrides, Point, StepCount, Suite,
};
use crate::contender::ContenderId;
use crate::data;
use crate::net::architecture::Kind;
use crate::net::{ActivationOrder, Loss};
use crate::optim::OptimiserKind;
use crate::rule::Info;
use crate::{Error, Result};

/// Version of the suite format.
const SCHEMA: u32 = 1;

pub(super) fn apply(wire: &mut SuiteWire, overrides: &Overrides) {
    if let Some(seed) = overrides.seed {
        wire.seed = seed;
    }
    for b in &mut wire.benchmark {
        if let Some(seconds) = overrides.max_seconds {
            b.timing.max_seconds = seconds;
        }
        if let Some(id) = &overrides.contender {
            b.contenders = vec![ContenderWire::Id(id.clone())];
            b.baseline.clone_from(id);
        }
        if let Some(rate) = overrides.learning_rate {
            b.training.learning_rate = rate;
            b.axes.set(&axis::LEARNING_RATE, vec![axis::LEARNING_RATE.default.clone()]);
            for contender in &mut b.contenders {
                if let ContenderWire::Table(own) = contender {
                    own.learning_rate = None;
                }
            }
        }
        if let Some(optimiser) = &overrides.optimiser {
            b.training.optimiser.clone_from(optimiser);
        }
        if overrides.epochs.or(overrides.updates).is_some() {
            (b.training.epochs, b.training.updates) = (overrides.epochs, overrides.updates);
        }
        for (axis, value) in &overrides.axes {
            b.axes.set(axis, vec![value.clone()]);
        }
        let replaced = |axis: &Axis| overrides.axes.iter().any(|(own, _)| *own == axis);
        for contender in &mut b.contenders {
            if let ContenderWire::Table(own) = contender {
                own.steps = own.steps.take().filter(|_| !replaced(&axis::STEPS));
                own.step_size = own.step_size.filter(|_| !replaced(&axis::STEP_SIZE));
            }
        }
    }
    if let Some(depth) = overrides.max_depth {
        // a benchmark of which nothing is left goes; an axis that was empty before stays an error
        wire.benchmark.retain_mut(|b| {
            let written = b.axes.of(&axis::DEPTH);
            let kept: Vec<Value> = written.iter().filter(|d| **d <= Value::Size(depth)).cloned().collect();
            let gone = kept.is_empty() && !written.is_empty();
            b.axes.set(&axis::DEPTH, kept);
            !gone
        });
    }
}

pub(super) fn suite(wire: SuiteWire, place: &str) -> Result<Suite> {
    let root = Place(place.to_owned());
    if wire.schema != SCHEMA {
        return Err(root.key("schema", format!("{} is not supported; expected {SCHEMA}", wire.schema)));
    }
    root.name("name", &wire.name)?;
    root.within("seed", wire.seed, limits::SEED)?;
    if wire.benchmark.is_empty() {
        return Err(root.key(
            "benchmark",
            "none is left; a suite needs at least one [[benchmark]], and --max-depth must leave it a depth",
        ));
    }
    checks::size(&wire.benchmark, &root)?;
    let definition = toml::to_string(&wire)
        .map_err(|e| Error::Invalid(format!("{place}: the definition cannot be written back: {e}")))?;
    let mut seen = HashSet::new();
    let benchmarks = wire
        .benchmark
        .into_iter()
        .map(|b| {
            let here = Place(format!("{place}, benchmark \"{}\"", b.name.escape_debug()));
            if !seen.insert(b.name.clone()) {
                return Err(here.key("name", "used twice; benchmark names are unique in a suite"));
            }
            benchmark(b, &here)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Suite { name: wire.name, about: wire.about, seed: wire.seed, definition, benchmarks })
}

fn benchmark(b: BenchmarkWire, here: &Place) -> Result<Benchmark> {
    here.name("name", &b.name)?;
    if b.contenders.len() > limits::CONTENDERS {
        let problem = format!("{} are listed; expected at most {}", b.contenders.len(), limits::CONTENDERS);
        return Err(here.key("contenders", problem));
    }
    let model = here.word("model", &b.model, &Model::all().map(|m| (m.name(), m)).collect::<Vec<_>>())?;
    let data = data::Kind::of(&b.data).map_err(|e| here.key("data", e.to_string()))?;
    let contenders = b.contenders.iter().map(|c| contender(c, here)).collect::<Result<Vec<_>>>()?;
    if contenders.is_empty() {
        return Err(here.key("contenders", "the list is empty; expected at least one rule/engine"));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = contenders.iter().find(|c| !seen.insert(c.id.to_string())) {
        return Err(here.key("contenders", format!("`{}` is listed twice", twice.id)));
    }
    let baseline: ContenderId = here.parse("baseline", &b.baseline)?;
    if model == Model::WeightUpdate && !contenders.iter().any(|c| c.id == baseline) {
        return Err(here.key("baseline", format!("`{baseline}` is not among the contenders")));
    }
    let architecture = Kind::of(&b.architecture.kind).map_err(|e| here.key("architecture", e.to_string()))?;
    let orders = [("input", ActivationOrder::Pre), ("output", ActivationOrder::Post)];
    let activation_order = here.word("placement", &b.network.placement, &orders)?;
    let loss = Loss {
        kind: here.parse("loss", &b.network.loss)?,
        reduction: here.parse("reduction", &b.network.reduction)?,
        precision: 1.0,
    };
    let latent_energy = here.parse("latent_energy", &b.network.latent_energy)?;
    here.within("precision", b.network.precision, limits::RATE)?;
    here.within("gain", b.network.gain, limits::RATE)?;
    here.within("learning_rate", b.training.learning_rate, limits::RATE)?;
    here.within("accuracy_updates", b.training.accuracy_updates, limits::UPDATES)?;
    let t = &b.timing;
    here.within("target_half_width", t.target_half_width, limits::HALF_WIDTH)?;
    here.within("max_seconds", t.max_seconds, limits::SECONDS)?;
    here.within("warmup_seconds", t.warmup_seconds, limits::WARMUP)?;
    here.within("turn_seconds", t.turn_seconds, limits::TURN)?;
    here.within("max_rounds", t.max_rounds, limits::ROUNDS)?;
    here.within("min_rounds", t.min_rounds, 1..=t.max_rounds)?;
    here.within("instances", t.instances, limits::INSTANCES)?;
    let points = points(&b.name, &b.axes, here)?;
    for (config, point) in contenders.iter().flat_map(|c| points.iter().map(move |p| (c, p))) {
        let steps =
            here.within("steps", config.steps.unwrap_or(point.steps).at(point.depth), limits::STEPS)?;
        let shown = Info::of(&config.id.rule).map_or(steps, |info| info.steps(point.depth, steps));
        if model == Model::SignalDecay && point.depth.saturating_mul(shown.saturating_add(1)) > limits::TRACED
        {
            return Err(here.key(
                "steps",
                format!(
                    "{shown} steps of {} layers are more than the {} energies traced at most; lower one of them",
                    point.depth,
                    limits::TRACED
                ),
            ));
        }
    }
    let optimiser: OptimiserKind = here.parse("optimiser", &b.training.optimiser)?;
    checks::says_something(model, b.training.accuracy_updates, here)?;
    let training = match model {
        Model::Training => Some(training::read(&b.training, here)?),
        _ => training::refuse(&b.training, &b.model, here).map(|()| None)?,
    };
    contenders.iter().try_for_each(|c| checks::can_run(c, model, optimiser, &points, here))?;
    checks::learning_rates(model, training.as_ref(), &points, here)?;
    Ok(Benchmark {
        points,
        optimiser,
        name: b.name,
        model,
        about: b.about,
        data,
        contenders,
        baseline,
        architecture,
        bias: b.network.bias,
        gain: b.network.gain,
        loss,
        precision: b.network.precision,
        latent_energy,
        activation_order,
        learning_rate: b.training.learning_rate,
        accuracy_updates: b.training.accuracy_updates,
        accuracy_max_depth: b.training.accuracy_max_depth,
        training,
        timing: b.timing,
    })
}

fn contender(wire: &ContenderWire, here: &Place) -> Result<ContenderConfig> {
    let (id, steps, step_size, learning_rate) = match wire {
        ContenderWire::Id(id) => (id, None, None, None),
        ContenderWire::Table(t) => (&t.id, t.steps.as_ref(), t.step_size, t.learning_rate),
    };
    if let Some(g) = step_size {
        here.within("step_size", g, limits::STEP_SIZE)?;
    }
    if let Some(rate) = learning_rate {
        here.within("learning_rate", rate, limits::RATE)?;
    }
    let steps = steps.map(|s| match s {
        StepsWire::Fixed(steps) => Ok(StepCount::Fixed(*steps)),
        StepsWire::Depths(text) => here.parse("steps", text),
    });
    let steps = steps.transpose()?;
    Ok(ContenderConfig { id: here.parse("contenders", id)?, steps, step_size, learning_rate })
}

/// The product of all axes, the last axis varying fastest.
fn points(name: &str, axes: &AxesWire, here: &Place) -> Result<Vec<Point>> {
    for axis in AXES {
        here.filled(axis.name, axes.of(axis))?.iter().try_for_each(|value| listed(axis, value, here))?;
    }
    let count = axes.points();
    if count > limits::POINTS {
        return Err(here
            .key("axes", format!("their product has more than {} points; shorten an axis", limits::POINTS)));
    }
    let mut seen = HashSet::new();
    let mut points = Vec::with_capacity(count);
    for place in 0..count {
        let axes = Axes::new(|axis| at(axes, axis, place)).map_err(|e| here.key("axes", e.to_string()))?;
        let id = axes.id(name);
        if !seen.insert(id.clone()) {
            return Err(here.key("axes", format!("an axis lists a value twice (point {id})")));
        }
        points.push(Point { id, axes });
    }
    Ok(points)
}

/// Refuses what is no value of its axis or beyond its limits; numbers of steps are judged at the depth that they are for.
fn listed(axis: &Axis, value: &Value, here: &Place) -> Result<()> {
    axis.canonical(value).map_err(|e| here.key(axis.name, e.to_string()))?;
    match (&axis.values, value) {
        (Values::Sizes(limits), Value::Size(size)) => here.within(axis.name, *size, limits.clone()).map(drop),
        (Values::Numbers(limits), Value::Number(n)) => here.within(axis.name, *n, limits.clone()).map(drop),
        _ => Ok(()),
    }
}

/// The value of an axis at the `place`-th point: the digits of `place` in the number system that has as many digits at
/// each axis as the axis has values.
fn at<'a>(axes: &'a AxesWire, axis: &Axis, place: usize) -> &'a Value {
    let faster = AXES.iter().rev().take_while(|other| **other != axis);
    let stride: usize = faster.map(|other| axes.of(other).len()).product();
    let values = axes.of(axis);
    &values[place / stride % values.len()]
}
