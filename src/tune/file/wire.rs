//! The file, key by key: how it is written, and what is refused when it is read.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use pcnbench_kernels::launch::Precision;
use pcnbench_kernels::tune::{Entry, Failed, Sizes, Strategy, StrategyTable, Timed};
use pcnbench_kernels::{MathMode, Rule};
use serde::Deserialize;

use super::strategies::{Strategies, SCHEMA};
use crate::record::slug;
use crate::{Error, Result};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "schema")]
    _schema: u32,
    machine_class: String,
    device: String,
    capability: String,
    driver: String,
    rev: String,
    dirty: bool,
    started: String,
    seconds: f64,
    #[serde(default)]
    entry: Vec<EntryWire>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryWire {
    rule: String,
    dtype: String,
    operands: String,
    width: usize,
    batch: usize,
    depth: usize,
    steps: usize,
    strategy: String,
    timed: Vec<TimedWire>,
    #[serde(default)]
    failed: Vec<FailedWire>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimedWire {
    strategy: String,
    median_ns: f64,
    q1_ns: f64,
    q3_ns: f64,
    samples: usize,
    calls: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailedWire {
    strategy: String,
    why: String,
}

/// A text as TOML quotes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The file of a table.
pub(super) fn text(strategies: &Strategies) -> String {
    let Strategies { driver, rev, dirty, started, seconds, table } = strategies;
    let (major, minor) = table.capability;
    let mut text = format!(
        "# Written by `pcnbench tune`; `pcnbench run` chooses launch strategies on this device by it.\n\
         schema = {SCHEMA}\nmachine_class = {}\ndevice = {}\ncapability = \"{major}.{minor}\"\ndriver = {}\nrev = {}\n\
         dirty = {dirty}\nstarted = {}\nseconds = {seconds:?}\n",
        quoted(&strategies.machine_class()),
        quoted(&table.device),
        quoted(driver),
        quoted(rev),
        quoted(started),
    );
    for entry in &table.entries {
        let Sizes { width, batch, depth, steps } = entry.sizes;
        let _ = write!(
            text,
            "\n[[entry]]\nrule = \"{}\"\ndtype = \"{}\"\noperands = \"{}\"\nwidth = {width}\nbatch = {batch}\n\
             depth = {depth}\nsteps = {steps}\nstrategy = \"{}\"\ntimed = [\n",
            entry.rule,
            entry.precision.name(),
            entry.math,
            entry.fastest().map_or("", Strategy::name),
        );
        for timed in &entry.timed {
            let Timed { strategy, median_ns, q1_ns, q3_ns, samples, calls } = timed;
            let _ = writeln!(
                text,
                "  {{ strategy = \"{}\", median_ns = {median_ns:?}, q1_ns = {q1_ns:?}, q3_ns = {q3_ns:?}, \
                 samples = {samples}, calls = {calls} }},",
                strategy.name()
            );
        }
        text.push_str("]\n");
        for (i, failed) in entry.failed.iter().enumerate() {
            let open = if i == 0 { "failed = [\n" } else { "" };
            let (name, why) = (failed.strategy.name(), quoted(&failed.why));
            let _ = writeln!(text, "{open}  {{ strategy = \"{name}\", why = {why} }},");
        }
        if !entry.failed.is_empty() {
            text.push_str("]\n");
        }
    }
    text
}

impl File {
    /// The table, if nothing in it is wrong.
    pub(super) fn checked(self, path: &Path) -> Result<Strategies> {
        let refuse = |problem: String| Err(Error::content(path, problem));
        if self.machine_class != slug(&self.device) {
            return refuse(format!(
                "key `machine_class` is `{}`, but device `{}` is of machine class `{}`",
                self.machine_class,
                self.device,
                slug(&self.device)
            ));
        }
        let numbers = self.capability.split_once('.');
        let numbers = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let Some(capability) = numbers else {
            return refuse(format!(
                "key `capability` is `{}`; expected a compute capability such as `9.0`",
                self.capability
            ));
        };
        if !(self.seconds.is_finite() && self.seconds > 0.0) {
            return refuse(format!("key `seconds` is {}; expected a positive number", self.seconds));
        }
        if self.entry.is_empty() {
            return refuse(
                "has no entry, so that nothing can be chosen by it; make it again with `pcnbench tune`"
                    .into(),
            );
        }
        let mut entries = Vec::with_capacity(self.entry.len());
        let mut seen = HashSet::new();
        for (number, entry) in (1..).zip(self.entry) {
            let named = format!(
                "entry {number} ({} in {}, width {}, batch {}, depth {}, steps {})",
                entry.rule, entry.dtype, entry.width, entry.batch, entry.depth, entry.steps
            );
            let entry =
                entry.checked().map_err(|problem| Error::content(path, format!("{named}: {problem}")))?;
            if !seen.insert((entry.rule, entry.precision.name(), entry.math, entry.sizes)) {
                return refuse(format!("{named}: stands twice; one is allowed"));
            }
            entries.push(entry);
        }
        let table = Arc::new(StrategyTable { device: self.device, capability, entries });
        let Self { driver, rev, dirty, started, seconds, .. } = self;
        Ok(Strategies { driver, rev, dirty, started, seconds, table })
    }
}

/// The thing of this name, out of a closed list.
fn one_of<T: Copy>(
    what: &'static str,
    got: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter()
        .copied()
        .find(|it| name(*it) == got)
        .ok_or_else(|| Error::unknown(what, got, all.iter().map(|it| name(*it))).to_string())
}

impl EntryWire {
    fn checked(self) -> Result<Entry, String> {
        let rule = one_of("rule", &self.rule, &Rule::NAMES, |name| name)?;
        let precision = one_of("dtype", &self.dtype, &Precision::ALL, Precision::name)?;
        let operands = one_of("operands", &self.operands, &MathMode::ALL, MathMode::name)?;
        if let Some((key, _)) = [("width", self.width), ("batch", self.batch), ("depth", self.depth)]
            .into_iter()
            .find(|(_, size)| *size == 0)
        {
            return Err(format!("key `{key}` is 0; expected at least 1"));
        }
        let sizes = Sizes { width: self.width, batch: self.batch, depth: self.depth, steps: self.steps };
        let strategy = |name: &str| one_of("strategy", name, &Strategy::ALL, Strategy::name);
        let timed = self.timed.iter().map(|it| it.checked(strategy(&it.strategy)?));
        let timed = timed.collect::<Result<Vec<_>, String>>()?;
        let failed = self.failed.into_iter();
        let failed = failed.map(|it| Ok(Failed { strategy: strategy(&it.strategy)?, why: it.why }));
        let failed = failed.collect::<Result<Vec<_>, String>>()?;
        let mut seen = HashSet::new();
        let all = timed.iter().map(|it| it.strategy).chain(failed.iter().map(|it| it.strategy));
        if let Some(twice) = all.into_iter().find(|it| !seen.insert(*it)) {
            return Err(format!("strategy `{}` stands twice; one is allowed", twice.name()));
        }
        let entry = Entry { rule, precision, math: operands, sizes, timed, failed };
        let Some(fastest) = entry.fastest() else {
            return Err("no strategy is timed; expected one or more".into());
        };
        if strategy(&self.strategy)? != fastest {
            return Err(format!(
                "key `strategy` is `{}`, but the fastest that is timed is `{}`",
                self.strategy,
                fastest.name()
            ));
        }
        Ok(entry)
    }
}

impl TimedWire {
    fn checked(&self, strategy: Strategy) -> Result<Timed, String> {
        let Self { median_ns, q1_ns, q3_ns, samples, calls, .. } = *self;
        let ordered = 0.0 < q1_ns && q1_ns <= median_ns && median_ns <= q3_ns && q3_ns.is_finite();
        if !ordered {
            return Err(format!(
                "keys `q1_ns`, `median_ns`, `q3_ns` of strategy `{}` are not positive and in order",
                strategy.name()
            ));
        }
        if samples == 0 || calls == 0 {
            return Err(format!(
                "key `samples` or `calls` of strategy `{}` is 0; expected at least 1",
                strategy.name()
            ));
        }
        Ok(Timed { strategy, median_ns, q1_ns, q3_ns, samples, calls })
    }
}
