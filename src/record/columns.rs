//! The columns of the CSV files of a record, in each schema.

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::schema::{AlignmentRow, RatioRow, Sample, SignalRow, SummaryRow};
use crate::suite::{Axis, Value};

/// A row of one of the CSV files.
pub(super) trait Row: Serialize + DeserializeOwned {
    /// File name within the run directory.
    const FILE: &'static str;
    /// Column names in order; a test holds them against the fields of the type.
    const COLUMNS: &'static [&'static str];
    /// The schema that introduced each of them; later ones stand at the end, and are empty where nothing was known.
    const SINCE: &'static [u32];
    /// The point this row belongs to.
    fn point(&self) -> &str;
    /// The value of a column; none where the cell is empty and where there is no such column.
    fn cell(&self, column: &str) -> Option<Value>;
}

/// The type of a column.
trait Cell {
    fn value(&self) -> Option<Value>;
}

impl Cell for String {
    fn value(&self) -> Option<Value> {
        Some(Value::word(self.clone()))
    }
}

impl Cell for usize {
    fn value(&self) -> Option<Value> {
        Some(Value::Size(*self))
    }
}

impl Cell for u64 {
    fn value(&self) -> Option<Value> {
        usize::try_from(*self).ok().map(Value::Size)
    }
}

impl Cell for u32 {
    fn value(&self) -> Option<Value> {
        u64::from(*self).value()
    }
}

impl Cell for f64 {
    fn value(&self) -> Option<Value> {
        Some(Value::Number(*self))
    }
}

impl<T: Cell> Cell for Option<T> {
    fn value(&self) -> Option<Value> {
        self.as_ref().and_then(T::value)
    }
}

impl SummaryRow {
    /// The value of an axis that the contender ran with: that of the axis's column, or, where it has none, of the point.
    pub fn axis(&self, axis: &Axis) -> Value {
        self.cell(axis.name).unwrap_or_else(|| axis.of_id(&self.point))
    }
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
            fn cell(&self, column: &str) -> Option<Value> {
                match column {
                    $(stringify!($column) => self.$column.value(),)+
                    $($(stringify!($later) => self.$later.value(),)+)*
                    _ => None,
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use crate::suite::{axis, AXES};

    /// A cell read by the name of its column is what the file has there.
    #[test]
    fn cells_are_those_of_the_file() {
        let row = fixture::summary("p", "spc/reference");
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.serialize(&row).unwrap();
        let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let texts: Vec<&str> = written.trim_end().split(',').collect();
        assert_eq!(texts.len(), SummaryRow::COLUMNS.len());
        for (column, text) in SummaryRow::COLUMNS.iter().zip(texts) {
            let cell = row.cell(column).map(|value| value.to_string());
            assert_eq!(cell.unwrap_or_default(), text, "{column}");
        }
        assert_eq!(row.cell("nothing"), None);
    }

    /// An axis whose value ids always hold has had a column since the first schema; one without a column is read from
    /// the id.
    #[test]
    fn axes_are_columns_or_stand_in_the_point() {
        let row = SummaryRow { width: 7, ..fixture::summary("p@blocks=3,width=9", "spc/reference") };
        for axis in AXES.iter().filter(|axis| axis.always) {
            assert!(columns::<SummaryRow>(1).contains(&axis.name), "{}", axis.name);
        }
        assert_eq!(row.axis(&axis::WIDTH), Value::Size(7));
        let mut other = axis::WIDTH.clone();
        other.name = "blocks";
        assert_eq!(row.axis(&other), Value::Size(3));
        other.name = "heads";
        assert_eq!(row.axis(&other), axis::WIDTH.default);
    }
}
