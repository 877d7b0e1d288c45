use super::*;
use crate::client_frame::ClientFrame;
use crate::tester::clock::Clock;
use crate::tester::ledger::Expectation;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const SIZE: usize = 64;

/// A family whose messages hold packets: a length, then an event, a question (`?`) or a greeting (`+`).
struct Packets;

impl Dialect for Packets {
    fn name(&self) -> &'static str {
        "packets"
    }

    fn url(&self) -> &'static str {
        ""
    }

    fn publish_to(&self) -> &'static str {
        ""
    }

    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        let length = usize::from(*bytes.first()?);
        let packet = bytes.get(1..=length)?;
        let heard = match packet {
            b"?" => Heard::Answer(b"!".to_vec()),
            b"+" => Heard::Subscribed,
            b"-" => Heard::Broken("a minus".to_owned()),
            b"" => Heard::Nothing,
            event => Heard::Event(event),
        };
        Some((heard, 1 + length))
    }
}

/// One connection of topic 0, read by one thread, and the server's end of it.
struct Scene {
    connection: Connection,
    server: TcpStream,
    taken: Vec<Result<usize, Ended>>,
    counts: [u64; 4],
}

fn event(topic: u32, sequence: u64) -> Vec<u8> {
    let mut event = Vec::new();
    Stamp { run: 7, topic, sequence, place: 0, due: 0 }.write(SIZE, &mut event);
    event
}

fn text(payload: &[u8]) -> Vec<u8> {
    ClientFrame::new(Opcode::TEXT, payload).unmasked().bytes()
}

fn packet(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

/// Takes these reads in turn: arrived, lost, duplicated, foreign.
fn hear(dialect: &'static dyn Dialect, reads: &[Vec<u8>]) -> Scene {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    let board = Board::new(Clock::since(Instant::now()), 1, 1, 0).unwrap();
    let mut connection = Connection::new(client, Expectation::from_the_first(0), 0);
    let mut ear = Ear::new(&board, dialect, 7, vec![Form::new(SIZE)]);
    let mut tape = board.tape(0);
    if dialect.is_bare() {
        ear.subscribe(&mut connection, &mut tape);
    }
    let taken = reads.iter().map(|bytes| ear.take(&mut connection, bytes, &mut tape)).collect();
    connection.tidy();
    let counts = [tape.ledger.arrived, connection.expectation.skipped(), tape.ledger.duplicated, tape.ledger.foreign];
    assert_eq!(board.listeners_of[0].load(SeqCst), u32::from(tape.connected == 1));
    Scene { connection, server, taken, counts }
}

fn workflow() -> &'static dyn Dialect {
    crate::tester::dialect::find("workflow").unwrap()
}

#[test]
fn many_events_of_one_read_are_all_counted_and_the_unfinished_one_is_left() {
    let whole = text(&event(0, 0));
    let read =
        [whole.clone(), text(&event(0, 1)), text(&event(0, 3)), text(&event(0, 3)), whole[..9].to_vec()].concat();
    let used = read.len() - 9;
    let scene = hear(workflow(), &[read]);
    assert_eq!((scene.counts, scene.taken.as_slice()), ([3, 1, 1, 0], &[Ok(used)][..]));
    assert!(scene.connection.rest.is_none(), "nothing is kept for a connection without a rest");
}

#[test]
fn foreign_is_every_text_that_is_no_event_of_this_topic() {
    let other_size = [&event(0, 0)[..SIZE - 2], b".\"}"].concat();
    let scene = hear(workflow(), &[text(&event(1, 0)), text(b"{}"), text(b""), text(&other_size)]);
    assert_eq!(scene.counts, [0, 0, 0, 4]);
}

#[test]
fn a_message_in_several_frames_is_one_event() {
    let event = event(0, 0);
    let first = ClientFrame::new(Opcode::TEXT, &event[..10]).unmasked().unfinished().bytes();
    let middle = ClientFrame::new(Opcode::CONTINUATION, &event[10..20]).unmasked().unfinished().bytes();
    let last = ClientFrame::new(Opcode::CONTINUATION, &event[20..]).unmasked().bytes();
    assert_eq!(hear(workflow(), &[first, middle, last]).counts, [1, 0, 0, 0]);
}

#[test]
fn an_event_in_an_envelope_counts_once_the_subscription_is_answered_and_an_error_ends_the_connection() {
    let flux = crate::tester::dialect::find("flux").unwrap();
    let message = |sequence| {
        [br#"{"type":"message","channel":"c","payload":"#, &event(0, sequence)[..], br#","timestamp":0}"#].concat()
    };
    let remarks = [&br#"{"type":"connected"}"#[..], br#"{"type":"subscribed","channel":"c"}"#].map(text);
    let read = [&remarks.concat()[..], &text(&message(0)), &text(&message(2)), &text(&event(0, 1))].concat();
    // The last one is an event, but not in a message.
    let scene = hear(flux, &[read]);
    assert_eq!((scene.counts, scene.taken.len()), ([2, 1, 0, 1], 1));
    assert!(scene.connection.rest.is_none(), "the subscription is no longer waited for");
    let error = text(br#"{"type":"error","code":"forbidden","message":"no"}"#);
    assert_eq!(hear(flux, &[error]).taken, [Err(Ended { code: 1002 })]);
}

#[test]
fn a_ping_is_answered_with_its_own_words() {
    let mut scene = hear(workflow(), &[ClientFrame::new(Opcode::PING, "you?").unmasked().bytes()]);
    let expected = ClientFrame::new(Opcode::PONG, "you?").bytes();
    let mut answer = vec![0; expected.len()];
    scene.server.read_exact(&mut answer).unwrap();
    assert_eq!(answer, expected);
}

#[test]
fn a_close_frame_ends_the_connection_with_its_code_and_nonsense_with_1002() {
    let read = [text(&event(0, 0)), ClientFrame::close(1012, "restart").unmasked().bytes()].concat();
    let scene = hear(workflow(), &[read]);
    assert_eq!((scene.counts[0], scene.taken.as_slice()), (1, &[Err(Ended { code: 1012 })][..]));
    let scene = hear(workflow(), &[ClientFrame::new(Opcode::TEXT, "masked").bytes()]);
    assert_eq!((scene.counts[3], scene.taken.as_slice()), (1, &[Err(Ended { code: 1002 })][..]));
}

#[test]
fn packets_are_found_in_messages_and_across_them() {
    let stream = [packet(b"+"), packet(&event(0, 0)), packet(b""), packet(b"?"), packet(&event(0, 1))].concat();
    for size in [1, 2, 7, 66, 67, 200] {
        let reads: Vec<Vec<u8>> = stream.chunks(size).map(text).collect();
        let mut scene = hear(&Packets, &reads);
        assert_eq!(scene.counts, [2, 0, 0, 0], "in messages of {size} bytes");
        assert!(scene.connection.rest.is_none(), "in messages of {size} bytes");
        let expected = ClientFrame::new(Opcode::TEXT, "!").bytes();
        let mut answer = vec![0; expected.len()];
        scene.server.read_exact(&mut answer).unwrap();
        assert_eq!(answer, expected);
    }
    let scene = hear(&Packets, &[text(&packet(b"-"))]);
    assert_eq!((scene.counts[3], scene.taken.as_slice()), (1, &[Err(Ended { code: 1002 })][..]));
}
