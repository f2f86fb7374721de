//! The columns of the CSV files of a record, in each schema.

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::schema::{AlignmentRow, RatioRow, Sample, SignalRow, SummaryRow};

/// A row of one of the CSV files.
pub(super) trait Row: Serialize + DeserializeOwned {
    /// File name within the run directory.
    const FILE: &'static str;
    /// Column names in order; a test holds them against the fields of the type.
    const COLUMNS: &'static [&'static str];
    /// The schema that brought each of them; later ones stand at the end, and are empty where nothing was known.
    const SINCE: &'static [u32];
    /// The point this row belongs to.
    fn point(&self) -> &str;
}

macro_rules! rows {
    ($($row:ident in $file:literal: $($column:ident)+ $(| $schema:literal: $($later:ident)+)*;)+) => {$(
        impl Row for $row {
            const FILE: &'static str = $file;
            const COLUMNS: &'static [&'static str] =
                &[$(stringify!($column)),+ $(, $(stringify!($later)),+)*];
            const SINCE: &'static [u32] =
                &[$(since(1, stringify!($column))),+ $(, $(since($schema, stringify!($later))),+)*];
            fn point(&self) -> &str {
                &self.point
            }
        }
    )+};
}

const fn since(schema: u32, _column: &str) -> u32 {
    schema
}

rows! {
    Sample in "samples.csv": point contender round wall_ns device_ns checksum | 2: delay_ns sm_clock_mhz
        | 3: executions | 4: instance;
    SummaryRow in "summary.csv": point benchmark model contender baseline rule engine parameterisation activation
        depth width batch steps step_size dtype device updates n min_ns q1_ns median_ns q3_ns mad_ns median_low_ns
        median_high_ns gemms gemm_flops elementwise_flops bytes critical_path inference_over_bp parallel_over_bp verify
        test_accuracy train_updates stop err | 2: contended host_bound peak_bytes energy_uj | 3: device_peak_bytes
        | 4: trained_layers allocations allocated_bytes instructions least_gemms least_gemm_flops least_bytes;
    RatioRow in "ratios.csv": point contender baseline ratio low high pairs | 4: instances freedom;
    SignalRow in "signals.csv": point contender step layer energy;
    AlignmentRow in "alignments.csv": point contender layer cosine norm_ratio bp_norm energy;
}

/// Columns that had another name in older records: the first schema with the new one, the new, the old.
const RENAMED: [(u32, &str, &str); 2] =
    [(4, "inference_over_bp", "bound_serial"), (4, "parallel_over_bp", "bound_parallel")];

/// The columns of a file in a record of `schema`, under the names they have now.
pub(super) fn columns<R: Row>(schema: u32) -> &'static [&'static str] {
    &R::COLUMNS[..R::SINCE.partition_point(|since| *since <= schema)]
}

/// The same under the names they had then.
pub(super) fn header<R: Row>(schema: u32) -> Vec<&'static str> {
    let then = |now: &&'static str| {
        let renamed = RENAMED.iter().find(|(since, new, _)| new == now && schema < *since);
        renamed.map_or(*now, |(_, _, old)| *old)
    };
    columns::<R>(schema).iter().map(then).collect()
}
