//! What the threads of an update have found, put together.

use candle_core::{Device, Tensor};
use pcnbench_kernels::parts::{vectorised, Scalar, Threads};

use crate::engine::chunk::{Numbers, Param};
use crate::net::Named;
use crate::Result;

/// Numbers of a direction that a thread sums at a time, and the rows that it sums at least: a cache line of outputs.
const AT_A_TIME: usize = 1 << 16;
const ROWS: usize = 16;

/// Directions by parameter; `None` where they are zero.
pub(super) type Sums<T> = Vec<Option<Numbers<T>>>;

/// The directions d that all threads have found together, or θ + rate·d; `None` where d is zero.
pub(super) fn total<T: Scalar>(
    threads: &Threads,
    (params, named): (&[Param<'_, T>], &[Named]),
    parts: &[Sums<T>],
    rate: Option<f64>,
) -> Result<Vec<Option<Tensor>>> {
    let of = |p: usize| -> Vec<&[T]> {
        parts.iter().filter_map(|part| part.get(p)?.as_ref()).map(|own| &own[..]).collect()
    };
    let mut totals: Vec<(Vec<&[T]>, Vec<T>)> = (0..params.len()).map(|p| (of(p), Vec::new())).collect();
    let mut jobs = Vec::new();
    for (((parts, total), named), param) in totals.iter_mut().zip(named).zip(params) {
        if parts.is_empty() {
            continue;
        }
        *total = vec![T::default(); named.shape.iter().product()];
        let rows = named.shape.first().copied().unwrap_or(1);
        let row = (total.len() / rows.max(1)).max(1);
        let rows = rows.min((AT_A_TIME / row).max(ROWS));
        let each = total.chunks_mut(rows * row).enumerate();
        jobs.extend(each.map(|(k, out)| (&*parts, param, &named.shape, k * rows, out)));
    }
    threads.share(jobs, |(parts, param, shape, first, out)| {
        param.sum_rows(parts, first, out);
        if let Some(rate) = rate {
            let start = first * (param.numbers().len() / shape.first().copied().unwrap_or(1).max(1));
            let (rate, theta) = (T::of(rate), &param.numbers()[start..]);
            vectorised(
                #[inline(always)]
                || out.iter_mut().zip(theta).for_each(|(d, &theta)| *d = theta + rate * *d),
            );
        }
    })?;
    let tensor = |((parts, total), named): ((Vec<&[T]>, Vec<T>), &Named)| {
        let found = !parts.is_empty();
        found.then(|| Ok(Tensor::from_vec(total, &named.shape[..], &Device::Cpu)?)).transpose()
    };
    totals.into_iter().zip(named).map(tensor).collect()
}
