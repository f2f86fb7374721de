//! From the TOML form to validated points.

use std::collections::HashSet;

use candle_core::DType;

use super::place::Place;
use super::wire::{AxesWire, BenchmarkWire, ContenderWire, StepsWire, SuiteWire};
use super::{
    checks, limits, Benchmark, ContenderId, DataKind, DeviceKind, Entrant, Model, Overrides, Point,
    StepCount, Suite,
};
use crate::net::{Activation, Loss, Parameterisation, Placement};
use crate::optim::OptimiserKind;
use crate::{Error, Result};

/// Version of the suite format.
const SCHEMA: u32 = 1;

pub(super) fn apply(wire: &mut SuiteWire, overrides: &Overrides) {
    if let Some(seed) = overrides.seed {
        wire.seed = seed;
    }
    for b in &mut wire.benchmark {
        if let Some(device) = &overrides.device {
            b.axes.device = vec![device.clone()];
        }
        if let Some(dtype) = &overrides.dtype {
            b.axes.dtype = vec![dtype.clone()];
        }
        if let Some(seconds) = overrides.max_seconds {
            b.timing.max_seconds = seconds;
        }
        let sizes = [
            (overrides.depth, &mut b.axes.depth),
            (overrides.width, &mut b.axes.width),
            (overrides.batch, &mut b.axes.batch),
        ];
        for (size, axis) in sizes {
            if let Some(size) = size {
                *axis = vec![size];
            }
        }
        if let Some(steps) = overrides.steps {
            b.axes.steps = vec![StepsWire::Fixed(steps)];
            for contender in &mut b.contenders {
                if let ContenderWire::Table(own) = contender {
                    own.steps = None;
                }
            }
        }
    }
    if let Some(depth) = overrides.max_depth {
        // a benchmark of which nothing is left goes; an axis that was empty before stays an error
        wire.benchmark.retain_mut(|b| {
            let written = !b.axes.depth.is_empty();
            b.axes.depth.retain(|d| *d <= depth);
            !(written && b.axes.depth.is_empty())
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
    let model = here.word(
        "model",
        &b.model,
        &[Model::WeightUpdate, Model::SignalDecay, Model::Alignment].map(|m| (m.name(), m)),
    )?;
    let kinds = [
        ("digits", DataKind::Digits),
        ("folder", DataKind::Folder),
        ("mnist", DataKind::Mnist),
        ("fashion-mnist", DataKind::FashionMnist),
        ("teacher", DataKind::Teacher),
    ];
    let data = here.word("data", &b.data, &kinds)?;
    let contenders = b.contenders.iter().map(|c| entrant(c, here)).collect::<Result<Vec<_>>>()?;
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
    let placements = [("input", Placement::Input), ("output", Placement::Output)];
    let placement = here.word("placement", &b.network.placement, &placements)?;
    let loss = Loss {
        kind: here.parse("loss", &b.network.loss)?,
        reduction: here.parse("reduction", &b.network.reduction)?,
        precision: 1.0,
    };
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
    let points = points(&b.name, &b.axes, here)?;
    for (entrant, point) in contenders.iter().flat_map(|c| points.iter().map(move |p| (c, p))) {
        let steps =
            here.within("steps", entrant.steps.unwrap_or(point.steps).at(point.depth), limits::STEPS)?;
        if model == Model::SignalDecay && point.depth * (steps + 1) > limits::TRACED {
            return Err(here.key(
                "steps",
                format!(
                    "{steps} steps of {} layers are more than the {} energies traced at most; lower one of them",
                    point.depth,
                    limits::TRACED
                ),
            ));
        }
    }
    let optimiser: OptimiserKind = here.parse("optimiser", &b.training.optimiser)?;
    contenders.iter().try_for_each(|c| checks::can_run(c, model, optimiser, &points, here))?;
    Ok(Benchmark {
        points,
        optimiser,
        name: b.name,
        model,
        about: b.about,
        data,
        contenders,
        baseline,
        bias: b.network.bias,
        gain: b.network.gain,
        loss,
        placement,
        learning_rate: b.training.learning_rate,
        accuracy_updates: b.training.accuracy_updates,
        accuracy_max_depth: b.training.accuracy_max_depth,
        timing: b.timing,
    })
}

fn entrant(wire: &ContenderWire, here: &Place) -> Result<Entrant> {
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
    let steps = steps.map(|s| step_count(s, here)).transpose()?;
    Ok(Entrant { id: here.parse("contenders", id)?, steps, step_size, learning_rate })
}

fn step_count(wire: &StepsWire, here: &Place) -> Result<StepCount> {
    let text = match wire {
        StepsWire::Fixed(t) => return Ok(StepCount::Fixed(*t)),
        StepsWire::Depths(text) => text,
    };
    let (before, after) = text.split_once('L').unwrap_or(("x", ""));
    let number = |s: &str| if s.is_empty() { Some(1) } else { s.parse::<usize>().ok() };
    let divisor = match after.strip_prefix('/') {
        Some(d) if !d.is_empty() => number(d),
        None if after.is_empty() => Some(1),
        _ => None,
    };
    match (number(before), divisor) {
        (Some(multiple), Some(divisor)) if divisor > 0 => Ok(StepCount::Depths { multiple, divisor }),
        _ => Err(here.key("steps", format!("`{text}` is neither a number nor of the form L, 2L or L/2"))),
    }
}

/// The product of all axes, the last axis varying fastest.
fn points(name: &str, axes: &AxesWire, here: &Place) -> Result<Vec<Point>> {
    let activations: Vec<Activation> = here.axis("activation", &axes.activation)?;
    let devices: Vec<DeviceKind> = here.axis("device", &axes.device)?;
    let parameterisations: Vec<Parameterisation> = here.axis("parameterisation", &axes.parameterisation)?;
    let dtype = |s: &String| here.word("dtype", s, &[("f32", DType::F32), ("f64", DType::F64)]);
    let dtypes = here.filled("dtype", &axes.dtype)?.iter().map(dtype).collect::<Result<Vec<_>>>()?;
    let sizes = [
        ("batch", &axes.batch, limits::BATCH),
        ("depth", &axes.depth, limits::DEPTH),
        ("width", &axes.width, limits::WIDTH),
    ];
    for (key, sizes, limits) in &sizes {
        for size in here.filled(key, sizes)? {
            here.within(key, *size, limits.clone())?;
        }
    }
    let steps =
        here.filled("steps", &axes.steps)?.iter().map(|s| step_count(s, here)).collect::<Result<Vec<_>>>()?;
    for g in here.filled("step_size", &axes.step_size)? {
        here.within("step_size", *g, limits::STEP_SIZE)?;
    }
    if checks::points(axes) > limits::POINTS {
        return Err(here
            .key("axes", format!("their product has more than {} points; shorten an axis", limits::POINTS)));
    }
    let first = Point {
        id: String::new(),
        activation: activations[0],
        batch: 0,
        depth: 0,
        device: devices[0],
        dtype: dtypes[0],
        parameterisation: parameterisations[0],
        step_size: 0.0,
        steps: steps[0],
        width: 0,
    };
    let mut points = vec![first];
    cross(&mut points, &devices, |p, v| p.device = v);
    cross(&mut points, &dtypes, |p, v| p.dtype = v);
    cross(&mut points, &activations, |p, v| p.activation = v);
    cross(&mut points, &parameterisations, |p, v| p.parameterisation = v);
    cross(&mut points, &axes.width, |p, v| p.width = v);
    cross(&mut points, &axes.batch, |p, v| p.batch = v);
    cross(&mut points, &axes.step_size, |p, v| p.step_size = v);
    cross(&mut points, &steps, |p, v| p.steps = v);
    cross(&mut points, &axes.depth, |p, v| p.depth = v);
    for p in &mut points {
        p.id = format!(
            "{name}@activation={},batch={},depth={},device={},dtype={},parameterisation={},step_size={},steps={},width={}",
            p.activation, p.batch, p.depth, p.device.name(), p.dtype.as_str(), p.parameterisation, p.step_size, p.steps, p.width,
        );
    }
    let mut seen = HashSet::new();
    if let Some(twice) = points.iter().find(|p| !seen.insert(&p.id)) {
        return Err(here.key("axes", format!("an axis lists a value twice (point {})", twice.id)));
    }
    Ok(points)
}

/// Every point with every value of one more axis.
fn cross<T: Copy>(points: &mut Vec<Point>, values: &[T], set: impl Fn(&mut Point, T)) {
    *points = points
        .iter()
        .flat_map(|p| values.iter().map(move |v| (p.clone(), *v)))
        .map(|(mut p, v)| {
            set(&mut p, v);
            p
        })
        .collect();
}
