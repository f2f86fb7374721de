//! `pcnbench explain`: what inference will do on a network, in words, without measuring a time.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use crate::engine::curvature::Coordinates;
use crate::net::architecture::Kind;
use crate::plot::number::short;
use crate::run::{self, Explained, Learns, Regime, Spectrum, Told};
use crate::suite::{axis, Overrides, Suite};
use crate::{Error, Result};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Of every benchmark of a suite the last point is explained.")]
pub struct Args {
    /// A built-in suite or a path to a .toml file
    #[arg(default_value = "quick", conflicts_with = "architecture")]
    suite: String,
    /// A network of this kind under bp, spc, epc, fpa, zil, seqil, ar and pcalm instead (`pcnbench list --architectures`)
    #[arg(long, value_name = "KIND")]
    architecture: Option<String>,
    /// Folder of image files instead of the suite's data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Networks of this depth
    #[arg(long, value_name = "L")]
    depth: Option<usize>,
    /// Networks of this width
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Batches of this size
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// This many inference steps
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// Steps of this size
    #[arg(long, value_name = "G")]
    step_size: Option<f64>,
    /// This scaling and start
    #[arg(long, value_name = "NAME")]
    parameterisation: Option<String>,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut overrides = Overrides::default()
        .with(&axis::DEPTH, args.depth)
        .with(&axis::WIDTH, args.width)
        .with(&axis::BATCH, args.batch)
        .with(&axis::STEPS, args.steps);
    overrides.axes.extend(args.step_size.map(|g| (&axis::STEP_SIZE, axis::Value::Number(g))));
    let named = |name: &String| (&axis::PARAMETERISATION, axis::Value::Word(name.clone().into()));
    overrides.axes.extend(args.parameterisation.as_ref().map(named));
    let explained = match &args.architecture {
        Some(kind) => of_architecture(Kind::of(kind)?.name, &overrides, args)?,
        None => run::explain(&Suite::load(&args.suite, &overrides)?, args.data.as_deref())?,
    };
    for (k, own) in explained.iter().enumerate() {
        write!(out, "{}{}", if k > 0 { "\n" } else { "" }, page(own))?;
    }
    Ok(Exit::Clean)
}

/// Data that come with the program, of which one has the shape that an architecture reads.
const DATA: [&str; 3] = ["digits", "colour-blobs", "text"];

/// A suite of one point: one variant of each rule but iPC, which ends at other parameters than it began with, on data that fit.
fn of_architecture(kind: &str, overrides: &Overrides, args: &Args) -> Result<Vec<Explained>> {
    // what the autoencoder restores is its input, no distribution
    let loss = if kind == "autoencoder" { "half_squared_error" } else { "cross_entropy" };
    let definition = |data: &str| {
        format!(
            "schema = 1\nname = \"architecture\"\nabout = \"A network.\"\nseed = 1\n\n[[benchmark]]\nname = \"{kind}\"\n\
             model = \"alignment\"\nabout = \"A network.\"\ndata = \"{data}\"\narchitecture = {{ kind = \"{kind}\" }}\n\
             contenders = [\"bp/reference\", \"spc/reference\", \"epc/reference\", \"fpa/reference\", \"zil/reference\", \
             \"seqil/reference\", \"ar/reference\", \"pcalm/reference\"]\n\n[benchmark.axes]\ndepth = [{}]\nwidth = [16]\n\
             batch = [8]\nparameterisation = [\"sp-uniform\"]\n\n[benchmark.network]\nloss = \"{loss}\"\n",
            match kind {
                "vgg" | "cnn" => 5,
                "resnet" => 10,
                _ => 8,
            }
        )
    };
    let mut refused = None;
    for data in DATA {
        let suite = Suite::parse(&definition(data), kind, overrides)?;
        match run::explain(&suite, args.data.as_deref()) {
            Ok(explained) => return Ok(explained),
            Err(e) => refused = Some(refused.unwrap_or(e)),
        }
    }
    Err(refused.unwrap_or_else(|| Error::Invalid("no data come with the program".into())))
}

/// Everything about a point.
fn page(e: &Explained) -> String {
    let mut page = format!(
        "{}\n\n{} layers of parameters, {} latent vertices, {} samples in {}. An error of sPC needs at most {} steps to the farthest of them.\n",
        e.point.replace(',', ", "),
        e.layers,
        e.latent,
        e.batch,
        e.dtype.as_str(),
        e.distance
    );
    for spectrum in &e.spectra {
        page.push_str(&curvature(spectrum));
    }
    for told in &e.rules {
        page.push('\n');
        page.push_str(&rule(told, e));
    }
    page
}

fn curvature(spectrum: &Spectrum) -> String {
    let what = match spectrum.energy.coordinates {
        Coordinates::States => "states, which sPC moves",
        Coordinates::Errors => "errors, which ePC moves",
    };
    let largest = spectrum.largest();
    let mut said = format!(
        "In the {what}: largest curvature {}, so descent is stable below a step of {}; ",
        short(largest, 3),
        short(2.0 / largest, 3)
    );
    let _ = match spectrum.smallest() {
        Some(smallest) => {
            let kappa = largest / smallest;
            let (smallest, kappa) = (short(smallest, 3), short(kappa, 3));
            writeln!(
                said,
                "smallest {smallest}, condition number {kappa}: about {kappa} steps to the minimum."
            )
        }
        None if spectrum.ends.smallest.value <= 1e-14 * largest => writeln!(said, "smallest below rounding."),
        None => writeln!(
            said,
            "smallest at most {} after {} products, condition number at least {}.",
            short(spectrum.ends.smallest.value, 3),
            spectrum.ends.smallest.products,
            short(largest / spectrum.ends.smallest.value, 3)
        ),
    };
    said
}

fn rule(told: &Told, e: &Explained) -> String {
    let over = |own: u64, bp: u64| short(own as f64 / bp.max(1) as f64, 3);
    let (own, bp) = (&told.counted, &told.backpropagation);
    let mut said = told.name.clone();
    match &told.regime {
        Err(problem) => {
            let _ = writeln!(said, ": {problem}.");
        }
        Ok(regime) => {
            if let Some(steps) = regime.steps {
                let _ = write!(said, ", {} steps", steps.count);
                if steps.method.reads_step_size() {
                    let _ = write!(said, " of {}", short(steps.size, 3));
                }
            }
            if let Some(taken) = regime.taken {
                let _ = write!(said, ", ending after {taken}");
            }
            said.push_str(": ");
            said.push_str(&inference(regime, told.plain));
            let _ = writeln!(said, "{}", learning(regime, e));
        }
    }
    let _ = writeln!(
        said,
        "    {} times backpropagation's products ({} FLOPs), {} times its longest chain of them.",
        over(own.work.gemms, bp.work.gemms),
        short(own.work.gemm_flops as f64, 3),
        over(own.critical_path, bp.critical_path)
    );
    said
}

/// How far inference gets: of plain descent with steps of one size, for which that follows from the curvature.
fn inference(regime: &Regime, plain: bool) -> String {
    let (Some(step), Some((flat, steep))) = (regime.step_times_largest(), regime.relaxed()) else {
        return String::new();
    };
    if !plain {
        return format!("step times largest curvature is {}. ", short(step, 3));
    }
    if step >= 2.0 {
        return format!(
            "step times largest curvature is {}, not below 2, so inference moves away from the minimum. ",
            short(step, 3)
        );
    }
    let percent = |share: f64| format!("{} %", short(100.0 * share, 3));
    let flat = flat.map_or_else(String::new, |share| format!(", along the flattest {}", percent(share)));
    format!(
        "step times largest curvature is {}; along the steepest direction {} of the way to the minimum is made{flat}. ",
        short(step, 3),
        percent(steep)
    )
}

/// What of backpropagation's direction is there.
fn learning(regime: &Regime, e: &Explained) -> String {
    let (zero, lost) = (regime.count(Learns::No), regime.count(Learns::BelowRounding));
    let label = regime.label();
    let mut said = format!(
        "{}{}: cosine {} with backpropagation's direction, in the lowest quarter of the layers {}; {} times as long.",
        label[..1].to_uppercase(),
        &label[1..],
        short(regime.cosine, 3),
        short(regime.lowest_quarter(), 3),
        short(regime.norm_ratio, 3)
    );
    if zero > 0 {
        let _ = write!(said, " {zero} have a direction of exactly zero.");
    }
    if lost > 0 {
        let _ = write!(said, " {lost} have one that is rounding in {}.", e.dtype.as_str());
    }
    said
}
