//! Claims about inference and about what it descends.

use super::claim::{Judged, Verdict};
use super::numbers::{depths, quantity, rows, Draws};
use crate::record::{Record, SignalRow};
use crate::stats::log_slope;

pub(super) fn steps_ratio(record: &Record) -> Option<Judged> {
    let (mut told, mut met, mut all) = (Vec::new(), Vec::new(), 0);
    let mut draws = 0;
    for benchmark in ["linear", "tanh"] {
        for depth in depths(record, benchmark).into_iter().filter(|&depth| depth >= 4) {
            let of = |contender| quantity(record, (benchmark, contender, depth), ("steps", 1e-3));
            let (spc, epc) = (of("spc/reference"), of("epc/reference"));
            let ratios = Draws(spc.iter().filter_map(|(draw, spc)| Some(spc / epc.get(draw)?)).collect());
            let Some(words) = ratios.words(0) else { continue };
            draws = draws.max(ratios.0.len());
            all += 1;
            let place = format!("{depth} layers ({benchmark})");
            if ratios.median()? >= 100.0 {
                met.push(place.clone());
            }
            told.push(format!("{words} at {place}"));
        }
    }
    let verdict = match met.len() {
        0 => Verdict::DoesNotHold,
        n if n == all => Verdict::Holds,
        _ => Verdict::HoldsOnly(format!("at {}", met.join(", "))),
    };
    let power = format!("at most {draws} draws, which scatter by a factor of two; exact minimum, f64");
    (all > 0).then(|| Judged { numbers: told.join("; "), verdict, power })
}

pub(super) fn escape(record: &Record) -> Option<Judged> {
    let (mut told, mut always, mut draws) = (Vec::new(), true, 0);
    for depth in depths(record, "origin").into_iter().filter(|&depth| depth >= 3) {
        let of = |contender| quantity(record, ("origin", contender, depth), ("escape", 0.0));
        let (pc, bp) = (of("epc-auto/reference"), of("bp/reference"));
        let pairs: Vec<(f64, f64)> = pc.iter().filter_map(|(draw, pc)| Some((*pc, *bp.get(draw)?))).collect();
        draws = draws.max(pairs.len());
        always &= pairs.iter().all(|(pc, bp)| pc < bp);
        let side = |of: fn(&(f64, f64)) -> f64| Draws(pairs.iter().map(of).collect()).words(0);
        if let (Some(pc), Some(bp)) = (side(|p| p.0), side(|p| p.1)) {
            told.push(format!("{pc} for BP's {bp} updates at {depth} layers"));
        }
    }
    (!told.is_empty()).then(|| Judged {
        numbers: told.join("; "),
        verdict: if always { Verdict::Holds } else { Verdict::DoesNotHold },
        power: format!("{draws} draws, linear networks of width 8, one rate"),
    })
}

pub(super) fn trust_region(record: &Record) -> Option<Judged> {
    let (mut told, mut above, mut all) = (Vec::new(), Vec::new(), 0);
    for activation in ["identity", "tanh"] {
        for depth in depths(record, "small") {
            let of = |contender: &str| {
                let here = |row: &&crate::record::SummaryRow| {
                    row.contender == contender && row.depth == depth && row.activation == activation
                };
                let near = |row: &crate::record::SummaryRow| {
                    let own = record.quantities.iter().filter(|q| {
                        q.point == row.point && q.contender == contender && q.quantity == "cosine"
                    });
                    own.min_by(|a, b| (a.at - 0.1).abs().total_cmp(&(b.at - 0.1).abs())).map(|q| q.value)
                };
                Draws(rows(record, "small").filter(here).filter_map(near).collect())
            };
            let (pc, bp) = (of("spc-auto/reference"), of("bp/reference"));
            let (Some(own), Some(base)) = (pc.median(), bp.median()) else { continue };
            all += 1;
            let place = format!("{depth} layers ({activation})");
            told.push(format!("{own:.2} ({base:.2}) at {place}"));
            if own > base {
                above.push(place);
            }
        }
    }
    let verdict = match above.len() {
        0 => Verdict::DoesNotHold,
        n if n == all => Verdict::Holds,
        _ => Verdict::HoldsOnly(format!("at {}", above.join(", "))),
    };
    (all > 0).then(|| Judged {
        numbers: format!("sPC's cosine (BP's): {}", told.join("; ")),
        verdict,
        power: "three draws that overlap; networks small enough for their Hessian".into(),
    })
}

fn budget(record: &Record, contender: &str, published: f64) -> Option<Judged> {
    let mut by_draw: std::collections::BTreeMap<usize, Vec<(f64, f64)>> = Default::default();
    let all = depths(record, "relu");
    let found: Vec<_> = all
        .iter()
        .map(|&depth| (depth, quantity(record, ("relu", contender, depth), ("steps", 0.9))))
        .collect();
    let draws = found.iter().map(|(_, own)| own.len()).max()?;
    // the depths that every draw reached
    let whole: Vec<_> = found.into_iter().filter(|(_, own)| own.len() == draws).collect();
    for (depth, own) in &whole {
        own.iter().for_each(|(draw, steps)| by_draw.entry(*draw).or_default().push((*depth as f64, *steps)));
    }
    let exponents = Draws(by_draw.values().filter_map(|points| log_slope(points)).collect());
    let (first, last) = (whole.first()?.0, whole.last()?.0);
    let holds = (exponents.least()..=exponents.greatest()).contains(&published);
    Some(Judged {
        numbers: format!("L^{} from {first} to {last} layers", exponents.words(2)?),
        verdict: if holds { Verdict::Holds } else { Verdict::DoesNotHold },
        power: format!("{draws} draws say how networks scatter, not how far the law reaches"),
    })
}

pub(super) fn descent_budget(record: &Record) -> Option<Judged> {
    budget(record, "spc-auto/reference", 1.92)
}

pub(super) fn alm_budget(record: &Record) -> Option<Judged> {
    budget(record, "pcalm-auto/reference", 1.21)
}

/// Energies of sPC where the error first arrives, layer by layer.
pub(super) fn decay(record: &Record) -> Option<Judged> {
    let layers = depths(record, "signal").into_iter().max()?;
    let traced = |dtype: &str, contender: &str| -> Vec<&SignalRow> {
        let own =
            |row: &&SignalRow| row.contender == contender && row.point.contains(&format!("dtype={dtype},"));
        record.signals.iter().filter(own).collect()
    };
    let wide = traced("f64", "spc/reference");
    let arrival = |layer: usize| {
        let own = |row: &&&SignalRow| row.layer == layer && row.step == layers - layer;
        // of an error that rounding has taken there is no ratio
        wide.iter().find(own).map(|row| row.energy).filter(|&energy| energy > 0.0)
    };
    let falls =
        Draws((1..layers - 1).filter_map(|layer| Some(arrival(layer)? / arrival(layer + 1)?)).collect());
    let still = |rows: &[&SignalRow]| {
        let last = rows.iter().map(|row| row.step).max();
        rows.iter().filter(|row| Some(row.step) == last && row.energy == 0.0).count()
    };
    let (narrow, exact) = (traced("f32", "spc/reference"), traced("f64", "epc/reference"));
    let first = exact.iter().filter(|row| row.step == 1 && row.energy == 0.0).count();
    let arrived = (1..layers).filter(|&layer| arrival(layer).is_some()).count();
    let exponential = falls.greatest() < 0.1;
    let short = |value: f64| format!("{value:.1e}");
    Some(Judged {
        numbers: format!(
            "energy at arrival is {} [{}, {}] of that of the layer above, in the {arrived} hidden layers that it reaches in f64 before rounding \
             takes it; {} of {layers} layers of sPC have none in f32 at the end, {first} of ePC in f64 after one step",
            short(falls.median()?),
            short(falls.least()),
            short(falls.greatest()),
            still(&narrow)
        ),
        verdict: if exponential { Verdict::Holds } else { Verdict::DoesNotHold },
        power: "one network, one image; tests hold the law on medians over draws".into(),
    })
}
