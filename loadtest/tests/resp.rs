//! What the embedded broker answers to those who speak RESP badly, or not at all.

use loadtest::{Client, Launch, RawSocket, Server};
use std::time::Duration;

/// What is sent, how the reply begins, and whether the connection ends then.
const TABLE: &[(&[u8], &[u8], End)] = &[
    (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", End::No),
    (b"PING\r\n", b"+PONG\r\n", End::No),
    (b"ping hello\r\n", b"$5\r\nhello\r\n", End::No),
    (b"\r\n\r\nPING\r\n", b"+PONG\r\n", End::No),
    (b"*0\r\nPING\r\n", b"+PONG\r\n", End::No),
    (b"PING\r\nPING\r\n", b"+PONG\r\n+PONG\r\n", End::No),
    (b"PUBLISH workflow:events:nobody x\r\n", b":0\r\n", End::No),
    (b"PUBLISH workflow:events:nobody \"a b\"\r\n", b":0\r\n", End::No),
    (b"*2\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n", b"-ERR wrong number of arguments", End::No),
    (b"*1\r\n$7\r\nPUBLISH\r\n", b"-ERR wrong number of arguments", End::No),
    (b"*1\r\n$9\r\nSUBSCRIBE\r\n", b"-ERR wrong number of arguments", End::No),
    (b"*1\r\n$7\r\nFLUSHDB\r\n", b"-ERR unknown command", End::No),
    (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", b"-ERR unknown command", End::No),
    (b"EVAL return 0\r\n", b"-ERR unknown command", End::No),
    (b"*1\r\n$0\r\n\r\n", b"-ERR unknown command", End::No),
    (b"*1\r\n$4\r\nQUIT\r\n", b"+OK\r\n", End::Yes),
    (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length", End::Yes),
    (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length", End::Yes),
    (b"*1\r\nPING\r\n", b"-ERR Protocol error: expected '$', got 'P'", End::Yes),
    (b"*1\r\n$-1\r\n", b"-ERR Protocol error: invalid bulk length", End::Yes),
    (b"*1\r\n$x\r\n", b"-ERR Protocol error: invalid bulk length", End::Yes),
    (b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$536870912\r\n", b"-ERR Protocol error: invalid bulk length", End::Yes),
    (
        b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$99999999999999999999\r\n",
        b"-ERR Protocol error: invalid bulk length",
        End::Yes,
    ),
    (b"PUBLISH \"unbalanced\r\n", b"-ERR Protocol error: unbalanced quotes in request", End::Yes),
    // A web page that may not publish: Redis cuts it, and so does this.
    (b"POST /publish HTTP/1.1\r\nHost: localhost\r\n\r\nPING\r\n", b"", End::Yes),
    (b"Host: localhost\r\nPING\r\n", b"", End::Yes),
];

#[derive(Clone, Copy, PartialEq)]
enum End {
    Yes,
    No,
}

fn server() -> Server {
    Launch::embedded().start().unwrap()
}

#[test]
fn each_request_gets_the_reply_that_redis_would_give() {
    let server = server();
    for (request, reply, end) in TABLE {
        let shown = request.escape_ascii();
        let mut socket = RawSocket::connect(server.broker).unwrap();
        socket.send(request).unwrap();
        if *end == End::No {
            // The stream is in order as long as the next request gets its reply behind this one.
            socket.send(b"*2\r\n$4\r\nPING\r\n$4\r\nlast\r\n").unwrap();
            socket.finish_sending().unwrap();
        }
        let rest = socket.rest(Duration::from_secs(20));
        assert!(rest.has_ended, "{shown}: still open");
        assert!(rest.bytes.starts_with(reply), "{shown} was answered with {}", rest.bytes.escape_ascii());
        let goes_on = rest.bytes.ends_with(b"$4\r\nlast\r\n");
        assert_eq!(goes_on, *end == End::No, "{shown} was answered with {}", rest.bytes.escape_ascii());
    }
}

#[test]
fn requests_cut_anywhere_and_never_finished_cost_no_memory_and_no_service() {
    let server = server();
    let mut client = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 1);
    let before = server.resident_bytes().unwrap();
    // A hundred promises of 15 MiB each, none of them kept.
    let mut unfinished = Vec::new();
    for _ in 0..100 {
        let mut socket = RawSocket::connect(server.broker).unwrap();
        socket.send(b"*3\r\n$7\r\nPUBLISH\r\n$21\r\nworkflow:events:alice\r\n$15728640\r\nx").unwrap();
        unfinished.push(socket);
    }
    let mut publisher = server.publisher().unwrap();
    for cut in 1..20 {
        let mut socket = RawSocket::connect(server.broker).unwrap();
        socket.send(&b"*3\r\n$7\r\nPUBLISH\r\n$21\r\n"[..cut]).unwrap();
    }
    assert_eq!(publisher.publish("alice", "unharmed").unwrap(), 1);
    assert_eq!(client.text().as_deref(), Some("unharmed"));
    let grown = server.resident_bytes().unwrap().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for promises");
}

#[test]
fn random_bytes_never_harm_the_broker() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(0x4e59);
    let seeds: [&[u8]; 3] = [
        b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"PUBLISH a \"b c\"\r\n",
        b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\n*\r\n",
    ];
    for _ in 0..300 {
        let mut bytes = seeds[random.usize(..seeds.len())].repeat(3);
        for _ in 0..random.usize(1..5) {
            let place = random.usize(..bytes.len());
            bytes[place] = random.u8(..);
        }
        let mut socket = RawSocket::connect(server.broker).unwrap();
        socket.send(&bytes).unwrap();
    }
    let mut publisher = server.publisher().unwrap();
    assert_eq!(publisher.publish("nobody", "x").unwrap(), 0);
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_and_the_others_go_on() {
    let server = Launch::embedded().option("--outbound-max", "1MiB").start().unwrap();
    let mut stalled = RawSocket::connect_narrow(server.broker, 4096).unwrap();
    stalled.send(b"PSUBSCRIBE workflow:events:*\r\n").unwrap();
    let mut client = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    let event = "x".repeat(256 * 1024);
    loadtest::eventually("the stalled subscriber is cut", || {
        let receivers = publisher.publish("alice", &event).unwrap();
        assert_eq!(client.text().map(|text| text.len()), Some(event.len()));
        (receivers == 1).then_some(())
    });
}
