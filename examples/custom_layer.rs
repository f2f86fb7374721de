//! An operation of your own: x·σ(βx) (swish, arXiv 1710.05941), in a network trained by ePC and checked against autograd.
//!
//! An operation is one type with a forward pass and its derivatives; every rule, the counting engine and the oracle
//! then work with it. Run it with `cargo run --example custom_layer`.

use candle_core::{DType, Device, Tensor};
use pcnbench::engine::autograd::Autograd;
use pcnbench::engine::counting::Counting;
use pcnbench::engine::reference::Reference;
use pcnbench::engine::unwatched;
use pcnbench::net::layers::Linear;
use pcnbench::net::{GraphBuilder, Linearization, Loss, Operation, OperationCost, Source, VerbCost};
use pcnbench::rule::{Rule, Steps};

/// f(x) = x·σ(βx), f'(x) = σ(βx) + βx·σ(βx)(1 − σ(βx)).
#[derive(Debug)]
struct Swish {
    beta: f64,
}

impl Swish {
    fn sigmoid(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.affine(-self.beta, 0.0)?.exp()?.affine(1.0, 1.0)?.recip()
    }

    fn slope(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let s = self.sigmoid(x)?;
        let bend = (x.affine(self.beta, 0.0)? * (&s * s.affine(-1.0, 1.0)?)?)?;
        s + bend
    }
}

impl Operation for Swish {
    fn kind(&self) -> &'static str {
        "swish"
    }

    fn shape(&self, inputs: &[&[usize]], _: &[&[usize]]) -> Result<Vec<usize>, String> {
        match inputs {
            [one] => Ok(one.to_vec()),
            _ => Err(format!("reads {} inputs; expected 1", inputs.len())),
        }
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> pcnbench::Result<(Tensor, Linearization)> {
        let value = (inputs[0] * self.sigmoid(inputs[0])?)?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> pcnbench::Result<Tensor> {
        Ok((c * self.slope(&at.inputs[0])?)?)
    }

    /// It acts element by element, so its Jacobian is symmetric.
    fn jvp(
        &self,
        params: &[&Tensor],
        at: &Linearization,
        slot: usize,
        d: &Tensor,
    ) -> pcnbench::Result<Tensor> {
        self.vjp(params, at, slot, d)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = (batch * inputs[0].iter().product::<usize>()) as u64;
        OperationCost {
            forward: VerbCost::elementwise(5 * n, 2 * n),
            vjp: vec![VerbCost::elementwise(10 * n, 3 * n)],
            outputs: n,
            ..OperationCost::default()
        }
    }
}

/// The example.
pub fn main() -> pcnbench::Result<()> {
    let mut g = GraphBuilder::new();
    let (x, y) = (Source::Data(g.data("x", &[4])), g.data("y", &[2]));
    let (w, u) = (g.param("w", &[8, 4]), g.param("u", &[2, 8]));
    let linear = Linear { bias: false };
    let pre = g.vertex("pre", linear, &[x], &[w])?;
    let hidden = g.latent("hidden", Swish { beta: 1.5 }, &[Source::Vertex(pre)], &[], 1.0)?;
    let out = g.vertex("out", linear, &[Source::Vertex(hidden)], &[u])?;
    g.loss(out, y, Loss::HALF_SQUARED_ERROR)?;
    let graph = g.build()?;

    let draw = |rows: usize, columns: usize, phase: f64| {
        let numbers: Vec<f64> = (0..rows * columns).map(|i| (1.3 * i as f64 + phase).sin()).collect();
        Tensor::from_vec(numbers, (rows, columns), &Device::Cpu)
    };
    let (params, data) = ([draw(8, 4, 0.1)?, draw(2, 8, 0.2)?], [draw(3, 4, 0.3)?, draw(3, 2, 0.4)?]);
    let engine = Reference { graph: &graph, params: &params, data: &data, feedback: None };

    let bp = Rule::from_name("bp", Steps::constant(0, 0.0))?.learn(&engine, &mut unwatched)?;
    let (autograd, _) = Autograd::new(&params)?.directions(&graph, &data)?;
    for (own, theirs) in bp.directions.iter().flatten().zip(&autograd) {
        let off = (own - theirs)?.abs()?.flatten_all()?.to_dtype(DType::F64)?.max(0)?.to_scalar::<f64>()?;
        println!("backpropagation through swish is off autograd by {off:.1e}");
        assert!(off < 1e-12, "the derivative of the operation is wrong");
    }

    let epc = Rule::from_name("epc", Steps::constant(10, 0.1))?;
    let counting = Counting::new(&graph, 3);
    epc.learn(&counting, &mut unwatched)?;
    let learned = epc.learn(&engine, &mut unwatched)?;
    let energy: f64 = engine.energy(&learned)?.iter().sum();
    println!("ePC, T = 10: energy {energy:.6}, {} products", counting.totals().work.gemms);
    Ok(())
}
