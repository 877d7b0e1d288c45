//! What is written down during a run, and the outcome made of it.

use super::phase::Phase;
use crate::tester::board::{Board, histogram};
use crate::tester::clock::{SECOND, seconds};
use crate::tester::ledger::{Ledger, Standing};
use crate::tester::open_files;
use crate::tester::outcome::{Latency, Outcome, Round, Sample, Tester};
use crate::tester::plan::Plan;
use crate::tester::publishing::Published;
use crate::tester::watch::{Reading, Readings, thread_times};
use crate::tester::worker::Left;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

/// Points of the latency plot for each halving of the distance to 100 %.
const POINTS_PER_HALVING: u32 = 4;

/// What a scenario adds to the outcome.
#[derive(Debug, Default)]
pub(super) struct Additions {
    pub(super) rounds: Vec<Round>,
    pub(super) figures: BTreeMap<String, f64>,
    pub(super) sentences: Vec<String>,
}

/// What was written down so far.
pub(super) struct Record<'a> {
    plan: &'a Plan,
    board: &'a Board,
    /// Its deliveries are all since the measurement began, of the warm-up's events too.
    server: Readings,
    /// Deliveries before the measurement. What is on its way when it begins is work of the measured time, though not of
    /// its events: with a large window and a slow server that is a good part of all deliveries.
    arrived_before: u64,
    measured_from: u64,
    publishing_ended: u64,
    /// Running and waiting time of the tester's threads at the beginning, and the busiest one's share at the end.
    threads_began: Vec<(i32, [u64; 2])>,
    busiest_thread: f64,
    latency: Histogram<u64>,
    /// What was delivered since the last sample, and in the current phase.
    heard: Histogram<u64>,
    phase: Phase,
    samples: Vec<Sample>,
    pub(super) additions: Additions,
    /// Published, delivered and the server's processor time at the last sample.
    last: (u64, u64, u64, u64),
    /// Connections that had ended at the last sample.
    closed_before: u64,
}

impl<'a> Record<'a> {
    pub(super) fn new(plan: &'a Plan, board: &'a Board, before: Option<Reading>) -> Self {
        Self {
            plan,
            board,
            server: Readings { before, ..Readings::default() },
            arrived_before: 0,
            measured_from: 0,
            publishing_ended: 0,
            threads_began: Vec::new(),
            busiest_thread: 0.0,
            latency: histogram(),
            heard: histogram(),
            phase: Phase::new(),
            samples: Vec::new(),
            additions: Additions::default(),
            last: (0, 0, 0, 0),
            closed_before: 0,
        }
    }

    /// Clients begin to come.
    pub(super) fn begin_connecting(&mut self) {
        self.measured_from = self.board.clock.now();
        self.last.0 = self.measured_from;
        self.watch_threads();
    }

    /// The last client was let in or refused.
    pub(super) fn end_of_connecting(&mut self) {
        self.server.connected = self.read_quickly();
        if self.plan.is_silent() {
            self.look_for_the_busiest_thread();
        }
    }

    /// What was delivered since this was asked last.
    pub(super) fn take_phase(&mut self) -> Phase {
        self.gather();
        std::mem::replace(&mut self.phase, Phase::new())
    }

    /// All clients are there and nothing happens yet.
    pub(super) fn read_with_clients(&mut self) {
        self.server.with_clients = self.read();
    }

    /// The measurement begins.
    pub(super) fn begin(&mut self, measured_from: u64) {
        self.measured_from = measured_from;
        self.server.began = self.read_quickly();
        self.arrived_before = self.arrived();
        if !self.plan.is_silent() {
            self.watch_threads();
        }
        self.last = (measured_from, 0, 0, self.server.began.map_or(0, |reading| reading.busy));
    }

    fn watch_threads(&mut self) {
        let threads = self.board.tapes().map(|tape| tape.thread).chain([self.board.publishing_thread.load(SeqCst)]);
        let threads: Vec<i32> = threads.collect();
        self.threads_began =
            threads.into_iter().filter_map(|thread| Some((thread, thread_times(thread).ok()?))).collect();
    }

    /// Whoever ran or waited for a core most since the measurement, or connecting, began.
    fn look_for_the_busiest_thread(&mut self) {
        let elapsed = self.board.clock.now().saturating_sub(self.measured_from).max(1);
        let busy = self.threads_began.iter().filter_map(|(thread, [running, waiting])| {
            let [running_now, waiting_now] = thread_times(*thread).ok()?;
            Some((running_now - running + waiting_now - waiting) as f64 / elapsed as f64)
        });
        self.busiest_thread = busy.fold(0.0, f64::max).min(1.0);
    }

    /// All of them so far.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// What came behind the last whole second, if that is worth a sample.
    pub(super) fn last_sample(&mut self) -> Option<Sample> {
        let since = self.board.clock.now().saturating_sub(self.last.0);
        (self.samples.is_empty() || since > SECOND / 10).then(|| self.sample())
    }

    /// Takes what the threads have heard.
    fn gather(&mut self) {
        for mut tape in self.board.tapes() {
            let taken = std::mem::replace(&mut tape.latency, histogram());
            drop(tape);
            for heard in [&mut self.heard, &mut self.phase.latency, &mut self.latency] {
                heard.add(&taken).expect("histograms of one make");
            }
        }
    }

    /// One more second.
    pub(super) fn sample(&mut self) -> Sample {
        self.gather();
        let now = self.board.clock.now();
        let heard = std::mem::replace(&mut self.heard, histogram());
        let published = self.board.published.load(SeqCst);
        let delivered = self.board.total(|tape| tape.ledger.delivered);
        let closed = self.board.total(|tape| tape.ledger.closed_total() + tape.given_up.len() as u64);
        let server = self.read_quickly();
        if let Some(reading) = server {
            self.server.ended = Some((reading, self.deliveries()));
        }
        let busy = server.map_or(self.last.3, |reading| reading.busy);
        let sample = Sample {
            second: seconds(now.saturating_sub(self.measured_from)),
            connections: self.board.total(|tape| tape.open),
            published: published - self.last.1,
            delivered: delivered - self.last.2,
            closed: closed - self.closed_before,
            latency_us: Latency::of(&heard),
            rss_bytes: server.map_or(0, |reading| reading.resident_bytes),
            server_cores: busy.saturating_sub(self.last.3) as f64 / now.saturating_sub(self.last.0).max(1) as f64,
        };
        self.last = (now, published, delivered, busy);
        self.closed_before = closed;
        self.samples.push(sample);
        sample
    }

    /// Nothing more is published: from here on the tester's threads have little to do.
    pub(super) fn end_of_publishing(&mut self, until: u64) {
        let now = self.board.clock.now();
        self.publishing_ended = until.min(now).max(self.measured_from);
        if !self.plan.is_silent() {
            self.look_for_the_busiest_thread();
        }
    }

    /// Everything has come.
    pub(super) fn end(&mut self) {
        if let Some(reading) = self.read() {
            self.server.ended = Some((reading, self.deliveries()));
        }
        self.gather();
    }

    /// The outcome, not judged yet.
    pub(super) fn outcome(self, published: &Published, left: &[Left]) -> Outcome {
        let ledger = self.ledger(published, left);
        let measured = self.publishing_ended - self.measured_from;
        let last_delivery = self.board.tapes().map(|tape| tape.last_delivery).max().unwrap_or(0);
        let receiving = last_delivery.max(self.publishing_ended) - self.measured_from;
        let count = self.board.published.load(SeqCst);
        Outcome {
            published: count,
            delivered: ledger.delivered,
            lost: ledger.lost,
            duplicated: ledger.duplicated,
            reordered: ledger.reordered,
            foreign: ledger.foreign,
            closed: ledger.closed_total(),
            latency_us: Latency::of(&self.latency),
            server: self.server.cost(self.board.total(|tape| tape.connected)),
            scenario: self.plan.scenario.clone(),
            settings: self.plan.settings(),
            connected: self.board.total(|tape| tape.connected),
            refused: self.board.total(|tape| tape.refused),
            closed_by_code: ledger.closed,
            seconds: seconds(measured),
            published_per_second: per_second(count, measured),
            delivered_per_second: per_second(self.deliveries(), receiving),
            tester: self.tester(published),
            percentiles: percentiles(&self.latency),
            handshakes_per_second: self.handshakes_per_second(),
            connecting_us: Some(Latency::of(&self.connecting())),
            connecting: Some(self.connecting()),
            refused_by_reason: self.refusals(),
            rounds: self.additions.rounds,
            figures: with_announced(self.additions.figures, ledger.announced),
            notes: self.additions.sentences,
            samples: self.samples,
            histogram: Some(self.latency),
            ..Outcome::default()
        }
    }

    fn ledger(&self, published: &Published, left: &[Left]) -> Ledger {
        let mut ledger = Ledger::default();
        self.board.tapes().for_each(|tape| ledger.add(&tape.ledger));
        for connection in left {
            let expectation = &connection.expectation;
            let events = published.of_topic[expectation.topic as usize];
            let missing = if connection.is_open { expectation.missing(events) } else { expectation.skipped() };
            ledger.announced += expectation.announced(if connection.is_open { events } else { 0 });
            match expectation.standing {
                Standing::Excused => ledger.excused += missing,
                Standing::Steady | Standing::Passing => ledger.lost += missing,
            }
        }
        ledger
    }

    fn refusals(&self) -> BTreeMap<String, u64> {
        let mut refusals = BTreeMap::new();
        for tape in self.board.tapes() {
            for (reason, count) in &tape.reasons {
                *refusals.entry(reason.clone()).or_default() += count;
            }
        }
        refusals
    }

    fn tester(&self, published: &Published) -> Tester {
        let mut lag = published.lateness.clone();
        self.board.tapes().for_each(|tape| lag.add(&tape.turns).expect("histograms of one make"));
        Tester {
            busiest_thread: self.busiest_thread,
            lag_us: Latency::of(&lag),
            threads: self.plan.threads,
            agents: 1,
            open_files_max: open_files::raise(),
        }
    }

    fn connecting(&self) -> Histogram<u64> {
        let mut connecting = histogram();
        self.board.tapes().for_each(|tape| connecting.add(&tape.connecting).expect("histograms of one make"));
        connecting
    }

    fn handshakes_per_second(&self) -> Option<f64> {
        let spans: Vec<(u64, u64)> = self.board.tapes().filter_map(|tape| tape.connecting_span).collect();
        let first = spans.iter().map(|(first, _)| *first).min()?;
        let last = spans.iter().map(|(_, last)| *last).max()?;
        Some(per_second(self.board.total(|tape| tape.connected), last - first))
    }

    /// Deliveries since the measurement began.
    fn deliveries(&self) -> u64 {
        self.arrived().saturating_sub(self.arrived_before)
    }

    /// Deliveries since the first event, of the warm-up too.
    fn arrived(&self) -> u64 {
        self.board.total(|tape| tape.ledger.arrived)
    }

    fn read(&self) -> Option<Reading> {
        Reading::whole(self.plan.server_pid?).ok()
    }

    /// Without what takes the process' locks.
    fn read_quickly(&self) -> Option<Reading> {
        Reading::quick(self.plan.server_pid?).ok()
    }
}

/// Figures, and what the server had said may be missing, where it had.
fn with_announced(mut figures: BTreeMap<String, f64>, announced: u64) -> BTreeMap<String, f64> {
    if announced > 0 {
        figures.insert("events_missing_in_announced_gaps".to_owned(), announced as f64);
    }
    figures
}

fn per_second(count: u64, nanoseconds: u64) -> f64 {
    count as f64 * SECOND as f64 / nanoseconds.max(1) as f64
}

/// Points of the plot of latencies: `(percentile, microseconds)`.
pub(crate) fn percentiles(latency: &Histogram<u64>) -> Vec<(f64, u64)> {
    let steps = latency.iter_quantiles(POINTS_PER_HALVING);
    steps.map(|step| (step.percentile(), (step.value_iterated_to() + 500) / 1_000)).collect()
}
