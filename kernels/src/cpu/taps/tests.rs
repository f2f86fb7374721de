use pulp::{Arch, Scalar, Simd, WithSimd};

use super::*;
use crate::cpu::real::Real;

/// Vector instructions to run with.
trait Runs: Copy {
    fn run<W: WithSimd<Output = ()>>(self, work: W);
}

impl Runs for Arch {
    fn run<W: WithSimd<Output = ()>>(self, work: W) {
        self.dispatch(work);
    }
}

impl Runs for Scalar {
    fn run<W: WithSimd<Output = ()>>(self, work: W) {
        work.with_simd(self);
    }
}

#[cfg(target_arch = "x86_64")]
impl Runs for pulp::x86::V3 {
    fn run<W: WithSimd<Output = ()>>(self, work: W) {
        Simd::vectorize(self, work);
    }
}

/// A convolution: image of `rows`×`columns` pixels, a window, stride and padding.
#[derive(Debug, Clone, Copy)]
struct Conv {
    image: [usize; 2],
    window: [usize; 2],
    stride: usize,
    padding: usize,
}

impl Conv {
    fn positions(self) -> [usize; 2] {
        [0, 1].map(|a| (self.image[a] + 2 * self.padding - self.window[a]) / self.stride + 1)
    }

    fn pixel(self, t: usize, r: usize) -> Option<usize> {
        let [_, columns] = self.positions();
        let at = |axis: usize, position: usize, own: usize| {
            (position * self.stride + own).checked_sub(self.padding).filter(|p| *p < self.image[axis])
        };
        let row = at(0, r / columns, t / self.window[1])?;
        Some(row * self.image[1] + at(1, r % columns, t % self.window[1])?)
    }

    fn taps(self) -> Taps {
        let [pixels, rows, taps] = [self.image, self.positions(), self.window].map(|s| s.iter().product());
        Taps::new(pixels, rows, taps, |t, r| self.pixel(t, r))
    }
}

const CONVS: [Conv; 5] = [
    Conv { image: [5, 7], window: [3, 3], stride: 1, padding: 1 },
    Conv { image: [8, 8], window: [3, 3], stride: 2, padding: 1 },
    Conv { image: [4, 6], window: [1, 1], stride: 2, padding: 0 },
    Conv { image: [6, 5], window: [5, 2], stride: 1, padding: 2 },
    Conv { image: [18, 17], window: [3, 3], stride: 1, padding: 0 },
];

/// Small whole numbers, whose products and sums are exact in either number type, in any order.
fn numbers<T: Real>(n: usize, salt: usize) -> Vec<T> {
    (0..n).map(|k| T::of(((k * 7 + salt) % 11) as f64 - 5.0)).collect()
}

/// Products and gradients are those of plain loops, to the bit, on every size of panel and strip, with the vector instructions
/// that `run` uses.
fn against_loops<T: Real, R: Runs>(run: R) {
    let sizes = [(1, 1), (3, 10), (5, 16), (130, 20), (16, 33), (7, 64), (2, 139)];
    for (conv, (inputs, outputs), images) in CONVS
        .iter()
        .flat_map(|&c| sizes.map(|s| (c, s)))
        .zip([1, 3, 6].into_iter().cycle())
        .map(|((c, s), i)| (c, s, i))
    {
        let (taps, back) = (conv.taps(), conv.taps().transposed());
        let [pixels, rows, count] =
            [conv.image, conv.positions(), conv.window].map(|s| s.iter().product::<usize>());
        let x: Vec<T> = numbers(images * pixels * inputs, 1);
        let w: Vec<T> = numbers(outputs * inputs * count, 2);
        let bias: Vec<T> = numbers(outputs, 3);
        let c: Vec<T> = numbers(images * rows * outputs, 4);
        let shape = [outputs, inputs, count];

        let mut want = vec![T::ZERO; c.len()];
        let (mut pulled, mut dw) = (vec![T::ZERO; x.len()], vec![T::ZERO; w.len()]);
        for (row, want) in want.chunks_exact_mut(outputs).enumerate() {
            want.copy_from_slice(&bias);
            let c = &c[row * outputs..];
            for t in 0..count {
                let Some(p) = conv.pixel(t, row % rows) else { continue };
                let start = (row / rows * pixels + p) * inputs;
                for o in 0..outputs {
                    for i in 0..inputs {
                        let at = (o * inputs + i) * count + t;
                        want[o] += x[start + i] * w[at];
                        pulled[start + i] += c[o] * w[at];
                        dw[at] += c[o] * x[start + i];
                    }
                }
            }
        }

        let mut got = numbers(want.len(), 5);
        product::by_groups(&taps, &x, &Panels::new(&w, shape), Some(&bias), &mut got, |group| run.run(group));
        assert_eq!(got, want, "{conv:?} {inputs} {outputs}");
        let mut got = numbers(pulled.len(), 5);
        product::by_groups(&back, &c, &Panels::transposed(&w, shape), None, &mut got, |group| run.run(group));
        assert_eq!(got, pulled, "{conv:?} {inputs} {outputs}");
        let mut got = vec![T::ZERO; Panels::<T>::len(shape)];
        gradient::by_groups(&taps, (&x, inputs), &c, &mut got, |group| run.run(group));
        let once = got.clone();
        gradient::by_groups(&taps, (&x, inputs), &c, &mut got, |group| run.run(group));
        let thrice: Vec<T> = dw.iter().map(|&d| d + d + d).collect();
        for (gradients, want) in [(vec![&once[..]], &dw), (vec![&once, &got], &thrice)] {
            let mut rows = vec![T::ZERO; dw.len()];
            let half = outputs / 2 * inputs * count;
            Panels::sum(&gradients, shape, 0, &mut rows[..half]);
            Panels::sum(&gradients, shape, outputs / 2, &mut rows[half..]);
            assert_eq!(&rows, want, "{conv:?} {inputs} {outputs}");
        }
    }
}

#[test]
fn products_and_gradients_are_those_of_plain_loops() {
    against_loops::<f32, _>(Arch::new());
    against_loops::<f64, _>(Arch::new());
    against_loops::<f32, _>(Scalar);
    against_loops::<f64, _>(Scalar);
    #[cfg(target_arch = "x86_64")]
    if let Some(fewer_registers) = pulp::x86::V3::try_new() {
        against_loops::<f32, _>(fewer_registers);
        against_loops::<f64, _>(fewer_registers);
    }
}

#[test]
#[should_panic(expected = "a pixel that is not there")]
fn pixels_outside_of_the_image_are_refused() {
    Taps::new(4, 1, 1, |_, _| Some(4));
}

#[test]
#[should_panic(expected = "do not fit")]
fn images_of_another_size_are_refused() {
    let taps = CONVS[0].taps();
    let w = Panels::new(&numbers::<f32>(18, 0), [2, 1, 9]);
    product(&taps, &[0.0; 36], &w, None, &mut [0.0; 70]);
}
