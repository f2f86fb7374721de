//! What a contender is held against in its own record: ceiling, reference rate, and the bound of its time.

use super::schema::{Ceiling, Record, SummaryRow};

/// The size of a product of a hidden layer, as [`Ceiling::at`] has it: samples, units and inputs.
pub fn product_size(batch: usize, width: usize) -> String {
    format!("{batch}x{width}x{width}")
}

impl Record {
    /// The rate that no product of this contender can exceed: multiply-adds between registers in its dtype and on as many
    /// threads. None on other devices than the CPU, in records of schemas before 4, and where none was measured.
    pub fn ceiling(&self, row: &SummaryRow) -> Option<&Ceiling> {
        self.rate("fma", row)
    }

    /// The best rate of matrix products that we know to make at the sizes of its hidden layers, in its dtype, on its device and
    /// on as many threads; in records without those, that of square products of the best size. It can be exceeded.
    pub fn reference_rate(&self, row: &SummaryRow) -> Option<&Ceiling> {
        let at = product_size(row.batch, row.width);
        self.rates("product", row).find(|c| c.at == at).or_else(|| self.rate("gemm", row))
    }

    fn rate(&self, quantity: &'static str, row: &SummaryRow) -> Option<&Ceiling> {
        self.rates(quantity, row).next()
    }

    fn rates<'a>(&'a self, quantity: &'static str, row: &SummaryRow) -> impl Iterator<Item = &'a Ceiling> {
        let asked = row.contender.rsplit_once(':').and_then(|(_, n)| n.parse().ok());
        let threads = asked.unwrap_or(self.run.threads);
        let (dtype, device) = (row.dtype.clone(), row.device.clone());
        let alike = move |c: &&Ceiling| {
            c.quantity == quantity && c.dtype == dtype && c.device == device && c.threads == threads
        };
        self.run.ceilings.iter().filter(alike).filter(|c| c.per_second.is_finite() && c.per_second > 0.0)
    }

    /// The time in nanoseconds that no program computing this row's result can go below on this machine: the larger of its
    /// least FLOPs at the ceiling and its least bytes at the memory's best rate.
    ///
    /// Bytes that fit into the caches need not move, neither those that are read nor those that are written. Where the size
    /// of the caches is unknown the bound is that of the FLOPs. None without a ceiling.
    pub fn bound_ns(&self, row: &SummaryRow) -> Option<f64> {
        let arithmetic = row.least_gemm_flops? as f64 / self.ceiling(row)?.per_second;
        let moved =
            |cache: u64| row.least_bytes.map_or(0, |bytes| bytes.saturating_sub(cache.saturating_mul(2)));
        let beyond = self.machine.cache_bytes.map_or(0, moved) as f64;
        let memory = self.run.ceilings.iter().filter(|c| ["copy", "read"].contains(&&*c.quantity));
        let best = memory.filter(|c| c.device == row.device).map(|c| c.per_second).fold(0.0, f64::max);
        let moving = if best > 0.0 { beyond / best } else { 0.0 };
        Some(1e9 * arithmetic.max(moving))
    }

    /// A sentence for each contender that was faster than its bound, which only a ceiling that is too low can explain.
    pub fn beaten_bounds(&self) -> Vec<String> {
        let beaten = self.summary.iter().filter(|row| row.n > 0 && row.err.is_empty()).filter_map(|row| {
            let bound = self.bound_ns(row)?;
            ((row.median_ns as f64) < bound).then(|| {
                format!(
                    "{} at {} took {} ns, less than the bound of {bound:.0} ns: the ceiling of multiply-adds of this run is too \
                     low, and with it every share of the ceiling too high; run again on a quiet machine",
                    row.contender, row.point, row.median_ns
                )
            })
        });
        beaten.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use crate::record::schema::Record;

    fn rate(quantity: &str, threads: usize, per_second: f64) -> Ceiling {
        let (quantity, dtype, device) = (quantity.to_owned(), "f32".to_owned(), "cpu".to_owned());
        Ceiling { quantity, dtype, device, threads, at: String::new(), per_second, clock_hz: None, by: None }
    }

    /// Two threads in all; least work 6·10⁶ FLOPs and 10⁶ bytes.
    fn record() -> (Record, SummaryRow) {
        let mut run = fixture::run();
        run.threads = 2;
        run.ceilings = vec![
            rate("gemm", 2, 9e9),
            rate("fma", 2, 2e9),
            rate("fma", 1, 1e9),
            rate("copy", 2, 1e8),
            rate("read", 2, 2e8),
        ];
        let row = SummaryRow {
            dtype: "f32".into(),
            device: "cpu".into(),
            least_gemm_flops: Some(6_000_000),
            least_bytes: Some(1_000_000),
            ..fixture::summary("p", "bp/fused")
        };
        let record = Record {
            dir: "r".into(),
            run,
            machine: fixture::machine(),
            samples: vec![],
            summary: vec![row.clone()],
            ratios: vec![],
            signals: vec![],
            alignments: vec![],
            regimes: vec![],
            training: vec![],
            quantities: vec![],
        };
        (record, row)
    }

    #[test]
    fn the_bound_is_flops_at_the_ceiling_of_as_many_threads() {
        let (mut record, mut row) = record();
        record.machine.cache_bytes = None;
        assert_eq!(record.bound_ns(&row), Some(3e6), "6·10⁶ at 2·10⁹ per second");
        row.contender = "bp/fused:1".into();
        assert_eq!(record.bound_ns(&row), Some(6e6));
        row.contender = "bp/fused:3".into();
        assert_eq!(record.bound_ns(&row), None, "no ceiling on three threads");
        row.contender = "bp/fused".into();
        row.dtype = "f64".into();
        assert_eq!(record.bound_ns(&row), None, "nor in f64");
        assert_eq!(record.reference_rate(&record.summary[0]).unwrap().per_second, 9e9);
    }

    #[test]
    fn the_reference_rate_is_that_of_the_sizes_of_the_point() {
        let (mut record, row) = record();
        let product = |at: String, threads| Ceiling { at, ..rate("product", threads, 7e9) };
        let own = product_size(row.batch, row.width);
        let others = [product("1x2x2".into(), 2), product(own.clone(), 1)];
        record.run.ceilings.extend(others);
        assert_eq!(record.reference_rate(&row).unwrap().quantity, "gemm", "other sizes, other threads");
        record.run.ceilings.push(product(own, 2));
        assert_eq!(record.reference_rate(&row).unwrap().per_second, 7e9);
    }

    /// Only what does not fit into the caches counts, once for what is read and once for what is written, at the better of
    /// the two rates.
    #[test]
    fn bytes_count_beyond_the_caches() {
        let (mut record, row) = record();
        record.machine.cache_bytes = Some(500_000);
        assert_eq!(record.bound_ns(&row), Some(3e6));
        record.machine.cache_bytes = Some(100_000);
        assert_eq!(record.bound_ns(&row), Some(4e6), "8·10⁵ at 2·10⁸ per second");
        record.machine.cache_bytes = Some(u64::MAX);
        assert_eq!(record.bound_ns(&row), Some(3e6));
    }

    #[test]
    fn a_bound_that_is_beaten_is_said_to_be() {
        let (mut record, mut row) = record();
        record.machine.cache_bytes = None;
        (row.n, row.median_ns) = (5, 3_000_000);
        record.summary = vec![row.clone()];
        assert!(record.beaten_bounds().is_empty());
        row.median_ns -= 1;
        record.summary.push(SummaryRow {
            contender: "bp/fused:1".into(),
            err: "failed".into(),
            ..row.clone()
        });
        record.summary.push(row);
        let said = record.beaten_bounds();
        assert_eq!(said.len(), 1);
        assert!(
            said[0].contains("bp/fused at p took 2999999 ns, less than the bound of 3000000 ns"),
            "{said:?}"
        );
    }
}
