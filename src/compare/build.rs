//! What counts of a record depend on besides the code.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// What counts of instructions hang on besides the code; empty where it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// SIMD extensions of the machine.
    pub simd: String,
    /// Compiler of the program, as it names itself.
    pub compiler: String,
}

impl Build {
    /// Of a record.
    pub fn of(record: &Record) -> Self {
        Self { simd: record.machine.simd.clone(), compiler: record.run.rustc.clone() }
    }
}
