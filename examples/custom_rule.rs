//! A learning rule of your own: backpropagation with damped feedback, on any network, counted like the built-in ones.
//!
//! A rule is written against `Engine`, the verbs of a network, and never names who executes them: the same schedule
//! runs on tensors, on the counting engine and on the engine that records its task graph. Here it is backpropagation in
//! which a latent vertex passes on a scaled error, ε_i = κ · Σ Jᵀ c: with κ = 1 it is backpropagation. Run it with
//! `cargo run --example custom_rule`.

use candle_core::{Device, Tensor};
use pcnbench::engine::counting::Counting;
use pcnbench::engine::recording::Recording;
use pcnbench::engine::reference::Reference;
use pcnbench::engine::Engine;
use pcnbench::net::{Activation, ActivationOrder, Architecture, Loss, MlpSpec, Parameterisation, Source};

/// Directions of every parameter under damped feedback.
fn damped<E: Engine>(engine: &E, kappa: f64) -> pcnbench::Result<Vec<Option<E::Direction>>> {
    let topology = engine.topology();
    // upwards: every vertex at its prediction
    let (mut values, mut at) = (Vec::new(), Vec::new());
    for i in 0..topology.len() {
        let read = |source: &Source| match *source {
            Source::Data(d) => engine.data(d),
            Source::Vertex(v) => &values[v],
        };
        let inputs: Vec<&E::Value> = topology.node(i).inputs.iter().map(read).collect();
        let params: Vec<&E::Param> = topology.node(i).params.iter().map(|&p| engine.param(p)).collect();
        let (value, linearization) = engine.forward(i, &params, &inputs)?;
        values.push(value);
        at.push(linearization);
    }
    // downwards: what reaches each vertex from its losses and its children
    let mut errors: Vec<Option<E::Value>> = vec![None; topology.len()];
    let mut directions = vec![None; topology.params()];
    for i in (0..topology.len()).rev() {
        let mut sum: Option<E::Value> = None;
        let mut add = |term: E::Value| -> pcnbench::Result<()> {
            sum = Some(match &sum {
                Some(sum) => engine.add(sum, &term)?,
                None => term,
            });
            Ok(())
        };
        for &k in topology.losses_at(i) {
            add(engine.loss_error(k, &values[i])?)?;
        }
        for &(child, slot) in topology.children(i) {
            if let Some(c) = &errors[child] {
                let params: Vec<&E::Param> =
                    topology.node(child).params.iter().map(|&p| engine.param(p)).collect();
                add(engine.vjp(child, slot, &params, &at[child], c)?)?;
            }
        }
        let Some(sum) = sum else { continue };
        let error = if topology.is_latent(i) { engine.scale(kappa, &sum)? } else { sum };
        for (&p, d) in topology.node(i).params.iter().zip(engine.param_grad(i, &at[i], &error)?) {
            directions[p] = Some(match &directions[p] {
                Some(sum) => engine.add_directions(sum, &d)?,
                None => d,
            });
        }
        errors[i] = Some(error);
    }
    Ok(directions)
}

/// The example.
pub fn main() -> pcnbench::Result<()> {
    let spec = MlpSpec {
        inputs: 6,
        width: 8,
        outputs: 3,
        depth: 4,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Pre,
        parameterisation: Parameterisation::SP,
        gain: 1.0,
        bias: true,
    };
    let graph = spec.graph(Loss::HALF_SQUARED_ERROR)?;
    let params = spec.start(1, candle_core::DType::F64, &Device::Cpu)?;
    let draw = |columns: usize| {
        let numbers: Vec<f64> = (0..5 * columns).map(|i| (0.9 * i as f64).cos()).collect();
        Tensor::from_vec(numbers, (5, columns), &Device::Cpu)
    };
    let data = [draw(6)?, draw(3)?];
    let engine = Reference { graph: &graph, params: &params, data: &data, feedback: None };

    let norm = |t: &Tensor| -> pcnbench::Result<f64> { Ok(t.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt()) };
    let (full, half) = (damped(&engine, 1.0)?, damped(&engine, 0.5)?);
    for (p, (full, half)) in full.iter().zip(&half).enumerate() {
        if let (Some(full), Some(half)) = (full, half) {
            println!(
                "{}: damped over backpropagation {:.4}",
                graph.params()[p].name,
                norm(half)? / norm(full)?
            );
        }
    }

    let counting = Counting::new(&graph, 5);
    damped(&counting, 0.5)?;
    let recording = Recording::new(graph.topology().clone(), graph.costs(5));
    damped(&recording, 0.5)?;
    let (totals, tasks) = (counting.totals(), recording.into_graph());
    println!("{} products, {} of them one after another", totals.work.gemms, totals.critical_path);
    println!("on 2 processors {} of {} FLOPs long", tasks.schedule(2)?.makespan, tasks.work());
    Ok(())
}
