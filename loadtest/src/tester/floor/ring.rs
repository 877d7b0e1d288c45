//! Many sends in one kernel call, through an `io_uring` of one's own.
#![expect(unsafe_code, reason = "the kernel is handed addresses; every one of them is done with before a call returns")]

use super::patient::patiently;
use io_uring::{IoUring, opcode, types};
use rustix::net::SendFlags;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Sends for each kernel call: a call costs some 100 ns more than a send's own entry, which is nothing among thousands.
const ENTRIES: u32 = 4096;

/// No signal for a client that is gone, no waiting for one that does not read.
const FLAGS: i32 = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT).bits().cast_signed();

/// The ring. One thread's own.
pub(super) struct Ring {
    ring: IoUring,
}

/// Bytes and the socket they are for.
pub(super) type Sending<'a> = (BorrowedFd<'a>, &'a [u8]);

impl Ring {
    /// # Errors
    /// Where the kernel has no `io_uring`, forbids it, or is older than 6.1.
    pub(super) fn new() -> io::Result<Self> {
        let ring = patiently(|| IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES))?;
        Ok(Self { ring })
    }

    /// Sends without waiting, in this order: what each came to, as `send(2)` says it, with errors below 0.
    pub(super) fn send(&mut self, sendings: &[Sending<'_>], results: &mut Vec<i32>) {
        results.clear();
        for chunk in sendings.chunks(ENTRIES as usize) {
            let first = results.len();
            results.resize(first + chunk.len(), 0);
            self.submit(chunk);
            self.reap(&mut results[first..]);
        }
    }

    fn submit(&mut self, chunk: &[Sending<'_>]) {
        let mut queue = self.ring.submission();
        for (number, (socket, bytes)) in chunk.iter().enumerate() {
            let length = u32::try_from(bytes.len()).expect("a read brings less than 4 GiB");
            let send = opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), length).flags(FLAGS);
            // SAFETY: the bytes and the descriptor are borrowed for as long as `Ring::send` runs, and `reap` does not
            // let it return before the kernel has answered every entry.
            unsafe { queue.push(&send.build().user_data(number as u64)) }.expect("the ring is empty before a chunk");
        }
    }

    /// Waits for all answers. There is no way back before that, since the kernel may still read the bytes.
    fn reap(&mut self, results: &mut [i32]) {
        let mut missing = results.len();
        while missing > 0 {
            if let Err(error) = patiently(|| self.ring.submit_and_wait(missing)) {
                eprintln!("fanout-loadtest: io_uring_enter: {error}");
                std::process::abort();
            }
            for answer in self.ring.completion() {
                results[usize::try_from(answer.user_data()).expect("a number of ours")] = answer.result();
                missing -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn every_socket_gets_its_bytes_in_order_and_the_gone_are_told_apart() {
        let Ok(mut ring) = Ring::new() else { return println!("no io_uring here: nothing to test") };
        let (mut reader, writer) = UnixStream::pair().expect("a pair");
        let (gone, to_gone) = UnixStream::pair().expect("a pair");
        drop(gone);
        let events: Vec<String> = (0..ENTRIES + 10).map(|number| format!("{number:4}")).collect();
        let mut sendings: Vec<Sending> = events[..10].iter().map(|event| (writer.as_fd(), event.as_bytes())).collect();
        sendings.insert(5, (to_gone.as_fd(), b"nobody"));
        let mut results = Vec::new();
        ring.send(&sendings, &mut results);
        assert_eq!(results, [4, 4, 4, 4, 4, -32, 4, 4, 4, 4, 4]);
        let mut received = [0; 40];
        reader.read_exact(&mut received).expect("ten events");
        assert_eq!(String::from_utf8_lossy(&received), events[..10].concat());
    }

    #[test]
    fn more_sends_than_the_ring_has_entries_are_all_answered() {
        let Ok(mut ring) = Ring::new() else { return println!("no io_uring here: nothing to test") };
        let (_reader, writer) = UnixStream::pair().expect("a pair");
        writer.set_nonblocking(true).expect("a socket");
        let sendings = vec![(writer.as_fd(), &b"event"[..]); 3 * ENTRIES as usize + 1];
        let mut results = Vec::new();
        ring.send(&sendings, &mut results);
        assert_eq!(results.len(), sendings.len());
        let refused = results.iter().position(|&result| result == -11).expect("nobody reads");
        assert!(results[..refused].iter().all(|&result| result == 5), "taken until the socket was full");
    }
}
