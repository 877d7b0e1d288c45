//! RFC 6455 on the real connection code: what is answered, and what ends a connection with which code.

use loadtest::{Client, ClientFrame, Launch, Opcode, RawSocket, Received, Server};
use std::time::Duration;
use tungstenite::Message;

const TARGETS: [&str; 2] = ["/echo", "/ws?username=alice"];

fn server() -> Server {
    Launch::embedded().option("--echo-path", "/echo").option("--client-messages-per-second", "0").start().unwrap()
}

fn text(payload: &str) -> ClientFrame {
    ClientFrame::new(Opcode::TEXT, payload)
}

fn bytes(frames: &[ClientFrame]) -> Vec<u8> {
    frames.iter().flat_map(ClientFrame::bytes).collect()
}

#[test]
fn frames_that_break_the_rfc_end_the_connection_with_the_code_they_earn() {
    let ping = |length| ClientFrame::new(Opcode::PING, vec![0; length]);
    let more = |payload: &[u8]| ClientFrame::new(Opcode::CONTINUATION, payload);
    let table: Vec<(&str, Vec<ClientFrame>, u16)> = vec![
        ("not masked", vec![text("x").unmasked()], 1002),
        ("RSV1 without an extension", vec![text("x").with_bits(0x40)], 1002),
        ("RSV2", vec![text("x").with_bits(0x20)], 1002),
        ("RSV3 on a ping", vec![ping(0).with_bits(0x10)], 1002),
        ("reserved opcode 3", vec![ClientFrame::new(Opcode(0x3), "x")], 1002),
        ("reserved opcode 7", vec![ClientFrame::new(Opcode(0x7), "")], 1002),
        ("reserved opcode 11", vec![ClientFrame::new(Opcode(0xB), "")], 1002),
        ("reserved opcode 15", vec![ClientFrame::new(Opcode(0xF), "")], 1002),
        ("a ping of 126 bytes", vec![ping(126)], 1002),
        ("a ping in parts", vec![ping(1).unfinished()], 1002),
        ("a close in parts", vec![ClientFrame::close(1000, "").unfinished()], 1002),
        ("a length of 5 in 16 bits", vec![text("Hello").claiming_16(5)], 1002),
        ("a length of 5 in 64 bits", vec![text("Hello").claiming_64(5)], 1002),
        ("a length with the top bit", vec![text("").claiming_64(1 << 63)], 1002),
        ("nothing to continue", vec![more(b"x")], 1002),
        ("text within a message", vec![text("a").unfinished(), text("b")], 1002),
        ("continuing a finished message", vec![text("a").unfinished(), more(b"b"), more(b"c")], 1002),
        ("a close of one byte", vec![ClientFrame::new(Opcode::CLOSE, [3])], 1002),
        ("close code 0", vec![ClientFrame::close(0, "")], 1002),
        ("close code 999", vec![ClientFrame::close(999, "")], 1002),
        ("close code 1004", vec![ClientFrame::close(1004, "")], 1002),
        ("close code 1005", vec![ClientFrame::close(1005, "")], 1002),
        ("close code 1006", vec![ClientFrame::close(1006, "")], 1002),
        ("close code 1015", vec![ClientFrame::close(1015, "")], 1002),
        ("close code 1016", vec![ClientFrame::close(1016, "")], 1002),
        ("close code 2999", vec![ClientFrame::close(2999, "")], 1002),
        ("a close reason that is not UTF-8", vec![ClientFrame::new(Opcode::CLOSE, b"\x03\xe8\xff")], 1007),
        ("text that is not UTF-8", vec![ClientFrame::new(Opcode::TEXT, b"\xff")], 1007),
        ("a surrogate", vec![ClientFrame::new(Opcode::TEXT, b"\xed\xa0\x80")], 1007),
        ("an overlong slash", vec![ClientFrame::new(Opcode::TEXT, b"\xc0\xaf")], 1007),
        ("text that ends within a letter", vec![ClientFrame::new(Opcode::TEXT, b"\xe6\x97")], 1007),
        ("a bad letter across parts", vec![ClientFrame::new(Opcode::TEXT, b"\xe6").unfinished(), more(b"\x28")], 1007),
        ("a bad letter, more to come", vec![ClientFrame::new(Opcode::TEXT, b"\xff").unfinished()], 1007),
        ("64 KiB and a byte", vec![ClientFrame::new(Opcode::BINARY, vec![0; 65_537])], 1009),
        ("only the claim of a gigabyte", vec![ClientFrame::new(Opcode::BINARY, "").claiming_64(1 << 30)], 1009),
        (
            "too much in parts",
            vec![ClientFrame::new(Opcode::BINARY, vec![0; 40_000]).unfinished(), more(&[0; 40_000])],
            1009,
        ),
    ];
    let server = server();
    for target in TARGETS {
        for (what, frames, code) in &table {
            let mut socket = RawSocket::upgraded(server.address, target).unwrap();
            socket.send(&bytes(frames)).unwrap();
            assert_eq!(socket.close_code(), Some(*code), "{what} at {target}");
        }
    }
    for (code, pointer) in [(1002, "/total/closed/1002"), (1007, "/total/closed/1007"), (1009, "/total/closed/1009")] {
        let expected = 2 * table.iter().filter(|(_, _, own)| *own == code).count() as u64;
        server.wait_until(pointer, expected);
    }
    server.wait_until("/total/connections", 0);
}

#[test]
fn a_close_is_echoed_with_its_code_and_the_connection_ends() {
    let server = server();
    let table = [
        (ClientFrame::new(Opcode::CLOSE, ""), &b""[..]),
        (ClientFrame::close(1000, ""), &[3, 232]),
        (ClientFrame::close(1001, "leaving"), &[3, 233]),
        (ClientFrame::close(1012, ""), &[3, 244]),
        (ClientFrame::close(3000, ""), &[11, 184]),
        (ClientFrame::close(4999, "日本"), &[19, 135]),
    ];
    for (frame, code) in table {
        let mut socket = RawSocket::upgraded(server.address, "/ws?username=alice").unwrap();
        // What comes after a close is ignored (RFC 6455 §1.4).
        socket.send(&bytes(&[frame.clone(), ClientFrame::new(Opcode::PING, "late")])).unwrap();
        let (opcode, payload) = socket.frame().unwrap();
        assert_eq!(opcode, Opcode::CLOSE, "{frame:?}");
        assert!(payload.starts_with(code), "{frame:?} was echoed as {payload:?}");
        let rest = socket.rest(Duration::from_secs(20));
        assert!(rest.has_ended && rest.bytes.is_empty(), "{frame:?}: {rest:?}");
    }
    server.wait_until("/total/connections", 0);
}

#[test]
fn pings_are_answered_with_their_payload_also_within_a_message() {
    let server = server();
    let mut socket = RawSocket::upgraded(server.address, "/echo").unwrap();
    for payload in [&b""[..], b"Hello", &[0xff; 125]] {
        socket.send(&ClientFrame::new(Opcode::PING, payload).bytes()).unwrap();
        assert_eq!(socket.frame().unwrap(), (Opcode::PONG, payload.to_vec()));
    }
    let frames = [
        text("be").unfinished(),
        ClientFrame::new(Opcode::PING, "between"),
        ClientFrame::new(Opcode::PONG, "nobody asked"),
        ClientFrame::new(Opcode::CONTINUATION, "fore"),
    ];
    socket.send(&bytes(&frames)).unwrap();
    assert_eq!(socket.frame().unwrap(), (Opcode::PONG, b"between".to_vec()));
    assert_eq!(socket.frame().unwrap(), (Opcode::TEXT, b"before".to_vec()));
}

#[test]
fn an_echo_comes_back_whatever_the_fragments_and_however_they_are_cut() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(0xec40);
    let mut socket = RawSocket::upgraded(server.address, "/echo").unwrap();
    let lengths = [0, 1, 5, 125, 126, 127, 1_000, 4_096, 40_000, 65_535, 65_536];
    for (opcode, length) in
        [Opcode::TEXT, Opcode::BINARY].into_iter().flat_map(|opcode| lengths.map(|length| (opcode, length)))
    {
        let letters: &[u8] = if opcode == Opcode::TEXT { "日本é x".as_bytes() } else { &[0xff, 0, 0x80, 0xc3] };
        let payload: Vec<u8> = letters.iter().copied().cycle().take(length - length % letters.len()).collect();
        let conversation = bytes(&fragments(&mut random, opcode, &payload));
        for piece in conversation.chunks(random.usize(1..=conversation.len()).max(conversation.len() / 50)) {
            socket.send(piece).unwrap();
        }
        let (got, echo) = socket.frame().unwrap();
        assert!(got == opcode && echo == payload, "{length} bytes came back as {} others", echo.len());
    }
}

/// The message in one to five parts, some of them empty.
fn fragments(random: &mut fastrand::Rng, opcode: Opcode, payload: &[u8]) -> Vec<ClientFrame> {
    let mut cuts: Vec<usize> = (0..random.usize(..5)).map(|_| random.usize(..=payload.len())).collect();
    cuts.sort_unstable();
    cuts.push(payload.len());
    let mut start = 0;
    let parts = cuts.len();
    let frames = cuts.into_iter().enumerate().map(|(part, end)| {
        let opcode = if part == 0 { opcode } else { Opcode::CONTINUATION };
        let frame = ClientFrame::new(opcode, &payload[start..end]);
        start = end;
        if part + 1 == parts { frame } else { frame.unfinished() }
    });
    frames.collect()
}

#[test]
fn an_ordinary_client_echoes_text_and_binary() {
    let server = server();
    let mut client = Client::connect(server.address, "/echo").unwrap();
    for round in 0..100 {
        client.send(Message::text(format!("text {round}"))).unwrap();
        client.send(Message::binary(vec![round; 300])).unwrap();
        assert_eq!(client.text(), Some(format!("text {round}")));
        assert_eq!(client.receive(Duration::from_secs(20)), Received::Binary(vec![round; 300]));
    }
    assert_eq!(client.close(), Some(1000));
}

#[test]
fn what_a_listener_sends_is_ignored_and_its_events_go_on() {
    let server = server();
    let mut client = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    for round in 0..10 {
        client.send(Message::text("anything")).unwrap();
        client.send(Message::binary(vec![0xff; 10])).unwrap();
        publisher.publish("alice", format!("event {round}")).unwrap();
        assert_eq!(client.text(), Some(format!("event {round}")));
    }
}

#[test]
fn a_client_that_talks_too_fast_is_closed_with_1008() {
    let server = Launch::embedded().option("--client-messages-per-second", "5").start().unwrap();
    let mut socket = RawSocket::upgraded(server.address, "/ws?username=alice").unwrap();
    let burst: Vec<u8> = (0..200).flat_map(|_| text("x").bytes()).collect();
    socket.send(&burst).unwrap();
    assert_eq!(socket.close_code(), Some(1008));
    server.wait_until("/total/closed/1008", 1);
}

#[test]
fn random_frames_never_harm_the_server() {
    let server = server();
    let mut bystander = Client::listen(server.address, "bystander").unwrap();
    let mut random = fastrand::Rng::with_seed(0x6455);
    for _ in 0..200 {
        let mut socket = RawSocket::upgraded(server.address, TARGETS[random.usize(..2)]).unwrap();
        let mut garbage: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        // Half of them begin as a masked frame would, to get past the first check.
        if random.bool() {
            garbage[0] = 0x80 | random.u8(..16);
            garbage.insert(1, 0x80 | random.u8(..128));
        }
        socket.send(&garbage).unwrap();
    }
    server.wait_until("/total/connections", 1);
    server.publisher().unwrap().publish("bystander", "unharmed").unwrap();
    assert_eq!(bystander.text().as_deref(), Some("unharmed"));
}
