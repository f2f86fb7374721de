//! One colour and one marker per contender name (a rule, or a rule on a μPC net), one dash pattern per engine, in every
//! figure.
//!
//! Colours are those of Okabe and Ito ("Color Universal Design", 2008), which stay apart under the common
//! forms of colour blindness; their yellow is darkened because lines are drawn on white. Twelve names need
//! more than eight colours: the last ones are a grey, a wine, a brown and a navy, and every name also has its own
//! marker, so that a figure can be read without colour at all.

/// Red, green, blue.
pub type Rgb = (u8, u8, u8);

/// Text and axes.
pub const INK: Rgb = (34, 34, 34);
/// Secondary text.
pub const SOFT: Rgb = (96, 96, 96);
/// Grid lines.
pub const GRID: Rgb = (232, 232, 232);
/// Guide lines such as O(L).
pub const GUIDE: Rgb = (176, 176, 176);
/// Background.
pub const PAPER: Rgb = (255, 255, 255);

/// Shape of the symbol at a data point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Marker {
    /// Disc.
    Circle,
    /// Square on its side.
    Square,
    /// Triangle, point up.
    Up,
    /// Square on its corner.
    Diamond,
    /// Triangle, point down.
    Down,
    /// Regular pentagon.
    Pentagon,
    /// Upright cross.
    Plus,
    /// Diagonal cross.
    Cross,
    /// Five-pointed star.
    Star,
    /// Four-pointed star.
    Spark,
    /// Three-pointed star.
    Tripod,
    /// Triangle, point left.
    Left,
    /// Triangle, point right.
    Right,
    /// Regular hexagon: names this table does not know.
    Hexagon,
}

impl Marker {
    /// Outline around the origin with a radius of about one.
    pub fn outline(self) -> Vec<(f64, f64)> {
        match self {
            Self::Circle => ring(24, 0.92, 0.0),
            Self::Square => ring(4, 1.2, 45.0),
            Self::Up => ring(3, 1.3, 0.0),
            Self::Down => ring(3, 1.3, 180.0),
            Self::Left => ring(3, 1.3, 270.0),
            Self::Right => ring(3, 1.3, 90.0),
            Self::Diamond => ring(4, 1.25, 0.0),
            Self::Pentagon => ring(5, 1.1, 0.0),
            Self::Hexagon => ring(6, 1.05, 0.0),
            Self::Plus => cross(0.0),
            Self::Cross => cross(45.0),
            Self::Spark => {
                let (outer, inner) = (ring(4, 1.5, 0.0), ring(4, 0.55, 45.0));
                outer.into_iter().zip(inner).flat_map(|(a, b)| [a, b]).collect()
            }
            Self::Tripod => {
                let (outer, inner) = (ring(3, 1.5, 0.0), ring(3, 0.5, 60.0));
                outer.into_iter().zip(inner).flat_map(|(a, b)| [a, b]).collect()
            }
            Self::Star => {
                let (outer, inner) = (ring(5, 1.4, 0.0), ring(5, 0.6, 36.0));
                outer.into_iter().zip(inner).flat_map(|(a, b)| [a, b]).collect()
            }
        }
    }
}

/// `n` points on a circle, the first one `turn` degrees clockwise from the top.
fn ring(n: usize, radius: f64, turn: f64) -> Vec<(f64, f64)> {
    let angle = |i: usize| (360.0 * i as f64 / n as f64 + turn).to_radians();
    (0..n).map(|i| (radius * angle(i).sin(), -radius * angle(i).cos())).collect()
}

/// A cross with bars 0.7 wide, turned by `turn` degrees.
fn cross(turn: f64) -> Vec<(f64, f64)> {
    const CORNERS: [(f64, f64); 12] = [
        (-0.35, -1.2),
        (0.35, -1.2),
        (0.35, -0.35),
        (1.2, -0.35),
        (1.2, 0.35),
        (0.35, 0.35),
        (0.35, 1.2),
        (-0.35, 1.2),
        (-0.35, 0.35),
        (-1.2, 0.35),
        (-1.2, -0.35),
        (-0.35, -0.35),
    ];
    let (sin, cos) = turn.to_radians().sin_cos();
    CORNERS.iter().map(|&(x, y)| (x * cos - y * sin, x * sin + y * cos)).collect()
}

/// How a contender is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Colour, by contender name.
    pub color: Rgb,
    /// Marker, by contender name.
    pub marker: Marker,
    /// Lengths of strokes and gaps in pixels, by engine; empty for a solid line.
    pub dash: &'static [f64],
}

/// Name before the slash of a contender id, printed name, colour, marker; in the order of every legend.
const NAMES: [(&str, &str, Rgb, Marker); 13] = [
    ("bp", "BP", (0, 0, 0), Marker::Circle),
    ("mupc-bp", "BP (μPC net)", (140, 140, 140), Marker::Pentagon),
    ("spc", "sPC", (213, 94, 0), Marker::Square),
    ("epc", "ePC", (0, 114, 178), Marker::Up),
    ("mupc", "μPC", (0, 158, 115), Marker::Diamond),
    ("mupc-epc", "μPC-ePC", (86, 180, 233), Marker::Down),
    ("fpa", "FPA", (230, 159, 0), Marker::Plus),
    ("zil", "Z-IL", (204, 121, 167), Marker::Star),
    ("seqil", "SeqIL", (176, 164, 20), Marker::Left),
    ("ipc", "iPC (T updates)", (136, 34, 85), Marker::Right),
    ("ar", "AR", (124, 74, 30), Marker::Cross),
    ("pcalm", "PC-ALM", (40, 60, 130), Marker::Spark),
    ("ep", "EP", (90, 150, 40), Marker::Tripod),
];

/// Name and engine of a contender id `name/engine`. Not the rule: `mupc` and `spc` follow one rule on different nets.
pub fn split(contender: &str) -> (&str, &str) {
    contender.split_once('/').unwrap_or((contender, ""))
}

/// The table's row for a name, and the variant of it that the name asks for: `zil-all` is the variant `all` of
/// `zil`.
fn family(name: &str) -> Option<(usize, &str)> {
    let place = |name: &str| NAMES.iter().position(|(known, ..)| *known == name);
    let variant = || name.split_once('-').and_then(|(known, variant)| Some((place(known)?, variant)));
    place(name).map(|row| (row, "")).or_else(variant)
}

/// Colour, marker and dash of a contender name on an engine. A variant has its family's marker in a paler
/// colour; an unknown name is dark grey with a hexagon. An engine on fewer threads is paler, the fewer the more.
pub fn of(name: &str, engine: &str) -> Style {
    let (engine, threads) = match engine.split_once(':') {
        Some((engine, n)) => (engine, n.parse::<u32>().ok()),
        None => (engine, None),
    };
    let few = threads.map_or(0.0, |n| 0.55 / f64::from(n.max(1)).sqrt());
    let (color, marker, variant) = match family(name) {
        None => ((90, 90, 90), Marker::Hexagon, 0.0),
        Some((row, variant)) => {
            let (_, _, color, marker) = NAMES[row];
            // Variants of one family that stand side by side differ in length more often than not.
            let white = if variant.is_empty() { 0.0 } else { 0.25 + 0.08 * (variant.len() % 4) as f64 };
            (color, marker, white)
        }
    };
    let white = 1.0 - (1.0 - variant) * (1.0 - few);
    let pale = |c: u8| (f64::from(c) + white * (255.0 - f64::from(c))).round() as u8;
    let color = (pale(color.0), pale(color.1), pale(color.2));
    let dash: &[f64] = match engine {
        "reference" => &[],
        "autograd" => &[7.0, 3.5],
        "fused" => &[1.8, 2.6],
        _ => &[8.0, 3.0, 1.8, 3.0],
    };
    Style { color, marker, dash }
}

/// A contender name in print, e.g. `μPC` for `mupc` and `Z-IL all` for `zil-all`.
pub fn printed_name(name: &str) -> String {
    match family(name) {
        None => name.to_owned(),
        Some((row, "")) => NAMES[row].1.to_owned(),
        Some((row, variant)) => format!("{} {}", NAMES[row].1, variant.replace('-', " ")),
    }
}

/// A contender id in print, e.g. `μPC · reference` for `mupc/reference`.
pub fn printed(contender: &str) -> String {
    let (name, engine) = split(contender);
    match engine {
        "" => printed_name(name),
        engine => match engine.split_once(':') {
            Some((engine, "1")) => format!("{} · {engine}, 1 thread", printed_name(name)),
            Some((engine, n)) => format!("{} · {engine}, {n} threads", printed_name(name)),
            None => format!("{} · {engine}", printed_name(name)),
        },
    }
}

/// Place of a contender id in legends: names in the order of [`of`]'s table, the reference before other engines.
pub fn order(contender: &str) -> (usize, &str, bool, &str) {
    let (name, engine) = split(contender);
    let place = family(name).map_or(NAMES.len(), |(row, _)| row);
    (place, name, engine != "reference", engine)
}

/// matplotlib's viridis at eleven equidistant points: lightness rises evenly and reads in grey print.
const VIRIDIS: [Rgb; 11] = [
    (0x44, 0x01, 0x54),
    (0x48, 0x25, 0x75),
    (0x41, 0x44, 0x87),
    (0x35, 0x5f, 0x8d),
    (0x2a, 0x78, 0x8e),
    (0x21, 0x90, 0x8c),
    (0x22, 0xa8, 0x84),
    (0x44, 0xbf, 0x70),
    (0x7a, 0xd1, 0x51),
    (0xbd, 0xdf, 0x26),
    (0xfd, 0xe7, 0x25),
];

/// Colour of `share` in 0..=1 on a perceptually uniform scale; values outside take the end colours.
pub fn viridis(share: f64) -> Rgb {
    let last = VIRIDIS.len() - 1;
    let place = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) } * last as f64;
    let low = (place.floor() as usize).min(last - 1);
    let (a, b, part) = (VIRIDIS[low], VIRIDIS[low + 1], place - low as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_names_share_a_colour_or_a_marker() {
        let styles: Vec<Style> = NAMES.iter().map(|(name, ..)| of(name, "reference")).collect();
        assert_eq!(styles.iter().map(|s| s.color).collect::<HashSet<_>>().len(), NAMES.len());
        assert_eq!(styles.iter().map(|s| s.marker).collect::<HashSet<_>>().len(), NAMES.len());
    }

    #[test]
    fn contenders_go_by_their_name_not_by_their_rule() {
        let ids =
            ["bp/reference", "mupc-bp/reference", "spc/reference", "mupc/reference", "mupc-epc/reference"];
        let printed = ids.map(printed);
        let expected =
            ["BP", "BP (μPC net)", "sPC", "μPC", "μPC-ePC"].map(|name| format!("{name} · reference"));
        assert_eq!(printed, expected);
        assert_eq!(super::printed("future"), "future");
        assert_eq!(super::printed("ar-topdown-linear/fused"), "AR topdown linear · fused");
        assert_ne!(of("zil", "").color, of("zil-all", "").color);
        assert_eq!(of("zil", "").marker, of("zil-all", "").marker);
    }

    #[test]
    fn the_engine_changes_nothing_but_the_dash() {
        let (a, b) = (of("spc", "reference"), of("spc", "fused"));
        assert_eq!((a.color, a.marker), (b.color, b.marker));
        let dashes: HashSet<_> =
            ["reference", "autograd", "fused", "other"].map(|e| format!("{:?}", of("bp", e).dash)).into();
        assert_eq!(dashes.len(), 4);
    }

    #[test]
    fn viridis_is_bounded_and_rises_in_lightness() {
        assert_eq!((viridis(-1.0), viridis(2.0)), (VIRIDIS[0], VIRIDIS[10]));
        let light = |(r, g, b): Rgb| 0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b);
        let steps: Vec<f64> = (0..=50).map(|i| light(viridis(f64::from(i) / 50.0))).collect();
        assert!(steps.windows(2).all(|w| w[1] > w[0]));
        assert_eq!(viridis(f64::NAN), VIRIDIS[0]);
    }
}
