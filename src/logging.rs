//! Log lines on standard error: text for people, JSON for machines, never a payload, never a password.

use crate::config::{Log, LogFormat};
use std::io;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait for a slow terminal or pipe, about 20 MB at worst; beyond it lines are lost rather than a shard
/// held up.
const LINES_WAITING_MAX: usize = 128_000;

/// Starts the log; what is still waiting is written when the guard is dropped.
///
/// A thread of its own writes, started before any executor because threads inherit the core of their starter.
pub fn start(log: &Log) -> WorkerGuard {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING_MAX).lossy(true);
    let (writer, guard) = builder.thread_name("log").finish(io::stderr());
    let filter = EnvFilter::new(&log.filter);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    match log.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    guard
}

/// A panic on one core ends the whole process: a server that is half dead would keep its clients and not serve them.
pub fn end_the_process_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("fanout: this is a defect in fanout, the process ends: {panic}");
        std::process::abort();
    }));
}
