//! `results/<machine class>/strategies.toml`: what `pcnbench tune` has measured, beside the baseline of the machine
//! class. FORMAT.md describes it key by key.

mod strategies;
mod wire;

use crate::files::{read_text, toml_refused};
use crate::record::{save, sha256, slug};
use crate::{Error, Result};
use std::fs;
use std::path::Path;

pub use strategies::{Strategies, SCHEMA};

/// File name within the folder of a machine class.
pub const FILE: &str = "strategies.toml";
/// An entry is less than a kilobyte, and the grid has some thousand.
const LIMIT: u64 = 16 << 20;

/// The file of a machine class.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// `<machine class>/strategies.toml`.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// What it holds.
    pub strategies: Strategies,
}

impl Strategies {
    /// Class of the machine: what a device is called as a folder.
    pub fn machine_class(&self) -> String {
        slug(&self.table.device)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Names the file, and the line, key or entry that is missing, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(read(path)?.0)
    }

    /// Writes the file, all or nothing, into a folder that is made if there is none.
    ///
    /// # Errors
    /// If the file or its folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
        }
        save(path, wire::text(self).as_bytes())
    }
}

fn read(path: &Path) -> Result<(Strategies, String)> {
    if !path.exists() {
        let problem = "there is no such file; make it with `pcnbench tune`, or give another one";
        return Err(Error::content(path, problem));
    }
    let text = read_text("read the strategies", path, LIMIT)?;
    let refused = |e: toml::de::Error| toml_refused(path, &text, &e);
    let value: toml::Table = toml::from_str(&text).map_err(refused)?;
    match value.get("schema").and_then(toml::Value::as_integer) {
        Some(found) if found == i64::from(SCHEMA) => {}
        Some(found) => {
            let problem = format!(
                "schema {found}, but this version reads schema {SCHEMA}; make it again with `pcnbench tune`"
            );
            return Err(Error::content(path, problem));
        }
        None => {
            let problem = "key `schema` is missing or no number, so this is no file of `pcnbench tune`";
            return Err(Error::content(path, problem));
        }
    }
    let file: wire::File = toml::from_str(&text).map_err(refused)?;
    Ok((file.checked(path)?, sha256(text.as_bytes())))
}

/// The file of a device under `results`, if there is one.
///
/// # Errors
/// If it cannot be read, or is of another device than the one of this name and compute capability.
pub fn find(results: &Path, device: &str, capability: (u32, u32)) -> Result<Option<Found>> {
    let class = slug(device);
    let path = results.join(&class).join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let (strategies, sha256) = read(&path)?;
    let table = &strategies.table;
    if (table.device.as_str(), table.capability) != (device, capability) {
        let name = |device: &str, (major, minor): (u32, u32)| {
            format!("`{device}` of compute capability {major}.{minor}")
        };
        let problem = format!(
            "was measured on {}, and this is {}; make it again with `pcnbench tune`",
            name(&table.device, table.capability),
            name(device, capability)
        );
        return Err(Error::content(&path, problem));
    }
    Ok(Some(Found { name: format!("{class}/{FILE}"), sha256, strategies }))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
