//! Progress on standard error; silent when that is not a terminal.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::Observer;

/// A bar over points with the current stage beside it.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar that appears with the first point.
    pub fn new() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Observer for Bar {
    fn waiting(&mut self, sentence: &str) {
        // there is no bar yet; a standard error that cannot be written to loses the sentence only
        let _ = writeln!(io::stderr(), "{sentence}");
    }

    fn planned(&mut self, points: usize, finished: usize) {
        // ProgressBar::new draws to standard error, and not at all if that is no terminal
        self.0 = ProgressBar::new(points as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed_precise} {bar:24} {pos}/{len} points  {wide_msg}")
        {
            self.0.set_style(style);
        }
        self.0.set_position(finished as u64);
        self.0.enable_steady_tick(Duration::from_millis(250));
        tracing::info!(points, finished, "run planned");
    }

    fn at(&mut self, point: &str, stage: &str) {
        self.0.set_message(format!("{stage} · {point}"));
        tracing::debug!(point, stage);
    }

    fn finished(&mut self, point: &str) {
        self.0.inc(1);
        tracing::info!(point, "finished");
    }
}
