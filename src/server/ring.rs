//! Many sends with one kernel call, through an `io_uring` of the shard's own.
#![expect(unsafe_code, reason = "the kernel is handed pointers; PERFORMANCE.md has the measurement that asks for it")]

use crate::engine::connection::SENDS_PER_BATCH_MAX;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sends as they are, not as they fit: who takes nothing now is heard of, and no signal comes from who is gone.
const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A ring for sends that never wait.
pub(crate) struct Ring {
    ring: IoUring,
}

impl Ring {
    /// Sends at a time.
    pub(crate) const SENDS_MAX: usize = SENDS_PER_BATCH_MAX;

    /// A ring for the calling thread; only this thread may use it.
    ///
    /// # Errors
    /// Where the kernel is older than 6.1 or forbids rings: then sends are made one by one.
    pub(crate) fn new() -> io::Result<Self> {
        let entries = u32::try_from(SENDS_PER_BATCH_MAX).expect("a batch is small");
        // Completions are made within the call that submits, on this thread, and interrupt nobody.
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(entries)?;
        Ok(Self { ring })
    }

    /// Makes all sends and appends what became of each, in the same order.
    pub(crate) fn send<'a>(
        &mut self,
        sends: impl ExactSizeIterator<Item = (BorrowedFd<'a>, &'a [u8])>,
        taken: &mut Vec<io::Result<usize>>,
    ) {
        let (first, count) = (taken.len(), sends.len());
        assert!(count <= SENDS_PER_BATCH_MAX, "the ring has room for one batch");
        taken.resize_with(first + count, || Err(io::ErrorKind::Interrupted.into()));
        {
            let mut submission = self.ring.submission();
            for (number, (socket, bytes)) in sends.enumerate() {
                let entry = entry(socket, bytes).user_data(number as u64);
                // SAFETY: the descriptor and the bytes are borrowed for 'a, which outlives this function. The kernel is
                // done with them when it returns: such a send completes within the call that submits it, because it
                // may not wait (MSG_DONTWAIT), and all completions are awaited below.
                unsafe { submission.push(&entry) }.expect("the ring has room for one batch");
            }
        }
        let mut awaited = count;
        while awaited > 0 {
            match self.ring.submit_and_wait(awaited) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("the kernel does not take sends any more: {error}"),
            }
            for completion in self.ring.completion() {
                let number = usize::try_from(completion.user_data()).expect("given above");
                taken[first + number] = outcome(&completion);
                awaited -= 1;
            }
        }
    }
}

fn entry(socket: BorrowedFd<'_>, bytes: &[u8]) -> squeue::Entry {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let flags = i32::try_from(FLAGS.bits()).expect("flags of the kernel");
    opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), length).flags(flags).build()
}

fn outcome(completion: &cqueue::Entry) -> io::Result<usize> {
    let result = completion.result();
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn pair() -> (UnixStream, UnixStream) {
        let (near, far) = UnixStream::pair().expect("descriptors are left");
        near.set_nonblocking(true).expect("a socket");
        far.set_nonblocking(true).expect("a socket");
        (near, far)
    }

    #[test]
    fn every_socket_gets_its_own_bytes_and_every_send_its_own_outcome() {
        let mut ring = Ring::new().expect("Linux 6.1 or newer");
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..200 {
            let pairs: Vec<_> = (0..random.usize(1..=SENDS_PER_BATCH_MAX)).map(|_| pair()).collect();
            let texts: Vec<Vec<u8>> = pairs.iter().map(|_| vec![random.u8(..); random.usize(1..5_000)]).collect();
            let sends: Vec<_> = pairs.iter().zip(&texts).map(|((near, _), text)| (near.as_fd(), &text[..])).collect();
            let mut taken = Vec::new();
            ring.send(sends.into_iter(), &mut taken);
            assert_eq!(taken.len(), texts.len(), "round {round}");
            for (((_, far), text), taken) in pairs.iter().zip(&texts).zip(taken) {
                let (mut far, mut got) = (far, Vec::new());
                let end = far.read_to_end(&mut got).expect_err("the near end is open");
                assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
                assert_eq!((taken.expect("there is room"), &got), (text.len(), text), "round {round}");
            }
        }
    }

    #[test]
    fn who_takes_nothing_or_is_gone_is_told_apart_and_nobody_is_waited_for() {
        let mut ring = Ring::new().expect("Linux 6.1 or newer");
        let ((full, _kept), (gone, far), (open, _reads)) = (pair(), pair(), pair());
        while (&full).write(&[0; 4096]).is_ok() {}
        drop(far);
        let mut taken = Vec::new();
        let sends = [&full, &gone, &open].map(|socket| (socket.as_fd(), &b"text"[..]));
        ring.send(sends.into_iter(), &mut taken);
        let kinds: Vec<_> = taken.into_iter().map(|taken| taken.map_err(|error| error.kind())).collect();
        assert_eq!(kinds, [Err(io::ErrorKind::WouldBlock), Err(io::ErrorKind::BrokenPipe), Ok(4)]);
    }
}
