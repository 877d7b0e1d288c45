//! Sealed bytes exactly as the kernel gets them, shared by all clients of one shard.

use bytes::Bytes;
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

/// Frames shorter than this are copied out of their receive chunk before they wait for a late client: a chunk is
/// 64 KiB, and a longer frame is at least a quarter of it.
const CHUNK_SHARE_BYTES_MIN: usize = 16 * 1024;

/// One frame, counted without atomics: it never leaves its shard.
///
/// ```text
/// Frame ──► Sealed ──► receive chunk (64 KiB, shared with other frames and other shards)
///              └─ after detach(): memory of its own
/// ```
#[derive(Clone, Debug)]
pub struct Frame(Rc<Sealed>);

#[derive(Debug)]
struct Sealed {
    bytes: RefCell<Bytes>,
    is_detached: Cell<bool>,
}

impl Frame {
    /// Wraps sealed bytes: the one allocation a message costs per encoding and shard.
    pub fn new(sealed: Bytes) -> Self {
        debug_assert!(!sealed.is_empty(), "a frame has at least a header");
        Self(Rc::new(Sealed { bytes: RefCell::new(sealed), is_detached: Cell::new(false) }))
    }

    /// The bytes, header included.
    pub fn bytes(&self) -> Ref<'_, Bytes> {
        self.0.bytes.borrow()
    }

    /// Whether both are the very same frame.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Moves a short frame to memory of its own, once for everybody who shares it.
    ///
    /// A slice keeps all of its receive chunk alive; a late client would hold 64 KiB for a few hundred bytes.
    pub fn detach(&self) {
        if self.0.is_detached.replace(true) {
            return;
        }
        let mut bytes = self.0.bytes.borrow_mut();
        if bytes.len() < CHUNK_SHARE_BYTES_MIN {
            *bytes = Bytes::copy_from_slice(&bytes);
        }
    }
}
