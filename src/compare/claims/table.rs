//! The claims, with the rule by which a record decides each.

use super::claim::{Claim, Judged, Verdict};
use super::numbers::{accuracies, depths, quantity, rows, silent, Draws};
use crate::record::Record;
use crate::stats::log_slope;

/// All of them, numbered as the project counts them; several have more than one test.
pub(super) const CLAIMS: [Claim; 20] = [
    Claim {
        number: 1,
        claim: "ePC matches BP's accuracy",
        source: "arXiv 2505.20137",
        suite: "accuracy",
        recipe: "784-128-128-128-10, relu, cross-entropy, Adam, MNIST, tuned by the same search. Holds where ePC's median is within a point of BP's",
        judge: epc_matches,
    },
    Claim {
        number: 1,
        claim: "the same at 20 layers, with a step that follows the curvature",
        source: "arXiv 2505.20137",
        suite: "stable-step",
        recipe: "20 layers, GELU, orthogonal start, cross-entropy, Adam at 1e-4, T = 64, one epoch of MNIST. Holds where `epc-auto` is within a point of BP",
        judge: deep_epc_matches,
    },
    Claim {
        number: 2,
        claim: "ePC needs 100 to 1000 times fewer inference steps than sPC",
        source: "arXiv 2505.20137",
        suite: "convergence",
        recipe: "steps to 1e-3 of the exact minimum, each rule at its best step of one grid; linear chains and residual μPC networks with tanh. Holds where the median ratio is 100 or more at every depth from 4 on",
        judge: steps_ratio,
    },
    Claim {
        number: 4,
        claim: "μPC trains networks of more than 100 layers",
        source: "arXiv 2505.13124",
        suite: "mupc-depth",
        recipe: "128 residual layers of width 128, relu, T = 30, one epoch of MNIST. Holds above 90 % with all layers learning",
        judge: hundred_layers,
    },
    Claim {
        number: 4,
        claim: "JPC's notebook: 85.83, 88.54, 90.81 and 93.26 % after 100, 200, 300 and 900 updates",
        source: "arXiv 2505.13124, JPC",
        suite: "mupc-depth",
        recipe: "30 residual layers of width 128, relu, T = 30, Adam at 0.1, MNIST. Holds where all four medians are within 2 points",
        judge: notebook,
    },
    Claim {
        number: 6,
        claim: "PC is at least as slow as BP",
        source: "arXiv 2304.02658",
        suite: "depth",
        recipe: "time of a weight update at T = L over BP's, paired within rounds, both engines. Holds where every interval lies above 1; layers in parallel need a card",
        judge: slower,
    },
    Claim {
        number: 7,
        claim: "Z-IL costs what BP costs",
        source: "arXiv 2103.04689",
        suite: "rules",
        recipe: "time of a weight update over BP's on chains of 4 to 16 layers. Holds where every median ratio is at most 1.5",
        judge: zil_costs,
    },
    Claim {
        number: 8,
        claim: "SeqIL with MQ learns as well as BP",
        source: "arXiv 2305.13562",
        suite: "accuracy",
        recipe: "784-128-128-128-10, relu, MNIST, T = 8, MQ, tuned by the same search; published: CIFAR-10, three layers of 1024, T = 3",
        judge: seqil,
    },
    Claim {
        number: 9,
        claim: "iPC is more stable than PC and reaches 98.45 % on MNIST",
        source: "arXiv 2212.00720",
        suite: "accuracy",
        recipe: "the same, plain descent, as iPC moves the weights itself; published with AdamW",
        judge: ipc,
    },
    Claim {
        number: 10,
        claim: "PC lowers the error faster per update than BP",
        source: "arXiv 2305.13562, 2206.00164",
        suite: "accuracy",
        recipe: "test error of sPC and BP at the same updates, tuned alike, Adam. Holds where sPC's median is lower at every row of the curve",
        judge: faster_per_update,
    },
    Claim {
        number: 11,
        claim: "the equilibrated energy leaves the saddle at the origin sooner",
        source: "arXiv 2408.11979",
        suite: "landscape",
        recipe: "deep linear networks near the origin, plain descent at one rate. Holds where PC's updates to half of the loss are fewer than BP's in every draw, from 3 layers on",
        judge: escape,
    },
    Claim {
        number: 12,
        claim: "PC is an approximate trust-region method",
        source: "arXiv 2510.23323",
        suite: "trust-region",
        recipe: "cosine of the update to the trust-region step at a damping of a tenth of the largest eigenvalue, linear and tanh. Holds where PC's median is above BP's at every depth",
        judge: trust_region,
    },
    Claim {
        number: 13,
        claim: "the budget for 0.9 of BP's direction grows like L^1.92 under descent",
        source: "published fit",
        suite: "budget",
        recipe: "steps until the cosine to BP is held above 0.9, residual μPC networks with relu, width 128. Holds where 1.92 lies within the exponents of the draws",
        judge: descent_budget,
    },
    Claim {
        number: 13,
        claim: "and like L^1.21 under PC-ALM",
        source: "published fit",
        suite: "budget",
        recipe: "the same. Holds where 1.21 lies within the exponents of the draws",
        judge: alm_budget,
    },
    Claim {
        number: 14,
        claim: "PC-ALM keeps deep PC close to BP",
        source: "arXiv 2605.31022",
        suite: "pc-alm",
        recipe: "32 residual layers of width 32, relu, one epoch of MNIST, rates from one search. Holds where PC-ALM's median lies above sPC's and within 2 points of BP's",
        judge: pc_alm,
    },
    Claim {
        number: 3,
        claim: "sPC's signal decays exponentially with depth",
        source: "arXiv 2505.20137",
        suite: "decay",
        recipe: "`pcnbench run decay` traces it; no record is kept",
        judge: |_| None,
    },
    Claim {
        number: 5,
        claim: "learning rates transfer over width and depth",
        source: "arXiv 2505.13124",
        suite: "transfer",
        recipe: "a suite of grids of learning rate and step size over widths and depths, which is not written yet",
        judge: |_| None,
    },
    Claim {
        number: 15,
        claim: "PC costs 3.3 times BP on a GPU (VGG-5)",
        source: "PCX",
        suite: "vgg-cuda",
        recipe: "`pcnbench run vgg --device cuda` on a machine with a GPU",
        judge: |_| None,
    },
    Claim {
        number: 16,
        claim: "ePC at its equilibrium has PC's exact parameter directions",
        source: "arXiv 2505.20137",
        suite: "none",
        recipe: "`cargo test --test numerics minimum` holds it to 1e-8 on networks that are not linear",
        judge: |_| None,
    },
    Claim {
        number: 17,
        claim: "MQ needs no more memory than plain descent, Adam two copies",
        source: "arXiv 2305.13562",
        suite: "none",
        recipe: "memory by optimiser, which no suite measures yet",
        judge: |_| None,
    },
];

fn within(a: &Draws, b: &Draws, points: f64) -> Option<bool> {
    Some(a.median()? >= b.median()? - points)
}

fn epc_matches(record: &Record) -> Option<Judged> {
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

fn deep_epc_matches(record: &Record) -> Option<Judged> {
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

fn steps_ratio(record: &Record) -> Option<Judged> {
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

fn hundred_layers(record: &Record) -> Option<Judged> {
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

fn notebook(record: &Record) -> Option<Judged> {
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
        power: format!("{draws} draws beside one published run; images are scaled in another way"),
    })
}

fn slower(record: &Record) -> Option<Judged> {
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

fn zil_costs(record: &Record) -> Option<Judged> {
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

fn seqil(record: &Record) -> Option<Judged> {
    let of = |contender| accuracies(record, ("mq", contender, 4), None);
    let (bp, seqil) = (of("bp/fused"), of("seqil/fused"));
    let verdict = match within(&seqil, &bp, 1.0)? {
        true => Verdict::HoldsOnly("on MNIST; the published network was not run".into()),
        false => Verdict::DoesNotHold,
    };
    Some(Judged {
        numbers: format!("BP {} %, SeqIL {} %", bp.words(1)?, seqil.words(1)?),
        verdict,
        power: format!("{} draws, whose ranges overlap", seqil.0.len()),
    })
}

fn ipc(record: &Record) -> Option<Judged> {
    let of = |contender| accuracies(record, ("sgd", contender, 4), None);
    let (spc, ipc) = (of("spc/fused"), of("ipc/fused"));
    Some(Judged {
        numbers: format!("sPC {} %, iPC {} %", spc.words(1)?, ipc.words(1)?),
        verdict: Verdict::Undetermined(
            "iPC moves weights by plain descent here, and by AdamW in the source".into(),
        ),
        power: format!("{} draws", ipc.0.len()),
    })
}

fn faster_per_update(record: &Record) -> Option<Judged> {
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

fn escape(record: &Record) -> Option<Judged> {
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

fn trust_region(record: &Record) -> Option<Judged> {
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

fn descent_budget(record: &Record) -> Option<Judged> {
    budget(record, "spc-auto/reference", 1.92)
}

fn alm_budget(record: &Record) -> Option<Judged> {
    budget(record, "pcalm-auto/reference", 1.21)
}

fn pc_alm(record: &Record) -> Option<Judged> {
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
