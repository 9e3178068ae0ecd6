//! The progress bar: messages, octets, rate and time left, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use mdrop::frame::Run;
use std::time::Duration;

/// A bar, or nothing at all.
pub struct Progress {
    bar: ProgressBar,
    messages: u64,
    all: u64,
}

impl Progress {
    /// A bar on stderr, if that is a terminal that can show one.
    pub fn new(run: &Run) -> Self {
        let bar = if run.shows_progress() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let template = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self { bar, messages: 0, all: 0 }
    }

    /// So many messages more are to come, of so many octets.
    pub fn expect(&mut self, messages: usize, octets: u64) {
        self.all += messages as u64;
        self.bar.inc_length(octets);
        self.show();
    }

    /// One has come, or has failed, that was expected to have so many octets.
    pub fn done(&mut self, octets: u64) {
        self.messages += 1;
        self.bar.inc(octets);
        self.show();
    }

    fn show(&self) {
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{}/{} messages", self.messages, self.all));
        }
    }

    /// Talks to the user while the bar stands aside.
    pub fn aside<T>(&self, talk: impl FnOnce() -> T) -> T {
        self.bar.suspend(talk)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
