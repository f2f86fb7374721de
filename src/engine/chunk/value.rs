//! Values of a few samples, in memory that is used again.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use pcnbench_kernels::parts::Scalar;

/// Memory that values have left.
#[derive(Clone, Default)]
pub struct Memory<T>(Rc<RefCell<Vec<Vec<T>>>>);

impl<T> fmt::Debug for Memory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} free)", self.0.borrow().len())
    }
}

/// Numbers that give their memory back when they are dropped.
#[derive(Debug)]
pub struct Numbers<T> {
    values: Vec<T>,
    memory: Memory<T>,
}

/// A value of one vertex on the samples of a chunk, sample after sample; sharing it is cheap.
pub type Value<T> = Rc<Numbers<T>>;

impl<T: Scalar> Memory<T> {
    /// `len` numbers whose values mean nothing yet.
    pub fn take(&self, len: usize) -> Numbers<T> {
        let mut free = self.0.borrow_mut();
        let fitting = free.iter().enumerate().filter(|(_, v)| v.capacity() >= len);
        let best = fitting.min_by_key(|(_, v)| v.capacity()).map(|(i, _)| i);
        let mut values = best.map_or_else(Vec::new, |i| free.swap_remove(i));
        // keeps what is there: only numbers never written are set to zero
        values.resize(len, T::default());
        Numbers { values, memory: self.clone() }
    }

    /// `len` zeros.
    pub fn zeros(&self, len: usize) -> Numbers<T> {
        let mut numbers = self.take(len);
        numbers.values.fill(T::default());
        numbers
    }

    /// One number per index, from those of `a` and `b`.
    pub fn zip(&self, a: &[T], b: &[T], each: impl Fn(T, T) -> T) -> Numbers<T> {
        let mut out = self.take(a.len());
        for ((out, &a), &b) in out.values.iter_mut().zip(a).zip(b) {
            *out = each(a, b);
        }
        out
    }

    /// One number per index, from those of `a`.
    pub fn map(&self, a: &[T], each: impl Fn(T) -> T) -> Numbers<T> {
        let mut out = self.take(a.len());
        for (out, &a) in out.values.iter_mut().zip(a) {
            *out = each(a);
        }
        out
    }
}

impl<T> Numbers<T> {
    /// The numbers, to be written.
    pub fn write(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T> Deref for Numbers<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T> Drop for Numbers<T> {
    fn drop(&mut self) {
        self.memory.0.borrow_mut().push(std::mem::take(&mut self.values));
    }
}
