//! From the TOML form to validated points.

use std::collections::HashSet;
use std::fmt::Display;
use std::str::FromStr;

use candle_core::DType;

use super::wire::{AxesWire, BenchmarkWire, ContenderWire, StepsWire, SuiteWire};
use super::{
    Benchmark, ContenderId, DataKind, DeviceKind, Entrant, Model, Overrides, Point, StepCount, Suite,
};
use crate::net::{Activation, Loss, Parameterisation, Placement};
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
    if wire.benchmark.is_empty() {
        return Err(root.key("benchmark", "no [[benchmark]] is left; a suite needs at least one"));
    }
    let definition = toml::to_string(&wire)
        .map_err(|e| Error::Invalid(format!("{place}: the definition cannot be written back: {e}")))?;
    let mut seen = HashSet::new();
    let benchmarks = wire
        .benchmark
        .into_iter()
        .map(|b| {
            let here = Place(format!("{place}, benchmark \"{}\"", b.name));
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
    let model = match b.model.as_str() {
        "weight-update" => Model::WeightUpdate,
        "signal-decay" => Model::SignalDecay,
        other => {
            return Err(
                here.key("model", format!("unknown model `{other}`; expected weight-update or signal-decay"))
            )
        }
    };
    let data = match b.data.as_str() {
        "digits" => DataKind::Digits,
        "folder" => DataKind::Folder,
        "teacher" => DataKind::Teacher,
        other => {
            return Err(
                here.key("data", format!("unknown data `{other}`; expected digits, folder or teacher"))
            )
        }
    };
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
    let placement = match b.network.placement.as_str() {
        "input" => Placement::Input,
        "output" => Placement::Output,
        other => {
            return Err(
                here.key("placement", format!("unknown placement `{other}`; expected input or output"))
            )
        }
    };
    let loss = Loss {
        kind: here.parse("loss", &b.network.loss)?,
        reduction: here.parse("reduction", &b.network.reduction)?,
        precision: 1.0,
    };
    here.positive("gain", b.network.gain)?;
    here.positive("learning_rate", b.training.learning_rate)?;
    let t = &b.timing;
    here.positive("target_half_width", t.target_half_width)?;
    here.positive("max_seconds", t.max_seconds)?;
    if !t.warmup_seconds.is_finite() || t.warmup_seconds < 0.0 {
        return Err(
            here.key("warmup_seconds", format!("{} is not a duration of 0 or more", t.warmup_seconds))
        );
    }
    if t.min_rounds == 0 || t.max_rounds < t.min_rounds {
        return Err(here.key("min_rounds", "expected 1 ≤ min_rounds ≤ max_rounds"));
    }
    Ok(Benchmark {
        points: points(&b.name, &b.axes, here)?,
        optimiser: here.parse("optimiser", &b.training.optimiser)?,
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
        here.positive("step_size", g)?;
    }
    if let Some(rate) = learning_rate {
        here.positive("learning_rate", rate)?;
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
    let dtypes = here
        .filled("dtype", &axes.dtype)?
        .iter()
        .map(|s| match s.as_str() {
            "f32" => Ok(DType::F32),
            "f64" => Ok(DType::F64),
            other => Err(here.key("dtype", format!("unknown dtype `{other}`; expected f32 or f64"))),
        })
        .collect::<Result<Vec<_>>>()?;
    for (key, sizes) in [("batch", &axes.batch), ("depth", &axes.depth), ("width", &axes.width)] {
        if here.filled(key, sizes)?.contains(&0) {
            return Err(here.key(key, "holds 0; expected sizes of at least 1"));
        }
    }
    let steps =
        here.filled("steps", &axes.steps)?.iter().map(|s| step_count(s, here)).collect::<Result<Vec<_>>>()?;
    for g in here.filled("step_size", &axes.step_size)? {
        here.positive("step_size", *g)?;
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

/// Where a key stands, for error messages.
struct Place(String);

impl Place {
    fn key(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::Key { place: self.0.clone(), key: key.to_owned(), problem: problem.into() }
    }

    fn parse<T: FromStr<Err = E>, E: Display>(&self, key: &str, text: &str) -> Result<T> {
        text.parse().map_err(|e: E| self.key(key, e.to_string()))
    }

    fn filled<'a, T>(&self, key: &str, values: &'a [T]) -> Result<&'a [T]> {
        if values.is_empty() {
            return Err(self.key(key, "the axis is empty; expected at least one value"));
        }
        Ok(values)
    }

    fn axis<T: FromStr<Err = E>, E: Display>(&self, key: &str, values: &[String]) -> Result<Vec<T>> {
        self.filled(key, values)?.iter().map(|v| self.parse(key, v)).collect()
    }

    fn positive(&self, key: &str, value: f64) -> Result<()> {
        if value.is_finite() && value > 0.0 {
            return Ok(());
        }
        Err(self.key(key, format!("{value} is not a finite number above 0")))
    }

    fn name(&self, key: &str, value: &str) -> Result<()> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !value.is_empty() && value.len() <= 40 && value.chars().all(fits) {
            return Ok(());
        }
        Err(self.key(key, format!("`{value}` is not a name; expected up to 40 of a-z, 0-9 and -")))
    }
}
