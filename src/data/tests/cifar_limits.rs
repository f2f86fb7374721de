//! However much a folder of CIFAR claims to hold, no more is read than the limit says.

use std::fs::{self, File};

use super::cifar::{ten, FIRST};
use super::{message, writer};
use crate::data::cifar::{load, TEN};

/// A plain file by its length alone, a packed one without unpacking it whole: damage at its very end is never met.
#[test]
fn absurd_lengths_are_refused() {
    let dir = ten();
    let path = dir.path().join(FIRST);
    let expected = |limit: u64| {
        format!(
            "{}: has more bytes than the {limit} that are read at most of one half of a collection; fetch the file again \
             or leave files out",
            path.display()
        )
    };
    File::create(&path).unwrap().set_len((1 << 30) + 1).unwrap();
    assert_eq!(message(load(dir.path())), expected(1 << 30));
    let mut bomb = writer::gzip(&vec![0; 5000 * 3073]);
    let end = bomb.len();
    bomb[end - 8] ^= 1;
    fs::write(&path, bomb).unwrap();
    assert_eq!(message(TEN.load(dir.path(), 100_000)), expected(100_000));
}

#[test]
fn the_files_of_a_half_are_limited_together() {
    let dir = ten();
    let three = 3 * 3073;
    assert_eq!(TEN.load(dir.path(), three).unwrap(), load(dir.path()).unwrap());
    let fourth = dir.path().join("data_batch_4.bin");
    for pack in [false, true] {
        if pack {
            fs::write(&fourth, writer::gzip(&fs::read(&fourth).unwrap())).unwrap();
        }
        let error = message(TEN.load(dir.path(), three - 1));
        assert!(error.starts_with(&format!("{}: has more bytes than the 9218", fourth.display())), "{error}");
    }
}
