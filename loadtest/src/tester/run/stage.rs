//! The measured part of a run, as a scenario sees it: clients are connected, events are published, time passes.

use super::phase::Phase;
use super::session::Session;
use crate::tester::board::Board;
use crate::tester::clock::{SECOND, from_seconds};
use crate::tester::counters::Counters;
use crate::tester::ledger::Ledger;
use crate::tester::outcome::{Round, Sample};
use crate::tester::plan::Plan;
use crate::tester::publishing::Published;
use crate::tester::reckoning::Reckoning;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::ScopedJoinHandle;

/// Between an order and its beginning, in nanoseconds: longer than a receiving thread sleeps.
const LEAD: u64 = SECOND / 20;

/// Nothing new for so long, and everything is at rest; and how long that is waited for, in nanoseconds.
const AT_REST: u64 = SECOND;
const REST_PATIENCE: u64 = 30 * SECOND;

/// What a scenario plays on.
pub(crate) struct Stage<'s, 'a, 't> {
    pub(super) session: &'s mut Session<'a>,
    /// Nobody, once everything was published.
    pub(super) publisher: Option<&'s ScopedJoinHandle<'t, Published>>,
}

impl Stage<'_, '_, '_> {
    /// What is to be done.
    pub(crate) fn plan(&self) -> &Plan {
        self.session.plan
    }

    /// Nanoseconds on the run's clock.
    pub(crate) fn now(&self) -> u64 {
        self.session.board.clock.now()
    }

    /// The rest of the plan's time passes, and not a moment more is published.
    pub(crate) fn play_out(&mut self) {
        let until = self.session.measured_from() + from_seconds(self.plan().seconds);
        self.session.board.until.store(until, SeqCst);
        self.hold_until(until, |_| false);
    }

    /// Seconds pass; whether the run is to go on after them.
    pub(crate) fn hold(&mut self, seconds: f64) -> bool {
        let until = self.now().saturating_add(from_seconds(seconds));
        self.hold_until(until, |_| false)
    }

    /// Time passes until a moment, or until something has happened; whether the run is to go on.
    pub(crate) fn hold_until(&mut self, moment: u64, has_happened: impl Fn(&Board) -> bool) -> bool {
        let board = self.session.board;
        loop {
            let now = self.now();
            if now >= moment || has_happened(board) {
                return true;
            }
            let full = self.session.next_second(now);
            let is_over = self.session.watch_until(full.min(moment), self.publisher, || has_happened(board));
            if self.now() >= full {
                self.session.sample();
            }
            if is_over {
                return false;
            }
        }
    }

    /// Gives the restless connections the order for their next act and gives the moment when it begins.
    pub(crate) fn order(&mut self) -> u64 {
        let board = self.session.board;
        let from = board.clock.now() + LEAD;
        board.act_from.store(from, SeqCst);
        board.act.fetch_add(1, SeqCst);
        from
    }

    /// What was written down so far, second by second.
    pub(crate) fn samples(&self) -> &[Sample] {
        self.session.record.samples()
    }

    /// What the threads of the run tell each other.
    pub(crate) fn board(&self) -> &Board {
        self.session.board
    }

    /// What was delivered since the last phase ended.
    pub(crate) fn end_phase(&mut self) -> Phase {
        self.session.record.take_phase()
    }

    /// Reads the server's memory again: it has become quiet.
    pub(crate) fn read_memory(&mut self) {
        self.session.record.read_with_clients();
    }

    /// What the server has counted for this run: before its clients came, and now. Nothing where it does not say so.
    pub(crate) fn counters(&self) -> Option<[Counters; 2]> {
        Some([self.session.counters_before.clone()?, Counters::read(&self.plan().url)?])
    }

    /// Once all have read what there was and whoever left is back: what the server counts, and what its clients saw.
    /// Nothing where the server does not say, or counts for several agents.
    pub(crate) fn reckon(&mut self, published: &Published) -> Option<Reckoning> {
        self.rest();
        let before = self.ledger();
        let server = self.counters().filter(|_| self.plan().course.run.is_none())?;
        let asked = self.now();
        self.hold_until(asked + AT_REST, |_| false);
        let (board, mut given_up) = (self.board(), BTreeMap::new());
        for (_, code) in board.tapes().flat_map(|tape| tape.given_up.clone()) {
            *given_up.entry(code).or_default() += 1;
        }
        Some(Reckoning {
            server,
            clients: [before, self.ledger()],
            given_up,
            open: board.total(|tape| tape.open),
            steady: board.total(|tape| tape.steady),
            is_told: self.plan().is_told(),
            answers: published.answers(),
        })
    }

    /// Waits until nobody is on the way and nothing comes any more.
    fn rest(&mut self) {
        let clock = self.board().clock;
        let last_change = Cell::new((0, clock.now()));
        self.hold_until(clock.now() + REST_PATIENCE, |board| {
            let heard = board.total(|tape| tape.ledger.arrived + tape.returns);
            if heard != last_change.get().0 || board.total(|tape| tape.away) > 0 {
                last_change.set((heard, clock.now()));
            }
            clock.now() > last_change.get().1 + AT_REST
        });
    }

    /// What the clients have got so far, and missed, for good.
    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        self.board().tapes().for_each(|tape| ledger.add(&tape.ledger));
        ledger
    }

    /// Puts a round into the outcome.
    pub(crate) fn add_round(&mut self, round: Round) {
        self.session.record.additions.rounds.push(round);
    }

    /// Puts a round into the outcome; what does not hold fails the run.
    pub(crate) fn check(&mut self, round: Round) {
        if !round.held {
            let figures: Vec<String> = round.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
            self.fail(format!("not so: {} ({})", round.name, figures.join(", ")));
        }
        self.add_round(round);
    }

    /// Puts a figure of the whole run into the outcome, unless it is none.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.session.record.additions.figures.insert(name.to_owned(), value);
        }
    }

    /// Tells people something about the figures.
    pub(crate) fn note(&mut self, sentence: String) {
        self.session.record.additions.sentences.push(sentence);
    }

    /// Says why the run fails.
    pub(crate) fn fail(&mut self, sentence: String) {
        self.session.signs.failures.push(sentence);
    }

    /// Tells people that another part begins.
    pub(crate) fn announce(&self, part: &str) {
        self.session.surroundings.progress.begin(part);
    }
}
