//! The CSV files of a record: rows to and from bytes.
//!
//! Floats are written with the shortest digits that read back as the same bits.

use std::path::Path;

use super::columns::{self, columns, Row};
use super::schema::{AlignmentRow, RatioRow, Record, Sample, SignalRow, SummaryRow};
use super::store::PointResult;
use crate::{Error, Result};
use csv::{ErrorKind, Reader, StringRecord, WriterBuilder};

/// The header line of an empty file.
pub(super) fn header<R: Row>() -> Vec<u8> {
    let mut bytes = R::COLUMNS.join(",").into_bytes();
    bytes.push(b'\n');
    bytes
}

/// Appends `rows` to the bytes of a file.
pub(super) fn append<R: Row>(bytes: &mut Vec<u8>, rows: &[R]) -> Result<()> {
    let mut writer = WriterBuilder::new().has_headers(false).from_writer(bytes);
    let written = rows.iter().try_for_each(|row| writer.serialize(row));
    written
        .and_then(|()| Ok(writer.flush()?))
        .map_err(|e| Error::content(Path::new(R::FILE), format!("a row cannot be written as CSV: {e}")))
}

/// The rows of a file in a record of `schema`; `path` is for messages only.
pub(super) fn parse<R: Row>(path: &Path, bytes: &[u8], schema: u32) -> Result<Vec<R>> {
    // Without this a file cut off inside its last number would read as a smaller number.
    if bytes.last().is_some_and(|&last| last != b'\n') {
        return Err(Error::content(path, "the last line is cut off; restore the file or measure again"));
    }
    let mut reader = Reader::from_reader(bytes);
    let found = reader.headers().map_err(|e| malformed(path, &e))?.clone();
    check_header::<R>(path, &found, schema)?;
    let names = StringRecord::from(columns::<R>(schema));
    let mut rows = Vec::new();
    let mut cells = StringRecord::new();
    while reader.read_record(&mut cells).map_err(|e| malformed(path, &e))? {
        let row = cells.deserialize(Some(&names)).map_err(|e| bad_cell::<R>(path, &cells, &e))?;
        rows.push(row);
    }
    Ok(rows)
}

fn check_header<R: Row>(path: &Path, found: &StringRecord, schema: u32) -> Result<()> {
    let columns = columns::header::<R>(schema);
    if found.iter().eq(columns.iter().copied()) {
        return Ok(());
    }
    let unknown = found.iter().find(|name| !columns.contains(name));
    let missing = columns.iter().find(|&&name| !found.iter().any(|other| other == name));
    let what = match (unknown, missing) {
        (Some(name), _) => format!("column `{name}` is unknown"),
        (None, Some(name)) => format!("column `{name}` is missing"),
        (None, None) => "the columns are repeated or in another order".to_owned(),
    };
    let columns = columns.join(",");
    Err(Error::content(path, format!("line 1: {what}; schema {schema} has exactly `{columns}`")))
}

/// A line that is not CSV of the right shape.
fn malformed(path: &Path, error: &csv::Error) -> Error {
    let line = error.position().map_or(0, |p| p.line());
    let problem = match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("line {line}: {len} cells, but the header has {expected_len} columns")
        }
        ErrorKind::Utf8 { err, .. } => format!("line {line}, cell {}: not valid UTF-8", err.field() + 1),
        _ => format!("line {line}: not readable as CSV: {error}"),
    };
    Error::content(path, problem)
}

/// A cell that does not hold what its column is for.
fn bad_cell<R: Row>(path: &Path, cells: &StringRecord, error: &csv::Error) -> Error {
    let line = cells.position().map_or(0, |p| p.line());
    let ErrorKind::Deserialize { err, .. } = error.kind() else {
        return Error::content(path, format!("line {line}: {error}"));
    };
    let column = err.field().and_then(|i| usize::try_from(i).ok()).unwrap_or(usize::MAX);
    let (Some(name), Some(cell)) = (R::COLUMNS.get(column), cells.get(column)) else {
        return Error::content(path, format!("line {line}: {}", err.kind()));
    };
    Error::content(path, format!("line {line}, column `{name}`: cannot use `{cell}`: {}", err.kind()))
}

/// The bytes of all CSV files.
#[derive(Debug)]
pub(super) struct Tables {
    samples: Vec<u8>,
    ratios: Vec<u8>,
    signals: Vec<u8>,
    alignments: Vec<u8>,
    summary: Vec<u8>,
}

impl Tables {
    /// Headers only.
    pub(super) fn empty() -> Self {
        Self {
            samples: header::<Sample>(),
            ratios: header::<RatioRow>(),
            signals: header::<SignalRow>(),
            alignments: header::<AlignmentRow>(),
            summary: header::<SummaryRow>(),
        }
    }

    /// All rows of a record.
    pub(super) fn of(record: &Record) -> Result<Self> {
        let mut tables = Self::empty();
        append(&mut tables.samples, &record.samples)?;
        append(&mut tables.ratios, &record.ratios)?;
        append(&mut tables.signals, &record.signals)?;
        append(&mut tables.alignments, &record.alignments)?;
        append(&mut tables.summary, &record.summary)?;
        Ok(tables)
    }

    /// In the order in which they must reach the disk.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Vec<u8>)> {
        [
            (Sample::FILE, &self.samples),
            (RatioRow::FILE, &self.ratios),
            (SignalRow::FILE, &self.signals),
            (AlignmentRow::FILE, &self.alignments),
            (SummaryRow::FILE, &self.summary),
        ]
        .into_iter()
    }

    /// The rows of one more point.
    pub(super) fn append(&mut self, result: &PointResult) -> Result<()> {
        append(&mut self.samples, &result.samples)?;
        append(&mut self.ratios, &result.ratios)?;
        append(&mut self.signals, &result.signals)?;
        append(&mut self.alignments, &result.alignments)?;
        append(&mut self.summary, &result.summary)
    }

    /// The length of each file, in the order of [`Self::files`].
    pub(super) fn lengths(&self) -> [usize; 5] {
        let tables = [&self.samples, &self.ratios, &self.signals, &self.alignments, &self.summary];
        tables.map(Vec::len)
    }

    /// Takes back what was appended since [`Self::lengths`] was asked.
    pub(super) fn truncate(&mut self, lengths: [usize; 5]) {
        let Self { samples, ratios, signals, alignments, summary } = self;
        let tables = [samples, ratios, signals, alignments, summary];
        for (bytes, length) in tables.into_iter().zip(lengths) {
            bytes.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::fixture::{alignment, ratio, sample, signal, summary};
    use crate::record::schema::SCHEMA;

    fn columns_are_the_fields<R: Row>(row: &R) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row).unwrap();
        let written = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(written.lines().next().unwrap(), R::COLUMNS.join(","), "{}", R::FILE);
    }

    /// A field added to a type but not to its columns would shift every cell after it.
    #[test]
    fn columns() {
        columns_are_the_fields(&sample("p", "bp/reference", 0, 1));
        columns_are_the_fields(&summary("p", "bp/reference"));
        columns_are_the_fields(&ratio("p", "spc/reference", "bp/reference"));
        columns_are_the_fields(&signal("p", 0));
        columns_are_the_fields(&alignment("p", 0));
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert_eq!(parse::<SignalRow>(Path::new("f"), &header::<SignalRow>(), SCHEMA).unwrap(), vec![]);
        let refused = parse::<SignalRow>(Path::new("signals.csv"), b"", SCHEMA).unwrap_err().to_string();
        assert!(refused.starts_with("signals.csv: line 1: column `point` is missing"), "{refused}");
    }

    /// A file has the columns of its record's schema, no more and no fewer; what a schema did not know is absent.
    #[test]
    fn older_records_have_fewer_columns() {
        let old = b"point,contender,round,wall_ns,device_ns,checksum\np,c,0,1,,1.5\n";
        let rows = parse::<Sample>(Path::new("f"), old, 1).unwrap();
        assert_eq!(rows, [Sample { checksum: 1.5, ..sample("p", "c", 0, 1) }]);
        let refused =
            |bytes: &[u8], schema| parse::<Sample>(Path::new("f"), bytes, schema).unwrap_err().to_string();
        let missing = refused(old, 2);
        assert!(
            missing.starts_with("f: line 1: column `delay_ns` is missing; schema 2 has exactly"),
            "{missing}"
        );
        let unknown = refused(&header::<Sample>(), 1);
        assert!(
            unknown.starts_with("f: line 1: column `delay_ns` is unknown; schema 1 has exactly"),
            "{unknown}"
        );
    }

    /// Two columns of the summary had other names; what they held is the same.
    #[test]
    fn renamed_columns_are_read_under_their_old_names() {
        let row = SummaryRow {
            inference_over_bp: Some(16.8),
            parallel_over_bp: Some(1.5),
            ..summary("p", "spc/fused")
        };
        let mut bytes = header::<SummaryRow>();
        append(&mut bytes, std::slice::from_ref(&row)).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let kept = columns::columns::<SummaryRow>(3).len();
        let cut = |line: &str| line.split(',').take(kept).collect::<Vec<_>>().join(",") + "\n";
        let old: String = text.lines().map(cut).collect();
        let (then, now) = (["bound_serial", "bound_parallel"], ["inference_over_bp", "parallel_over_bp"]);
        let renamed = old.replace(now[0], then[0]).replace(now[1], then[1]);
        let read = |text: &str, schema| parse::<SummaryRow>(Path::new("f"), text.as_bytes(), schema);
        let back = &read(&renamed, 3).unwrap()[0];
        assert_eq!((back.inference_over_bp, back.parallel_over_bp), (Some(16.8), Some(1.5)));
        let refused = read(&old, 3).unwrap_err().to_string();
        assert!(refused.contains("column `inference_over_bp` is unknown"), "{refused}");
        let refused = read(&text.replace(now[0], then[0]), SCHEMA).unwrap_err().to_string();
        assert!(refused.contains("column `bound_serial` is unknown"), "{refused}");
    }

    proptest! {
        /// Every float, every text and every integer reads back as the same bits.
        #[test]
        fn rows_round_trip(bits: u64, ns: u64, device: Option<u64>, round: u32, text in any::<String>()) {
            let mut row = sample(&text, &text, round, ns);
            (row.device_ns, row.checksum) = (device, f64::from_bits(bits));
            let mut bytes = header::<Sample>();
            append(&mut bytes, std::slice::from_ref(&row)).unwrap();
            let back = &parse::<Sample>(Path::new("f"), &bytes, SCHEMA).unwrap()[0];
            if row.checksum.is_nan() {
                prop_assert!(back.checksum.is_nan());
            } else {
                prop_assert_eq!(back.checksum.to_bits(), bits);
                prop_assert_eq!(back, &row);
            }
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read(bytes: Vec<u8>) {
            let _ = parse::<SummaryRow>(Path::new("f"), &bytes, SCHEMA);
            let _ = parse::<Sample>(Path::new("f"), &[header::<Sample>(), bytes].concat(), SCHEMA);
        }
    }

    #[test]
    fn refusals_name_file_line_and_column() {
        let cases: [(&[u8], &str); 8] = [
            (b"p,c,0,1,,1.5,,,,", "the last line is cut off"),
            (b"p,c,0,1,,1.5,,,,\np,c,x,1,,1.5,,,,\n", "line 3, column `round`: cannot use `x`"),
            (b"p,c,0,-1,,1.5,,,,\n", "line 2, column `wall_ns`: cannot use `-1`"),
            (b"p,c,0,1,1.5,1.5,,,,\n", "line 2, column `device_ns`: cannot use `1.5`"),
            (b"p,c,0,1,,,,,,\n", "line 2, column `checksum`: cannot use ``"),
            (b"p,c,4294967296,1,,1,,,,\n", "line 2, column `round`: cannot use `4294967296`"),
            (b"p,c,0,1,1.5\n", "line 2: 5 cells, but the header has 10 columns"),
            (b"p,c,0,1,,1.5,,,,\n\xff,c,0,1,,1.5,,,,\n", "line 3, cell 1: not valid UTF-8"),
        ];
        for (body, expected) in cases {
            let bytes = [header::<Sample>(), body.to_vec()].concat();
            let message =
                parse::<Sample>(Path::new("r/samples.csv"), &bytes, SCHEMA).unwrap_err().to_string();
            assert!(message.starts_with(&format!("r/samples.csv: {expected}")), "{message}");
        }
        let header = b"point,contender,round,wall,device_ns,checksum\n";
        let message = parse::<Sample>(Path::new("samples.csv"), header, SCHEMA).unwrap_err().to_string();
        assert!(message.starts_with("samples.csv: line 1: column `wall` is unknown"), "{message}");
    }
}
