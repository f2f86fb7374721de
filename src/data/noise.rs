//! Inputs and targets without any relation.

use super::kind::{Folder, Kind, Request, Sizes};
use super::{Dataset, Split, Targets};
use crate::Result;

/// The entry of the table of data sets.
pub const KIND: Kind = Kind {
    name: "noise",
    about: "inputs and targets without any relation",
    folder: Folder::Ignored,
    sized: true,
    load,
};

fn load(request: &Request<'_>) -> Result<Dataset> {
    let Sizes { inputs, outputs, train, test } = request.sizes;
    let half = |rows: usize, index| {
        let mut rng = super::rng::stream(request.seed, super::rng::Purpose::TeacherInputs, index);
        let mut numbers = |n: usize| -> Vec<f32> {
            super::rng::normals(&mut rng, n).into_iter().map(|x| x as f32).collect()
        };
        let (x, y) = (numbers(rows * inputs), numbers(rows * outputs));
        Split::new(inputs, outputs, x, Targets::Values(y))
    };
    Dataset::new("noise", None, half(train, 0)?, half(test, 1)?)
}
