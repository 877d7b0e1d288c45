//! The run as its conductor sees it: waits, watches, writes down.

use super::record::Record;
use super::{Receiver, Surroundings, joined};
use crate::tester::board::{Board, Tape};
use crate::tester::clock::{SECOND, from_seconds, seconds};
use crate::tester::outcome::Outcome;
use crate::tester::plan::Plan;
use crate::tester::publishing::{Published, Publishing, Span};
use crate::tester::verdict::Signs;
use crate::tester::watch::Reading;
use crate::tester::worker::Left;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

/// Time between two looks at the threads: short against everything people wait for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Clients who wait for an answer longer than this are not let in, in nanoseconds.
const CONNECTING_PATIENCE: u64 = 10 * SECOND;

/// Refusals without a single success that are enough to know.
const REFUSALS_ENOUGH: u64 = 16;

/// What the server needs to become quiet after the last handshake, before its memory is read.
const SETTLING: Duration = Duration::from_millis(300);

/// How long late duplicates are waited for when everything has come.
const LINGERING: Duration = Duration::from_millis(50);

/// One run.
pub(super) struct Session<'a> {
    plan: &'a Plan,
    surroundings: &'a Surroundings<'a>,
    board: &'a Board,
    record: Record<'a>,
    span: Span,
    signs: Signs,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        surroundings: &'a Surroundings<'a>,
        board: &'a Board,
        before: Option<Reading>,
    ) -> Self {
        let record = Record::new(plan, board, before);
        let span = Span { from: 0, measured_from: 0, until: 0 };
        Self { plan, surroundings, board, record, span, signs: Signs::default() }
    }

    /// Waits until every client is in or refused.
    pub(super) fn connect(&mut self, receivers: &[Receiver<'_>]) -> Result<(), String> {
        let clients = u64::from(self.plan.clients);
        self.surroundings.progress.begin(&format!("connecting {clients} clients"));
        let mut last_change = (0, self.board.clock.now());
        loop {
            let (connected, refused) = (self.total(|tape| tape.connected), self.total(|tape| tape.refused));
            self.surroundings.progress.connected(connected, clients);
            let now = self.board.clock.now();
            if connected + refused != last_change.0 {
                last_change = (connected + refused, now);
            }
            let is_hopeless = connected == 0 && refused >= clients.min(REFUSALS_ENOUGH);
            if is_hopeless || self.is_interrupted() || receivers.iter().any(ScopedJoinHandle::is_finished) {
                return Err(self.refusal());
            }
            if connected + refused == clients {
                break;
            }
            if now > last_change.1 + CONNECTING_PATIENCE {
                self.board.is_seated.store(true, SeqCst);
            }
            thread::sleep(LOOK_AGAIN);
        }
        self.record.end_of_connecting();
        self.board.is_seated.store(true, SeqCst);
        if self.total(|tape| tape.connected) == 0 { Err(self.refusal()) } else { Ok(()) }
    }

    /// Publishes for the time of the plan and waits until what was published has come.
    pub(super) fn publish<'scope>(&mut self, scope: &'scope Scope<'scope, '_>, run: u16) -> Result<Published, String>
    where
        'a: 'scope,
    {
        thread::sleep(SETTLING);
        self.record.read_with_clients();
        let publishing = Publishing::connect(self.plan, self.board, run)?;
        let from = self.board.clock.now() + SECOND / 100;
        let measured_from = from + from_seconds(self.plan.warmup);
        self.span = Span { from, measured_from, until: measured_from + from_seconds(self.plan.seconds) };
        self.board.measured_from.store(measured_from, SeqCst);
        let span = self.span;
        let thread = thread::Builder::new().name("publisher".to_owned());
        let started = thread.spawn_scoped(scope, move || publishing.run(span));
        let thread = started.map_err(|error| format!("the publishing thread cannot start: {error}"))?;
        self.surroundings.progress.begin("warming up");
        self.watch_until(measured_from, &thread);
        self.record.begin(measured_from);
        self.measure(&thread);
        self.record.end_of_publishing(self.span.until);
        let published = joined(thread.join());
        self.drain(&published);
        self.record.end();
        thread::sleep(LINGERING);
        Ok(published)
    }

    /// What was found out, all threads joined.
    pub(super) fn outcome(self, published: &Published, left: &[Left]) -> (Outcome, Signs) {
        let outcome = self.record.outcome(published, left);
        let signs = Signs {
            due: published.due,
            was_blocked: published.was_blocked,
            was_stalled: published.was_stalled,
            publishing_error: published.error.clone(),
            refusal: self.board.tapes().find_map(|tape| tape.refusal.clone()),
            stranger: self.board.tapes().find_map(|tape| tape.stranger.clone()),
            ..self.signs
        };
        (outcome, signs)
    }

    /// Writes down every second, until publishing ends.
    fn measure(&mut self, publisher: &ScopedJoinHandle<'_, Published>) {
        for second in 1.. {
            let end = (self.span.measured_from + second * SECOND).min(self.span.until);
            self.watch_until(end, publisher);
            let sample = self.record.sample();
            self.surroundings.progress.second(&sample, self.plan.seconds);
            if self.board.is_silent.load(SeqCst) || publisher.is_finished() || end == self.span.until {
                return;
            }
        }
    }

    /// Waits for a moment; earlier where publishing ends or must end.
    fn watch_until(&mut self, moment: u64, publisher: &ScopedJoinHandle<'_, Published>) {
        loop {
            let now = self.board.clock.now();
            if now >= moment || publisher.is_finished() || self.is_cut_short() {
                return;
            }
            thread::sleep(LOOK_AGAIN.min(Duration::from_nanos(moment - now)));
        }
    }

    /// Whether everybody left or somebody wants the end; then nothing more is published.
    fn is_cut_short(&mut self) -> bool {
        let began = if self.span.from == 0 { self.board.clock.now() } else { self.span.from };
        let so_far = || seconds(self.board.clock.now().saturating_sub(began));
        if self.total(|tape| tape.open) == 0 {
            self.signs.gone_after.get_or_insert_with(so_far);
        }
        if self.is_interrupted() {
            self.signs.interrupted_after.get_or_insert_with(so_far);
        }
        let is_cut_short = self.signs.gone_after.is_some() || self.signs.interrupted_after.is_some();
        if is_cut_short {
            self.board.is_silent.store(true, SeqCst);
        }
        is_cut_short
    }

    /// Waits until everything has come, or nothing came for as long as patience lasts.
    fn drain(&mut self, published: &Published) {
        self.surroundings.progress.begin("waiting for what is on its way");
        let topics = published.of_topic.iter().zip(&self.board.listeners_of);
        let expected: u64 = topics.map(|(events, listeners)| events * u64::from(listeners.load(SeqCst))).sum();
        let patience = from_seconds(self.plan.patience);
        let mut last_change = (0, self.board.clock.now());
        loop {
            let arrived = self.total(|tape| tape.ledger.arrived);
            let now = self.board.clock.now();
            if arrived != last_change.0 {
                last_change = (arrived, now);
            }
            if arrived >= expected || now > last_change.1 + patience || self.is_cut_short() {
                return;
            }
            thread::sleep(LOOK_AGAIN.min(Duration::from_millis(2)));
        }
    }

    fn total(&self, number: impl Fn(&Tape) -> u64) -> u64 {
        self.board.total(number)
    }

    fn is_interrupted(&self) -> bool {
        self.surroundings.interrupted.load(SeqCst)
    }

    fn refusal(&self) -> String {
        if self.is_interrupted() {
            return "interrupted while clients were connecting".to_owned();
        }
        let reason = self.board.tapes().find_map(|tape| tape.refusal.clone());
        reason.unwrap_or_else(|| "a receiving thread ended".to_owned())
    }
}
