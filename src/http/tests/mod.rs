//! The front over real sockets, one client at a time, on a pretend clock.

mod admission;
mod answers;
mod audiences;
mod console;
mod deadlines;
mod dismissals;
mod doors;
mod events;
mod gate;
mod upgrades;

use super::*;
use crate::engine::placement::Placement;
use crate::engine::protocol::{Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat};
use crate::engine::topic::TopicHasher;
use crate::mesh::NodeId;
use crate::metrics::Registry;
use crate::wire::close::CloseCode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

const LOCAL: &str = "127.0.0.1:50000";

/// What a request for a connection must have, with the key that is RFC 6455's example (§1.3).
const UPGRADE: &str = "Host: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A family that admits who says `ok=1`.
struct Stub;

impl Protocol for Stub {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }

    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}

    fn received(&mut self, _message: ClientMessage<'_>, _actions: &mut Actions) {}

    fn notice(&self, _notice: &Notice) -> Option<Bytes> {
        None
    }

    fn closed(&self, _seat: &Seat<'_>, _code: CloseCode) {}
}

fn stub(path: &str) -> Family {
    let admit = |request: &Request<'_>| -> Result<Admission, Decline> {
        let query = request.query().map_err(|bad| Refusal::bad_request(bad.to_string(), "ok=1"))?;
        match query.unique("ok") {
            Ok(Some(value)) if value == "1" => {
                Ok(Admission { protocol: Box::new(Stub), placement: Placement::Anywhere })
            }
            _ => Err(Refusal::new(403, "not ok", "ok=1").into()),
        }
    };
    let page: Page = Box::new(|site| Response::json(200, &serde_json::json!({ "version": site.settings.version })));
    let pages = vec![(format!("{path}/about"), page)];
    Family {
        name: "stub",
        path: path.to_owned(),
        prefix: None,
        access: Access::Everyone,
        pages,
        admit: Box::new(admit),
    }
}

fn site() -> Site {
    Site {
        families: vec![stub("/ws")],
        hasher: TopicHasher::with_key((1, 2)),
        registry: Registry::new(2, "embedded"),
        settings: HttpSettings {
            allowed_origins: None,
            admin_token: None,
            publish_prefix: "workflow:events:".to_owned(),
            event_bytes_max: 100_000,
            connections_max: 10,
            overload_after: None,
            metrics_are_apart: false,
            trusted_proxies: Vec::new(),
            version: "1.2.3",
        },
        node: NodeId::shard(1),
        keyring: None,
        census: Census::default(),
    }
}

/// One client, and the front it talks to.
struct Visit {
    front: Front,
    client: TcpStream,
    key: ExchangeKey,
    now: Tick,
    scratch: Vec<u8>,
}

impl Visit {
    fn new() -> Self {
        Self::to(site(), LOCAL)
    }

    /// A connection that claims to come from `peer`.
    fn to(site: Site, peer: &str) -> Self {
        Self::through(Audience::Clients, site, peer)
    }

    /// A connection through the listener for these.
    fn through(audience: Audience, site: Site, peer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let socket = listener.accept().unwrap().0;
        socket.set_nonblocking(true).unwrap();
        client.set_nodelay(true).unwrap();
        socket.set_nodelay(true).unwrap();
        let now = Tick::default();
        let mut front = Front::new(site, now);
        let key = front.accepted(socket, peer.parse().unwrap(), audience, now);
        Self { front, client, key, now, scratch: vec![0; 64 * 1024] }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).unwrap();
    }

    /// Waits until the socket is what the exchange waits for, and tells the front.
    fn turn(&mut self) -> Step {
        let flags = match self.front.interest(self.key) {
            Interest::Readable => PollFlags::IN,
            Interest::Writable => PollFlags::OUT,
            Interest::Nothing => panic!("there is nothing to wait for"),
        };
        let socket = self.front.socket(self.key);
        let ready = poll(&mut [PollFd::new(socket, flags)], Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap();
        assert_eq!(ready, 1, "nothing happens");
        match flags {
            PollFlags::OUT => self.front.writable(self.key, self.now),
            _ => self.front.readable(self.key, &mut self.scratch, self.now),
        }
    }

    /// Sends, and turns until the front has answered all there is.
    fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.turn();
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        self.reply_to(Method::Get)
    }

    fn reply_to(&mut self, method: Method) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply { status, head, body: String::new() };
        let length = if method == Method::Head { 0 } else { reply.length() };
        let mut body = vec![0; length];
        self.client.read_exact(&mut body).unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    /// Whether the server has ended its side, with nothing more to read.
    fn has_ended(&mut self) -> bool {
        matches!(self.client.read(&mut [0]), Ok(0))
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.front.tick(self.now);
    }

    /// Whether the exchange is there so much later.
    fn is_there_after(&mut self, time: Duration) -> bool {
        self.wait(time);
        !self.front.is_empty()
    }
}

/// What the client got.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn length(&self) -> usize {
        self.field("content-length").map_or(0, |length| length.parse().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the page is JSON")
    }
}

/// What a client got that asked for a connection: that, or the answer.
fn knock(site: Site, peer: &str, request: impl AsRef<[u8]>) -> (Visit, Result<Box<Adoption>, Reply>) {
    let mut visit = Visit::to(site, peer);
    visit.send(request);
    let outcome = match visit.turn() {
        Step::Upgrade(adoption) => Ok(adoption),
        _ => Err(visit.reply()),
    };
    (visit, outcome)
}

/// Who was turned away: for which reasons, and how often.
fn refused(visit: &Visit) -> Vec<(Refused, u64)> {
    let entrance = &visit.front.site.metrics().entrance;
    let counts = Refused::ALL.map(|reason| (reason, entrance.refused(reason).get()));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// A request for a connection, with these fields beside those that it must have.
fn upgrade(query: &str, fields: &str) -> String {
    format!("GET /ws{query} HTTP/1.1\r\n{UPGRADE}{fields}\r\n")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost:8084\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost:8084\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_exchange_is_small_and_owns_no_heap_while_it_is_idle() {
    assert!(size_of::<Exchange>() <= 160, "{}", size_of::<Exchange>());
    assert!(size_of::<Exchange>() + size_of::<(u32, Tick, Due)>() <= 300, "with its key and its deadline");
    let mut visit = Visit::new();
    visit.send(&get("/health")[..20]);
    visit.turn();
    assert!(visit.front.exchanges[visit.key].owns_heap(), "a part of a head is kept");
    visit.ask(&get("/health")[20..]);
    assert!(!visit.front.exchanges[visit.key].owns_heap());
}
