//! Bytes from one socket: read in chunks, cut into slices without copies.

use bytes::{Bytes, BytesMut};

/// A receive buffer whose front is cut off as messages become whole.
///
/// ```text
///   chunk ├── received ──┬── room ──┤      take(n) ──► Bytes, shared with what stays
/// ```
///
/// All of a chunk is initialised once, when it is made, so that reading into it costs no clearing. When its room runs
/// out, what is unfinished moves to the next chunk, and only that is copied. A chunk grows beyond its usual size only
/// for one unfinished message, to at most twice what has been *received*, however much was announced; and not for
/// longer than that message lasts.
#[derive(Debug)]
pub struct ReceiveBuffer {
    chunk: BytesMut,
    received_bytes: usize,
    chunk_bytes: usize,
    /// What the current chunk is cut from.
    allocated_bytes: usize,
    /// Bytes that will arrive and that nobody wants.
    unwanted_bytes: usize,
}

impl ReceiveBuffer {
    /// An empty buffer with chunks of `chunk_bytes`; the first is made when something is to be read.
    pub fn new(chunk_bytes: usize) -> Self {
        assert!(chunk_bytes >= 4, "a chunk has room for a read and for what is left over");
        Self { chunk: BytesMut::new(), received_bytes: 0, chunk_bytes, allocated_bytes: 0, unwanted_bytes: 0 }
    }

    /// What has been received and not taken.
    pub fn received(&mut self) -> &mut [u8] {
        &mut self.chunk[..self.received_bytes]
    }

    /// Where to read to; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        let is_short = self.chunk.len() - self.received_bytes < self.chunk_bytes / 4;
        let has_grown = self.allocated_bytes > self.chunk_bytes && self.received_bytes < self.chunk_bytes / 2;
        if is_short || has_grown {
            self.renew();
        }
        &mut self.chunk[self.received_bytes..]
    }

    /// Says that so many bytes were read to the room.
    pub fn note_received(&mut self, bytes: usize) {
        self.received_bytes += bytes;
        assert!(self.received_bytes <= self.chunk.len(), "no more is read than there is room for");
        let unwanted = self.unwanted_bytes.min(self.received_bytes);
        if unwanted > 0 {
            self.unwanted_bytes -= unwanted;
            self.chunk.copy_within(unwanted..self.received_bytes, 0);
            self.received_bytes -= unwanted;
        }
    }

    /// Cuts off the first `bytes` of what was received; the slices of it share one count.
    pub fn take(&mut self, bytes: usize) -> Bytes {
        assert!(bytes <= self.received_bytes, "only what was received can be taken");
        self.received_bytes -= bytes;
        self.chunk.split_to(bytes).freeze()
    }

    /// Throws away the next `bytes`, those included that have yet to arrive.
    pub fn pass_over(&mut self, bytes: usize) {
        let here = bytes.min(self.received_bytes);
        drop(self.take(here));
        self.unwanted_bytes += bytes - here;
    }

    fn renew(&mut self) {
        let bytes = self.chunk_bytes.max(self.received_bytes * 2);
        let mut next = BytesMut::zeroed(bytes);
        next[..self.received_bytes].copy_from_slice(&self.chunk[..self.received_bytes]);
        (self.chunk, self.allocated_bytes) = (next, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buffer: &mut ReceiveBuffer, mut source: &[u8]) -> usize {
        let room = buffer.room();
        let bytes = std::io::Read::read(&mut source, room).expect("slices can be read");
        buffer.note_received(bytes);
        bytes
    }

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut random = fastrand::Rng::with_seed(9);
        let mut buffer = ReceiveBuffer::new(64);
        let source: Vec<u8> = (0..20_000).map(|_| random.u8(..)).collect();
        let (mut fed, mut out, mut kept) = (0, Vec::new(), Vec::new());
        while out.len() < source.len() {
            let end = source.len().min(fed + random.usize(0..200));
            fed += read(&mut buffer, &source[fed..end]);
            let here = buffer.received().len();
            let bytes = if random.u8(..) < 200 { random.usize(0..=here) } else { 0 };
            let slice = buffer.take(bytes);
            out.extend_from_slice(&slice);
            kept.push(slice);
        }
        assert_eq!(out, source);
        assert_eq!(kept.concat(), source, "slices stay as they were");
    }

    #[test]
    fn memory_follows_what_was_received_and_comes_back() {
        let mut buffer = ReceiveBuffer::new(64);
        let large = [7; 10_000];
        let mut fed = 0;
        while fed < large.len() {
            fed += read(&mut buffer, &large[fed..]);
            assert!(buffer.allocated_bytes <= 64.max(fed * 2), "{} for {fed}", buffer.allocated_bytes);
        }
        assert_eq!(buffer.take(10_000), &large[..]);
        read(&mut buffer, b"small");
        assert_eq!(buffer.allocated_bytes, 64);
        assert_eq!(buffer.received(), b"small");
    }

    #[test]
    fn unwanted_bytes_are_thrown_away_as_they_arrive() {
        let mut buffer = ReceiveBuffer::new(64);
        read(&mut buffer, b"abc");
        buffer.pass_over(5);
        assert_eq!(buffer.received(), b"");
        read(&mut buffer, b"d");
        assert_eq!(buffer.received(), b"");
        read(&mut buffer, b"efg");
        assert_eq!(buffer.received(), b"fg");
    }
}
