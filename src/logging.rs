//! Log lines on standard error: text for people, JSON for machines, never a payload, never a password.

use crate::config::{Form, Log};
use std::io::{self, IsTerminal};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// Lines that may wait for a slow terminal or pipe, about 20 MB at worst; beyond it lines are lost rather than a shard
/// held up.
const LINES_WAITING_MAX: usize = 128_000;

/// What is logged, for as long as the process runs.
pub struct Filter(Handle<Targets, Registry>);

impl Filter {
    /// Logs by other directives from now on; the configuration has accepted them.
    pub fn set(&self, directives: &str) {
        self.0.reload(targets(directives)).expect("the log lives as long as the process");
    }
}

fn targets(directives: &str) -> Targets {
    directives.parse().expect("the configuration has accepted them")
}

/// Starts the log; what is still waiting is written when the guard is dropped.
///
/// A thread of its own writes, started before any executor because threads inherit the core of their starter.
pub fn start(log: &Log) -> (WorkerGuard, Filter) {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING_MAX).lossy(true);
    let (writer, guard) = builder.thread_name("log").finish(io::stderr());
    let (filter, handle) = reload::Layer::new(targets(&log.filter));
    let lines = fmt::layer().with_writer(writer).with_target(false);
    let lines = match log.format {
        Form::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Form::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    (guard, Filter(handle))
}

/// A panic on one core ends the whole process: a server that is half dead would keep its clients and not serve them.
pub fn end_the_process_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("fanout: this is a defect in fanout, the process ends: {panic}");
        std::process::abort();
    }));
}
