//! Suites: what is to be measured, as data.
//!
//! A suite is a TOML file of benchmarks; a benchmark is a group of points; a point is one value of every
//! axis. Everything is validated before anything is measured or written.

pub mod axis;
mod built_in;
mod checks;
mod definition;
mod device;
mod expand;
pub mod limits;
mod narrow;
mod place;
mod steps;
mod study;
mod training;
pub mod wire;

use std::path::Path;

use sha2::{Digest, Sha256};

pub use axis::{Axes, Axis, Value, AXES};
pub use built_in::BUILT_IN;
pub use definition::{Benchmark, ContenderConfig, Model, Overrides, Point, Suite};
pub use device::DeviceKind;
pub use steps::StepCount;
pub(crate) use study::STEPS_TAKEN;
pub use study::{Quantity, Study};
pub use training::{Length, Search, Training};
pub(crate) use training::{BYTES, JOULES, TRIALS, WEIGHT_CHANGE};
pub use wire::TimingWire as Timing;

use crate::files::read_text;
use crate::text::one_line;
use crate::{Error, Result};

impl Suite {
    /// Finds a suite by built-in name, or reads a file when the name ends in `.toml` or contains a slash.
    pub fn load(name: &str, overrides: &Overrides) -> Result<Self> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(n, _)| *n == name) {
            return Self::parse(text, name, overrides);
        }
        let path = Path::new(name);
        if path.extension().is_none_or(|e| e != "toml") && path.components().count() < 2 {
            return Err(Error::unknown(
                "suite",
                name,
                BUILT_IN.iter().map(|(n, _)| *n).chain(["a path to a .toml file"]),
            ));
        }
        let text = read_text("read the suite", path, limits::FILE)?;
        Self::parse(&text, name, overrides)
    }

    /// Reads a definition; `place` names it in errors.
    pub fn parse(text: &str, place: &str, overrides: &Overrides) -> Result<Self> {
        let mut wire: wire::SuiteWire = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|s| text.get(..s.start)).unwrap_or_default();
            let number = 1 + before.matches('\n').count();
            let line: String =
                text.lines().nth(number - 1).unwrap_or_default().trim().chars().take(60).collect();
            Error::content(Path::new(place), format!("line {number}, `{line}`: {}", one_line(e.message())))
        })?;
        expand::apply(&mut wire, overrides);
        expand::suite(wire, place)
    }

    /// SHA-256 of the definition, in hex: records compare only if it is equal.
    pub fn definition_sha256(&self) -> String {
        Sha256::digest(self.definition.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
    }
}
