//! Claims about what is learned.

use super::claim::{Judged, Verdict};
use super::numbers::{accuracies, rows, silent, Draws};
use crate::record::learned::{grids, RateGrid};
use crate::record::Record;

fn within(a: &Draws, b: &Draws, points: f64) -> Option<bool> {
    Some(a.median()? >= b.median()? - points)
}

pub(super) fn epc_matches(record: &Record) -> Option<Judged> {
    let of = |contender| accuracies(record, ("adam", contender, 4), None);
    let (bp, epc, spc) = (of("bp/fused"), of("epc/fused"), of("spc/fused"));
    Some(Judged {
        numbers: format!("BP {} %, ePC {} %, sPC {} %", bp.words(1)?, epc.words(1)?, spc.words(1)?),
        verdict: if within(&epc, &bp, 1.0)? { Verdict::Holds } else { Verdict::DoesNotHold },
        power: format!(
            "{} draws of one shallow network; the published networks are VGG and ResNet",
            epc.0.len()
        ),
    })
}

pub(super) fn deep_epc_matches(record: &Record) -> Option<Judged> {
    let bp = accuracies(record, ("bp", "bp/fused", 20), None);
    let share = |share: f64| {
        let here = |row: &&crate::record::SummaryRow| row.step_size == share;
        let of = |row: &crate::record::SummaryRow| row.test_accuracy;
        Draws(rows(record, "share").filter(here).filter_map(of).map(|accuracy| 100.0 * accuracy).collect())
    };
    let (half, tenth) = (share(0.5), share(0.1));
    let holds = within(&half, &bp, 1.0)? || within(&tenth, &bp, 1.0)?;
    Some(Judged {
        numbers: format!(
            "BP {} %, ePC at half of the stable step {} %, at a tenth {} %",
            bp.words(1)?,
            half.words(1)?,
            tenth.words(1)?
        ),
        verdict: if holds { Verdict::Holds } else { Verdict::DoesNotHold },
        power: format!("{} draws, one epoch where five are published, one rate for all", half.0.len()),
    })
}

pub(super) fn hundred_layers(record: &Record) -> Option<Judged> {
    let own = ("deep", "spc/fused", 128);
    let (accuracy, (silent, layers)) = (accuracies(record, own, None), silent(record, own)?);
    let standard = accuracies(record, ("standard", "spc/fused", 128), None);
    let verdict = match (accuracy.least() > 90.0, silent) {
        (false, _) => Verdict::DoesNotHold,
        (true, 0) => Verdict::Holds,
        (true, silent) => Verdict::HoldsOnly(format!("for {} of {layers} layers", layers - silent)),
    };
    Some(Judged {
        numbers: format!(
            "{} %, {silent} of {layers} layers do not learn in f32; without the scaling {} %",
            accuracy.words(1)?,
            standard.words(1).unwrap_or_else(|| "no run that stays finite".into())
        ),
        verdict,
        power: format!("{} draws, one epoch, one rate", accuracy.0.len()),
    })
}

pub(super) fn notebook(record: &Record) -> Option<Judged> {
    let published = [(100, 85.83), (200, 88.54), (300, 90.81), (900, 93.26)];
    let (mut told, mut near, mut draws) = (Vec::new(), Vec::new(), 0);
    for (update, accuracy) in published {
        let own = accuracies(record, ("notebook", "spc/fused", 30), Some(update));
        told.push(format!("{} % after {update}", own.words(1)?));
        draws = own.0.len();
        if (own.median()? - accuracy).abs() <= 2.0 {
            near.push(update.to_string());
        }
    }
    let read_out = accuracies(record, ("read-out", "spc/fused", 30), None);
    let verdict = match near.len() {
        0 => Verdict::DoesNotHold,
        4 => Verdict::Holds,
        _ => Verdict::HoldsOnly(format!("after {} updates", near.join(", "))),
    };
    Some(Judged {
        numbers: format!("{}; the read-out alone {} %", told.join(", "), read_out.words(1)?),
        verdict,
        power: format!("{draws} draws beside one published run"),
    })
}

pub(super) fn seqil(record: &Record) -> Option<Judged> {
    let of = |contender| accuracies(record, ("mq", contender, 4), None);
    let (bp, seqil) = (of("bp/fused"), of("seqil/fused"));
    let verdict = match within(&seqil, &bp, 1.0)? {
        true => Verdict::HoldsOnly("on MNIST".into()),
        false => Verdict::DoesNotHold,
    };
    Some(Judged {
        numbers: format!("BP {} %, SeqIL {} %", bp.words(1)?, seqil.words(1)?),
        verdict,
        power: format!("{} draws, whose ranges overlap", seqil.0.len()),
    })
}

pub(super) fn ipc(record: &Record) -> Option<Judged> {
    let of = |contender| accuracies(record, ("adamw", contender, 4), None);
    let (bp, spc, ipc) = (of("bp/fused"), of("spc/fused"), of("ipc/reference"));
    let above = ipc.median()? >= spc.median()?;
    let reaches = (ipc.median()? - 98.45).abs() <= 1.0;
    let steady = ipc.greatest() - ipc.least() <= spc.greatest() - spc.least();
    let verdict = match (above, reaches) {
        (true, true) if steady => Verdict::Holds,
        (true, true) => Verdict::HoldsOnly("of the accuracy: its draws scatter more than those of PC".into()),
        (false, true) => Verdict::HoldsOnly("of the accuracy alone: PC is ahead".into()),
        (true, false) => Verdict::HoldsOnly("beside PC: farther than a point from 98.45 %".into()),
        (false, false) => Verdict::DoesNotHold,
    };
    Some(Judged {
        numbers: format!("iPC {} %, sPC {} %, BP {} %", ipc.words(1)?, spc.words(1)?, bp.words(1)?),
        verdict,
        power: format!(
            "{} draws, one search of eight trials each; states of iPC move without the published momentum",
            ipc.0.len()
        ),
    })
}

pub(super) fn faster_per_update(record: &Record) -> Option<Judged> {
    let mut updates: Vec<u64> =
        record.training.iter().map(|t| t.update).filter(|&update| update > 0).collect();
    updates.sort_unstable();
    updates.dedup();
    let (mut lower, mut all, mut apart) = (0, 0, 0);
    for &update in &updates {
        let of = |contender| accuracies(record, ("adam", contender, 4), Some(update));
        let (bp, spc) = (of("bp/fused"), of("spc/fused"));
        let (Some(own), Some(base)) = (spc.median(), bp.median()) else { continue };
        all += 1;
        lower += usize::from(own > base);
        apart += usize::from(spc.least() > bp.greatest() || spc.greatest() < bp.least());
    }
    let verdict = match lower {
        _ if all == 0 => return None,
        _ if apart == 0 => Verdict::Undetermined("ranges over draws overlap at every row".into()),
        0 => Verdict::DoesNotHold,
        n if n == all => Verdict::Holds,
        _ => Verdict::HoldsOnly(format!("at {lower} of {all} rows")),
    };
    Some(Judged {
        numbers: format!("sPC's median error is the lower one at {lower} of {all} rows of the curve"),
        verdict,
        power: format!("five draws; ranges are apart at {apart} of {all} rows"),
    })
}

pub(super) fn pc_alm(record: &Record) -> Option<Judged> {
    let of = |contender: &str| {
        let own = rows(record, "epoch").filter(|row| row.contender == contender);
        Draws(own.filter_map(|row| row.test_accuracy).map(|share| 100.0 * share).collect())
    };
    let (bp, spc, alm) = (of("bp/reference"), of("spc-auto/reference"), of("pcalm-auto/reference"));
    let (above, near) = (alm.median()? > spc.median()?, within(&alm, &bp, 2.0)?);
    let verdict = match (above, near) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::HoldsOnly("beside sPC: farther than 2 points from BP".into()),
        (false, _) => Verdict::DoesNotHold,
    };
    Some(Judged {
        numbers: format!("BP {} %, sPC {} %, PC-ALM {} %", bp.words(1)?, spc.words(1)?, alm.words(1)?),
        verdict,
        power: format!("{} draws; PC-ALM's range is wide. Published: Fashion-MNIST, one seed", alm.0.len()),
    })
}

/// Rates of the smallest network on the larger ones, by the loss that they cost there.
pub(super) fn transfer(record: &Record) -> Option<Judged> {
    let all = grids(record);
    let (mut told, mut kept, mut lost, mut draws) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut unscaled = 1.0f64;
    for (benchmark, size) in [("width", "N"), ("depth", "L")] {
        for (scaling, named) in [("mupc-residual", "with the scaling"), ("sp-uniform-residual", "without")] {
            let own = |grid: &&RateGrid<'_>| {
                grid.first.benchmark == benchmark && grid.first.parameterisation == scaling
            };
            let mut grids: Vec<&RateGrid<'_>> = all.iter().filter(own).collect();
            let of = |grid: &RateGrid<'_>| if size == "N" { grid.first.width } else { grid.first.depth };
            grids.sort_by_key(|grid| of(grid));
            let place = grids.first()?.best()?;
            let mut worst = 1.0f64;
            let mut words = Vec::new();
            for grid in &grids {
                let best = grid.median(grid.best()?)?;
                let there = grid.median(place).map(|loss| loss / best);
                worst = worst.max(there.unwrap_or(f64::INFINITY));
                draws = draws.max(grid.cells.get(&place).map_or(0, |cell| cell.losses.len() + cell.failed));
                let rate = grid.rates[grid.best()?.0];
                words.push(match there {
                    Some(ratio) => format!("{ratio:.2} at {size} = {} (best α {rate})", of(grid)),
                    None => format!("diverges at {size} = {} (best α {rate})", of(grid)),
                });
            }
            told.push(format!("over {benchmark} {named}: {}", words.join(", ")));
            match scaling {
                "mupc-residual" if worst <= TRANSFERS => kept.push(benchmark),
                "mupc-residual" => lost.push(benchmark),
                _ => unscaled = unscaled.max(worst),
            }
        }
    }
    let verdict = match (kept.is_empty(), lost.is_empty()) {
        (_, true) => Verdict::Holds,
        (true, _) => Verdict::DoesNotHold,
        _ => Verdict::HoldsOnly(format!("over {}", kept.join(", "))),
    };
    Some(Judged {
        numbers: format!(
            "least loss of the smallest network's rates over the own least loss: {}",
            told.join("; ")
        ),
        verdict,
        power: format!(
            "{draws} draws, 100 updates, a grid of half decades on which rates without the scaling cost {unscaled:.2} at most"
        ),
    })
}

/// Loss at rates of a smaller network over the least loss that counts as a transfer.
const TRANSFERS: f64 = 1.1;

/// VGG-5 on CIFAR.
pub(super) fn epc_on_vgg(record: &Record) -> Option<Judged> {
    let of = |benchmark, contender| accuracies(record, (benchmark, contender, 5), None);
    let (bp, spc, epc) = (of("vgg-5", "bp/fused"), of("vgg-5", "spc/fused"), of("vgg-5", "epc/fused"));
    let small = of("vgg-5-small-step", "epc/fused");
    let verdict = match (within(&epc, &bp, 1.0)?, within(&small, &bp, 1.0)?) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::HoldsOnly("at a step size of 0.1".into()),
        (false, true) => Verdict::HoldsOnly(
            "at a step size of 0.001, whose five steps hardly leave the forward pass".into(),
        ),
        (false, false) => Verdict::DoesNotHold,
    };
    Some(Judged {
        numbers: format!(
            "BP {} %, ePC at a step size of 0.1 {} %, at 0.001 {} %, sPC at 0.1 {} %",
            bp.words(1)?,
            epc.words(1)?,
            small.words(1)?,
            spc.words(1)?
        ),
        verdict,
        power: format!(
            "{} draws; an eighth of the width, a fifth of the images, 10 epochs; published 88.3, 88.0 (BP) and 84.7 % (sPC)",
            epc.0.len()
        ),
    })
}

/// SeqIL with MQ on the network of its paper.
pub(super) fn seqil_on_cifar(record: &Record) -> Option<Judged> {
    let of = |benchmark, contender| accuracies(record, (benchmark, contender, 4), None);
    let (mq, mq_bp) = (of("mlp-mq", "seqil/fused"), of("mlp-mq", "bp/fused"));
    let (adam, adam_bp) = (of("mlp-adam", "seqil/fused"), of("mlp-adam", "bp/fused"));
    let best = if adam_bp.median()? >= mq_bp.median()? { &adam_bp } else { &mq_bp };
    Some(Judged {
        numbers: format!(
            "SeqIL with MQ {} %, with Adam {} %, BP with Adam {} %, with MQ at SeqIL's rate {} %",
            mq.words(1)?,
            adam.words(1)?,
            adam_bp.words(1)?,
            mq_bp.words(1)?
        ),
        verdict: if within(&mq, best, 1.0)? { Verdict::Holds } else { Verdict::DoesNotHold },
        power: format!("{} draws, five epochs of a fifth of the images, published rates untuned", mq.0.len()),
    })
}
