//! Task graphs of schedules, and how long they take on P processors.
//!
//! A schedule on more processors than are at hand can still be timed in theory: record its tasks with their
//! durations and dependencies ([`crate::engine::recording`] does), then place them by list scheduling. A task
//! that is ready starts as soon as a processor is free; among several, the one with the longest path to the
//! end goes first. That is exact on one processor and on unlimited ones, and within a factor 2 − 1/P of the
//! optimum in between (Graham, SIAM J. Appl. Math. 17, 1969). Durations are in any unit; communication is free.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Error, Result};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// μ_l = f_l(v_{l−1}).
    Forward,
    /// J_lᵀ e.
    Vjp,
    /// J_l d.
    Jvp,
    /// (∂μ_l/∂θ_l)ᵀ e.
    ParamGrad,
    /// Element-wise work that waits for several results.
    Join,
    /// The end of an inference step that everything after it waits for.
    Barrier,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What it does.
    pub verb: Verb,
    /// Layer l, from 1; 0 where it belongs to none.
    pub layer: usize,
    /// Duration; tasks of duration 0 need no processor.
    pub duration: u64,
    /// Indices of the tasks it waits for, all smaller than its own.
    pub after: Vec<usize>,
}

/// Tasks in an order in which they could run one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    tasks: Vec<Task>,
}

/// A task placed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Index into [`Graph::tasks`].
    pub task: usize,
    /// Processor, from 0.
    pub processor: usize,
    /// When it starts; it ends its duration later.
    pub start: u64,
}

/// A graph on P processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When the last task ends.
    pub makespan: u64,
    /// Tasks that need a processor, by start.
    pub placed: Vec<Placed>,
}

impl Graph {
    /// No tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task and returns its index.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it waits for a task that is not there yet.
    pub fn push(&mut self, task: Task) -> Result<usize> {
        let index = self.tasks.len();
        if let Some(late) = task.after.iter().find(|t| **t >= index) {
            return Err(Error::Invalid(format!("task {index} waits for task {late}, which comes later")));
        }
        self.tasks.push(task);
        Ok(index)
    }

    /// All tasks; each comes after those it waits for.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Σ durations: the makespan on one processor.
    pub fn work(&self) -> u64 {
        self.tasks.iter().map(|t| t.duration).sum()
    }

    /// The longest path by duration: the makespan on unlimited processors. O(tasks + dependencies).
    pub fn critical_path(&self) -> u64 {
        self.to_end().into_iter().max().unwrap_or(0)
    }

    /// Per task, the longest path from its start to the end of everything.
    fn to_end(&self) -> Vec<u64> {
        let mut below = vec![0u64; self.tasks.len()];
        for (i, task) in self.tasks.iter().enumerate().rev() {
            below[i] += task.duration;
            for &before in &task.after {
                below[before] = below[before].max(below[i]);
            }
        }
        below
    }

    /// Places every task on `processors` processors by list scheduling. O(n log n) for n tasks.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no processors.
    pub fn schedule(&self, processors: usize) -> Result<Schedule> {
        if processors == 0 {
            return Err(Error::Invalid("a schedule needs at least 1 processor".into()));
        }
        let to_end = self.to_end();
        let mut waits: Vec<usize> = self.tasks.iter().map(|t| t.after.len()).collect();
        let mut followers = vec![Vec::new(); self.tasks.len()];
        for (i, task) in self.tasks.iter().enumerate() {
            for &before in &task.after {
                followers[before].push(i);
            }
        }
        let mut free: BinaryHeap<Reverse<usize>> =
            (0..processors.min(self.tasks.len())).map(Reverse).collect();
        let mut done: Vec<usize> = Vec::new(); // finished now, followers not updated yet
        let mut ready = BinaryHeap::new();
        let mut running = BinaryHeap::new();
        let mut placed = Vec::new();
        let mut now = 0;
        for i in (0..self.tasks.len()).filter(|i| waits[*i] == 0) {
            self.admit(i, &to_end, &mut ready, &mut done);
        }
        loop {
            while let Some(i) = done.pop() {
                for &next in &followers[i] {
                    waits[next] -= 1;
                    if waits[next] == 0 {
                        self.admit(next, &to_end, &mut ready, &mut done);
                    }
                }
            }
            while let Some(Reverse(processor)) = free.peek().copied() {
                let Some((_, Reverse(task))) = ready.pop() else { break };
                free.pop();
                placed.push(Placed { task, processor, start: now });
                running.push(Reverse((now + self.tasks[task].duration, task, processor)));
            }
            // everything that ends next ends together
            let Some(Reverse((end, ..))) = running.peek().copied() else { break };
            now = end;
            while let Some(Reverse((_, task, processor))) = running.peek().copied().filter(|r| r.0 .0 == end)
            {
                running.pop();
                free.push(Reverse(processor));
                done.push(task);
            }
        }
        Ok(Schedule { makespan: now, placed })
    }

    /// Queues a task that waits for nothing any more, or ends it at once if it takes no time.
    fn admit(
        &self,
        i: usize,
        to_end: &[u64],
        ready: &mut BinaryHeap<(u64, Reverse<usize>)>,
        done: &mut Vec<usize>,
    ) {
        if self.tasks[i].duration == 0 {
            done.push(i);
        } else {
            ready.push((to_end[i], Reverse(i)));
        }
    }
}
