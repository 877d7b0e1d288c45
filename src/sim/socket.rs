//! A pretend socket: takes as many bytes as the schedule allows, gives what the client has sent, breaks when told to.

use crate::engine::connection::{ConnectionId, Outlet, Send, Socket, Watch};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// What lies between a client and its shard.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Bytes the server may still put in; `None` is without limit.
    pub(super) room: Option<usize>,
    /// What the client has got.
    pub(super) to_client: Vec<u8>,
    /// What the client has sent and the server has not read.
    pub(super) to_server: VecDeque<u8>,
    pub(super) watches_room: bool,
    pub(super) seat: Option<ConnectionId>,
    pub(super) state: WireState,
}

/// Whether both ends still hold the wire. The states follow each other in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WireState {
    #[default]
    Whole,
    /// The server sends nothing more.
    Finished,
    /// The client is gone; the server has yet to notice.
    Broken,
    /// The server has let go of its end.
    Dropped,
}

/// The server's end.
pub(super) struct PretendSocket(pub(super) Rc<RefCell<Wire>>);

impl Socket for PretendSocket {
    fn take_seat(&mut self, id: ConnectionId) {
        self.0.borrow_mut().seat = Some(id);
    }

    fn watch(&mut self, watch: Watch) {
        self.0.borrow_mut().watches_room = watch == Watch::ReadsAndWrites;
    }

    fn finish(&mut self) {
        let mut wire = self.0.borrow_mut();
        wire.state = wire.state.max(WireState::Finished);
    }
}

impl Read for PretendSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.state >= WireState::Broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if wire.to_server.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = wire.to_server.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(wire.to_server.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl PretendSocket {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        assert_ne!(wire.state, WireState::Finished, "nothing is sent behind the end of the stream");
        if wire.state >= WireState::Broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = wire.room.unwrap_or(usize::MAX).min(bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room = wire.room.map(|room| room - count);
        wire.to_client.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

/// The way to all pretend sockets.
pub(super) struct PretendOutlet;

impl Outlet<PretendSocket> for PretendOutlet {
    fn send(&mut self, sends: &[Send<'_, PretendSocket>], taken: &mut Vec<io::Result<usize>>) {
        taken.extend(sends.iter().map(|send| send.socket.send(send.bytes)));
    }
}

impl Drop for PretendSocket {
    fn drop(&mut self) {
        self.0.borrow_mut().state = WireState::Dropped;
    }
}
