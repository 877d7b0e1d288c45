//! A server that speaks the handshake, both families' messages and RESP, and lies about one event.

use bytes::BytesMut;
use loadtest::{ClientFrame, Opcode};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use tungstenite::{Message, WebSocket};

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

/// What its clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Workflow,
    Flux,
}

/// The running server; ends when its publisher leaves.
pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    pub(crate) broker: SocketAddr,
    _thread: JoinHandle<()>,
}

impl Liar {
    /// For so many clients on one topic.
    pub(crate) fn start(family: Family, clients: usize, lie: Lie) -> Self {
        let [listener, broker] = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let (address, broker_address) = (listener.local_addr().unwrap(), broker.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let clients: Vec<TcpStream> = (0..clients).map(|_| family.admit(&listener)).collect();
            serve(clients, broker.accept().unwrap().0, Story { family, lie, held: Vec::new() });
        });
        Self { address, broker: broker_address, _thread: thread }
    }
}

impl Family {
    /// Lets one client in.
    fn admit(self, listener: &TcpListener) -> TcpStream {
        let mut client = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        if self == Self::Flux {
            greet(&mut client);
        }
        client.get_ref().try_clone().unwrap()
    }

    /// What was published, checked for how it came.
    fn event(self, words: &[BytesFrame]) -> &[u8] {
        let [_, BytesFrame::BulkString(channel), BytesFrame::BulkString(event)] = words else {
            panic!("no PUBLISH: {words:?}")
        };
        if self == Self::Workflow {
            return event;
        }
        let envelope: Value = serde_json::from_slice(event).unwrap();
        assert_eq!((&envelope["v"], &envelope["timestamp"]), (&json!(1), &json!(0)), "{envelope}");
        assert_eq!(envelope["from"], "00000000-0000-4000-8000-000000000000", "{envelope}");
        assert_eq!(channel, &format!("flux:{}", envelope["channel"].as_str().unwrap()), "{envelope}");
        // The stamp is the only object in there.
        let begin = event.iter().rposition(|&byte| byte == b'{').unwrap();
        let end = event.iter().position(|&byte| byte == b'}').unwrap();
        &event[begin..=end]
    }

    /// The message that brings an event.
    fn message(self, event: &[u8]) -> Vec<u8> {
        match self {
            Self::Workflow => event.to_vec(),
            Self::Flux => {
                [br#"{"type":"message","channel":"a","payload":"#, event, br#","timestamp":1795286622123}"#].concat()
            }
        }
    }
}

fn greet(client: &mut WebSocket<TcpStream>) {
    client.send(Message::text(r#"{"type":"connected","payload":{"clientId":"x"},"timestamp":1}"#)).unwrap();
    let question: Value = serde_json::from_str(client.read().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(question["type"], "subscribe", "{question}");
    let answer = json!({"type": "subscribed", "channel": question["channel"]});
    client.send(Message::text(answer.to_string())).unwrap();
}

fn serve(mut clients: Vec<TcpStream>, mut publisher: TcpStream, mut story: Story) {
    let mut unread = BytesMut::new();
    let mut chunk = [0; 16 * 1024];
    let mut number = 0;
    if story.lie == Lie::Deaf {
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
            let event = story.family.event(&words);
            for (place, client) in clients.iter_mut().enumerate() {
                let frames = story.frames(number, place, event);
                // The tester may have left.
                drop(client.write_all(&frames));
            }
            drop(publisher.write_all(b":3\r\n"));
            number += 1;
        }
    }
}

/// What is told to whom.
struct Story {
    family: Family,
    lie: Lie,
    /// What comes after the next event.
    held: Vec<u8>,
}

impl Story {
    /// What one client gets for one event.
    fn frames(&mut self, number: usize, client: usize, event: &[u8]) -> Vec<u8> {
        let truth = self.text(event);
        if self.lie == Lie::DropTheLast && number >= LAST {
            return Vec::new();
        }
        if client != VICTIM || number < LIED {
            return truth;
        }
        if number == LIED + 1 {
            return [truth, std::mem::take(&mut self.held)].concat();
        }
        if number > LIED {
            return truth;
        }
        match self.lie {
            Lie::None | Lie::DropTheLast | Lie::Deaf => truth,
            Lie::Drop => Vec::new(),
            Lie::Double => [truth.clone(), truth].concat(),
            Lie::Swap => {
                self.held = truth;
                Vec::new()
            }
            // Run and topic stand in the first ten digits, behind `{"e":"`.
            Lie::OfAnotherRun => [truth, self.text(&changed(event, 7))].concat(),
            Lie::Misdirect => [self.text(&changed(event, 15)), truth].concat(),
            Lie::Garble => self.text(&changed(event, event.len() - 5)),
            Lie::Close => ClientFrame::close(4001, "too slow").unmasked().bytes(),
            Lie::InTwoFrames => in_two_frames(&self.family.message(event)),
        }
    }

    fn text(&self, event: &[u8]) -> Vec<u8> {
        ClientFrame::new(Opcode::TEXT, self.family.message(event)).unmasked().bytes()
    }
}

fn in_two_frames(message: &[u8]) -> Vec<u8> {
    let (first, second) = message.split_at(message.len() / 2);
    let ping = ClientFrame::new(Opcode::PING, "there?").unmasked().bytes();
    let begun = ClientFrame::new(Opcode::TEXT, first).unmasked().unfinished().bytes();
    [begun, ping, ClientFrame::new(Opcode::CONTINUATION, second).unmasked().bytes()].concat()
}

/// The event with another hexadecimal digit, or another letter, at this place.
fn changed(event: &[u8], place: usize) -> Vec<u8> {
    let mut changed = event.to_vec();
    changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
    changed
}
