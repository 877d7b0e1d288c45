//! Signals: SIGTERM and SIGINT end the server, SIGHUP makes it read its configuration again.

use crate::config::host::Host;
use crate::config::{self, Config, Reload};
use crate::control::{Control, MeshNode};
use crate::logging::Filter;
use crate::mesh::NodeId;
use crate::metrics::Registry;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::atomic::Ordering;
use std::thread;

/// The exit status after a second signal: 128 + SIGINT, as shells report it.
const EXIT_IMPATIENT: i32 = 130;

/// Who waits for signals, on a thread of its own.
pub(super) struct Attendant {
    /// The main thread's node.
    pub(super) main: MeshNode,
    /// What is in force.
    pub(super) config: Config,
    /// What the machine allowed at the start.
    pub(super) host: Host,
    pub(super) filter: Filter,
    pub(super) registry: Registry,
}

impl Attendant {
    /// Starts the thread. Called before any executor is started: threads inherit the core of the one that starts them.
    pub(super) fn start(mut self) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGHUP => self.reread(),
                    _ => self.drain(signal),
                }
            }
        })?;
        Ok(())
    }

    /// The first time every shard drains, the second time the process ends.
    fn drain(&mut self, signal: i32) {
        if self.registry.draining.swap(true, Ordering::AcqRel) {
            tracing::warn!(signal, "second signal: ending now");
            std::process::exit(EXIT_IMPATIENT);
        }
        let window = self.config.drain_window;
        tracing::info!(signal, window_ms = window.as_millis(), "draining");
        self.tell_shards(|| Control::Drain(window));
    }

    fn reread(&mut self) {
        if self.registry.draining.load(Ordering::Acquire) {
            return tracing::info!("the server is leaving: nothing to reload");
        }
        if self.config.file.is_none() {
            return tracing::info!("no configuration file: nothing to reload");
        }
        match config::again(&self.config, &self.host) {
            Ok(reload) => self.put_in_force(reload),
            Err(sentence) => tracing::error!("the configuration stays as it was: {sentence}"),
        }
    }

    fn put_in_force(&mut self, reload: Reload) {
        self.tell_shards(|| Control::Retune(Box::new(reload.config.clone())));
        // Who does not log such lines any more still hears of it, and so does who begins to.
        let is_heard = tracing::enabled!(tracing::Level::INFO);
        if is_heard {
            tell(&reload);
        }
        if reload.config.log != self.config.log {
            self.filter.set(&reload.config.log.filter);
        }
        if !is_heard {
            tell(&reload);
        }
        self.config = reload.config;
    }

    fn tell_shards(&mut self, control: impl Fn() -> Control) {
        self.main.resend();
        for shard in 0..self.main.shards() {
            self.main.send(NodeId::shard(shard), control());
        }
    }
}

fn tell(reload: &Reload) {
    for sentence in &reload.kept {
        tracing::warn!("{sentence}");
    }
    match reload.changed.as_slice() {
        [] => tracing::info!("configuration read again: nothing has changed"),
        changed => tracing::info!("configuration read again: {}", changed.join(", ")),
    }
}
