//! Oracle: the theory of optimisers on quadratics, with dense matrices. If this fails silently, an inference that is called
//! accelerated is not, and counts of steps compare rules that were run wrongly.

use super::rules::{flat, Setting};
use super::{close, identical, largest, random_problem, Random};
use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};
use pcnbench::engine::curvature::{Coordinates, Curvature, Matrix};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::{unwatched, Shown};
use pcnbench::net::{Activation, ActivationOrder, Loss, MlpSpec};
use pcnbench::rule::{Epc, Method, Rule, Spc, StepUnit, Steps};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A chain under half the squared error: linear, so that the energy is a quadratic, or not.
pub(crate) fn chain(depth: usize, width: usize, activation: Activation, parameterisation: &str) -> Setting {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let own = random_problem().new_tree(&mut runner).unwrap().current();
    let spec = MlpSpec {
        inputs: 4,
        width,
        outputs: 3,
        depth,
        activation,
        activation_order: ActivationOrder::Pre,
        parameterisation: parameterisation.parse().unwrap(),
        gain: 1.0,
        bias: false,
    };
    Setting::new(&Random { spec, batch: 2, loss: Loss::HALF_SQUARED_ERROR, ..own })
}

/// The energy of a linear network around the forward pass: F(z) = F(z_0) − dᵀz + ½ zᵀHz.
pub(crate) struct Quadratic {
    pub(crate) matrix: DMatrix<f64>,
    descent: DVector<f64>,
    /// λ_min and λ_max.
    ends: [f64; 2],
}

impl Quadratic {
    pub(crate) fn of(setting: &Setting, coordinates: Coordinates) -> Self {
        let engine = Reference { feedback: None, ..setting.engine() };
        let curvature = Curvature::at_forward(engine, coordinates).unwrap();
        let unit = |k: usize| DVector::from_fn(curvature.dim(), |i, _| f64::from(u8::from(i == k)));
        let columns = (0..curvature.dim()).map(|k| curvature.product(Matrix::GaussNewton, &unit(k)).unwrap());
        let matrix = DMatrix::from_columns(&columns.collect::<Vec<_>>());
        let values = matrix.clone().symmetric_eigenvalues();
        Self { matrix, descent: curvature.descent().unwrap(), ends: [values.min(), values.max()] }
    }

    /// Where F is least, from the forward pass.
    fn minimum(&self) -> DVector<f64> {
        self.matrix.clone().cholesky().unwrap().solve(&self.descent)
    }

    fn condition(&self) -> f64 {
        self.ends[1] / self.ends[0]
    }
}

/// (F_t − F*)/(F_0 − F*) after every step of a rule.
fn excess(setting: &Setting, quadratic: &Quadratic, rule: &Rule) -> Vec<f64> {
    let engine = setting.engine();
    let mut energies = Vec::new();
    let mut watch = |Shown { errors, outputs, .. }: Shown<'_, Tensor>| {
        energies.push(engine.energies(errors, outputs)?.iter().sum::<f64>());
        Ok(())
    };
    rule.learn(&engine, &mut watch).unwrap();
    let all = 0.5 * quadratic.descent.dot(&quadratic.minimum());
    energies.iter().map(|f| (f - (energies[0] - all)) / all).collect()
}

/// The first step from which on the excess stays below a threshold.
fn held(excess: &[f64], below: f64) -> usize {
    excess.iter().rposition(|e| *e >= below).map_or(0, |last| last + 1)
}

fn by(coordinates: Coordinates, steps: Steps) -> Rule {
    match coordinates {
        Coordinates::States => Rule::Spc(Spc { steps, light_cone: true, spike: false, even_odd: false }),
        Coordinates::Errors => Rule::Epc(Epc { steps }),
    }
}

const BOTH: [Coordinates; 2] = [Coordinates::States, Coordinates::Errors];

/// Where a rule ends, as the curvature orders it: states less the forward pass, or errors.
fn ended(setting: &Setting, coordinates: Coordinates, rule: &Rule) -> DVector<f64> {
    let learned = setting.learn(rule);
    let start = setting.graph.forward(&setting.params, &setting.data).unwrap();
    let own = |i: usize| match coordinates {
        Coordinates::States => (&learned.states[i] - &start[i]).unwrap(),
        Coordinates::Errors => learned.errors[i].clone().unwrap_or_else(|| start[i].zeros_like().unwrap()),
    };
    let numbers = |i: usize| own(i).flatten_all().unwrap().to_vec1::<f64>().unwrap();
    DVector::from_vec(setting.graph.topology().latent().flat_map(numbers).collect())
}

/// Chebyshev semi-iteration stays below its closed bound, 2((√κ − 1)/(√κ + 1))^t of the distance in the norm of H, and comes as far as it
/// says in about √κ steps where plain descent, at its best step, needs about κ. Nesterov's method, without λ_min, needs some multiple
/// of √κ.
#[test]
fn accelerated_inference_needs_the_root_of_the_condition_number() {
    for (coordinates, parameterisation, longer) in
        [(Coordinates::States, "mupc-residual", 1.0), (Coordinates::Errors, "sp-normal", 1.6)]
    {
        let mut setting = chain(8, 5, Activation::Identity, parameterisation);
        setting.params = setting.params.iter().map(|p| p.affine(longer, 0.0).unwrap()).collect();
        let quadratic = Quadratic::of(&setting, coordinates);
        let ([smallest, top], kappa) = (quadratic.ends, quadratic.condition());
        let root = kappa.sqrt();
        let run = |method: Method, count: usize, size: f64| {
            let rule = by(coordinates, Steps { method, ..Steps::constant(count, size) });
            excess(&setting, &quadratic, &rule)
        };
        // exactly within the interval, so the bound holds with nothing to spare but rounding
        let count = (8.0 * root).ceil() as usize;
        let chebyshev = run(Method::Chebyshev { smallest }, count, 2.0 / top);
        let rate = (root - 1.0) / (root + 1.0);
        for (t, own) in chebyshev.iter().enumerate() {
            let bound = (2.0 * rate.powi(t as i32)).min(1.0).powi(2);
            assert!(*own <= bound * (1.0 + 1e-9) + 1e-12, "{coordinates:?}, {t} steps: {own} above {bound}");
        }
        let plain = run(Method::Plain, (6.0 * kappa) as usize, 2.0 / (smallest + top));
        let nesterov = run(Method::Nesterov, (30.0 * root) as usize, 1.0 / top);
        let [plain, nesterov, chebyshev] = [&plain, &nesterov, &chebyshev].map(|excess| held(excess, 1e-4));
        let closed = (200f64.ln() / -rate.ln()).ceil() as usize;
        assert!(chebyshev <= closed, "{chebyshev} steps for {closed}");
        assert!(2 * chebyshev < plain && 2 * nesterov < plain, "{plain}, {nesterov}, {chebyshev}");
    }
}

/// An interval that begins above λ_min converges where the curvature is in it and, more slowly, below it: never away.
#[test]
fn chebyshev_from_too_large_a_smallest_curvature_still_converges() {
    let setting = chain(6, 4, Activation::Identity, "mupc-residual");
    let quadratic = Quadratic::of(&setting, Coordinates::States);
    let [smallest, top] = quadratic.ends;
    let run = |smallest: f64| {
        let method = Method::Chebyshev { smallest };
        let steps = Steps { method, ..Steps::constant(400, 2.0 / top) };
        excess(&setting, &quadratic, &by(Coordinates::States, steps))
    };
    let (exact, above) = (run(smallest), run(20.0 * smallest));
    assert!(held(&exact, 1e-6) < held(&above, 1e-6), "{} {}", held(&exact, 1e-6), held(&above, 1e-6));
    assert!(above[400] < 1e-6 && above.iter().all(|e| *e <= 1.0 + 1e-12));
}

/// Nesterov's method as textbooks have it, in two sequences on the dense quadratic.
#[test]
fn nesterov_is_the_textbooks() {
    for coordinates in BOTH {
        let setting = chain(5, 4, Activation::Identity, "sp-normal");
        let quadratic = Quadratic::of(&setting, coordinates);
        let g = 1.0 / quadratic.ends[1];
        let n = quadratic.descent.len();
        let (mut v, mut z) = (DVector::<f64>::zeros(n), DVector::zeros(n));
        for t in 0..20 {
            let steps = Steps { method: Method::Nesterov, ..Steps::constant(t, g) };
            let off = (ended(&setting, coordinates, &by(coordinates, steps)) - &z).amax();
            assert!(off < 1e-12 * (1.0 + z.amax()), "{coordinates:?}, {t} steps: off by {off:e}");
            let next = &z + g * (&quadratic.descent - &quadratic.matrix * &z);
            z = &next + (t as f64 / (t as f64 + 3.0)) * (&next - &v);
            v = next;
        }
    }
}

/// The first step of Adam is the step size in the direction of the sign, whatever the descent; the least that it moves is told by ε.
#[test]
fn the_first_step_of_adam_is_a_sign() {
    let setting = chain(4, 6, Activation::Tanh, "sp-normal");
    let descent =
        Curvature::at_forward(Reference { feedback: None, ..setting.engine() }, Coordinates::Errors)
            .unwrap()
            .descent()
            .unwrap();
    let (g, epsilon) = (0.03, 1e-8);
    let moved =
        ended(&setting, Coordinates::Errors, &Rule::from_name("epc-adam", Steps::constant(1, g)).unwrap());
    for (own, d) in moved.iter().zip(descent.iter()) {
        assert!(
            (own - g * d.signum()).abs() <= g * epsilon / d.abs() * (1.0 + 1e-6) + 1e-15,
            "{own} for {d}"
        );
    }
    // each later one is at most a few of it, and it comes near the equilibrium that descent comes to
    let near = |name: &str, count: usize, size: f64| {
        ended(&setting, Coordinates::Errors, &Rule::from_name(name, Steps::constant(count, size)).unwrap())
    };
    let rest = near("epc", 4000, 0.05);
    let off = (near("epc-adam", 4000, 1e-3) - &rest).amax();
    assert!(off < 5e-3 * rest.amax(), "{off:e} of {:e}", rest.amax());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A state that no error has reached keeps nothing, and that changes no bit under any method.
    #[test]
    fn the_light_cone_is_exact_by_every_method(problem in random_problem(), t in 0usize..9) {
        let setting = Setting::new(&problem);
        for method in [
            Method::HeavyBall { beta: 0.7 },
            Method::Nesterov,
            Method::Chebyshev { smallest: 0.5 },
            Method::Adam,
        ] {
            let steps = Steps { method, ..Steps::constant(t, 0.1) };
            let [with, without] = [true, false].map(|light_cone| {
                flat(&setting.learn(&Rule::Spc(Spc { steps, light_cone, spike: false, even_odd: false })), &setting.params)
            });
            for (a, b) in with.iter().zip(&without) {
                prop_assert!(identical(a, b), "{:?}", method);
            }
        }
    }

    /// Of at most two states, moving odd distances and then even ones is moving states from the top down: SeqIL.
    #[test]
    fn two_states_in_two_colours_are_a_sweep(problem in random_problem(), t in 0usize..7) {
        let mut problem = problem;
        problem.spec.depth = problem.spec.depth.min(3);
        let setting = Setting::new(&problem);
        let of = |name: &str| flat(&setting.learn(&Rule::from_name(name, Steps::constant(t, 0.1)).unwrap()), &setting.params);
        for (a, b) in of("spc-evenodd").iter().zip(&of("seqil")) {
            close(a, b, 1e-13, "two states");
        }
    }
}

/// In two colours an error crosses two layers per step, and not more.
#[test]
fn errors_cross_two_layers_per_step_in_two_colours() {
    let depth = 8;
    let setting = chain(depth, 4, Activation::Tanh, "sp-normal");
    let mut watch = |Shown { step, errors, .. }: Shown<'_, Tensor>| {
        for l in 1..depth {
            let reached = step >= (depth - l).div_ceil(2);
            assert_eq!(
                errors[l - 1].as_ref().is_some_and(|e| largest(e) > 0.0),
                reached,
                "layer {l}, {step} steps"
            );
            assert_eq!(errors[l - 1].is_some(), reached, "layer {l}, {step} steps");
        }
        Ok(())
    };
    Rule::from_name("spc-evenodd", Steps::constant(5, 0.1))
        .unwrap()
        .learn(&setting.engine(), &mut watch)
        .unwrap();
}

/// λ_max of the blocks of H that belong to one state each, all samples together.
fn steepest_block(setting: &Setting, quadratic: &Quadratic) -> f64 {
    let sizes =
        setting.graph.topology().latent().map(|i| 2 * setting.graph.shape(i).iter().product::<usize>());
    let (mut from, mut most) = (0, 0.0f64);
    for size in sizes {
        let block = quadratic.matrix.view((from, from), (size, size)).into_owned();
        most = most.max(block.symmetric_eigenvalues().max());
        from += size;
    }
    most
}

/// In two colours the energy falls in every step below 2 over the largest curvature of a single state, which is more than sPC may take;
/// and inference rests where sPC rests.
#[test]
fn two_colours_take_larger_steps_to_the_same_rest() {
    let setting = chain(6, 5, Activation::Identity, "mupc-residual");
    let quadratic = Quadratic::of(&setting, Coordinates::States);
    let stable = 2.0 / steepest_block(&setting, &quadratic);
    let g = 0.98 * stable;
    assert!(g > 1.1 * 2.0 / quadratic.ends[1], "{g} for {}", 2.0 / quadratic.ends[1]);
    let named =
        |name: &str, count: usize, size: f64| Rule::from_name(name, Steps::constant(count, size)).unwrap();
    let own = excess(&setting, &quadratic, &named("spc-evenodd", 400, g));
    for (t, pair) in own.windows(2).enumerate().filter(|(_, pair)| pair[0] > 1e-12) {
        assert!(pair[1] < pair[0], "step {t}: {} after {}", pair[1], pair[0]);
    }
    let at_once = excess(&setting, &quadratic, &named("spc", 400, g));
    assert!(at_once[400] > 1.0, "sPC is beyond its largest stable step: {}", at_once[400]);
    let rest = quadratic.minimum();
    let there = ended(&setting, Coordinates::States, &named("spc-evenodd", 4000, 0.5 * stable));
    let off = (&there - &rest).amax();
    assert!(off < 1e-9 * rest.amax(), "off by {off:e} of {:e}", rest.amax());
}

/// The names of methods say the unit of their steps, and what is found replaces it.
#[test]
fn accelerated_variants_read_shares_of_the_largest_stable_step() {
    for name in ["spc-nesterov", "epc-nesterov", "spc-chebyshev", "epc-chebyshev"] {
        let rule = Rule::from_name(name, Steps::constant(7, 0.5)).unwrap();
        let steps = rule.steps().unwrap();
        assert_eq!((steps.unit, steps.size), (StepUnit::Stable, 0.5), "{name}");
        let found = steps.found(0.2, 0.3);
        assert_eq!((found.unit, found.size, found.count), (StepUnit::One, 0.1, 7), "{name}");
        let kept = matches!(found.method, Method::Chebyshev { smallest } if smallest == 0.3);
        assert_eq!(kept, name.ends_with("chebyshev"), "{name}");
        // the name stays with the method
        assert_eq!(rule.with_steps(found).name(), name);
        let setting = chain(3, 4, Activation::Tanh, "sp-normal");
        rule.with_steps(found).learn(&setting.engine(), &mut unwatched).unwrap();
    }
    for name in ["spc-adam", "epc-adam", "spc-momentum", "spc-evenodd"] {
        assert_eq!(
            Rule::from_name(name, Steps::constant(7, 0.5)).unwrap().steps().unwrap().unit,
            StepUnit::One
        );
    }
}
