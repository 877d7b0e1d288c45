//! The server's ends of slow connections, looked at from outside: when they go, and what waits for them where.

use crate::tester::board::Board;
use crate::tester::clock::seconds;
use crate::tester::form::Form;
use crate::tester::run::Stage;
use crate::tester::sockets::{Ends, Waiting, waiting};
use crate::tester::watch::{kernel_buffers, resident_bytes};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

/// What a stopped client may cost in the kernel, in bytes: its socket's buffers with all their overhead.
const KERNEL_BYTES_MAX: f64 = 200.0 * 1024.0;

/// The ends that are on this machine.
pub(super) struct SlowEnds {
    open: BTreeMap<Ends, Progress>,
    /// For each that was found closed: when, and for how long it had taken nothing, in nanoseconds.
    closed: Vec<(u64, u64)>,
    slow: u64,
    pid: Option<u32>,
    began: Held,
    /// The last look at which all were open.
    all_open: Option<(Held, u64)>,
}

/// How far one connection has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// What lies in the kernel for it, in bytes.
    waits: u64,
    /// When that last changed, in nanoseconds after the slow ones began.
    at: u64,
}

/// Memory at a moment, in bytes, and what had been published.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    resident: u64,
    kernel: u64,
    published: u64,
}

impl SlowEnds {
    /// Those of this run. It begins now.
    pub(super) fn new(stage: &Stage<'_, '_, '_>) -> Self {
        let established = waiting().unwrap_or_default();
        let ends: Vec<Ends> = stage.board().tapes().flat_map(|tape| tape.slow_ends.clone()).collect();
        let open = ends.into_iter().filter(|ends| established.contains_key(ends));
        let open: BTreeMap<Ends, Progress> = open.map(|ends| (ends, Progress::default())).collect();
        let (slow, pid) = (open.len() as u64, stage.plan().server_pid);
        let began = Held::now(stage.board(), pid);
        Self { open, closed: Vec::new(), slow, pid, began, all_open: None }
    }

    /// Whether none is left of some that there were.
    pub(super) fn are_gone(&self) -> bool {
        self.open.is_empty() && self.slow > 0
    }

    /// Looks again, so many nanoseconds after they began to be slow.
    pub(super) fn look(&mut self, board: &Board, now: u64) {
        let Ok(established) = waiting() else { return };
        let closed = &mut self.closed;
        self.open.retain(|ends, progress| {
            let Some(Waiting { unsent, .. }) = established.get(ends) else {
                closed.push((now, now.saturating_sub(progress.at)));
                return false;
            };
            let (server, client) = ends;
            let unread = established.get(&(*client, *server)).map_or(0, |other| other.unread);
            if progress.waits != unsent + unread {
                *progress = Progress { waits: unsent + unread, at: now };
            }
            true
        });
        if self.closed.is_empty() && self.slow > 0 {
            let waits = self.open.values().map(|progress| progress.waits).sum();
            self.all_open = Some((Held::now(board, self.pid), waits));
        }
    }

    /// When they went, and what they cost until the first of them did.
    pub(super) fn tell(&self, stage: &mut Stage<'_, '_, '_>) {
        if let [Some(first), Some(last)] = [self.closed.first(), self.closed.last()] {
            let longest = self.closed.iter().map(|(_, without)| *without).max().unwrap_or(0);
            stage.set("slow_clients_closed_by_the_server_meanwhile", self.closed.len() as f64);
            stage.set("slow_clients_first_closed_after_seconds", seconds(first.0));
            stage.set("slow_clients_last_closed_after_seconds", seconds(last.0));
            stage.set("slow_clients_longest_without_progress_seconds", seconds(longest));
        }
        self.tell_of_memory(stage);
    }

    fn tell_of_memory(&self, stage: &mut Stage<'_, '_, '_>) {
        let Some((held, in_kernel)) = self.all_open else { return };
        let (slow, users) = (self.slow as f64, f64::from(stage.plan().users));
        let each = |now: u64, before: u64| (now as f64 - before as f64) / slow;
        let (queue, kernel) = (each(held.resident, self.began.resident), each(held.kernel, self.began.kernel));
        stage.set("kernel_bytes_per_slow_client_both_ends", kernel);
        stage.set("kernel_holds_unread_bytes_per_slow_client", in_kernel as f64 / slow);
        stage.set("kernel_bytes_per_slow_client_limit_share", kernel / KERNEL_BYTES_MAX);
        // Frames are shared by those who follow the same topic: what they cost is known where no two of them do.
        if self.pid.is_some() && slow <= users {
            let frames = each(held.published, self.began.published) * slow / users;
            let offered = frames * mean_frame_bytes(stage);
            let expected = offered - in_kernel as f64 / slow;
            stage.set("server_bytes_per_slow_client", queue);
            stage.set("server_bytes_per_slow_client_expected", expected);
            stage.set("server_bytes_per_slow_client_ratio", queue / expected);
        }
    }
}

impl Held {
    fn now(board: &Board, pid: Option<u32>) -> Self {
        let resident = pid.and_then(|pid| resident_bytes(pid).ok()).unwrap_or(0);
        Self { resident, kernel: kernel_buffers().unwrap_or(0), published: board.published.load(SeqCst) }
    }
}

fn mean_frame_bytes(stage: &Stage<'_, '_, '_>) -> f64 {
    let plan = stage.plan();
    let sizes = plan.course.sizes.len().max(1);
    let bytes: usize = (0..sizes as u64).map(|sequence| Form::new(plan.bytes_of(sequence)).frame_bytes()).sum();
    bytes as f64 / sizes as f64
}
