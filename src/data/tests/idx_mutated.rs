//! Whatever the bytes, the reader answers with data or with an error; it never panics.

use std::fs;

use proptest::prelude::*;

use super::writer;
use crate::data::idx::load;

/// One way to damage a file.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    // Half of the damage goes to the first 16 bytes, where the sizes are.
    prop_oneof![
        3 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        1 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

pub(super) fn apply(bytes: &mut Vec<u8>, damages: &[Damage], header: bool) {
    for damage in damages {
        let places = if header { bytes.len().min(16) } else { bytes.len() };
        match damage {
            Damage::Set(at, byte) if places > 0 => bytes[at.index(places)] = *byte,
            Damage::Set(..) => {}
            Damage::Cut(at) => bytes.truncate(at.index(places + 1)),
            Damage::Insert(at, new) => {
                let at = at.index(places + 1);
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        file in 0usize..4,
        packed: bool,
        before in prop::collection::vec(damage(), 0..4),
        after in prop::collection::vec(damage(), 0..3),
        header: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
        ];
        writer::half(dir.path(), "train", 3, &[100; 45], &[0, 1, 2, 3, 4]).unwrap();
        writer::half(dir.path(), "t10k", 3, &[200; 27], &[7, 8, 9]).unwrap();
        let path = dir.path().join(names[file]);
        let mut bytes = fs::read(&path).unwrap();
        apply(&mut bytes, &before, header);
        if packed {
            bytes = writer::gzip(&bytes);
            apply(&mut bytes, &after, header);
        }
        fs::write(&path, bytes).unwrap();

        match load(dir.path(), "x") {
            Ok(data) => {
                prop_assert_eq!((data.inputs, data.outputs), (9, 10));
                prop_assert_eq!((data.train.rows(), data.test.rows()), (5, 3));
                prop_assert!(data.train.x().iter().all(|x| (-1.0..=1.0).contains(x)));
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains("-ubyte"), "{}", text);
                prop_assert!(!text.contains('\n'), "{}", text);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), gzip: bool) {
        let dir = tempfile::tempdir().unwrap();
        writer::half(dir.path(), "train", 1, &[1], &[1]).unwrap();
        writer::half(dir.path(), "t10k", 1, &[1], &[1]).unwrap();
        let start: &[u8] = if gzip { &[0x1f, 0x8b, 8] } else { &[0, 0, 8, 3] };
        fs::write(dir.path().join("train-images-idx3-ubyte"), [start, &bytes].concat()).unwrap();
        let _ = load(dir.path(), "x");
    }
}
