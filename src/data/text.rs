//! Windows of a text, carried inside the program, for networks that read one symbol after another.
//!
//! Eighteen sonnets of Shakespeare; see `assets/text/README.md`.

use std::path::Path;

use super::kind::{Folder, Kind, Request, Sizes};
use super::synthetic::check;
use super::{Dataset, Split, Targets};
use crate::net::architecture_kind::SYMBOLS;
use crate::{Error, Result};

const FILE: &str = "assets/text/sonnets.txt";
const BYTES: &[u8] = include_bytes!("../../assets/text/sonnets.txt");

/// The entry of the table of data sets.
pub const KIND: Kind = Kind {
    name: "text",
    about: "windows of eighteen sonnets in 32 one-hot symbols, and the symbols that follow",
    folder: Folder::Ignored,
    sized: true,
    load: |&Request { sizes: Sizes { inputs, outputs, train, test }, .. }| load(inputs, outputs, train, test),
};

/// Symbols by number. Letters are small; `:` counts as `;`, `!` and `?` as `.`, and `-` as a space.
pub const ALPHABET: &[u8; SYMBOLS] = b" \nabcdefghijklmnopqrstuvwxyz,.;'";

/// The text as numbers of symbols, each below 32.
///
/// # Errors
/// [`Error::Content`] only if the program was built from a damaged `assets/text/sonnets.txt`.
pub fn symbols() -> Result<Vec<u8>> {
    decode(BYTES)
}

pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>> {
    // A checkout may have put carriage returns before the ends of lines.
    let bytes = text.iter().enumerate().filter(|(_, byte)| **byte != b'\r');
    let number = |(at, byte): (usize, &u8)| {
        let folded = match byte {
            b':' => b';',
            b'!' | b'?' => b'.',
            b'-' => b' ',
            other => other.to_ascii_lowercase(),
        };
        ALPHABET.iter().position(|&symbol| symbol == folded).map(|number| number as u8).ok_or_else(|| {
            let line = 1 + text.iter().take(at).filter(|&&byte| byte == b'\n').count();
            Error::content(
                Path::new(FILE),
                format!(
                    "line {line} has the byte 0x{byte:02x}, which is none of letters, spaces and `,.;:!?'-`; restore the \
                     file from version control and build again"
                ),
            )
        })
    };
    bytes.map(number).collect()
}

/// The data set `text`: windows of T = `inputs` / 32 symbols, each a one-hot vector of 32 numbers (0 and 1), stored
/// `[T, 32]`, the symbol innermost.
///
/// With `outputs` = 32 the task is classification: the class is the symbol behind the window. With `outputs` =
/// `inputs` (and T above 1) the targets are values, the window moved on by one symbol, `[T, 32]` one-hot.
///
/// Windows of the first nine tenths of the text (rounded down) are there to learn from, those of the rest to test;
/// targets stay on their side as well. Of n symbols the windows start at the positions 0 to n − T − 1. Of these n − T,
/// `train` and `test` are taken in the order of the text, window i of r at the position ⌊i (n − T) / r⌋; all of them
/// where more are asked for.
///
/// # Errors
/// [`Error::Key`] naming the size at fault: `inputs` that are no multiple of 32 or make windows longer than a part of
/// the text, `outputs` that are neither, a number of rows that is 0 or makes a half larger than 2²⁸ numbers. Those of
/// [`symbols`].
pub fn load(inputs: usize, outputs: usize, train: usize, test: usize) -> Result<Dataset> {
    let wrong = |key: &str, problem: String| {
        Err(Error::Key { place: "data source `text`".to_owned(), key: key.to_owned(), problem })
    };
    if inputs == 0 || !inputs.is_multiple_of(SYMBOLS) {
        let problem = format!(
            "{inputs} numbers are no window of one or more symbols of {SYMBOLS} numbers each; give a multiple of {SYMBOLS}"
        );
        return wrong("inputs", problem);
    }
    if outputs != SYMBOLS && outputs != inputs {
        let problem = format!(
            "{outputs} numbers are neither the symbol behind a window nor one for each symbol in it; give {SYMBOLS} or \
             {inputs}"
        );
        return wrong("outputs", problem);
    }
    let window = inputs / SYMBOLS;
    let text = symbols()?;
    let (first, rest) = text.split_at(text.len() * 9 / 10);
    let longest = first.len().min(rest.len()).saturating_sub(1);
    if window > longest {
        let problem = format!(
            "windows of {window} symbols are longer than the {longest} that a part of the text has room for; give at most \
             {}",
            longest * SYMBOLS
        );
        return wrong("inputs", problem);
    }
    let half = |key: &str, part: &[u8], asked: usize| {
        let windows = part.len() - window;
        let rows = asked.min(windows);
        check("text", key, rows, inputs + outputs)?;
        let starts = (0..rows).map(|row| row * windows / rows);
        let x = starts.clone().flat_map(|start| one_hot(&part[start..start + window])).collect();
        let targets = if outputs == SYMBOLS {
            Targets::Classes(starts.map(|start| part[start + window].into()).collect())
        } else {
            Targets::Values(starts.flat_map(|start| one_hot(&part[start + 1..=start + window])).collect())
        };
        Split::new(inputs, outputs, x, targets)
    };
    Dataset::new("text", None, half("train", first, train)?, half("test", rest, test)?)
}

fn one_hot(symbols: &[u8]) -> impl Iterator<Item = f32> + '_ {
    let row = |&symbol: &u8| (0..ALPHABET.len()).map(move |i| f32::from(u8::from(i == usize::from(symbol))));
    symbols.iter().flat_map(row)
}
