//! Reading and writing the file.

use std::fs;
use std::path::Path;

use super::{Baseline, SCHEMA};
use crate::files::{read_text, toml_refused};
use crate::text::one_line;
use crate::{Error, Result};

/// A baseline holds a few hundred bytes per contender and point.
const LIMIT: u64 = 8 << 20;

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the file, and the key or line that is missing, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            let problem =
                "there is no such baseline; make it with `gate --update-baseline`, or give another one";
            return Err(Error::content(path, problem));
        }
        let text = read_text("read the baseline", path, LIMIT)?;
        let refused = |e: toml::de::Error| toml_refused(path, &text, &e);
        let value: toml::Table = toml::from_str(&text).map_err(refused)?;
        match value.get("schema").and_then(toml::Value::as_integer) {
            Some(found) if found == i64::from(SCHEMA) => {}
            Some(found) => {
                let problem = format!(
                    "schema {found}, but this version reads schema {SCHEMA} alone; make it again with `gate --update-baseline`"
                );
                return Err(Error::content(path, problem));
            }
            None => {
                return Err(Error::content(
                    path,
                    "key `schema` is missing or no number, so this is no baseline",
                ))
            }
        }
        let baseline: Self = toml::from_str(&text).map_err(refused)?;
        baseline.check(path)?;
        Ok(baseline)
    }

    /// Writes the file, all or nothing, into a folder that is made if there is none.
    ///
    /// # Errors
    /// If the file or its folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
        }
        let body = toml::to_string(self).map_err(|e| {
            Error::content(path, format!("cannot be written as TOML: {}", one_line(&e.to_string())))
        })?;
        let head =
            "# Written by `pcnbench gate --update-baseline`; later measurements are held against it.\n";
        crate::record::save(path, format!("{head}{body}").as_bytes())
    }

    /// Numbers that no measurement gives.
    fn check(&self, path: &Path) -> Result<()> {
        if self.records.is_empty() {
            return Err(Error::content(path, "key `records` is empty; expected the name of a record"));
        }
        let mut seen = std::collections::HashSet::new();
        for e in &self.entry {
            let place = format!("entry `{}` at `{}`", e.contender, e.point);
            let refuse = |problem: &str| Err(Error::content(path, format!("{place}: {problem}")));
            let ordered =
                |low: f64, mid: f64, high: f64| 0.0 < low && low <= mid && mid <= high && high.is_finite();
            if !seen.insert((&e.point, &e.contender)) {
                return refuse("stands twice; one is allowed");
            }
            if !ordered(e.median_low_ns, e.median_ns, e.median_high_ns) {
                return refuse(
                    "keys `median_low_ns`, `median_ns`, `median_high_ns` are not positive and in order",
                );
            }
            let given = [e.ratio.is_some(), e.low.is_some(), e.high.is_some(), e.pairs.is_some()];
            if given.iter().any(|g| *g != e.quiet_ratio.is_some()) {
                let keys = "of the keys `ratio`, `low`, `high`, `pairs`, `quiet_ratio` some are missing";
                return refuse(&format!("{keys}; give all or none"));
            }
            if let (Some(low), Some(ratio), Some(high)) = (e.low, e.ratio, e.high)
                && !ordered(low, ratio, high)
            {
                return refuse("keys `low`, `ratio`, `high` are not positive and in order");
            }
            let positive = |x: f64| x.is_finite() && x > 0.0;
            if !positive(e.quiet_ns) || !e.quiet_ratio.is_none_or(positive) {
                return refuse("key `quiet_ns` or `quiet_ratio` is not positive");
            }
            let wrong = |n: Option<usize>| n == Some(0);
            if e.instances == 0 || wrong(e.freedom) || wrong(e.time_freedom) {
                return refuse("key `instances`, `freedom` or `time_freedom` is 0; expected at least 1");
            }
            if e.noise_floor.is_some_and(|w| !w.is_finite() || w < 0.0) {
                return refuse("key `noise_floor` is negative or not finite");
            }
        }
        Ok(())
    }
}
