//! MNIST and Fashion-MNIST fetched through `candle-datasets` (feature `hub`).
//!
//! **The download itself has not been verified**: this module is compiled and its conversion is tested, but
//! no test reaches the network. Where a result matters, prefer a folder ([`super::idx`]), and compare
//! [`Dataset::fingerprint`].

use candle_core::{DType, Tensor};
use candle_datasets::vision;

use super::{Dataset, Images};
use crate::{Error, Result};

/// Fetches `mnist` or `fashion-mnist`, or takes it from the cache of an earlier download.
///
/// The files come from the Hugging Face Hub (`ylecun/mnist`, `zalando-datasets/fashion_mnist`) at no fixed
/// revision, and `candle-datasets` 0.11.1 panics on an image that it cannot decode.
///
/// # Errors
/// [`Error::Invalid`] if `name` is neither of the two, if the download fails or if what came is not a
/// collection of grey 28×28 images in ten classes.
pub fn load(name: &str) -> Result<Dataset> {
    let fetched = match name {
        "mnist" => vision::mnist::load(),
        "fashion-mnist" => vision::fashion_mnist::load(),
        other => {
            return Err(Error::Invalid(format!(
                "data `{other}` cannot be fetched; only `mnist` and `fashion-mnist` can"
            )))
        }
    };
    fetched.map_err(|e| e.to_string()).and_then(|set| convert(name, &set).map_err(|e| e.to_string())).map_err(
        |reason| {
            Error::Invalid(format!(
                "data `{name}` could not be fetched ({reason}); name a folder that holds its four files with \
                 --data DIR instead"
            ))
        },
    )
}

fn convert(name: &str, set: &vision::Dataset) -> Result<Dataset> {
    let train = images(&set.train_images, &set.train_labels)?;
    let test = images(&set.test_images, &set.test_labels)?;
    Images::dataset(name, &train, &test)
}

/// Back to bytes: `candle-datasets` divides by 255 in its own way, and every source here must scale a pixel
/// to the same bits.
fn images(pixels: &Tensor, labels: &Tensor) -> Result<Images> {
    const SIDE: usize = 28;
    let (_, inputs) = pixels.dims2()?;
    if inputs != SIDE * SIDE {
        return Err(Error::Shape {
            what: "one image".to_owned(),
            expected: vec![SIDE, SIDE],
            got: vec![inputs],
        });
    }
    let pixels = pixels.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let pixels = pixels.into_iter().map(|value| (value * 255.0).round() as u8).collect();
    let labels = labels.to_dtype(DType::U8)?.to_vec1::<u8>()?;
    Ok(Images::grey(SIDE, SIDE, pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::synthetic;
    use candle_core::Device;

    /// Whatever way a pixel took, it ends as the same number.
    #[test]
    fn conversion_restores_the_bytes() -> Result<()> {
        let (train, test) = synthetic::images(20, 10, 3)?;
        let tensors = |images: &Images| -> Result<(Tensor, Tensor)> {
            let count = images.labels.len();
            let pixels = Tensor::from_vec(images.pixels.clone(), (count, 784), &Device::Cpu)?;
            Ok((
                (pixels.to_dtype(DType::F32)? / 255.)?,
                Tensor::from_vec(images.labels.clone(), count, &Device::Cpu)?,
            ))
        };
        let ((train_images, train_labels), (test_images, test_labels)) = (tensors(&train)?, tensors(&test)?);
        let set = vision::Dataset { train_images, train_labels, test_images, test_labels, labels: 10 };
        assert_eq!(convert("mnist", &set)?, Images::dataset("mnist", &train, &test)?);
        Ok(())
    }

    #[test]
    fn other_names_are_not_fetched() {
        let error = load("digits").unwrap_err().to_string();
        assert!(error.contains("`digits` cannot be fetched"), "{error}");
    }
}
