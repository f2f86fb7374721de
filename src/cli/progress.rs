//! Progress on standard error; silent when that is not a terminal.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::Observer;

/// A bar over points with the current stage beside it.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    clock: Option<Clock>,
}

impl Bar {
    /// A bar that appears with the first point.
    pub fn new() -> Self {
        Self { bar: ProgressBar::hidden(), clock: None }
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        if let Some(Clock { running, thread }) = self.clock.take() {
            drop(running);
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

/// The thread that keeps the elapsed time of a bar going.
#[derive(Debug)]
struct Clock {
    running: Sender<()>,
    thread: JoinHandle<()>,
}

impl Clock {
    /// `None` where no thread can be made, which indicatif's own ticker answers with a panic: the bar then moves with its
    /// points and stages only.
    fn start(bar: ProgressBar) -> Option<Self> {
        let (running, ended) = mpsc::channel();
        let tick = move || {
            while ended.recv_timeout(Duration::from_millis(250)) == Err(RecvTimeoutError::Timeout) {
                bar.tick();
            }
        };
        let thread = thread::Builder::new().spawn(tick).ok()?;
        Some(Self { running, thread })
    }
}

impl Observer for Bar {
    fn planned(&mut self, points: usize, finished: usize) {
        // ProgressBar::new draws to standard error, and not at all if that is no terminal
        self.bar = ProgressBar::new(points as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed_precise} {bar:24} {pos}/{len} points  {wide_msg}")
        {
            self.bar.set_style(style);
        }
        self.bar.set_position(finished as u64);
        if !self.bar.is_hidden() {
            self.clock = Clock::start(self.bar.clone());
        }
        tracing::info!(points, finished, "run planned");
    }

    fn at(&mut self, point: &str, stage: &str) {
        self.bar.set_message(format!("{stage} · {point}"));
        tracing::debug!(point, stage);
    }

    fn finished(&mut self, point: &str) {
        self.bar.inc(1);
        tracing::info!(point, "finished");
    }
}
