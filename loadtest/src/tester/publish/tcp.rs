//! Publishes in a family's own protocol without WebSocket around it: NATS, MQTT.

use super::link::{Link, Linked};
use crate::tester::dialect::{Dialect, Heard, Publishing};
use bytes::Buf;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// A connected publisher.
pub(super) struct Tcp {
    link: Link,
    publishing: &'static dyn Publishing,
    /// The event in the making, kept for its memory.
    message: Vec<u8>,
}

impl Tcp {
    /// Connects and waits until the server is ready to take events.
    ///
    /// # Errors
    /// Where nobody listens, the server refuses, or the family's clients do not publish.
    pub(super) fn connect(address: SocketAddr, dialect: &'static dyn Dialect) -> io::Result<Self> {
        let publishing = dialect.publishing().ok_or_else(|| cannot_publish(dialect))?;
        let mut publisher = Self { link: Link::connect(address)?, publishing, message: Vec::new() };
        publisher.link.queue(&publishing.introduction());
        while !publisher.exchange()? {
            publisher.link.wait()?;
        }
        Ok(publisher)
    }
}

/// Why there is no publisher for this family.
pub(super) fn cannot_publish(dialect: &dyn Dialect) -> io::Error {
    io::Error::new(ErrorKind::Unsupported, format!("clients of `{}` only listen", dialect.name()))
}

impl Linked for Tcp {
    fn queue(&mut self, name: &str, event: &[u8]) {
        self.message.clear();
        self.publishing.publication(name, event, &mut self.message);
        self.link.queue_event(&self.message);
    }

    fn hear(&mut self) -> io::Result<bool> {
        let mut is_ready = false;
        while let Some((heard, length)) = self.publishing.hear(&self.link.inbound) {
            match heard {
                Heard::Answer(answer) => self.link.queue(&answer),
                Heard::Subscribed => is_ready = true,
                Heard::Broken(sentence) => return Err(io::Error::new(ErrorKind::InvalidData, sentence)),
                Heard::Event(_) | Heard::Nothing => {}
            }
            self.link.inbound.advance(length);
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
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    /// A server that reads so many bytes of greeting and answers with recorded ones.
    fn greeted(name: &str, greeting_bytes: usize, answer: &'static [u8]) -> (io::Result<Tcp>, TcpStream) {
        let dialect = TABLE.iter().find(|dialect| dialect.name() == name).expect("a family of the table");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let mut socket = listener.accept().expect("it connects").0;
            socket.read_exact(&mut vec![0; greeting_bytes]).expect("a greeting");
            socket.write_all(answer).expect("it listens");
            socket
        });
        (Tcp::connect(address, *dialect), server.join().expect("it does not panic"))
    }

    #[test]
    fn events_follow_each_other_once_the_server_is_ready() {
        let (publisher, mut server) = greeted("mqtt", 16, b"\x20\x02\x00\x00\xd0\x00");
        let mut publisher = publisher.expect("it was accepted");
        publisher.publish("t", b"one");
        publisher.publish("t", b"two");
        assert_eq!(publisher.unanswered(), 2);
        publisher.turn().expect("it is open");
        assert_eq!((publisher.unanswered(), publisher.unsent_bytes()), (0, 0));
        let mut all = [0; 16];
        server.read_exact(&mut all).expect("two packets");
        assert_eq!(&all, b"\x30\x06\x00\x01tone\x30\x06\x00\x01ttwo");
    }

    #[test]
    fn a_server_that_asks_is_answered_between_events() {
        let (publisher, mut server) = greeted("nats", 6, b"INFO {} \r\nPONG\r\n");
        let mut publisher = publisher.expect("it was accepted");
        server.write_all(b"PING\r\nPING\r\n").expect("it listens");
        server.set_nonblocking(true).expect("sockets can do that");
        let mut all = Vec::new();
        eventually("two answers", || {
            publisher.turn().expect("it is open");
            // Would-block ends a read; what came is kept.
            drop(server.read_to_end(&mut all));
            all.ends_with(b"PONG\r\nPONG\r\n").then_some(())
        });
    }

    #[test]
    fn a_server_that_refuses_is_quoted() {
        let (publisher, _server) = greeted("nats", 6, b"INFO {} \r\n-ERR 'Authorization Violation'\r\n");
        let error = publisher.err().expect("it was refused");
        assert!(error.to_string().contains("Authorization Violation"), "{error}");
        let (publisher, mut server) = greeted("nats", 6, b"INFO {} \r\nPONG\r\n");
        let mut publisher = publisher.expect("it was accepted");
        server.write_all(b"-ERR 'Maximum Payload Violation'\r\n").expect("it listens");
        drop(server);
        let error = eventually("the end", || publisher.turn().err());
        assert!(error.to_string().contains("Maximum Payload Violation"), "{error}");
    }

    #[test]
    fn a_family_that_only_listens_has_no_publisher() {
        let (address, workflow) = (([127, 0, 0, 1], 1).into(), TABLE[0]);
        assert_eq!(Tcp::connect(address, workflow).err().map(|error| error.kind()), Some(ErrorKind::Unsupported));
    }
}
