//! `draw`: pictures are well-formed, name what they show, and state the work that the recording engine records.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pcnbench::engine::recording::Recording;
use pcnbench::engine::unwatched;
use pcnbench::net::{Graph, Topology};
use pcnbench::rule::{Rule, Steps};
use pcnbench::theory::makespan;
use pcnbench::verify::case;
use serde_json::{json, Value};

use crate::bad_drawings::changed;
use crate::session::{arg, names, refused, run, says, succeeds};
use crate::xml::texts;

pub fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The case files of a folder, sorted.
fn cases(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root(folder)).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

/// The largest number of latent vertices on the shortest path from a vertex to a loss.
fn largest_distance(topology: &Topology) -> usize {
    let mut distance = vec![usize::MAX; topology.len()];
    // as many rounds as a path can have vertices, in no clever order
    for _ in 0..topology.len() {
        for i in 0..topology.len() {
            let below = topology.children(i).iter().map(|&(child, _)| distance[child]);
            let judged = topology.losses().contains(&i).then_some(0);
            if let Some(nearest) = below.chain(judged).min().filter(|d| *d < usize::MAX) {
                distance[i] = nearest + usize::from(topology.is_latent(i));
            }
        }
    }
    distance.into_iter().max().unwrap()
}

fn recorded(graph: &Graph, rule: &Rule, batch: usize) -> makespan::Graph {
    let (graph, _) = rule.prepare(graph).unwrap();
    let engine = Recording::new(graph.topology().clone(), graph.costs(batch));
    rule.learn(&engine, &mut unwatched).unwrap();
    engine.into_graph()
}

/// The number before a unit that follows `what`, commas left out.
#[track_caller]
fn number(texts: &[String], what: &str) -> u64 {
    let all = texts.join(" · ");
    let (_, after) = all.split_once(what).unwrap_or_else(|| panic!("no `{what}` in {all}"));
    let digits = after.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == ',');
    digits.filter(|c| *c != ',').collect::<String>().parse().unwrap()
}

/// What a picture of a schedule must say.
#[track_caller]
fn states(texts: &[String], tasks: &makespan::Graph, processors: Option<usize>) {
    let place = processors.unwrap_or(tasks.tasks().len().max(1));
    let makespan = tasks.schedule(place).unwrap().makespan;
    let on = match processors {
        None => "unlimited processors".to_owned(),
        Some(1) => "1 processor".to_owned(),
        Some(n) => format!("{n} processors"),
    };
    let products = tasks.tasks().iter().filter(|task| task.duration > 0).count();
    assert_eq!(number(texts, "total work:"), tasks.work());
    assert_eq!(number(texts, &format!("total work: {} FLOPs in", grouped(tasks.work()))), products as u64);
    assert_eq!(number(texts, "critical path:"), tasks.critical_path());
    assert_eq!(number(texts, &format!("makespan on {on}:")), makespan);
}

fn grouped(n: u64) -> String {
    let digits: Vec<char> = n.to_string().chars().rev().collect();
    let groups = digits.chunks(3).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(",").chars().rev().collect()
}

fn default_steps(rule: Rule, graph: &Graph) -> Rule {
    let count = largest_distance(graph.topology());
    rule.steps().map_or(rule, |own| rule.with_steps(Steps { count, ..own }))
}

#[test]
fn every_case_is_drawn_with_its_names_and_its_work() {
    let (mut drawn, mut closed) = (0, 0);
    for file in cases("tests/cases/graphs").into_iter().chain(cases("tests/cases")) {
        let case = case::read(&file).unwrap();
        let Some(rule) = case.schedule else {
            let said = refused(&["draw", &arg(&file)]);
            says(&said, &[&arg(&file), "linear_equilibrium", "closed form", "no schedule", "--rule"]);
            let anyway = texts(&succeeds(&["draw", &arg(&file), "--rule", "bp"]));
            states(
                &anyway,
                &recorded(&case.graph, &Rule::from_name("bp", Steps::constant(0, 0.1)).unwrap(), 64),
                None,
            );
            closed += 1;
            continue;
        };
        let rule = default_steps(rule, &case.graph);
        let tasks = recorded(&case.graph, &rule, 64);
        let texts = texts(&succeeds(&["draw", &arg(&file)]));
        states(&texts, &tasks, None);
        assert_eq!(texts[0], case.id);
        for i in 0..case.graph.len() {
            let name = case.graph.name(i);
            let own = texts.iter().filter(|text| *text == name).count();
            assert!(own > 0, "{}: no `{name}` in {texts:?}", case.id);
        }
        let count = |words: &str| texts.iter().filter(|text| text.starts_with(words)).count();
        let latent = case.graph.topology().latent().count();
        assert_eq!(count("latent, "), latent, "{}", case.id);
        assert_eq!(count("target "), case.graph.losses().len());
        let kind = |text: &&String| case.graph.losses().iter().any(|term| *text == term.loss.kind.name());
        assert_eq!(texts.iter().filter(kind).count(), case.graph.losses().len());
        drawn += 1;
    }
    assert!(drawn >= 26 + 30 && closed >= 3, "{drawn} drawn, {closed} closed forms");
}

/// Vertices that share parameters have one label, and others have none.
#[test]
fn shared_parameters_have_a_label() {
    let mut labelled = 0;
    for file in cases("tests/cases/graphs") {
        let graph = case::read(&file).unwrap().graph;
        let topology = graph.topology();
        let mut users = BTreeMap::<Vec<usize>, Vec<&str>>::new();
        for (p, param) in graph.params().iter().enumerate() {
            let own: Vec<usize> =
                (0..graph.len()).filter(|&i| topology.node(i).params.contains(&p)).collect();
            users.entry(own).or_default().push(&param.name);
        }
        users.retain(|own, _| own.len() > 1);
        let texts = texts(&succeeds(&["draw", &arg(&file)]));
        let vertices: Vec<&str> = (0..graph.len()).map(|i| graph.name(i)).collect();
        let all: Vec<&String> =
            texts.iter().filter(|text| matches!(text.as_bytes(), [b'A'..=b'E'])).collect();
        // letters of bars are F, V and G
        let one_each = vertices.iter().all(|name| !matches!(name.as_bytes(), [b'A'..=b'E']));
        assert!(one_each, "{}: names like labels", file.display());
        let expected: usize = users.keys().map(|own| own.len() + 1).sum();
        assert_eq!(all.len(), expected, "{}: {all:?} for {users:?}", file.display());
        for (own, params) in &users {
            let words = format!("{}, shared by {} vertices", params.join(", "), own.len());
            assert!(texts.join(" ").contains(&words), "{}: no `{words}`", file.display());
        }
        labelled += users.len();
    }
    assert!(labelled >= 8, "{labelled}");
}

/// Oracles: the formulas of backpropagation and sPC on a chain, and the counts of `bounds`.
#[test]
fn networks_of_architectures_and_suites_are_drawn() {
    let mlp = |rule: &str, more: &[&str]| {
        let args = ["draw", "--architecture", "mlp", "--depth", "8", "--width", "16", "--rule", rule];
        texts(&succeeds(&[&args, more].concat()))
    };
    let bp = mlp("bp", &[]);
    says(
        &bp.join("\n"),
        &["mlp, depth 8, width 16", "8 vertices, 7 of them latent", "Schedule: BP, batch 64"],
    );
    // 3L − 1 products of 2·B·n·m FLOPs, one fewer of the first layer
    let layer = |inputs: u64, outputs: u64| 2 * 64 * inputs * outputs;
    let work = 2 * layer(64, 16) + 3 * (6 * layer(16, 16) + layer(16, 10));
    assert_eq!((number(&bp, "total work:"), number(&bp, &format!("{} FLOPs in", grouped(work)))), (work, 23));
    // on unlimited processors up and down again, the first gradient last
    let path = 2 * layer(64, 16) + 2 * (6 * layer(16, 16) + layer(16, 10));
    assert_eq!(number(&bp, "critical path:"), path);
    assert_eq!(number(&bp, "makespan on unlimited processors:"), path);
    let one = mlp("bp", &["--processors", "1", "--batch", "128"]);
    assert_eq!(number(&one, "makespan on 1 processor:"), 2 * work);
    let spc = mlp("spc", &["--inputs", "16", "--outputs", "16"]);
    says(&spc.join("\n"), &["Schedule: sPC, T = 7, batch 64", "latent, d = 7"]);
    assert!(
        number(&spc, "total work:")
            > number(&mlp("spc", &["--inputs", "16", "--outputs", "16", "--steps", "6"]), "total work:")
    );

    for (suite, rule) in [("quick", None), ("quick", Some("epc")), ("rules", Some("zil"))] {
        let small = ["--depth", "5", "--width", "12", "--batch", "6"];
        let rules: Vec<&str> = rule.map_or(vec![], |rule| vec!["--rule", rule]);
        let args = [&["draw", "--suite", suite, "--processors", "2"][..], &small, &rules].concat();
        let drawn = texts(&succeeds(&args));
        let printed =
            succeeds(&[&["bounds", suite, "--simulate", "2", "--format", "csv"][..], &small].concat());
        let mut rows = csv::Reader::from_reader(printed.as_bytes());
        let headers = rows.headers().unwrap().clone();
        let cell = |row: &csv::StringRecord, name: &str| {
            row[headers.iter().position(|h| h == name).unwrap()].to_owned()
        };
        let wanted = format!("{}/reference", rule.unwrap_or("spc"));
        let row = rows.records().map(Result::unwrap).find(|row| cell(row, "contender") == wanted).unwrap();
        assert_eq!(number(&drawn, "total work:").to_string(), cell(&row, "gemm_flops"), "{suite} {wanted}");
        assert_eq!(number(&drawn, "makespan on 2 processors:").to_string(), cell(&row, "makespan_flops"));
        says(&drawn.join(" "), &[&cell(&row, "point").replace(',', ", "), &wanted, "batch 6"]);
    }
    // every architecture that there is
    for kind in pcnbench::net::architecture::KINDS {
        let drawn = run(&["draw", "--architecture", kind.name, "--depth", "2", "--width", "8"]);
        if drawn.code == Some(0) {
            texts(&drawn.out);
        } else {
            crate::session::sentence(&drawn, 1);
        }
    }
}

#[test]
fn two_runs_give_the_same_bytes_in_a_file_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lstm.svg");
    let case = arg(root("tests/cases/graphs/lstm-gates_fpa-g0.4-T10.json"));
    for more in [&[][..], &["--processors", "3"]] {
        let printed = succeeds(&[&["draw", &case][..], more].concat());
        assert_eq!(printed, succeeds(&[&["draw", &case][..], more].concat()));
        assert_eq!(succeeds(&[&["draw", &case, "--out", &arg(&file)][..], more].concat()), "");
        assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    }
    assert_eq!(names(dir.path()), ["lstm.svg"]);
}

/// Names come from files: what XML forbids or would take for its own, and what has no room.
#[test]
fn names_are_escaped_and_fit() {
    let dir = tempfile::tempdir().unwrap();
    let renamed = |name: &str| {
        let old: Value =
            serde_json::from_slice(&fs::read(root("tests/cases/graphs/scalar_bp.json")).unwrap()).unwrap();
        let first = old["graph"]["vertices"][0]["name"].as_str().unwrap().to_owned();
        let path = changed(dir.path(), |c| {
            for vertex in c["graph"]["vertices"].as_array_mut().unwrap() {
                let inputs = vertex["inputs"].as_array_mut().unwrap();
                inputs
                    .iter_mut()
                    .filter(|input| **input == json!(first))
                    .for_each(|input| *input = json!(name));
            }
            c["graph"]["vertices"][0]["name"] = json!(name);
            c["id"] = json!(name);
        });
        texts(&succeeds(&["draw", &path, "--processors", "1"]))
    };
    let plain = r#"<b>&amp;"]]>'"#;
    assert!(renamed(plain).iter().filter(|text| *text == plain).count() >= 2);
    assert!(renamed("a\u{0}b\tc\u{202e}").iter().any(|text| text == "a·b·c·"));
    let long = "encoder.".repeat(4000);
    let drawn = renamed(&long);
    assert!(drawn
        .iter()
        .any(|text| text.starts_with("encode") && text.ends_with("der.") && text.contains('…')));
    assert!(drawn.iter().all(|text| text.chars().count() < 200), "{drawn:?}");
}
