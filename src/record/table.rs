//! The CSV files of a record: rows to and from bytes.
//!
//! Floats are written with the shortest digits that read back as the same bits.

use std::path::Path;

use super::columns::Row;
use super::regime::RegimeRow;
use super::schema::PointResult;
use super::schema::{AlignmentRow, QuantityRow, RatioRow, Record, Sample, SignalRow, SummaryRow};
use super::training::TrainingRow;
use crate::{Error, Result};
use csv::{ErrorKind, Reader, StringRecord, WriterBuilder};

/// The header line of an empty file.
pub(super) fn header<R: Row>() -> Vec<u8> {
    let mut bytes = R::COLUMNS.join(",").into_bytes();
    bytes.push(b'\n');
    bytes
}

/// The bytes of a file without rows: its header line, or none of an optional one, which then does not exist.
fn without_rows<R: Row>() -> Vec<u8> {
    if R::OPTIONAL {
        Vec::new()
    } else {
        header::<R>()
    }
}

/// Appends `rows` to the bytes of a file, which begin with the header once there are rows.
pub(super) fn append<R: Row>(bytes: &mut Vec<u8>, rows: &[R]) -> Result<()> {
    if bytes.is_empty() && !rows.is_empty() {
        *bytes = header::<R>();
    }
    let mut writer = WriterBuilder::new().has_headers(false).from_writer(bytes);
    let written = rows.iter().try_for_each(|row| writer.serialize(row));
    written
        .and_then(|()| Ok(writer.flush()?))
        .map_err(|e| Error::content(Path::new(R::FILE), format!("a row cannot be written as CSV: {e}")))
}

/// The rows of a file; `path` is for messages only.
pub(super) fn parse<R: Row>(path: &Path, bytes: &[u8]) -> Result<Vec<R>> {
    // Without this a file cut off inside its last number would read as a smaller number.
    if bytes.last().is_some_and(|&last| last != b'\n') {
        return Err(Error::content(path, "the last line is cut off; restore the file or measure again"));
    }
    let mut reader = Reader::from_reader(bytes);
    let found = reader.headers().map_err(|e| malformed(path, &e))?.clone();
    check_header::<R>(path, &found)?;
    let mut rows = Vec::new();
    let mut cells = StringRecord::new();
    while reader.read_record(&mut cells).map_err(|e| malformed(path, &e))? {
        let row = cells.deserialize(Some(&found)).map_err(|e| bad_cell::<R>(path, &cells, &e))?;
        rows.push(row);
    }
    Ok(rows)
}

fn check_header<R: Row>(path: &Path, found: &StringRecord) -> Result<()> {
    let columns = R::COLUMNS;
    let is = |columns: &[&str]| found.iter().eq(columns.iter().copied());
    if is(columns) || is(&columns[..columns.len() - R::LATER]) {
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
    Err(Error::content(path, format!("line 1: {what}; expected exactly `{columns}`")))
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

/// How many tables a record has at most.
const TABLES: usize = 8;

/// The files that a record may lack.
pub(super) const OPTIONAL: [&str; 3] = [RegimeRow::FILE, TrainingRow::FILE, QuantityRow::FILE];

/// The bytes of all CSV files; of an optional one without rows, which does not exist, none.
#[derive(Debug)]
pub(super) struct Tables {
    samples: Vec<u8>,
    ratios: Vec<u8>,
    signals: Vec<u8>,
    alignments: Vec<u8>,
    regimes: Vec<u8>,
    training: Vec<u8>,
    quantities: Vec<u8>,
    summary: Vec<u8>,
}

impl Tables {
    /// Without rows.
    pub(super) fn empty() -> Self {
        Self {
            samples: without_rows::<Sample>(),
            ratios: without_rows::<RatioRow>(),
            signals: without_rows::<SignalRow>(),
            alignments: without_rows::<AlignmentRow>(),
            regimes: without_rows::<RegimeRow>(),
            training: without_rows::<TrainingRow>(),
            quantities: without_rows::<QuantityRow>(),
            summary: without_rows::<SummaryRow>(),
        }
    }

    /// All rows of a record.
    pub(super) fn of(record: &Record) -> Result<Self> {
        let mut tables = Self::empty();
        append(&mut tables.samples, &record.samples)?;
        append(&mut tables.ratios, &record.ratios)?;
        append(&mut tables.signals, &record.signals)?;
        append(&mut tables.alignments, &record.alignments)?;
        append(&mut tables.regimes, &record.regimes)?;
        append(&mut tables.training, &record.training)?;
        append(&mut tables.quantities, &record.quantities)?;
        append(&mut tables.summary, &record.summary)?;
        Ok(tables)
    }

    /// The files that exist, in the order in which they must reach the disk.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Vec<u8>)> {
        self.all().into_iter().filter(|(_, bytes)| !bytes.is_empty())
    }

    /// The same with the optional files that do not exist, whose bytes are none.
    pub(super) fn all(&self) -> [(&'static str, &Vec<u8>); TABLES] {
        [
            (Sample::FILE, &self.samples),
            (RatioRow::FILE, &self.ratios),
            (SignalRow::FILE, &self.signals),
            (AlignmentRow::FILE, &self.alignments),
            (RegimeRow::FILE, &self.regimes),
            (TrainingRow::FILE, &self.training),
            (QuantityRow::FILE, &self.quantities),
            // last, because a point counts as finished once it is listed here
            (SummaryRow::FILE, &self.summary),
        ]
    }

    /// The rows of one more point.
    pub(super) fn append(&mut self, result: &PointResult) -> Result<()> {
        append(&mut self.samples, &result.samples)?;
        append(&mut self.ratios, &result.ratios)?;
        append(&mut self.signals, &result.signals)?;
        append(&mut self.alignments, &result.alignments)?;
        append(&mut self.regimes, &result.regimes)?;
        append(&mut self.training, &result.training)?;
        append(&mut self.quantities, &result.quantities)?;
        append(&mut self.summary, &result.summary)
    }

    /// The length of each file, in the order of [`Self::all`].
    pub(super) fn lengths(&self) -> [usize; TABLES] {
        self.all().map(|(_, bytes)| bytes.len())
    }

    /// Takes back what was appended since [`Self::lengths`] was asked.
    pub(super) fn truncate(&mut self, lengths: [usize; TABLES]) {
        let Self { samples, ratios, signals, alignments, regimes, training, quantities, summary } = self;
        let tables = [samples, ratios, signals, alignments, regimes, training, quantities, summary];
        for (bytes, length) in tables.into_iter().zip(lengths) {
            bytes.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::fixture::{alignment, ratio, regime, sample, signal, summary};
    use crate::record::layered::Layered;

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
        columns_are_the_fields(&regime("p", "spc/reference"));
    }

    /// The list of optional files is that of the types; the others exist from the beginning.
    #[test]
    fn files_without_rows_exist_unless_they_are_optional() {
        let tables = Tables::empty();
        let there: Vec<&str> = tables.files().map(|(name, _)| name).collect();
        for (name, bytes) in tables.all() {
            assert_eq!(there.contains(&name), !OPTIONAL.contains(&name), "{name}");
            assert_eq!(bytes.is_empty(), OPTIONAL.contains(&name), "{name}");
        }
        fn told<R: Row>() -> (&'static str, bool) {
            (R::FILE, R::OPTIONAL)
        }
        let types = [
            told::<Sample>(),
            told::<RatioRow>(),
            told::<SignalRow>(),
            told::<AlignmentRow>(),
            told::<RegimeRow>(),
            told::<TrainingRow>(),
            told::<QuantityRow>(),
            told::<SummaryRow>(),
        ];
        for ((name, _), (file, optional)) in tables.all().into_iter().zip(types) {
            assert_eq!((name, OPTIONAL.contains(&name)), (file, optional));
        }
    }

    /// The header comes with the first rows and goes with them.
    #[test]
    fn an_optional_file_appears_with_its_first_row() {
        let mut tables = Tables::empty();
        let before = tables.lengths();
        let result = PointResult { regimes: vec![regime("p", "spc/reference")], ..PointResult::default() };
        tables.append(&result).unwrap();
        let (_, bytes) = tables.files().find(|(name, _)| *name == RegimeRow::FILE).unwrap();
        assert_eq!(parse::<RegimeRow>(Path::new("f"), bytes).unwrap(), result.regimes);
        tables.append(&result).unwrap();
        let (_, bytes) = tables.files().find(|(name, _)| *name == RegimeRow::FILE).unwrap();
        assert_eq!(parse::<RegimeRow>(Path::new("f"), bytes).unwrap().len(), 2);
        tables.truncate(before);
        assert!(tables.files().all(|(name, _)| name != RegimeRow::FILE));
    }

    /// Files from before the later columns read as if these cells were empty; a file with some of these columns is refused.
    #[test]
    fn later_columns_may_all_be_missing() {
        let whole = RegimeRow { layer_cosines: Layered::of([0.5, 1.0]), ..regime("p", "spc/reference") };
        let mut bytes = Vec::new();
        append(&mut bytes, std::slice::from_ref(&whole)).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            parse::<RegimeRow>(Path::new("f"), text.as_bytes()).unwrap(),
            std::slice::from_ref(&whole)
        );
        let without = |n: usize| {
            let kept = |line: &str| {
                let cells: Vec<&str> = line.split(',').collect();
                cells[..cells.len() - n].join(",") + "\n"
            };
            text.lines().map(kept).collect::<String>()
        };
        let old = parse::<RegimeRow>(Path::new("f"), without(RegimeRow::LATER).as_bytes()).unwrap();
        let empty = Layered::default();
        assert_eq!(old, [RegimeRow { layer_cosines: empty.clone(), layer_norm_ratios: empty, ..whole }]);
        for n in [1, RegimeRow::LATER + 1] {
            let refused = parse::<RegimeRow>(Path::new("f"), without(n).as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("is missing; expected exactly"), "{refused}");
        }
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert_eq!(parse::<SignalRow>(Path::new("f"), &header::<SignalRow>()).unwrap(), vec![]);
        let refused = parse::<SignalRow>(Path::new("signals.csv"), b"").unwrap_err().to_string();
        assert!(refused.starts_with("signals.csv: line 1: column `point` is missing"), "{refused}");
    }

    #[test]
    fn a_file_has_exactly_its_columns() {
        let refused = |bytes: &[u8]| parse::<Sample>(Path::new("f"), bytes).unwrap_err().to_string();
        let missing = refused(b"point,contender,round,wall_ns,device_ns,checksum\np,c,0,1,,1.5\n");
        assert!(
            missing.starts_with("f: line 1: column `instance` is missing; expected exactly"),
            "{missing}"
        );
        let whole = String::from_utf8(header::<Sample>()).unwrap();
        let unknown = refused(whole.replace("delay_ns", "delays").as_bytes());
        assert!(unknown.starts_with("f: line 1: column `delays` is unknown; expected exactly"), "{unknown}");
        let order = refused(whole.replace("point,contender", "contender,point").as_bytes());
        assert!(order.contains("repeated or in another order"), "{order}");
    }

    proptest! {
        /// Every float, every text and every integer reads back as the same bits.
        #[test]
        fn rows_round_trip(bits: u64, ns: u64, device: Option<u64>, round: u32, text in any::<String>()) {
            let mut row = sample(&text, &text, round, ns);
            (row.device_ns, row.checksum) = (device, f64::from_bits(bits));
            let mut bytes = header::<Sample>();
            append(&mut bytes, std::slice::from_ref(&row)).unwrap();
            let back = &parse::<Sample>(Path::new("f"), &bytes).unwrap()[0];
            if row.checksum.is_nan() {
                prop_assert!(back.checksum.is_nan());
            } else {
                prop_assert_eq!(back.checksum.to_bits(), bits);
                prop_assert_eq!(back, &row);
            }
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read(bytes: Vec<u8>) {
            let _ = parse::<SummaryRow>(Path::new("f"), &bytes);
            let _ = parse::<Sample>(Path::new("f"), &[header::<Sample>(), bytes].concat());
        }
    }

    #[test]
    fn refusals_name_file_line_and_column() {
        let cases: [(&[u8], &str); 8] = [
            (b"p,c,0,0,1,1,,1.5,,", "the last line is cut off"),
            (b"p,c,0,0,1,1,,1.5,,\np,c,0,x,1,1,,1.5,,\n", "line 3, column `round`: cannot use `x`"),
            (b"p,c,0,0,1,-1,,1.5,,\n", "line 2, column `wall_ns`: cannot use `-1`"),
            (b"p,c,0,0,1,1,1.5,1.5,,\n", "line 2, column `device_ns`: cannot use `1.5`"),
            (b"p,c,0,0,1,1,,,,\n", "line 2, column `checksum`: cannot use ``"),
            (b"p,c,0,4294967296,1,1,,1,,\n", "line 2, column `round`: cannot use `4294967296`"),
            (b"p,c,0,1,1.5\n", "line 2: 5 cells, but the header has 10 columns"),
            (b"p,c,0,0,1,1,,1.5,,\n\xff,c,0,1,,1.5,,,,\n", "line 3, cell 1: not valid UTF-8"),
        ];
        for (body, expected) in cases {
            let bytes = [header::<Sample>(), body.to_vec()].concat();
            let message = parse::<Sample>(Path::new("r/samples.csv"), &bytes).unwrap_err().to_string();
            assert!(message.starts_with(&format!("r/samples.csv: {expected}")), "{message}");
        }
        let header = b"point,contender,round,wall,device_ns,checksum\n";
        let message = parse::<Sample>(Path::new("samples.csv"), header).unwrap_err().to_string();
        assert!(message.starts_with("samples.csv: line 1: column `wall` is unknown"), "{message}");
    }
}
