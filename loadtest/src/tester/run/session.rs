//! The run as its conductor sees it: waits, watches, writes down.

use super::record::Record;
use super::{Receiver, Surroundings, joined};
use crate::tester::board::{Board, Tape};
use crate::tester::clock::{SECOND, from_seconds, seconds};
use crate::tester::counters::Counters;
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

/// The same where some come and go: nobody counts what they still lack.
const LINGERING_FOR_PASSERS: Duration = Duration::from_millis(500);

/// One run.
pub(super) struct Session<'a> {
    pub(super) plan: &'a Plan,
    pub(super) surroundings: &'a Surroundings<'a>,
    pub(super) board: &'a Board,
    pub(super) record: Record<'a>,
    pub(super) signs: Signs,
    /// What the server had counted before clients came.
    pub(super) counters_before: Option<Counters>,
    /// When it began; then, when publishing began.
    began: u64,
    span: Span,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        surroundings: &'a Surroundings<'a>,
        board: &'a Board,
        before: Option<Reading>,
    ) -> Self {
        let record = Record::new(plan, board, before);
        let span = Span { from: 0, measured_from: 0 };
        Self {
            plan,
            surroundings,
            board,
            record,
            signs: Signs::default(),
            counters_before: None,
            began: board.clock.now(),
            span,
        }
    }

    /// Waits until every client is in or refused.
    pub(super) fn connect(&mut self, receivers: &[Receiver<'_>]) -> Result<(), String> {
        let clients = u64::from(self.plan.clients);
        self.surroundings.progress.begin(&format!("connecting {clients} clients"));
        if self.plan.is_silent() {
            // Nothing else is measured than how they come.
            self.board.measured_from.store(0, SeqCst);
        }
        while self.board.tapes().any(|tape| tape.thread == 0) && !receivers.iter().any(ScopedJoinHandle::is_finished) {
            thread::sleep(LOOK_AGAIN / 100);
        }
        self.record.begin_connecting();
        let mut last_change = (0, self.board.clock.now());
        loop {
            let (connected, refused) = (self.total(|tape| tape.connected), self.total(|tape| tape.refused));
            self.surroundings.progress.connected(connected, clients);
            let now = self.board.clock.now();
            if connected + refused != last_change.0 {
                last_change = (connected + refused, now);
            }
            let is_hopeless = connected == 0 && refused >= clients.min(REFUSALS_ENOUGH);
            let is_unwanted = self.is_interrupted() && connected == 0;
            if is_hopeless || is_unwanted || receivers.iter().any(ScopedJoinHandle::is_finished) {
                return Err(self.refusal());
            }
            if connected + refused == clients || (connected > 0 && self.is_cut_short()) {
                break;
            }
            if now > last_change.1 + CONNECTING_PATIENCE.max(from_seconds(2.0 / self.plan.course.ramp.max(1e-3))) {
                self.board.is_seated.store(true, SeqCst);
            }
            thread::sleep(LOOK_AGAIN);
        }
        self.record.end_of_connecting();
        self.board.is_seated.store(true, SeqCst);
        if self.total(|tape| tape.connected) == 0 {
            return Err(self.refusal());
        }
        self.surroundings.progress.seated();
        Ok(())
    }

    /// Starts to publish and waits until the measurement begins.
    pub(super) fn begin_publishing<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        run: u16,
    ) -> Result<ScopedJoinHandle<'scope, Published>, String>
    where
        'a: 'scope,
    {
        thread::sleep(SETTLING);
        self.record.read_with_clients();
        let publishing = Publishing::connect(self.plan, self.board, run)?;
        let from = self.board.clock.now() + SECOND / 100;
        let measured_from = from + from_seconds(self.plan.warmup);
        self.span = Span { from, measured_from };
        if !self.plan.is_silent() {
            self.board.measured_from.store(measured_from, SeqCst);
        }
        self.began = from;
        let span = self.span;
        let thread = thread::Builder::new().name("publisher".to_owned());
        let started = thread.spawn_scoped(scope, move || publishing.run(span));
        let thread = started.map_err(|error| format!("the publishing thread cannot start: {error}"))?;
        self.surroundings.progress.begin(if self.plan.is_silent() { "settling" } else { "warming up" });
        self.watch_until(measured_from, Some(&thread), || false);
        self.record.begin(measured_from);
        Ok(thread)
    }

    /// Nothing more is published from now on; waits until what was published has come.
    pub(super) fn end_publishing(&mut self, thread: ScopedJoinHandle<'_, Published>) -> Published {
        let until = self.board.clock.now();
        let until = self.board.until.fetch_min(until, SeqCst).min(until);
        self.record.end_of_publishing(until);
        if let Some(sample) = self.record.last_sample() {
            self.surroundings.progress.second(&sample, self.plan.seconds_in_all());
        }
        let published = joined(thread.join());
        self.drain(&published);
        published
    }

    /// Everything was looked at, but for late duplicates.
    pub(super) fn end(&mut self) {
        self.record.end();
        thread::sleep(if self.plan.course.restless > 0 { LINGERING_FOR_PASSERS } else { LINGERING });
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

    /// When the measurement began, in nanoseconds on the run's clock.
    pub(super) fn measured_from(&self) -> u64 {
        self.span.measured_from
    }

    /// The end of the current second of the measurement.
    pub(super) fn next_second(&self, now: u64) -> u64 {
        self.span.measured_from + ((now.saturating_sub(self.span.measured_from)) / SECOND + 1) * SECOND
    }

    /// Writes down what there is since the last time.
    pub(super) fn sample(&mut self) {
        let sample = self.record.sample();
        self.surroundings.progress.second(&sample, self.plan.seconds_in_all());
    }

    /// Waits for a moment, or until something has happened; whether publishing has ended or must end.
    pub(super) fn watch_until(
        &mut self,
        moment: u64,
        publisher: Option<&ScopedJoinHandle<'_, Published>>,
        has_happened: impl Fn() -> bool,
    ) -> bool {
        loop {
            let now = self.board.clock.now();
            if publisher.is_some_and(ScopedJoinHandle::is_finished) || self.is_cut_short() {
                return true;
            }
            if now >= moment || has_happened() {
                return false;
            }
            thread::sleep(LOOK_AGAIN.min(Duration::from_nanos(moment - now)));
        }
    }

    /// Whether everybody left or somebody wants the end; then nothing more is published.
    fn is_cut_short(&mut self) -> bool {
        let so_far = || seconds(self.board.clock.now().saturating_sub(self.began));
        if self.is_deserted() {
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

    /// Whether nobody is left but those who left of their own will: of those who stay, where there are such.
    fn is_deserted(&self) -> bool {
        let (open, away) = (self.total(|tape| tape.open), self.total(|tape| tape.away));
        let stays = self.board.listeners_of.iter().any(|listeners| listeners.load(SeqCst) > 0);
        if stays { self.total(|tape| tape.steady) == 0 } else { open + away == 0 }
    }

    /// Waits until everything has come, or nothing came for as long as patience lasts.
    fn drain(&mut self, published: &Published) {
        self.surroundings.progress.begin("waiting for what is on its way");
        let topics = published.of_topic.iter().zip(&self.board.listeners_of);
        let expected: u64 = topics.map(|(events, listeners)| events * u64::from(listeners.load(SeqCst))).sum();
        let patience = from_seconds(self.plan.patience);
        let mut last_change = (0, self.board.clock.now());
        loop {
            let arrived = self.total(|tape| tape.ledger.awaited);
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
