//! The words of a suite definition, and where each leads.

use std::fs;
use std::path::Path;

use super::{message, writer};
use crate::data::{load, synthetic, Source};

fn parse(text: &str) -> crate::Result<Source> {
    text.parse()
}

#[test]
fn words_survive_the_round_trip() {
    for word in [
        "digits",
        "mnist",
        "fashion-mnist",
        "idx",
        "teacher:inputs=3,outputs=2,train=5,test=4",
        "blobs:train=9,test=1",
    ] {
        assert_eq!(parse(word).unwrap().to_string(), word);
    }
    assert_eq!(
        parse("teacher:test=4,train=5,outputs=2,inputs=3").unwrap(),
        Source::Teacher { inputs: 3, outputs: 2, train: 5, test: 4 }
    );
}

#[test]
fn wrong_words_are_refused() {
    for (word, expected) in [
        (
            "mnits",
            "unknown data source `mnits`; expected one of: digits, mnist, fashion-mnist, idx, teacher:",
        ),
        ("", "unknown data source ``"),
        ("digits:train=4", "unknown data source `digits:train=4`"),
        ("blobs", "data source `blobs`: key `train`: is missing; write `train=NUMBER`"),
        ("blobs:train=4", "key `test`: is missing"),
        ("blobs:train=4,test=2,seed=1", "key `seed`: is not known here; expected train, test"),
        ("blobs:train=4,train=4,test=2", "key `train`: is given twice"),
        ("blobs:train=0,test=2", "key `train`: expected a whole number above 0, got `0`"),
        ("blobs:train=-1,test=2", "key `train`: expected a whole number above 0, got `-1`"),
        ("blobs:train,test=2", "key `train`: expected a whole number above 0, got ``"),
        (
            "teacher:inputs=99999999999999999999,outputs=1,train=1,test=1",
            "key `inputs`: expected a whole number",
        ),
    ] {
        let error = message(parse(word));
        assert!(error.contains(expected), "{word}: {error}");
    }
}

#[test]
fn sources_without_files_need_no_folder() {
    for (word, inputs, outputs, train) in [
        ("digits", 64, 10, 1437),
        ("teacher:inputs=3,outputs=2,train=5,test=4", 3, 2, 5),
        ("blobs:train=9,test=1", 784, 10, 9),
    ] {
        let source = parse(word).unwrap();
        let data = load(&source, Some(Path::new("not there")), 1).unwrap();
        assert_eq!((data.inputs, data.outputs, data.train.rows()), (inputs, outputs, train));
        assert_eq!(data.name, source.name());
        assert_eq!(data, load(&source, None, 1).unwrap());
    }
}

#[test]
fn a_source_in_files_asks_for_its_folder() {
    assert_eq!(
        message(load(&Source::Idx, None, 0)),
        "data `idx` is read from a folder and none was given; name the folder that holds its four files with \
         --data DIR"
    );
    #[cfg(not(feature = "hub"))]
    assert_eq!(
        message(load(&Source::Mnist, None, 0)),
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
        load(&Source::Blobs { train: 20, test: 10 }, None, seed).unwrap().fingerprint()
    };
    let outer = put(root.path(), 1);
    let inner = put(&root.path().join("mnist"), 2);
    // `idx` names no collection, so a folder of that name means nothing.
    fs::create_dir(root.path().join("idx")).unwrap();
    for (source, expected) in [(Source::Mnist, &inner), (Source::FashionMnist, &outer), (Source::Idx, &outer)]
    {
        let data = load(&source, Some(root.path()), 0).unwrap();
        assert_eq!(&data.fingerprint(), expected, "{source}");
        assert_eq!((data.name.as_str(), data.image), (source.name(), Some([1, 28, 28])));
    }
}
