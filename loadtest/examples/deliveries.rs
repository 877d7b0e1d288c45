//! What a delivery costs: the server's own processor time per frame that reached a client, beside the least that any
//! server could spend on this kernel: a bare loop of `send`. Both run on core 0, this program on core 1, in turns.
//!
//! ```sh
//! cargo build --release -p fanout && cargo run --release -p loadtest --example deliveries
//! ```

use loadtest::Launch;
use rustix::event::epoll;
use rustix::thread::CpuSet;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io};

const CLIENTS: usize = 1_000;
const EVENT_BYTES: usize = 256;
/// A server's text frame of 256 bytes: two bytes of header and two of length.
const FRAME_BYTES: usize = EVENT_BYTES + 4;
const SECONDS_EACH: u64 = 3;
const ROUNDS: usize = 5;
const SERVER_CORE: usize = 0;
const TESTER_CORE: usize = 1;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    match env::args().nth(1).as_deref() {
        Some("floor") => floor(),
        _ => compare(),
    }
}

/// One measurement: processor time per delivery in microseconds, and deliveries per second.
#[derive(Clone, Copy, Debug)]
struct Cost {
    microseconds: f64,
    per_second: f64,
}

fn compare() -> Outcome<()> {
    pin(TESTER_CORE)?;
    println!("{CLIENTS} clients on one username, {EVENT_BYTES} B events, {ROUNDS} rounds of {SECONDS_EACH} s each\n");
    for window in [1, 16] {
        let mut floors = Vec::new();
        let mut servers = Vec::new();
        for round in 0..ROUNDS {
            floors.push(measure_floor(window)?);
            servers.push(measure_server(window)?);
            let (floor, server) = (floors[round], servers[round]);
            println!(
                "window {window:2}  floor {:.3} µs {:>9.0}/s  fanout {:.3} µs {:>9.0}/s  ratio {:.2}",
                floor.microseconds,
                floor.per_second,
                server.microseconds,
                server.per_second,
                server.microseconds / floor.microseconds
            );
        }
        let (floor, server) = (median(&floors), median(&servers));
        println!(
            "window {window:2}  median: floor {floor:.3} µs, fanout {server:.3} µs, ratio {:.2}\n",
            server / floor
        );
    }
    Ok(())
}

fn median(costs: &[Cost]) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(|cost| cost.microseconds).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure_server(window: u64) -> Outcome<Cost> {
    let core = SERVER_CORE.to_string();
    let launch = Launch::embedded().through(&["taskset", "-c", &core]).option("--shards", "1");
    let server = launch.option("--log-level", "warn").start()?;
    let mut crowd = Crowd::connect(server.address, |socket| {
        socket.write_all(
            b"GET /ws?username=alice HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )?;
        let mut head = [0; 1024];
        let length = socket.read(&mut head)?;
        assert!(head[..length].starts_with(b"HTTP/1.1 101"), "the server lets everybody in");
        Ok(())
    })?;
    let mut publisher = TcpStream::connect(server.broker)?;
    publisher.set_nodelay(true)?;
    let event = "x".repeat(EVENT_BYTES);
    let publish = format!("*3\r\n$7\r\nPUBLISH\r\n$21\r\nworkflow:events:alice\r\n${EVENT_BYTES}\r\n{event}\r\n");
    let reply = format!(":{CLIENTS}\r\n");
    let mut unanswered = 0;
    crowd.measure(server.pid(), window, |count| {
        // Answers are read late: waiting for them would keep this program from receiving while the server sends, which
        // makes sending cheaper than it is for the floor.
        publisher.read_exact(&mut vec![0; reply.len() * unanswered])?;
        unanswered = count;
        Ok(publisher.write_all(publish.repeat(count).as_bytes())?)
    })
}

fn measure_floor(window: u64) -> Outcome<Cost> {
    let mut floor = Floor::start()?;
    let mut crowd = Crowd::connect(floor.address, |_| Ok(()))?;
    let mut publisher = TcpStream::connect(floor.address)?;
    publisher.set_nodelay(true)?;
    let frame = [b'x'; FRAME_BYTES];
    let cost = crowd.measure(floor.process.id(), window, |count| Ok(publisher.write_all(&frame.repeat(count))?));
    floor.process.kill()?;
    floor.process.wait()?;
    cost
}

/// The least a server can do, in a process of its own.
struct Floor {
    process: Child,
    address: SocketAddr,
}

impl Floor {
    fn start() -> Outcome<Self> {
        let mut process = Command::new(env::current_exe()?).arg("floor").stdout(Stdio::piped()).spawn()?;
        let mut line = [0; 64];
        let length = process.stdout.as_mut().ok_or("no output")?.read(&mut line)?;
        let address = std::str::from_utf8(&line[..length])?.trim().parse()?;
        Ok(Self { process, address })
    }
}

/// Takes [`CLIENTS`] connections and one more; what comes over the last is sent to all the others, one call for what
/// one read brought.
fn floor() -> Outcome<()> {
    pin(SERVER_CORE)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?);
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        let (client, _) = listener.accept()?;
        client.set_nodelay(true)?;
        client.set_nonblocking(true)?;
        clients.push(client);
    }
    let (mut publisher, _) = listener.accept()?;
    let mut events = vec![0; 64 * FRAME_BYTES];
    loop {
        let length = publisher.read(&mut events)?;
        if length == 0 {
            return Ok(());
        }
        for client in &mut clients {
            match client.write(&events[..length]) {
                Ok(sent) if sent == length => {}
                other => return Err(format!("a client that reads takes everything: {other:?}").into()),
            }
        }
    }
}

/// Clients that count bytes and nothing else, so that the tester is not what is measured.
struct Crowd {
    set: OwnedFd,
    clients: Vec<TcpStream>,
}

impl Crowd {
    fn connect(address: SocketAddr, greet: impl Fn(&mut TcpStream) -> io::Result<()>) -> Outcome<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(CLIENTS);
        for number in 0..CLIENTS {
            let mut client = TcpStream::connect(address)?;
            greet(&mut client)?;
            client.set_nonblocking(true)?;
            epoll::add(&set, &client, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            clients.push(client);
        }
        Ok(Self { set, clients })
    }

    /// Keeps `window` events on their way and says what the process `pid` spent per frame that arrived.
    fn measure(&mut self, pid: u32, window: u64, mut publish: impl FnMut(usize) -> Outcome<()>) -> Outcome<Cost> {
        self.run(window, 200, &mut publish)?;
        let (began, busy) = (Instant::now(), processor_time(pid)?);
        let mut events = 0;
        while began.elapsed() < Duration::from_secs(SECONDS_EACH) {
            events += self.run(window, 50, &mut publish)?;
        }
        let (elapsed, busy) = (began.elapsed(), processor_time(pid)?.saturating_sub(busy));
        let deliveries = f64::from(u32::try_from(events)?) * f64::from(u32::try_from(CLIENTS)?);
        Ok(Cost { microseconds: busy.as_secs_f64() * 1e6 / deliveries, per_second: deliveries / elapsed.as_secs_f64() })
    }

    /// Publishes at least `events` events, `window` at a time, and receives them all.
    fn run(&mut self, window: u64, events: u64, publish: &mut impl FnMut(usize) -> Outcome<()>) -> Outcome<u64> {
        let rounds = events.div_ceil(window);
        for _ in 0..rounds {
            publish(usize::try_from(window)?)?;
            self.receive(usize::try_from(window)? * FRAME_BYTES * CLIENTS)?;
        }
        Ok(rounds * window)
    }

    fn receive(&mut self, mut bytes: usize) -> Outcome<()> {
        let mut ready = Vec::with_capacity(CLIENTS);
        let mut scratch = vec![0; 64 * 1024];
        while bytes > 0 {
            ready.clear();
            epoll::wait(&self.set, rustix::buffer::spare_capacity(&mut ready), None)?;
            for event in &ready {
                let number = event.data.u64();
                match self.clients[usize::try_from(number)?].read(&mut scratch) {
                    Ok(0) => return Err("a client was closed".into()),
                    Ok(length) => bytes = bytes.checked_sub(length).ok_or("more came than was published")?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

/// User and system time of all threads of a process, to the nanosecond.
fn processor_time(pid: u32) -> Outcome<Duration> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        total += schedstat.split_whitespace().next().ok_or("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(rustix::thread::sched_setaffinity(None, &cores)?)
}
