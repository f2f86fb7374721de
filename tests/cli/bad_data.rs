//! Folders of image files as downloads leave them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::idx;
use crate::session::{arg, names, refused, run, says, suite, TINY};

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";

/// Twelve training and four test images of 3×3.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (half, count) in [("train", 12u8), ("t10k", 4)] {
        let pixels: Vec<u8> = (0..count * 9).map(|i| i.wrapping_mul(37)).collect();
        let labels: Vec<u8> = (0..count).map(|i| i % 10).collect();
        idx::half(dir.path(), half, 3, &pixels, &labels).unwrap();
    }
    dir
}

/// The sentence after `damage` was done to a good folder; nothing may be written.
#[track_caller]
fn damaged(damage: impl FnOnce(&Path)) -> String {
    let data = folder();
    damage(data.path());
    let (dir, file) = suite(TINY);
    let out = arg(dir.path().join("record"));
    let sentence =
        refused(&["run", &file, "--allow-debug-build", "--out", &out, "--data", &arg(data.path())]);
    assert_eq!(names(dir.path()), ["suite.toml"]);
    sentence
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_good_folder_plain_or_gzip_is_measured() {
    let data = folder();
    let (dir, file) = suite(TINY);
    let runs = |name: &str| {
        let out = arg(dir.path().join(name));
        let done = run(&[
            "run",
            &file,
            "--allow-debug-build",
            "--no-plots",
            "--out",
            &out,
            "--data",
            &arg(data.path()),
        ]);
        assert_eq!(done.code, Some(0), "{}", done.err);
        fs::read_to_string(dir.path().join(name).join("signals.csv")).unwrap()
    };
    let plain = runs("plain");
    for name in names(data.path()) {
        let packed = idx::gzip(&fs::read(data.path().join(&name)).unwrap());
        fs::write(data.path().join(format!("{name}.gz")), packed).unwrap();
        fs::remove_file(data.path().join(&name)).unwrap();
    }
    assert_eq!(plain, runs("gzip"));
    let batch = TINY.replacen("batch = [2]", "batch = [13]", 1);
    fs::write(&file, batch).unwrap();
    says(
        &refused(&["bounds", &file, "--data", &arg(data.path())]),
        &["13 is larger than the data", "12 training rows"],
    );
}

#[test]
fn truncated_files_say_how_much_is_missing() {
    let cut = damaged(|dir| change(&dir.join(TRAIN_IMAGES), |bytes| bytes.truncate(50)));
    says(&cut, &[TRAIN_IMAGES, "50", "124", "12×3×3 images"]);
    let cut = damaged(|dir| change(&dir.join(TRAIN_LABELS), |bytes| bytes.truncate(3)));
    says(&cut, &[TRAIN_LABELS, "header"]);
    let cut = damaged(|dir| fs::write(dir.join(TRAIN_LABELS), "").unwrap());
    says(&cut, &[TRAIN_LABELS, "header"]);
    let long = damaged(|dir| change(&dir.join(TRAIN_IMAGES), |bytes| bytes.push(0)));
    says(&long, &[TRAIN_IMAGES, "124"]);
}

#[test]
fn mislabelled_files_say_what_they_look_like() {
    let swapped = damaged(|dir| {
        fs::rename(dir.join(TRAIN_IMAGES), dir.join("x")).unwrap();
        fs::rename(dir.join(TRAIN_LABELS), dir.join(TRAIN_IMAGES)).unwrap();
        fs::rename(dir.join("x"), dir.join(TRAIN_LABELS)).unwrap();
    });
    says(&swapped, &[TRAIN_IMAGES, "looks like labels", "swapped", "rename both"]);
    let magic = damaged(|dir| change(&dir.join(TRAIN_IMAGES), |bytes| bytes[2] = 9));
    says(&magic, &[TRAIN_IMAGES, "0x00000903", "0x00000803"]);
    let page =
        damaged(|dir| fs::write(dir.join(TRAIN_IMAGES), "<!DOCTYPE html><html>not found</html>").unwrap());
    says(&page, &[TRAIN_IMAGES, "fetch the file again"]);
    let label = damaged(|dir| change(&dir.join(TRAIN_LABELS), |bytes| bytes[10] = 11));
    says(&label, &[TRAIN_LABELS, "label 11 at position 2", "0 to 9"]);
    let huge = damaged(|dir| change(&dir.join(TRAIN_IMAGES), |bytes| bytes[4..8].fill(255)));
    says(&huge, &[TRAIN_IMAGES, "4294967295×3×3", "more than"]);
    let none = damaged(|dir| change(&dir.join(TRAIN_IMAGES), |bytes| bytes[4..8].fill(0)));
    says(&none, &[TRAIN_IMAGES, "0×3×3", "nothing at all"]);
    let counts = damaged(|dir| {
        idx::half(dir, "train", 3, &[0; 9 * 5], &[0; 5])
            .and_then(|()| fs::write(dir.join(TRAIN_LABELS), idx::file(&[4], &[0; 4])))
            .unwrap()
    });
    says(&counts, &["holds 5 images", "holds 4 labels"]);
    let sizes = damaged(|dir| idx::half(dir, "t10k", 2, &[0; 4 * 5], &[0; 5]).unwrap());
    says(&sizes, &["2×2", "3×3"]);
}

#[test]
fn corrupt_gzip_is_named() {
    let pack = |dir: &Path, damage: &dyn Fn(&mut Vec<u8>)| {
        let mut packed = idx::gzip(&fs::read(dir.join(TRAIN_IMAGES)).unwrap());
        damage(&mut packed);
        fs::remove_file(dir.join(TRAIN_IMAGES)).unwrap();
        fs::write(dir.join(format!("{TRAIN_IMAGES}.gz")), packed).unwrap();
    };
    let damages: [fn(&mut Vec<u8>); 3] = [
        |packed| packed.truncate(packed.len() / 2),
        |packed| packed[2..].fill(0xaa),
        |packed| {
            let crc = packed.len() - 6;
            packed[crc] ^= 1;
        },
    ];
    for damage in damages {
        says(&damaged(|dir| pack(dir, &damage)), &["train-images-idx3-ubyte.gz", "gzip"]);
    }
}

#[test]
fn folders_that_are_none_or_incomplete() {
    says(
        &damaged(|dir| fs::remove_file(dir.join(TRAIN_LABELS)).unwrap()),
        &["has no train labels", TRAIN_LABELS],
    );
    let (dir, file) = suite(TINY);
    let with = |data: &str| refused(&["run", &file, "--allow-debug-build", "--data", data]);
    says(&with("/no/such/folder"), &["/no/such/folder", "does not exist", "MNIST", "CIFAR-10 or CIFAR-100"]);
    says(&with(&file), &["suite.toml", "is a file, not a folder"]);
    says(&with(&arg(dir.path())), &["holds no file of MNIST", TRAIN_IMAGES, "data_batch_1.bin", "train.bin"]);
}

/// `count` images of CIFAR whose labels are `labels` bytes of 0 to 9.
fn cifar(count: u8, labels: usize) -> Vec<u8> {
    let image = |i: u8| (0..labels).map(move |_| i % 10).chain((0..=255).cycle().skip(i.into()).take(3072));
    (0..count).flat_map(image).collect()
}

#[test]
fn cifar_is_measured_plain_or_gzip() {
    for (files, labels, widths) in [
        (["data_batch_2.bin", "test_batch.bin"], 1, "3072 -> 10"),
        (["train.bin", "test.bin"], 2, "3072 -> 100"),
    ] {
        let (dir, file) = suite(TINY);
        let runs = |name: &str, pack: fn(&[u8]) -> Vec<u8>, ending: &str| {
            let data = tempfile::tempdir().unwrap();
            for (file, count) in files.iter().zip([5, 3]) {
                fs::write(data.path().join(format!("{file}{ending}")), pack(&cifar(count, labels))).unwrap();
            }
            let out = arg(dir.path().join(name));
            let data = arg(data.path());
            let done =
                run(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &out, "--data", &data]);
            assert_eq!(done.code, Some(0), "{}", done.err);
            ["run.json", "signals.csv"]
                .map(|part| fs::read_to_string(dir.path().join(name).join(part)).unwrap())
        };
        let [header, plain] = runs("plain", <[u8]>::to_vec, "");
        assert!(header.contains(&format!("5 training + 3 test rows, {widths}")), "{header}");
        assert_eq!(plain, runs("gzip", idx::gzip, ".gz")[1]);
    }
}

/// Invented images stand in for CIFAR until `--data` names it.
#[test]
fn cifar_replaces_invented_colour_images() {
    let (dir, file) = suite(&TINY.replacen("contenders =", "data = \"colour-blobs\"\ncontenders =", 1));
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("data_batch_1.bin"), cifar(4, 1)).unwrap();
    fs::write(data.path().join("test_batch.bin"), cifar(3, 1)).unwrap();
    let common = ["run", &file, "--allow-debug-build", "--no-plots", "--out"];
    let runs = |name: &str, more: &[&str]| {
        let done = run(&[&common[..], &[&arg(dir.path().join(name))], more].concat());
        assert_eq!(done.code, Some(0), "{}", done.err);
        fs::read_to_string(dir.path().join(name).join("run.json")).unwrap()
    };
    let invented = runs("invented", &[]);
    assert!(invented.contains("colour-blobs: 2000 training + 500 test rows, 3072 -> 10"), "{invented}");
    let given = runs("given", &["--data", &arg(data.path())]);
    assert!(given.contains("cifar10: 4 training + 3 test rows, 3072 -> 10"), "{given}");
}

#[test]
fn damaged_cifar_is_named() {
    let damaged = |damage: &dyn Fn(&Path)| {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("data_batch_1.bin"), cifar(4, 1)).unwrap();
        fs::write(data.path().join("test_batch.bin.gz"), idx::gzip(&cifar(3, 1))).unwrap();
        damage(data.path());
        let (dir, file) = suite(TINY);
        let out = arg(dir.path().join("record"));
        let data = arg(data.path());
        let sentence = refused(&["run", &file, "--allow-debug-build", "--out", &out, "--data", &data]);
        assert_eq!(names(dir.path()), ["suite.toml"]);
        sentence
    };
    let cut = damaged(&|dir| change(&dir.join("data_batch_1.bin"), |bytes| bytes.truncate(9000)));
    says(&cut, &["data_batch_1.bin", "holds 9000 bytes", "CIFAR-10 of 3073 bytes", "cut short"]);
    let label = damaged(&|dir| change(&dir.join("data_batch_1.bin"), |bytes| bytes[2 * 3073] = 10));
    says(&label, &["data_batch_1.bin", "label 10 at position 2", "0 to 9"]);
    let packed = damaged(&|dir| change(&dir.join("test_batch.bin.gz"), |bytes| bytes.truncate(99)));
    says(&packed, &["test_batch.bin.gz", "gzip"]);
    let missing = damaged(&|dir| fs::remove_file(dir.join("test_batch.bin.gz")).unwrap());
    says(&missing, &["has no test images of CIFAR-10", "`test_batch.bin.gz`", "put one of them there"]);
    let both = damaged(&|dir| fs::write(dir.join("train.bin"), cifar(2, 2)).unwrap());
    says(&both, &["CIFAR-10 (`data_batch_1.bin`)", "CIFAR-100 (`train.bin`)", "folder of its own"]);
    let images = damaged(&|dir| idx::half(dir, "train", 3, &[0; 9], &[0]).unwrap());
    says(&images, &[TRAIN_IMAGES, "data_batch_1.bin", "folder of its own"]);
}
