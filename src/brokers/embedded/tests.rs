//! The embedded broker as its clients meet it: raw RESP over loopback.

use super::{CLIENTS_MAX, Embedded};
use crate::brokers::redis::{Redis, Subscribing};
use crate::brokers::stage::Stage;
use crate::config::RedisAddress;
use crate::engine::protocol::PublishError;
use crate::metrics::Drop;
use crate::wire::resp::command;
use bytes::BytesMut;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const EVENT_BYTES_MAX: usize = 100_000;
const OUTBOUND_BYTES_MAX: usize = 300_000;

fn embedded() -> (Stage, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut stage = Stage::with(move |status| Embedded::new(listener, EVENT_BYTES_MAX, OUTBOUND_BYTES_MAX, status));
    stage.await_connected(true);
    (stage, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    stream
}

/// Sends `request` and checks that exactly `reply` comes.
fn check(stream: &mut TcpStream, request: &[u8], reply: &str) {
    stream.write_all(request).expect("open");
    let mut received = vec![0; reply.len()];
    let outcome = stream.read_exact(&mut received);
    let asked = request[..request.len().min(200)].escape_ascii();
    assert_eq!(String::from_utf8_lossy(&received), reply, "{asked} ({outcome:?})");
}

fn check_closed(stream: &mut TcpStream, why: &str) {
    let outcome = stream.read(&mut [0; 16]);
    let is_closed = match &outcome {
        Ok(bytes) => *bytes == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(is_closed, "{why}: {outcome:?}");
}

const HELLO_2: &str = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n\
     $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

#[test]
fn commands_are_answered_as_redis_answers_them() {
    let (_stage, address) = embedded();
    let long_channel = format!("PUBLISH {} x\r\n", "c".repeat(513));
    let long_pattern = format!("PSUBSCRIBE {}\r\n", "c".repeat(258));
    let hello_3 = HELLO_2.replacen("*14", "%7", 1).replacen(":2", ":3", 1);
    let table: &[(&str, &str)] = &[
        ("HELLO\r\n", HELLO_2),
        ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
        ("ping hi\r\n", "$2\r\nhi\r\n"),
        ("ping a b\r\n", "-ERR wrong number of arguments for 'ping' command\r\n"),
        ("ECHO \"a b\"\r\n", "$3\r\na b\r\n"),
        ("PING\r\nECHO x\r\nPING\r\n", "+PONG\r\n$1\r\nx\r\n+PONG\r\n"),
        ("\r\nPING\r\n", "+PONG\r\n"),
        ("get a\r\n", "-ERR unknown command 'get', with args beginning with: 'a' \r\n"),
        ("FOO\r\n", "-ERR unknown command 'FOO', with args beginning with: \r\n"),
        ("*2\r\n$3\r\nfoo\r\n$3\r\na\r\n\r\n", "-ERR unknown command 'foo', with args beginning with: 'a  ' \r\n"),
        ("PUBLISH a\r\n", "-ERR wrong number of arguments for 'publish' command\r\n"),
        ("SUBSCRIBE\r\n", "-ERR wrong number of arguments for 'subscribe' command\r\n"),
        ("PUBLISH a b\r\n", ":0\r\n"),
        (&long_channel, "-ERR a channel name has at most 512 bytes\r\n"),
        (&long_pattern, "-ERR a pattern has at most 257 bytes\r\n"),
        ("SELECT 0\r\nSELECT 15\r\n", "+OK\r\n+OK\r\n"),
        ("SELECT 16\r\n", "-ERR DB index is out of range\r\n"),
        ("SELECT x\r\n", "-ERR value is not an integer or out of range\r\n"),
        ("AUTH default any\r\n", "+OK\r\n"),
        ("AUTH joe any\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        (
            "AUTH any\r\n",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?\r\n",
        ),
        ("CLIENT GETNAME\r\n", "$-1\r\n"),
        ("CLIENT SETNAME joe\r\nCLIENT GETNAME\r\n", "+OK\r\n$3\r\njoe\r\n"),
        ("CLIENT SETNAME \"a b\"\r\n", "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
        ("CLIENT SETINFO LIB-NAME redis-py\r\nCLIENT SETINFO LIB-VER 5.0\r\n", "+OK\r\n+OK\r\n"),
        ("CLIENT SETINFO other x\r\n", "-ERR Unrecognized option 'other'\r\n"),
        ("CLIENT KILL x\r\n", "-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n"),
        ("CLIENT SETNAME\r\n", "-ERR wrong number of arguments for 'client|setname' command\r\n"),
        ("HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n"),
        ("HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("HELLO 3 FOO\r\n", "-ERR Syntax error in HELLO option 'FOO'\r\n"),
        ("COMMAND DOCS\r\nCOMMAND COUNT\r\n", "*0\r\n:18\r\n"),
        ("PUBSUB CHANNELS\r\nPUBSUB NUMSUB a\r\nPUBSUB NUMPAT\r\n", "*0\r\n*2\r\n$1\r\na\r\n:0\r\n:0\r\n"),
        ("SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
        ("SUBSCRIBE a\r\nPING\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
        (
            "PSUBSCRIBE a* b*\r\nPUNSUBSCRIBE a*\r\nUNSUBSCRIBE\r\n",
            "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\nb*\r\n:2\r\n\
             *3\r\n$12\r\npunsubscribe\r\n$2\r\na*\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:1\r\n",
        ),
        (
            "SUBSCRIBE a\r\nPUBLISH a b\r\n",
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n-ERR Can't execute 'publish': only (P|S)SUBSCRIBE / \
             (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n",
        ),
        ("SUBSCRIBE a\r\nRESET\r\nPUBLISH a b\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+RESET\r\n:0\r\n"),
        (
            "HELLO 3\r\nSUBSCRIBE a\r\nPUBLISH a b\r\nPING\r\nUNSUBSCRIBE a\r\nUNSUBSCRIBE\r\n",
            &format!(
                "{hello_3}>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n\
                 +PONG\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n>3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"
            ),
        ),
    ];
    for (index, (request, reply)) in table.iter().enumerate() {
        let reply = reply.replace("$2\r\nid\r\n:1\r\n", &format!("$2\r\nid\r\n:{}\r\n", index + 1));
        check(&mut connect(address), request.as_bytes(), &reply);
    }
}

#[test]
fn a_connection_that_is_not_understood_is_told_why_and_closed() {
    let (_stage, address) = embedded();
    let endless_line = vec![b'a'; 70_000];
    let endless_count = format!("*{}", "1".repeat(70_000)).into_bytes();
    let table: &[(&[u8], &str)] = &[
        (b"QUIT\r\nPING\r\n", "+OK\r\n"),
        (b"*1\r\n$536870912\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1048577\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        (b"PING\r\n*1\r\n:1\r\n", "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"ECHO \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
        (&endless_line, "-ERR Protocol error: too big inline request\r\n"),
        (&endless_count, "-ERR Protocol error: too big mbulk count string\r\n"),
        (b"POST / HTTP/1.1\r\n", ""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", ""),
        (b"*2\r\n$5\r\nhost:\r\n$1\r\nx\r\n", ""),
    ];
    for (request, reply) in table {
        let mut stream = connect(address);
        check(&mut stream, request, reply);
        check_closed(&mut stream, &request[..request.len().min(40)].escape_ascii().to_string());
    }
}

#[test]
fn what_client_libraries_look_for_is_in_info() {
    let (_stage, address) = embedded();
    let mut stream = connect(address);
    stream.write_all(b"*1\r\n$4\r\nINFO\r\n*1\r\n$4\r\nQUIT\r\n").unwrap();
    let mut info = String::new();
    stream.read_to_string(&mut info).unwrap();
    for line in ["redis_version:7.0.0", "loading:0", "role:master", "redis_mode:standalone", "connected_clients:1"] {
        assert!(info.contains(&format!("\r\n{line}\r\n")), "{line} in {info}");
    }
    check(&mut connect(address), b"CLIENT LIST\r\n", "$");
}

/// A request, its reply, and the event that comes of it as topic and payload.
type Row = (&'static [u8], &'static str, Option<(&'static str, &'static str)>);

#[test]
fn an_event_reaches_connections_and_subscribers_and_its_publisher_learns_how_many() {
    let (mut stage, address) = embedded();
    let (mut publisher, mut subscriber) = (connect(address), connect(address));
    stage.follow("workflow:events:alice", 3);
    check(&mut subscriber, b"PSUBSCRIBE workflow:*\r\n", "*3\r\n$10\r\npsubscribe\r\n$10\r\nworkflow:*\r\n:1\r\n");
    let table: &[Row] = &[
        (b"PUBLISH workflow:events:alice {}\r\n", ":4\r\n", Some(("workflow:events:alice", "{}"))),
        (
            b"*3\r\n$7\r\npublish\r\n$21\r\nworkflow:events:alice\r\n$5\r\n\"\xc3\xa9 \"\r\n",
            ":4\r\n",
            Some(("workflow:events:alice", "\"é \"")),
        ),
        (
            b"*3\r\n$7\r\nPUBLISH\r\n$21\r\nworkflow:events:alice\r\n$0\r\n\r\n",
            ":4\r\n",
            Some(("workflow:events:alice", "")),
        ),
        (b"PUBLISH workflow:events:bob {}\r\n", ":1\r\n", None),
        (b"PUBLISH other:alice {}\r\n", ":0\r\n", None),
        (b"*3\r\n$7\r\nPUBLISH\r\n$21\r\nworkflow:events:alice\r\n$1\r\n\xff\r\n", ":1\r\n", None),
    ];
    for (request, reply, event) in table {
        check(&mut publisher, request, reply);
        if let Some((topic, payload)) = event {
            assert_eq!(stage.event(), ((*topic).to_owned(), (*payload).to_owned()));
        }
    }
    assert!(!stage.has_event());
    assert_eq!(stage.metrics.dropped(Drop::NotUtf8).get(), 1);
    let mut heard = vec![0; 4 * 1024];
    let mut heard_bytes = 0;
    while heard[..heard_bytes].windows(8).filter(|window| window == b"pmessage").count() < 5
        || !heard[..heard_bytes].ends_with(b"\xff\r\n")
    {
        heard_bytes += subscriber.read(&mut heard[heard_bytes..]).expect("all five");
    }
}

#[test]
fn large_events_pass_up_to_their_limit() {
    let (mut stage, address) = embedded();
    let mut publisher = connect(address);
    stage.follow("a", 1);
    let publish = |bytes: usize| {
        let mut request = BytesMut::new();
        command::encode(&mut request, &[b"PUBLISH", b"a", &vec![b'x'; bytes]]);
        request
    };
    for bytes in [1, 125, 126, 16_000, 65_535, 65_536, EVENT_BYTES_MAX] {
        check(&mut publisher, &publish(bytes), ":1\r\n");
        assert_eq!(stage.event().1.len(), bytes);
    }
    let refusal =
        format!("-ERR the message has {} bytes, the limit is {EVENT_BYTES_MAX} bytes\r\n", EVENT_BYTES_MAX + 1);
    check(&mut publisher, &publish(EVENT_BYTES_MAX + 1), &refusal);
    check(&mut publisher, b"PING\r\n", "+PONG\r\n");
    assert_eq!(stage.metrics.dropped(Drop::EventTooBig).get(), 1);
}

#[test]
fn many_events_in_one_go_arrive_in_order() {
    let (mut stage, address) = embedded();
    stage.follow("a", 1);
    let mut random = fastrand::Rng::with_seed(21);
    let payloads: Vec<String> =
        (0..10_000).map(|number| format!("{number}:{}", "y".repeat(random.usize(0..400)))).collect();
    let mut writer = connect(address);
    let mut reader = writer.try_clone().unwrap();
    let mut requests = BytesMut::new();
    for payload in &payloads {
        command::encode(&mut requests, &[b"PUBLISH", b"a", payload.as_bytes()]);
    }
    let sending = std::thread::spawn(move || writer.write_all(&requests));
    for payload in &payloads {
        assert_eq!(stage.event().1, *payload);
    }
    check(&mut reader, b"", &":1\r\n".repeat(payloads.len()));
    sending.join().expect("no panic").expect("all written");
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_and_delays_nobody() {
    let (mut stage, address) = embedded();
    let (mut slow, mut publisher) = (connect(address), connect(address));
    check(&mut slow, b"SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    let publish = format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$50000\r\n{}\r\n", "x".repeat(50_000)).into_bytes();
    let mut events = 0;
    while stage.metrics.dropped(Drop::SlowConsumer).get() == 0 {
        publisher.write_all(&publish).expect("open");
        publisher.read_exact(&mut [0; 4]).expect("an answer");
        events += 1;
        assert!(events < 2_000, "the kernel takes some megabytes, not more");
    }
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < events * publish.len(), "not everything arrived");
    stage.wait("end of the subscription", |_| {
        publisher.write_all(&publish).expect("open");
        let mut reply = [0; 4];
        publisher.read_exact(&mut reply).expect("an answer");
        (&reply == b":0\r\n").then_some(())
    });
}

#[test]
fn replies_that_are_not_fetched_stop_further_questions_and_are_not_lost() {
    let (_stage, address) = embedded();
    let mut writer = connect(address);
    let mut reader = writer.try_clone().unwrap();
    let word = "z".repeat(10_000);
    let request = format!("*2\r\n$4\r\nECHO\r\n$10000\r\n{word}\r\n");
    let sending = std::thread::spawn(move || (0..3_000).try_for_each(|_| writer.write_all(request.as_bytes())));
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..3_000 {
        check(&mut reader, b"", &format!("$10000\r\n{word}\r\n"));
    }
    sending.join().expect("no panic").expect("all written");
}

#[test]
fn a_client_too_many_is_turned_away_in_words() {
    let (_stage, address) = embedded();
    let mut clients: Vec<TcpStream> = (0..CLIENTS_MAX).map(|_| connect(address)).collect();
    for client in [0, CLIENTS_MAX - 1] {
        check(&mut clients[client], b"PING\r\n", "+PONG\r\n");
    }
    let mut stream = connect(address);
    check(&mut stream, b"", "-ERR max number of clients reached\r\n");
    check_closed(&mut stream, "one too many");
    drop(clients);
    while connect(address).write_all(b"PING\r\n").is_err() {}
}

#[test]
fn events_from_this_instances_clients_go_the_same_way() {
    let (mut stage, address) = embedded();
    let mut subscriber = connect(address);
    check(&mut subscriber, b"SUBSCRIBE a\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    stage.follow("a", 2);
    stage.publish("a", "hello", 7);
    assert_eq!(stage.outcome(), (7, Ok(3)));
    assert_eq!(stage.event(), ("a".to_owned(), "hello".to_owned()));
    check(&mut subscriber, b"", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n");
    stage.publish("a", &"x".repeat(EVENT_BYTES_MAX + 1), 8);
    assert_eq!(stage.outcome(), (8, Err(PublishError::Refused)));
}

#[test]
fn a_second_instance_shares_the_events_of_the_first() {
    check_second_instance(Subscribing::Patterns(vec!["workflow:events:*".to_owned()]));
}

#[test]
fn a_second_instance_may_follow_channel_by_channel() {
    check_second_instance(Subscribing::Channels { linger: Duration::from_secs(10) });
}

fn check_second_instance(subscribing: Subscribing) {
    let (mut first, address) = embedded();
    let settings = RedisAddress { host: "localhost".to_owned(), port: address.port(), username: None, password: None };
    let mut second = Stage::with(move |status| Redis::new(settings, subscribing, EVENT_BYTES_MAX, status));
    second.await_connected(true);
    first.follow("workflow:events:alice", 1);
    second.follow("workflow:events:alice", 1);
    check(&mut connect(address), b"PUBLISH workflow:events:alice 1\r\n", ":2\r\n");
    let expected = |payload: &str| ("workflow:events:alice".to_owned(), payload.to_owned());
    assert_eq!((first.event(), second.event()), (expected("1"), expected("1")));
    first.publish("workflow:events:alice", "2", 2);
    assert_eq!(first.outcome(), (2, Ok(2)));
    assert_eq!((first.event(), second.event()), (expected("2"), expected("2")));
    second.wait("connection for publishing", |second| {
        second.publish("workflow:events:alice", "3", 3);
        second.outcome().1.ok()
    });
    assert_eq!((first.event(), second.event()), (expected("3"), expected("3")));
    // Longer than three quiet periods: pings to a subscriber must be answered.
    std::thread::sleep(Duration::from_millis(3_500));
    assert!(second.status.is_connected());
    assert_eq!(second.status.reconnects(), 0);
}
