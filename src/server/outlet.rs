//! How a shard's bytes reach the kernel: one call for a batch where that pays, else one per socket.

use super::ring::Ring;
use super::socket::TcpSocket;
use crate::engine::connection::{Outlet, Send};
use std::io;

/// From so many sends on the ring is cheaper than a call each: PERFORMANCE.md has the measurement.
const RING_PAYS_FROM: usize = 4;

/// The way out of a shard.
pub(super) struct KernelOutlet {
    /// `None` where the kernel has no rings of the kind that is wanted.
    ring: Option<Ring>,
}

impl KernelOutlet {
    /// Must be called on the thread that will send.
    pub(super) fn new() -> Self {
        let ring = Ring::new();
        if let Err(error) = &ring {
            tracing::info!(%error, "sends are made one by one: batches need io_uring of Linux 6.1");
        }
        Self { ring: ring.ok() }
    }
}

impl Outlet<TcpSocket> for KernelOutlet {
    fn send(&mut self, sends: &[Send<'_, TcpSocket>], taken: &mut Vec<io::Result<usize>>) {
        match &mut self.ring {
            Some(ring) if sends.len() >= RING_PAYS_FROM => {
                ring.send(sends.iter().map(|send| (send.socket.descriptor(), send.bytes)), taken);
            }
            _ => taken.extend(sends.iter().map(|send| send.socket.send(send.bytes))),
        }
    }
}
