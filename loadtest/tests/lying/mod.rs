//! A server that speaks the handshake and RESP, and lies about one event.

use bytes::BytesMut;
use loadtest::{ClientFrame, Opcode};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use tungstenite::handshake::derive_accept_key;

/// The event that is lied about, and the client: the others get the truth.
const LIED: usize = 20;
const VICTIM: usize = 1;

/// Events from this one on are kept back by [`Lie::DropTheLast`].
const LAST: usize = 60;

/// What happens to the event number [`LIED`] on its way to the client number [`VICTIM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// It is not sent.
    Drop,
    /// Nothing is sent from [`LAST`] on, to anybody.
    DropTheLast,
    /// It is sent twice.
    Double,
    /// It is sent after the next one.
    Swap,
    /// An event of another topic comes beside it.
    Misdirect,
    /// An event of an earlier run comes beside it.
    OfAnotherRun,
    /// It arrives with a byte changed.
    Garble,
    /// The connection is closed with 4001 in place of it.
    Close,
    /// It comes as a fragmented message, with a ping in between: which is no lie at all.
    InTwoFrames,
    /// Nothing that is published is read.
    Deaf,
}

/// The running server; ends when its publisher leaves.
pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    pub(crate) broker: SocketAddr,
    _thread: JoinHandle<()>,
}

impl Liar {
    /// For so many clients on one topic.
    pub(crate) fn start(clients: usize, lie: Lie) -> Self {
        let [listener, broker] = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let (address, broker_address) = (listener.local_addr().unwrap(), broker.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let clients: Vec<TcpStream> = (0..clients).map(|_| admit(&listener)).collect();
            serve(clients, broker.accept().unwrap().0, lie);
        });
        Self { address, broker: broker_address, _thread: thread }
    }
}

fn admit(listener: &TcpListener) -> TcpStream {
    let (mut client, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    client.write_all(answer.as_bytes()).unwrap();
    client
}

fn serve(mut clients: Vec<TcpStream>, mut publisher: TcpStream, lie: Lie) {
    let mut unread = BytesMut::new();
    let mut chunk = [0; 16 * 1024];
    let mut held = Vec::new();
    let mut number = 0;
    if lie == Lie::Deaf {
        // The tester leaves first; until then nothing is read from the publisher.
        let _ = clients[0].read(&mut chunk);
        return;
    }
    loop {
        let length = publisher.read(&mut chunk).unwrap_or(0);
        if length == 0 {
            return;
        }
        unread.extend_from_slice(&chunk[..length]);
        while let Some((BytesFrame::Array(words), _, _)) = decode_bytes_mut(&mut unread).unwrap() {
            let BytesFrame::BulkString(event) = &words[2] else { panic!("an event is a bulk string") };
            for (place, client) in clients.iter_mut().enumerate() {
                let frames = frames(lie, number, place, event, &mut held);
                // The tester may have left.
                drop(client.write_all(&frames));
            }
            drop(publisher.write_all(b":3\r\n"));
            number += 1;
        }
    }
}

/// What one client gets for one event.
fn frames(lie: Lie, number: usize, client: usize, event: &[u8], held: &mut Vec<u8>) -> Vec<u8> {
    let truth = text(event);
    if lie == Lie::DropTheLast && number >= LAST {
        return Vec::new();
    }
    if client != VICTIM || number < LIED {
        return truth;
    }
    if number == LIED + 1 {
        return [truth, std::mem::take(held)].concat();
    }
    if number > LIED {
        return truth;
    }
    match lie {
        Lie::None | Lie::DropTheLast | Lie::Deaf => truth,
        Lie::Drop => Vec::new(),
        Lie::Double => [truth.clone(), truth].concat(),
        Lie::Swap => {
            *held = truth;
            Vec::new()
        }
        // Run and topic stand in the first ten digits, behind `{"e":"`.
        Lie::OfAnotherRun => [truth, text(&changed(event, 7))].concat(),
        Lie::Misdirect => [text(&changed(event, 15)), truth].concat(),
        Lie::Garble => text(&changed(event, event.len() - 5)),
        Lie::Close => ClientFrame::close(4001, "too slow").unmasked().bytes(),
        Lie::InTwoFrames => {
            let (first, second) = event.split_at(event.len() / 2);
            let ping = ClientFrame::new(Opcode::PING, "there?").unmasked().bytes();
            let begun = ClientFrame::new(Opcode::TEXT, first).unmasked().unfinished().bytes();
            [begun, ping, ClientFrame::new(Opcode::CONTINUATION, second).unmasked().bytes()].concat()
        }
    }
}

fn text(event: &[u8]) -> Vec<u8> {
    ClientFrame::new(Opcode::TEXT, event).unmasked().bytes()
}

/// The event with another hexadecimal digit, or another letter, at this place.
fn changed(event: &[u8], place: usize) -> Vec<u8> {
    let mut changed = event.to_vec();
    changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
    changed
}
