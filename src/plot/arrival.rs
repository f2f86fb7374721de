//! First arrivals in different number formats: with what energy the output error first reaches each layer.
//!
//! From a feed-forward start the error of the layer at distance d = L − ℓ from the output is first non-zero after d
//! steps of sPC, and is λ^d·|G_ℓ| there, G_ℓ the adjoint. A number format that rounds v + λ·g to v loses it.
//!
//! The record does not hold |G_ℓ|, but the first step of ePC makes every error λ_e·|G_ℓ|: where ePC was traced on the
//! same network, λ^2d/λ_e² times its energies after that step is the law, and owes nothing to the lines it is held
//! against.

use std::path::Path;

use super::arrival_lines::{groups, Group, Law, Line, REFERENCE};
use super::axes::Axis;
use super::canvas;
use super::decay_heatmap::decade;
use super::drawing::{csv_text, Drawing, Drawn};
use super::label_placement;
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::PlotArea;
use super::scene::{Scene, Spot};
use super::signal::traces;
use super::style::{Rgb, SOFT};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "arrival";
const PANEL: (f64, f64) = (560.0, 440.0);

/// Draws one figure per group of traced points that differ in dtype only.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let traces = traces(record);
    if traces.is_empty() {
        out.skip(FIGURE, "no signal was traced");
    }
    for group in groups(record, &traces) {
        if group.lines.len() < 2 {
            let count = if group.lines.is_empty() { "no trace" } else { "one trace only" };
            let reason = format!(
                "`{}` has {count} of rule `spc` with first arrivals and a dtype: nothing to compare",
                group.stem
            );
            out.skip(FIGURE, reason);
            continue;
        }
        let energies = group.lines.iter().flat_map(|l| l.energy.values().copied());
        let laws = group.laws();
        let all = energies.chain(laws.iter().flatten().map(|(_, e)| *e));
        let Some(y) = Axis::log("energy ½‖ε‖² at step t = d, sum over the batch", all, decade) else {
            out.skip(FIGURE, format!("`{}` has no positive energy at a first arrival", group.stem));
            continue;
        };
        let stem = format!("{FIGURE}.{}", group.stem);
        let title = format!("First arrivals under sPC, L = {}", group.farthest + 1);
        let files =
            canvas::save(folder, &stem, &csv_text(&group.table())?, || scene(&title, &group, &laws, &y))?;
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about(&group, !laws.is_empty()), files });
    }
    Ok(out)
}

/// How to read the figure.
fn about(group: &Group<'_>, law: bool) -> String {
    let mut about = "Energy of the layer at distance d = L − ℓ from the output after t = d inference steps, the first at \
                     which the output error can have reached it. Every line starts from the same seed and batch: lines \
                     of one parameterisation and step size differ by rounding alone. A line ends at the last layer that \
                     received anything, since an energy of exactly zero has no place on this axis."
        .to_owned();
    about.push_str(if group.lines.iter().any(|l| l.row.dtype == REFERENCE) {
        " The f64 line that reaches farthest is the one that others are held against; without deviations f64 loses \
         its signal too, only later than f32."
    } else {
        " There is no f64 trace to hold these lines against."
    });
    about.push_str(if law {
        " The thin grey line is the law λ^(2d)·½‖G‖², where ½‖G‖² of each layer is its energy after the first step of \
         ePC in the same record over the square of ePC's step size."
    } else {
        " The law λ^(2d)·½‖G‖² is drawn only where ePC was traced on the same network: its first step gives the \
         adjoints G."
    });
    about
}

fn scene(title: &str, group: &Group<'_>, laws: &[Law], y: &Axis) -> Result<Scene> {
    let entry = |line: &Line<'_>| Entry::stroke(&line.name(), "", line.style(), line.stroke());
    let mut entries: Vec<Entry> = group.lines.iter().map(entry).collect();
    if !laws.is_empty() {
        entries.push(Entry::thin("law", "½‖G‖² · λ^(2d), G from the first step of ePC", SOFT));
    }
    if group.lines.iter().any(|line| line.end().is_some()) {
        entries.push(Entry::text("upright bar: the last layer that received anything"));
    }
    let facts: Vec<String> =
        group.facts.iter().cloned().chain(group.lines.iter().map(|line| group.verdict(line))).collect();
    let mut page = Panels::new(&Layout {
        title,
        headings: &[],
        columns: 1,
        panel: PANEL,
        y: &[y],
        beside: legend::size(&entries),
        facts: &facts,
    });
    let x = Axis::integers("distance from the output, d = L − ℓ", 1, group.farthest, 6);
    let plot_area = page.plot_area(0, x, y.clone());
    plot_area.draw_grid(&mut page.scene);
    draw_lines(&mut page.scene, &plot_area, group, laws)?;
    plot_area.draw_axes(&mut page.scene);
    let at = page.beside();
    legend::draw(&mut page.scene, at, &entries);
    Ok(page.scene)
}

fn draw_lines(scene: &mut Scene, plot_area: &PlotArea, group: &Group<'_>, laws: &[Law]) -> Result<()> {
    // Heavy strokes first, so that of lines that coincide a rim of each is seen.
    let mut order: Vec<&Line<'_>> = group.lines.iter().rev().collect();
    order.sort_by(|a, b| b.stroke().width.total_cmp(&a.stroke().width));
    let (mut spots, mut strokes) = (Vec::new(), Vec::new());
    for line in &order {
        for run in line.runs(plot_area)? {
            scene.dashed(&run, line.stroke().width, line.style().color, line.style().dash);
            strokes.extend(run.windows(2).map(|pair| [pair[0], pair[1]]));
            spots.extend(run);
        }
    }
    for law in laws {
        let law = law.iter().map(|(d, e)| plot_area.at(*d as f64, *e)).collect::<Result<Vec<Spot>>>()?;
        scene.line(law.clone(), 0.9, SOFT);
        strokes.extend(law.windows(2).map(|pair| [pair[0], pair[1]]));
    }
    let mut wanted: Vec<(Rgb, String, Spot)> = Vec::new();
    for line in &order {
        let stroke = line.stroke();
        for spot in line.runs(plot_area)?.into_iter().flatten() {
            scene.marker(spot, stroke.radius, line.style(), stroke.hollow);
        }
        if let Some((d, energy)) = line.end() {
            let (x, y) = plot_area.at(d as f64, energy)?;
            scene.line([(x, y - 10.0), (x, y + 10.0)], 2.0, line.style().color);
            strokes.push([(x, y - 10.0), (x, y + 10.0)]);
            wanted.push((line.style().color, format!("{} ends at d = {d}", line.name()), (x, y)));
        }
    }
    label_placement::beside(scene, plot_area, wanted, &spots, &strokes);
    Ok(())
}
