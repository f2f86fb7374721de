//! Values of a few samples, in memory that is used again.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pcnbench_kernels::parts::vectorised;

/// Bytes that a thread keeps for values to come; memory beyond that goes back to the system.
const MOST_KEPT: usize = 256 << 20;

/// Memory that values have left.
#[derive(Clone, Default)]
pub struct Memory<T>(Arc<Mutex<Free<T>>>);

#[derive(Debug, Default)]
struct Free<T> {
    blocks: Vec<Vec<T>>,
    bytes: usize,
}

thread_local! {
    /// Of this thread, so that one update finds the memory of the one before; by type.
    static MEMORIES: (Memory<f32>, Memory<f64>, Memory<u8>) = Default::default();
}

impl<T> Memory<T> {
    fn free(&self) -> MutexGuard<'_, Free<T>> {
        // blocks are whole whenever the lock is free, also after a panic
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Memory<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes free)", self.free().bytes)
    }
}

/// Numbers that give their memory back to where it came from when they are dropped, on whichever thread.
#[derive(Debug)]
pub struct Numbers<T> {
    values: Vec<T>,
    memory: Memory<T>,
}

/// A value of one vertex on the samples of a chunk, sample after sample; sharing it is cheap.
pub type Value<T> = Arc<Numbers<T>>;

impl<T: Copy + Default> Memory<T> {
    /// That of the calling thread.
    pub fn of_this_thread() -> Self
    where
        T: 'static,
    {
        MEMORIES.with(|(f32, f64, u8)| {
            let all: [&dyn Any; 3] = [f32, f64, u8];
            all.into_iter().find_map(|memory| memory.downcast_ref::<Self>()).cloned().unwrap_or_default()
        })
    }

    /// `len` numbers whose values mean nothing yet.
    pub fn take(&self, len: usize) -> Numbers<T> {
        let mut free = self.free();
        // a block much larger than asked for is left for values of its size
        let fits = |v: &Vec<T>| v.capacity() >= len && v.capacity() / 2 <= len;
        let fitting = free.blocks.iter().enumerate().filter(|(_, v)| fits(v));
        let best = fitting.min_by_key(|(_, v)| v.capacity()).map(|(i, _)| i);
        let mut values = best.map_or_else(Vec::new, |i| free.blocks.swap_remove(i));
        free.bytes -= values.capacity() * size_of::<T>();
        drop(free);
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
        let values = out.write();
        vectorised(
            #[inline(always)]
            || values.iter_mut().zip(a).zip(b).for_each(|((out, &a), &b)| *out = each(a, b)),
        );
        out
    }

    /// One number per index, from those of `a`.
    pub fn map(&self, a: &[T], each: impl Fn(T) -> T) -> Numbers<T> {
        let mut out = self.take(a.len());
        let values = out.write();
        vectorised(
            #[inline(always)]
            || values.iter_mut().zip(a).for_each(|(out, &a)| *out = each(a)),
        );
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
        let mut free = self.memory.free();
        let bytes = self.values.capacity() * size_of::<T>();
        if free.bytes + bytes <= MOST_KEPT {
            free.bytes += bytes;
            free.blocks.push(std::mem::take(&mut self.values));
        }
    }
}
