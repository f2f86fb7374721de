//! Parameters and their directions as one vector, parameter after parameter.

use candle_core::{DType, Device, Tensor};
use nalgebra::DVector;

use crate::net::Params;
use crate::optim::Directions;
use crate::Result;

/// Directions; 0 for a parameter that has none.
pub(super) fn directions(own: &Directions, like: &[Tensor]) -> Result<DVector<f64>> {
    let each = own.iter().zip(like).map(|(own, like)| match own {
        Some(own) => numbers(own),
        None => Ok(vec![0.0; like.elem_count()]),
    });
    Ok(DVector::from_vec(each.collect::<Result<Vec<_>>>()?.concat()))
}

/// Parameters.
pub(super) fn vector(params: &[Tensor]) -> Result<DVector<f64>> {
    Ok(DVector::from_vec(params.iter().map(numbers).collect::<Result<Vec<_>>>()?.concat()))
}

/// Parameters in f64 with the shapes of `like`, from a vector of as many numbers.
pub(super) fn params(vector: &DVector<f64>, like: &[Tensor]) -> Result<Params> {
    let mut from = 0;
    let each = like.iter().map(|like| {
        let own = &vector.as_slice()[from..from + like.elem_count()];
        from += own.len();
        Ok(Tensor::from_slice(own, like.dims(), &Device::Cpu)?)
    });
    each.collect()
}

fn numbers(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
}
