//! Tables for people and machines: one grid, four formats.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{presets, CellAlignment, Table};
use serde_json::{Map, Value};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns for a terminal.
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

/// Rows under named columns: (heading for people, key for programs).
#[derive(Debug, Clone)]
pub struct Grid {
    columns: Vec<(&'static str, &'static str)>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// An empty grid.
    pub fn new(columns: Vec<(&'static str, &'static str)>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing cells stay empty.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints in a format.
    pub fn print(&self, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
        match format {
            Format::Table => writeln!(out, "{}", self.table())?,
            Format::Md => write!(out, "{}", self.markdown())?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &self.objects())?;
                writeln!(out)?;
            }
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(self.columns.iter().map(|(_, key)| key))?;
                for row in &self.rows {
                    writer.write_record(row.iter().map(|cell| match &cell.value {
                        Value::Null => String::new(),
                        Value::String(s) => s.clone(),
                        other => other.to_string(),
                    }))?;
                }
                writer.flush()?;
            }
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(self.columns.iter().map(|(heading, _)| *heading));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| cell.text.as_str()));
        }
        for (i, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.is_numeric(i) {
                column.set_cell_alignment(CellAlignment::Right);
            }
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
            text += &line(row.iter().map(|cell| cell.text.replace('|', "\\|")).collect());
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
