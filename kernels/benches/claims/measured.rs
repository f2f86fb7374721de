//! What lines are made of: series of the same rounds, computed with, and what they were measured with.

use candle_core::Result;
use pcnbench_kernels::sampler::{Samples, Series, Spread};

use crate::common::said;

/// A series, with the fewest calls per sample and the clock's readings of all that it was computed from.
#[derive(Clone)]
pub struct Measured {
    pub series: Series,
    pub calls: usize,
    pub mhz: Vec<f64>,
}

/// Or why there is none.
pub type Outcome = std::result::Result<Measured, String>;

fn of(samples: &Result<Samples>, which: impl Fn(&Samples) -> Series) -> Outcome {
    match samples {
        Ok(samples) => {
            Ok(Measured { series: which(samples), calls: samples.calls, mhz: samples.mhz.clone() })
        }
        Err(error) => Err(said(error)),
    }
}

/// Nanoseconds of the device per call.
pub fn device(samples: &Result<Samples>) -> Outcome {
    of(samples, |samples| samples.device.clone())
}

/// Nanoseconds of the wall clock per call.
pub fn wall(samples: &Result<Samples>) -> Outcome {
    of(samples, |samples| samples.wall.clone())
}

/// Something of two series, round by round.
pub fn both(a: &Outcome, b: &Outcome, f: impl Fn(&Series, &Series) -> Series) -> Outcome {
    let (a, b) = (a.as_ref().map_err(Clone::clone)?, b.as_ref().map_err(Clone::clone)?);
    Ok(Measured {
        series: f(&a.series, &b.series),
        calls: a.calls.min(b.calls),
        mhz: [&a.mhz[..], &b.mhz].concat(),
    })
}

/// a / b.
pub fn over(a: &Outcome, b: &Outcome) -> Outcome {
    both(a, b, Series::over)
}

/// What one more costs, of which `many` have `difference` more than `few`.
pub fn marginal(many: &Outcome, few: &Outcome, difference: usize) -> Outcome {
    both(many, few, |many, few| many.marginal(few, difference))
}

/// f of every number.
pub fn each(a: &Outcome, f: impl Fn(f64) -> f64) -> Outcome {
    a.clone().map(|a| Measured { series: a.series.each(f), ..a })
}

/// The quickest that there is, by the median.
pub fn quickest<'a>(all: impl IntoIterator<Item = &'a Outcome>) -> Outcome {
    let mut best: Option<(f64, &Outcome)> = None;
    let mut none = Err("nothing was measured".to_owned());
    for outcome in all {
        match outcome {
            Ok(measured) => {
                let Spread { median, .. } = measured.series.spread();
                if best.is_none_or(|(least, _)| median < least) {
                    best = Some((median, outcome));
                }
            }
            Err(_) => none = outcome.clone(),
        }
    }
    best.map_or(none, |(_, outcome)| outcome.clone())
}
