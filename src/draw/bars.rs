//! The lower panel: the tasks of a schedule as bars over time.

use std::collections::BTreeMap;

use super::label::{count, grouped, shorten, width};
use super::recorded::Recorded;
use crate::net::{Graph, VertexId};
use crate::plot::axes::{Axis, Spread};
use crate::plot::caption;
use crate::plot::number;
use crate::plot::plot_area::{PlotArea, BELOW, TICK};
use crate::plot::scene::{Anchor, Scene, Spot, Type};
use crate::plot::style::{Rgb, GRID, INK};
use crate::theory::makespan::{Placed, Verb};

/// Height of a bar with what separates it from the next, and what separates rows.
const LANE: (f64, f64) = (14.0, 3.0);
/// Names of rows.
const ROW: Type = Type { size: 10.5, color: INK, bold: false };
/// Width of a row's name.
const NAME_ROOM: f64 = 140.0;
/// What stands in a bar.
const IN_BAR: Type = Type { size: 9.0, color: INK, bold: false };
/// Width of the panel without names: at least, at most, and per mean length of a task.
const WIDTH: (f64, f64, f64) = (640.0, 1900.0, 12.0);
/// Height of the line that explains colours.
const KEY: f64 = 26.0;
/// Every bar can be seen.
const THINNEST: f64 = 0.75;

/// Letter, words and colour of what a task does; none for those that take no time.
fn verb(verb: Verb) -> Option<(char, &'static str, Rgb)> {
    match verb {
        Verb::Forward => Some(('F', "forward", (158, 202, 235))),
        Verb::Vjp => Some(('V', "transposed Jacobian (vjp)", (250, 200, 110))),
        Verb::Jvp => Some(('J', "Jacobian (jvp)", (222, 180, 232))),
        Verb::ParamGrad => Some(('G', "parameter gradient", (140, 214, 186))),
        Verb::Join | Verb::Barrier => None,
    }
}

/// A row of bars.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    /// Tasks that do not overlap, lane by lane.
    lanes: Vec<Vec<Placed>>,
}

/// A schedule with the place of everything in it.
#[derive(Debug, Clone)]
pub(super) struct Bars {
    rows: Vec<Row>,
    /// Width of names and of the bars.
    names: f64,
    width: f64,
    makespan: u64,
    by_processor: bool,
    facts: Vec<String>,
}

impl Bars {
    /// Lays a schedule out: a row per processor, or per vertex if there are as many processors as it takes.
    pub(super) fn new(graph: &Graph, recorded: &Recorded, processors: Option<usize>) -> Self {
        let mut by_row = BTreeMap::<usize, Vec<Placed>>::new();
        for placed in &recorded.schedule.placed {
            let vertex = recorded.vertex(recorded.task(placed.task)).unwrap_or(graph.len());
            by_row
                .entry(if processors.is_some() { placed.processor } else { vertex })
                .or_default()
                .push(*placed);
        }
        let name = |row: usize| match processors {
            Some(_) => format!("processor {}", row + 1),
            None if row < graph.len() => shorten(graph.name(row), ROW.size, ROW.bold, NAME_ROOM),
            None => "others".into(),
        };
        let end = |placed: &Placed| placed.start + recorded.task(placed.task).duration;
        let row = |(row, placed)| Row { name: name(row), lanes: lanes(placed, end) };
        let rows: Vec<Row> = by_row.into_iter().map(row).collect();
        let names = rows.iter().map(|row| width(&row.name, ROW.size, ROW.bold)).fold(0.0, f64::max) + 14.0;
        let makespan = recorded.schedule.makespan;
        let mean = recorded.graph.work() as f64 / recorded.schedule.placed.len().max(1) as f64;
        let width = (WIDTH.2 * makespan as f64 / mean.max(1.0)).clamp(WIDTH.0, WIDTH.1);
        let by_processor = processors.is_some();
        Self { rows, names, width, makespan, by_processor, facts: facts(recorded, processors) }
    }

    /// Width and height of the panel, as wide as `room` or as it must be.
    pub(super) fn size(&self, room: f64) -> (f64, f64) {
        let width = room.max(self.names + self.width);
        let text = caption::height(caption::wrap(&self.facts, width).len());
        (width, KEY + self.height() + if self.rows.is_empty() { 0.0 } else { BELOW } + text)
    }

    fn height(&self) -> f64 {
        self.rows.iter().map(row_height).sum()
    }

    /// Draws the panel with its upper left corner at `at`.
    pub(super) fn draw(&self, scene: &mut Scene, at: Spot, room: f64, graph: &Graph, recorded: &Recorded) {
        let (left, mut top) = at;
        let (width, _) = self.size(room);
        if let Some(x) = Axis::linear("time in FLOPs", 0.0, self.makespan as f64, number::count) {
            let tangents = recorded.graph.tasks().iter().any(|task| task.verb == Verb::Jvp);
            draw_key(scene, (left, top + 7.0), tangents);
            top += KEY;
            let y = Axis {
                spread: Spread::Linear,
                low: 0.0,
                high: 1.0,
                ticks: vec![],
                minor: vec![],
                label: String::new(),
            };
            let bottom = top + self.height();
            let area = PlotArea { left: left + self.names, top, right: left + width, bottom, x, y };
            area.draw_grid(scene);
            let mut y = top;
            for row in &self.rows {
                scene.line([(area.left, y), (area.right, y)], 1.0, GRID);
                let height = row_height(row);
                scene.text((area.left - 7.0, y + height / 2.0), row.name.clone(), ROW, Anchor::End);
                for (lane, placed) in row.lanes.iter().enumerate() {
                    let y = y + LANE.1 / 2.0 + LANE.0 * lane as f64;
                    placed.iter().for_each(|placed| self.draw_bar(scene, &area, y, placed, graph, recorded));
                }
                y += height;
            }
            area.draw_axes(scene);
            top = bottom + BELOW;
        }
        caption::draw(scene, (left, top + 8.0), &caption::wrap(&self.facts, width));
    }

    fn draw_bar(
        &self,
        scene: &mut Scene,
        area: &PlotArea,
        y: f64,
        placed: &Placed,
        graph: &Graph,
        recorded: &Recorded,
    ) {
        let task = recorded.task(placed.task);
        let Some((letter, _, color)) = verb(task.verb) else { return };
        let per_flop = (area.right - area.left) / self.makespan as f64;
        let from = area.left + per_flop * placed.start as f64;
        let to = from + (per_flop * task.duration as f64).max(THINNEST);
        let (y, below) = (y + 1.0, y + LANE.0 - 1.0);
        // neighbours of one colour stay two bars
        let seam = if to - from > 3.0 { 0.25 } else { 0.0 };
        scene.cell((from + seam, y), (to - seam, below), color);
        if recorded.critical[placed.task] {
            let inset = (0.2 * (to - from)).min(0.7);
            let (l, t, r, b) = (from + inset, y + 0.7, to - inset, below - 0.7);
            scene.line([(l, t), (r, t), (r, b), (l, b), (l, t), (r, t)], 2.0 * inset, INK);
        }
        let name = |i: VertexId| format!("{letter} {}", super::label::clean(graph.name(i)));
        let texts = [recorded.vertex(task).filter(|_| self.by_processor).map(name), Some(letter.to_string())];
        let fits = |text: &String| width(text, IN_BAR.size, IN_BAR.bold) + 5.0 <= to - from;
        if let Some(text) = texts.into_iter().flatten().find(fits) {
            scene.text(((from + to) / 2.0, (y + below) / 2.0), text, IN_BAR, Anchor::Middle);
        }
    }
}

fn row_height(row: &Row) -> f64 {
    LANE.0 * row.lanes.len() as f64 + LANE.1
}

/// Tasks in as few lanes as they need so that none overlaps another in its lane; `placed` is ordered by start.
fn lanes(placed: Vec<Placed>, end: impl Fn(&Placed) -> u64) -> Vec<Vec<Placed>> {
    let mut lanes: Vec<Vec<Placed>> = Vec::new();
    for placed in placed {
        let free = |lane: &&mut Vec<Placed>| lane.last().is_none_or(|last| end(last) <= placed.start);
        match lanes.iter_mut().find(free) {
            Some(lane) => lane.push(placed),
            None => lanes.push(vec![placed]),
        }
    }
    lanes
}

fn draw_key(scene: &mut Scene, (left, y): Spot, tangents: bool) {
    let mut x = left;
    // the kinds of every schedule, and of conjugate gradients one more
    let more = if tangents { &[Verb::Jvp][..] } else { &[] };
    let kinds = [Verb::Forward, Verb::Vjp, Verb::ParamGrad].iter().chain(more).filter_map(|v| verb(*v));
    let samples = kinds.map(|(letter, words, color)| (letter.to_string(), words, color, false));
    for (letter, words, color, outlined) in
        samples.chain([(String::new(), "on the critical path", (245, 245, 245), true)])
    {
        scene.cell((x, y - 6.0), (x + 22.0, y + 6.0), color);
        if outlined {
            let (l, t, r, b) = (x + 0.7, y - 5.3, x + 21.3, y + 5.3);
            scene.line([(l, t), (r, t), (r, b), (l, b), (l, t), (r, t)], 1.4, INK);
        } else {
            scene.text((x + 11.0, y), letter, IN_BAR, Anchor::Middle);
        }
        scene.text((x + 29.0, y), words, TICK, Anchor::Start);
        x += 29.0 + width(words, TICK.size, TICK.bold) + 22.0;
    }
}

/// What the picture shows in numbers.
fn facts(recorded: &Recorded, processors: Option<usize>) -> Vec<String> {
    let graph = &recorded.graph;
    let (work, path, makespan) = (graph.work(), graph.critical_path(), recorded.schedule.makespan);
    let products = |n: usize| count(n, "matrix product", "matrix products");
    let critical = recorded.schedule.placed.iter().filter(|placed| recorded.critical[placed.task]).count();
    let on = match processors {
        Some(n) => count(n, "processor", "processors"),
        None => "unlimited processors".into(),
    };
    let mut facts = vec![
        format!("total work: {} FLOPs in {}", grouped(work), products(recorded.schedule.placed.len())),
        format!("critical path: {} FLOPs in {}", grouped(path), products(critical)),
        format!("makespan on {on}: {} FLOPs", grouped(makespan)),
    ];
    if makespan > 0 {
        facts.push(format!("work over makespan: {}", number::short(work as f64 / makespan as f64, 3)));
    }
    let mut terms =
        "A product takes the time of its FLOPs; element-wise work and communication take none".to_owned();
    if processors.is_some() {
        terms.push_str("; of products that can begin, the one with the longest path to the end goes first");
    }
    facts.push(terms + ".\n");
    if work == 0 {
        facts.push("No operation of this network is a matrix product, so that nothing takes time.\n".into());
    }
    if recorded.identities() > 0 {
        let identities = count(recorded.identities(), "latent identity", "latent identities");
        facts
            .push(format!("The rule runs on the network with {identities} inserted, which are not drawn.\n"));
    }
    facts
}
