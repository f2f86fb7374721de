//! Numbers as a reader of an axis wants them: human units, superscript exponents, no noise digits.

/// `value` with `digits` significant digits, without trailing zeros; large and small values in powers of ten.
pub fn short(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { "not finite".into() };
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&exponent) {
        let mantissa = short(value / 10f64.powi(exponent), digits);
        return match mantissa.as_str() {
            "1" => power_of_ten(exponent),
            "10" => power_of_ten(exponent + 1),
            _ => format!("{mantissa}×{}", power_of_ten(exponent)),
        };
    }
    let places = (digits as i32 - 1 - exponent).max(0) as usize;
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

/// `10ⁿ` with a superscript exponent.
pub fn power_of_ten(exponent: i32) -> String {
    format!("10{}", superscript(exponent))
}

/// An integer in superscript digits.
pub fn superscript(value: i32) -> String {
    let raise = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        // U+2070 + d for the other digits.
        other => other.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(other),
    };
    value.to_string().chars().map(raise).collect()
}

/// Nanoseconds in the unit a person would choose.
pub fn time(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

/// Operations per second with an SI prefix.
pub fn flops(per_second: f64) -> String {
    const UNITS: [(f64, &str); 6] = [
        (1.0, "FLOP/s"),
        (1e3, "kFLOP/s"),
        (1e6, "MFLOP/s"),
        (1e9, "GFLOP/s"),
        (1e12, "TFLOP/s"),
        (1e15, "PFLOP/s"),
    ];
    scaled(per_second, &UNITS)
}

/// Bytes per second with an SI prefix.
pub fn bytes(per_second: f64) -> String {
    scaled(per_second, &[(1.0, "B/s"), (1e3, "kB/s"), (1e6, "MB/s"), (1e9, "GB/s"), (1e12, "TB/s")])
}

/// A count with an SI suffix above a thousand.
pub fn count(value: f64) -> String {
    if value.abs() < 9_999.5 {
        return short(value, 4);
    }
    scaled(value, &[(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")])
}

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    format!("{} %", short(100.0 * share, 2))
}

/// `value` in the largest unit that leaves at least one whole.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    // A value a rounding error below the next unit still belongs to that unit.
    let unit = units.iter().rev().find(|(size, _)| value.abs() >= size * 0.9995).or(units.first());
    match unit {
        Some((size, name)) => format!("{} {name}", short(value / size, 3)),
        None => short(value, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_in_their_own_unit() {
        let cases = [(0.5, "0.5 ns"), (750.0, "750 ns"), (1e3, "1 µs"), (999.9, "1 µs"), (2.5e6, "2.5 ms")];
        for (ns, text) in cases.into_iter().chain([(1e9, "1 s"), (3.6e12, "3600 s"), (1.2345e4, "12.3 µs")])
        {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn powers_and_shares() {
        assert_eq!(power_of_ten(-38), "10⁻³⁸");
        assert_eq!(superscript(1234567890), "¹²³⁴⁵⁶⁷⁸⁹⁰");
        assert_eq!(short(1e-7, 3), "10⁻⁷");
        assert_eq!(short(2.5e-40, 3), "2.5×10⁻⁴⁰");
        assert_eq!(short(-0.25, 3), "−0.25");
        assert_eq!(short(f64::NAN, 3), "not finite");
        assert_eq!(percent(0.1234), "12 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!((count(1024.0), count(20_000.0)), ("1024".to_owned(), "20 k".to_owned()));
        assert_eq!(flops(1.5e11), "150 GFLOP/s");
    }
}
