//! Oracles: the documented recipe computed by an independent program, and the moments it promises.

use approx::assert_relative_eq;

use super::message;
use crate::data::rng::{normals, stream, Purpose};
use crate::data::synthetic::{colour_blobs, colour_images, images, TeacherStudent};
use crate::data::{Dataset, Images, Kind, Request, Sizes, Split, Targets};

fn teacher(inputs: usize, outputs: usize, train: usize, test: usize, seed: u64) -> Dataset {
    TeacherStudent { inputs, outputs, train, test, seed }.generate().unwrap()
}

fn values(split: &Split) -> &[f32] {
    match split.targets() {
        Targets::Values(values) => values,
        Targets::Classes(_) => panic!("a teacher answers in real numbers"),
    }
}

/// ChaCha8 and Box–Muller written a second time, in another language; only the last bit of `ln` may differ.
#[test]
fn normal_numbers_follow_the_documented_recipe() {
    let expected = [0.4309657467025958, 0.5680716566188916, -0.41389959389230563, -0.2977242428888795];
    for (got, expected) in normals(&mut stream(7, Purpose::TeacherInputs, 0), 4).into_iter().zip(expected) {
        assert_relative_eq!(got, expected, max_relative = 1e-14);
    }
}

#[test]
fn normal_numbers_have_the_moments_of_a_normal() {
    let n = 100_000;
    let draws = normals(&mut stream(1, Purpose::TeacherInputs, 0), n);
    let moment = |k: i32| draws.iter().map(|v| v.powi(k)).sum::<f64>() / n as f64;
    // Five standard errors of each mean: √(E[z²ᵏ] − E[zᵏ]²) / √n.
    let bound = |variance: f64| 5.0 * (variance / n as f64).sqrt();
    assert!(moment(1).abs() < bound(1.0));
    assert!((moment(2) - 1.0).abs() < bound(2.0));
    assert!(moment(3).abs() < bound(15.0));
    assert!((moment(4) - 3.0).abs() < bound(96.0));
}

/// The whole generator, sizes 3 → 2 with seed 5, computed a second time in another language.
#[test]
fn the_teacher_answers_as_documented() {
    let data = teacher(3, 2, 2, 2, 5);
    let train_x = [-0.020342626, -1.7007631, -0.70295846, 0.09812745, 0.3047337, -1.0225037];
    let train_y = [0.11126465, 1.7002456, 0.40739068, 1.0240149];
    let test_x = [0.6630874, 1.549528, 0.78908771, 1.2692416, 0.8735854, 0.47326732];
    let test_y = [-0.17951608, -1.8041213, -0.17164345, -1.2386405];
    for (got, expected) in [
        (data.train.x(), &train_x[..]),
        (values(&data.train), &train_y),
        (data.test.x(), &test_x),
        (values(&data.test), &test_y),
    ] {
        assert_eq!(got.len(), expected.len());
        for (&got, &expected) in got.iter().zip(expected) {
            assert_relative_eq!(f64::from(got), expected, max_relative = 1e-6);
        }
    }
}

/// E[tanh²(N(0,1))] = 0.3943 by quadrature; 200 outputs of one teacher average it well enough for ±10 %.
#[test]
fn targets_have_the_promised_variance() {
    let data = teacher(50, 200, 2000, 1, 9);
    let y = values(&data.train);
    let mean = y.iter().map(|&v| f64::from(v)).sum::<f64>() / y.len() as f64;
    let square = y.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / y.len() as f64;
    assert!(mean.abs() < 0.01, "{mean}");
    assert_relative_eq!(square, 0.3943, max_relative = 0.1);
}

#[test]
fn more_rows_leave_the_rest_as_it_was() {
    let (small, large) = (teacher(3, 2, 4, 4, 1), teacher(3, 2, 9, 4, 1));
    assert_eq!(small.test, large.test);
    assert_eq!(small.train.x(), &large.train.x()[..12]);
    assert_eq!(values(&small.train), &values(&large.train)[..8]);
    assert_ne!(small.train.x(), small.test.x());
    assert_ne!(small, teacher(3, 2, 4, 4, 2));
    assert_eq!(small, teacher(3, 2, 4, 4, 1));
}

#[test]
fn impossible_sizes_are_refused_before_anything_is_made() {
    for (sizes, expected) in [
        ([0, 1, 1, 1], "data source `teacher`: key `inputs`: expected a whole number above 0, got 0"),
        ([1, 0, 1, 1], "key `outputs`: expected a whole number above 0, got 0"),
        ([1, 1, 0, 1], "key `train`: expected a whole number above 0, got 0"),
        ([1, 1, 1, 0], "key `test`: expected a whole number above 0, got 0"),
        ([usize::MAX, 1, 1, 1], "key `inputs`: 18446744073709551615 times 64 numbers are more than"),
        ([1, usize::MAX, 1, 1], "key `outputs`"),
        ([1, 1, usize::MAX, 1], "key `train`"),
        ([1000, 1000, 1, 134_218], "key `test`: 134218 times 2000 numbers are more than the 268435456"),
    ] {
        let [inputs, outputs, train, test] = sizes;
        let error = message(TeacherStudent { inputs, outputs, train, test, seed: 0 }.generate());
        assert!(error.contains(expected), "{error}");
    }
    assert!(message(images(0, 1, 0)).contains("data source `blobs`: key `train`"));
    assert!(message(images(1, usize::MAX, 0)).contains("key `test`"));
    assert!(message(colour_images(0, 1, 0)).contains("data source `colour-blobs`: key `train`"));
    assert!(
        message(colour_images(1, (1 << 28) / 3072 + 1, 0)).contains("key `test`: 87382 times 3072 numbers")
    );
}

#[test]
fn images_are_smooth_balanced_and_seeded() {
    let (train, test) = images(50, 20, 4).unwrap();
    assert_eq!((train.shape, train.classes, train.pixels.len()), ([1, 28, 28], 10, 50 * 784));
    assert_eq!(train.labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    assert_eq!(images(50, 20, 4).unwrap(), (train.clone(), test.clone()));
    assert_eq!(images(60, 20, 4).unwrap().1, test);
    assert_ne!(images(50, 20, 5).unwrap().0, train);
    assert_ne!(train.pixels[..20 * 784], test.pixels);
    let bright = train.pixels.iter().filter(|&&pixel| pixel > 128).count();
    assert!(bright > 0 && bright < train.pixels.len() / 2, "{bright} bright pixels");
    // Noise alone would put neighbours 0.05·√(2/π)·√2 ≈ 0.06 apart, 14 of 255; pictures add a slope.
    let steps = train.pixels.chunks(28).flat_map(|row| row.windows(2));
    let mean = steps.clone().map(|w| f64::from(w[0].abs_diff(w[1]))).sum::<f64>() / steps.count() as f64;
    assert!(mean < 25.0, "{mean}");
}

/// The recipe computed a second time in another language: some bytes, and sums that every byte goes into.
#[test]
fn colour_images_follow_the_documented_recipe() {
    let (train, test) = colour_images(12, 2, 3).unwrap();
    assert_eq!((train.shape, train.classes), ([3, 32, 32], 10));
    assert_eq!((train.pixels.len(), test.pixels.len()), (12 * 3072, 2 * 3072));
    assert_eq!(
        (&train.labels[..], &test.labels[..]),
        (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1][..], &[0, 1][..])
    );
    let places = [0, 500, 527, 528, 1400, 1500, 1552, 2500, 2576, 2600, 3071];
    for (images, i, bytes, sum, weighted) in [
        (&train, 0, [0, 57, 63, 44, 11, 0, 67, 0, 33, 39, 0], 132_489, 216_306_433),
        (&train, 11, [12, 118, 17, 34, 233, 58, 4, 27, 19, 1, 12], 74_851, 120_293_776),
        (&test, 0, [18, 66, 88, 82, 0, 20, 106, 0, 59, 62, 0], 150_595, 244_127_716),
        (&test, 1, [10, 119, 30, 3, 137, 9, 34, 0, 18, 0, 6], 60_861, 98_841_201),
    ] {
        let image = &images.pixels[i * 3072..][..3072];
        assert_eq!(places.map(|place| image[place]), bytes);
        assert_eq!(image.iter().map(|&byte| u64::from(byte)).sum::<u64>(), sum);
        assert_eq!((0..).zip(image).map(|(k, &byte)| k * u64::from(byte)).sum::<u64>(), weighted);
    }
    assert_eq!(colour_images(20, 2, 3).unwrap().1, test);
    assert_ne!(colour_images(12, 2, 4).unwrap().0, train);
}

#[test]
fn colour_blobs_are_of_the_shape_of_cifar() {
    let sizes = Sizes { inputs: 1, outputs: 1, train: 1, test: 1 };
    let load =
        |seed| (Kind::of("colour-blobs").unwrap().load)(&Request { folder: None, seed, sizes }).unwrap();
    let data = load(5);
    assert_eq!((data.name.as_str(), data.image, data.outputs), ("colour-blobs", Some([3, 32, 32]), 10));
    assert_eq!((data.train.rows(), data.test.rows()), (2000, 500));
    assert_eq!(data, colour_blobs(2000, 500, 5).unwrap());
    assert_ne!(data.train.x()[..3072], load(6).train.x()[..3072]);
}

/// A test image is nearest to the mean training image of its own class: there is something to learn.
#[test]
fn classes_can_be_told_apart() {
    for (train, test) in [images(500, 200, 11).unwrap(), colour_images(500, 200, 11).unwrap()] {
        let right = nearest_to_their_means(&train, &test);
        assert!(right > 180, "{right} of 200");
    }
}

fn nearest_to_their_means(train: &Images, test: &Images) -> usize {
    let numbers = train.shape.iter().product();
    let mut means = vec![vec![0.0; numbers]; 10];
    for (image, &label) in train.pixels.chunks(numbers).zip(&train.labels) {
        means[usize::from(label)].iter_mut().zip(image).for_each(|(mean, &p)| *mean += f64::from(p) / 50.0);
    }
    let distance = |image: &[u8], mean: &[f64]| -> f64 {
        image.iter().zip(mean).map(|(&p, m)| (f64::from(p) - m).powi(2)).sum()
    };
    let right = test.pixels.chunks(numbers).zip(&test.labels).filter(|&(image, &label)| {
        let nearest =
            (0..10).min_by(|&a, &b| distance(image, &means[a]).total_cmp(&distance(image, &means[b])));
        nearest == Some(usize::from(label))
    });
    right.count()
}
