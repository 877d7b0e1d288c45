//! Sealed bytes exactly as the kernel gets them, shared by all clients of one shard.

use super::topic::TopicKey;
use crate::ear::Tick;
use bytes::Bytes;
use std::cell::OnceCell;
use std::rc::Rc;

/// Memory that a frame of so many bytes takes while it waits: those, its counts and what stands beside them, and a place
/// in a list that grows by doubling.
pub const fn held_bytes(bytes: usize) -> usize {
    allocated(bytes) + allocated(2 * size_of::<usize>() + size_of::<Sealed>()) + 2 * size_of::<Frame>()
}

/// What the allocator hands out for so many bytes: multiples of 16, and from 128 on four sizes for each doubling.
const fn allocated(bytes: usize) -> usize {
    // A quarter of the power of two below: 16 up to 128.
    let step = 1 << ((bytes.saturating_sub(1) | 127).ilog2() - 2);
    (bytes + step - 1) & !(step - 1)
}

/// One frame, or several that go out together, counted without atomics: it never leaves its shard.
///
/// ```text
/// Frame ──► Sealed ──► receive chunk (64 KiB, shared with other frames and other shards)
///              ├─ detached() ──► Sealed with memory of its own, shared by all late clients
///              └─ newest() ────► the same of a bundle's last frame
/// ```
#[derive(Clone, Debug)]
pub struct Frame(Rc<Sealed>);

/// What is in a frame, as far as queues care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Events of a topic that came at this tick. Who reads too slowly may have to do without them.
    Events(TopicKey, Tick),
    /// What a protocol says to one client.
    Words,
    /// Says that so many frames are missing here. Not counted itself, nor is the next.
    Gap(u32),
    /// The connection's own: pings, pongs, closes, the answer to the upgrade.
    Control,
}

#[derive(Debug)]
struct Sealed {
    bytes: Bytes,
    /// How many WebSocket frames the bytes are.
    count: u32,
    /// See [`Frame::held_bytes`].
    held_bytes: u32,
    content: Content,
    owner: Owner,
}

/// Whose memory the bytes are, and the copy that late clients get, once somebody needed it.
#[derive(Debug)]
enum Owner {
    /// A receive chunk's.
    Chunk(OnceCell<Frame>),
    /// A bundle's, whose last frame begins here.
    Bundle(usize, OnceCell<Frame>),
    /// Nobody else's.
    Frame,
}

impl Frame {
    /// Wraps sealed bytes: the one allocation a message costs per encoding and shard.
    pub fn new(sealed: Bytes, content: Content) -> Self {
        debug_assert!(!sealed.is_empty(), "a frame has at least a header");
        let count = u32::from(matches!(content, Content::Events(..) | Content::Words));
        Self::of(sealed, count, content, Owner::Chunk(OnceCell::new()))
    }

    /// Several frames end to end: one copy, whoever gets them. A single one is not copied.
    pub fn bundle(sealed: &[Bytes], content: Content) -> Self {
        if let [single] = sealed {
            return Self::new(single.clone(), content);
        }
        let mut bytes = Vec::with_capacity(sealed.iter().map(Bytes::len).sum());
        for frame in sealed {
            bytes.extend_from_slice(frame);
        }
        let last = bytes.len() - sealed.last().map_or(0, Bytes::len);
        let count = u32::try_from(sealed.len()).expect("a turn takes fewer than 2^32 messages");
        Self::of(bytes.into(), count, content, Owner::Bundle(last, OnceCell::new()))
    }

    #[inline]
    fn of(bytes: Bytes, count: u32, content: Content, owner: Owner) -> Self {
        let held_bytes = u32::try_from(held_bytes(bytes.len())).unwrap_or(u32::MAX);
        Self(Rc::new(Sealed { bytes, count, held_bytes, content, owner }))
    }

    /// The bytes, headers included.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// How many WebSocket frames it is; 0 for gap notices and the connection's own.
    pub fn count(&self) -> u32 {
        self.0.count
    }

    /// [`held_bytes`] of it, once it is [`Frame::detached`]. Counted for each client, though they share it.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes as usize
    }

    /// What is in it.
    pub fn content(&self) -> Content {
        self.0.content
    }

    /// The same for a client that is late: in memory of its own, copied once for everybody.
    ///
    /// A slice keeps all of its receive chunk alive: a late client would hold 64 KiB for a few hundred bytes, and twice
    /// a long event.
    #[must_use]
    pub fn detached(&self) -> Self {
        let Owner::Chunk(copy) = &self.0.owner else { return self.clone() };
        copy.get_or_init(|| self.copied(&self.0.bytes)).clone()
    }

    /// Of several frames the last, in memory of its own.
    #[must_use]
    pub fn newest(&self) -> Self {
        let Owner::Bundle(last, copy) = &self.0.owner else { return self.detached() };
        copy.get_or_init(|| self.copied(&self.0.bytes[*last..])).clone()
    }

    fn copied(&self, frame: &[u8]) -> Self {
        Self::of(Bytes::copy_from_slice(frame), self.0.count.min(1), self.0.content, Owner::Frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_clients_share_one_copy_and_let_go_of_the_chunk() {
        let chunk = Bytes::from(vec![7; 64 * 1024]);
        for length in [100, 40_000] {
            let frame = Frame::new(chunk.slice(..length), Content::Words);
            let (one, other) = (frame.detached(), frame.detached().detached());
            drop(frame);
            assert!(chunk.is_unique(), "nobody holds the chunk any more");
            assert_eq!((one.bytes(), one.count()), (&chunk[..length], 1));
            assert!(std::ptr::eq(one.bytes(), other.bytes()), "one copy");
        }
    }

    #[test]
    fn a_frame_holds_what_the_allocator_hands_out_for_it() {
        for (bytes, expected) in [
            (1, 16),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (260, 320),
            (1_024, 1_024),
            (1_028, 1_280),
            (4_004, 4_096),
            (4_097, 5_120),
            (100_000, 114_688),
        ] {
            let frame = Frame::new(Bytes::from(vec![0; bytes]), Content::Words);
            assert_eq!(frame.held_bytes() - held_bytes(0), expected, "{bytes}");
            assert_eq!(frame.detached().held_bytes(), frame.held_bytes(), "the copy as well");
        }
        assert_eq!(held_bytes(0), 112, "as the setting says");
    }

    #[test]
    fn a_bundle_is_its_frames_end_to_end_and_one_alone_is_not_copied() {
        let frames = [Bytes::from(vec![1; 3]), Bytes::from(vec![2; 2])];
        let bundle = Frame::bundle(&frames, Content::Words);
        assert_eq!((bundle.bytes(), bundle.count()), (&[1, 1, 1, 2, 2][..], 2));
        let newest = bundle.newest();
        assert_eq!((newest.bytes(), newest.count()), (&[2, 2][..], 1));
        assert!(std::ptr::eq(newest.bytes(), bundle.newest().newest().bytes()), "one copy");
        assert_eq!(Frame::bundle(&frames[..1], Content::Words).bytes().as_ptr(), frames[0].as_ptr(), "the same memory");
    }
}
