//! Claims about time and memory.

use super::claim::{Judged, Verdict};
use super::numbers::{quantity, Draws};
use crate::record::Record;
use crate::suite::BYTES;

pub(super) fn slower(record: &Record) -> Option<Judged> {
    let ratios: Vec<_> = record
        .ratios
        .iter()
        .filter(|ratio| !ratio.contender.starts_with("bp") && !ratio.contender.starts_with("mupc-bp"))
        .collect();
    let (mut low, mut high, mut below) = (f64::INFINITY, 0.0f64, 0);
    for ratio in &ratios {
        (low, high) = (low.min(ratio.ratio), high.max(ratio.ratio));
        below += usize::from(ratio.interval().is_none_or(|(low, _)| low <= 1.0));
    }
    let verdict = match below {
        0 => Verdict::Holds,
        _ => Verdict::HoldsOnly(format!("in {} of {} ratios", ratios.len() - below, ratios.len())),
    };
    (!ratios.is_empty()).then(|| Judged {
        numbers: format!("{} ratios from {low:.2} to {high:.2}", ratios.len()),
        verdict,
        power: "one machine, one width; every interval is a 95 % interval of its own".into(),
    })
}

pub(super) fn zil_costs(record: &Record) -> Option<Judged> {
    let of = |engine: &str| {
        let own = |ratio: &&crate::record::RatioRow| ratio.contender == format!("zil/{engine}");
        Draws(record.ratios.iter().filter(own).map(|ratio| ratio.ratio).collect())
    };
    let (fused, reference) = (of("fused"), of("reference"));
    let holds = fused.greatest().max(reference.greatest()) <= 1.5;
    Some(Judged {
        numbers: format!(
            "fused {}, reference {} (medians and ranges over depths)",
            fused.words(2)?,
            reference.words(2)?
        ),
        verdict: if holds { Verdict::Holds } else { Verdict::DoesNotHold },
        power: "one machine, one width".into(),
    })
}

/// What optimisers keep, in units of the parameters.
pub(super) fn memory(record: &Record) -> Option<Judged> {
    let share = |benchmark: &str, contender: &str| {
        let of = |k: usize| quantity(record, (benchmark, contender, 4), (BYTES[k].name, 0.0));
        let (kept, moved) = (of(0).into_values().next()?, of(1).into_values().next()?);
        Some((kept, kept / moved))
    };
    let (sgd, mq, adam) =
        (share("sgd", "bp/fused")?, share("mq", "seqil/fused")?, share("adam", "bp/fused")?);
    let holds = sgd.0 == 0.0 && mq.1 < 1e-3 && (adam.1 - 2.0).abs() < 1e-3;
    Some(Judged {
        numbers: format!(
            "plain descent {:.0} bytes, MQ {:.0} bytes ({:.1e} of the parameters), Adam {:.0} bytes ({:.2} of them)",
            sgd.0, mq.0, mq.1, adam.0, adam.1
        ),
        verdict: if holds { Verdict::Holds } else { Verdict::DoesNotHold },
        power: "bytes of the tensors that are kept, exact; what a step needs meanwhile is not among them".into(),
    })
}
