//! Where and how long everything is measured: the server on a core of its own, the tester on the others.

use crate::tester::floor::cores;
use crate::tester::interrupt::interruptible;
use crate::tester::progress::Quiet;
use crate::tester::run::Surroundings;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

/// Seconds before each measurement: buffers, caches and the kernel's socket buffers have found their sizes by then.
const WARMUP_SECONDS: f64 = 1.0;

/// Events that show that clients can be reached.
const SOME_EVENTS: f64 = 10.0;

/// Where, how often and how long to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The real server [default: the binary `fanout` beside this one].
    #[arg(long, value_name = "PATH")]
    pub server_binary: Option<PathBuf>,
    /// The server's core; the tester keeps to the others [default: the first core this process may use].
    #[arg(long, value_name = "CORE")]
    pub server_core: Option<usize>,
    /// Rounds; the median of them counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Seconds of each measurement, after a second of warm-up.
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = positive)]
    pub seconds: f64,
    /// A short look at every row with a twentieth of the clients: shows that everything works, measures nothing.
    #[arg(long)]
    pub quick: bool,
}

/// Where, how often and how long everything is measured.
#[derive(Clone, Debug)]
pub struct Rig {
    /// The real server's binary.
    pub server_binary: PathBuf,
    /// The core that servers are pinned to.
    pub server_core: usize,
    /// Rounds.
    pub rounds: usize,
    /// Seconds of each measurement.
    pub seconds: f64,
    warmup: f64,
    cores: Vec<usize>,
    extent: Extent,
    interrupted: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Full,
    Quick,
}

impl Rig {
    /// Keeps this process to the cores that the server leaves.
    ///
    /// # Errors
    /// Where there is no server to measure, or no core for it.
    pub fn new(options: &Options) -> io::Result<Self> {
        let cores = cores::allowed()?;
        let server_core = options.server_core.or(cores.first().copied()).unwrap_or_default();
        if !cores.contains(&server_core) {
            return Err(io::Error::other(format!("--server-core {server_core}: this process may use {cores:?}")));
        }
        let (extent, rounds, seconds, warmup) = if options.quick {
            (Extent::Quick, 1, options.seconds.min(0.5), 0.1)
        } else {
            (Extent::Full, options.rounds, options.seconds, WARMUP_SECONDS)
        };
        let server_binary = find_server(options.server_binary.clone())?;
        let (rounds, interrupted) = (rounds as usize, interruptible()?);
        let rig = Self { server_binary, server_core, rounds, seconds, warmup, cores, extent, interrupted };
        cores::pin(&rig.tester_cores())?;
        Ok(rig)
    }

    /// As many as a quick look takes, or all of them.
    pub fn scaled(&self, number: u32) -> u32 {
        match self.extent {
            Extent::Full => number,
            Extent::Quick => (number / 20).max(number.min(5)),
        }
    }

    /// A rate for as many as there are.
    pub fn scaled_rate(&self, rate: f64) -> f64 {
        match self.extent {
            Extent::Full => rate,
            Extent::Quick => (rate / 20.0).max(1.0),
        }
    }

    /// A rate at which a measurement has some events at least.
    pub fn rate_of_some(&self, rate: f64) -> f64 {
        rate.max(SOME_EVENTS / self.seconds)
    }

    /// The same with measurements of so many seconds, except in a quick look.
    #[must_use]
    pub fn lasting(&self, seconds: f64) -> Self {
        match self.extent {
            Extent::Full => Self { seconds, ..self.clone() },
            Extent::Quick => self.clone(),
        }
    }

    /// The server's core and the next ones after it, as far as there are any.
    pub fn server_cores(&self, count: usize) -> Vec<usize> {
        let others = self.cores.iter().copied().filter(|&core| core != self.server_core);
        [self.server_core].into_iter().chain(others).take(count).collect()
    }

    /// All cores but the server's; that one where there is no other.
    pub(super) fn tester_cores(&self) -> Vec<usize> {
        let others: Vec<usize> = self.cores.iter().copied().filter(|&core| core != self.server_core).collect();
        if others.is_empty() { self.cores.clone() } else { others }
    }

    /// Seconds of load before each measurement.
    pub fn warmup(&self) -> f64 {
        self.warmup
    }

    /// What a reader must know about where it ran; nothing where all is well.
    pub fn caution(&self) -> Option<&'static str> {
        match (self.extent, self.cores.len()) {
            (Extent::Quick, _) => Some("a quick look: the figures mean nothing"),
            (_, 1) => Some("one core for the server and the tester: the figures mean little"),
            _ => None,
        }
    }

    /// Whether somebody wants the end: what was measured until then is still shown.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }

    /// What a run meets: nobody watches it, and whoever wants the end ends it. Due times in events count from `epoch`.
    pub fn surroundings(&self, epoch: Instant) -> Surroundings<'_> {
        Surroundings { progress: &Quiet, interrupted: &self.interrupted, epoch }
    }

    /// One line of progress.
    pub fn tell(&self, line: &str) {
        eprintln!("{line}");
    }
}

fn find_server(chosen: Option<PathBuf>) -> io::Result<PathBuf> {
    let path = match chosen {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("fanout"),
    };
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(io::Error::other(format!("no server at {path}: `cargo build --release -p fanout`, or --server-binary PATH")))
}

fn positive(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    seconds.ok_or_else(|| "seconds are a number above 0".to_owned())
}
