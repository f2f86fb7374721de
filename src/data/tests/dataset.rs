//! Parts that do not fit are refused where they are put together.

use super::message;
use crate::data::{Dataset, Split, Targets};

fn split(inputs: usize, rows: usize, label: u32) -> Split {
    Split::new(inputs, 2, vec![0.5; inputs * rows], Targets::Classes(vec![label; rows])).unwrap()
}

#[test]
fn a_split_checks_its_lengths() {
    let classes = |labels: &[u32]| Targets::Classes(labels.to_vec());
    for (inputs, outputs, x, targets, expected) in [
        (0, 1, 1, classes(&[0]), "at least one row, one input and one output"),
        (1, 0, 1, classes(&[0]), "at least one row, one input and one output"),
        (1, 1, 0, classes(&[]), "at least one row, one input and one output"),
        (2, 1, 3, classes(&[0]), "number of input numbers: expected shape [1, 2], got [3]"),
        (2, 1, 4, classes(&[0]), "number of class labels: expected shape [2], got [1]"),
        (2, 3, 4, classes(&[2, 3]), "data row 1 is of class 3, but there are 3 classes"),
        (2, 3, 4, Targets::Values(vec![0.; 5]), "number of target numbers: expected shape [2, 3], got [5]"),
        (1, usize::MAX, 2, Targets::Values(vec![0.; 5]), "number of target numbers"),
    ] {
        let error = message(Split::new(inputs, outputs, vec![0.; x], targets));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_dataset_checks_that_its_halves_match() {
    let error = message(Dataset::new("d", None, split(2, 1, 0), split(3, 1, 0)));
    assert_eq!(error, "data `d`: inputs and outputs of the test half: expected shape [2, 2], got [3, 2]");
    let error = message(Dataset::new("d", Some([1, 2, 2]), split(2, 1, 0), split(2, 1, 0)));
    assert_eq!(error, "data `d`: one image: expected shape [2], got [1, 2, 2]");
    let error = message(Dataset::new("d", Some([usize::MAX, 2, 2]), split(2, 1, 0), split(2, 1, 0)));
    assert!(error.contains("one image"), "{error}");
    let values = Split::new(2, 2, vec![0.; 2], Targets::Values(vec![0.; 2])).unwrap();
    let error = message(Dataset::new("d", None, split(2, 1, 0), values));
    assert!(error.contains("one half has classes"), "{error}");
}

/// Equal content, equal print; any bit of it changes the print; the name does not.
#[test]
fn the_fingerprint_is_of_the_content() {
    let print = |name: &str, inputs, train, label| {
        Dataset::new(name, None, split(inputs, train, label), split(inputs, 1, 0)).unwrap().fingerprint()
    };
    let base = print("a", 2, 2000, 0);
    assert_eq!(base.len(), 64);
    assert_eq!(base, print("b", 2, 2000, 0));
    for other in [print("a", 2, 2000, 1), print("a", 2, 1999, 0), print("a", 4, 1000, 0)] {
        assert_ne!(base, other);
    }
    let values = |value: f32| {
        let half = || Split::new(1, 1, vec![1.0], Targets::Values(vec![value])).unwrap();
        Dataset::new("v", None, half(), half()).unwrap()
    };
    assert_ne!(values(0.0).fingerprint(), values(-0.0).fingerprint());
    assert!(!values(0.0).has_classes());
}

/// Every row is in one of the two parts, once, with its own target and in the order of the file; another seed draws other rows.
#[test]
fn validation_rows_are_kept_apart() {
    let x: Vec<f32> = (0..100).map(|v| v as f32).collect();
    let labels: Vec<u32> = (0..50).map(|row| row % 7).collect();
    let split =
        |n: usize| Split::new(2, 7, x[..2 * n].to_vec(), Targets::Classes(labels[..n].to_vec())).unwrap();
    let data = Dataset::new("rows", None, split(50), split(3)).unwrap();
    let (train, validation) = data.split_validation(20, 3).unwrap();
    assert_eq!((train.rows(), validation.rows()), (30, 20));
    let rows = |split: &Split| split.x().chunks(2).map(|x| x[0] as usize / 2).collect::<Vec<_>>();
    let mut all = [rows(&train), rows(&validation)].concat();
    for part in [&train, &validation] {
        assert!(rows(part).is_sorted());
        for (row, &label) in rows(part).iter().zip(part.labels().unwrap()) {
            assert_eq!(label, *row as u32 % 7);
        }
    }
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert_ne!(rows(&validation), rows(&data.split_validation(20, 4).unwrap().1));
    assert_ne!(rows(&validation), (0..20).collect::<Vec<_>>(), "they are drawn, not cut off");
    for rows in [0, 50, 51] {
        let refused = data.split_validation(rows, 3).unwrap_err().to_string();
        assert!(refused.contains("`validation`") && refused.contains("1 to 49"), "{refused}");
    }
}
