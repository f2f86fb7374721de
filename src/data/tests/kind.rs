//! Data sets by name, and the folders they come from.

use std::fs;
use std::path::Path;

use super::{cifar, message, writer};
use crate::data::{synthetic, Dataset, Kind, Request, Sizes, KINDS};

const SIZES: Sizes = Sizes { inputs: 3, outputs: 2, train: 20, test: 10 };

fn load(name: &str, folder: Option<&Path>, seed: u64) -> crate::Result<Dataset> {
    (Kind::of(name)?.load)(&Request { folder, seed, sizes: SIZES })
}

#[test]
fn names_are_unique_and_others_are_unknown() {
    for kind in KINDS {
        assert_eq!(Kind::of(kind.name).unwrap().about, kind.about, "{}", kind.name);
    }
    let said = message(Kind::of("cifar"));
    assert!(said.starts_with("unknown data `cifar`; expected one of: digits, folder, mnist"), "{said}");
}

#[test]
fn data_without_files_need_no_folder() {
    for (name, inputs, outputs, train) in [("digits", 64, 10, 1437), ("teacher", 3, 2, 20)] {
        let data = load(name, Some(Path::new("not there")), 1).unwrap();
        assert_eq!((data.inputs, data.outputs, data.train.rows()), (inputs, outputs, train));
        assert_eq!(data.name, name);
        assert_eq!(data, load(name, None, 1).unwrap());
    }
}

#[test]
fn data_in_files_ask_for_their_folder() {
    assert_eq!(
        message(load("folder", None, 0)),
        "data `folder` is read from a folder and none was given; name the folder that holds its files with --data DIR"
    );
    #[cfg(not(feature = "hub"))]
    assert_eq!(
        message(load("mnist", None, 0)),
        "data `mnist` is not part of this program; name a folder that holds its four files with --data DIR, or \
         build with the feature `hub` to have it fetched"
    );
}

/// Several collections may lie side by side under one folder; what was written is what is read.
#[test]
fn a_named_collection_prefers_its_own_folder() {
    let root = tempfile::tempdir().unwrap();
    let put = |dir: &Path, seed| {
        fs::create_dir_all(dir).unwrap();
        let (train, test) = synthetic::images(20, 10, seed).unwrap();
        writer::half(dir, "train", 28, &train.pixels, &train.labels).unwrap();
        writer::half(dir, "t10k", 28, &test.pixels, &test.labels).unwrap();
        synthetic::blobs(20, 10, seed).unwrap().fingerprint()
    };
    let outer = put(root.path(), 1);
    let inner = put(&root.path().join("mnist"), 2);
    // `folder` names no collection, so a folder of that name means nothing.
    fs::create_dir(root.path().join("folder")).unwrap();
    for (name, called, expected) in
        [("mnist", "mnist", &inner), ("fashion-mnist", "fashion-mnist", &outer), ("folder", "idx", &outer)]
    {
        let data = load(name, Some(root.path()), 0).unwrap();
        assert_eq!(&data.fingerprint(), expected, "{name}");
        assert_eq!((data.name.as_str(), data.image), (called, Some([1, 28, 28])));
    }
}

/// A folder is of the collection that any of its files is of, and of one only.
#[test]
fn a_folder_is_recognised_by_its_files() {
    let root = tempfile::tempdir().unwrap();
    let load = |dir: &Path| load("folder", Some(dir), 0);
    writer::half(root.path(), "train", 2, &[0; 4], &[1]).unwrap();
    writer::half(root.path(), "t10k", 2, &[0; 4], &[1]).unwrap();
    let (ten, hundred) = (cifar::ten(), cifar::hundred());
    for (dir, name, image, classes) in [
        (&root, "idx", [1, 2, 2], 10),
        (&ten, "cifar10", [3, 32, 32], 10),
        (&hundred, "cifar100", [3, 32, 32], 100),
    ] {
        let data = load(dir.path()).unwrap();
        assert_eq!((data.name.as_str(), data.image, data.outputs), (name, Some(image), classes));
    }
    let said = |dir: &Path| message(load(dir)).replace(&dir.display().to_string(), "AT");
    for name in fs::read_dir(ten.path()).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_str().unwrap();
        let copy = root.path().join(format!("{name}.gz"));
        fs::copy(ten.path().join(name), &copy).unwrap();
        assert_eq!(
            said(root.path()),
            format!(
                "AT: holds files of MNIST or Fashion-MNIST (`train-images-idx3-ubyte`) and of CIFAR-10 (`{name}.gz`); put \
                 each collection into a folder of its own"
            )
        );
        fs::remove_file(copy).unwrap();
    }
    for name in fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_str().unwrap();
        let copy = hundred.path().join(name.replace("-idx", ".idx"));
        fs::copy(root.path().join(name), &copy).unwrap();
        let said = said(hundred.path());
        assert!(said.starts_with("AT: holds files of MNIST or Fashion-MNIST (`t"), "{said}");
        assert!(said.contains(") and of CIFAR-100 (`train.bin`); put"), "{said}");
        fs::remove_file(copy).unwrap();
    }
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(
        said(&empty),
        "AT: holds no file of MNIST or Fashion-MNIST (as `train-images-idx3-ubyte`), of CIFAR-10 (as `data_batch_1.bin`) \
         or of CIFAR-100 (as `train.bin`), plain or gzip; name the folder in which the files themselves lie, unpacked \
         from their archive and in the binary version"
    );
    assert_eq!(
        said(&root.path().join("absent")),
        "AT: does not exist; name the folder that holds the files of MNIST or Fashion-MNIST, CIFAR-10 or CIFAR-100"
    );
}
