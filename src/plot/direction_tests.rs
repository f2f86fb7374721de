//! The figures of directions: what they say, of which networks, and that they never fail.

use super::synthetic::{directions, empty};
use super::tests::{draw, fit};
use super::*;

#[test]
fn figures_of_directions_name_what_they_show() {
    let (drawing, files) = draw(&directions());
    let stems: Vec<&str> = drawing.drawn.iter().map(|d| &*d.stem).collect();
    let layers = ["1", "0_5", "0_1"].map(|size| format!("alignment-layers.align.step-{size}"));
    assert_eq!(stems[..2], ["fidelity.align", "alignment.align"]);
    assert_eq!(stems[2..], layers.each_ref().map(|s| &**s));
    let says = |name: &str, words: &[&str]| {
        let text = String::from_utf8(files[&format!("{name}.svg")].clone()).unwrap();
        for word in words {
            assert!(text.contains(word), "{name} does not say {word}");
        }
    };
    says(
        "alignment.align",
        &["T/L", "1/2", "L = 32", "λ = 0.5", "law", "FPA · reference", "μPC · reference"],
    );
    says("alignment.align", &["cosine without inference steps: Z-IL · reference: 1", "cosine to BP"]);
    says(
        "fidelity.align",
        &["T = 8", "T = 128", "step size λ = 0.1", "AR · reference", "nothing moves", "10⁻⁴"],
    );
    says(&layers[1], &["T = 32 = L", "layer ℓ", "no steps", "of f32, 2⁻²⁴", "norm in units"]);
    says(&layers[2], &["μPC · reference, λ = 0.5"]);
}

/// The synthetic FPA follows the law layer by layer, so the law of the figure must give its cosine.
#[test]
fn the_law_of_the_figure_is_that_of_the_rows() {
    let (_, files) = draw(&directions());
    let mut table = csv::Reader::from_reader(&files["alignment.align.csv"][..]);
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let mut laws = 0;
    for line in table.records().map(|l| l.unwrap()) {
        let get = |name: &str| &line[column(name)];
        let number = |name: &str| get(name).parse::<f64>().unwrap();
        assert_eq!(get("law_cosine").is_empty(), get("contender") != "fpa/reference");
        if !get("law_cosine").is_empty() {
            assert!((number("law_cosine") - number("cosine")).abs() < 1e-12, "{line:?}");
            laws += 1;
        }
        assert_eq!(number("steps_per_depth"), number("steps") / number("depth"));
    }
    assert_eq!(laws, 4 * 3 * 7);
}

/// BP's products are counted at the point where it took part, and 3L − 1 elsewhere.
#[test]
fn fidelity_is_in_units_of_the_products_of_bp() {
    let record = directions();
    let (_, files) = draw(&record);
    let mut table = csv::Reader::from_reader(&files["fidelity.align.csv"][..]);
    let mut exact = 0;
    for line in table.records().map(|l| l.unwrap()) {
        let value = |i: usize| line[i].parse::<f64>().unwrap();
        assert_eq!(&line[5], "95", "3·32 − 1");
        assert_eq!(value(6), value(4) / 95.0);
        exact += usize::from(value(9) == 0.0);
        assert!(&line[0] != "zil/reference" || value(9) == 0.0, "Z-IL is BP");
    }
    assert!(exact > 3);
}

#[test]
fn odd_directions_neither_panic_nor_fail() {
    let _coarse = canvas::coarse();
    let one = |change: fn(&mut Record)| {
        let mut record = empty();
        let half = |c: &synthetic::Condition, d: usize| (1.0 / (1 + d) as f64, 1.0 / c.steps.max(1) as f64);
        synthetic::align(&mut record, "fpa/reference", &[0.5, 1.0], |l, t| l * t, half);
        synthetic::align(&mut record, "zil/reference", &[0.0], |l, _| l, half);
        record.summary.retain(|r| r.depth < 9);
        change(&mut record);
        let folder = tempfile::tempdir().unwrap();
        let drawing = draw_all(&record, folder.path(), &fit).unwrap();
        report::write(&record, &drawing, &folder.path().join("index.html")).unwrap();
        drawing
    };
    assert_eq!(one(|_| ()).drawn.len(), 4);
    one(|r| r.summary.clear());
    one(|r| r.summary.iter_mut().for_each(|row| row.err = "wrong".into()));
    one(|r| r.summary.iter_mut().for_each(|row| row.depth = 0));
    one(|r| r.summary.iter_mut().for_each(|row| row.depth = usize::MAX));
    one(|r| r.summary.iter_mut().for_each(|row| row.steps = usize::MAX));
    one(|r| r.summary.iter_mut().for_each(|row| row.steps = 0));
    one(|r| r.summary.iter_mut().for_each(|row| row.gemms = 0));
    one(|r| r.summary.iter_mut().for_each(|row| row.contender = "fpa".into()));
    one(|r| {
        r.summary.iter_mut().enumerate().for_each(|(i, row)| row.step_size = [f64::NAN, -1.0, 1e9][i % 3])
    });
    one(|r| r.summary.iter_mut().enumerate().for_each(|(i, row)| row.width = i));
    one(|r| r.summary.iter_mut().enumerate().for_each(|(i, row)| row.parameterisation = (i % 2).to_string()));
    one(|r| r.alignments.truncate(1));
    one(|r| r.alignments.retain(|row| row.layer == 0));
    one(|r| r.alignments.retain(|row| row.layer != 0));
    one(|r| r.alignments.iter_mut().for_each(|row| row.layer = usize::MAX));
    one(|r| r.alignments.iter_mut().for_each(|row| row.layer *= 1000));
    for value in [f64::NAN, f64::INFINITY, -2.0, 0.0, 1e-320, 1e300] {
        let mut record = directions();
        record.summary.retain(|r| r.depth == 4);
        for row in &mut record.alignments {
            (row.cosine, row.norm_ratio, row.bp_norm) = match row.layer % 3 {
                0 => (value, value, value),
                1 => (1.0, value, value),
                _ => (value, 1.0, 1.0),
            };
        }
        let folder = tempfile::tempdir().unwrap();
        let drawing = draw_all(&record, folder.path(), &fit).unwrap();
        report::write(&record, &drawing, &folder.path().join("index.html")).unwrap();
    }
}

/// What holds on chains of layers alone is not said of other networks.
#[test]
fn networks_that_are_no_chains_have_no_layers_and_no_laws() {
    let mut record = directions();
    record.summary.iter_mut().for_each(|row| row.architecture = "lstm".into());
    let (drawing, files) = draw(&record);
    let all: String = files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    assert!(all.contains("group of parameters") && all.contains("inference steps over depth"));
    for phrase in ["layer ℓ", "per layer", "of FPA, no fit"] {
        assert!(!all.contains(phrase), "{phrase}");
    }
    let about: String = drawing.drawn.iter().map(|drawn| drawn.about.as_str()).collect();
    assert!(!about.contains("can have reached every layer"), "{about}");
}
