//! Publishes as a WebSocket client of the family does.

use super::link::{Link, Linked, await_events};
use super::tcp::cannot_publish;
use crate::client_frame::{ClientFrame, Opcode};
use crate::server_frame::ServerFrame;
use crate::tester::dialect::{Dialect, Heard, Publishing};
use crate::tester::handshake::Door;
use crate::tester::plan::Source;
use crate::tester::seat::Seat;
use crate::tester::target::Target;
use bytes::Buf;
use rustix::event::PollFlags;
use std::io::{self, ErrorKind};

/// A connected publisher.
pub(super) struct WebSocket {
    link: Link,
    publishing: &'static dyn Publishing,
    /// What messages left unfinished.
    carry: Vec<u8>,
    /// The event in the making, kept for its memory.
    message: Vec<u8>,
}

impl WebSocket {
    /// Connects and waits until the server is ready to take events.
    ///
    /// # Errors
    /// Where nobody listens, the server refuses, or the family's clients do not publish.
    pub(super) fn connect(target: &Target, dialect: &'static dyn Dialect) -> io::Result<Self> {
        let publishing = dialect.publishing().ok_or_else(|| cannot_publish(dialect))?;
        let link = upgrade(target, dialect.subprotocol())?;
        let mut publisher = Self { link, publishing, carry: Vec::new(), message: Vec::new() };
        let introduction = publishing.introduction();
        if !introduction.is_empty() {
            publisher.link.queue(&publisher.frame(&introduction));
        }
        while !publisher.exchange()? && !dialect.is_bare() {
            publisher.link.wait()?;
        }
        Ok(publisher)
    }

    fn frame(&self, message: &[u8]) -> Vec<u8> {
        let opcode = if self.publishing.speaks_text() { Opcode::TEXT } else { Opcode::BINARY };
        ClientFrame::new(opcode, message).bytes()
    }

    /// Takes in what whole messages carried; whether it said that the server is ready.
    fn understand(&mut self) -> io::Result<bool> {
        let (mut is_ready, mut understood) = (false, 0);
        while understood < self.carry.len() {
            let Some((heard, length)) = self.publishing.hear(&self.carry[understood..]) else { break };
            match heard {
                Heard::Answer(answer) => self.link.queue(&self.frame(&answer)),
                Heard::Subscribed => is_ready = true,
                Heard::Broken(sentence) => return Err(io::Error::new(ErrorKind::InvalidData, sentence)),
                Heard::Event(_) | Heard::Nothing => {}
            }
            understood += length;
        }
        self.carry.drain(..understood);
        Ok(is_ready)
    }
}

fn upgrade(target: &Target, subprotocol: Option<&'static str>) -> io::Result<Link> {
    let door = Door::new(target.clone(), Source::System, subprotocol);
    // No topic: publishers listen to none.
    let mut handshake = door.knock(&Seat::alone(), "", 0).map_err(io::Error::other)?;
    await_events(&handshake.socket, PollFlags::OUT)?;
    loop {
        if let Some(inbound) = handshake.turn(&door).map_err(io::Error::other)? {
            return Ok(Link::adopt(handshake.socket, &inbound));
        }
        await_events(&handshake.socket, PollFlags::IN)?;
    }
}

impl Linked for WebSocket {
    fn queue(&mut self, name: &str, event: &[u8]) {
        self.message.clear();
        self.publishing.publication(name, event, &mut self.message);
        let frame = self.frame(&self.message);
        self.link.queue_event(&frame);
    }

    fn hear(&mut self) -> io::Result<bool> {
        let mut is_ready = false;
        while let Some(frame) = ServerFrame::parse(&self.link.inbound)? {
            let (opcode, length, payload) = (frame.opcode, frame.length, frame.payload.to_vec());
            let is_whole = frame.is_final;
            self.link.inbound.advance(length);
            match opcode {
                Opcode::PING => self.link.queue(&ClientFrame::new(Opcode::PONG, payload).bytes()),
                Opcode::CLOSE => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the publisher"));
                }
                Opcode::PONG => {}
                _ => {
                    self.carry.extend_from_slice(&payload);
                    is_ready |= is_whole && self.understand()?;
                }
            }
        }
        Ok(is_ready)
    }

    fn link(&self) -> &Link {
        &self.link
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;
    use crate::tester::dialect::TABLE;
    use crate::tester::publish::Publisher;
    use crate::tester::template::Template;
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use tungstenite::Message;

    /// A publisher of the family `name` at a server of which `script` is one conversation.
    fn conversation(
        name: &str,
        script: impl FnOnce(tungstenite::WebSocket<TcpStream>) + Send + 'static,
    ) -> (io::Result<WebSocket>, thread::JoinHandle<()>) {
        let dialect = TABLE.iter().find(|dialect| dialect.name() == name).expect("a family of the table");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let url = format!("ws://{}/publish", listener.local_addr().expect("it is bound"));
        let server = thread::spawn(move || {
            let socket = listener.accept().expect("it connects").0;
            script(tungstenite::accept(socket).expect("a proper handshake"));
        });
        let target = Target::parse("ws://", &Template(url)).expect("a proper URL");
        (WebSocket::connect(&target, *dialect), server)
    }

    fn text(text: &str) -> Message {
        Message::text(text.to_owned())
    }

    #[test]
    fn an_event_is_a_text_message_of_a_client() {
        let (publisher, server) = conversation("ws", |mut socket| {
            assert_eq!(socket.read().expect("a message"), text("load-1\n{\"e\":\"1\"}"));
            assert_eq!(socket.read().expect("another"), text("load-2\n{\"e\":\"2\"}"));
            // Until the client leaves.
            while socket.read().is_ok() {}
        });
        let mut publisher = publisher.expect("it was accepted");
        publisher.publish("load-1", br#"{"e":"1"}"#);
        publisher.publish("load-2", br#"{"e":"2"}"#);
        assert_eq!(publisher.unanswered(), 2);
        publisher.turn().expect("it is open");
        assert_eq!(publisher.unanswered(), 0);
        drop(publisher);
        server.join().expect("both came as they should");
    }

    #[test]
    fn the_family_greets_before_it_publishes_and_answers_while_it_does() {
        let (publisher, server) = conversation("socketio", |mut socket| {
            socket.send(text(r#"0{"sid":"zT97w38vjTqUIkBJAAAA","upgrades":[]}"#)).expect("it listens");
            assert_eq!(socket.read().expect("a connect"), text("40"));
            socket.send(text(r#"40{"sid":"ukJODb5Bcccptiw9AAAA"}"#)).expect("it listens");
            assert_eq!(socket.read().expect("an event"), text(r#"42["publish","load-1",{"e":"1"}]"#));
            socket.send(text("2")).expect("it listens");
            assert_eq!(socket.read().expect("an answer"), text("3"));
            socket.send(Message::Ping("here?".into())).expect("it listens");
            assert_eq!(socket.read().expect("a pong"), Message::Pong("here?".into()));
        });
        let mut publisher = publisher.expect("it was accepted");
        publisher.publish("load-1", br#"{"e":"1"}"#);
        eventually("the end of the conversation", || publisher.turn().err());
        server.join().expect("all came as it should");
    }

    #[test]
    fn a_family_that_greets_nobody_by_itself_is_asked_and_a_refusal_is_quoted() {
        let (publisher, server) = conversation("flux", |mut socket| {
            socket.send(text(r#"{"type":"connected","payload":{"clientId":"x"},"timestamp":1}"#)).expect("it listens");
            assert_eq!(socket.read().expect("a question"), text(r#"{"type":"subscribe","channel":"load-publishers"}"#));
            socket.send(text(r#"{"type":"subscribed","channel":"load-publishers"}"#)).expect("it listens");
            assert_eq!(
                socket.read().expect("an event"),
                text(r#"{"type":"broadcast","channel":"load-1","payload":{"e":"1"}}"#)
            );
            socket.send(text(r#"{"type":"error","code":"rate_limited","message":"slower"}"#)).expect("it listens");
            // Until the client leaves.
            while socket.read().is_ok() {}
        });
        let mut publisher = publisher.expect("it was accepted");
        publisher.publish("load-1", br#"{"e":"1"}"#);
        let error = eventually("the refusal", || publisher.turn().err());
        assert!(error.to_string().contains("rate_limited: slower"), "{error}");
        drop(publisher);
        server.join().expect("all came as it should");
    }

    #[test]
    fn a_goodbye_is_an_error() {
        let (publisher, server) = conversation("ws", |mut socket| {
            assert_eq!(socket.read().expect("a message"), text("load-1\n{}"));
            socket.close(None).expect("it listens");
            // Until the client leaves.
            while socket.read().is_ok() {}
        });
        let mut publisher = publisher.expect("it was accepted");
        publisher.publish("load-1", b"{}");
        let error = eventually("the goodbye", || publisher.turn().err());
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        drop(publisher);
        server.join().expect("it said goodbye");
    }

    #[test]
    fn a_server_that_does_not_upgrade_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let url = format!("ws://{}/", listener.local_addr().expect("it is bound"));
        let server = thread::spawn(move || {
            use std::io::{Read, Write};
            let mut socket = listener.accept().expect("it connects").0;
            drop(socket.read(&mut [0; 1024]));
            socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").expect("it listens");
            // Until the client leaves.
            drop(socket.read(&mut [0; 1]));
        });
        let target = Target::parse("ws://", &Template(url)).expect("a proper URL");
        let dialect = TABLE.iter().find(|dialect| dialect.name() == "ws").expect("a family of the table");
        let error = WebSocket::connect(&target, *dialect).err().expect("it was refused");
        assert!(error.to_string().contains("404"), "{error}");
        server.join().expect("it answered");
    }
}
