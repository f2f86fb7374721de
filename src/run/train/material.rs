//! The parts of a data set that a training run reads.

use crate::data::{Augment, Batches, Brightness, Dataset, Split};
use crate::suite::{Point, Training};
use crate::{Error, Result};

/// What black is in every collection of images: the value around an image before a crop.
const BLACK: f32 = -1.0;

/// Rows to learn from, rows to choose by, and rows to judge by.
#[derive(Debug)]
pub(super) struct Material<'a> {
    /// The rows left to learn from, where others are kept apart.
    apart: Option<(Split, Split)>,
    data: &'a Dataset,
    /// Which rows a batch has, crops and flips.
    seed: u64,
    batch: usize,
    pub(super) augment: Option<Augment>,
    pub(super) brightness: Option<Brightness>,
}

/// Refuses what no run on these data could do, without a copy of them.
pub(in crate::run) fn check(
    data: &Dataset,
    training: &Training,
    point: &Point,
) -> std::result::Result<(), (&'static str, String)> {
    let (all, apart) = (data.train.rows(), training.validation_rows(data.train.rows()));
    let left = all.saturating_sub(apart);
    if left == 0 || point.batch > left {
        let problem = format!(
            "{apart} of the {all} training rows of {} leave {left} to learn from, fewer than a batch of {}; give a smaller number or \
             share",
            data.name, point.batch
        );
        return Err(("validation", problem));
    }
    if let Some(Err(e)) = training.brightness.map(|own| own.check(&data.name, data.image)) {
        return Err(("brightness", e.to_string()));
    }
    let crops = (training.padding > 0 || training.flip).then(|| augment(data, training));
    crops.transpose().map(drop).map_err(|e| ("padding", e.to_string()))
}

fn augment(data: &Dataset, training: &Training) -> Result<Augment> {
    let image = data.image.ok_or_else(|| {
        Error::Invalid(format!("data `{}` are no images, which padding and flip are of", data.name))
    })?;
    Augment::new(image, training.padding, BLACK, training.flip)
}

impl<'a> Material<'a> {
    pub(super) fn new(data: &'a Dataset, training: &Training, point: &Point, seed: u64) -> Result<Self> {
        let rows = training.validation_rows(data.train.rows());
        let apart = (rows > 0).then(|| data.split_validation(rows, seed));
        let changes = training.padding > 0 || training.flip;
        let augment = changes.then(|| augment(data, training));
        let (apart, augment) = (apart.transpose()?, augment.transpose()?);
        let material =
            Self { apart, data, seed, batch: point.batch, augment, brightness: training.brightness };
        material.batches()?;
        Ok(material)
    }

    pub(super) fn train(&self) -> &Split {
        self.apart.as_ref().map_or(&self.data.train, |(train, _)| train)
    }

    pub(super) fn validation(&self) -> Option<&Split> {
        self.apart.as_ref().map(|(_, validation)| validation)
    }

    pub(super) fn test(&self) -> &Split {
        &self.data.test
    }

    /// Batches of the run, in their order.
    pub(super) fn batches(&self) -> Result<Batches<'_>> {
        Batches::new(self.train(), self.batch, self.seed)
    }

    /// Of crops and flips.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}
