//! Oracles: the documented recipe computed by an independent program, and what a shuffle must keep.

use candle_core::{DType, Device};
use proptest::prelude::*;

use super::message;
use crate::data::{Batch, Batches, Split, Targets};

/// `rows` examples of two inputs that name their row, in three classes.
fn counted(rows: usize) -> Split {
    let x = (0..rows).flat_map(|row| [row as f32, -(row as f32)]).collect();
    Split::new(2, 3, x, Targets::Classes((0..rows).map(|row| row as u32 % 3).collect())).unwrap()
}

fn rows(batches: impl Iterator<Item = Batch>) -> Vec<usize> {
    batches.flat_map(|batch| batch.x.into_iter().step_by(2)).map(|row| row as usize).collect()
}

/// ChaCha8 with key (7, 1, 0, 0), then Fisher–Yates, in a few lines of another language. A change here
/// makes every recording that names its seed unrepeatable.
#[test]
fn the_order_is_the_documented_one() {
    let split = counted(12);
    let batches = Batches::new(&split, 12, 7).unwrap();
    assert_eq!(rows(batches.epoch(0)), [4, 8, 7, 1, 6, 2, 9, 3, 5, 11, 0, 10]);
    assert_eq!(rows(batches.epoch(1)), [7, 1, 4, 10, 0, 11, 5, 6, 2, 3, 9, 8]);
}

proptest! {
    /// No example is seen twice in an epoch, none but the tail is left out, and each keeps its own target.
    #[test]
    fn an_epoch_is_a_permutation_less_its_tail(n in 1usize..200, part in 0.0f64..1.0, seed: u64, epoch: u64) {
        let batch = 1 + (part * n as f64) as usize;
        let split = counted(n);
        let batches = Batches::new(&split, batch.min(n), seed).unwrap();
        let drawn: Vec<Batch> = batches.epoch(epoch).collect();
        prop_assert_eq!(drawn.len(), batches.per_epoch());
        prop_assert_eq!(batches.epoch(epoch).len(), drawn.len());
        for batch in &drawn {
            prop_assert_eq!(batch.rows, batches.epoch(0).next().unwrap().rows);
            for (row, (x, y)) in batch.x.chunks(2).zip(batch.y.chunks(3)).enumerate() {
                let class = x[0] as usize % 3;
                prop_assert_eq!(x[1], -x[0]);
                prop_assert_eq!(batch.labels.as_ref().unwrap()[row] as usize, class);
                let expected: Vec<f32> = (0..3).map(|k| f32::from(u8::from(k == class))).collect();
                prop_assert_eq!(y, &expected[..]);
            }
        }
        let mut seen = rows(drawn.into_iter());
        prop_assert_eq!(seen.len(), n / batch.min(n) * batch.min(n));
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), n / batch.min(n) * batch.min(n));
    }
}

#[test]
fn endless_is_one_epoch_after_another() {
    let split = counted(10);
    let batches = Batches::new(&split, 3, 1).unwrap();
    let expected: Vec<Batch> = (0..3).flat_map(|epoch| batches.epoch(epoch)).collect();
    assert_eq!(batches.endless().take(9).collect::<Vec<_>>(), expected);
    assert_ne!(rows(batches.epoch(0)), rows(batches.epoch(1)));
    assert_ne!(rows(batches.epoch(0)), rows(Batches::new(&split, 3, 2).unwrap().epoch(0)));
}

#[test]
fn in_order_keeps_the_tail() {
    let split = counted(7);
    let sizes = |batch| split.in_order(batch).map(|batch| batch.rows).collect::<Vec<_>>();
    assert_eq!(rows(split.in_order(3)), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sizes(3), [3, 3, 1]);
    assert_eq!(sizes(usize::MAX), [7]);
    assert_eq!(sizes(0), [1; 7]);
}

#[test]
fn impossible_batch_sizes_are_refused_in_one_sentence() {
    let split = counted(5);
    for size in [0, 6, usize::MAX] {
        assert_eq!(
            message(Batches::new(&split, size, 0)),
            format!(
                "mini-batches: key `batch`: {size} rows asked for and 5 available; give a number from 1 to 5"
            )
        );
    }
}

#[test]
fn real_targets_follow_their_rows() {
    let split = Split::new(1, 2, vec![0., 1., 2.], Targets::Values(vec![0., 10., 1., 11., 2., 12.])).unwrap();
    for batch in Batches::new(&split, 1, 3).unwrap().epoch(0) {
        assert_eq!(batch.y, [batch.x[0], batch.x[0] + 10.0]);
        assert_eq!(batch.labels, None);
    }
}

#[test]
fn tensors_hold_the_host_values_and_f64_widens_them() {
    let values = vec![0.1, -1.0 / 3.0, f32::MIN_POSITIVE, 1e30];
    let split = Split::new(2, 2, values.clone(), Targets::Values(values.clone())).unwrap();
    let batch = split.in_order(2).next().unwrap();
    let [x, y] = batch.to_tensors(DType::F32, &Device::Cpu).unwrap();
    assert_eq!((x.dims(), y.dims()), (&[2, 2][..], &[2, 2][..]));
    assert_eq!(x.flatten_all().unwrap().to_vec1::<f32>().unwrap(), values);
    let [x, y] = batch.to_tensors(DType::F64, &Device::Cpu).unwrap();
    let wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
    assert_eq!(x.flatten_all().unwrap().to_vec1::<f64>().unwrap(), wide);
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f64>().unwrap(), wide);
    let error = message(batch.to_tensors(DType::BF16, &Device::Cpu));
    assert!(error.contains("f32 or f64, not in bf16"), "{error}");
}

/// A run that goes on draws what one without an interruption draws, wherever it was interrupted.
#[test]
fn batches_go_on_where_they_were() {
    let x: Vec<f32> = (0..22).map(|v| v as f32).collect();
    let split = Split::new(2, 1, x, Targets::Values(vec![0.5; 11])).unwrap();
    let batches = Batches::new(&split, 3, 5).unwrap();
    let all: Vec<_> = batches.endless().take(10).collect();
    for skipped in 0..10 {
        let rest: Vec<_> = batches.endless_from(skipped as u64).take(10 - skipped).collect();
        assert_eq!(rest, all[skipped..], "{skipped}");
    }
}
