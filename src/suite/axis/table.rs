//! The table of axes. To add one, add a row: suites, ids, records, comparisons and figures follow from it. What remains
//! is the code that reads `point.axes` and gives the value its meaning.

use std::borrow::Cow;

use candle_core::DType;

use super::kinds::Typed;
use super::{Axis, Figures, Value, Values};
use crate::net::{Activation, Parameterisation};
use crate::suite::{limits, DeviceKind, StepCount};
use crate::Result;

macro_rules! axes {
    ($($(#[doc = $about:literal])+ $axis:ident $name:ident: $type:ty { $($key:ident: $value:expr),+ $(,)? })+) => {
        /// One value of every axis, with its type.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Axes {
            $($(#[doc = $about])+ pub $name: $type,)+
        }

        $($(#[doc = $about])+
        pub static $axis: Axis = Axis {
            name: stringify!($name),
            about: concat!($($about),+),
            $($key: $value,)+
            read: |axes| Typed::value(axes.$name),
            canonical: |value| Ok(<$type>::read(value)?.value()),
        };)+

        /// All axes. Points are their product, in which the last axis varies fastest.
        pub static AXES: &[&Axis] = &[$(&$axis),+];

        /// Their names.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name)),+];

        impl Axes {
            /// The axes with the values that `value` has for them.
            ///
            /// # Errors
            /// If one is no value of its axis.
            pub(in crate::suite) fn new<'a>(value: impl Fn(&Axis) -> &'a Value) -> Result<Self> {
                Ok(Self { $($name: <$type>::read(value(&$axis))?),+ })
            }
        }
    };
}

const fn word(text: &'static str) -> Value {
    Value::Word(Cow::Borrowed(text))
}

axes! {
    /// device that executes updates
    DEVICE device: DeviceKind {
        symbol: "", unit: "", values: Values::Words(|| DeviceKind::ALL.map(DeviceKind::name).to_vec()),
        default: word("cpu"), always: true, figures: Figures::Apart(4),
    }
    /// type of all numbers of states and parameters
    DTYPE dtype: DType {
        symbol: "", unit: "", values: Values::Words(|| vec!["f32", "f64"]),
        default: word("f32"), always: true, figures: Figures::Apart(3),
    }
    /// activation of hidden layers
    ACTIVATION activation: Activation {
        symbol: "φ", unit: "", values: Values::Words(|| Activation::STACKED.map(Activation::name).to_vec()),
        default: word("tanh"), always: true, figures: Figures::Apart(5),
    }
    /// scaling of layers and start of parameters
    PARAMETERISATION parameterisation: Parameterisation {
        symbol: "", unit: "", values: Values::Words(|| [&Parameterisation::NAMES[..], &["mupc-residual"]].concat()),
        default: word("sp"), always: true, figures: Figures::ApartWhereVaried(3),
    }
    /// width of hidden layers
    WIDTH width: usize {
        symbol: "N", unit: "units", values: Values::Sizes(limits::WIDTH),
        default: Value::Size(64), always: true, figures: Figures::Apart(1),
    }
    /// samples of a weight update
    BATCH batch: usize {
        symbol: "B", unit: "samples", values: Values::Sizes(limits::BATCH),
        default: Value::Size(64), always: true, figures: Figures::Apart(2),
    }
    /// step size of states or errors, per sample
    STEP_SIZE step_size: f64 {
        symbol: "g", unit: "", values: Values::Numbers(limits::STEP_SIZE),
        default: Value::Number(0.1), always: true, figures: Figures::ApartWhereVaried(2),
    }
    /// inference steps of a weight update
    STEPS steps: StepCount {
        symbol: "T", unit: "steps", values: Values::Steps(limits::STEPS),
        default: word("L"), always: true, figures: Figures::ApartWhereVaried(1),
    }
    /// share of the largest residual so far at which inference ends before its last step; 0 for never
    RESIDUAL residual: f64 {
        symbol: "", unit: "", values: Values::Numbers(limits::RESIDUAL),
        default: Value::Number(0.0), always: false, figures: Figures::ApartWhereVaried(5),
    }
    /// learning rate; 0 for that of the benchmark
    LEARNING_RATE learning_rate: f64 {
        symbol: "α", unit: "", values: Values::Numbers(limits::RATE_OR_NONE),
        default: Value::Number(0.0), always: false, figures: Figures::ApartWhereVaried(6),
    }
    /// which of many networks of one kind: added to the seed of parameters
    DRAW draw: usize {
        symbol: "", unit: "", values: Values::Sizes(limits::DRAW),
        default: Value::Size(0), always: false, figures: Figures::ApartWhereVaried(4),
    }
    /// weight layers of the network
    DEPTH depth: usize {
        symbol: "L", unit: "layers", values: Values::Sizes(limits::DEPTH),
        default: Value::Size(4), always: true, figures: Figures::Within,
    }
}
