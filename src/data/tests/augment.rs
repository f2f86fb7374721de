//! Oracles: images written by hand, and the documented draws computed by an independent program.

use super::message;
use crate::data::{Augment, Batch, Split, Targets};

/// `rows` images of two channels of 2×3: 1 to 6 and 11 to 16, a hundred more in each further row.
fn batch(rows: usize) -> Batch {
    let image = |row: usize| (0..2).flat_map(move |c| (1..7).map(move |i| (100 * row + 10 * c + i) as f32));
    let x = (0..rows).flat_map(image).collect();
    let split =
        Split::new(12, 2, x, Targets::Classes((0..rows).map(|row| row as u32 % 2).collect())).unwrap();
    split.in_order(rows).next().unwrap()
}

fn augmented(rows: usize, padding: usize, flip: bool, step: u64) -> Batch {
    let mut batch = batch(rows);
    Augment::new([2, 2, 3], padding, 0.5, flip).unwrap().apply(&mut batch, 9, step).unwrap();
    batch
}

/// Seed 9, step 0, padding 1: ChaCha8 written a second time draws (down, right, mirrored) = (2, 2, yes), (0, 0, no),
/// (2, 2, no), (2, 1, yes), (1, 2, yes), (2, 2, yes). The centre of the padded image is at (1, 1).
#[test]
fn images_are_cut_and_mirrored_as_documented() {
    #[rustfmt::skip]
    let expected = [
        // One row up, one column to the left; then mirrored.
        [0.5, 6.0, 5.0,  0.5, 0.5, 0.5,   0.5, 16.0, 15.0,  0.5, 0.5, 0.5],
        // One row down, one column to the right.
        [0.5, 0.5, 0.5,  0.5, 101.0, 102.0,   0.5, 0.5, 0.5,  0.5, 111.0, 112.0],
        [205.0, 206.0, 0.5,  0.5, 0.5, 0.5,   215.0, 216.0, 0.5,  0.5, 0.5, 0.5],
        [306.0, 305.0, 304.0,  0.5, 0.5, 0.5,   316.0, 315.0, 314.0,  0.5, 0.5, 0.5],
        [0.5, 403.0, 402.0,  0.5, 406.0, 405.0,   0.5, 413.0, 412.0,  0.5, 416.0, 415.0],
        [0.5, 506.0, 505.0,  0.5, 0.5, 0.5,   0.5, 516.0, 515.0,  0.5, 0.5, 0.5],
    ];
    let got = augmented(6, 1, true, 0);
    for (image, expected) in got.x.chunks(12).zip(expected) {
        assert_eq!(image, expected);
    }
    assert_eq!(got, Batch { x: expected.concat(), ..batch(6) }, "targets stay");

    // Crops are the same ones where nothing is mirrored.
    let plain = augmented(6, 1, false, 0);
    for (image, mirrored) in plain.x.chunks(3).zip(got.x.chunks(3)).step_by(4) {
        let back: Vec<f32> = mirrored.iter().rev().copied().collect();
        assert!(image == mirrored || image == back, "{image:?} {mirrored:?}");
    }
    assert_eq!(plain.x[..12], [5.0, 6.0, 0.5, 0.5, 0.5, 0.5, 15.0, 16.0, 0.5, 0.5, 0.5, 0.5]);
    assert_eq!(plain.x[12..24], got.x[12..24]);
}

/// Step 1 draws (1, 1, no) first, which leaves an image as it is, and (0, 0, yes) next.
#[test]
fn every_step_and_seed_has_its_own_draws() {
    let got = augmented(2, 1, true, 1);
    assert_eq!(got.x[..12], batch(2).x[..12]);
    assert_eq!(got.x[12..], [0.5, 0.5, 0.5, 102.0, 101.0, 0.5, 0.5, 0.5, 0.5, 112.0, 111.0, 0.5]);
    assert_eq!(augmented(2, 1, true, 1), got);
    let mut other = batch(2);
    Augment::new([2, 2, 3], 1, 0.5, true).unwrap().apply(&mut other, 10, 1).unwrap();
    assert_ne!(other, got);
}

#[test]
fn nothing_asked_for_changes_nothing() {
    assert_eq!(augmented(20, 0, false, 3), batch(20));
}

/// Each of 25 places with each of 2 sides has one fiftieth of all images, within five standard errors.
#[test]
fn places_and_sides_are_equally_likely() {
    let rows = 25_000;
    // 1 in the middle of 5×5, and 2 to its right: every crop keeps the 1, and shows by the 2 which side is which.
    let image = (0..25_usize).map(|i| [1.0, 2.0].get(i.wrapping_sub(12)).copied().unwrap_or(0.0));
    let x = image.collect::<Vec<f32>>().repeat(rows);
    let split = Split::new(25, 1, x, Targets::Classes(vec![0; rows])).unwrap();
    let mut batch = split.in_order(rows).next().unwrap();
    Augment::new([1, 5, 5], 2, 0.0, true).unwrap().apply(&mut batch, 4, 2).unwrap();
    let mut counts = [[0_u32; 25]; 2];
    for image in batch.x.chunks(25) {
        let place = |value: f32| image.iter().position(|&x| x == value);
        let one = place(1.0).unwrap();
        let mirrored = place(2.0).map_or(one % 5 == 0, |two| two < one);
        counts[usize::from(mirrored)][one] += 1;
    }
    let bound = 5.0 * (rows as f64 * 0.02 * 0.98).sqrt();
    for count in counts.concat() {
        assert!((f64::from(count) - 0.02 * rows as f64).abs() < bound, "{counts:?}");
    }
}

#[test]
fn images_of_other_sizes_are_refused() {
    let refused = |image: [usize; 3], batch: &mut Batch| {
        let before = batch.clone();
        let error = message(Augment::new(image, 0, 0.0, true).unwrap().apply(batch, 0, 0));
        assert_eq!(*batch, before);
        error
    };
    assert_eq!(
        refused([1, 2, 3], &mut batch(4)),
        "random crops: the examples of a batch: expected shape [4, 1, 2, 3], got [4, 12]"
    );
    refused([usize::MAX, 2, 3], &mut batch(4));
    refused([2, 2, 3], &mut Batch { rows: usize::MAX, ..batch(4) });
    refused([2, 2, 3], &mut Batch { rows: 3, ..batch(4) });
    refused([0, 2, 3], &mut Batch { inputs: 0, x: vec![], ..batch(4) });
    refused([1, 0, 3], &mut Batch { inputs: 0, x: vec![], ..batch(4) });
    for padding in [2, usize::MAX] {
        assert_eq!(
            message(Augment::new([2, 2, 3], padding, 0.0, true)),
            format!(
                "random crops: key `padding`: {padding} pixels around images of 2×3; give less than the images have on \
                 either side"
            )
        );
    }
}
