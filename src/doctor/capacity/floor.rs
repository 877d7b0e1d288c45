//! What a send costs here: one event again and again to many loopback sockets, whose readers have another core.
//!
//! ```text
//!   sender's core    send 256, 256, …        wait      send 256, 256, …        wait
//!   reader's core        read, read, read …  "all"         read, read, read …  "all"
//! ```
//!
//! It is a shard's ring that sends, and PERFORMANCE.md's `floor uring` at window 1: only what is between the lines of the
//! server's own code is missing. Who waits for everybody's reading measures sends, not full sockets.

use crate::config::doctor::Load;
use crate::doctor::countdown::Countdown;
use crate::server::Ring;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::net::sockopt::set_socket_linger;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs::read_to_string;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// In front of an event: the header of a WebSocket frame of 126 to 65 535 bytes (RFC 6455 §5.2).
const HEADER_BYTES: usize = 4;

/// For everybody to read one event; far longer than anything but a bug or a stopped machine.
const ROUND_MAX: Duration = Duration::from_secs(10);

const CHUNK_BYTES: usize = 64 << 10;

/// Sockets that are looked at together.
const EVENTS: usize = 256;

/// Who sends how, and who reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bench {
    /// The core that sends.
    pub(super) sender: usize,
    /// The core that reads; the same where there is one.
    pub(super) reader: usize,
    /// Connections; each takes two descriptors.
    pub(super) sockets: usize,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// Of the sending core's time for one send, in microseconds: the median of all rounds.
    pub(super) send_us: f64,
    /// The largest share of the time, 0 to 1, that one of the cores had for others: programs or virtual machines.
    pub(super) disturbance: f64,
}

impl Bench {
    /// Takes as long as the load says.
    ///
    /// # Errors
    /// Where the kernel gives no ring (older than 6.1), no sockets or none of these cores.
    pub(super) fn measure(self, load: &Load) -> io::Result<Floor> {
        let (near, far) = pairs(self.sockets)?;
        let frame = vec![b'.'; load.event_bytes + HEADER_BYTES];
        let round_bytes = frame.len() * near.len();
        let (all, read) = sync_channel(1);
        let (begun, stolen) = (Instant::now(), self.stolen_ticks());
        let (sent, heard) = thread::scope(|scope| {
            let reading = scope.spawn(move || on_core(self.reader, || read_rounds(far, round_bytes, &all)));
            let sending = scope.spawn(move || on_core(self.sender, || send_rounds(&near, &frame, &read, load.time)));
            (sending.join().expect("it does not panic"), reading.join().expect("it does not panic"))
        });
        // Where the reader fails, the sender does for that reason.
        let (((), reader_waited), (mut rounds, sender_waited)) = (heard?, sent?);
        rounds.sort_unstable();
        let round = rounds.get(rounds.len() / 2).ok_or_else(|| io::Error::other("there was no time for a round"))?;
        let waited = sender_waited.max(reader_waited).as_secs_f64() / begun.elapsed().as_secs_f64();
        let stolen = self.stolen_ticks().zip(stolen).map_or(0.0, |(now, before)| share(now, before));
        let sockets = u32::try_from(self.sockets).map_err(io::Error::other)?;
        Ok(Floor { send_us: round.as_secs_f64() * 1e6 / f64::from(sockets), disturbance: waited.max(stolen) })
    }

    /// What other virtual machines had of these two cores, and all time of them.
    fn stolen_ticks(self) -> Option<[u64; 2]> {
        let text = read_to_string("/proc/stat").ok()?;
        let cores = [self.sender, self.reader].map(|core| stolen_in(&text, core));
        Some([cores[0]?[0] + cores[1]?[0], cores[0]?[1] + cores[1]?[1]])
    }
}

/// Both ends of so many connections: those that send, and those that read.
fn pairs(count: usize) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let pair = |_| {
        let far = TcpStream::connect(listener.local_addr()?)?;
        let (near, _) = listener.accept()?;
        near.set_nodelay(true)?;
        far.set_nonblocking(true)?;
        // Nothing of it stays behind: thousands of ports would wait for a minute.
        set_socket_linger(&far, Some(Duration::ZERO))?;
        Ok((near, far))
    };
    (0..count).map(pair).collect()
}

/// Does something on this core alone, and says how long it had to wait for it while others were there.
fn on_core<T>(core: usize, work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Duration)> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)?;
    let before = waited();
    let done = work()?;
    Ok((done, waited().saturating_sub(before)))
}

/// How long this thread could have run and did not; zero where the kernel does not say.
fn waited() -> Duration {
    let text = read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// How long each round took to be sent.
fn send_rounds(sockets: &[TcpStream], frame: &[u8], read: &Receiver<()>, time: Duration) -> io::Result<Vec<Duration>> {
    let (mut ring, mut taken) = (Ring::new()?, Vec::new());
    let (mut countdown, mut rounds) = (Countdown::of("measuring what a send costs", time), Vec::new());
    while !countdown.left().is_zero() {
        let begun = Instant::now();
        for sockets in sockets.chunks(Ring::SENDS_MAX) {
            ring.send(sockets.iter().map(|socket| (socket.as_fd(), frame)), &mut taken);
        }
        rounds.push(begun.elapsed());
        for (mut socket, taken) in sockets.iter().zip(taken.drain(..)) {
            let sent = match taken {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                taken => taken.unwrap_or(0),
            };
            socket.write_all(&frame[sent..])?;
        }
        read.recv_timeout(ROUND_MAX).map_err(|_| io::Error::other("what was sent did not arrive"))?;
    }
    Ok(rounds)
}

/// Says so each time that everybody has read an event, until the senders are gone.
fn read_rounds(mut sockets: Vec<TcpStream>, round_bytes: usize, all: &SyncSender<()>) -> io::Result<()> {
    let set = epoll::create(CreateFlags::CLOEXEC)?;
    for (number, socket) in sockets.iter().enumerate() {
        epoll::add(&set, socket, EventData::new_u64(number as u64), EventFlags::IN)?;
    }
    let (mut events, mut chunk, mut missing) = (Vec::<Event>::with_capacity(EVENTS), vec![0; CHUNK_BYTES], round_bytes);
    loop {
        events.clear();
        match epoll::wait(&set, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let number = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            match sockets[number].read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => missing -= length.min(missing),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
            if missing == 0 {
                missing = round_bytes;
                if all.send(()).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// In `/proc/stat`: of this core's ticks the stolen ones, and all (`proc(5)`).
fn stolen_in(text: &str, core: usize) -> Option<[u64; 2]> {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
    let ticks: Vec<u64> = line.split_whitespace().flat_map(str::parse).take(8).collect();
    Some([*ticks.get(7)?, ticks.iter().sum()])
}

fn share(now: [u64; 2], before: [u64; 2]) -> f64 {
    let [stolen, all] = [0, 1].map(|number| now[number].saturating_sub(before[number]));
    // Ticks of a minute at most: they fit.
    let [stolen, all] = [stolen, all].map(|ticks| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)));
    stolen / all.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::host::Host;

    #[test]
    fn a_send_costs_something_whatever_the_size_of_the_event() {
        let cores = Host::look().allowed_cores;
        for event_bytes in [1, 256, 64 << 10] {
            let load = Load { time: Duration::from_millis(50), clients: None, rate: 1.0, event_bytes };
            let bench = Bench { sender: cores[0], reader: cores[cores.len() - 1], sockets: 300 };
            let floor = bench.measure(&load).expect("Linux 6.1 or newer");
            assert!(floor.send_us > 0.0 && (0.0..=2.0).contains(&floor.disturbance), "{event_bytes}: {floor:?}");
        }
    }

    #[test]
    fn a_core_that_is_not_there_is_an_error() {
        let load = Load { time: Duration::from_millis(50), clients: None, rate: 1.0, event_bytes: 1 };
        for bench in [Bench { sender: 1023, reader: 0, sockets: 2 }, Bench { sender: 0, reader: 1023, sockets: 2 }] {
            assert!(bench.measure(&load).is_err(), "{bench:?}");
        }
    }

    #[test]
    fn stolen_time_is_found() {
        let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu1 1 2 3 4 5 6 7 8 9 10\ncpu10 0 0 0 0 0 0 0 50 0 0\n";
        assert_eq!(stolen_in(text, 1), Some([8, 36]));
        assert_eq!(stolen_in(text, 10), Some([50, 50]));
        assert_eq!(stolen_in(text, 2), None);
        assert!((share([8, 36], [3, 16]) - 0.25).abs() < 1e-9);
        assert!(share([0, 0], [0, 0]).abs() < 1e-9);
    }
}
