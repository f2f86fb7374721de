//! Whole calls in the emulator: the list of launches that a GPU gets.

use candle_core::{DType, Result, WithDType};

use super::persistent::timeout_error;
use super::{Emulator, Shape};
use crate::launch::{Addresses, Base, Launch, Operand, Plan, Product};
use crate::math_mode::MathMode;
use crate::refuse::refuse;
use crate::sources::SOURCES;

/// A number that kernels compute with.
pub trait Number: WithDType + std::ops::AddAssign + std::ops::Mul<Output = Self> {
    /// The same number in f64.
    fn exactly(self) -> f64;
    /// The number as a product reads it; f64 is never rounded.
    fn read_as(self, math: MathMode) -> Self;
}

impl Number for f32 {
    fn exactly(self) -> f64 {
        f64::from(self)
    }
    fn read_as(self, math: MathMode) -> Self {
        math.rounded(self)
    }
}

impl Number for f64 {
    fn exactly(self) -> f64 {
        self
    }
    fn read_as(self, _: MathMode) -> Self {
        self
    }
}

impl Emulator {
    /// This emulator for a kernel whose source has the mutant, else one for the clean kernel.
    fn of(&self, kernel: &str) -> Self {
        let mut own = SOURCES.iter().filter(|source| source.kernels.contains(&kernel));
        let mutated = own.any(|source| source.mutants.iter().any(|mutant| mutant.name == self.variant));
        if mutated {
            self.clone()
        } else {
            Self::new(self.order)
        }
    }

    /// Runs a plan on slices: θ (with the optimiser's state behind it), x, y, and what `learn` leaves.
    ///
    /// The arena starts as NaN, so that a value that is read before it is written shows.
    ///
    /// # Errors
    /// As [`launch`](Self::launch), slices of another length than the plan says, and a table that lies outside them.
    pub fn call<T: Number>(
        &self,
        plan: &Plan,
        theta: &mut [T],
        (x, y): (&[T], &[T]),
        out: &mut [T],
    ) -> Result<()> {
        let (table, parameters) = (&plan.table, plan.parameters);
        let units = |l: usize| table.rows[l].units as usize;
        for (what, got, expected) in [
            ("x", x.len(), table.batch * units(0)),
            ("y", y.len(), table.batch * units(table.depth())),
            ("the result", out.len(), plan.out),
        ] {
            if got != expected {
                refuse!("{what} has {got} numbers; expected {expected}");
            }
        }
        if theta.len() < parameters + plan.state {
            refuse!("the parameters are {} numbers; expected {}", theta.len(), parameters + plan.state);
        }
        let mut arena = vec![T::from_f64(f64::NAN); plan.arena];
        let copied = plan.moves && plan.out > 0;
        if copied {
            out[..parameters].copy_from_slice(&theta[..parameters]);
        }
        let out = out.as_mut_ptr();
        let at = Addresses {
            rows: table.rows.as_ptr() as u64,
            arena: arena.as_mut_ptr() as u64,
            theta: if copied { out } else { theta.as_mut_ptr() } as u64,
            x: x.as_ptr() as u64,
            y: y.as_ptr() as u64,
            out: out as u64,
        };
        for launch in plan.launches() {
            match launch {
                Launch::Kernel(kernel) => {
                    if kernel.name.contains("f32") != (T::DTYPE == DType::F32) {
                        refuse!("the plan is for kernel `{}`, the numbers are {:?}", kernel.name, T::DTYPE);
                    }
                    let shape = Shape::new(kernel.blocks, kernel.threads);
                    // SAFETY: the slices are borrowed until this returns and as long as the plan asks (checked above);
                    // a plan's offsets stay within them, and its kernels take `Params`.
                    unsafe { self.of(kernel.name).launch(kernel.name, &shape, &kernel.params.at(&at))? };
                }
                Launch::Relax(relax) => {
                    let Some(resident) = &plan.resident else {
                        refuse!("a plan with a persistent launch has no table for it")
                    };
                    let shape = Shape {
                        shared: relax.shared as usize,
                        cooperative: true,
                        ..Shape::new(relax.blocks, relax.threads)
                    };
                    let (rows, steps) = (resident.rows.as_ptr(), resident.step_sizes.as_ptr());
                    let mut timed_out = vec![0u64; 1 + crate::persistent::trace::WORDS];
                    let word = timed_out.as_mut_ptr() as u64;
                    let params = relax.at(&at, rows as u64, steps as u64, word);
                    // SAFETY: as above; table, step sizes and those numbers live as long.
                    unsafe { self.of(relax.name).launch(relax.name, &shape, &params)? };
                    timeout_error(relax.describe_timeout(timed_out[0]))?;
                }
                // SAFETY: as above.
                Launch::Product(product) => unsafe { multiply::<T>(product, &at) },
            }
        }
        Ok(())
    }
}

/// The products of a library that stores matrices by columns, as on a GPU.
///
/// # Safety
/// The addresses are of memory that holds all that the product names, and no other code uses it meanwhile.
unsafe fn multiply<T: Number>(product: &Product, at: &Addresses) {
    let Product { m, n, k, count, left, right, to, math, .. } = *product;
    let by = product.by_columns();
    for layer in 0..count {
        let start = |operand: Operand| {
            let base = match operand.base {
                Base::Arena => at.arena,
                Base::Theta => at.theta,
            } as *mut T;
            // SAFETY: the caller's.
            unsafe { base.add(operand.offset + layer * operand.stride) }
        };
        let (left, right, to) = (start(left), start(right), start(to));
        for i in 0..m {
            for j in 0..n {
                let mut sum = T::zero();
                for d in 0..k {
                    // element (j, d) of one matrix stored by columns, (d, i) of the other
                    let r = if by.turn_right { d + j * by.ld_right } else { j + d * by.ld_right };
                    let l = if by.turn_left { i + d * by.ld_left } else { d + i * by.ld_left };
                    // SAFETY: the caller's.
                    sum += unsafe { (*left.add(l)).read_as(math) * (*right.add(r)).read_as(math) };
                }
                // SAFETY: the caller's.
                unsafe { *to.add(i * n + j) = sum };
            }
        }
    }
}
