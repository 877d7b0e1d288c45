//! Those who begin and do not go on, and those who fall silent.

use loadtest::{Client, Launch, Opcode, PATIENCE, RawSocket, Received, Server, eventually};
use std::time::{Duration, Instant};
use std::{iter, thread};

/// Connections that send a byte a second; `scripts/storm` takes 5 000.
const SLOW: usize = 500;

/// Between two bytes of theirs: many of them fit into the five seconds that a head may take.
const DRIP: Duration = Duration::from_secs(1);

/// How long events are measured without them.
const CALM: Duration = Duration::from_secs(5);

#[test]
fn a_thousand_sockets_that_send_one_byte_and_stop_are_all_cut() {
    let server = Launch::embedded().start().unwrap();
    let mut sockets = begin(&server, 1_000);
    assert_eq!(server.get("/health").unwrap().status, 200, "others are served meanwhile");
    // Five seconds are allowed for a head; a loaded machine gets twice as long to notice.
    let deadline = Instant::now() + Duration::from_secs(12);
    for (number, socket) in sockets.iter_mut().enumerate() {
        let patience = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        assert!(socket.rest(patience).has_ended, "socket {number} is still open");
    }
}

#[test]
fn a_head_that_drips_in_byte_by_byte_has_the_same_deadline() {
    let server = Launch::embedded().start().unwrap();
    let mut socket = RawSocket::connect(server.address).unwrap();
    let begun = Instant::now();
    let mut drip = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ".iter().chain(iter::repeat(&b'x'));
    let has_ended = iter::repeat_with(|| {
        // A cut connection refuses the byte or shows its end.
        let sent = socket.send(&[*drip.next().expect("it repeats")]);
        sent.is_err() || socket.rest(Duration::from_millis(200)).has_ended
    })
    .find(|&has_ended| has_ended || begun.elapsed() > PATIENCE);
    assert_eq!(has_ended, Some(true), "a byte every fifth of a second keeps it open");
}

/// Connections that have begun a handshake.
fn begin(server: &Server, connections: usize) -> Vec<RawSocket> {
    let begun = |_| {
        let mut socket = RawSocket::connect(server.address).unwrap();
        socket.send(b"G").unwrap();
        socket
    };
    (0..connections).map(begun).collect()
}

/// Gives each of them another byte now and then, for as long as the server takes any, but not for ever; how many it took.
fn drip(mut sockets: Vec<RawSocket>) -> usize {
    let request = b"ET /ws?username=slow HTTP/1.1\r\nHost: localhost\r\nX: ";
    let mut request = request.iter().chain(iter::repeat(&b'x'));
    let (mut taken, begun) = (0, Instant::now());
    while !sockets.is_empty() && begun.elapsed() < PATIENCE {
        thread::sleep(DRIP);
        let byte = [*request.next().expect("it repeats")];
        sockets.retain_mut(|socket| socket.send(&byte).is_ok());
        taken += sockets.len();
    }
    taken
}

/// How long events took, one after the other until it is over: the half and the one of a hundred that took longest.
fn latencies(server: &Server, client: &mut Client, mut is_over: impl FnMut() -> bool) -> String {
    let mut publisher = server.publisher().unwrap();
    let mut took: Vec<Duration> = Vec::new();
    while took.is_empty() || !is_over() {
        let (number, begun) = (took.len().to_string(), Instant::now());
        publisher.publish("bystander", &number).unwrap();
        assert_eq!(client.text(), Some(number));
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let events = took.len();
    format!("half of {events} events within {:?}, 99 % within {:?}", took[events / 2], took[events * 99 / 100])
}

#[test]
fn slow_handshakes_are_cut_and_counted_and_cost_nobody_anything() {
    let slow = std::env::var("FANOUT_SLOW_HANDSHAKES").map_or(SLOW, |text| text.parse().unwrap());
    let server = Launch::embedded().start().unwrap();
    let mut bystander = Client::listen(server.address, "bystander").unwrap();
    let calm_ends = Instant::now() + CALM;
    println!("calm: {}", latencies(&server, &mut bystander, || Instant::now() >= calm_ends));
    thread::scope(|scope| {
        let sockets = begin(&server, slow);
        let drip = scope.spawn(|| drip(sockets));
        let begun = Instant::now();
        let mut newcomer = Client::listen(server.address, "newcomer").unwrap();
        println!("with {slow} slow handshakes: a client connects within {:?}", begun.elapsed());
        println!("with {slow} slow handshakes: {}", latencies(&server, &mut bystander, || drip.is_finished()));
        server.publisher().unwrap().publish("newcomer", "hello").unwrap();
        assert_eq!(newcomer.text().as_deref(), Some("hello"));
        assert!(drip.join().unwrap() >= 2 * slow, "they went on byte by byte while events were measured");
    });
    let timeouts = || server.metric("fanout_http_timeouts_total");
    eventually("all are cut for their slowness", || (timeouts() == slow as u64).then_some(()));
    server.wait_until("/total/connections", 1);
}

#[test]
fn a_client_that_answers_pings_stays_and_a_silent_one_is_closed_with_1008() {
    let server = Launch::embedded().option("--ping-interval", "1s").option("--pong-timeout", "1s").start().unwrap();
    let mut answering = Client::listen(server.address, "answering").unwrap();
    let mut silent = RawSocket::upgraded(server.address, "/ws?username=silent").unwrap();
    let pings = (0..4).map(|_| answering.receive(PATIENCE)).filter(|received| *received == Received::Ping).count();
    assert_eq!(pings, 4);
    assert_eq!(silent.frame().unwrap().0, Opcode::PING);
    assert_eq!(silent.close_code(), Some(1008));
    server.wait_until("/total/closed/1008", 1);
    server.wait_until("/total/connections", 1);
    server.publisher().unwrap().publish("answering", "still here").unwrap();
    assert_eq!(answering.text().as_deref(), Some("still here"));
}
