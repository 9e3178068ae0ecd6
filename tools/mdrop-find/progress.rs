//! The progress of reading words, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use mdrop::frame::Run;
use std::time::Duration;

/// A line on stderr, or nothing at all.
pub struct Progress {
    bar: ProgressBar,
    messages: u64,
}

impl Progress {
    /// A line, if stderr is a terminal that can show one.
    pub fn new(run: &Run) -> Self {
        let bar = if run.shows_progress() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("reading the words of messages: {msg}, {bytes}, {bytes_per_sec}") {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self { bar, messages: 0 }
    }

    /// One more, of so many octets.
    pub fn done(&mut self, octets: u64) {
        self.messages += 1;
        if !self.bar.is_hidden() {
            self.bar.inc(octets);
            self.bar.set_message(self.messages.to_string());
        }
    }

    /// Talks to the user while the line stands aside.
    pub fn aside<T>(&self, talk: impl FnOnce() -> T) -> T {
        self.bar.suspend(talk)
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
