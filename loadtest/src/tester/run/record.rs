//! What is written down during a run, and the outcome made of it.

use crate::tester::board::{Board, histogram};
use crate::tester::clock::{SECOND, seconds};
use crate::tester::ledger::Ledger;
use crate::tester::open_files;
use crate::tester::outcome::{Latency, Outcome, Sample, ServerCost, Tester};
use crate::tester::plan::Plan;
use crate::tester::publishing::Published;
use crate::tester::watch::{Reading, processor_time, resident_bytes, thread_times};
use crate::tester::worker::Left;
use hdrhistogram::Histogram;
use std::sync::atomic::Ordering::SeqCst;

/// Points of the latency plot for each halving of the distance to 100 %.
const POINTS_PER_HALVING: u32 = 4;

/// What was written down so far.
pub(super) struct Record<'a> {
    plan: &'a Plan,
    board: &'a Board,
    /// The server before clients came, when the last was in, with clients at rest, when the measurement began, and at its end.
    before: Option<Reading>,
    connected: Option<Reading>,
    with_clients: Option<Reading>,
    began: Option<Reading>,
    /// With the deliveries until then.
    ended: Option<(Reading, u64)>,
    measured_from: u64,
    publishing_ended: u64,
    /// Running and waiting time of the tester's threads at the beginning, and the busiest one's share at the end.
    threads_began: Vec<(i32, [u64; 2])>,
    busiest_thread: f64,
    latency: Histogram<u64>,
    samples: Vec<Sample>,
    /// Published, delivered and the server's processor time at the last sample.
    last: (u64, u64, u64, u64),
}

impl<'a> Record<'a> {
    pub(super) fn new(plan: &'a Plan, board: &'a Board, before: Option<Reading>) -> Self {
        Self {
            plan,
            board,
            before,
            connected: None,
            with_clients: None,
            began: None,
            ended: None,
            measured_from: 0,
            publishing_ended: 0,
            threads_began: Vec::new(),
            busiest_thread: 0.0,
            latency: histogram(),
            samples: Vec::new(),
            last: (0, 0, 0, 0),
        }
    }

    /// The last client was let in or refused.
    pub(super) fn end_of_connecting(&mut self) {
        self.connected = self.read_quickly();
    }

    /// All clients are there and nothing happens yet.
    pub(super) fn read_with_clients(&mut self) {
        self.with_clients = self.read();
    }

    /// The measurement begins.
    pub(super) fn begin(&mut self, measured_from: u64) {
        self.measured_from = measured_from;
        self.began = self.read_quickly();
        let threads = self.board.tapes().map(|tape| tape.thread).chain([self.board.publishing_thread.load(SeqCst)]);
        let threads: Vec<i32> = threads.collect();
        self.threads_began =
            threads.into_iter().filter_map(|thread| Some((thread, thread_times(thread).ok()?))).collect();
        self.last = (measured_from, 0, 0, self.began.map_or(0, |reading| reading.busy));
    }

    /// One more second.
    pub(super) fn sample(&mut self) -> Sample {
        let now = self.board.clock.now();
        let mut heard = histogram();
        for mut tape in self.board.tapes() {
            let taken = std::mem::replace(&mut tape.latency, histogram());
            drop(tape);
            heard.add(taken).expect("histograms of one make");
        }
        self.latency.add(&heard).expect("histograms of one make");
        let published = self.board.published.load(SeqCst);
        let delivered = self.board.total(|tape| tape.ledger.delivered);
        let server = self.read_quickly();
        if let Some(reading) = server {
            self.ended = Some((reading, delivered));
        }
        let busy = server.map_or(self.last.3, |reading| reading.busy);
        let sample = Sample {
            second: seconds(now.saturating_sub(self.measured_from)),
            connections: self.board.total(|tape| tape.open),
            published: published - self.last.1,
            delivered: delivered - self.last.2,
            latency_us: Latency::of(&heard),
            rss_bytes: server.map_or(0, |reading| reading.resident_bytes),
            server_cores: busy.saturating_sub(self.last.3) as f64 / now.saturating_sub(self.last.0).max(1) as f64,
        };
        self.last = (now, published, delivered, busy);
        self.samples.push(sample);
        sample
    }

    /// Nothing more is published: from here on the tester's threads have little to do.
    pub(super) fn end_of_publishing(&mut self, until: u64) {
        let now = self.board.clock.now();
        self.publishing_ended = until.min(now).max(self.measured_from);
        let elapsed = now.saturating_sub(self.measured_from).max(1);
        let busy = self.threads_began.iter().filter_map(|(thread, [running, waiting])| {
            let [running_now, waiting_now] = thread_times(*thread).ok()?;
            Some((running_now - running + waiting_now - waiting) as f64 / elapsed as f64)
        });
        self.busiest_thread = busy.fold(0.0, f64::max).min(1.0);
    }

    /// Everything has come.
    pub(super) fn end(&mut self) {
        let delivered = self.board.total(|tape| tape.ledger.delivered);
        if let Some(reading) = self.read() {
            self.ended = Some((reading, delivered));
        }
        let rest = self.board.tapes().map(|mut tape| std::mem::replace(&mut tape.latency, histogram()));
        let rest: Vec<Histogram<u64>> = rest.collect();
        for latency in rest {
            self.latency.add(latency).expect("histograms of one make");
        }
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
            server: self.cost(),
            scenario: self.plan.scenario.clone(),
            settings: self.plan.settings(),
            connected: self.board.total(|tape| tape.connected),
            refused: self.board.total(|tape| tape.refused),
            closed_by_code: ledger.closed,
            seconds: seconds(measured),
            published_per_second: per_second(count, measured),
            delivered_per_second: per_second(ledger.delivered, receiving),
            tester: self.tester(published),
            percentiles: percentiles(&self.latency),
            handshakes_per_second: self.handshakes_per_second(),
            connecting_us: Some(Latency::of(&self.connecting())),
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
            ledger.lost += if connection.is_open { expectation.missing(events) } else { expectation.skipped() };
        }
        ledger
    }

    fn cost(&self) -> Option<ServerCost> {
        let (began, (ended, delivered)) = (self.began?, self.ended?);
        let connected = self.board.total(|tape| tape.connected).max(1) as f64;
        let (before, with_clients) = (self.before?, self.with_clients?);
        let handshakes = self.connected.map_or(0, |reading| reading.busy.saturating_sub(before.busy));
        let growth = |later: u64, earlier: u64| (later as f64 - earlier as f64) / connected;
        let kernel = with_clients.kernel_bytes.zip(before.kernel_bytes);
        Some(ServerCost {
            rss_bytes_per_connection: growth(with_clients.resident_bytes, before.resident_bytes),
            kernel_bytes_per_connection: kernel.map(|(later, earlier)| growth(later, earlier)),
            cpu_ns_per_handshake: handshakes as f64 / connected,
            ..began.cost(&ended, delivered)
        })
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

    fn read(&self) -> Option<Reading> {
        Reading::whole(self.plan.server_pid?).ok()
    }

    /// Without what takes the process' locks.
    fn read_quickly(&self) -> Option<Reading> {
        let pid = self.plan.server_pid?;
        Some(Reading::quick(processor_time(pid).ok()?, resident_bytes(pid).ok()?))
    }
}

fn per_second(count: u64, nanoseconds: u64) -> f64 {
    count as f64 * SECOND as f64 / nanoseconds.max(1) as f64
}

fn percentiles(latency: &Histogram<u64>) -> Vec<(f64, u64)> {
    let steps = latency.iter_quantiles(POINTS_PER_HALVING);
    steps.map(|step| (step.percentile(), (step.value_iterated_to() + 500) / 1_000)).collect()
}
