//! Contenders ranked by the geometric mean of their ratios over the points that all of them share.

use std::collections::{BTreeMap, BTreeSet};

use super::side::Side;
use crate::stats::PairedRatio;
use crate::{Error, Result};

/// A contender over the common points.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Contender id.
    pub contender: String,
    /// Geometric mean of its ratios over the common points, with a 95 % interval; 1 for a baseline, exactly.
    pub mean: PairedRatio,
}

/// A ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Fastest first.
    pub rows: Vec<Ranked>,
    /// Ids of the points that every contender has.
    pub points: Vec<String>,
    /// Points that were left out, and which contenders have no ratio there.
    pub left_out: Vec<(String, Vec<String>)>,
}

/// Ranks the contenders of all sides together; `only`, unless it is empty, says which.
///
/// With `θ_i` the logarithm of the ratio at point i and `[l_i, u_i]` its interval, the mean is `exp(Σ θ_i / k)`, and
/// its interval reaches `√(Σ (θ_i − l_i)²) / k` below and `√(Σ (u_i − θ_i)²) / k` above in logarithms: points are
/// measured one after the other, so their errors are independent, and those of a mean shrink as such. It says how well
/// the mean of *these* points is known, not how it would be over others. It errs on the wide side: each interval makes up
/// for the noise of its own ends, which averages out over points (98 to 99 % in simulations with five points).
///
/// # Errors
/// If a contender is in two of the sides at one point, `only` names one that is in none, or no point is common to all.
pub fn rank(sides: &[Side], only: &[String]) -> Result<Ranking> {
    let mut ratios: BTreeMap<&str, BTreeMap<&str, PairedRatio>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut owner: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (side, e) in sides.iter().flat_map(|side| side.entries.iter().map(move |e| (side, e))) {
        if !only.is_empty() && !only.contains(&e.contender) {
            continue;
        }
        if let Some(first) = owner.insert((&e.point, &e.contender), &side.name) {
            return Err(Error::Invalid(format!(
                "{} at {} is in both {first} and {}; give records that share no point, or compare them with `cmp`",
                e.contender, e.point, side.name
            )));
        }
        if !order.contains(&e.point.as_str()) {
            order.push(&e.point);
        }
        let own =
            PairedRatio { low: 1.0, high: 1.0, pairs: e.time.map_or(0, |t| t.pairs), ..PairedRatio::UNKNOWN };
        let ratio = e.ratio.or((e.contender == e.baseline && e.err.is_empty()).then_some(own));
        let of_contender = ratios.entry(&e.contender).or_default();
        if let Some(ratio) = ratio {
            of_contender.insert(&e.point, ratio);
        }
    }
    if let Some(unknown) = only.iter().find(|id| !ratios.contains_key(id.as_str())) {
        let known: BTreeSet<&str> =
            sides.iter().flat_map(|s| &s.entries).map(|e| e.contender.as_str()).collect();
        return Err(Error::unknown("contender", unknown, known));
    }
    let (mut points, mut left_out) = (Vec::new(), Vec::new());
    for point in order {
        let without: Vec<String> =
            ratios.iter().filter(|(_, at)| !at.contains_key(point)).map(|(id, _)| (*id).to_owned()).collect();
        if without.is_empty() {
            points.push(point.to_owned());
        } else {
            left_out.push((point.to_owned(), without));
        }
    }
    if points.is_empty() {
        return Err(Error::Invalid(no_common_point(&left_out)));
    }
    let mut rows: Vec<Ranked> = ratios
        .into_iter()
        .map(|(id, at)| Ranked {
            contender: id.to_owned(),
            mean: mean(points.iter().filter_map(|p| at.get(p.as_str()))),
        })
        .collect();
    rows.sort_by(|a, b| a.mean.ratio.total_cmp(&b.mean.ratio));
    Ok(Ranking { rows, points, left_out })
}

fn mean<'a>(ratios: impl Iterator<Item = &'a PairedRatio>) -> PairedRatio {
    let (mut sum, mut down, mut up, mut k, mut pairs) = (0.0, 0.0_f64, 0.0_f64, 0.0, 0);
    for r in ratios {
        let [low, theta, high] = [r.low, r.ratio, r.high].map(f64::ln);
        sum += theta;
        down = down.hypot(theta - low);
        up = up.hypot(high - theta);
        k += 1.0;
        pairs += r.pairs;
    }
    let centre = sum / k;
    PairedRatio {
        ratio: centre.exp(),
        low: (centre - down / k).exp(),
        high: (centre + up / k).exp(),
        pairs,
        ..PairedRatio::UNKNOWN
    }
}

fn no_common_point(left_out: &[(String, Vec<String>)]) -> String {
    match left_out.iter().min_by_key(|(_, without)| without.len()) {
        None => "the records hold no timed point; give records of a suite that times weight updates".into(),
        Some((point, without)) => format!(
            "no point is common to all contenders; the nearest is {point}, which {} has no ratio at; name the contenders \
             to rank with `--contender`",
            without.join(", ")
        ),
    }
}

#[cfg(test)]
#[path = "rank_tests.rs"]
mod tests;
