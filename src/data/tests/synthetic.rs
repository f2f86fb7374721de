//! Oracles: the documented recipe computed by an independent program, and the moments it promises.

use approx::assert_relative_eq;

use super::message;
use crate::data::rng::{normals, stream, Purpose};
use crate::data::synthetic::{images, TeacherStudent};
use crate::data::{Dataset, Split, Targets};

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

/// A test image is nearest to the mean training image of its own class: there is something to learn.
#[test]
fn classes_can_be_told_apart() {
    let (train, test) = images(500, 200, 11).unwrap();
    let mut means = vec![vec![0.0; 784]; 10];
    for (image, &label) in train.pixels.chunks(784).zip(&train.labels) {
        means[usize::from(label)].iter_mut().zip(image).for_each(|(mean, &p)| *mean += f64::from(p) / 50.0);
    }
    let distance = |image: &[u8], mean: &[f64]| -> f64 {
        image.iter().zip(mean).map(|(&p, m)| (f64::from(p) - m).powi(2)).sum()
    };
    let right = test.pixels.chunks(784).zip(&test.labels).filter(|&(image, &label)| {
        let nearest =
            (0..10).min_by(|&a, &b| distance(image, &means[a]).total_cmp(&distance(image, &means[b])));
        nearest == Some(usize::from(label))
    });
    let right = right.count();
    assert!(right > 180, "{right} of 200");
}
