//! One connected client: what it expects and, rarely, what it has not finished reading.

use super::ledger::Expectation;
use crate::client_frame::{ClientFrame, Opcode};
use std::io::Write;
use std::net::TcpStream;

/// A client behind its upgrade. Small, because there are tens of thousands and each is touched for every event.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Nothing once the connection ended.
    pub(crate) socket: Option<TcpStream>,
    /// What it should hear next.
    pub(crate) expectation: Expectation,
    /// Nothing, most of the time.
    pub(crate) rest: Option<Box<Rest>>,
}

/// What is left between two reads.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// The beginning of a frame.
    pub(crate) unread: Vec<u8>,
    /// The beginning of a message in several frames.
    pub(crate) message: Option<Vec<u8>>,
    /// The beginning of a packet in several messages.
    pub(crate) carry: Vec<u8>,
    /// When connecting began, while the subscription is not confirmed.
    pub(crate) waiting_since: Option<u64>,
    /// Whether it was connected before.
    pub(crate) is_back: bool,
    /// Whether it has said goodbye and waits for the answer.
    pub(crate) is_leaving: bool,
}

impl Rest {
    fn is_empty(&self) -> bool {
        let is_waiting = self.waiting_since.is_some() || self.is_leaving;
        self.unread.is_empty() && self.message.is_none() && self.carry.is_empty() && !is_waiting
    }
}

impl Connection {
    /// A client that waits for its subscription.
    pub(crate) fn new(socket: TcpStream, expectation: Expectation, began: u64) -> Self {
        let rest = Rest { waiting_since: Some(began), ..Rest::default() };
        Self { socket: Some(socket), expectation, rest: Some(Box::new(rest)) }
    }

    /// A client that was connected before and waits for its subscription.
    pub(crate) fn again(socket: TcpStream, expectation: Expectation, began: u64) -> Self {
        let mut connection = Self::new(socket, expectation, began);
        connection.rest().is_back = true;
        connection
    }

    /// What is left of earlier reads.
    pub(crate) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Forgets what is empty.
    pub(crate) fn tidy(&mut self) {
        self.rest.take_if(|rest| rest.is_empty());
    }

    /// Sends a small frame. A server that does not take it will be noticed when it is read from.
    pub(crate) fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        if let Some(socket) = &mut self.socket {
            drop(socket.write_all(&ClientFrame::new(opcode, payload).bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 40);
    }
}
