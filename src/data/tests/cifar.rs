//! Oracle: the format itself, written here byte by byte; and one sentence for every way it can be wrong.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{message, writer};
use crate::data::cifar::load;
use crate::data::Dataset;

pub(super) const FIRST: &str = "data_batch_1.bin";
const TEST: &str = "test_batch.bin";

/// One image: its labels, then red, green and blue planes of one brightness each.
pub(super) fn record(labels: &[u8], planes: [u8; 3]) -> Vec<u8> {
    labels.iter().copied().chain(planes.into_iter().flat_map(|plane| [plane; 1024])).collect()
}

fn put(dir: &Path, name: &str, records: &[Vec<u8>]) {
    fs::write(dir.join(name), records.concat()).unwrap();
}

/// CIFAR-10 with batches 1 and 4: three training images and one test image.
pub(super) fn ten() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut first = record(&[3], [255, 51, 0]);
    // Green, row 2, column 5.
    first[1 + 1024 + 2 * 32 + 5] = 204;
    put(dir.path(), FIRST, &[first, record(&[9], [1, 2, 3])]);
    put(dir.path(), "data_batch_4.bin", &[record(&[0], [4, 5, 6])]);
    put(dir.path(), TEST, &[record(&[7], [0, 0, 255])]);
    dir
}

/// CIFAR-100: one training and two test images.
pub(super) fn hundred() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "train.bin", &[record(&[19, 99], [0, 255, 0])]);
    put(dir.path(), "test.bin", &[record(&[0, 42], [0; 3]), record(&[5, 0], [255; 3])]);
    dir
}

fn labels(data: &Dataset) -> [&[u32]; 2] {
    [&data.train, &data.test].map(|half| half.labels().unwrap())
}

/// `file` of `dir` replaced by `content`: the error must be about this file and read as given.
fn replaced(dir: &TempDir, file: &str, content: &[u8], expected: &str) {
    let path = dir.path().join(file);
    let good = fs::read(&path).unwrap();
    fs::write(&path, content).unwrap();
    assert_eq!(message(load(dir.path())), format!("{}: {expected}", path.display()));
    fs::write(path, good).unwrap();
}

#[test]
fn ten_classes_are_read_as_the_format_says() {
    let data = load(ten().path()).unwrap();
    assert_eq!((data.name.as_str(), data.inputs, data.outputs), ("cifar10", 3072, 10));
    assert_eq!(data.image, Some([3, 32, 32]));
    assert_eq!(labels(&data), [&[3, 9, 0][..], &[7]]);
    let x = &data.train.x()[..3072];
    // 255 and 0 are the ends of the range, 51 and 204 one and four fifths of it.
    assert!(x[..1024].iter().all(|&value| value == 1.0) && x[2048..].iter().all(|&value| value == -1.0));
    for (i, &value) in x[1024..2048].iter().enumerate() {
        approx::assert_abs_diff_eq!(value, if i == 69 { 0.6 } else { -0.6 }, epsilon = 1e-7);
    }
    let corners: Vec<f32> = data.train.x()[3072..].iter().step_by(1024).map(|x| (x + 1.0) * 127.5).collect();
    for (corner, expected) in corners.into_iter().zip([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) {
        approx::assert_abs_diff_eq!(corner, expected, epsilon = 1e-4);
    }
    assert_eq!((data.train.rows(), data.test.rows()), (3, 1));
    assert_eq!((data.test.x()[0], data.test.x()[3071]), (-1.0, 1.0));
}

#[test]
fn a_hundred_classes_are_the_fine_labels() {
    let data = load(hundred().path()).unwrap();
    assert_eq!((data.name.as_str(), data.inputs, data.outputs), ("cifar100", 3072, 100));
    assert_eq!(data.image, Some([3, 32, 32]));
    assert_eq!(labels(&data), [&[99][..], &[42, 0]]);
    // A byte too many or too few before the pixels would move these edges.
    assert_eq!(data.train.x()[1022..1026], [-1.0, -1.0, 1.0, 1.0]);
    assert_eq!(data.train.x()[2046..2050], [1.0, 1.0, -1.0, -1.0]);
}

/// Packed or not, in one member or several, zeros behind it, with a wrong ending or none: the content decides.
#[test]
fn all_spellings_give_the_same_data() {
    type Pack = fn(&[u8]) -> Vec<u8>;
    let packs: [Pack; 3] = [<[u8]>::to_vec, writer::gzip, |bytes| {
        let (head, tail) = bytes.split_at(100);
        [writer::gzip(head), writer::gzip(tail), vec![0; 512]].concat()
    }];
    for make in [ten, hundred] {
        let expected = load(make().path()).unwrap();
        for ending in ["", ".gz"] {
            for pack in packs {
                let dir = make();
                for entry in fs::read_dir(dir.path()).unwrap() {
                    let old = entry.unwrap().path();
                    let packed = pack(&fs::read(&old).unwrap());
                    fs::remove_file(&old).unwrap();
                    fs::write(format!("{}{ending}", old.display()), packed).unwrap();
                }
                assert_eq!(load(dir.path()).unwrap(), expected);
            }
        }
    }
}

/// Where a batch lies there twice, the one without ending counts; others are read by their numbers.
#[test]
fn batches_are_read_once_and_in_order() {
    let dir = ten();
    put(dir.path(), "data_batch_2.bin.gz", &[record(&[5], [0; 3])]);
    put(dir.path(), "data_batch_1.bin.gz", &[record(&[6], [0; 3])]);
    put(dir.path(), "data_batch_6.bin", &[record(&[6], [0; 3])]);
    assert_eq!(labels(&load(dir.path()).unwrap()), [&[3, 9, 5, 0][..], &[7]]);
}

/// More records than are read at once, with one that is wrong behind them.
#[test]
fn long_files_are_read_whole() {
    let dir = hundred();
    let record = |i: usize| record(&[0, (i % 100) as u8], [i as u8; 3]);
    for (count, pack) in [(1000, false), (1001, false), (2000, true), (2003, true)] {
        let mut bytes: Vec<u8> = (0..count).flat_map(record).collect();
        let write = |bytes: &[u8]| {
            let bytes = if pack { writer::gzip(bytes) } else { bytes.to_vec() };
            fs::write(dir.path().join("train.bin"), bytes).unwrap();
        };
        write(&bytes);
        let data = load(dir.path()).unwrap();
        assert_eq!(data.train.rows(), count);
        assert!(labels(&data)[0].iter().enumerate().all(|(i, &label)| label as usize == i % 100));
        bytes[(count - 1) * 3074 + 1] = 100;
        write(&bytes);
        let error = message(load(dir.path()));
        assert!(
            error.contains(&format!("fine label 100 at position {}, expected 0 to 99", count - 1)),
            "{error}"
        );
    }
}

#[test]
fn missing_files_are_named_in_all_their_spellings() {
    let dir = ten();
    let at = |dir: &TempDir| message(load(dir.path())).replace(&dir.path().display().to_string(), "AT");
    fs::remove_file(dir.path().join(TEST)).unwrap();
    assert_eq!(
        at(&dir),
        "AT: has no test images of CIFAR-10: looked for `test_batch.bin`, `test_batch.bin.gz`; put one of them there"
    );
    put(dir.path(), TEST, &[]);
    fs::remove_file(dir.path().join(FIRST)).unwrap();
    fs::rename(dir.path().join("data_batch_4.bin"), dir.path().join("data_batch_6.bin")).unwrap();
    // Whatever its name, a folder is no file.
    fs::create_dir(dir.path().join(FIRST)).unwrap();
    let batches: Vec<String> =
        (1..6).map(|i| format!("`data_batch_{i}.bin`, `data_batch_{i}.bin.gz`")).collect();
    assert_eq!(
        at(&dir),
        format!(
            "AT: has no training images of CIFAR-10: looked for {}; put one of them there",
            batches.join(", ")
        )
    );
    let dir = hundred();
    fs::remove_file(dir.path().join("train.bin")).unwrap();
    assert_eq!(
        at(&dir),
        "AT: has no training images of CIFAR-100: looked for `train.bin`, `train.bin.gz`; put one of them there"
    );
}

#[test]
fn a_folder_holds_one_collection() {
    let dir = ten();
    let at = |path: &Path| message(load(path)).replace(&dir.path().display().to_string(), "AT");
    put(dir.path(), "test.bin.gz", &[]);
    assert_eq!(
        at(dir.path()),
        "AT: holds files of CIFAR-10 (`data_batch_1.bin`) and of CIFAR-100 (`test.bin.gz`); put each collection into a \
         folder of its own"
    );
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(
        at(&dir.path().join("empty")),
        "AT/empty: holds no file of CIFAR-10 (as `data_batch_1.bin`) or of CIFAR-100 (as `train.bin`), plain or gzip; name \
         the folder in which the files themselves lie, unpacked from their archive and in the binary version"
    );
    assert_eq!(
        at(&dir.path().join(TEST)),
        "AT/test_batch.bin: is a file, not a folder; name the folder that holds the files of CIFAR-10 or CIFAR-100"
    );
    assert_eq!(
        at(&dir.path().join("absent")),
        "AT/absent: does not exist; name the folder that holds the files of CIFAR-10 or CIFAR-100"
    );
}

#[test]
fn lengths_are_whole_images() {
    let end = "; it was cut short or is another file, fetch the binary version again";
    let [one, two] = [record(&[3], [7; 3]), record(&[1, 2], [7; 3])];
    let long = [&one[..], &one, b"\n"].concat();
    for (dir, file, whole, lengths, what) in [
        (
            ten(),
            TEST,
            long,
            &[0, 1, 3072, 3074, 6145, 6147][..],
            "CIFAR-10 of 3073 bytes each (label and pixels)",
        ),
        (
            hundred(),
            "train.bin",
            two,
            &[1, 2, 3072, 3073],
            "CIFAR-100 of 3074 bytes each (labels and pixels)",
        ),
    ] {
        for &length in lengths {
            let expected = format!("{length} bytes, not one or more images of {what}{end}");
            replaced(&dir, file, &whole[..length], &format!("holds {expected}"));
            replaced(&dir, file, &writer::gzip(&whole[..length]), &format!("unpacks to {expected}"));
        }
    }
    let page = b"<!DOCTYPE html><title>404</title>";
    let error = "holds 33 bytes, not one or more images of CIFAR-10 of 3073 bytes each (label and pixels)";
    replaced(&ten(), FIRST, page, &format!("{error}{end}"));
}

#[test]
fn labels_are_in_their_range() {
    let end = |title: &str| format!("; it is damaged or not of {title}, fetch the binary version again");
    for (label, position) in [(10, 0), (255, 2)] {
        let mut bytes = [0, 9, 0].map(|label| record(&[label], [200; 3])).concat();
        bytes[position * 3073] = label;
        let expected = format!("label {label} at position {position}, expected 0 to 9{}", end("CIFAR-10"));
        replaced(&ten(), FIRST, &bytes, &expected);
        replaced(&ten(), TEST, &writer::gzip(&bytes), &expected);
    }
    for (labels, expected) in [
        ([20, 0], "coarse label 20 at position 1, expected 0 to 19"),
        ([0, 100], "fine label 100 at position 1, expected 0 to 99"),
    ] {
        let bytes = [record(&[19, 99], [200; 3]), record(&labels, [200; 3])].concat();
        replaced(&hundred(), "test.bin", &bytes, &format!("{expected}{}", end("CIFAR-100")));
    }
}

#[test]
fn damaged_gzip_is_told_from_short_content() {
    let good = writer::gzip(&record(&[3], [7; 3]));
    let damaged = |content: &[u8]| {
        let dir = ten();
        fs::write(dir.path().join(TEST), content).unwrap();
        let error = message(load(dir.path()));
        assert!(error.contains("test_batch.bin: its gzip data are damaged after "), "{error}");
        assert!(error.ends_with("; fetch the file again"), "{error}");
        error
    };
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The last eight bytes are the checksum and the length.
    assert!(damaged(&flipped(good.len() - 8)).contains("after 3073 unpacked bytes ("));
    damaged(&flipped(good.len() - 1));
    damaged(&flipped(10));
    for length in [2, 5, 10, good.len() / 2, good.len() - 9, good.len() - 4, good.len() - 1] {
        damaged(&good[..length]);
    }
    damaged(&[&good[..], b"trailing"].concat());
}
