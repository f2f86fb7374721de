//! Oracle: the format itself, written here byte by byte; and one sentence for every way it can be wrong.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{message, writer};
use crate::data::idx::load;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Three training and two test images of 2×2 pixels.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    writer::half(dir.path(), "train", 2, &[0, 255, 51, 204, 1, 2, 3, 4, 5, 6, 7, 8], &[3, 0, 9]).unwrap();
    writer::half(dir.path(), "t10k", 2, &[9, 8, 7, 6, 5, 4, 3, 2], &[1, 2]).unwrap();
    dir
}

/// The error after `damage` was done to a good folder.
fn after(damage: impl Fn(&Path)) -> (String, TempDir) {
    let dir = folder();
    damage(dir.path());
    let error = message(load(dir.path(), "idx"));
    (error, dir)
}

/// `file` replaced by `content`: the error must be about this file and read as given.
fn replaced(file: &str, content: &[u8], expected: &str) {
    let (error, dir) = after(|dir| fs::write(dir.join(file), content).unwrap());
    assert_eq!(error, format!("{}: {expected}", dir.path().join(file).display()));
}

#[test]
fn reads_what_the_format_says() {
    let dir = folder();
    let data = load(dir.path(), "named").unwrap();
    assert_eq!((data.name.as_str(), data.inputs, data.outputs), ("named", 4, 10));
    assert_eq!(data.image, Some([1, 2, 2]));
    assert_eq!((data.train.labels().unwrap(), data.test.labels().unwrap()), (&[3, 0, 9][..], &[1, 2][..]));
    // 0, 255, 51 and 204 are 0, 1, 1/5 and 4/5 of the range.
    let first = &data.train.x()[..4];
    assert_eq!(first[..2], [-1.0, 1.0]);
    approx::assert_abs_diff_eq!(first[2], -0.6, epsilon = 1e-7);
    approx::assert_abs_diff_eq!(first[3], 0.6, epsilon = 1e-7);
    assert_eq!((data.train.x().len(), data.test.x().len()), (12, 8));
}

/// Packed or not, dashed or dotted, with a wrong ending or none: the content decides.
#[test]
fn all_spellings_give_the_same_data() {
    let expected = load(folder().path(), "x").unwrap();
    let rename = |name: &str| [name.to_owned(), name.replacen("-idx", ".idx", 1)];
    for spelling in [0, 1] {
        for ending in ["", ".gz"] {
            for pack in [false, true] {
                let dir = folder();
                for name in [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS] {
                    let old = dir.path().join(name);
                    let mut bytes = fs::read(&old).unwrap();
                    fs::remove_file(old).unwrap();
                    if pack {
                        bytes = writer::gzip(&bytes);
                    }
                    fs::write(dir.path().join(rename(name)[spelling].clone() + ending), bytes).unwrap();
                }
                assert_eq!(load(dir.path(), "x").unwrap(), expected);
            }
        }
    }
}

#[test]
fn a_file_may_be_packed_in_several_members() {
    let dir = folder();
    let path = dir.path().join(TRAIN_IMAGES);
    let bytes = fs::read(&path).unwrap();
    let (head, tail) = bytes.split_at(9);
    fs::write(&path, [writer::gzip(head), writer::gzip(tail)].concat()).unwrap();
    assert_eq!(load(dir.path(), "x").unwrap(), load(folder().path(), "x").unwrap());
}

/// What `gzip -t` accepts: zeros to the end, behind one member or several, however many.
#[test]
fn zeros_may_follow_a_packed_file() {
    let expected = load(folder().path(), "x").unwrap();
    for zeros in [1, 2, 511, 100_000] {
        let dir = folder();
        for name in [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS] {
            let path = dir.path().join(name);
            let bytes = fs::read(&path).unwrap();
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            fs::write(path, [writer::gzip(head), writer::gzip(tail), vec![0; zeros]].concat()).unwrap();
        }
        assert_eq!(load(dir.path(), "x").unwrap(), expected);
    }
}

#[test]
fn the_folder_must_be_a_folder() {
    let dir = folder();
    let at = |path: &PathBuf| message(load(path, "x")).replace(&path.display().to_string(), "AT");
    assert_eq!(
        at(&dir.path().join(TRAIN_IMAGES)),
        "AT: is a file, not a folder; name the folder that holds the four MNIST-format files"
    );
    assert_eq!(
        at(&dir.path().join("absent")),
        "AT: does not exist; name the folder that holds the four MNIST-format files"
    );
    assert!(at(&dir.path().join("no\0name")).starts_with("cannot open the folder AT"));
}

#[test]
fn a_missing_file_is_named_in_all_its_spellings() {
    let (error, dir) = after(|dir| fs::remove_file(dir.join(TEST_LABELS)).unwrap());
    assert_eq!(
        error,
        format!(
            "{}: has no t10k labels: looked for `t10k-labels-idx1-ubyte`, `t10k-labels-idx1-ubyte.gz`, \
             `t10k-labels.idx1-ubyte`, `t10k-labels.idx1-ubyte.gz`; put one of them there",
            dir.path().display()
        )
    );
    let (error, _) = after(|dir| {
        fs::remove_file(dir.join(TRAIN_IMAGES)).unwrap();
        fs::create_dir(dir.join(TRAIN_IMAGES)).unwrap();
    });
    assert!(error.contains("has no train images"), "{error}");
}

#[test]
fn swapped_files_are_recognised() {
    replaced(
        TRAIN_IMAGES,
        &writer::file(&[2], &[1, 2]),
        "is named as images (magic 0x00000803) but looks like labels (magic 0x00000801); see whether it was \
         swapped with `train-labels-idx1-ubyte` and rename both",
    );
    replaced(
        TEST_LABELS,
        &writer::file(&[1, 1, 1], &[1]),
        "is named as labels (magic 0x00000801) but looks like images (magic 0x00000803); see whether it was \
         swapped with `t10k-images-idx3-ubyte` and rename both",
    );
}

#[test]
fn other_content_is_recognised() {
    let page = b"<!DOCTYPE html><title>404";
    replaced(
        TRAIN_IMAGES,
        page,
        "starts with 0x3c21444f, not with 0x00000803 as IDX images do; fetch the file again",
    );
    replaced(
        TRAIN_LABELS,
        &writer::gzip(page),
        "starts with 0x3c21444f, not with 0x00000801 as IDX labels do; fetch the file again",
    );
}

#[test]
fn short_files_tell_expected_and_actual_bytes() {
    let whole = writer::file(&[3, 2, 2], &[7; 12]);
    let header = |actual: usize| {
        format!("holds {actual} bytes, fewer than the 16 of its header; it was cut short, fetch it again")
    };
    for length in [0, 1, 3, 4, 15] {
        replaced(TRAIN_IMAGES, &whole[..length], &header(length));
        replaced(
            TRAIN_IMAGES,
            &writer::gzip(&whole[..length]),
            &header(length).replace("holds", "unpacks to"),
        );
    }
    let body =
        "27 bytes, fewer than the 28 declared by its header (3×2×2 images); it was cut short, fetch it again";
    replaced(TRAIN_IMAGES, &whole[..27], &format!("holds {body}"));
    replaced(TRAIN_IMAGES, &writer::gzip(&whole[..27]), &format!("unpacks to {body}"));
}

#[test]
fn long_files_are_refused() {
    let long = writer::file(&[3], &[1; 4]);
    let body = "than the 11 declared by its header (3 labels); fetch the file again";
    replaced(TRAIN_LABELS, &long, &format!("holds 12 bytes, more {body}"));
    replaced(TRAIN_LABELS, &writer::gzip(&long), &format!("unpacks to more {body}"));
}

/// What lies behind the declared end is left packed: its damage, at the very end, is never met.
#[test]
fn a_bomb_is_not_unpacked() {
    let mut bomb = writer::gzip(&writer::file(&[3], &[1; 3]));
    bomb.extend(writer::gzip(&vec![0; 1 << 24]));
    let end = bomb.len();
    bomb[end - 8] ^= 1;
    replaced(
        TRAIN_LABELS,
        &bomb,
        "unpacks to more than the 11 declared by its header (3 labels); fetch the file again",
    );
}

/// Headers that declare more than there is, or than any machine has: refused without reserving it.
#[test]
fn absurd_sizes_are_refused() {
    let too_large = |sizes: &str| {
        format!(
            "declares {sizes} images, more than the 1073741824 bytes that are read at most; fetch the file again or \
             use a smaller collection"
        )
    };
    let max = u32::MAX;
    for content in [writer::file(&[max, max, max], &[]), writer::gzip(&writer::file(&[max, max, max], &[]))] {
        replaced(TRAIN_IMAGES, &content, &too_large("4294967295×4294967295×4294967295"));
    }
    // A product of exactly 2⁶⁴, which is 0 to a careless multiplication.
    replaced(TRAIN_IMAGES, &writer::file(&[1 << 31, 1 << 31, 4], &[]), &too_large("2147483648×2147483648×4"));
    replaced(TRAIN_IMAGES, &writer::file(&[(1 << 30) + 1, 1, 1], &[]), &too_large("1073741825×1×1"));
    for (content, verb) in [
        (writer::file(&[1 << 30, 1, 1], &[]), "holds"),
        (writer::gzip(&writer::file(&[1 << 30, 1, 1], &[])), "unpacks to"),
    ] {
        replaced(
            TRAIN_IMAGES,
            &content,
            &format!(
                "{verb} 16 bytes, fewer than the 1073741840 declared by its header (1073741824×1×1 images); it was \
                 cut short, fetch it again"
            ),
        );
    }
}

#[test]
fn nothing_at_all_is_refused() {
    for (file, sizes, word) in [
        (TRAIN_LABELS, &[0][..], "0 labels"),
        (TRAIN_IMAGES, &[0, 28, 28], "0×28×28 images"),
        (TRAIN_IMAGES, &[3, 0, 2], "3×0×2 images"),
    ] {
        replaced(
            file,
            &writer::file(sizes, &[]),
            &format!("declares {word}, which is nothing at all; fetch the file again"),
        );
    }
}

#[test]
fn labels_are_digits() {
    replaced(
        TRAIN_LABELS,
        &writer::file(&[3], &[0, 10, 200]),
        "label 10 at position 1, expected 0 to 9; use a collection of ten classes or fetch the file again",
    );
}

#[test]
fn files_of_different_collections_are_noticed() {
    replaced(
        TRAIN_IMAGES,
        &writer::file(&[2, 2, 2], &[0; 8]),
        "holds 2 images, but `train-labels-idx1-ubyte` holds 3 labels; put the files of one collection together",
    );
    replaced(
        TEST_IMAGES,
        &writer::file(&[2, 3, 1], &[0; 6]),
        "holds images of 3×1 while `train-images-idx3-ubyte` holds 2×2; put the files of one collection together",
    );
}

#[test]
fn damaged_gzip_is_told_from_short_content() {
    let good = writer::gzip(&writer::file(&[3], &[3, 0, 9]));
    let damaged = |content: &[u8]| {
        let (error, _) = after(|dir| fs::write(dir.join(TRAIN_LABELS), content).unwrap());
        assert!(error.contains(&format!("{TRAIN_LABELS}: its gzip data are damaged after ")), "{error}");
        assert!(error.ends_with("; fetch the file again"), "{error}");
        error
    };
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The last eight bytes are the checksum and the length.
    assert!(damaged(&flipped(good.len() - 8)).contains("after 11 of 11 unpacked bytes"));
    damaged(&flipped(good.len() - 1));
    damaged(&flipped(10));
    damaged(&good[..good.len() - 9]);
    damaged(&good[..2]);
    damaged(&[&good[..], b"trailing"].concat());
    let behind_zeros = damaged(&[&good[..], &[0; 70_000], b"x"].concat());
    assert!(behind_zeros.contains("other bytes behind the zeros after its end"), "{behind_zeros}");
    damaged(&[&good[..], &[0], &good].concat());
}
