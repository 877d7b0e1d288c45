//! A Redis subscriber that does nothing with what it hears but look at the clock.

use crate::tester::board::histogram;
use crate::tester::clock::{from_seconds, nanoseconds};
use crate::tester::outcome::{Latency, Outcome};
use crate::tester::stamp::Stamp;
use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Redis answers a subscription at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than any moment brings at the rates of a comparison.
const CHUNK_BYTES: usize = 64 * 1024;

/// Subscribed in a thread of its own, until it is asked what it heard.
#[derive(Debug)]
pub(super) struct BareSubscriber {
    socket: TcpStream,
    thread: JoinHandle<io::Result<Vec<Heard>>>,
}

/// One event and when it came, in nanoseconds since the epoch.
#[derive(Clone, Debug)]
struct Heard {
    event: Vec<u8>,
    at: u64,
}

/// Everything that was heard.
#[derive(Debug)]
pub(super) struct Hearsay(Vec<Heard>);

impl BareSubscriber {
    /// Subscribes to all workflow events.
    pub(super) fn start(redis: SocketAddr, epoch: Instant) -> io::Result<Self> {
        let mut socket = TcpStream::connect_timeout(&redis, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(b"PSUBSCRIBE workflow:events:*\r\n")?;
        let mut answer = [0; 256];
        let length = socket.read(&mut answer)?;
        if !answer[..length].starts_with(b"*3\r\n$10\r\npsubscribe\r\n") {
            let answer = String::from_utf8_lossy(&answer[..length]);
            return Err(io::Error::other(format!("Redis answered PSUBSCRIBE with {answer:?}")));
        }
        socket.set_read_timeout(None)?;
        let reader = socket.try_clone()?;
        let thread = thread::Builder::new().name("subscriber".to_owned()).spawn(move || listen(reader, epoch))?;
        Ok(Self { socket, thread })
    }

    /// Ends the subscription.
    pub(super) fn finish(self) -> io::Result<Hearsay> {
        self.socket.shutdown(Shutdown::Both)?;
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(Hearsay)
    }
}

impl Hearsay {
    /// Latencies of the events of this size that were due after the warm-up, which began with the first of them.
    pub(super) fn outcome(&self, event_bytes: usize, warmup_seconds: f64) -> Outcome {
        let stamps =
            || self.0.iter().filter_map(|heard| Some((Stamp::parse(&heard.event, event_bytes)?.due, heard.at)));
        let first = stamps().map(|(due, _)| due).min().unwrap_or_default();
        let measured_from = first + from_seconds(warmup_seconds);
        let mut latency = histogram();
        for (due, at) in stamps().filter(|(due, _)| *due >= measured_from) {
            latency.saturating_record(at.saturating_sub(due));
        }
        Outcome { delivered: latency.len(), latency_us: Latency::of(&latency), ..Outcome::default() }
    }
}

fn listen(mut socket: TcpStream, epoch: Instant) -> io::Result<Vec<Heard>> {
    let mut heard = Vec::new();
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
    loop {
        let length = socket.read(&mut chunk)?;
        let at = nanoseconds(epoch.elapsed());
        if length == 0 {
            return Ok(heard);
        }
        bytes.extend_from_slice(&chunk[..length]);
        let mut taken = 0;
        while let Some((frame, length)) = decode(&bytes[taken..]).map_err(io::Error::other)? {
            taken += length;
            heard.extend(event(frame).map(|event| Heard { event, at }));
        }
        bytes.drain(..taken);
    }
}

/// The last part of `pmessage pattern channel event`.
fn event(frame: OwnedFrame) -> Option<Vec<u8>> {
    match frame {
        OwnedFrame::Array(parts) => match parts.into_iter().next_back() {
            Some(OwnedFrame::BulkString(event)) => Some(event),
            _ => None,
        },
        _ => None,
    }
}
