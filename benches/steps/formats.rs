//! Steps that only look at bytes: what brokers and clients send.

use super::crowd::{self, CHANNEL, HASHER};
use super::{EVENT_BYTES_MAX, EVENTS_PER_BATCH, PAYLOAD_BYTES, Step};
use bytes::{Bytes, BytesMut};
use fanout::brokers::seal;
use fanout::wire::head;
use fanout::wire::resp::command;
use fanout::wire::resp::push::{self, Heard, Push};
use fanout::wire::resp::request::RequestParser;
use fanout::wire::ws::{Decoder, Input};
use std::hint::black_box;
use std::ops::Range;

/// The upgrade as a browser asks for it.
const UPGRADE: &str = "GET /ws?username=00000000-0000-4000-8000-000000000000 HTTP/1.1\r\n\
    Host: events.example.org\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Upgrade: websocket\r\n\
    Origin: https://app.example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// Decoding what Redis sends to a pattern's subscriber.
pub(crate) struct Pushes {
    chunk: BytesMut,
    events: usize,
}

impl Pushes {
    pub(crate) fn new() -> Self {
        let mut chunk = BytesMut::new();
        for _ in 0..EVENTS_PER_BATCH {
            crowd::push(&mut chunk, CHANNEL, PAYLOAD_BYTES);
        }
        Self { chunk, events: 0 }
    }
}

impl Step for Pushes {
    fn run(&mut self) {
        let mut at = 0;
        while let Ok(Heard::Whole { push: Push::Message { channel, payload }, bytes }) =
            push::decode(&self.chunk[at..], EVENT_BYTES_MAX)
        {
            black_box((channel, payload));
            self.events += 1;
            at += bytes;
        }
    }

    fn rest(&mut self) -> usize {
        std::mem::take(&mut self.events)
    }
}

/// Decoding what publishers send to the embedded broker.
pub(crate) struct Requests {
    chunk: BytesMut,
    parser: RequestParser,
    events: usize,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let mut chunk = BytesMut::new();
        for _ in 0..EVENTS_PER_BATCH {
            command::encode(&mut chunk, &[b"PUBLISH", CHANNEL, &[b'x'; PAYLOAD_BYTES]]);
        }
        Self { chunk, parser: RequestParser::new(EVENT_BYTES_MAX), events: 0 }
    }
}

impl Step for Requests {
    fn run(&mut self) {
        let mut at = 0;
        while let Ok(Some(request)) = self.parser.parse(&self.chunk[at..]) {
            self.events += 1;
            at += black_box(request).bytes;
        }
    }

    fn rest(&mut self) -> usize {
        std::mem::take(&mut self.events)
    }
}

/// Making frames of events where they lie: the check that they are text, and the header.
pub(crate) struct Seal {
    chunk: BytesMut,
    payloads: Vec<Range<usize>>,
    sealed: usize,
}

impl Seal {
    pub(crate) fn new(payload_bytes: usize) -> Self {
        let mut chunk = BytesMut::new();
        let payloads = (0..EVENTS_PER_BATCH).map(|_| crowd::push(&mut chunk, CHANNEL, payload_bytes)).collect();
        Self { chunk, payloads, sealed: 0 }
    }
}

impl Step for Seal {
    fn run(&mut self) {
        for payload in &self.payloads {
            let sealed = seal::in_place(&mut self.chunk, payload.clone(), EVENT_BYTES_MAX);
            self.sealed += usize::from(black_box(sealed).is_ok());
        }
    }

    fn rest(&mut self) -> usize {
        std::mem::take(&mut self.sealed)
    }
}

/// Hashing channel names.
pub(crate) struct Topics {
    names: Vec<Bytes>,
}

impl Topics {
    pub(crate) fn new() -> Self {
        Self { names: vec![Bytes::from_static(CHANNEL); EVENTS_PER_BATCH] }
    }
}

impl Step for Topics {
    fn run(&mut self) {
        for name in &self.names {
            black_box(HASHER.topic(black_box(name.clone())));
        }
    }

    fn rest(&mut self) -> usize {
        self.names.len()
    }
}

/// Reading what a client sends: text messages, a frame each.
pub(crate) struct ClientFrames {
    sent: Vec<u8>,
    received: Vec<u8>,
    decoder: Decoder,
    frames: usize,
}

impl ClientFrames {
    pub(crate) fn of(payload_bytes: u16) -> Self {
        let sent = client_frame(payload_bytes).repeat(EVENTS_PER_BATCH);
        Self { received: sent.clone(), sent, decoder: Decoder::default(), frames: 0 }
    }
}

impl Step for ClientFrames {
    fn run(&mut self) {
        let mut input = Input::new(&mut self.received);
        while let Ok(Some(event)) = self.decoder.next(&mut input, EVENT_BYTES_MAX) {
            black_box(event);
            self.frames += 1;
        }
    }

    fn rest(&mut self) -> usize {
        // They were unmasked where they lay.
        self.received.copy_from_slice(&self.sent);
        std::mem::take(&mut self.frames)
    }
}

/// A text message as a client sends it: masked (RFC 6455 §5.3).
fn client_frame(payload_bytes: u16) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x81];
    match u8::try_from(payload_bytes) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 0x7e);
            frame.extend(payload_bytes.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(MASK.iter().cycle().take(usize::from(payload_bytes)).map(|mask| b'x' ^ mask));
    frame
}

/// Reading the request that a connection begins with.
pub(crate) struct RequestHead {
    bytes: &'static [u8],
    read_bytes: usize,
}

impl RequestHead {
    pub(crate) fn new() -> Self {
        Self { bytes: UPGRADE.as_bytes(), read_bytes: 0 }
    }
}

impl Step for RequestHead {
    fn run(&mut self) {
        let head = head::parse(black_box(self.bytes));
        self.read_bytes = head.ok().flatten().map_or(0, |head| black_box(head).bytes);
    }

    fn rest(&mut self) -> usize {
        usize::from(std::mem::take(&mut self.read_bytes) == self.bytes.len())
    }
}
