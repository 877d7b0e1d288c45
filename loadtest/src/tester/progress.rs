//! What people see while a run goes on: a line that changes on a terminal, plain lines elsewhere. On standard error.

use super::clock::whole;
use super::outcome::Sample;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Who is told how a run goes.
pub trait Progress: Sync {
    /// A part of the run begins, such as `connecting 1000 clients`.
    fn begin(&self, part: &str);

    /// So far in this part, of so many.
    fn connected(&self, count: u64, total: u64);

    /// All clients are in. What is to be measured begins when this returns.
    fn seated(&self) {}

    /// One more second of the measurement.
    fn second(&self, sample: &Sample, seconds: f64);

    /// The run is over.
    fn end(&self);
}

/// Nobody.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &str) {}
    fn connected(&self, _: u64, _: u64) {}
    fn second(&self, _: &Sample, _: f64) {}
    fn end(&self) {}
}

/// One line for each second.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Progress for Lines {
    fn begin(&self, part: &str) {
        eprintln!("{part}");
    }

    fn connected(&self, _: u64, _: u64) {}

    fn second(&self, sample: &Sample, seconds: f64) {
        eprintln!("{:>5.0} s of {seconds:.0}  {}", sample.second, figures(sample));
    }

    fn end(&self) {}
}

/// A bar on a terminal.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// An empty one.
    pub fn new() -> Self {
        let style =
            ProgressStyle::with_template("{spinner} {bar:20} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(1).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bar {
    fn begin(&self, part: &str) {
        // There may have been a run before.
        self.0.reset();
        self.0.set_position(0);
        self.0.set_message(part.to_owned());
    }

    fn connected(&self, count: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(count);
        self.0.set_message(format!("{} of {} connected", HumanCount(count), HumanCount(total)));
    }

    fn second(&self, sample: &Sample, seconds: f64) {
        self.0.set_length(whole(seconds * 10.0));
        self.0.set_position(whole(sample.second * 10.0));
        self.0.set_message(figures(sample));
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn figures(sample: &Sample) -> String {
    format!(
        "{} clients, {}/s published, {}/s delivered, p50 {} µs, p99 {} µs",
        HumanCount(sample.connections),
        HumanCount(sample.published),
        HumanCount(sample.delivered),
        HumanCount(sample.latency_us.p50),
        HumanCount(sample.latency_us.p99)
    )
}

/// The one that fits where standard error goes.
pub fn fitting() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(Bar::new()) } else { Box::new(Lines) }
}
