//! Oracle: closed forms of linear networks; differences of energies, residuals and losses on random graphs. If this fails
//! silently, every stable step, every condition number and every regime label is wrong.

use super::graphs::{random, tame};
use super::inference::{chain, Quadratic};
use super::rules::Setting;
use super::{random_problem, Random};
use candle_core::{DType, Tensor, Var};
use nalgebra::{DMatrix, DVector};
use pcnbench::contender::{Contender, ContenderSpec};
use pcnbench::engine::curvature::{product_cost, Coordinates, Curvature, Descended, Matrix};
use pcnbench::engine::reference::Reference;
use pcnbench::net::{Activation, ActivationOrder, LatentEnergy, Loss, MlpSpec, OutputEnergy};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Method, Rule, StepUnit, Steps};
use pcnbench::theory::linear::{LinearLayer, LinearNet};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::Arc;

fn any_problem() -> Random {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    random_problem().new_tree(&mut runner).unwrap().current()
}

fn dense(curvature: &Curvature<'_>, matrix: Matrix) -> DMatrix<f64> {
    let n = curvature.dim();
    let column = |k: usize| {
        let mut unit = DVector::zeros(n);
        unit[k] = 1.0;
        curvature.product(matrix, &unit).unwrap()
    };
    DMatrix::from_columns(&(0..n).map(column).collect::<Vec<_>>())
}

/// States and errors of linear networks, plain and residual, under losses of two curvatures: the closed forms of the theory, to
/// 1e-12 by Gauss–Newton and to the accuracy of differences by the Hessian; and their ends.
#[test]
fn linear_networks_have_their_closed_forms() {
    for (parameterisation, loss, c) in [
        ("sp-normal", Loss::HALF_SQUARED_ERROR, 1.0),
        ("mupc-residual", Loss { precision: 0.7, ..Loss::HALF_SQUARED_ERROR }, 0.7),
    ] {
        let own = any_problem();
        let spec = MlpSpec {
            inputs: 3,
            width: 4,
            outputs: 2,
            depth: 5,
            activation: Activation::Identity,
            parameterisation: parameterisation.parse().unwrap(),
            gain: 1.0,
            bias: false,
            ..own.spec.clone()
        };
        let layers = spec.layers();
        let setting = Setting::new(&Random { spec, batch: 1, loss, ..own });
        let linear = |l: usize| {
            let w = setting.params[l].to_vec2::<f64>().unwrap();
            let weight = DMatrix::from_fn(w.len(), w[0].len(), |i, j| w[i][j]);
            LinearLayer { scale: layers[l].scale, skip: layers[l].skip, ..LinearLayer::new(weight) }
        };
        let net = LinearNet::new((0..layers.len()).map(linear).collect(), c).unwrap();
        let engine = Reference { feedback: None, ..setting.engine() };
        for (coordinates, exact, extremes) in [
            (Coordinates::States, net.state_hessian(), net.state_extremes().unwrap()),
            (Coordinates::Errors, net.error_hessian(), net.error_extremes().unwrap()),
        ] {
            let curvature = Curvature::at_forward(engine, coordinates).unwrap();
            let off = (dense(&curvature, Matrix::GaussNewton) - &exact).amax();
            assert!(off < 1e-12 * exact.amax(), "{parameterisation} {coordinates:?}: {off:e}");
            let off = (dense(&curvature, Matrix::Hessian) - &exact).amax();
            assert!(off < 1e-8 * exact.amax(), "{parameterisation} {coordinates:?}: {off:e}");
            let ends = curvature.ends(Matrix::GaussNewton, 1e-10, 100).unwrap();
            assert!((ends.largest.value / extremes.largest - 1.0).abs() < 1e-12, "{ends:?} {extremes:?}");
            assert!((ends.smallest.value / extremes.smallest - 1.0).abs() < 1e-9, "{ends:?} {extremes:?}");
            let one = curvature.largest(Matrix::GaussNewton, 1e-10, 100).unwrap();
            assert!((one.value - ends.largest.value).abs() < 1e-12 * one.value);
            let small = curvature.smallest(1e-10, 100).unwrap();
            assert!((small.value / extremes.smallest - 1.0).abs() < 1e-12, "{small:?} {extremes:?}");
        }
    }
}

/// A step of descent by the rule is a step down the gradient that curvature is the derivative of.
#[test]
fn descent_is_that_of_the_rule() {
    let setting = Setting::new(&any_problem());
    let engine = Reference { feedback: None, ..setting.engine() };
    for (name, coordinates) in [("spc", Coordinates::States), ("epc", Coordinates::Errors)] {
        let curvature = Curvature::at_forward(engine, coordinates).unwrap();
        let learned = setting.learn(&Rule::from_name(name, Steps::constant(1, 1.0)).unwrap());
        // after one step of size 1 from errors of zero
        let mut moved = Vec::new();
        for i in setting.graph.topology().latent() {
            let like = &learned.states[i];
            let own = match (coordinates, &learned.errors[i]) {
                (Coordinates::Errors, Some(e)) => e.clone(),
                (_, None) => like.zeros_like().unwrap(),
                (Coordinates::States, Some(_)) => {
                    let start = setting.graph.forward(&setting.params, &setting.data).unwrap();
                    (like - &start[i]).unwrap()
                }
            };
            moved.extend(own.flatten_all().unwrap().to_vec1::<f64>().unwrap());
        }
        let want = curvature.descent().unwrap();
        let off = (DVector::from_vec(moved) - &want).amax();
        assert!(off < 1e-13 * (1.0 + want.amax()), "{name}: {off:e}");
    }
}

/// Values and residuals of a graph where latent vertices have these states or errors, differentiable.
struct Evaluated {
    energy: Tensor,
    residuals: Vec<Option<Tensor>>,
    outputs: Vec<Tensor>,
}

fn evaluate(engine: &Reference<'_>, coordinates: Coordinates, point: &[Option<Tensor>]) -> Evaluated {
    let (graph, topology) = (engine.graph, engine.graph.topology());
    let (mut values, mut residuals) = (Vec::new(), Vec::new());
    let mut terms = Vec::new();
    for (i, own) in point.iter().enumerate() {
        let inputs = graph.inputs(i, engine.data, &values);
        let (f, _) = graph.operation(i).forward(&graph.own(i, engine.params), &inputs).unwrap();
        let (value, residual) = match (own, coordinates) {
            (None, _) => (f, None),
            (Some(v), Coordinates::States) => (v.clone(), Some((v - f).unwrap())),
            (Some(e), Coordinates::Errors) => ((f + e).unwrap(), Some(e.clone())),
        };
        if let Some(r) = &residual {
            let sum = topology.energy(i).tensor(r).unwrap();
            terms.push(sum.affine(topology.precision(i).unwrap(), 0.0).unwrap());
        }
        values.push(value);
        residuals.push(residual);
    }
    for term in graph.losses() {
        terms.push(term.loss.tensor(&values[term.vertex], &engine.data[term.target]).unwrap());
    }
    let energy = terms.into_iter().reduce(|a, b| (a + b).unwrap()).unwrap();
    let outputs = graph.losses().iter().map(|term| values[term.vertex].clone()).collect();
    Evaluated { energy, residuals, outputs }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// zᵀHz by automatic differentiation and differences, and zᵀGz from differences of residuals and outputs, on any graph at
    /// any point.
    #[test]
    fn products_are_second_derivatives(seed in any::<u64>()) {
        let setting = random(seed, &[1.0, 2.5]);
        let engine = Reference { graph: &setting.graph, params: &setting.params, data: &setting.data, feedback: None };
        let topology = setting.graph.topology();
        prop_assume!(topology.latent().next().is_some());
        let forward = setting.graph.forward(&setting.params, &setting.data).unwrap();
        prop_assume!(forward.iter().all(tame));
        let small = |i: usize, k: u64| {
            let like = &forward[i];
            super::normal(like.dims(), seed ^ (1000 * k + i as u64)).affine(0.3, 0.0).unwrap()
        };
        for coordinates in [Coordinates::States, Coordinates::Errors] {
            let at = |i: usize| match coordinates {
                Coordinates::States => (&forward[i] + small(i, 1)).unwrap(),
                Coordinates::Errors => small(i, 1),
            };
            let each = |of: &dyn Fn(usize) -> Tensor| -> Vec<Option<Tensor>> {
                (0..forward.len()).map(|i| topology.is_latent(i).then(|| of(i))).collect()
            };
            let (point, z) = (each(&at), each(&|i| small(i, 2)));
            let flat = DVector::from_vec(
                z.iter().flatten().flat_map(|t| t.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect(),
            );
            let curvature = Curvature::around(engine, coordinates, &point).unwrap();
            let h = 1e-5;
            let moved = |h: f64| -> Vec<Option<Tensor>> {
                let each = point.iter().zip(&z);
                each.map(|(p, z)| Some((p.as_ref()? + z.as_ref()?.affine(h, 0.0).unwrap()).unwrap())).collect()
            };
            // the slope along z, differentiated automatically, at both ends
            let slope = |h: f64| {
                let vars: Vec<Option<Var>> =
                    moved(h).iter().map(|p| p.as_ref().map(|p| Var::from_tensor(p).unwrap())).collect();
                let free: Vec<Option<Tensor>> = vars.iter().map(|v| v.as_ref().map(|v| v.as_tensor().clone())).collect();
                let grads = evaluate(&engine, coordinates, &free).energy.backward().unwrap();
                vars.iter().zip(&z).filter_map(|(v, z)| Some(dot(grads.get(v.as_ref()?)?, z.as_ref()?))).sum::<f64>()
            };
            let want = (slope(h) - slope(-h)) / (2.0 * h);
            let got = flat.dot(&curvature.product(Matrix::Hessian, &flat).unwrap());
            let scale = 1.0 + want.abs() + flat.norm_squared();
            prop_assert!((got - want).abs() < 1e-5 * scale, "{:?}: zHz {} for {}", coordinates, got, want);
            let (more, less) = (evaluate(&engine, coordinates, &moved(h)), evaluate(&engine, coordinates, &moved(-h)));
            let along = |a: &Tensor, b: &Tensor| (a - b).unwrap().affine(0.5 / h, 0.0).unwrap();
            let here = evaluate(&engine, coordinates, &point);
            let mut want = 0.0;
            for i in topology.latent() {
                let d = along(more.residuals[i].as_ref().unwrap(), less.residuals[i].as_ref().unwrap());
                let phi = topology.energy(i).curvature(here.residuals[i].as_ref().unwrap()).unwrap();
                want += topology.precision(i).unwrap() * dot(&(phi * &d).unwrap(), &d);
            }
            for (k, term) in setting.graph.losses().iter().enumerate() {
                let d = along(&more.outputs[k], &less.outputs[k]);
                let (o, y) = (&here.outputs[k], &setting.data[term.target]);
                let error = |h: f64| term.loss.output_error(&(o + d.affine(h, 0.0).unwrap()).unwrap(), y).unwrap();
                want -= dot(&along(&error(h), &error(-h)), &d);
            }
            let got = flat.dot(&curvature.product(Matrix::GaussNewton, &flat).unwrap());
            prop_assert!((got - want).abs() < 1e-5 * scale, "{:?}: zGz {} for {}", coordinates, got, want);
            // the inverse, where the matrix has one: precisions are positive, curvatures of energies need not be
            if topology.latent().all(|i| topology.energy(i) == LatentEnergy::Gaussian) {
                let back = curvature.product(Matrix::GaussNewton, &curvature.inverse_product(&flat).unwrap()).unwrap();
                prop_assert!((back - &flat).amax() < 1e-7 * (1.0 + got.abs()), "{:?}: not the inverse", coordinates);
            }
        }
    }
}

/// A contender whose step is a share of the largest stable one takes that step: an update moves its parameters as the rule with that
/// step does, by every engine; and the step stays near the exact one while searches start from the vector before.
#[test]
fn contenders_take_their_share_of_the_largest_stable_step() {
    let own = any_problem();
    let spec = MlpSpec { depth: 5, width: 6, outputs: 3, activation: Activation::Tanh, ..own.spec.clone() };
    let setting =
        Setting::new(&Random { spec: spec.clone(), batch: 4, loss: Loss::HALF_SQUARED_ERROR, ..own });
    let of = |id: &str, rule: Rule| ContenderSpec {
        id: id.parse().unwrap(),
        rule,
        network: Arc::new(spec.clone()),
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser: OptimiserKind::Sgd,
        learning_rate: 0.05,
        regularisation: Default::default(),
        dtype: DType::F64,
        strategies: None,
    };
    for (name, coordinates, share) in [
        ("spc-auto", Coordinates::States, 0.8),
        ("epc-auto", Coordinates::Errors, 0.3),
        ("pcalm-auto", Coordinates::States, 0.5),
        ("seqil-auto", Coordinates::States, 0.8),
        ("ipc-auto", Coordinates::States, 0.6),
        ("ep-auto", Coordinates::States, 0.7),
        ("spc-nesterov", Coordinates::States, 0.5),
        ("epc-nesterov", Coordinates::Errors, 0.5),
        ("spc-chebyshev", Coordinates::States, 0.8),
        ("epc-chebyshev", Coordinates::Errors, 0.8),
    ] {
        let fused = !["pcalm-auto", "ep-auto"].contains(&name);
        let loss_weight = if name == "ep-auto" { 0.01 } else { 1.0 };
        for engine in ["reference", "fused:1"].into_iter().take(if fused { 2 } else { 1 }) {
            let rule = Rule::from_name(name, Steps::constant(4, share)).unwrap();
            let auto = of(&format!("{name}/{engine}"), rule);
            let mut contender = Contender::with_params(&auto, setting.params.clone()).unwrap();
            let found = contender.rule_on(&setting.data).unwrap().steps().unwrap();
            assert_eq!((found.unit, found.count), (StepUnit::One, 4));
            let plain = rule.with_steps(found);
            let plain = of(&format!("{}/{engine}", plain.name()), plain);
            let mut fixed = Contender::with_params(&plain, setting.params.clone()).unwrap();
            let directions = |own: &Contender| own.directions(&setting.data).unwrap();
            for (a, b) in directions(&contender).iter().zip(&directions(&fixed)) {
                match (a, b) {
                    (Some(a), Some(b)) => super::close(a, b, 1e-11, &format!("{name} {engine}")),
                    (a, b) => assert!(a.is_none() && b.is_none(), "{name} {engine}: not the same layers"),
                }
            }
            contender.update(&setting.data).unwrap();
            fixed.update(&setting.data).unwrap();
            for (a, b) in contender.state().unwrap().params.iter().zip(&fixed.state().unwrap().params) {
                super::close(a, b, 1e-14, &format!("{name} {engine}"));
            }
            for _ in 0..20 {
                contender.update(&setting.data).unwrap();
            }
            let state = contender.state().unwrap();
            let energy = Descended { coordinates, loss_weight };
            let exact = Curvature::of(state.bind(contender.graph(), &setting.data), energy).unwrap();
            let exact = exact.ends(Matrix::GaussNewton, 1e-10, 200).unwrap();
            for (rule, off) in
                [(contender.rule_on(&setting.data).unwrap(), 1e-6), (contender.last_rule(), 0.05)]
            {
                let steps = rule.steps().unwrap();
                let times = steps.size * exact.largest.value / (2.0 * share);
                // the last update took its step before it moved the parameters
                assert!((0.7..=1.1).contains(&times), "{name}: {times} of the share");
                if let Method::Chebyshev { smallest } = steps.method {
                    match coordinates {
                        Coordinates::Errors => assert_eq!(smallest, 1.0),
                        Coordinates::States => {
                            let times = smallest / exact.smallest.value;
                            assert!((times - 1.0).abs() < off, "{name}: {times} of the smallest curvature");
                        }
                    }
                }
            }
        }
    }
}

/// With the losses weighted the closed forms are those of as much precision at the output.
#[test]
fn weighted_losses_are_precisions_of_the_output() {
    let setting = chain(5, 4, Activation::Identity, "sp-normal");
    let linear = |p: &Tensor| {
        let w = p.to_vec2::<f64>().unwrap();
        LinearLayer::new(DMatrix::from_fn(w.len(), w[0].len(), |i, j| w[i][j]))
    };
    let layers: Vec<_> = setting.params.iter().map(linear).collect();
    let engine = Reference { feedback: None, ..setting.engine() };
    for loss_weight in [0.01, 1.0, 3.0] {
        let net = LinearNet::new(layers.clone(), loss_weight).unwrap();
        for (coordinates, exact) in
            [(Coordinates::States, net.state_hessian()), (Coordinates::Errors, net.error_hessian())]
        {
            let curvature = Curvature::of(engine, Descended { coordinates, loss_weight }).unwrap();
            let n = exact.nrows();
            let of = |matrix: &DMatrix<f64>, sample: usize| {
                let rows: Vec<usize> = (0..n).map(|k| 2 * 4 * (k / 4) + 4 * sample + k % 4).collect();
                DMatrix::from_fn(n, n, |i, j| matrix[(rows[i], rows[j])])
            };
            let found = dense(&curvature, Matrix::GaussNewton);
            for sample in [0, 1] {
                let off = (of(&found, sample) - &exact).amax();
                assert!(off < 1e-12 * exact.amax(), "{coordinates:?}, weight {loss_weight}: {off:e}");
            }
            let hessian = dense(&curvature, Matrix::Hessian);
            assert!((hessian - found).amax() < 1e-8 * exact.amax(), "{coordinates:?}, weight {loss_weight}");
        }
    }
}

/// On a linear network, whose matrix of second derivatives is dense algebra: λ_min of a contender with Chebyshev's method is the smallest
/// eigenvalue, at first and after updates; and the work of a search is that of its products.
#[test]
fn the_smallest_curvature_of_a_contender_is_the_eigenvalue() {
    for depth in [3, 12] {
        let setting = chain(depth, 5, Activation::Identity, "mupc-residual");
        let spec = ContenderSpec {
            id: "spc-chebyshev/reference".parse().unwrap(),
            rule: Rule::from_name("spc-chebyshev", Steps::constant(4, 0.8)).unwrap(),
            network: Arc::new(MlpSpec {
                inputs: 4,
                width: 5,
                outputs: 3,
                depth,
                activation: Activation::Identity,
                activation_order: ActivationOrder::Pre,
                parameterisation: "mupc-residual".parse().unwrap(),
                gain: 1.0,
                bias: false,
            }),
            loss: Loss::HALF_SQUARED_ERROR,
            optimiser: OptimiserKind::Sgd,
            learning_rate: 0.01,
            regularisation: Default::default(),
            dtype: DType::F64,
            strategies: None,
        };
        let smallest = |rule: Rule| match rule.steps().unwrap().method {
            Method::Chebyshev { smallest } => smallest,
            other => panic!("{other:?}"),
        };
        let mut contender = Contender::with_params(&spec, setting.params.clone()).unwrap();
        let exact = |contender: &Contender| {
            let params = contender.state().unwrap().params;
            Quadratic::of(
                &Setting { params, ..chain(depth, 5, Activation::Identity, "mupc-residual") },
                Coordinates::States,
            )
            .ends[0]
        };
        let off = (smallest(contender.rule_on(&setting.data).unwrap()) / exact(&contender) - 1.0).abs();
        assert!(off < 1e-6, "{depth} layers: λ_min off by {off:e}");
        for update in 0..6 {
            let before = exact(&contender);
            contender.update(&setting.data).unwrap();
            let off = (smallest(contender.last_rule()) / before - 1.0).abs();
            assert!(off < 1e-3, "{depth} layers, update {update}: λ_min off by {off:e}");
        }
        // a forward pass; 8 products for λ_max; 3 with the inverse, of two half sweeps and 20 products each
        let layers = depth as u64;
        assert_eq!(spec.search(2).unwrap().gemms, layers + (8 + 3 * 21) * 2 * (layers - 1));
    }
}

/// Tensors of another dtype, and vectors that do not fit, are refused; the cost of a product is that of its verbs.
#[test]
fn what_does_not_fit_is_refused() {
    let setting = Setting::new(&any_problem());
    let narrow: Vec<Tensor> =
        setting.params.iter().map(|p| p.to_dtype(candle_core::DType::F32).unwrap()).collect();
    let engine = Reference { feedback: None, ..setting.engine() };
    let data: Vec<Tensor> =
        setting.data.iter().map(|d| d.to_dtype(candle_core::DType::F32).unwrap()).collect();
    let narrow = Reference { params: &narrow, data: &data, ..engine };
    let narrow = Curvature::at_forward(narrow, Coordinates::States).unwrap();
    let ones = DVector::from_element(narrow.dim(), 1.0);
    let said = narrow.product(Matrix::Hessian, &ones).unwrap_err().to_string();
    assert!(said.contains("differences of gradients need f64"), "{said}");
    assert!(narrow.product(Matrix::GaussNewton, &ones).is_ok());
    let curvature = Curvature::at_forward(engine, Coordinates::States).unwrap();
    let wrong = DVector::zeros(curvature.dim() + 1);
    assert!(curvature.product(Matrix::Hessian, &wrong).is_err());
    let zero = DVector::zeros(curvature.dim());
    assert_eq!(curvature.product(Matrix::Hessian, &zero).unwrap(), zero);
    let (costs, topology) = (setting.graph.costs(1), setting.graph.topology());
    assert!(topology.latent().next().is_some());
    let gemms: u64 = costs.iter().enumerate().filter(|(i, _)| topology.follows_state(*i)).map(|_| 2).sum();
    assert_eq!(product_cost(&costs, |i| topology.follows_state(i)).gemms, gemms);
}
