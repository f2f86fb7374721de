//! `pcnbench draw`: a network and one schedule on it as an SVG picture, without measuring anything.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::contender::ContenderId;
use crate::draw::{self, Subject};
use crate::net::architecture::{Kind, Settings};
use crate::net::{Activation, ActivationOrder, Graph, Loss, Parameterisation};
use crate::plot::{Drawing, Picture, Skipped};
use crate::record::{self, Record};
use crate::rule::{Rule, Steps};
use crate::run;
use crate::suite::{axis, limits, ContenderConfig, Overrides, Suite};
use crate::verify::case;
use crate::{Error, Result};

/// Options of `draw`.
#[derive(Debug, clap::Args)]
#[command(after_help = "At most 200 vertices and 2,000 matrix products are drawn.")]
pub struct Args {
    /// A conformance case (formats: tests/cases/CASES.md and GRAPHS.md), drawn with its rule
    #[arg(required_unless_present_any = ["architecture", "suite"], conflicts_with_all = ["architecture", "suite"])]
    case: Option<PathBuf>,
    /// A network of this kind instead (`pcnbench list --architectures`), under spc unless --rule says otherwise
    #[arg(long, value_name = "KIND", conflicts_with = "suite")]
    architecture: Option<String>,
    /// The first point of a suite instead, under its first contender that is not backpropagation
    #[arg(long, value_name = "NAME|FILE")]
    suite: Option<String>,
    /// Folder of IDX files instead of the digits, as for `bounds`
    #[arg(long, value_name = "DIR", requires = "suite")]
    data: Option<PathBuf>,
    /// Depth of the network [default: 4, or the suite's]
    #[arg(long, value_name = "L", conflicts_with = "case")]
    depth: Option<usize>,
    /// Width of the network [default: 64, or the suite's]
    #[arg(long, value_name = "N", conflicts_with = "case")]
    width: Option<usize>,
    /// Shape of a sample, sizes separated by commas [default: 64]
    #[arg(long, value_name = "SIZES", value_delimiter = ',', requires = "architecture")]
    inputs: Vec<usize>,
    /// Units of the output [default: 10]
    #[arg(long, value_name = "N", requires = "architecture")]
    outputs: Option<usize>,
    /// The rule whose schedule is drawn
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Inference steps [default: as many as an error of sPC needs to reach every vertex, or the suite's]
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// Samples of the batch [default: 64, or the suite's]
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// Place the schedule on P processors [default: as many as it can use]
    #[arg(long, value_name = "P")]
    processors: Option<usize>,
    /// Write into FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Batches where nothing says how large they are.
const BATCH: usize = 64;
/// g of rules that no case and no suite gives one; no picture depends on it.
const STEP_SIZE: f64 = 0.1;

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    within("--batch", args.batch, limits::BATCH)?;
    within("--steps", args.steps, limits::STEPS)?;
    let svg = match (&args.case, &args.architecture, &args.suite) {
        (Some(path), ..) => of_case(args, path).map_err(|e| in_file(path, e))?,
        (_, Some(kind), _) => of_architecture(args, kind)?,
        (.., Some(suite)) => of_suite(args, suite)?,
        // clap asks for one of the three
        _ => return Err(Error::Invalid("name a case, or give --architecture or --suite".into()).into()),
    };
    match &args.out {
        Some(file) => record::save(file, svg.as_bytes())?,
        None => out.write_all(svg.as_bytes())?,
    }
    Ok(Exit::Clean)
}

fn within(option: &str, value: Option<usize>, limits: std::ops::RangeInclusive<usize>) -> Result<()> {
    match value {
        Some(value) if !limits.contains(&value) => {
            let (low, high) = (limits.start(), limits.end());
            Err(Error::Invalid(format!("{option} is {value}; expected {low} to {high}")))
        }
        _ => Ok(()),
    }
}

/// An error about the content of a case names the file.
fn in_file(path: &Path, e: Error) -> Error {
    match e {
        Error::Invalid(problem) => Error::content(path, problem),
        other => other,
    }
}

/// The picture of a network under a rule of a name, or under `given`.
fn picture(args: &Args, title: String, graph: &Graph, given: Option<Rule>) -> Result<String> {
    let steps = |g: f64| -> Result<Steps> {
        let count = args.steps.map_or_else(|| draw::cone(graph).map(|cone| cone.depth()), Ok)?;
        Ok(Steps::constant(count, g))
    };
    let rule = match (&args.rule, given) {
        (Some(name), _) => Rule::from_name(name, steps(STEP_SIZE)?)?,
        (None, Some(rule)) => match rule.steps() {
            Some(own) => rule.with_steps(Steps { count: steps(own.size)?.count, ..own }),
            None => rule,
        },
        (None, None) => Rule::from_name("spc", steps(STEP_SIZE)?)?,
    };
    let batch = args.batch.unwrap_or(BATCH);
    drawn(args, Subject { title, graph, rule, batch, processors: args.processors })
}

fn drawn(args: &Args, subject: Subject<'_>) -> Result<String> {
    if args.steps.is_some() && subject.rule.steps().is_none() {
        let problem =
            format!("--steps: rule {} has no inference steps to choose; leave --steps out", subject.rule);
        return Err(Error::Invalid(problem));
    }
    draw::svg(&subject)
}

fn of_case(args: &Args, path: &Path) -> Result<String> {
    let case = case::read(path)?;
    if case.schedule.is_none() && args.rule.is_none() {
        return Err(Error::Invalid(format!(
            "rule {} is a closed form and has no schedule to draw; give --rule to draw one on its network",
            case.rule
        )));
    }
    picture(args, case.id, &case.graph, case.schedule)
}

fn of_architecture(args: &Args, kind: &str) -> Result<String> {
    let kind = Kind::of(kind)?;
    within("--depth", args.depth, limits::DEPTH)?;
    within("--width", args.width, limits::WIDTH)?;
    within("--outputs", args.outputs, limits::WIDTH)?;
    args.inputs.iter().try_for_each(|&size| within("--inputs", Some(size), limits::WIDTH))?;
    let inputs = args.inputs.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    if inputs.is_none_or(|n| n > 1 << 31) {
        return Err(Error::Invalid(format!(
            "--inputs {:?} are more numbers than a sample may have; expected at most {}",
            args.inputs,
            1u64 << 31
        )));
    }
    let settings = Settings {
        input: if args.inputs.is_empty() { vec![64] } else { args.inputs.clone() },
        outputs: args.outputs.unwrap_or(10),
        width: args.width.unwrap_or(64),
        depth: args.depth.unwrap_or(4),
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Pre,
        parameterisation: Parameterisation::SP,
        gain: 1.0,
        bias: false,
    };
    let network = (kind.build)(&settings);
    let loss = Loss::HALF_SQUARED_ERROR;
    let title = format!("{}, depth {}, width {}", kind.name, settings.depth, settings.width);
    picture(args, title, &network.graph(loss)?, None)
}

fn of_suite(args: &Args, name: &str) -> Result<String> {
    let overrides = Overrides::default()
        .with(&axis::DEPTH, args.depth)
        .with(&axis::WIDTH, args.width)
        .with(&axis::BATCH, args.batch)
        .with(&axis::STEPS, args.steps);
    let suite = Suite::load(name, &overrides)?;
    let first = first_of(&suite, 0, args.rule.as_deref(), args.data.as_deref())?;
    drawn(args, first.subject(args.processors))
}

/// A contender at the first point of a benchmark.
struct First {
    title: String,
    graph: Graph,
    rule: Rule,
    batch: usize,
}

impl First {
    fn subject(&self, processors: Option<usize>) -> Subject<'_> {
        let Self { title, graph, rule, batch } = self;
        Subject { title: title.clone(), graph, rule: *rule, batch: *batch, processors }
    }
}

/// The contender of a rule, else the first that is not backpropagation, at the first point of the benchmark of this number.
fn first_of(suite: &Suite, benchmark: usize, rule: Option<&str>, data: Option<&Path>) -> Result<First> {
    let mut suite = suite.clone();
    // nothing but one contender at one point is looked at
    suite.benchmarks = suite.benchmarks.into_iter().skip(benchmark).take(1).collect();
    for benchmark in &mut suite.benchmarks {
        benchmark.points.truncate(1);
        let wanted = |c: &ContenderConfig| match rule {
            Some(rule) => c.id.name == *rule,
            None => c.id.rule != "bp",
        };
        let found = benchmark.contenders.iter().find(|c| wanted(c)).cloned();
        benchmark.contenders = vec![match (found, rule) {
            (Some(found), _) => found,
            (None, Some(rule)) => {
                let id: ContenderId = format!("{rule}/reference").parse()?;
                ContenderConfig { id, steps: None, step_size: None, learning_rate: None }
            }
            (None, None) => benchmark.contenders.remove(0),
        }];
    }
    let planned = run::plan(&suite, data, None)?;
    let Some(first) = planned.into_iter().next() else {
        return Err(Error::Invalid(format!("suite `{}` has no point to draw", suite.name)));
    };
    Ok(First {
        // with places to break the line at
        title: format!("{}, {}", first.row.point.replace(',', ", "), first.spec.id),
        graph: first.spec.network.graph(first.spec.loss)?,
        rule: first.spec.rule,
        batch: first.row.batch,
    })
}

/// Of every benchmark of a record its first network under its first rule that is not backpropagation, as far as they can be drawn
/// from what the record and the program hold.
pub(super) fn networks(record: &Record, drawing: &mut Drawing) {
    let place = record.dir.to_string_lossy();
    let Ok(suite) = Suite::parse(&record.run.definition, &place, &Overrides::default()) else { return };
    for (k, benchmark) in suite.benchmarks.iter().enumerate() {
        let picture = first_of(&suite, k, None, None).and_then(|first| {
            let subject = first.subject(None);
            Ok(Picture { svg: draw::svg(&subject)?, title: subject.title })
        });
        match picture {
            Ok(picture) => drawing.networks.push(picture),
            Err(e) => drawing
                .skipped
                .push(Skipped { figure: "network", reason: format!("{}: {e}", benchmark.name) }),
        }
    }
}
