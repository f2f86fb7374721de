//! Numbers in documents that no command writes there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pcnbench::record::learned::{grids, reached, Cost, RateGrid};
use pcnbench::record::{read, Record, SummaryRow, TrainingRow};
use pcnbench::stats::median;
use pcnbench::suite::{Model, Quantity, Study};

const HEADER: &str =
    "| L | sPC / BP, `fused` | sPC / BP, `reference` | GEMMs, sPC / BP | `fused` over GEMMs | of reference: \
                      BP, sPC, ePC | sPC on 1, 2 threads |";

/// The table of the suite `fused` in METHODOLOGY.md must be the one that its record gives.
#[test]
fn the_table_of_larger_networks_is_that_of_its_record() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("METHODOLOGY.md")).unwrap();
    let (before, table) = text.split_once(HEADER).unwrap();
    let link = before.rsplit("[record](").next().and_then(|rest| rest.split(')').next()).unwrap();
    let record = read(&root.join(link)).unwrap();
    assert_eq!(record.run.suite, "fused");
    let found: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let expected = rows(&record);
    assert_eq!(found, expected, "should be:\n{}", expected.join("\n"));
}

/// FORMAT.md lists the numbers of studies as the program has them.
#[test]
fn the_quantities_of_studies_are_those_of_the_program() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("FORMAT.md")).unwrap();
    let (_, table) = text.split_once("| model | `quantity` | `at` | `value` |\n").unwrap();
    let found: Vec<&str> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    let row = |model: Model, q: &Quantity| {
        format!("| `{}` | `{}` | {} | {} |", model.name(), q.name, q.at, q.about)
    };
    let of = |model: Model| model.quantities().iter().map(move |q| row(model, q));
    let models = Study::ALL.into_iter().map(Model::Study).chain([Model::Training]);
    assert_eq!(found, models.flat_map(of).collect::<Vec<_>>());
}

/// What METHODOLOGY.md says that studies and the training beside them have found is what the records say that it links to.
#[test]
fn findings_are_those_of_their_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("METHODOLOGY.md")).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let record = |suite: &str| {
        let links = text.split("[record](").skip(1).filter_map(|rest| rest.split(')').next());
        read(&root.join(links.into_iter().find(|link| link.ends_with(&format!("-{suite}"))).unwrap()))
            .unwrap()
    };
    let says = |part: String| assert!(text.contains(&part), "METHODOLOGY.md does not say `{part}`");
    let spread = |mut values: Vec<f64>, digits: usize| {
        values.sort_by(f64::total_cmp);
        let text = |x: f64| format!("{x:.digits$}");
        (text(median(&values)), format!("[{}, {}]", text(values[0]), text(values[values.len() - 1])))
    };

    let convergence = record("convergence");
    let steps = |benchmark: &str, contender: &str, depth: usize| -> Vec<f64> {
        let place =
            |id: &str| id.starts_with(&format!("{benchmark}@")) && id.contains(&format!(",depth={depth},"));
        let own = convergence.quantities.iter().filter(|q| q.quantity == "steps" && q.contender == contender);
        own.filter(|q| place(&q.point)).map(|q| q.value).collect()
    };
    let ratio = |benchmark: &str, depth: usize| {
        let pair = ["spc/reference", "epc/reference"].map(|id| steps(benchmark, id, depth));
        spread(pair[0].iter().zip(&pair[1]).map(|(a, b)| a / b).collect(), 0)
    };
    let [(four, a), (eight, b), (twenty, c)] = [4, 8, 20].map(|depth| ratio("linear", depth));
    says(format!("the ratio is {four} {a} at 4 layers, {eight} {b} at 8 and {twenty} {c} at 20"));
    let [four, eight, sixteen] = [4, 8, 16].map(|depth| ratio("tanh", depth).0);
    says(format!("it is {four}, {eight} and {sixteen} at 4, 8 and 16 layers"));
    let [(spc, a), (epc, b)] =
        ["spc-chebyshev/reference", "epc-chebyshev/reference"].map(|id| spread(steps("linear", id, 20), 0));
    says(format!("take {spc} {a} steps in the states and {epc} {b} in the errors"));
    let [(spc, a), (epc, b)] =
        ["spc-cg/reference", "epc-cg/reference"].map(|id| spread(steps("linear", id, 20), 0));
    says(format!("in place of two, take {spc} {a} and {epc} {b}"));

    let landscape = record("landscape");
    let escape = |contender: &str, depth: usize| {
        let own = landscape.quantities.iter().filter(|q| q.quantity == "escape" && q.contender == contender);
        let own = own.filter(|q| q.point.contains(&format!(",depth={depth},")));
        spread(own.map(|q| q.value).collect(), 0)
    };
    let ((pc, a), (bp, b)) = (escape("epc-auto/reference", 3), escape("bp/reference", 3));
    says(format!("halves the loss in {pc} {a} updates where BP needs {bp} {b} at 3 layers"));

    let trained = record("pc-alm");
    let accuracy = |contender: &str| {
        let own = trained.summary.iter().filter(|r| r.benchmark == "epoch" && r.contender == contender);
        spread(own.map(|r| 100.0 * r.test_accuracy.unwrap()).collect(), 1)
    };
    let [(bp, a), (spc, b), (alm, c)] =
        ["bp/reference", "spc-auto/reference", "pcalm-auto/reference"].map(accuracy);
    says(format!("BP has {bp} % {a}, sPC {spc} % {b}"));
    says(format!("PC-ALM {alm} % {c}"));

    // the last rows of curves, in per cent
    let ends = |record: &Record, benchmark: &str, contender: &str, within: &str, update: Option<u64>| {
        let own = |r: &&TrainingRow| {
            r.contender == contender
                && r.point.starts_with(&format!("{benchmark}@"))
                && r.point.contains(within)
                && r.test_accuracy.is_some()
        };
        let mut last: BTreeMap<&str, f64> = BTreeMap::new();
        for row in record.training.iter().filter(own).filter(|r| update.is_none_or(|u| r.update == u)) {
            last.insert(&row.point, 100.0 * row.test_accuracy.unwrap());
        }
        let (median, range) = spread(last.into_values().collect(), 1);
        format!("{median} % {range}")
    };
    let record_of_accuracy = record("accuracy");
    let end = |benchmark: &str, contender: &str| ends(&record_of_accuracy, benchmark, contender, "", None);
    for (benchmark, contender, before) in [
        ("adam", "bp/fused", "With Adam BP has "),
        ("adam", "spc/fused", "], sPC "),
        ("adam", "epc/fused", ", ePC "),
        ("adam", "pcalm/reference", "PC-ALM "),
        ("adam", "fpa/fused", "fixed prediction "),
        ("adam", "ar/fused", "activation relaxation "),
        ("mq", "bp/fused", "With MQ BP has "),
        ("mq", "seqil/fused", "SeqIL "),
        ("sgd", "bp/fused", "With plain descent BP has "),
        ("sgd", "spc/fused", "], sPC "),
        ("sgd", "ipc/fused", "iPC "),
    ] {
        says(format!("{before}{}", end(benchmark, contender)));
    }
    let cosine = |benchmark: &str, contender: &str| {
        let own =
            |r: &&TrainingRow| r.contender == contender && r.point.starts_with(&format!("{benchmark}@"));
        let last: BTreeMap<&str, f64> =
            record_of_accuracy.training.iter().filter(own).map(|r| (&*r.point, r.cosine.unwrap())).collect();
        format!("{:.2}", median(&last.into_values().collect::<Vec<_>>()))
    };
    says(format!(
        "{} under sPC, {} under ePC, {} under fixed prediction, {} under PC-ALM and {} under SeqIL",
        cosine("adam", "spc/fused"),
        cosine("adam", "epc/fused"),
        cosine("adam", "fpa/fused"),
        cosine("adam", "pcalm/reference"),
        cosine("mq", "seqil/fused")
    ));
    let stable = record("stable-step");
    let end = |benchmark, contender, step: &str| {
        ends(&stable, benchmark, contender, &format!("step_size={step},"), None)
    };
    says(format!(
        "A step of 1 ends at {} and one of 0.3 at {}",
        end("fixed", "epc/fused", "1"),
        end("fixed", "epc/fused", "0.3")
    ));
    says(format!("0.1 has {}", end("fixed", "epc/fused", "0.1")));
    says(format!("trains: {}", end("share", "epc-auto/fused", "0.5")));
    says(format!("have {} and {}", end("fixed", "epc/fused", "0.01"), end("fixed", "epc/fused", "0.0005")));
    says(format!("and BP has {}", ends(&stable, "bp", "bp/fused", "", None)));
    let depth = record("mupc-depth");
    let at = |contender, update| ends(&depth, "notebook", contender, "", Some(update));
    says(format!(
        "{}, {}, {} and {}",
        at("spc/fused", 100),
        at("spc/fused", 200),
        at("spc/fused", 300),
        at("spc/fused", 900)
    ));
    says(format!("the read-out alone {}", ends(&depth, "read-out", "spc/fused", "", None)));
    says(format!("BP at this rate {}", at("bp/fused", 900)));
    let deep = |benchmark, contender| ends(&depth, benchmark, contender, "depth=128,", None);
    says(format!("sPC has {} after one epoch", deep("deep", "spc/fused")));
    says(format!("BP at this rate has {}", deep("deep", "bp/fused")));
    let silent = |benchmark: &str, within: &str| {
        let own = |r: &&TrainingRow| {
            r.contender == "spc/fused"
                && r.point.starts_with(&format!("{benchmark}@"))
                && r.point.contains(within)
        };
        let last: BTreeMap<&str, usize> =
            depth.training.iter().filter(own).map(|r| (&*r.point, r.silent_layers.unwrap())).collect();
        (*last.values().min().unwrap(), *last.values().max().unwrap())
    };
    let (upper, all) = (silent("deep", "depth=128,"), silent("deep-all", "depth=128,"));
    let (least, most) = (upper.0.min(all.0), upper.1.max(all.1));
    let (from, to) = silent("notebook", "");
    says(format!(
        "But {least} to {most} of the 128 layers ({from} to {to} of the 30) do not learn at the end"
    ));
    says(format!("with T = 128 it has {} after 300", deep("deep-all", "spc/fused")));
    says(format!("without the scaling sPC has {}", deep("standard", "spc/fused")));
    says(format!("and BP {} at a rate of 0.001", deep("standard", "bp/fused")));

    let (cifar, ipc) = (record("cifar"), record("ipc"));
    let end = |benchmark, contender| ends(&cifar, benchmark, contender, "", None);
    let vgg = |contender| end("vgg-5", contender);
    says(format!("after ten epochs: BP {}, sPC at a step of 0.1 {}", vgg("bp/fused"), vgg("spc/fused")));
    says(format!("at the published step of 0.001 {}", end("vgg-5-small-step", "epc/fused")));
    says(format!("and at 0.1 {}", vgg("epc/fused")));
    let [bp, spc, epc] = ["bp/fused", "spc/fused", "epc/fused"].map(|own| end("resnet-10", own));
    says(format!("after three epochs: BP {bp}, sPC {spc}, ePC at 0.1 {epc}"));
    says(format!(
        "BP with Adam {}, SeqIL with Adam {}, with MQ {}, BP with MQ at SeqIL's rate {}",
        end("mlp-adam", "bp/fused"),
        end("mlp-adam", "seqil/fused"),
        end("mlp-mq", "seqil/fused"),
        end("mlp-mq", "bp/fused")
    ));
    let [bp, spc, own] = ["bp/fused", "spc/fused", "ipc/reference"].map(|c| ends(&ipc, "adamw", c, "", None));
    says(format!("iPC {own}, sPC {spc}, BP {bp}"));

    let times = record("time-to-accuracy");
    let cost = |benchmark: &str, contender: &str, of: fn(&Cost) -> f64, digits| {
        let all = reached(&times, benchmark, 0.95);
        spread(
            all.iter()
                .filter(|run| run.row.contender == contender)
                .filter_map(|run| run.cost.as_ref().map(of))
                .collect(),
            digits,
        )
    };
    let taken = |contender: &str| {
        let (updates, seconds) =
            (cost("adam", contender, |c| c.updates, 0), cost("adam", contender, |c| c.seconds, 3));
        (format!("{} {}", updates.0, updates.1), format!("{} s {}", seconds.0, seconds.1))
    };
    for (name, contender) in [("fixed prediction", "fpa/fused"), ("sPC", "spc/fused"), ("ePC", "epc/fused")] {
        let (updates, seconds) = taken(contender);
        says(format!("{name} {updates} and {seconds}"));
    }
    let (updates, seconds) = taken("bp/fused");
    says(format!(
        "BP {} updates {} and {seconds}",
        updates.split(' ').next().unwrap(),
        updates.split_once(' ').unwrap().1
    ));
    says(format!("to {} at the end: the search", ends(&times, "adam", "spc/fused", "", None)));
    assert!(reached(&times, "adam", 0.95)
        .iter()
        .all(|run| run.row.contender != "ar/fused" || run.cost.is_none()));
    let [bp, seqil] = ["bp/fused", "seqil/fused"].map(|own| cost("mq", own, |c| c.updates, 0).0);
    assert_eq!(bp, seqil);
    says(format!("as many updates as BP ({bp})"));
    let [bp, seqil] =
        ["bp/fused", "seqil/fused"].map(|own| cost("mq", own, |c| c.seconds, 9).0.parse::<f64>().unwrap());
    says(format!("and {:.1} times its time", seqil / bp));

    let transfer = record("transfer");
    let grids = grids(&transfer);
    let of = |scaling: &str| {
        grids.iter().filter(|grid| grid.first.parameterisation == scaling).collect::<Vec<_>>()
    };
    let dearest = |scaling: &str| {
        let own = of(scaling);
        let firsts = ["width", "depth"]
            .map(|b| own.iter().find(|grid| grid.first.benchmark == b).unwrap().best().unwrap());
        let ratio = |grid: &&RateGrid<'_>| {
            let place = firsts[usize::from(grid.first.benchmark == "depth")];
            grid.median(place).unwrap() / grid.median(grid.best().unwrap()).unwrap()
        };
        100.0 * (own.iter().map(ratio).fold(1.0, f64::max) - 1.0)
    };
    says(format!("at most {:.0} % more than its own least loss", dearest("mupc-residual")));
    says(format!("and cost at most {:.0} % more", dearest("sp-uniform-residual")));
    assert!(
        of("mupc-residual").iter().all(|grid| grid.rates[grid.best().unwrap().0] == 0.1),
        "the best learning rate is 0.1"
    );
    let at_32 = |scaling: &str| {
        let grid = of(scaling).into_iter().find(|grid| grid.first.depth == 32).unwrap();
        format!("{:.2}", grid.median(grid.best().unwrap()).unwrap())
    };
    says(format!(
        "a loss of {} at 32 layers where the best one without it is {}",
        at_32("mupc-residual"),
        at_32("sp-uniform-residual")
    ));
}

/// One line per depth of the benchmark `ceiling`.
fn rows(record: &Record) -> Vec<String> {
    let of = |id: &'static str| {
        record.summary.iter().filter(move |r| r.benchmark == "ceiling" && r.contender == id)
    };
    let at = |id: &'static str, depth: usize| -> &SummaryRow { of(id).find(|r| r.depth == depth).unwrap() };
    let rate =
        record.run.ceilings.iter().find(|c| {
            (c.quantity.as_str(), c.dtype.as_str(), c.threads) == ("gemm", "f32", record.run.threads)
        });
    let rate = rate.unwrap().per_second;
    let share = |id: &'static str, depth: usize| {
        let row = at(id, depth);
        format!("{:.0} %", 100.0 * row.gemm_flops as f64 / (row.median_ns as f64 * 1e-9) / rate)
    };
    let line = |depth: usize| {
        let ratio = |id: &'static str| {
            let r =
                record.ratios.iter().find(|r| r.point == at(id, depth).point && r.contender == id).unwrap();
            assert!(r.baseline.starts_with("bp/"), "{r:?}");
            {
                let (low, high) = r.interval().unwrap();
                (r.ratio, format!("{:.2} [{low:.2}, {high:.2}]", r.ratio))
            }
        };
        let gemms = at("spc/fused", depth).gemms as f64 / at("bp/fused", depth).gemms as f64;
        let (fused, reference) = (ratio("spc/fused"), ratio("spc/reference"));
        let times = ["spc/fused:1", "spc/fused"].map(|id| {
            let ms = at(id, depth).median_ns as f64 * 1e-6;
            // three digits
            format!("{ms:.*}", if ms < 10.0 { 2 } else { usize::from(ms < 100.0) })
        });
        format!(
            "| {depth} | {} | {} | {gemms:.2} | {:.0} % | {} | {} ms |",
            fused.1,
            reference.1,
            100.0 * fused.0 / gemms,
            ["bp/fused", "spc/fused", "epc/fused"].map(|id| share(id, depth)).join(", "),
            times.join(", ")
        )
    };
    of("spc/fused").map(|row| line(row.depth)).collect()
}
