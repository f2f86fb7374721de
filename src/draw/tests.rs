//! The pictures as a whole: that everything is on the page, that no texts overlap, and that the light cone is that of the
//! schedule. Graphs are those of the public cases, and chains.

use std::path::{Path, PathBuf};

use super::*;
use crate::engine::reach::Reach;
use crate::net::architecture::mlp::{chain, MlpSpec};
use crate::net::layers::{Act, Add};
use crate::net::{Activation, ActivationOrder, Architecture, GraphBuilder, Loss, Parameterisation, Source};
use crate::plot::scene::{bounds, Item};
use crate::rule::Steps;
use crate::verify::case::{self, Case};

const LOSS: Loss = Loss::HALF_SQUARED_ERROR;

/// The public cases of graphs.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/graphs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files.iter().map(|file| case::read(file).unwrap()).collect()
}

fn mlp(depth: usize, bias: bool) -> Graph {
    let spec = MlpSpec {
        inputs: 64,
        width: 32,
        outputs: 10,
        depth,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Pre,
        parameterisation: Parameterisation::SP,
        gain: 1.0,
        bias,
    };
    spec.graph(LOSS).unwrap()
}

/// Latent vertices that all read the input, one after another.
fn wide(count: usize, name: impl Fn(usize) -> String) -> Graph {
    let mut graph = GraphBuilder::new();
    let x = Source::Data(graph.data("x", &[3]));
    let y = graph.data("y", &[3]);
    let act = |graph: &mut GraphBuilder, i| {
        graph.latent(&name(i), Act(Activation::Tanh), &[x], &[], 0.1 + i as f64)
    };
    let all: Vec<Source> = (0..count).map(|i| Source::Vertex(act(&mut graph, i).unwrap())).collect();
    let sum = graph.vertex("sum", Add, &[&all[..], &all[..1]].concat(), &[]).unwrap();
    graph.loss(sum, y, LOSS).unwrap();
    graph.build().unwrap()
}

fn rule(name: &str, graph: &Graph) -> Rule {
    Rule::from_name(name, Steps::constant(cone(graph).unwrap().depth(), 0.1)).unwrap()
}

/// A picture of every kind: name, scene.
fn gallery() -> Vec<(String, Scene)> {
    let draw = |title: &str, graph: &Graph, rule: Rule, processors: Option<usize>| {
        let subject = Subject { title: title.into(), graph, rule, batch: 64, processors };
        let name =
            format!("{}-{}", title.replace('/', "_"), processors.map_or("all".into(), |p| p.to_string()));
        (name, scene(&subject).unwrap())
    };
    let mut drawn = Vec::new();
    for case in cases() {
        let given = case.schedule.unwrap();
        let depth = cone(&case.graph).unwrap().depth();
        let given = given.steps().map_or(given, |own| given.with_steps(Steps { count: depth, ..own }));
        for processors in [None, Some(2)] {
            drawn.push(draw(&case.id, &case.graph, given, processors));
        }
    }
    for (depth, names) in
        [(1, &["spc", "bp"][..]), (8, &["bp", "spc", "epc", "zil", "ipc", "ar", "seqil"]), (40, &["bp"])]
    {
        let graph = mlp(depth, depth == 8);
        for name in names {
            for processors in [None, Some(1), Some(3)] {
                drawn.push(draw(&format!("mlp {depth} {name}"), &graph, rule(name, &graph), processors));
            }
        }
    }
    let odd = |i: usize| format!("<a&\"{}漢字\u{202e}{i}", "very.long.name.".repeat(i % 4));
    for graph in [wide(3, odd), wide(60, odd)] {
        let long = format!("{} of {}", "a title that goes on and on".repeat(20), "漢字".repeat(300));
        drawn.push(draw(&format!("wide {}", graph.len()), &graph, rule("spc", &graph), None));
        let subject =
            Subject { title: long, graph: &graph, rule: rule("bp", &graph), batch: 1, processors: Some(1) };
        drawn.push((format!("titled {}", graph.len()), scene(&subject).unwrap()));
    }
    drawn
}

#[test]
#[ignore = "writes the pictures to look at into the folder named by DRAW_OUT"]
fn pictures_to_look_at() {
    let out = PathBuf::from(std::env::var_os("DRAW_OUT").unwrap());
    std::fs::create_dir_all(&out).unwrap();
    for (name, scene) in gallery() {
        std::fs::write(out.join(format!("{name}.svg")), canvas::svg(&scene).unwrap()).unwrap();
        std::fs::write(out.join(format!("{name}.png")), canvas::png(&scene).unwrap()).unwrap();
    }
}

/// Left, top, right, bottom.
type Area = (f64, f64, f64, f64);

#[test]
fn nothing_leaves_the_page_and_no_texts_overlap() {
    let mut seen = 0;
    for (name, scene) in gallery() {
        let mut texts = Vec::<(Area, &str)>::new();
        for item in &scene.items {
            let own = match item {
                // as wide as it may be in another font than the bundled one
                Item::Text { text, size, bold, at, anchor, .. } => {
                    let (_, top, _, bottom) = bounds(item);
                    let width = label::width(text, *size, *bold);
                    let left = match anchor {
                        Anchor::Start => at.0,
                        Anchor::Middle => at.0 - width / 2.0,
                        Anchor::End => at.0 - width,
                    };
                    (left, top, left + width, bottom)
                }
                other => bounds(other),
            };
            let (l, t, r, b) = own;
            let inside = l >= 0.0 && t >= 0.0 && r <= f64::from(scene.width) && b <= f64::from(scene.height);
            assert!(inside, "{name}: {item:?} leaves the page");
            if let Item::Text { text, .. } = item {
                for ((l2, t2, r2, b2), other) in &texts {
                    let apart = r <= l2 + 0.5 || *r2 <= l + 0.5 || b <= t2 + 1.0 || *b2 <= t + 1.0;
                    assert!(apart, "{name}: `{text}` lies over `{other}`");
                }
                texts.push((own, text));
            }
        }
        assert!(texts.len() > 12, "{name} says almost nothing");
        seen += texts.len();
    }
    assert!(seen > 5000, "{seen}");
}

#[test]
fn two_runs_give_the_same_bytes() {
    let (one, two) = (gallery(), gallery());
    assert!(one == two);
    let svg = |scene: &Scene| canvas::svg(scene).unwrap();
    assert_eq!(svg(&one[3].1), svg(&two[3].1));
}

/// Oracle: the schedule of sPC itself, which skips what no error has reached.
#[test]
fn the_cone_is_that_of_the_schedule() {
    let mut graphs: Vec<(String, Graph)> = cases().into_iter().map(|case| (case.id, case.graph)).collect();
    graphs.push(("chain".into(), mlp(7, false)));
    let (mut vertices, mut early) = (0, 0);
    for (name, graph) in graphs {
        let cone = cone(&graph).unwrap();
        let engine = Reach::new(graph.topology(), graph.data().len());
        let mut first = vec![None; graph.len()];
        let spc = Rule::from_name("spc", Steps::constant(cone.depth() + 1, 0.1)).unwrap();
        let mut note = |shown: crate::engine::Shown<'_, _>| {
            for i in graph.topology().latent().filter(|&i| shown.errors[i].is_some()) {
                first[i].get_or_insert(shown.step);
            }
            Ok(())
        };
        spc.learn(&engine, &mut note).unwrap();
        for i in graph.topology().latent() {
            assert_eq!(Some(cone.arrival[i]), first[i], "{name}: {}", graph.name(i));
            assert!(cone.arrival[i] <= cone.distance[i]);
            early += usize::from(cone.arrival[i] < cone.distance[i]);
            vertices += 1;
        }
    }
    assert!(vertices > 100 && early > 0, "{vertices}, {early}");
    // on a chain, layer l is L − l steps away
    let seven = cone(&mlp(7, false)).unwrap();
    assert_eq!((seven.distance, seven.arrival), (vec![6, 5, 4, 3, 2, 1, 0], vec![6, 5, 4, 3, 2, 1, 0]));
}

#[test]
fn what_is_too_large_is_refused_in_one_sentence() {
    let refused = |graph: &Graph, rule: Rule, batch, processors| {
        svg(&Subject { title: "t".into(), graph, rule, batch, processors }).unwrap_err().to_string()
    };
    let small = mlp(4, false);
    let with = |name: &str, steps| Rule::from_name(name, Steps::constant(steps, 0.1)).unwrap();
    let says = |said: String, phrases: &[&str]| {
        for phrase in phrases {
            assert!(said.contains(phrase), "`{phrase}` is not in: {said}");
        }
    };
    says(refused(&mlp(201, false), with("bp", 0), 1, None), &["201 vertices", "at most 200"]);
    says(refused(&wide(200, |i| i.to_string()), with("bp", 0), 1, None), &["201 vertices"]);
    says(refused(&small, with("spc", 400), 1, None), &["spc", "2000 matrix products", "--steps"]);
    says(refused(&small, with("spc", 65_536), 1, None), &["65536 steps", "--steps"]);
    says(refused(&wide(150, |i| i.to_string()), with("spc", 5_000), 1, None), &["5000 steps", "--steps"]);
    says(refused(&small, with("bp", 0), usize::MAX, None), &["64 bits", "--batch"]);
    says(refused(&small, with("bp", 0), 1 << 50, None), &["64 bits", "--batch"]);
    says(refused(&small, with("bp", 0), 1, Some(0)), &["--processors is 0"]);
    assert!(chain(vec![], &[1], LOSS).is_err());
    // the largest of everything is drawn
    let largest = mlp(200, false);
    for rule in [with("bp", 0), with("spc", 5), with("zil", 0)] {
        svg(&Subject { title: "t".into(), graph: &largest, rule, batch: 1 << 20, processors: None }).unwrap();
    }
}
