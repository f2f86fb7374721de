//! One axis: its range, its ticks, and where a value lies on it.
//!
//! Ranges come from the data. plotters moves a point outside its range onto the border, which looks like a
//! measurement; here such a value has no place at all ([`Axis::share`] is `None`).

use super::number;

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Equal ratios are equally far apart.
    Log,
    /// Equal differences are equally far apart.
    Linear,
}

/// One axis of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Logarithmic or linear.
    pub spread: Spread,
    /// Value at the left or lower end.
    pub low: f64,
    /// Value at the right or upper end; above `low`.
    pub high: f64,
    /// Value and text of each labelled tick, inside the range.
    pub ticks: Vec<(f64, String)>,
    /// Ticks without text.
    pub minor: Vec<f64>,
    /// What the axis shows, with its unit where the ticks do not carry one.
    pub label: String,
}

/// How a tick's value is written.
pub type Format = fn(f64) -> String;

/// Most labelled ticks that stay readable.
const MOST_TICKS: usize = 9;

impl Axis {
    /// A logarithmic axis over the [`drawable`] ones of `values`, with 1-2-5 ticks or whole decades.
    /// `None` without such a value.
    pub fn log(label: &str, values: impl IntoIterator<Item = f64>, format: Format) -> Option<Self> {
        let (low, high) = log_range(values, 0.06)?;
        let mut axis = Self::bare(Spread::Log, low, high, label);
        axis.log_ticks(format);
        Some(axis)
    }

    /// A base-2 axis for depths: ticks at powers of two, or at the depths themselves if those are few.
    pub fn depth(label: &str, depths: impl IntoIterator<Item = usize>) -> Option<Self> {
        let mut depths: Vec<usize> = depths.into_iter().filter(|&d| d > 0).collect();
        depths.sort_unstable();
        depths.dedup();
        let (low, high) = log_range(depths.iter().map(|&d| d as f64), 0.05)?;
        let mut axis = Self::bare(Spread::Log, low, high, label);
        let powers: Vec<f64> = (0..62).map(|k| (1u64 << k) as f64).filter(|&v| axis.holds(v)).collect();
        let measured_powers = depths.iter().all(|d| d.is_power_of_two());
        let shown = if measured_powers || depths.len() > MOST_TICKS {
            powers
        } else {
            depths.iter().map(|&d| d as f64).collect()
        };
        axis.ticks = shown.into_iter().map(|v| (v, number::count(v))).collect();
        Some(axis)
    }

    /// A logarithmic axis with ticks at powers of two, those below 1 written as fractions: `1/4`, `1/2`, `1`, `2`.
    pub fn doublings(label: &str, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = log_range(values, 0.06)?;
        let mut axis = Self::bare(Spread::Log, low, high, label);
        let (first, last) = (low.log2().ceil() as i32, high.log2().floor() as i32);
        // Multiples of the stride keep 1 among the ticks.
        let stride = (1..).find(|s| (last - first) / s < MOST_TICKS as i32).unwrap_or(1);
        let text = |k: i32| {
            let power = number::count(2f64.powi(k.abs()));
            if k < 0 {
                format!("1/{power}")
            } else {
                power
            }
        };
        let exponents = (first..=last).filter(|k| k % stride == 0);
        axis.ticks = exponents.map(|k| (2f64.powi(k), text(k))).filter(|(v, _)| axis.holds(*v)).collect();
        Some(axis)
    }

    /// A linear axis from `low` to `high` with round ticks. `None` if that is not a range.
    pub fn linear(label: &str, low: f64, high: f64, format: Format) -> Option<Self> {
        if !(low.is_finite() && high.is_finite() && low < high) {
            return None;
        }
        let mut axis = Self::bare(Spread::Linear, low, high, label);
        axis.ticks = axis.round_values(6).into_iter().map(|v| (v, format(v))).collect();
        Some(axis)
    }

    /// A linear axis over the integers `first..=last` with half a unit of room at both ends, as for the
    /// cells of a heat map, and about `ticks` round ticks.
    pub fn integers(label: &str, first: usize, last: usize, ticks: usize) -> Self {
        let last = last.max(first);
        let mut axis = Self::bare(Spread::Linear, first as f64 - 0.5, last as f64 + 0.5, label);
        // Ends are what a reader looks up: prefer a step that meets the last value (16 for 64, 5 for 20).
        let steps = || (0..60).flat_map(|k| [1u64 << k, 5 << k, 25 << k]).map(|s| s as usize);
        let fair = |step: &usize| (ticks / 2 + 1..=ticks + 1).contains(&(last / step.max(&1)));
        let step =
            steps().find(|s| fair(s) && last.is_multiple_of(*s)).or(steps().filter(fair).min()).unwrap_or(1);
        let mut values: Vec<usize> = (0..=last / step).map(|i| i * step).filter(|v| *v >= first).collect();
        for end in [first, last] {
            values.retain(|v| 2 * v.abs_diff(end) >= step);
            values.push(end);
        }
        values.sort_unstable();
        axis.ticks = values.into_iter().map(|v| (v as f64, number::short(v as f64, 6))).collect();
        axis
    }

    fn bare(spread: Spread, low: f64, high: f64, label: &str) -> Self {
        Self { spread, low, high, ticks: Vec::new(), minor: Vec::new(), label: label.to_owned() }
    }

    /// Where `value` lies, 0 at the low and 1 at the high end; `None` outside the range.
    pub fn share(&self, value: f64) -> Option<f64> {
        let share = self.unclipped(value);
        // The ends themselves may miss 0 and 1 by a rounding error.
        (share.is_finite() && (-1e-9..=1.0 + 1e-9).contains(&share)).then(|| share.clamp(0.0, 1.0))
    }

    /// As [`Axis::share`], beyond the ends too; not finite where a logarithm does not exist.
    pub fn unclipped(&self, value: f64) -> f64 {
        match self.spread {
            Spread::Linear => (value - self.low) / (self.high - self.low),
            // Differences of logarithms: the ratio itself can leave the range of f64.
            Spread::Log => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
        }
    }

    fn holds(&self, value: f64) -> bool {
        self.share(value).is_some()
    }

    fn log_ticks(&mut self, format: Format) {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let at = |axis: &Self, digits: &[f64]| -> Vec<f64> {
            (first..=last)
                .flat_map(|k| digits.iter().map(move |d| d * 10f64.powi(k)))
                .filter(|&v| axis.holds(v))
                .collect()
        };
        let decades = at(self, &[1.0]);
        let fine = at(self, &[1.0, 2.0, 5.0]);
        let ticks = if decades.len() > MOST_TICKS {
            // Whole multiples of a step keep round exponents: 10⁻⁴⁰, 10⁻³⁰, …
            let step = [2, 5, 10, 20, 50, 100].into_iter().find(|s| (last - first) / s < 9).unwrap_or(200);
            (first..=last)
                .filter(|k| k % step == 0)
                .map(|k| 10f64.powi(k))
                .filter(|&v| self.holds(v))
                .collect()
        } else if fine.len() > MOST_TICKS {
            decades
        } else if fine.len() >= 3 {
            fine
        } else {
            self.round_values(5)
        };
        if decades_apart(self.low, self.high) < 7.0 {
            self.minor = at(self, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
            self.minor.retain(|v| !ticks.contains(v));
        }
        self.ticks = ticks.into_iter().map(|v| (v, format(v))).collect();
    }

    /// Multiples of 1, 2 or 5 times a power of ten inside the range, about `count` of them.
    fn round_values(&self, count: usize) -> Vec<f64> {
        let raw = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|d| d * power).into_iter().find(|s| *s >= raw * 0.999);
        let Some(step) = step.filter(|s| s.is_finite() && *s > 0.0) else { return Vec::new() };
        let first = (self.low / step).ceil() as i64;
        (0..=2 * count as i64 + 2).map(|i| (first + i) as f64 * step).filter(|&v| self.holds(v)).collect()
    }
}

fn decades_apart(low: f64, high: f64) -> f64 {
    high.log10() - low.log10()
}

/// Whether a value can stand on a logarithmic axis: positive, and far enough from the ends of `f64` that a
/// padded range holds normal numbers only.
pub fn drawable(value: f64) -> bool {
    (1e-300..=1e300).contains(&value)
}

/// Smallest and largest [`drawable`] value, with `pad` of the logarithmic span added at both ends; a
/// single value gets a factor of two on each side, so that the range is never empty.
fn log_range(values: impl IntoIterator<Item = f64>, pad: f64) -> Option<(f64, f64)> {
    let usable = values.into_iter().filter(|v| drawable(*v));
    let (low, high) = usable.fold((f64::INFINITY, 0.0), |(l, h), v| (f64::min(l, v), f64::max(h, v)));
    if high == 0.0 {
        return None;
    }
    let span = (high.ln() - low.ln()).max(0.0);
    let room = if span < 0.05 { 2f64.ln() } else { pad * span };
    Some(((low.ln() - room).exp().max(1e-306), (high.ln() + room).exp().min(1e306)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, t)| t.as_str()).collect()
    }

    #[test]
    fn depth_ticks_are_powers_of_two_or_the_depths() {
        assert_eq!(texts(&Axis::depth("L", [4, 8, 16, 128]).unwrap()), ["4", "8", "16", "32", "64", "128"]);
        assert_eq!(texts(&Axis::depth("L", [3, 6, 12]).unwrap()), ["3", "6", "12"]);
        assert_eq!(texts(&Axis::depth("L", [8]).unwrap()), ["4", "8", "16"]);
        assert!(Axis::depth("L", [0]).is_none());
    }

    #[test]
    fn doublings_are_fractions_below_one() {
        let axis = Axis::doublings("T/L", [0.25, 3.0]).unwrap();
        assert_eq!(texts(&axis), ["1/4", "1/2", "1", "2"]);
        let wide = Axis::doublings("T/L", [1e-9, 1e9]).unwrap();
        assert!(wide.ticks.len() <= MOST_TICKS + 1 && texts(&wide).contains(&"1"), "{:?}", texts(&wide));
        assert!(Axis::doublings("T/L", [1e-300, 1e300]).is_some() && Axis::doublings("T/L", [0.0]).is_none());
    }

    #[test]
    fn log_ticks_follow_the_span() {
        let time = |low: f64, high: f64| Axis::log("t", [low, high], number::time).unwrap();
        assert_eq!(texts(&time(1.2e3, 4e4)), ["1 µs", "2 µs", "5 µs", "10 µs", "20 µs"]);
        assert_eq!(texts(&time(1e3, 1e8)), ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]);
        let energy = Axis::log("F", [1e-40, 1e2], |v| number::short(v, 2)).unwrap();
        assert_eq!(texts(&energy)[..3], ["10⁻⁴⁰", "10⁻³⁰", "10⁻²⁰"]);
        assert!(energy.ticks.len() <= MOST_TICKS + 1);
        assert!(time(1.0e6, 1.1e6).ticks.len() >= 3);
    }

    #[test]
    fn nothing_usable_gives_no_axis_and_no_panic() {
        for values in [vec![], vec![0.0], vec![f64::NAN, -1.0, f64::INFINITY]] {
            assert!(Axis::log("t", values, number::time).is_none());
        }
        assert!(Axis::linear("y", 1.0, 1.0, number::time).is_none());
        for v in [1e-320, f64::MIN_POSITIVE, 1e-300, 1e300, f64::MAX] {
            if let Some(axis) = Axis::log("t", [v], number::time) {
                assert!(axis.low < axis.high);
            }
        }
    }

    #[test]
    fn every_value_of_the_data_has_a_place_and_others_have_none() {
        let axis = Axis::log("t", [3e-40, 7e2], number::time).unwrap();
        assert!(axis.share(3e-40).is_some() && axis.share(7e2).is_some());
        for outside in [1e-44, 1e6, 0.0, -1.0, f64::NAN] {
            assert_eq!(axis.share(outside), None);
        }
    }

    #[test]
    fn integer_axes_name_their_ends() {
        assert_eq!(texts(&Axis::integers("l", 1, 20, 5)), ["1", "5", "10", "15", "20"]);
        assert_eq!(texts(&Axis::integers("t", 0, 64, 5)), ["0", "16", "32", "48", "64"]);
        assert_eq!(texts(&Axis::integers("t", 3, 3, 5)), ["3"]);
        for (first, last) in [(0, 1), (1, 128), (0, 8), (5, 2)] {
            let axis = Axis::integers("t", first, last, 5);
            assert!(axis.ticks.iter().all(|(v, _)| axis.share(*v).is_some() && v.fract() == 0.0));
        }
    }
}
