//! The figures as a whole: what they say, that they fit, that they never fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::arrival_tests::formats;
use super::synthetic::{add, directions, empty, flat, realistic, row, trace, wave};
use super::*;

pub(super) fn fit(points: &[(f64, Vec<f64>)]) -> Option<Slope> {
    let (first, last) = (points.first()?, points.last()?);
    let p = (last.1.first()? / first.1.first()?).ln() / (last.0 / first.0).ln();
    Some(Slope { p, low: p - 0.04, high: p + 0.05 })
}

/// Every file a drawing of `record` writes.
pub(super) fn draw(record: &Record) -> (Drawing, BTreeMap<String, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let drawing = draw_all(record, folder.path(), &fit).unwrap();
    let files = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().path());
    let files =
        files.map(|p: PathBuf| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read(p).unwrap()));
    (drawing, files.collect())
}

#[test]
#[ignore = "writes the figures to look at into the folder named by PLOT_OUT"]
fn gallery() {
    let out = PathBuf::from(std::env::var_os("PLOT_OUT").unwrap());
    let records = [
        ("realistic", realistic()),
        ("crowd", crowd()),
        ("extreme", extreme()),
        ("directions", directions()),
        ("formats", formats()),
    ];
    for (name, record) in records {
        let folder = out.join(name);
        let drawing = draw_all(&record, &folder.join("figures"), &fit).unwrap();
        report::write(&record, &drawing, &folder.join("index.html")).unwrap();
        println!("{:#?}", drawing.skipped);
    }
}

/// All eleven rules, two engines, long names.
fn crowd() -> Record {
    let mut record = empty();
    let rules = ["bp", "mupc-bp", "spc", "epc", "mupc", "mupc-epc", "fpa", "zil", "seqil", "ipc", "ar"];
    for (i, rule) in rules.iter().enumerate() {
        for (j, engine) in ["reference", "fused"].iter().enumerate() {
            let steps = |_: usize| if rule.ends_with("bp") { 0 } else { 8 };
            let per_gemm = 4_000.0 * (1.35f64).powi(i as i32) / (1 + j) as f64;
            add(&mut record, &format!("{rule}/{engine}"), &[3, 6, 12, 24], steps, per_gemm);
        }
        trace(&mut record, &format!("{rule}/reference"), 12, 16, if i % 2 == 0 { wave } else { flat });
    }
    let long = format!("some-rule-of-the-future/{}", "an-engine-with-a-very-long-name-".repeat(4));
    add(&mut record, &long, &[3, 24], |_| 8, 50_000.0);
    record.machine.cpu = "A Processor With A Very Long Marketing Name ".repeat(8);
    record
}

/// Ranges of a hundred decades, 128 layers and steps.
fn extreme() -> Record {
    let mut record = empty();
    for (depth, ns) in [(1, 1.0), (2, 3e3), (1000, 9e17)] {
        record.summary.push(row("huge", "bp/reference", depth, 0, ns, depth as u64));
    }
    trace(&mut record, "spc/reference", 128, 128, wave);
    trace(&mut record, "epc/reference", 128, 128, |t, d| if d == 5 { f64::NAN } else { flat(t, d) * 1e3 });
    record
}

#[test]
fn figures_name_what_they_show() {
    let (drawing, files) = draw(&realistic());
    assert_eq!(drawing.drawn.len(), 7, "{:?}", drawing.skipped);
    let svg = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    let says = |name: &str, words: &[&str]| {
        let text = svg(name);
        for word in words {
            assert!(text.contains(word), "{name} does not say {word}");
        }
    };
    let depth =
        ["median wall time per weight update", "depth L", "sPC · fused", "O(L²)", "O(L)", "p = 1.", "1 ms"];
    says("time-vs-depth.depth.svg", &depth);
    says("time-vs-depth.depth.svg", &["Example 9000", "f32", "batch 64", "T = L", "commit 1a2b3c4"]);
    says("time-vs-gemms.depth.svg", &["matrix products per weight update", "O(n)", "per product"]);
    says(
        "utilisation.depth.svg",
        &["GFLOP/s", "share of ceiling", "410 GFLOP/s at 1024x1024x1024", "800 GFLOP/s with"],
    );
    says("cost-ratio.depth.svg", &["in units of BP on the same network", "counted matrix products", "100×"]);
    let bounds = [
        "L = 128",
        "bound, any program",
        "critical path",
        "a processor per layer",
        "over its own bound",
        "says nothing",
    ];
    says("bounds.depth.svg", &bounds);
    says("decay-heatmap.decay.svg", &["inference step t", "layer ℓ", "exactly 0", "ℓ = L − t", "10⁻¹"]);
    says("decay-curves.decay.svg", &["layer 20 (loss)", "ePC · reference", "exact zeros not drawn"]);
}

/// The rule of `mupc` is `spc`: going by it, two contenders would share a colour and a label.
#[test]
fn contenders_go_by_their_name_in_every_figure() {
    let mut record = realistic();
    trace(&mut record, "mupc/reference", 20, 64, wave);
    let (drawing, files) = draw(&record);
    let is_ratio = |d: &&Drawn| d.figure == "cost-ratio";
    assert_eq!(drawing.drawn.iter().filter(is_ratio).count(), 1, "one figure for all baselines");
    for drawn in &drawing.drawn {
        let svg = String::from_utf8(files[&format!("{}.svg", drawn.stem)].clone()).unwrap();
        // The caption of first arrivals has a line for each entry of its legend.
        let named = if drawn.figure == "arrival" { 2 } else { 1 };
        let begins = |text: &str| svg.matches(&format!(">\n{text}")).count() == named;
        assert!(begins("μPC · reference") && begins("sPC · reference"), "{}", drawn.stem);
        let (r, g, b) = style::of("mupc", "reference").color;
        let timed = !drawn.stem.contains("decay");
        assert!(
            !timed || svg.contains(&format!("#{r:02X}{g:02X}{b:02X}")),
            "{} has no μPC colour",
            drawn.stem
        );
        assert!(svg.contains("sp-uniform, but mupc-residual for"), "{}", drawn.stem);
        let base = "BP (μPC net) · reference";
        let has_base = timed && drawn.figure != "cost-ratio";
        assert_eq!(svg.contains(&format!(">\n{base}")), has_base, "{}", drawn.stem);
        assert!(!svg.contains('…'), "{} cuts a text", drawn.stem);
    }
    let ratio = String::from_utf8(files["cost-ratio.depth.svg"].clone()).unwrap();
    assert!(ratio.contains("but BP (μPC net) · reference for μPC · reference"));
}

#[test]
fn two_runs_give_the_same_bytes() {
    for record in [realistic(), directions(), formats()] {
        assert_eq!(draw(&record).1, draw(&record).1);
    }
}

#[test]
fn nothing_leaves_the_page_and_no_texts_overlap() {
    for record in [realistic(), crowd(), extreme(), directions(), formats()] {
        for (name, bytes) in draw(&record).1.iter().filter(|(name, _)| name.ends_with(".svg")) {
            check_layout(name, &String::from_utf8(bytes.clone()).unwrap());
        }
    }
}

/// Reads texts back out of an SVG and checks their boxes against the page and each other.
pub(super) fn check_layout(name: &str, svg: &str) {
    let attribute = |tag: &str, key: &str| -> Option<String> {
        let from = tag.find(&format!(" {key}=\""))? + key.len() + 3;
        Some(tag[from..].split('"').next()?.to_owned())
    };
    let number = |tag: &str, key: &str| attribute(tag, key).unwrap().parse::<f64>().unwrap() / 4.0;
    let view = attribute(svg, "viewBox").unwrap();
    let page: Vec<f64> = view.split(' ').map(|v| v.parse::<f64>().unwrap() / 4.0).collect();
    let mut boxes: Vec<((f64, f64, f64, f64), String)> = Vec::new();
    for part in svg.split("<text").skip(1) {
        let (tag, rest) = part.split_once('>').unwrap();
        let text = rest.split("</text>").next().unwrap().trim().replace("&amp;", "&");
        let anchor = match attribute(tag, "text-anchor").unwrap().as_str() {
            "start" => scene::Anchor::Start,
            "middle" => scene::Anchor::Middle,
            _ => scene::Anchor::End,
        };
        let item = scene::Item::Text {
            at: (number(tag, "x"), number(tag, "y")),
            text: text.clone(),
            size: number(tag, "font-size"),
            color: (0, 0, 0),
            bold: tag.contains("bold"),
            anchor,
            turned: tag.contains("rotate(270"),
        };
        boxes.push((scene::bounds(&item), text));
    }
    assert!(boxes.len() > 8, "{name} has almost no text");
    for (i, ((l, t, r, b), text)) in boxes.iter().enumerate() {
        assert!(
            *l >= 0.0 && *t >= 0.0 && *r <= page[2] - 4.0 && *b <= page[3],
            "{name}: `{text}` leaves the page"
        );
        for ((l2, t2, r2, b2), other) in &boxes[..i] {
            let apart = *r <= l2 + 0.5 || *r2 <= l + 0.5 || *b <= t2 + 1.0 || *b2 <= t + 1.0;
            assert!(apart, "{name}: `{text}` lies over `{other}`");
        }
    }
}

#[test]
fn tables_hold_the_rows_of_the_record() {
    let record = realistic();
    let (_, files) = draw(&record);
    let mut table = csv::Reader::from_reader(&files["time-vs-depth.depth.csv"][..]);
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let mut seen = 0;
    for line in table.records().map(|l| l.unwrap()) {
        let get = |name: &str| line[column(name)].to_owned();
        let depth: usize = get("depth").parse().unwrap();
        let source =
            record.summary.iter().find(|r| r.contender == get("contender") && r.depth == depth).unwrap();
        let times = [source.median_ns, source.median_low_ns, source.median_high_ns].map(|v| v.to_string());
        assert_eq!([get("median_ns"), get("median_low_ns"), get("median_high_ns")], times);
        seen += 1;
    }
    assert_eq!(seen, 42, "every timed row, and not the failed one");

    let mut table = csv::Reader::from_reader(&files["decay-heatmap.decay.csv"][..]);
    let energies: Vec<f64> = table.records().map(|l| l.unwrap()[5].parse().unwrap()).collect();
    let mut sources: Vec<_> = record.signals.clone();
    sources.sort_by_key(|r| usize::from(r.contender.starts_with("epc")));
    assert_eq!(energies, sources.iter().map(|r| r.energy).collect::<Vec<_>>());
}

#[test]
fn records_without_data_skip_with_a_reason() {
    let (drawing, files) = draw(&empty());
    assert!(files.is_empty() && drawing.drawn.is_empty());
    assert_eq!(drawing.skipped.len(), 11);
    assert!(drawing.skipped.iter().all(|s| !s.reason.is_empty()));
}

#[test]
fn odd_records_neither_panic_nor_fail() {
    let _coarse = canvas::coarse();
    let one = |change: fn(&mut Record)| {
        let mut record = empty();
        add(&mut record, "bp/reference", &[4, 8], |_| 0, 1000.0);
        add(&mut record, "spc/reference", &[4, 8], |l| l, 1000.0);
        trace(&mut record, "spc/reference", 3, 4, wave);
        change(&mut record);
        let folder = tempfile::tempdir().unwrap();
        let drawing = draw_all(&record, folder.path(), &fit).unwrap();
        report::write(&record, &drawing, &folder.path().join("index.html")).unwrap();
        drawing
    };
    assert_eq!(one(|_| ()).drawn.len(), 7);
    one(|r| r.summary.truncate(1));
    one(|r| r.summary.iter_mut().for_each(|row| row.contender = String::new()));
    one(|r| r.summary.iter_mut().for_each(|row| row.err = "wrong".into()));
    one(|r| {
        r.summary
            .iter_mut()
            .for_each(|row| (row.median_ns, row.median_low_ns, row.median_high_ns) = (7, 0, 0))
    });
    one(|r| r.summary.iter_mut().for_each(|row| row.median_high_ns = u64::MAX));
    one(|r| r.summary.iter_mut().for_each(|row| (row.gemms, row.gemm_flops) = (0, 0)));
    one(|r| r.summary.iter_mut().for_each(|row| (row.gemms, row.depth) = (u64::MAX, usize::MAX)));
    one(|r| r.summary.iter_mut().for_each(|row| row.benchmark = "../\u{0}<&\">".into()));
    one(|r| {
        r.ratios
            .iter_mut()
            .for_each(|row| (row.ratio, row.low, row.high) = (f64::NAN, Some(-1.0), Some(f64::INFINITY)))
    });
    one(|r| r.ratios.iter_mut().for_each(|row| (row.ratio, row.low, row.high) = (5.0, Some(6.0), Some(4.0))));
    one(|r| r.signals.iter_mut().for_each(|row| row.energy = f64::NAN));
    one(|r| r.signals.iter_mut().for_each(|row| row.energy = 0.0));
    one(|r| r.signals.iter_mut().for_each(|row| row.energy = -1.0));
    one(|r| r.signals.iter_mut().for_each(|row| row.energy = 1e-320));
    one(|r| r.signals.truncate(1));
    one(|r| r.signals.iter_mut().for_each(|row| row.step *= usize::MAX / 8));
    one(|r| r.signals.iter_mut().for_each(|row| row.step *= 1000));
    one(|r| r.signals.iter_mut().for_each(|row| row.layer = usize::MAX));
    one(|r| r.signals.iter_mut().for_each(|row| row.contender = "no-slash".into()));
    one(|r| r.run.ceilings.iter_mut().for_each(|c| c.per_second = f64::NAN));
    one(|r| r.run.ceilings.iter_mut().for_each(|c| c.per_second = 1e-3));
    one(|r| r.run.ceilings.clear());
    one(|r| r.machine.cpu = "x".repeat(3000));
    one(|r| r.samples.clear());
}

#[test]
fn a_folder_that_cannot_be_written_is_an_io_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let problem = draw_all(&realistic(), &file.join("figures"), &fit).unwrap_err();
    assert!(matches!(problem, crate::Error::Io { .. }), "{problem}");
}

#[test]
fn the_page_stands_alone_and_shows_failures() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = realistic();
    record.run.about = "A <b>bold</b> claim & more".into();
    let drawing = draw_all(&record, &folder.path().join("figures"), &fit).unwrap();
    let path = report::write(&record, &drawing, &folder.path().join("index.html")).unwrap();
    let page = fs::read_to_string(path).unwrap();
    for word in
        ["verification failed", "A &lt;b&gt;bold", "figures/cost-ratio.depth.csv", "'depth=[4, 8]'", "<svg"]
    {
        assert!(page.contains(word), "the page does not say {word}");
    }
    let outside =
        |link: &str| page.contains(&format!("{link}=\"http")) || page.contains(&format!("{link}=\"//"));
    assert!(!outside("src") && !outside("href") && !page.contains("@import") && !page.contains("url(http"));
    assert!(Path::new(&drawing.drawn[0].files.csv).exists());
    assert!(!page.contains("data:image/png"), "small figures stay sharp");

    // A heat map of 128 × 128 cells would make the page slow.
    let record = extreme();
    let drawing = draw_all(&record, &folder.path().join("large"), &fit).unwrap();
    let path = report::write(&record, &drawing, &folder.path().join("large.html")).unwrap();
    assert!(fs::read_to_string(path).unwrap().contains("data:image/png;base64,"));
}
