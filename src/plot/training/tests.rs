//! Oracle: losses and curves that are put in by hand, and the layout checks of every other figure.

use crate::plot::synthetic::{empty, row};
use crate::plot::tests::{check_layout, draw};
use crate::record::learned::{grids, reached, targets};
use crate::record::{QuantityRow, Record, TrainingRow};

/// A run with the test losses and accuracies of its curve, a row every hundred updates and two seconds.
fn add(
    record: &mut Record,
    (contender, width, draw): (&str, usize, usize),
    (rate, step_size): (f64, f64),
    curve: &[(f64, f64)],
) {
    let mut own = row("b", contender, 4, 8, 1.0, 10);
    own.model = "training".into();
    (own.width, own.step_size) = (width, step_size);
    let rate_in_id = if rate > 0.0 { format!("learning_rate={rate},") } else { String::new() };
    own.point = format!("b@batch=64,depth=4,draw={draw},{rate_in_id}step_size={step_size},width={width}");
    for (k, &(loss, accuracy)) in (1u32..).zip(curve) {
        record.training.push(TrainingRow {
            point: own.point.clone(),
            contender: contender.into(),
            update: u64::from(100 * k),
            epoch: f64::from(k),
            seconds: 2.0 * f64::from(k),
            learning_rate: 0.1,
            step_size: None,
            energy: None,
            validation_loss: None,
            validation_accuracy: None,
            test_loss: Some(loss).filter(|loss| loss.is_finite()),
            test_accuracy: Some(accuracy),
            step_times_curvature: None,
            cosine: None,
            lowest_quarter_cosine: None,
            layers: None,
            silent_layers: None,
            norm_ratio: None,
            layer_cosines: Default::default(),
            layer_norm_ratios: Default::default(),
        });
    }
    record.summary.push(own);
}

/// Loss |log α − log best| + |log g| + 1 of three draws, with the best rate at 0.01 on a width of 32 and at 0.1 on one of 64; all diverge at
/// the greatest of both.
fn rates() -> Record {
    let mut record = empty();
    for (width, best) in [(32, 0.01f64), (64, 0.1)] {
        for rate in [0.001, 0.01, 0.1, 1.0] {
            for step in [0.1f64, 1.0] {
                for draw in 0..3 {
                    let loss = (rate / best).log10().abs() + step.log10().abs() + 1.0 + 0.1 * draw as f64;
                    let loss = if rate == 1.0 && step == 1.0 { f64::NAN } else { loss };
                    add(&mut record, ("spc/fused", width, draw), (rate, step), &[(9.0, 0.1), (loss, 0.5)]);
                }
            }
        }
    }
    record
}

#[test]
fn the_best_rates_are_those_put_in() {
    let record = rates();
    let found = grids(&record);
    assert_eq!(found.len(), 2);
    for (grid, (width, best)) in found.iter().zip([(32, 0.01), (64, 0.1)]) {
        let (rate, step) = grid.best().unwrap();
        assert_eq!((grid.first.width, grid.rates[rate], grid.step_sizes[step]), (width, best, 1.0));
        assert!((grid.median((rate, step)).unwrap() - 1.1).abs() < 1e-12, "the median of three draws");
        assert_eq!(grid.median((3, 1)), None);
        assert_eq!(grid.cells[&(3, 1)].failed, 3);
    }
}

#[test]
fn maps_show_rates_sizes_and_what_diverged() {
    let (drawing, files) = draw(&rates());
    let maps: Vec<_> = drawing.drawn.iter().filter(|drawn| drawn.figure == "transfer").collect();
    assert_eq!(maps.len(), 1);
    let svg = String::from_utf8(files[&format!("{}.svg", maps[0].stem)].clone()).unwrap();
    for word in ["learning rate", "step size", "N = 32", "N = 64", "test loss", "diverged", "least loss"] {
        assert!(svg.contains(word), "{word}");
    }
    let table = String::from_utf8(files[&format!("{}.csv", maps[0].stem)].clone()).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 * 4 * 2);
    assert_eq!(table.lines().filter(|line| line.ends_with(",true")).count(), 2);
    assert!(
        !drawing.drawn.iter().any(|drawn| drawn.figure == "learning-updates"),
        "a curve per rate would be one figure too many for each"
    );
    check_layout("transfer", &svg);
}

fn with_target() -> Record {
    let mut record = empty();
    record.run.definition =
        "schema = 1\nname = \"x\"\nabout = \"x\"\nseed = 1\n[[benchmark]]\nname = \"b\"\nmodel = \"training\"\nabout = \"x\"\n\
         contenders = [\"bp/fused\"]\n[benchmark.training]\nupdates = 1\ntarget = 0.9\n"
            .into();
    for draw in 0..3 {
        let first = if draw == 0 { 0.9 } else { 0.8 };
        add(&mut record, ("bp/fused", 32, draw), (0.0, 0.0), &[(1.0, first), (1.0, 0.95), (1.0, 0.85)]);
        add(&mut record, ("spc/fused", 32, draw), (0.0, 0.1), &[(1.0, 0.5), (1.0, 0.6 + 0.2 * draw as f64)]);
        add(&mut record, ("ar/fused", 32, draw), (0.0, 0.1), &[(1.0, 0.5)]);
    }
    let point = record.summary[0].point.clone();
    for update in [100.0, 200.0] {
        record.quantities.push(QuantityRow {
            point: point.clone(),
            contender: "bp/fused".into(),
            quantity: "joules".into(),
            at: update,
            value: 0.3 * update,
        });
    }
    record
}

/// The first row at or above the target counts, though a later one falls below it again.
#[test]
fn a_target_is_reached_at_the_first_row() {
    let record = with_target();
    assert_eq!(targets(&record).into_iter().collect::<Vec<_>>(), [("b".to_owned(), 0.9)]);
    let found = reached(&record, "b", 0.9);
    let updates = |contender: &str| -> Vec<Option<f64>> {
        let own = found.iter().filter(|run| run.row.contender == contender);
        own.map(|run| run.cost.map(|cost| cost.updates)).collect()
    };
    assert_eq!(updates("bp/fused"), [Some(100.0), Some(200.0), Some(200.0)]);
    assert_eq!(updates("spc/fused"), [None, None, Some(200.0)]);
    assert_eq!(updates("ar/fused"), [None; 3]);
    let cost = found[0].cost.unwrap();
    assert_eq!((cost.seconds, cost.joules), (2.0, Some(30.0)));
    assert_eq!(cost.flops, 100.0 * found[0].row.gemm_flops as f64);
}

#[test]
fn bars_say_what_was_not_reached() {
    let (drawing, files) = draw(&with_target());
    let own: Vec<_> = drawing.drawn.iter().filter(|drawn| drawn.figure == "time-to-accuracy").collect();
    assert_eq!(own.len(), 1);
    let svg = String::from_utf8(files[&format!("{}.svg", own[0].stem)].clone()).unwrap();
    for word in ["90 %", "weight updates", "seconds", "FLOPs", "joules", "1 of 3", "not reached"] {
        assert!(svg.contains(word), "{word}");
    }
    check_layout("time-to-accuracy", &svg);
}
