//! The smallest graph of the fixed-prediction paper: predictive coding on a computation graph that is no chain.
//!
//! Millidge, Tschantz & Buckley (arXiv 2006.04182, section 3) differentiate
//!
//! out(v) = tan(√(θ v)) + sin(v²)
//!
//! with one latent vertex per operation. Fixed-prediction inference with step 1 and Z-IL give the gradient of
//! backpropagation; with a smaller step fixed prediction gives it in the limit, and sPC does not. Run it with `cargo
//! run --example scalar_graph`.

use candle_core::{Device, Tensor};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::unwatched;
use pcnbench::net::layers::{Act, Add, Linear};
use pcnbench::net::{Activation, GraphBuilder, Loss, Source};
use pcnbench::rule::{Rule, Steps};

/// The example.
pub fn main() -> pcnbench::Result<()> {
    let mut g = GraphBuilder::new();
    let v = Source::Data(g.data("v", &[1]));
    let target = g.data("target", &[1]);
    let theta = g.param("theta", &[1, 1]);
    let at = Source::Vertex;
    let product = g.latent("product", Linear { bias: false }, &[v], &[theta], 1.0)?;
    let root = g.latent("root", Act(Activation::Sqrt), &[at(product)], &[], 1.0)?;
    let tan = g.latent("tan", Act(Activation::Tan), &[at(root)], &[], 1.0)?;
    let square = g.latent("square", Act(Activation::Square), &[v], &[], 1.0)?;
    let sin = g.latent("sin", Act(Activation::Sin), &[at(square)], &[], 1.0)?;
    let out = g.vertex("out", Add, &[at(tan), at(sin)], &[])?;
    g.loss(out, target, Loss::HALF_SQUARED_ERROR)?;
    let graph = g.build()?;

    let number = |x: f64| Tensor::from_vec(vec![x], (1, 1), &Device::Cpu);
    let (params, data) = ([number(2.0)?], [number(0.7)?, number(1.0)?]);
    let engine = Reference { graph: &graph, params: &params, data: &data, feedback: None };
    println!("direction of theta under");
    let mut backpropagation = f64::NAN;
    for (name, steps) in [
        ("bp", Steps::constant(0, 0.0)),
        ("fpa", Steps::constant(5, 1.0)),
        ("fpa", Steps::constant(20, 0.3)),
        ("spc", Steps::constant(20, 0.3)),
        ("zil", Steps::constant(0, 1.0)),
    ] {
        let rule = Rule::from_name(name, steps)?;
        // Z-IL needs all paths from a state to the loss to be equally long: `prepare` inserts identities where they are
        // not
        let (prepared, _) = rule.prepare(&graph)?;
        let learned = rule.learn(&Reference { graph: &prepared, ..engine }, &mut unwatched)?;
        let direction = match &learned.directions[theta] {
            Some(d) => d.flatten_all()?.to_vec1::<f64>()?[0],
            None => 0.0,
        };
        match (name, steps.size) {
            ("bp", _) => backpropagation = direction,
            ("zil", _) | ("fpa", 1.0) => {
                assert!((direction - backpropagation).abs() < 1e-12, "{name} is backpropagation")
            }
            _ => {}
        }
        println!("{name:>4}, T = {:>2}, step {:.1}: {direction:.12}", steps.count, steps.size);
    }
    Ok(())
}
