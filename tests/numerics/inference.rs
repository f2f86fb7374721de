//! Oracle: the theory of optimisers on quadratics, with dense matrices. If this fails silently, an inference that is called
//! accelerated is not, and counts of steps compare rules that were run wrongly.

use super::rules::{flat, Setting};
use super::{identical, random_problem, Random};
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
    pub(crate) ends: [f64; 2],
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
    pub(crate) fn minimum(&self) -> DVector<f64> {
        self.matrix.clone().cholesky().unwrap().solve(&self.descent)
    }

    fn condition(&self) -> f64 {
        self.ends[1] / self.ends[0]
    }
}

/// (F_t − F*)/(F_0 − F*) after every step of a rule.
pub(crate) fn excess(setting: &Setting, quadratic: &Quadratic, rule: &Rule) -> Vec<f64> {
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
pub(crate) fn ended(setting: &Setting, coordinates: Coordinates, rule: &Rule) -> DVector<f64> {
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
            Method::ConjugateGradient,
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
