//! One contender at one point, as a baseline file keeps it.

use serde::{Deserialize, Serialize};

use crate::compare::side::{Entry, Work};
use crate::measure::exact::Exact;
use crate::stats::PairedRatio;
use crate::suite::axis::{self, Settings};

/// One contender at one point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryWire {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Contender that the ratio is to.
    pub baseline: String,
    /// L.
    pub depth: usize,
    /// T.
    pub steps: usize,
    /// Hash of what was measured: see [`Entry::facts`].
    pub definition_sha256: String,
    /// Counted matrix products.
    pub gemms: u64,
    /// Their FLOPs.
    pub gemm_flops: u64,
    /// Counted element-wise operations.
    pub elementwise_flops: u64,
    /// Counted bytes.
    pub bytes: u64,
    /// Sequential matrix products.
    pub critical_path: u64,
    /// Median wall time; judged only on the machine class and thread count that made it.
    pub median_ns: f64,
    /// Lower end of its 95 % interval.
    pub median_low_ns: f64,
    /// Upper end of its 95 % interval.
    pub median_high_ns: f64,
    /// Samples.
    pub n: usize,
    /// What the fastest tenth of them stay below (see [`QUIET`](crate::stats::QUIET)).
    pub quiet_ns: f64,
    /// exp(median over rounds of ln(t_contender / t_baseline)); absent for a baseline, as the four after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// Instances that the samples are from.
    pub instances: usize,
    /// Degrees of freedom of the ratio's interval (see [`PairedRatio::freedom`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freedom: Option<usize>,
    /// Degrees of freedom of the time's interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_freedom: Option<usize>,
    /// The ratio in quiet rounds (see [`quiet_ratio`](crate::stats::quiet_ratio)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_ratio: Option<f64>,
    /// How far from 1 the control may lie, as a factor minus one; absent without a control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<f64>,
    /// Heap allocations of one update; absent in older files, as the two after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// Bytes that they ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_bytes: Option<u64>,
    /// Retired instructions of one update on one thread; absent also where no counter could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
}

pub(super) fn to_wire(e: Entry) -> EntryWire {
    let time = e.time.unwrap_or(PairedRatio { ratio: 0.0, high: 0.0, ..PairedRatio::UNKNOWN });
    let size = |axis| e.settings.get(axis).size().unwrap_or_default();
    EntryWire {
        depth: size(&axis::DEPTH),
        steps: size(&axis::STEPS),
        point: e.point,
        contender: e.contender,
        baseline: e.baseline,
        definition_sha256: e.definition_sha256,
        gemms: e.work.gemms,
        gemm_flops: e.work.gemm_flops,
        elementwise_flops: e.work.elementwise_flops,
        bytes: e.work.bytes,
        critical_path: e.work.critical_path,
        median_ns: time.ratio,
        median_low_ns: time.low,
        median_high_ns: time.high,
        n: time.pairs,
        quiet_ns: e.quiet_ns.unwrap_or(0.0),
        quiet_ratio: e.quiet_ratio,
        ratio: e.ratio.map(|r| r.ratio),
        low: e.ratio.map(|r| r.low),
        high: e.ratio.map(|r| r.high),
        pairs: e.ratio.map(|r| r.pairs),
        instances: time.instances,
        freedom: e.ratio.and_then(|r| r.freedom),
        time_freedom: time.freedom,
        noise_floor: e.noise_floor,
        allocations: e.exact.allocations,
        allocated_bytes: e.exact.allocated_bytes,
        instructions: e.exact.instructions,
    }
}

pub(super) fn from_wire(e: &EntryWire) -> Entry {
    let instances = e.instances;
    let ratio = || {
        let (ratio, low, high, pairs) = (e.ratio?, e.low?, e.high?, e.pairs?);
        Some(PairedRatio { ratio, low, high, pairs, instances, freedom: e.freedom })
    };
    Entry {
        point: e.point.clone(),
        contender: e.contender.clone(),
        baseline: e.baseline.clone(),
        settings: Settings::of_id(&e.point).with(&axis::DEPTH, e.depth).with(&axis::STEPS, e.steps),
        definition_sha256: e.definition_sha256.clone(),
        facts: Default::default(),
        ratio: ratio(),
        noise_floor: e.noise_floor,
        time: Some(PairedRatio {
            ratio: e.median_ns,
            low: e.median_low_ns,
            high: e.median_high_ns,
            pairs: e.n,
            instances,
            freedom: e.time_freedom,
        }),
        quiet_ns: Some(e.quiet_ns),
        quiet_ratio: e.quiet_ratio,
        waited: None,
        work: Work {
            gemms: e.gemms,
            gemm_flops: e.gemm_flops,
            elementwise_flops: e.elementwise_flops,
            bytes: e.bytes,
            critical_path: e.critical_path,
        },
        exact: Exact {
            allocations: e.allocations,
            allocated_bytes: e.allocated_bytes,
            instructions: e.instructions,
        },
        err: String::new(),
    }
}
