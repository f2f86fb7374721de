//! The verbs of an engine that are the same for every engine whose values are Candle tensors.

/// What engines have in common whose values are Candle tensors, with fields `graph`, `params` and `data`.
macro_rules! on_tensors {
    () => {
        type Value = Tensor;
        type Linearization = Linearization;
        type Param = Tensor;
        type Direction = Tensor;

        fn topology(&self) -> &Topology {
            self.graph.topology()
        }

        fn data(&self, d: DataId) -> &Tensor {
            &self.data[d]
        }

        fn param(&self, p: ParamId) -> &Tensor {
            &self.params[p]
        }

        fn loss_error(&self, k: usize, value: &Tensor) -> Result<Tensor> {
            let term = &self.graph.losses()[k];
            $crate::net::OutputEnergy::output_error(&term.loss, value, &self.data[term.target])
        }

        fn add_directions(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
            Ok((a + b)?)
        }

        fn apply_update(&self, param: &Tensor, s: f64, direction: &Tensor) -> Result<Tensor> {
            Ok((param + direction.affine(s, 0.0)?)?)
        }

        fn add(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
            Ok((a + b)?)
        }

        fn sub(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
            Ok((a - b)?)
        }

        fn scale(&self, s: f64, a: &Tensor) -> Result<Tensor> {
            Ok(a.affine(s, 0.0)?)
        }

        fn add_scaled(&self, a: &Tensor, s: f64, b: &Tensor) -> Result<Tensor> {
            Ok((a + b.affine(s, 0.0)?)?)
        }

        fn influence(&self, energy: LatentEnergy, error: &Tensor) -> Result<Tensor> {
            energy.influence(error)
        }

        fn square(&self, a: &Tensor) -> Result<Tensor> {
            Ok(a.sqr()?)
        }

        fn over_root(&self, a: &Tensor, b: &Tensor, epsilon: f64) -> Result<Tensor> {
            Ok((a / b.sqrt()?.affine(1.0, epsilon)?)?)
        }

        fn loss_curvature(&self, k: usize, value: &Tensor, d: &Tensor) -> Result<Tensor> {
            let term = &self.graph.losses()[k];
            $crate::net::OutputEnergy::curvature(&term.loss, value, &self.data[term.target], d)
        }

        fn curvature(&self, energy: LatentEnergy, error: &Tensor, d: &Tensor) -> Result<Tensor> {
            Ok((energy.curvature(error)? * d)?)
        }

        fn sum_of_squares(&self, a: &Tensor) -> Result<Option<f64>> {
            Ok(Some(a.to_dtype(candle_core::DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?))
        }

        fn dot(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
            Ok((a * b)?.reshape((a.dim(0)?, ()))?.sum(1)?)
        }

        fn quotient(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
            let positive = (a.gt(0f64)? * b.gt(0f64)?)?;
            Ok(positive.where_cond(&(a / b)?, &a.zeros_like()?)?)
        }

        fn scale_rows(&self, s: &Tensor, a: &Tensor) -> Result<Tensor> {
            let mut shape = vec![1; a.rank()];
            shape[0] = a.dim(0)?;
            Ok(a.broadcast_mul(&s.reshape(shape)?)?)
        }
    };
}
pub(crate) use on_tensors;

/// The verbs of such engines that compute as the graph's operations say.
macro_rules! by_operations {
    () => {
        fn forward(
            &self,
            i: VertexId,
            params: &[&Tensor],
            inputs: &[&Tensor],
        ) -> Result<(Tensor, Linearization)> {
            self.graph.operation(i).forward(params, inputs)
        }

        fn vjp(
            &self,
            i: VertexId,
            slot: usize,
            params: &[&Tensor],
            at: &Linearization,
            c: &Tensor,
        ) -> Result<Tensor> {
            self.graph.operation(i).vjp(params, at, slot, c)
        }

        fn vjp_linear(
            &self,
            i: VertexId,
            slot: usize,
            params: &[&Tensor],
            at: &Linearization,
            c: &Tensor,
        ) -> Result<Tensor> {
            self.graph.operation(i).vjp_linear(params, at, slot, c)
        }

        fn param_grad(&self, i: VertexId, at: &Linearization, c: &Tensor) -> Result<Vec<Tensor>> {
            self.graph.operation(i).param_grad(at, c)
        }

        fn jvp(
            &self,
            i: VertexId,
            slot: usize,
            params: &[&Tensor],
            at: &Linearization,
            d: &Tensor,
        ) -> Result<Tensor> {
            self.graph.operation(i).jvp(params, at, slot, d)
        }
    };
}
pub(crate) use by_operations;
