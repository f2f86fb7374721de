//! Oracle: the published facts of the collection.

use super::message;
use crate::data::digits::{decode, load};
use crate::data::Split;

fn labels(split: &Split) -> &[u32] {
    split.labels().unwrap()
}

#[test]
fn has_the_published_shape_and_class_counts() {
    let digits = load().unwrap();
    assert_eq!((digits.inputs, digits.outputs, digits.image), (64, 10, Some([1, 8, 8])));
    assert_eq!((digits.train.rows(), digits.test.rows()), (1437, 360));
    let mut counts = [0; 10];
    for &label in labels(&digits.train).iter().chain(labels(&digits.test)) {
        counts[label as usize] += 1;
    }
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
}

/// The file's first line begins 0,0,5,13,9,1,0,0,0,0,13,15,10,15,5,0 and ends in the digit 0; p of 16 becomes
/// p/8 − 1, which `f32` holds exactly.
#[test]
fn first_row_is_the_first_line_of_the_file() {
    let digits = load().unwrap();
    let pixels = [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0];
    let expected = pixels.map(|pixel| pixel as f32 / 8.0 - 1.0);
    assert_eq!(digits.train.x()[..16], expected);
    assert_eq!(labels(&digits.train)[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    assert_eq!(labels(&digits.test)[354..], [4, 9, 0, 8, 9, 8]);
}

#[test]
fn damage_is_told_not_hidden() {
    let pack = |text: &str| super::writer::gzip(text.as_bytes());
    let line = |pixel: &str, label: &str| format!("{}{label}\n", format!("{pixel},").repeat(64));
    for (gzip, expected) in [
        (b"not gzip at all".to_vec(), "cannot be unpacked"),
        (pack(&line("17", "3")), "line 1 is not 64 pixels of 0 to 16 followed by a digit"),
        (pack(&(line("16", "3") + &line("2", "10"))), "line 2 is not 64 pixels"),
        (pack(&(line("16", "3") + "1,2,3\n")), "line 2 is not 64 pixels"),
        (pack(&line("x", "3")), "line 1 is not 64 pixels"),
        (pack(&format!("{},x\n", line("1", "3").trim())), "line 1 is not 64 pixels"),
        (pack(&line("1", "3").repeat(1437)), "holds 1437 lines where more than 1437 are expected"),
    ] {
        let error = message(decode(&gzip));
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("assets/digits/digits.csv.gz: "), "{error}");
    }
}
