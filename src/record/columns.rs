//! The columns of the CSV files of a record.

use serde::de::DeserializeOwned;
use serde::Serialize;

use super::layered::Layered;
use super::regime::RegimeRow;
use super::schema::{AlignmentRow, QuantityRow, RatioRow, Sample, SignalRow, Status, SummaryRow};
use super::training::TrainingRow;
use crate::suite::{Axis, Value};

/// A row of one of the CSV files.
pub(super) trait Row: Serialize + DeserializeOwned {
    /// File name within the run directory.
    const FILE: &'static str;
    /// Whether a record has this file only if there are rows in it; every record has the others.
    const OPTIONAL: bool;
    /// Column names in order; a test holds them against the fields of the type.
    const COLUMNS: &'static [&'static str];
    /// How many of them, the last, came later: a file has all of these or, in a record from before them, none, and empty cells in their
    /// place.
    const LATER: usize;
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

impl Cell for Status {
    fn value(&self) -> Option<Value> {
        Some(Value::word(self.name()))
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

impl Cell for Layered {
    fn value(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::word(self.to_string()))
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
    (@optional) => { false };
    (@optional optional) => { true };
    ($($row:ident in $($optional:ident)? $file:literal: $($column:ident)+ $([$($later:ident)+])?;)+) => {$(
        impl Row for $row {
            const FILE: &'static str = $file;
            const OPTIONAL: bool = rows!(@optional $($optional)?);
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column),)+ $($(stringify!($later)),+)?];
            const LATER: usize = <[&str]>::len(&[$($(stringify!($later)),+)?]);
            fn point(&self) -> &str {
                &self.point
            }
            fn cell(&self, column: &str) -> Option<Value> {
                match column {
                    $(stringify!($column) => self.$column.value(),)+
                    $($(stringify!($later) => self.$later.value(),)+)?
                    _ => None,
                }
            }
        }
    )+};
}

rows! {
    Sample in "samples.csv": point contender instance round executions wall_ns device_ns checksum delay_ns sm_clock_mhz;
    SummaryRow in "summary.csv": point benchmark model contender baseline rule engine architecture parameterisation
        activation depth width batch steps step_size dtype device updates status err n min_ns q1_ns median_ns q3_ns mad_ns
        median_low_ns median_high_ns gemms gemm_flops elementwise_flops bytes critical_path inference_over_bp
        parallel_over_bp least_gemms least_gemm_flops least_bytes trained_layers verify test_accuracy train_updates stop
        contended host_bound peak_bytes device_peak_bytes energy_uj allocations allocated_bytes instructions;
    RatioRow in "ratios.csv": point contender baseline ratio low high pairs instances freedom;
    SignalRow in "signals.csv": point contender step layer energy;
    AlignmentRow in "alignments.csv": point contender layer cosine norm_ratio bp_norm energy;
    TrainingRow in optional "training.csv": point contender update epoch seconds learning_rate step_size energy validation_loss
        validation_accuracy test_loss test_accuracy step_times_curvature cosine lowest_quarter_cosine layers silent_layers [
        norm_ratio layer_cosines layer_norm_ratios];
    QuantityRow in optional "quantities.csv": point contender quantity at value;
    RegimeRow in optional "regimes.csv": point contender samples layers curvature_in step_times_curvature relaxed_flattest
        relaxed_steepest cosine norm_ratio lowest_quarter_cosine zero_layers rounded_layers [layer_cosines layer_norm_ratios];
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

    /// An axis whose value ids always hold has a column; one without a column is read from the id.
    #[test]
    fn axes_are_columns_or_stand_in_the_point() {
        let row = SummaryRow { width: 7, ..fixture::summary("p@blocks=3,width=9", "spc/reference") };
        for axis in AXES.iter().filter(|axis| axis.always) {
            assert!(SummaryRow::COLUMNS.contains(&axis.name), "{}", axis.name);
        }
        assert_eq!(row.axis(&axis::WIDTH), Value::Size(7));
        let mut other = axis::WIDTH.clone();
        other.name = "blocks";
        assert_eq!(row.axis(&other), Value::Size(3));
        other.name = "heads";
        assert_eq!(row.axis(&other), axis::WIDTH.default);
    }
}
