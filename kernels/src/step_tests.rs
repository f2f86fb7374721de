use super::*;

fn dense(inputs: usize, outputs: usize) -> Dense {
    Dense { inputs, outputs, act_in: Act::Identity, act_out: Act::Tanh, scale: 1.0, bias: true, skip: false }
}

const NOWHERE: Addresses = Addresses { layers: 0, weights: 0, targets: 0, states: 0, errors: 0, deltas: 0 };
const SETTINGS: Settings = Settings { loss: Loss::CrossEntropy, precision: 1.0, step_size: 0.1 };

#[test]
fn buffers_follow_one_another_without_gaps() -> Result<()> {
    let mut layers = [dense(5, 70), dense(70, 70), dense(70, 3)];
    layers[1].bias = false;
    let table = Table::new(&layers, 65)?;
    let mut weights = 0;
    for (row, layer) in table.rows().iter().zip(layers) {
        assert_eq!(row.weights, weights);
        weights += (layer.inputs * layer.outputs) as i64;
        assert_eq!(row.bias, if layer.bias { weights } else { -1 });
        weights += if layer.bias { layer.outputs as i64 } else { 0 };
    }
    assert_eq!(table.parameters() as i64, weights);
    let mut end = 0;
    for (l, width) in [5, 70, 70, 3].into_iter().enumerate() {
        assert_eq!(table.state(l), end..end + 65 * width);
        end += 65 * width;
    }
    assert_eq!((table.states(), table.targets()), (end, 65 * 3));
    // 65 samples are two tiles; 70, 70 and 3 outputs are two, two and one
    assert_eq!(table.rows().iter().map(|row| row.tiles).collect::<Vec<_>>(), [0, 4, 8]);
    let blocks = |launch: Option<Launch>| launch.map(|launch| launch.blocks);
    assert_eq!(table.predict(&NOWHERE, &SETTINGS, 1)?.map(blocks), [Some(10), Some(17)]);
    assert_eq!(table.predict(&NOWHERE, &SETTINGS, 3)?.map(blocks), [Some(2), Some(17)]);
    assert_eq!(table.forward(&NOWHERE, &SETTINGS, 2)?.map(blocks), [Some(4), None]);
    assert_eq!(blocks(table.update(&NOWHERE, &SETTINGS, 1)?), Some(8));
    assert_eq!(blocks(table.update(&NOWHERE, &SETTINGS, 3)?), None);
    Ok(())
}

#[test]
fn nothing_to_do_is_no_launch() -> Result<()> {
    for (layers, batch) in [(vec![dense(3, 2), dense(2, 1)], 0), (vec![dense(3, 0), dense(0, 0)], 4)] {
        let table = Table::new(&layers, batch)?;
        assert_eq!(table.predict(&NOWHERE, &SETTINGS, 1)?, [None, None]);
        assert_eq!(table.update(&NOWHERE, &SETTINGS, 1)?, None);
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_said_in_one_sentence() {
    let mut skip = dense(3, 4);
    skip.skip = true;
    for (layers, batch, said) in [
        (vec![], 1, "no layer"),
        (vec![dense(3, 4), dense(5, 1)], 1, "layer 2 has 5 inputs; the layer below has 4 outputs"),
        (vec![skip], 1, "layer 1 has a skip from 3 inputs to 4 outputs"),
        (vec![dense(1, 1)], usize::MAX, "the batch size is"),
        (vec![dense(usize::MAX, 2)], 1, "more numbers than can be counted"),
        (vec![dense(1, 1 << 31)], 1, "the number of outputs"),
    ] {
        let error = Table::new(&layers, batch).expect_err(said).to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{error}");
    }
    let table = Table::new(&[dense(2, 3)], 2).expect("a good stack");
    assert!(table.check(9, 6, 10, 10, 10).is_ok());
    let error = table.check(9, 6, 10, 9, 10).expect_err("errors are short").to_string();
    assert!(error.contains("errors has 9 numbers; expected 10"), "{error}");
    assert!(table.predict(&NOWHERE, &SETTINGS, 2).is_err() && table.update(&NOWHERE, &SETTINGS, 0).is_err());
}
