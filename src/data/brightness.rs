//! Another scale for the brightness of images than −1 to 1.

use super::Batch;
use crate::{Error, Result};

/// Channels at most.
const CHANNELS: usize = 3;

/// What the brightness of images becomes: `(p − mean) / deviation` for `p` in [0, 1], of every channel with its own numbers.
///
/// Images come as `(p − 0.5) / 0.5`; recipes often take the mean and the standard deviation of the training images instead, which are
/// 0.1307 and 0.3081 for MNIST.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brightness {
    channels: usize,
    mean: [f32; CHANNELS],
    deviation: [f32; CHANNELS],
}

impl Brightness {
    /// With one mean and one deviation for each channel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if these are not one or three numbers each, a mean is not within 0 and 1 or a deviation not above 0 and at most 1.
    pub fn new(mean: &[f64], deviation: &[f64]) -> Result<Self> {
        let wrong = |problem: String| Err(Error::Invalid(problem));
        if mean.len() != deviation.len() || ![1, CHANNELS].contains(&mean.len()) {
            return wrong(format!(
                "{} means and {} deviations; give one of each for grey images, or three for red, green and blue",
                mean.len(),
                deviation.len()
            ));
        }
        if let Some(mean) = mean.iter().find(|&mean| !(0.0..=1.0).contains(mean)) {
            return wrong(format!("a mean is {mean}; brightness is from 0 to 1"));
        }
        if let Some(own) = deviation.iter().find(|&&own| !(1e-3..=1.0).contains(&own)) {
            return wrong(format!("a deviation is {own}; give one from 0.001 to 1"));
        }
        let three = |own: &[f64]| std::array::from_fn(|c| own.get(c).map_or(0.0, |&own| own as f32));
        Ok(Self { channels: mean.len(), mean: three(mean), deviation: three(deviation) })
    }

    /// Refuses images `[channels, height, width]` of another number of channels, and examples that are no images.
    ///
    /// # Errors
    /// [`Error::Invalid`] saying which of the two.
    pub fn check(&self, name: &str, image: Option<[usize; 3]>) -> Result<()> {
        match image {
            Some([channels, ..]) if channels == self.channels => Ok(()),
            Some([channels, ..]) => Err(Error::Invalid(format!(
                "there are {} means and deviations of brightness, and images of data `{name}` have {channels} channels; give one \
                 number for each channel",
                self.channels
            ))),
            None => Err(Error::Invalid(format!("data `{name}` are no images, which brightness is of"))),
        }
    }

    /// Changes the images of a batch in place; their channels stand one after another.
    pub fn apply(&self, batch: &mut Batch) {
        let size = (batch.inputs / self.channels).max(1);
        for (place, channel) in batch.x.chunks_mut(size).enumerate() {
            let c = place % self.channels;
            let (mean, deviation) = (self.mean[c], self.deviation[c]);
            channel.iter_mut().for_each(|x| *x = (0.5 * *x + 0.5 - mean) / deviation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(x: &[f32], inputs: usize, mean: &[f64], deviation: &[f64]) -> Vec<f32> {
        let rows = x.len() / inputs;
        let targets = super::super::Targets::Classes(vec![0; rows]);
        let split = super::super::Split::new(inputs, 1, x.to_vec(), targets).unwrap();
        let mut batch = split.in_order(rows).next().unwrap();
        Brightness::new(mean, deviation).unwrap().apply(&mut batch);
        batch.x
    }

    /// Black is 0 and white 1 before the mean is taken off; every channel of every image has its own numbers.
    #[test]
    fn black_and_white_are_where_the_formula_says() {
        let close = |found: Vec<f32>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len());
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((f64::from(*found) - wanted).abs() < 1e-5, "{found} {wanted}");
            }
        };
        let grey = changed(&[-1.0, 1.0, 0.0, 1.0], 2, &[0.1307], &[0.3081]);
        close(grey, &[-0.1307 / 0.3081, 0.8693 / 0.3081, 0.3693 / 0.3081, 0.8693 / 0.3081]);
        let colour = changed(&[1.0; 12], 6, &[0.0, 0.5, 1.0], &[0.5, 0.25, 1.0]);
        close(colour, &[2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0, 0.0, 0.0]);
        let numbers = [-1.0, -0.25, 0.5, 1.0];
        close(changed(&numbers, 4, &[0.5], &[0.5]), &[-1.0, -0.25, 0.5, 1.0]);
    }

    #[test]
    fn numbers_that_are_no_brightness_are_refused() {
        let message =
            |mean: &[f64], deviation: &[f64]| Brightness::new(mean, deviation).unwrap_err().to_string();
        assert!(message(&[0.1], &[0.1, 0.2]).contains("1 means and 2 deviations"));
        assert!(message(&[0.1; 2], &[0.1; 2]).contains("give one of each for grey images"));
        assert!(message(&[-0.1], &[0.1]).contains("a mean is -0.1"));
        assert!(message(&[0.1], &[0.0]).contains("a deviation is 0"));
        let grey = Brightness::new(&[0.1], &[0.1]).unwrap();
        assert!(grey.check("mnist", Some([1, 28, 28])).is_ok());
        assert!(grey.check("cifar", Some([3, 32, 32])).unwrap_err().to_string().contains("have 3 channels"));
        assert!(grey.check("text", None).unwrap_err().to_string().contains("no images"));
    }
}
