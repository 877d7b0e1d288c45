//! Those who begin and do not go on, and those who fall silent.

use loadtest::{Client, Launch, Opcode, PATIENCE, RawSocket, Received};
use std::time::{Duration, Instant};

#[test]
fn a_thousand_sockets_that_send_one_byte_and_stop_are_all_cut() {
    let server = Launch::embedded().start().unwrap();
    let mut sockets: Vec<_> = (0..1_000)
        .map(|_| {
            let mut socket = RawSocket::connect(server.address).unwrap();
            socket.send(b"G").unwrap();
            socket
        })
        .collect();
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
    let mut drip = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
    let has_ended = std::iter::repeat_with(|| {
        // A cut connection refuses the byte or shows its end.
        let sent = socket.send(&[*drip.next().expect("it repeats")]);
        sent.is_err() || socket.rest(Duration::from_millis(200)).has_ended
    })
    .find(|&has_ended| has_ended || begun.elapsed() > PATIENCE);
    assert_eq!(has_ended, Some(true), "a byte every fifth of a second keeps it open");
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
