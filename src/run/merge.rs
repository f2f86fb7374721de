//! Shards of a suite made into one record.

use std::path::{Path, PathBuf};

use crate::record::{self, merge as shards, Record};
use crate::suite::{Overrides, Suite};
use crate::Result;

/// Joins the records in `dirs` (see [`record::merge::merge`]) and writes the whole to `out`, or below `results` as
/// a run would. Returns its folder. The shards stay as they are.
///
/// # Errors
/// If a folder holds no sound, finished shard, or they do not make one whole; nothing is written then.
pub fn merge(dirs: &[PathBuf], results: &Path, out: Option<&Path>, argv: Vec<String>) -> Result<PathBuf> {
    let records = dirs.iter().map(|dir| record::read(dir)).collect::<Result<Vec<_>>>()?;
    let points = records.first().map(points).transpose()?.unwrap_or_default();
    let whole = shards::merge(&records, &points, argv)?;
    shards::write(results, &whole, out)
}

/// Ids of all points of a record's suite, in order, from the definition that it carries.
fn points(record: &Record) -> Result<Vec<String>> {
    let place = record.dir.join("run.json");
    let suite = Suite::parse(&record.run.definition, &place.to_string_lossy(), &Overrides::default())?;
    let points = suite.benchmarks.into_iter().flat_map(|benchmark| benchmark.points);
    Ok(points.map(|point| point.id).collect())
}
