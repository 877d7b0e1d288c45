//! What the threads of a run tell each other.

use super::clock::Clock;
use super::ledger::Ledger;
use super::sockets::Ends;
use super::window::Window;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Digits of latencies that are kept: values within one in a thousand.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Reasons of refusals that are told apart: answers of a server are few, and a strange one may put a number into each.
const REASONS_MAX: usize = 32;

/// Shared by all threads of one run.
#[derive(Debug)]
pub(crate) struct Board {
    /// Nanoseconds since the run's epoch.
    pub(crate) clock: Clock,
    /// Connecting is over: who is not connected will not be.
    pub(crate) is_seated: AtomicBool,
    /// No event is to be published any more.
    pub(crate) is_silent: AtomicBool,
    /// The receiving threads are to end.
    pub(crate) is_over: AtomicBool,
    /// Events due from this moment on are measured.
    pub(crate) measured_from: AtomicU64,
    /// No event is due from this moment on.
    pub(crate) until: AtomicU64,
    /// The number of the act that restless connections were last told to begin; 0 before the first.
    pub(crate) act: AtomicU32,
    /// When it begins.
    pub(crate) act_from: AtomicU64,
    /// Events that were published and are measured.
    pub(crate) published: AtomicU64,
    /// The closed loop's window.
    pub(crate) window: Window,
    /// For each topic, the threads that have connections to it.
    pub(crate) threads_of: Box<[AtomicU32]>,
    /// For each topic, its connections.
    pub(crate) listeners_of: Box<[AtomicU32]>,
    /// The publishing thread's number in the kernel.
    pub(crate) publishing_thread: AtomicI32,
    tapes: Box<[Mutex<Tape>]>,
}

/// What one receiving thread has heard so far.
#[derive(Debug)]
pub(crate) struct Tape {
    /// Its counts.
    pub(crate) ledger: Ledger,
    /// Latencies of measured events since they were last taken, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// How long its turns were, in nanoseconds: a frame may have waited so long before it was read.
    pub(crate) turns: Histogram<u64>,
    /// From the first `SYN` to the subscription, in nanoseconds.
    pub(crate) connecting: Histogram<u64>,
    /// Connections that were subscribed.
    pub(crate) connected: u64,
    /// When the first of them began to connect and the last was subscribed, in nanoseconds on the run's clock.
    pub(crate) connecting_span: Option<(u64, u64)>,
    /// Connections that could not be.
    pub(crate) refused: u64,
    /// Connections that are open.
    pub(crate) open: u64,
    /// Those of them that stay all the time.
    pub(crate) steady: u64,
    /// Connections that left of their own will and are not back.
    pub(crate) away: u64,
    /// Those that came back since the conductor last asked, and how long each took, in nanoseconds.
    pub(crate) returning: Histogram<u64>,
    /// How often clients came back, over the whole run.
    pub(crate) returns: u64,
    /// When the last of them was back.
    pub(crate) last_return: u64,
    /// Both ends of each connection that will not read, the server's first.
    pub(crate) slow_ends: Vec<Ends>,
    /// When each connection that does not read was found closed, and its code.
    pub(crate) given_up: Vec<(u64, u16)>,
    /// Why the first of those refused was.
    pub(crate) refusal: Option<String>,
    /// How often clients were not let in, at their first coming or at a return, by reason.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// What the first foreign event was.
    pub(crate) stranger: Option<String>,
    /// The thread's number in the kernel.
    pub(crate) thread: i32,
    /// When the last measured event came, in nanoseconds on the run's clock.
    pub(crate) last_delivery: u64,
}

impl Tape {
    fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            latency: histogram(),
            turns: histogram(),
            connecting: histogram(),
            connected: 0,
            connecting_span: None,
            refused: 0,
            open: 0,
            steady: 0,
            away: 0,
            returning: histogram(),
            returns: 0,
            last_return: 0,
            slow_ends: Vec::new(),
            given_up: Vec::new(),
            refusal: None,
            reasons: BTreeMap::new(),
            stranger: None,
            thread: 0,
            last_delivery: 0,
        }
    }

    /// One more connection was subscribed that began to connect then and is now.
    pub(crate) fn connect(&mut self, began: u64, now: u64) {
        self.connected += 1;
        self.open += 1;
        self.connecting.saturating_record(now.saturating_sub(began));
        let (first, _) = self.connecting_span.unwrap_or((began, now));
        self.connecting_span = Some((first.min(began), now));
    }

    /// One more connection is back that was to come back then and is there now.
    pub(crate) fn take_back(&mut self, due: u64, now: u64) {
        self.open += 1;
        self.away -= 1;
        self.returns += 1;
        self.returning.saturating_record(now.saturating_sub(due));
        self.last_return = now;
    }

    /// One more connection has left of its own will, and this is what it was answered.
    pub(crate) fn say_goodbye(&mut self, code: u16) {
        self.open -= 1;
        self.away += 1;
        *self.ledger.goodbyes.entry(code).or_default() += 1;
    }

    /// One more connection was refused for good.
    pub(crate) fn refuse(&mut self, reason: String) {
        self.refused += 1;
        self.refusal.get_or_insert_with(|| reason.clone());
        self.turn_away(reason);
    }

    /// A client was not let in.
    pub(crate) fn turn_away(&mut self, reason: String) {
        let is_known = self.reasons.len() < REASONS_MAX || self.reasons.contains_key(&reason);
        *self.reasons.entry(if is_known { reason } else { "other reasons".to_owned() }).or_default() += 1;
    }
}

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    /// An hour: what is later than that counts as an hour.
    const NANOSECONDS_MAX: u64 = 3_600 * 1_000_000_000;
    Histogram::new_with_bounds(1, NANOSECONDS_MAX, SIGNIFICANT_DIGITS).expect("these bounds are allowed")
}

impl Board {
    /// For so many receiving threads, topics and places of the window.
    pub(crate) fn new(clock: Clock, threads: u32, topics: u32, places: u16) -> io::Result<Self> {
        Ok(Self {
            clock,
            is_seated: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            measured_from: AtomicU64::new(u64::MAX),
            until: AtomicU64::new(u64::MAX),
            act: AtomicU32::new(0),
            act_from: AtomicU64::new(u64::MAX),
            published: AtomicU64::new(0),
            window: Window::new(places)?,
            threads_of: (0..topics).map(|_| AtomicU32::new(0)).collect(),
            listeners_of: (0..topics).map(|_| AtomicU32::new(0)).collect(),
            publishing_thread: AtomicI32::new(0),
            tapes: (0..threads).map(|_| Mutex::new(Tape::new())).collect(),
        })
    }

    /// What this thread has heard. Held by the thread for a turn, by others for a moment.
    pub(crate) fn tape(&self, thread: u32) -> MutexGuard<'_, Tape> {
        self.tapes[thread as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all threads have heard, one after another.
    pub(crate) fn tapes(&self) -> impl Iterator<Item = MutexGuard<'_, Tape>> {
        self.tapes.iter().map(|tape| tape.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sums a number of all threads.
    pub(crate) fn total(&self, number: impl Fn(&Tape) -> u64) -> u64 {
        self.tapes().map(|tape| number(&tape)).sum()
    }
}

/// What a message was, shortened for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 80;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_MAX)]).escape_debug().to_string()
}
