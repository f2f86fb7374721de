//! Whatever the bytes, the reader answers with data or with an error, and with the right one of them.

use std::fs;

use proptest::prelude::*;

use super::cifar::{hundred, record, ten};
use super::idx_mutated::{apply, damage};
use super::writer;
use crate::data::cifar::load;

/// Whether records of these labels make up the whole of `bytes`.
fn good(bytes: &[u8], ranges: &[u8]) -> bool {
    let record = ranges.len() + 3072;
    let fits = |record: &[u8]| record.iter().zip(ranges).all(|(label, range)| label < range);
    !bytes.is_empty() && bytes.len().is_multiple_of(record) && bytes.chunks(record).all(fits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_are_read_or_refused(
        hundred_classes: bool,
        test: bool,
        packed: bool,
        before in prop::collection::vec(damage(), 0..4),
        after in prop::collection::vec(damage(), 0..3),
        header: bool,
    ) {
        let (dir, ranges, outputs, names): (_, &[u8], _, _) = match hundred_classes {
            true => (hundred(), &[20, 100], 100, ["train.bin", "test.bin"]),
            false => (ten(), &[10], 10, ["data_batch_1.bin", "test_batch.bin"]),
        };
        let path = dir.path().join(names[usize::from(test)]);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(record(&ranges.iter().map(|range| range - 1).collect::<Vec<_>>(), [9; 3]));
        apply(&mut bytes, &before, header);
        // A plain file that looks like gzip is another matter.
        let mut expected = (!bytes.starts_with(&[0x1f, 0x8b])).then(|| good(&bytes, ranges));
        if packed {
            bytes = writer::gzip(&bytes);
            apply(&mut bytes, &after, header);
            expected = expected.filter(|_| after.is_empty());
        }
        fs::write(&path, bytes).unwrap();

        let outcome = load(dir.path());
        prop_assert!(expected.is_none_or(|expected| expected == outcome.is_ok()), "{:?}", outcome.err());
        match outcome {
            Ok(data) => {
                prop_assert_eq!((data.inputs, data.outputs), (3072, outputs));
                prop_assert!(data.train.x().iter().all(|x| (-1.0..=1.0).contains(x)));
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.starts_with(&path.display().to_string()), "{}", text);
                prop_assert!(!text.contains('\n'), "{}", text);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), gzip: bool) {
        let dir = ten();
        let start: &[u8] = if gzip { &[0x1f, 0x8b, 8] } else { &[] };
        fs::write(dir.path().join("test_batch.bin"), [start, &bytes].concat()).unwrap();
        prop_assert!(load(dir.path()).is_err());
    }
}
