//! Oracles: the text itself, read as a string; and the positions that the documentation states.

use std::path::Path;

use super::message;
use crate::data::text::{decode, load, symbols, ALPHABET};
use crate::data::{Kind, Request, Sizes, Split, Targets};

/// One-hot rows of 32 back as letters; each row must be one 1 and 31 zeros.
fn letters(values: &[f32]) -> String {
    let letter = |row: &[f32]| {
        let ones: Vec<usize> = (0..32).filter(|&i| row[i] == 1.0).collect();
        assert!(ones.len() == 1 && row.iter().filter(|&&value| value == 0.0).count() == 31, "{row:?}");
        char::from(ALPHABET[ones[0]])
    };
    assert_eq!(values.len() % 32, 0);
    values.chunks(32).map(letter).collect()
}

/// Windows with what should be answered to each.
fn pairs(split: &Split) -> Vec<(String, String)> {
    let windows = split.x().chunks(split.inputs()).map(letters);
    let answers: Vec<String> = match split.targets() {
        Targets::Classes(classes) => {
            classes.iter().map(|&c| char::from(ALPHABET[c as usize]).into()).collect()
        }
        Targets::Values(values) => values.chunks(split.outputs()).map(letters).collect(),
    };
    assert_eq!(split.rows(), answers.len());
    windows.zip(answers).collect()
}

/// The whole text with 32 symbols, by other means than the loader's.
fn text() -> String {
    let raw = include_str!("../../../assets/text/sonnets.txt").to_lowercase();
    raw.replace(':', ";").replace(['!', '?'], ".").replace('-', " ")
}

#[test]
fn the_text_is_eighteen_sonnets_of_all_the_symbols() {
    let text = text();
    let sonnets: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(sonnets.len(), 18);
    assert!(sonnets.iter().all(|sonnet| sonnet.lines().count() == 14));
    assert!(text.starts_with("from fairest creatures we desire increase,\n"));
    assert!(sonnets[4]
        .starts_with("shall i compare thee to a summer's day.\nthou art more lovely and more temperate;\n"));
    assert!(text
        .ends_with("\nand yet, by heaven, i think my love as rare\nas any she belied with false compare.\n"));
    let found: String =
        symbols().unwrap().into_iter().map(|i| char::from(ALPHABET[usize::from(i)])).collect();
    assert_eq!(found, text);
    assert!(ALPHABET.iter().all(|&symbol| text.contains(char::from(symbol))));
}

#[test]
fn symbols_are_folded_and_others_refused() {
    let folded = decode(b"A z-Z:;!?.,'\r\n").unwrap();
    let expected =
        "a z z;;...,'\n".bytes().map(|byte| ALPHABET.iter().position(|&b| b == byte).unwrap() as u8);
    assert_eq!(folded, expected.collect::<Vec<u8>>());
    assert_eq!(decode(b" \nabyz,.;'").unwrap(), [0, 1, 2, 3, 26, 27, 28, 29, 30, 31]);
    for (bytes, line, byte) in
        [(&b"one\ntwo3"[..], 2, "0x33"), (b"\xc3\xa9", 1, "0xc3"), (b"\n\n\t", 3, "0x09")]
    {
        assert_eq!(
            message(decode(bytes)),
            format!(
                "assets/text/sonnets.txt: line {line} has the byte {byte}, which is none of letters, spaces and \
                 `,.;:!?'-`; restore the file from version control and build again"
            )
        );
    }
}

/// Every window there is, in the order of the text, and none that looks over the cut at nine tenths.
#[test]
fn windows_start_at_every_position() {
    let text = text();
    let (first, rest) = text.split_at(9967);
    assert_eq!(text.len(), 11_075);
    for window in [1, 2, 7, 40] {
        let data = load(32 * window, 32, usize::MAX, usize::MAX).unwrap();
        assert_eq!(
            (data.name.as_str(), data.inputs, data.outputs, data.image),
            ("text", 32 * window, 32, None)
        );
        for (split, part) in [(&data.train, first), (&data.test, rest)] {
            let expected = (0..part.len() - window)
                .map(|at| (part[at..at + window].to_owned(), part[at + window..=at + window].to_owned()));
            assert_eq!(split.rows(), part.len() - window);
            assert!(pairs(split).into_iter().eq(expected), "{window}");
        }
    }
}

#[test]
fn shifted_windows_answer_symbol_by_symbol() {
    let data = load(32 * 10, 32 * 10, 4, 2).unwrap();
    assert!(!data.has_classes());
    assert_eq!((data.outputs, data.train.rows(), data.test.rows()), (320, 4, 2));
    assert_eq!(pairs(&data.train)[0], ("from faire".to_owned(), "rom faires".to_owned()));
    let text = text();
    // 9,957 windows to learn from and 1,098 to test: a quarter and a half of them apart, rounded down.
    let at = |start: usize| (text[start..start + 10].to_owned(), text[start + 1..start + 11].to_owned());
    assert_eq!(pairs(&data.train), [0, 2489, 4978, 7467].map(at));
    assert_eq!(pairs(&data.test), [9967, 9967 + 549].map(at));
}

/// A window of one symbol has one answer, whichever way it is asked for: its class.
#[test]
fn rows_are_spread_over_the_text() {
    let data = load(32, 32, 9966, 3).unwrap();
    assert!(data.has_classes());
    assert_eq!((data.train.rows(), data.test.rows()), (9966, 3));
    let text = text();
    let at = |start: usize| (text[start..=start].to_owned(), text[start + 1..start + 2].to_owned());
    assert_eq!(pairs(&data.test), [9967, 9967 + 369, 9967 + 738].map(at));
    assert_eq!(pairs(&load(32, 32, 3, 1).unwrap().train), [0, 3322, 6644].map(at));
    // The longest windows: one fits before the last symbol.
    let long = load(32 * 1107, 32, 2, 5).unwrap();
    assert_eq!(pairs(&long.test), [(text[9967..11_074].to_owned(), "\n".to_owned())]);
    assert_eq!(long.train.rows(), 2);
}

#[test]
fn sizes_that_make_no_windows_are_refused() {
    for (sizes, expected) in [
        ([0, 32, 1, 1], "key `inputs`: 0 numbers are no window of one or more symbols of 32 numbers each; give a multiple of 32"),
        ([100, 32, 1, 1], "key `inputs`: 100 numbers are no window"),
        ([usize::MAX, 32, 1, 1], "key `inputs`: 18446744073709551615 numbers are no window"),
        (
            [64, 33, 1, 1],
            "key `outputs`: 33 numbers are neither the symbol behind a window nor one for each symbol in it; give 32 or 64",
        ),
        ([64, 0, 1, 1], "key `outputs`: 0 numbers"),
        (
            [32 * 1108, 32, 1, 1],
            "key `inputs`: windows of 1108 symbols are longer than the 1107 that a part of the text has room for; give at \
             most 35424",
        ),
        ([usize::MAX - 31, usize::MAX - 31, 1, 1], "key `inputs`: windows of 576460752303423487 symbols"),
        ([64, 32, 0, 1], "key `train`: expected a whole number above 0, got 0"),
        ([64, 64, 1, 0], "key `test`: expected a whole number above 0, got 0"),
        ([32 * 1107, 32 * 1107, 8860, 1], "key `train`: 8860 times 70848 numbers are more than the 268435456"),
    ] {
        let [inputs, outputs, train, test] = sizes;
        let error = message(load(inputs, outputs, train, test));
        assert!(error.starts_with(&format!("data source `text`: {expected}")), "{error}");
    }
}

#[test]
fn the_kind_takes_the_sizes_it_is_asked_for_and_no_folder() {
    let sizes = Sizes { inputs: 96, outputs: 32, train: 20, test: 5 };
    let kind = Kind::of("text").unwrap();
    assert!(kind.sized);
    let load_it = |seed| (kind.load)(&Request { folder: Some(Path::new("not there")), seed, sizes }).unwrap();
    assert_eq!(load_it(1), load(96, 32, 20, 5).unwrap());
    assert_eq!(load_it(1), load_it(2));
}
