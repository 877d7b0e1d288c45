//! One set of plain counters and histograms per node, summed when somebody asks.
//!
//! Each counter has one writer, its node; any node may read. A step is a load, an addition and a store: no locked
//! instruction on the hot path. Histograms are recorded without sharing and copied out once a second.

mod canary;
mod entrance;
mod labelled;
mod process;

pub use self::canary::{CANARY_AGE_MAX, CanaryStatus, Expectation};
pub use self::entrance::{Entrance, Refused};
use self::labelled::labelled;
pub use self::process::Process;

use crate::wire::close::CloseCode;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A span as counters and stamps hold it.
pub(crate) fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A span as pages and notices say it.
pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A number with one writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning node may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes `n` away. Only the owning node may call this.
    pub fn subtract(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// Replaces the value. Only the owning node may call this.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as it stands.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

labelled! {
    /// Why an event or a frame did not reach a client.
    pub enum Drop {
        /// The payload is not valid UTF-8 and cannot be a text frame.
        NotUtf8 = "not_utf8",
        /// The event is larger than `--max-event`.
        EventTooBig = "event_too_big",
        /// The client's outbound queue was full; the connection was closed with 4001.
        SlowConsumer = "slow_consumer",
        /// The connection ended while frames were waiting.
        ConnectionClosed = "connection_closed",
        /// The payload is not JSON, in a family whose messages are.
        NotJson = "not_json",
        /// The payload says that it is an envelope of this server's instances and is none.
        BadEnvelope = "bad_envelope",
        /// The client's outbound queue was full, and its oldest events gave way.
        Oldest = "oldest",
        /// A newer event of the same topic took its place.
        Replaced = "replaced",
        /// The event had waited for longer than `--event-ttl`.
        Expired = "expired",
        /// The client's socket took nothing for `--write-timeout`; the connection was ended.
        Stalled = "stalled",
        /// More than `--outbound-total-max` waited, and this was in one of the largest queues.
        MemoryBudget = "memory_budget",
    }
}

impl Drop {
    /// Those that count frames which had been offered to a client. The others count events that never became frames.
    pub const OF_FRAMES: [Self; 7] = [
        Self::SlowConsumer,
        Self::ConnectionClosed,
        Self::Oldest,
        Self::Replaced,
        Self::Expired,
        Self::Stalled,
        Self::MemoryBudget,
    ];
}

labelled! {
    /// Why a client that reads too slowly lost its connection.
    pub enum Slowness {
        /// Its outbound queue was full.
        QueueFull = "queue_full",
        /// Its socket took nothing for `--write-timeout`.
        NoProgress = "no_progress",
        /// More than `--outbound-total-max` waited for all, and its queue was one of the largest.
        OverBudget = "over_budget",
    }
}

impl Slowness {
    /// The reason why it does not get what waited for it.
    pub const fn drop(self) -> Drop {
        match self {
            Self::QueueFull => Drop::SlowConsumer,
            Self::NoProgress => Drop::Stalled,
            Self::OverBudget => Drop::MemoryBudget,
        }
    }
}

labelled! {
    /// Why an event of a client was not published. It was told so.
    pub enum PublishError {
        /// The broker is not connected, or the connection was lost before it answered.
        Unavailable = "unavailable",
        /// Too many publications wait already.
        Overloaded = "overloaded",
        /// The broker refused the command.
        Refused = "refused",
    }
}

labelled! {
    /// What takes a shard time.
    pub enum Span {
        /// A turn.
        Turn = "turn",
        /// From the broker's read to the turn that takes the event, of the first one of each turn.
        ToShard = "to_shard",
        /// From there until the kernel has it for everybody whose socket takes bytes.
        ToKernel = "to_kernel",
    }
}

/// What one node counts.
#[derive(Debug)]
pub struct NodeMetrics {
    /// Connections open now.
    pub connections: Counter,
    /// Upgrades this shard has said yes to, whoever owns the connection.
    pub admitted: Counter,
    /// Connections of this shard that have ended.
    pub ended: Counter,
    /// Topics followed now.
    pub topics: Counter,
    /// Messages taken from the mesh (a shard) or events read from the source (the broker).
    pub messages_in: Counter,
    /// Events that nobody here follows: they end at the broker's node.
    pub unfollowed: Counter,
    /// Frames that were for a client: events for each follower, and what protocols say. The ledger's left side: they are
    /// out, queued or dropped.
    pub frames_offered: Counter,
    /// Frames handed to the kernel in full. Pings, pongs, closes and gap notices are not counted.
    pub frames_out: Counter,
    /// Frames that waited for late clients when the books were balanced last.
    pub frames_queued: Counter,
    /// Memory, in bytes, of what waits for late clients and could still be dropped; counted for each, though they share it.
    pub bytes_queued: Counter,
    /// Offered less out, queued and dropped, when the books were balanced last: 0, or something is wrong. In two's
    /// complement.
    pub ledger_difference: Counter,
    /// Bytes handed to the kernel.
    pub bytes_out: Counter,
    /// Calls to the kernel that sent something or tried to.
    pub kernel_sends: Counter,
    /// Connections whose socket refuses bytes now.
    pub late: Counter,
    /// Messages from clients that were taken.
    pub client_messages: Counter,
    /// Messages from clients that were refused because they came too fast.
    pub client_messages_refused: Counter,
    /// HTTP requests answered, upgrades included.
    pub http_requests: Counter,
    /// HTTP connections closed for want of a whole request in time.
    pub http_timeouts: Counter,
    /// What happens at this shard's entrance.
    pub entrance: Entrance,
    dropped: [Counter; Drop::ALL.len()],
    slow: [Counter; Slowness::ALL.len()],
    closed: [Counter; CloseCode::ALL.len()],
    unpublished: [Counter; PublishError::ALL.len()],
    encodes: [Named; ENCODINGS_MAX],
    spans_us: [Mutex<Histogram<u64>>; Span::ALL.len()],
}

/// Encodings that are counted apart: there are fewer families of clients.
const ENCODINGS_MAX: usize = 8;

/// A counter that gets its name when it is first needed.
#[derive(Debug, Default)]
struct Named {
    name: OnceLock<&'static str>,
    counter: Counter,
}

impl Default for NodeMetrics {
    fn default() -> Self {
        Self {
            connections: Counter::default(),
            admitted: Counter::default(),
            ended: Counter::default(),
            topics: Counter::default(),
            messages_in: Counter::default(),
            unfollowed: Counter::default(),
            frames_offered: Counter::default(),
            frames_out: Counter::default(),
            frames_queued: Counter::default(),
            bytes_queued: Counter::default(),
            ledger_difference: Counter::default(),
            bytes_out: Counter::default(),
            kernel_sends: Counter::default(),
            late: Counter::default(),
            client_messages: Counter::default(),
            client_messages_refused: Counter::default(),
            http_requests: Counter::default(),
            http_timeouts: Counter::default(),
            entrance: Entrance::default(),
            dropped: Default::default(),
            slow: Default::default(),
            closed: Default::default(),
            unpublished: Default::default(),
            encodes: Default::default(),
            spans_us: Span::ALL.map(|_| Mutex::new(span_histogram())),
        }
    }
}

/// A histogram for spans: 1 µs to 60 s, two significant digits (about 20 KB).
pub fn span_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("constant bounds are valid")
}

impl NodeMetrics {
    /// The counter of a drop reason.
    pub fn dropped(&self, reason: Drop) -> &Counter {
        &self.dropped[reason as usize]
    }

    /// The counter of connections that ended for being slow.
    pub fn slow(&self, slowness: Slowness) -> &Counter {
        &self.slow[slowness as usize]
    }

    /// The counter of a close code.
    pub fn closed(&self, code: CloseCode) -> &Counter {
        &self.closed[code.index()]
    }

    /// The counter of events that were not published.
    pub fn unpublished(&self, error: PublishError) -> &Counter {
        &self.unpublished[error as usize]
    }

    /// The counter of frames made from messages in the encoding of this name: one per message, encoding and shard.
    pub fn encodes(&self, name: &'static str) -> &Counter {
        let is_it = |named: &&Named| std::ptr::eq(*named.name.get_or_init(|| name), name);
        &self.encodes.iter().find(is_it).expect("there are fewer encodings").counter
    }

    /// The encodings that were used so far, and how often.
    pub fn encodings(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.encodes.iter().map_while(|named| Some((*named.name.get()?, named.counter.get())))
    }

    /// Adds a node's own record of a kind of spans to what readers see, and empties it. Called once a second.
    pub fn share_spans(&self, span: Span, own: &mut Histogram<u64>) {
        let mut shared = self.spans_us[span as usize].lock().unwrap_or_else(PoisonError::into_inner);
        shared.add(&*own).expect("both have the same bounds");
        own.reset();
    }

    /// A copy of the spans so far, in microseconds.
    pub fn spans(&self, span: Span) -> Histogram<u64> {
        self.spans_us[span as usize].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The state of the source of events.
#[derive(Debug)]
pub struct BrokerStatus {
    /// Which broker is in use: `redis` or `embedded`.
    pub kind: &'static str,
    /// Whether the subscription is confirmed and alive.
    connected: AtomicBool,
    /// How often everything was subscribed to. Between two of these lies a gap: an unknown number of events was missed.
    pub epoch: Counter,
    /// The proof that events arrive.
    pub canary: CanaryStatus,
}

impl BrokerStatus {
    /// A broker that has not been reached yet.
    pub fn new(kind: &'static str) -> Self {
        let (connected, epoch) = (AtomicBool::new(false), Counter::default());
        Self { kind, connected, epoch, canary: CanaryStatus::new() }
    }

    /// Whether events published now arrive here: the subscription is confirmed, and the canary, where there is one,
    /// proves it.
    pub fn is_connected(&self) -> bool {
        self.is_subscribed() && self.canary.is_well()
    }

    /// Whether the subscription is confirmed, proven or not.
    pub fn is_subscribed(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// How often the subscription was lost and confirmed again: each time but the first lies behind a gap.
    pub fn reconnects(&self) -> u64 {
        self.epoch.get().saturating_sub(1)
    }

    /// Whether the subscription is confirmed. Only the broker's node may call this.
    pub fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
    }
}

/// Everything that is counted in this process, for those who answer questions about it.
#[derive(Clone)]
pub struct Registry {
    /// When the process began to serve.
    pub started: Instant,
    /// The same since 1970, for those who look from outside.
    pub started_at: Duration,
    /// One per shard.
    pub shards: Arc<[Arc<NodeMetrics>]>,
    /// The broker's node.
    pub broker_node: Arc<NodeMetrics>,
    /// The state of the source of events.
    pub broker: Arc<BrokerStatus>,
    /// Set once the server drains: readiness is gone.
    pub draining: Arc<AtomicBool>,
}

impl Registry {
    /// Zeroes for so many shards.
    pub fn new(shards: usize, broker_kind: &'static str) -> Self {
        Self {
            started: Instant::now(),
            started_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            shards: (0..shards).map(|_| Arc::default()).collect(),
            broker_node: Arc::default(),
            broker: Arc::new(BrokerStatus::new(broker_kind)),
            draining: Arc::default(),
        }
    }

    /// All nodes that count, shards first.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeMetrics> {
        self.shards.iter().chain([&self.broker_node]).map(AsRef::as_ref)
    }

    /// Connections there are or will be: everyone who was let in and has not ended.
    pub fn admitted(&self) -> u64 {
        let sum = |counter: fn(&NodeMetrics) -> &Counter| self.shards.iter().map(|shard| counter(shard).get()).sum();
        let (ended, admitted): (u64, u64) = (sum(|shard| &shard.ended), sum(|shard| &shard.admitted));
        admitted.saturating_sub(ended)
    }

    /// Whether this instance should get traffic: events arrive and it is not about to leave.
    pub fn is_ready(&self) -> bool {
        self.broker.is_connected() && !self.draining.load(Ordering::Acquire)
    }
}
