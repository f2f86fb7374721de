//! Errors in one line.

/// Returns an error made of a format string. Candle's own `bail!` adds a call stack where `RUST_BACKTRACE` is set,
/// which does not help a caller whose shapes do not fit.
macro_rules! refuse {
    ($($words:tt)*) => {
        return Err(candle_core::Error::Msg(format!($($words)*)))
    };
}
pub(crate) use refuse;
