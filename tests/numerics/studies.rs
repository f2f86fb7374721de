//! Oracle: closed forms of linear networks, recomputed from the parameters and the batch of each point. If this fails silently, the
//! figures about theory show something else than their captions say.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use pcnbench::data::{Batches, Kind, Request, Sizes};
use pcnbench::net::architecture::mlp::{X, Y};
use pcnbench::record::{self, Record};
use pcnbench::run::{run, Job, Observer, Target};
use pcnbench::suite::{Overrides, Suite};
use pcnbench::theory::linear::{orthogonal_spectrum, LinearLayer, LinearNet};

struct Quiet;

impl Observer for Quiet {
    fn waiting(&mut self, _: &str) {}
    fn planned(&mut self, _: usize, _: usize) {}
    fn at(&mut self, _: &str, _: &str) {}
    fn finished(&mut self, _: &str) {}
}

const SEED: u64 = 5;

/// A study of linear networks of width 6 on three digits.
fn studied(model: &str, contenders: &str, axes: &str, more: &str) -> Record {
    let text = format!(
        "schema = 1\nname = \"s\"\nabout = \"\"\nseed = {SEED}\n[[benchmark]]\nname = \"b\"\nmodel = \"{model}\"\nabout = \"\"\n\
         contenders = [{contenders}]\n[benchmark.axes]\nwidth = [6]\nbatch = [3]\ndtype = [\"f64\"]\nactivation = [\"identity\"]\n\
         {axes}\n{more}"
    );
    let suite = Suite::parse(&text, "s.toml", &Overrides::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        suite: &suite,
        data: None,
        results: Path::new("nowhere"),
        target: Target::New(Some(folder.path().join("record"))),
        argv: vec![],
        shard: None,
        allow_debug: true,
        ceilings: false,
        wait_quiet: None,
    };
    let record = record::read(&run(&job, &mut Quiet).unwrap()).unwrap();
    let failed: Vec<&str> =
        record.summary.iter().map(|row| &*row.err).filter(|err| !err.is_empty()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    record
}

/// The values of a quantity of a contender: by `at`, at the only point.
fn curve(record: &Record, contender: &str, quantity: &str) -> Vec<(f64, f64)> {
    let own = record.quantities.iter().filter(|q| q.contender == contender && q.quantity == quantity);
    own.map(|q| (q.at, q.value)).collect()
}

fn one(record: &Record, contender: &str, quantity: &str) -> f64 {
    let values = curve(record, contender, quantity);
    assert_eq!(values.len(), 1, "{contender} {quantity}: {values:?}");
    values[0].1
}

fn matrix(t: &Tensor) -> DMatrix<f64> {
    let rows = t.to_vec2::<f64>().unwrap();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

/// The network of the record's only point as the closed forms have it, and its batch.
struct Exact {
    net: LinearNet,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
}

impl Exact {
    fn of(record: &Record, draw: u64) -> Self {
        let suite = Suite::parse(&record.run.definition, "s.toml", &Overrides::default()).unwrap();
        let (benchmark, point) = (&suite.benchmarks[0], &suite.benchmarks[0].points[0]);
        let sizes = Sizes { inputs: 0, outputs: 0, train: 0, test: 0 };
        let data = (Kind::of("digits").unwrap().load)(&Request { folder: None, seed: SEED, sizes }).unwrap();
        let batch = Batches::new(&data.train, 3, SEED).unwrap().endless().next().unwrap();
        let batch = batch.to_tensors(DType::F64, &Device::Cpu).unwrap();
        let network = benchmark.network(&pcnbench::net::architecture::Settings {
            input: vec![data.inputs],
            outputs: data.outputs,
            width: point.width,
            depth: point.depth,
            activation: point.activation,
            activation_order: benchmark.activation_order,
            parameterisation: point.parameterisation,
            gain: benchmark.gain,
            bias: benchmark.bias,
        });
        let layers = network.graph(benchmark.loss).unwrap().as_stack().unwrap();
        let params = network.start(SEED + draw, DType::F64, &Device::Cpu).unwrap();
        let linear = layers.iter().zip(&params).map(|(layer, w)| LinearLayer {
            scale: layer.scale,
            skip: layer.skip,
            ..LinearLayer::new(matrix(w))
        });
        Self {
            net: LinearNet::new(linear.collect(), 1.0).unwrap(),
            x: matrix(&batch[X]),
            y: matrix(&batch[Y]),
        }
    }
}

fn near(found: f64, want: f64, relative: f64, what: &str) {
    assert!((found - want).abs() <= relative * want.abs(), "{what}: {found} for {want}");
}

/// Spectra of orthogonal chains are those of theory, in the states and in the errors (1 + (L − 1)).
#[test]
fn conditioning_is_the_closed_form() {
    let axes = "depth = [9]\nparameterisation = [\"sp-orthogonal\"]";
    let record = studied("conditioning", "\"spc/reference\", \"epc/reference\"", axes, "");
    let exact = Exact::of(&record, 0);
    // ten outputs of six units: the read-out's columns are orthonormal, so that every unit is seen
    let extremes = exact.net.state_extremes().unwrap();
    near(one(&record, "spc/reference", "largest"), extremes.largest, 1e-7, "largest");
    near(one(&record, "spc/reference", "smallest"), extremes.smallest, 1e-7, "smallest");
    near(one(&record, "spc/reference", "condition"), extremes.largest / extremes.smallest, 1e-7, "κ");
    let errors = exact.net.error_extremes().unwrap();
    near(one(&record, "epc/reference", "condition"), errors.largest / errors.smallest, 1e-7, "κ in errors");
    let spectrum = orthogonal_spectrum(8, 6, 6).unwrap();
    near(extremes.largest, spectrum[spectrum.len() - 1], 1e-9, "theory's largest");
    near(extremes.smallest, spectrum[0], 1e-9, "theory's smallest");
    let states = exact.net.forward(&exact.x).unwrap();
    let last = &states[7];
    let rms = (last.norm_squared() / last.len() as f64).sqrt();
    near(one(&record, "spc/reference", "forward_rms"), rms, 1e-12, "root mean square");
}

/// Loss over F* and directions at the minimum, of the second draw.
#[test]
fn equivalence_is_the_closed_form() {
    let axes = "depth = [5]\nparameterisation = [\"mupc-residual\"]\ndraw = [1]";
    let record = studied("equivalence", "\"epc/reference\"", axes, "");
    let Exact { net, x, y } = Exact::of(&record, 1);
    let rest = net.equilibrium(&x, &y).unwrap();
    let loss = net.forward_loss(&x, &y).unwrap();
    near(one(&record, "epc/reference", "loss_over_energy"), loss / rest.free_energy(), 1e-9, "loss / F*");
    // backpropagation by its own recursion
    let states = net.forward(&x).unwrap();
    let mut adjoint = &y - states.last().unwrap();
    let (mut dot, mut own, mut bp) = (0.0, 0.0, 0.0);
    for l in (0..5).rev() {
        let below = if l == 0 { &x } else { &states[l - 1] };
        let direction = adjoint.transpose() * below * net.layers()[l].scale;
        let gradient = -&rest.weight_gradients[l];
        dot += direction.dot(&gradient);
        own += gradient.norm_squared();
        bp += direction.norm_squared();
        adjoint *= &net.matrices()[l];
    }
    near(one(&record, "epc/reference", "cosine"), dot / (own * bp).sqrt(), 1e-8, "cosine");
    near(one(&record, "epc/reference", "norm_ratio"), (own / bp).sqrt(), 1e-8, "norm ratio");
}

/// Steps of plain descent to a thousandth of the minimum are those of (1 − ηH)^t in closed form at the step that was best, one fewer
/// is not enough; and Chebyshev needs no more than its bound.
#[test]
fn convergence_is_the_closed_form() {
    let axes = "depth = [5]\nparameterisation = [\"sp-normal\"]\nsteps = [4000]";
    let contenders =
        "\"spc/reference\", \"epc/reference\", \"spc-chebyshev/reference\", \"epc-momentum/reference\"";
    let record = studied("convergence", contenders, axes, "");
    let Exact { net, x, y } = Exact::of(&record, 0);
    let rest = net.equilibrium(&x, &y).unwrap();
    for name in ["spc/reference", "epc/reference"] {
        let largest = match name {
            "spc/reference" => net.state_extremes().unwrap().largest,
            _ => net.error_extremes().unwrap().largest,
        };
        near(one(&record, name, "largest"), largest, 1e-6, "largest");
        let eta = one(&record, name, "share") * 2.0 / one(&record, name, "largest");
        let distance = |steps: u32| {
            let there = match name {
                "spc/reference" => net.state_descent(&x, &y, eta, steps),
                _ => net.error_descent(&x, &y, eta, steps),
            }
            .unwrap();
            let latent = |s: &[DMatrix<f64>]| s[..4].to_vec();
            let (there, rest) = (latent(&there.errors), latent(&rest.errors));
            let square: f64 = there.iter().zip(&rest).map(|(a, b)| (a - b).norm_squared()).sum();
            (square / rest.iter().map(DMatrix::norm_squared).sum::<f64>()).sqrt()
        };
        let steps = one(&record, name, "steps") as u32;
        assert!(distance(steps) <= 1e-3 && distance(steps - 1) > 1e-3, "{name}: {steps} steps");
        for (step, found) in curve(&record, name, "distance") {
            let want = distance(step as u32);
            assert!((found - want).abs() < 1e-7 * (1e-3 + want), "{name} after {step}: {found} for {want}");
        }
        assert!(one(&record, name, "seconds") > 0.0);
        // of ePC by hand: forward pass and parameter gradients of all layers, and per step a product each way through layers 2 to L
        if name == "epc/reference" {
            let (hidden, all) = (36 * 3 + 60, 64 * 6 + 36 * 3 + 60);
            assert_eq!(one(&record, name, "flops"), f64::from(2 * 3 * (2 * all + steps * 2 * hidden)));
        }
    }
    let kappa = one(&record, "spc-chebyshev/reference", "condition");
    let factor = ((kappa.sqrt() - 1.0) / (kappa.sqrt() + 1.0)).ln();
    // the bound is on ‖v − v*‖; distances are of errors, which E makes of states: its condition number enters
    let (steps, plain) =
        (one(&record, "spc-chebyshev/reference", "steps"), one(&record, "spc/reference", "steps"));
    assert!(steps < plain && steps <= (2.0 * kappa / 1e-3).ln() / -factor, "{steps} steps, plain {plain}");
    assert!(one(&record, "epc-momentum/reference", "steps") > 1.0);
}

/// A budget's step is the first of those looked at from which on the directions stay near backpropagation's.
#[test]
fn budgets_are_held() {
    let axes = "depth = [6]\nparameterisation = [\"mupc-residual\"]\nsteps = [\"40L\"]";
    let contenders =
        "{ id = \"pcalm-auto/reference\", step_size = 0.5 }, { id = \"epc/reference\", step_size = 0.01 }";
    let record = studied("budget", contenders, axes, "");
    let name = "pcalm-auto/reference";
    let cosines: BTreeMap<u64, f64> =
        curve(&record, name, "cosine").into_iter().map(|(at, v)| (at as u64, v)).collect();
    let at = |asked: f64, quantity: &str| {
        curve(&record, name, quantity).into_iter().find(|(at, _)| *at == asked).map(|(_, step)| step as u64)
    };
    let steps = at(0.9, "steps").unwrap();
    assert!(steps > 5, "no error reaches the first layer before: {steps}");
    let after: Vec<f64> = cosines.range(steps..=steps + steps / 4).map(|(_, c)| *c).collect();
    assert!(!after.is_empty() && after.iter().all(|c| *c >= 0.9), "{after:?}");
    // at rest PC-ALM's directions are backpropagation's (a law of its own test)
    assert!(cosines.values().last().unwrap() > &0.99, "{cosines:?}");
    assert!(at(0.9, "flops").unwrap() > 0 && at(0.9, "steps_lowest").unwrap() >= 5);
    // one step of ePC points along backpropagation in every hidden layer, to the order of its step
    let first = curve(&record, "epc/reference", "steps_lowest");
    assert_eq!(first, [(0.9, 1.0), (0.99, 1.0)]);
}

/// At the origin the loss is flat to second order with more than one hidden layer, and the equilibrated energy curves down by the
/// largest eigenvalue of Σ y yᵀ (arXiv 2408.11979); with one hidden layer the loss curves down by the largest singular value of Σ y xᵀ.
#[test]
fn the_origin_has_the_curvature_of_theory() {
    let more = "[benchmark.network]\ngain = 0.3\n[benchmark.training]\nlearning_rate = 1e-2\naccuracy_updates = 30\n";
    let contenders = "\"bp/reference\", { id = \"epc-auto/reference\", step_size = 0.5, steps = 40 }";
    for depth in [2, 4] {
        let axes = format!("depth = [{depth}]\nparameterisation = [\"sp-normal\"]");
        let record = studied("landscape", contenders, &axes, more);
        let Exact { net, x, y } = Exact::of(&record, 0);
        let targets = (y.transpose() * &y).symmetric_eigenvalues().max();
        let (bp, pc) = (
            one(&record, "bp/reference", "origin_smallest"),
            one(&record, "epc-auto/reference", "origin_smallest"),
        );
        if depth == 2 {
            let cross = (y.transpose() * &x).singular_values().max();
            near(bp, -cross, 1e-6, "the loss with one hidden layer");
            assert!(pc < bp, "{pc} {bp}");
        } else {
            assert!(bp.abs() < 1e-6, "the loss is flat: {bp}");
            near(pc, -targets, 1e-6, "the equilibrated energy");
        }
        let losses = curve(&record, "bp/reference", "loss");
        near(losses[0].1, net.forward_loss(&x, &y).unwrap(), 1e-9, "first loss");
        assert!(losses.last().unwrap().1 < losses[0].1 && losses.last().unwrap().0 <= 30.0);
    }
}

/// Inference of a linear network is a trust-region step of the loss in the errors, exactly; backpropagation's direction is the
/// limit of small regions, and every step solves its own system.
#[test]
fn trust_regions_end_where_theory_says() {
    let axes = "depth = [3]\nparameterisation = [\"sp-normal\"]";
    let contenders = "\"bp/reference\", { id = \"spc-auto/reference\", step_size = 0.9, steps = 3000 }";
    let record = studied("trust-region", contenders, axes, "");
    near(one(&record, "spc-auto/reference", "cosine_errors"), 1.0, 1e-9, "cosine");
    near(one(&record, "spc-auto/reference", "length_errors"), 1.0, 1e-6, "length");
    let bp: BTreeMap<i64, f64> = curve(&record, "bp/reference", "cosine")
        .into_iter()
        .map(|(at, v)| ((2.0 * at.log10()).round() as i64, v))
        .collect();
    assert_eq!(bp.len(), 11);
    assert!(bp[&4] > 0.9999 && bp[&4] > bp[&0] && bp[&0] > bp[&-6], "{bp:?}");
    // (H + μ) Δ = g: with μ = 100 λ_max the step is g/(100 λ_max) but for a hundredth
    let lengths: BTreeMap<i64, f64> = curve(&record, "bp/reference", "length")
        .into_iter()
        .map(|(at, v)| ((2.0 * at.log10()).round() as i64, v))
        .collect();
    let ratio = lengths[&4] / lengths[&2];
    assert!((8.5..10.5).contains(&ratio), "{ratio}");
}

/// What a study cannot do is one sentence before anything is measured.
#[test]
fn what_is_no_study_is_refused() {
    for (model, contenders, axes, says) in [
        ("budget", "\"spc/fused\"", "", "computed in f64 by the reference engine on the CPU"),
        ("budget", "\"spc/reference\"", "dtype = [\"f32\"]", "computed in f64"),
    ] {
        let text = format!(
            "schema = 1\nname = \"s\"\nabout = \"\"\nseed = 1\n[[benchmark]]\nname = \"b\"\nmodel = \"{model}\"\nabout = \"\"\n\
             contenders = [{contenders}]\n[benchmark.axes]\n{}",
            if axes.is_empty() { "dtype = [\"f64\"]" } else { axes }
        );
        let said = Suite::parse(&text, "s.toml", &Overrides::default()).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
    for (model, contender, says) in [
        ("convergence", "fpa/reference", "says nothing of rule fpa; use a rule of spc, epc"),
        ("convergence", "pcalm/reference", "says nothing of rule pcalm"),
        ("conditioning", "bp/reference", "says nothing of rule bp"),
        ("budget", "ep/reference", "says nothing of rule ep; use a rule of spc, epc, pcalm"),
    ] {
        let text = format!(
            "schema = 1\nname = \"s\"\nabout = \"\"\nseed = 1\n[[benchmark]]\nname = \"b\"\nmodel = \"{model}\"\nabout = \"\"\n\
             contenders = [\"{contender}\"]\n[benchmark.axes]\ndtype = [\"f64\"]"
        );
        let suite = Suite::parse(&text, "s.toml", &Overrides::default()).unwrap();
        let job = Job {
            suite: &suite,
            data: None,
            results: Path::new("nowhere"),
            target: Target::New(None),
            argv: vec![],
            shard: None,
            allow_debug: true,
            ceilings: false,
            wait_quiet: None,
        };
        let said = run(&job, &mut Quiet).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

/// A record of training has the steps that inference took where it ends at a residual, once it is read back: of the first batch in its
/// own dtype, as the rule itself shows them; and none where all steps are taken.
#[test]
fn records_have_the_steps_that_inference_took() {
    let contenders = "\"bp/reference\", \"spc/reference\", \"epc-cg/reference\"";
    for model in ["alignment", "weight-update"] {
        let axes = "depth = [3]\nsteps = [400]\nstep_size = [0.3]\nparameterisation = [\"mupc-residual\"]\nresidual = [1e-2]";
        let timing = "[benchmark.timing]\nmax_seconds = 0.5\nwarmup_seconds = 0.0\nmin_rounds = 2\nmax_rounds = 2\ninstances = 1";
        let more = if model == "alignment" { "" } else { timing };
        let record = studied(model, contenders, axes, more);
        let steps = |contender: &str| curve(&record, contender, "steps_taken");
        for contender in ["spc/reference", "epc-cg/reference"] {
            let [(samples, taken)] = steps(contender)[..] else {
                panic!("{contender}: {:?}", steps(contender))
            };
            assert_eq!(samples, 3.0);
            assert!((1.0..400.0).contains(&taken), "{contender}: {taken}");
        }
        // conjugate gradients on one sample's outputs need fewer than plain descent in states
        assert!(steps("epc-cg/reference")[0].1 < steps("spc/reference")[0].1);
        assert!(steps("bp/reference").is_empty());
        let all = studied(model, contenders, &axes.replace("residual = [1e-2]", ""), more);
        assert!(all.quantities.is_empty());
    }
}
