//! The heap of one thread, counted: who asks, how often, and how much is held.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands everything to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static HEAP: Cell<Heap> = const { Cell::new(Heap { allocations: 0, held_bytes: 0 }) };
}

/// What a thread has asked the allocator for.
#[derive(Clone, Copy)]
pub(crate) struct Heap {
    /// Times it asked for memory, or for more of it.
    pub(crate) allocations: usize,
    /// Bytes it holds; negative if it gave back what another thread had asked for.
    pub(crate) held_bytes: isize,
}

/// The heap of this thread as it stands.
pub(crate) fn now() -> Heap {
    HEAP.get()
}

struct Counting;

impl Counting {
    fn count(asked: usize, grown: usize, shrunk: usize) {
        // A thread that is ending has no counts any more.
        let _ = HEAP.try_with(|heap| {
            let Heap { allocations, held_bytes } = heap.get();
            let held_bytes = held_bytes.wrapping_add_unsigned(grown).wrapping_sub_unsigned(shrunk);
            heap.set(Heap { allocations: allocations + asked, held_bytes });
        });
    }
}

// SAFETY: every call goes on to the system's allocator with the very arguments it came with. Counting allocates
// nothing: the counts are constants to begin with and need no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(1, layout.size(), 0);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(1, layout.size(), 0);
        // SAFETY: the caller keeps to the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        Self::count(1, bytes, layout.size());
        // SAFETY: the caller keeps to the contract of `realloc`; `block` came from the system's allocator.
        unsafe { System.realloc(block, layout, bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        Self::count(0, 0, layout.size());
        // SAFETY: the caller keeps to the contract of `dealloc`; `block` came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }
}
