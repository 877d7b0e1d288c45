//! One RESP connection from its first byte to its last: batches of requests in, replies out.

use super::client::Client;
use super::commands::{self, After, Call};
use super::{CHANNEL_BYTES_MAX, Switchboard};
use crate::brokers::duplex::{Duplex, Event};
use crate::brokers::receive_buffer::ReceiveBuffer;
use crate::brokers::seal;
use crate::metrics::Drop;
use crate::wire::frame::SealedRange;
use crate::wire::resp::request::{ProtocolError, Request, RequestParser, Words};
use bytes::Bytes;
use std::io;
use std::net::TcpStream;
use std::rc::Rc;

/// What one read takes. Frames are slices of it, so it is also what one late frame keeps alive.
const CHUNK_BYTES: usize = 16 * 1024;

/// A word above the largest event by less than this is still read to its end, so that its publisher is told in plain
/// words what the limit is.
const BULK_SLACK_BYTES: usize = 64 * 1024;

/// A client's task.
pub(super) struct Session {
    client: Rc<Client>,
    switchboard: Rc<Switchboard>,
    duplex: Duplex,
    parser: RequestParser,
    /// Requests of one batch: parsed, their events sealed, not served yet.
    batch: Vec<Parsed>,
}

/// A request where it lies in the buffer.
struct Parsed {
    start: usize,
    request: Request,
    /// The event of a `PUBLISH`, sealed in the buffer if it can be.
    event: Option<Result<SealedRange, Drop>>,
}

/// Why a session ends.
enum End {
    /// It is over: write what waits, and close.
    Over,
    /// The connection is gone.
    Gone,
}

impl Session {
    pub(super) fn new(client: Rc<Client>, stream: TcpStream, switchboard: &Rc<Switchboard>) -> io::Result<Self> {
        Ok(Self {
            duplex: Duplex::new(&switchboard.router.ear, stream, Rc::clone(&client.outbox), CHUNK_BYTES)?,
            client,
            parser: RequestParser::new(switchboard.event_bytes_max.max(CHANNEL_BYTES_MAX) + BULK_SLACK_BYTES),
            switchboard: Rc::clone(switchboard),
            batch: Vec::new(),
        })
    }

    pub(super) async fn run(mut self) {
        tracing::debug!(peer = %self.client.peer, id = self.client.id, "RESP client connected");
        let end = self.serve().await;
        self.switchboard.dismiss(&self.client);
        tracing::debug!(peer = %self.client.peer, id = self.client.id, "RESP client disconnected");
        match end {
            End::Over => self.duplex.close().await,
            End::Gone => {}
        }
    }

    async fn serve(&mut self) -> End {
        loop {
            match self.duplex.receive().await {
                Event::Received => {}
                Event::Closed | Event::Quiet | Event::Cut | Event::Broken(_) => return End::Gone,
            }
            let (chunk, error) = self.parse_batch();
            self.switchboard.router.take_control();
            let end = self.serve_batch(&chunk).await;
            self.switchboard.router.settle().await;
            self.duplex.pause_if_due().await;
            if let Some(end) = end {
                return end;
            }
            if let Some(error) = error {
                tracing::debug!(peer = %self.client.peer, %error, "RESP client not understood");
                if error == ProtocolError::BulkAboveLimit {
                    // Nothing but an event is ever as long.
                    self.switchboard.router.drop_event(Drop::EventTooBig);
                }
                self.client.write(|reply| _ = reply.error(&format!("ERR {error}")));
                return End::Over;
            }
        }
    }

    /// Cuts every whole request out of the buffer.
    fn parse_batch(&mut self) -> (Bytes, Option<ProtocolError>) {
        let buffer: &mut ReceiveBuffer = &mut self.duplex.buffer;
        let received = buffer.received();
        let mut start = 0;
        let error = loop {
            match self.parser.parse(&received[start..]) {
                Ok(Some(request)) => {
                    let bytes = request.bytes;
                    let event = seal_event(received, start, &request, self.switchboard.event_bytes_max);
                    self.batch.push(Parsed { start, request, event });
                    start += bytes;
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        (buffer.take(start), error)
    }

    /// Serves the requests of a batch in order; says whether the session ends with one of them.
    async fn serve_batch(&mut self, chunk: &Bytes) -> Option<End> {
        let mut batch = std::mem::take(&mut self.batch);
        for Parsed { start, request, event } in batch.drain(..) {
            let bytes = chunk.slice(start..start + request.bytes);
            let words = request.words.of(&bytes);
            let event = event.map(|event| event.map(|sealed| sealed.cut(chunk)));
            let call =
                Call { words: &words, request: &bytes, event, client: &self.client, switchboard: &self.switchboard };
            match commands::serve(&call) {
                After::GoOn => {}
                After::Close => return Some(End::Over),
                After::Cut => return Some(End::Gone),
            }
            if !self.client.outbox.is_calm() {
                // This may take as long as the client likes; the events before it do not wait.
                self.switchboard.router.settle().await;
                if self.duplex.calm().await.is_some() {
                    return Some(End::Gone);
                }
            }
        }
        self.batch = batch;
        None
    }
}

/// Seals the event of a `PUBLISH` that came as an array; any other request is left as it is.
fn seal_event(
    received: &mut [u8],
    start: usize,
    request: &Request,
    event_bytes_max: usize,
) -> Option<Result<SealedRange, Drop>> {
    let Words::InPlace(ranges) = &request.words else { return None };
    let [command, _, payload] = &ranges[..] else { return None };
    if !received[start + command.start..start + command.end].eq_ignore_ascii_case(b"PUBLISH") {
        return None;
    }
    Some(seal::in_place(received, start + payload.start..start + payload.end, event_bytes_max))
}
