//! Tables for people and machines: one grid, four formats.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{presets, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::{Map, Value};

use super::markdown;
use crate::suite;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns for a terminal; a narrow one does without some, the other formats never do.
    #[default]
    Table,
    /// A list of objects, one per row.
    Json,
    /// Comma-separated values with a header line.
    Csv,
    /// A Markdown table.
    Md,
}

/// One cell: what people read and what programs read.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    value: Value,
}

impl Cell {
    /// A cell whose text is rounded or has a unit that its value lacks.
    pub fn new(text: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { text: text.into(), value: value.into() }
    }

    /// A count, shortened to three digits and a decimal prefix for people.
    pub fn count(n: u64) -> Self {
        let mut scaled = n as f64;
        let mut prefix = "";
        for larger in ["k", "M", "G", "T", "P", "E"] {
            if scaled >= 999.5 {
                (scaled, prefix) = (scaled / 1000.0, larger);
            }
        }
        let decimals = match scaled {
            _ if prefix.is_empty() => 0,
            s if s < 9.995 => 2,
            s if s < 99.95 => 1,
            _ => 0,
        };
        Self::new(format!("{scaled:.decimals$} {prefix}").trim_end(), n)
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self { text: String::new(), value: Value::Null }
    }
}

impl From<&str> for Cell {
    fn from(s: &str) -> Self {
        Self::new(s, s)
    }
}

impl From<String> for Cell {
    fn from(s: String) -> Self {
        Self::new(s.clone(), s)
    }
}

impl From<suite::Value> for Cell {
    fn from(value: suite::Value) -> Self {
        let text = value.to_string();
        match value {
            suite::Value::Size(size) => Self::new(text, size),
            suite::Value::Number(number) => Self::new(text, number),
            suite::Value::Word(_) => text.into(),
        }
    }
}

impl From<u64> for Cell {
    fn from(n: u64) -> Self {
        Self::new(n.to_string(), n)
    }
}

impl From<usize> for Cell {
    fn from(n: usize) -> Self {
        Self::new(n.to_string(), n)
    }
}

/// Columns of the terminal, where there is one or `COLUMNS` tells; what goes into a file is not wrapped.
fn width() -> Option<u16> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let seen = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
    told.or_else(seen).filter(|width| *width >= 40)
}

/// Rows under named columns: (heading for people, key for programs).
#[derive(Debug, Clone)]
pub struct Grid {
    columns: Vec<(&'static str, &'static str)>,
    rows: Vec<Vec<Cell>>,
    /// Keys of columns that a narrow terminal does without, in this order.
    optional: &'static [&'static str],
}

impl Grid {
    /// An empty grid.
    pub fn new(columns: Vec<(&'static str, &'static str)>) -> Self {
        Self { columns, rows: Vec::new(), optional: &[] }
    }

    /// Names the columns that a narrow terminal does without, the most dispensable first.
    pub fn optional(self, keys: &'static [&'static str]) -> Self {
        Self { optional: keys, ..self }
    }

    /// Adds a row; missing cells stay empty.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints in a format; as a whole, so that a reader that goes away is an I/O error and nothing else.
    pub fn print(&self, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
        let text = match format {
            Format::Table => (self.text(width()) + "\n").into_bytes(),
            Format::Md => self.markdown().into_bytes(),
            Format::Json => {
                let mut text = serde_json::to_vec_pretty(&self.objects())?;
                text.push(b'\n');
                text
            }
            Format::Csv => self.csv()?,
        };
        Ok(out.write_all(&text)?)
    }

    fn csv(&self) -> anyhow::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|(_, key)| key))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| match &cell.value {
                Value::Null => String::new(),
                Value::String(s) => s.clone(),
                other => other.to_string(),
            }))?;
        }
        Ok(writer.into_inner()?)
    }

    /// The columns that hold something, and of these as many as fit into `width`.
    fn text(&self, width: Option<u16>) -> String {
        let empty = |i: usize| self.rows.iter().all(|row| row.get(i).is_none_or(|cell| cell.text.is_empty()));
        let mut shown: Vec<usize> =
            (0..self.columns.len()).filter(|i| self.rows.is_empty() || !empty(*i)).collect();
        let mut optional = self.optional.iter();
        loop {
            let text = self.table(&shown, width).trim_fmt();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            match (width, optional.next()) {
                (Some(width), Some(key)) if widest > usize::from(width) => {
                    shown.retain(|i| self.columns[*i].1 != *key);
                }
                _ => return text,
            }
        }
    }

    /// Headings and text may be wrapped between words, numbers never.
    fn table(&self, shown: &[usize], width: Option<u16>) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(shown.iter().map(|i| self.columns[*i].0));
        for row in &self.rows {
            table.add_row(shown.iter().map(|i| row.get(*i).map_or("", |cell| cell.text.as_str())));
        }
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        for (column, i) in table.column_iter_mut().zip(shown) {
            let gap = if shown.last() == Some(i) { 0 } else { 2 };
            column.set_padding((0, gap));
            let longest = |text: &str| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
            let cells = self.rows.iter().filter_map(|row| row.get(*i)).map(|cell| cell.text.as_str());
            let body = if self.is_numeric(*i) {
                column.set_cell_alignment(CellAlignment::Right);
                cells.map(|text| text.chars().count()).max()
            } else {
                cells.map(longest).max()
            };
            let least = longest(self.columns[*i].0).max(body.unwrap_or(0));
            let least = u16::try_from(least).unwrap_or(u16::MAX).saturating_add(gap);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
        table
    }

    /// The grid as a Markdown table, ending in a newline.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect());
        let rule = |i| if self.is_numeric(i) { "---:" } else { "---" }.to_owned();
        text += &line((0..self.columns.len()).map(rule).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| markdown::cell(&cell.text)).collect());
        }
        text
    }

    fn is_numeric(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|c| !c.value.is_null());
        cells.clone().count() > 0 && cells.clone().all(|c| !c.value.is_string())
    }

    fn objects(&self) -> Vec<Map<String, Value>> {
        self.rows
            .iter()
            .map(|row| {
                self.columns
                    .iter()
                    .zip(row)
                    .map(|((_, key), cell)| ((*key).to_owned(), cell.value.clone()))
                    .collect()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_three_digits() {
        let text = |n| Cell::count(n).text;
        assert_eq!([0, 7, 999, 1000].map(text), ["0", "7", "999", "1.00 k"]);
        assert_eq!(
            [9_994, 9_996, 99_949, 999_499, 999_500].map(text),
            ["9.99 k", "10.0 k", "99.9 k", "999 k", "1.00 M"]
        );
        assert_eq!(text(u64::MAX), "18.4 E");
    }

    #[test]
    fn a_narrow_terminal_loses_columns_rather_than_digits() {
        let columns = vec![("name", "name"), ("a long heading", "less"), ("more", "more")];
        let mut grid = Grid::new(columns).optional(&["less"]);
        grid.push(vec!["contender/reference".into(), 7usize.into(), Cell::count(1_234_567)]);
        assert_eq!(grid.text(Some(40)), "name                  a long    more\n                     heading\ncontender/reference        7  1.23 M");
        assert_eq!(grid.text(Some(30)), "name                   more\ncontender/reference  1.23 M");
    }

    #[test]
    fn a_table_hides_empty_columns_and_wraps_words() {
        let mut grid = Grid::new(vec![("a", "a"), ("none", "none"), ("words", "words")]);
        grid.push(vec![
            1usize.into(),
            "".into(),
            "some words that are too long for one line of forty".into(),
        ]);
        let text = grid.text(Some(40));
        assert!(!text.contains("none") && text.lines().count() == 3, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 40 && line.trim_end() == line), "{text}");
        assert_eq!(grid.text(None).lines().count(), 2);
    }
}
