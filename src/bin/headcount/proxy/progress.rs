//! How far a long work is: a bar on a terminal, plain lines elsewhere, nothing where a program reads.

use indicatif::{ProgressBar, ProgressStyle};

use super::report::Told;
use crate::output::{Exit, Output};

const STYLE: &str = "{bar:30} {pos} of {len}, {elapsed} gone, {eta} left {msg}";

pub(super) struct Progress {
    /// Nothing is drawn where standard error is no terminal.
    bar: Option<ProgressBar>,
    output: Output,
    problems: usize,
}

impl Progress {
    pub(super) fn new(total: usize, output: Output) -> Self {
        let bar =
            if output.is_json() { ProgressBar::hidden() } else { ProgressBar::new(total as u64) };
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style);
        }
        Self { bar: (!bar.is_hidden()).then_some(bar), output, problems: 0 }
    }

    /// One more is done. With a bar, only what went wrong is told in a line.
    pub(super) fn step(&mut self, told: &Told) {
        let Some(bar) = &self.bar else { return self.output.line(told.line()) };
        if told.exit != Exit::Done {
            self.problems = self.problems.saturating_add(1);
            bar.suspend(|| self.output.line(told.line()));
            bar.set_message(format!("({} without an answer)", self.problems));
        }
        bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
