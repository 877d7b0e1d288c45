//! Whether what the server has counted and what its clients saw explain each other, to the last frame.
//!
//! The server may say something while somebody counts: the clients are asked before and after it, and its count must lie
//! between theirs.

use super::counters::{Counters, growth};
use super::ledger::Ledger;
use super::outcome::Round;
use super::publish::Answers;
use std::collections::BTreeMap;

/// Why events may not reach a client at all; whatever else is dropped was dropped for one client.
const NOT_DELIVERABLE: [&str; 4] = ["not_utf8", "event_too_big", "not_json", "bad_envelope"];

/// Without a close frame (RFC 6455 §7.4.1).
const ABNORMAL: u16 = 1006;

/// Too slow; who does not read finds this or the end of the stream, whichever fitted.
const SLOW: u16 = 4001;

/// The server's own: what it offered, less what it sent, has waiting and dropped.
const DIFFERENCE: &str = "fanout_ledger_difference";

/// Both sides of a run that is at rest, clients still connected.
pub(crate) struct Reckoning {
    /// The server before the first client, and now.
    pub(crate) server: [Counters; 2],
    /// The clients just before the server was asked, and when all it had sent was there.
    pub(crate) clients: [Ledger; 2],
    /// Slow clients that were closed, by the code they found.
    pub(crate) given_up: BTreeMap<u16, u64>,
    /// Connections that are open, and those of them that stayed all the time.
    pub(crate) open: u64,
    pub(crate) steady: u64,
    /// Whether clients asked to be told of gaps.
    pub(crate) is_told: bool,
    /// What the broker said about what was published.
    pub(crate) answers: Answers,
}

impl Reckoning {
    /// Every check, as a line with its figures.
    pub(crate) fn rounds(&self) -> Vec<Round> {
        vec![self.closes(), self.connections(), self.frames(), self.drops(), self.gaps(), self.events(), self.ledger()]
    }

    fn grown(&self, pointer: &str) -> u64 {
        let [before, now] = &self.server;
        now.count(pointer).saturating_sub(before.count(pointer))
    }

    /// Every close that the server counts was seen by a client, under its code.
    fn closes(&self) -> Round {
        let [before, now] = &self.server;
        let mut counted = growth(&before.closed(), &now.closed());
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        let clients = &self.clients[1];
        for (code, count) in clients.closed.iter().chain(&clients.goodbyes).chain(&self.given_up) {
            *seen.entry(code.to_string()).or_default() += count;
        }
        let figures: Vec<(String, f64)> = counted
            .iter()
            .map(|(code, count)| (format!("server_{code}"), *count as f64))
            .chain(seen.iter().map(|(code, count)| (format!("clients_{code}"), *count as f64)))
            .collect();
        // Where its close frame no longer fitted, a slow client saw the end of the stream alone.
        for codes in [&mut counted, &mut seen] {
            let unnamed = codes.remove(&ABNORMAL.to_string()).unwrap_or(0);
            let slow = codes.remove(&SLOW.to_string()).unwrap_or(0);
            codes.insert("slow or unnamed".to_owned(), unnamed + slow);
        }
        Round {
            name: "closes counted = closes seen".to_owned(),
            held: counted == seen,
            figures: figures.into_iter().collect(),
        }
    }

    fn connections(&self) -> Round {
        let counted = self.grown("/total/connections");
        round("connections counted = open", counted == self.open, &[("server", counted), ("clients", self.open)])
    }

    /// Every frame that went to the kernel was read, but for what lay in sockets that were cut.
    fn frames(&self) -> Round {
        let out = self.grown("/total/frames_out");
        let [least, most] = self
            .clients
            .each_ref()
            .map(|clients| clients.arrived + clients.duplicated + clients.foreign + clients.beside);
        let cut: u64 = self.given_up.values().sum();
        let unread = out.saturating_sub(most);
        let figures =
            [("frames_out", out), ("frames_read", most), ("unread_in_cut_sockets", unread), ("cut_sockets", cut)];
        round("frames out = frames read + unread in cut sockets", least <= out && (unread == 0 || cut > 0), &figures)
    }

    /// Nothing was dropped but for clients that were slow, or had said goodbye while it was on its way.
    fn drops(&self) -> Round {
        let [before, now] = &self.server;
        let dropped = growth(&before.dropped(), &now.dropped());
        let (cut, left): (u64, u64) = (self.given_up.values().sum(), self.clients[1].goodbyes.values().sum());
        let is_explained = |reason: &str| match reason {
            "connection_closed" => cut + left > 0,
            reason => cut > 0 && !NOT_DELIVERABLE.contains(&reason),
        };
        let held = dropped.keys().all(|reason| is_explained(reason));
        let figures = dropped.into_iter().map(|(reason, count)| (reason, count as f64));
        Round { name: "dropped only for who was slow or left".to_owned(), held, figures: figures.collect() }
    }

    /// Each client that stayed was told of every gap, once.
    fn gaps(&self) -> Round {
        let gaps = self.grown("/broker/epoch");
        let (told, owed) = (self.clients[1].gaps, gaps * self.steady);
        let held = !self.is_told || told == owed;
        round(
            "each gap announced once to each client that stayed",
            held,
            &[("gaps", gaps), ("told", told), ("owed", owed)],
        )
    }

    /// The server read what the broker says it gave away, but for what was on its way when a connection broke.
    fn events(&self) -> Round {
        let name = "events read = events given";
        let metric = |counters: &Counters| counters.metric("fanout_broker_messages_total");
        let [Some(before), Some(now)] = self.server.each_ref().map(metric) else { return round(name, false, &[]) };
        let read = super::clock::whole(now - before);
        let Answers { heard, unheard, unknown, outages } = self.answers;
        let missing = heard.saturating_sub(read);
        let held = read <= heard + unknown && (missing == 0 || outages > 0);
        let figures = [("read", read), ("given", heard), ("given_to_nobody", unheard), ("unknown", unknown)];
        let more = [("given_and_cut_off", missing), ("publishers_connections_broken", outages)];
        round(name, held, &[&figures[..], &more].concat())
    }

    /// The server's own account: what was for a client was sent, waits or was dropped.
    fn ledger(&self) -> Round {
        let now = &self.server[1];
        let names = [
            "fanout_frames_offered_total",
            "fanout_frames_sent_total",
            "fanout_frames_queued",
            "fanout_dropped_total",
            DIFFERENCE,
        ];
        let figures: BTreeMap<String, f64> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), now.metric(name)?))).collect();
        let held = figures.len() == names.len() && figures[DIFFERENCE] == 0.0;
        Round { name: "the server's ledger adds up".to_owned(), held, figures }
    }
}

fn round(name: &str, held: bool, figures: &[(&str, u64)]) -> Round {
    let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value as f64)).collect();
    Round { name: name.to_owned(), held, figures }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const METRICS: &str = "fanout_broker_messages_total 10\nfanout_frames_offered_total 44\n\
         fanout_frames_sent_total{shard=\"0\"} 41\nfanout_frames_queued 0\n\
         fanout_dropped_total{reason=\"too_slow\"} 3\nfanout_ledger_difference 0\n";

    fn stats() -> Value {
        let closed = json!({"1000": 1, "4001": 1});
        let dropped = json!({"too_slow": 3, "connection_closed": 1});
        json!({"total": {"connections": 4, "frames_out": 41, "closed": closed, "dropped": dropped}, "broker": {"epoch": 2}})
    }

    /// Of two users with three clients one left and came back, and a fourth client was slow and found no close frame; Redis
    /// went away once.
    fn fine() -> Reckoning {
        let nothing = "fanout_broker_messages_total 0\n";
        let before = json!({"total": {"connections": 0}, "broker": {"epoch": 1}});
        let clients = Ledger { arrived: 36, beside: 4, gaps: 3, goodbyes: [(1_000, 1)].into(), ..Ledger::default() };
        Reckoning {
            server: [Counters::of(before, nothing), Counters::of(stats(), METRICS)],
            clients: [clients.clone(), clients],
            given_up: [(ABNORMAL, 1)].into(),
            open: 4,
            steady: 3,
            is_told: true,
            answers: Answers { heard: 11, unheard: 1, unknown: 1, outages: 1 },
        }
    }

    /// Names of the checks that do not hold once this was done to the fine one.
    fn broken(harm: impl FnOnce(&mut Reckoning)) -> Vec<String> {
        let mut reckoning = fine();
        harm(&mut reckoning);
        reckoning.rounds().into_iter().filter(|round| !round.held).map(|round| round.name).collect()
    }

    fn with_stats(reckoning: &mut Reckoning, pointer: &str, value: u64) {
        let mut stats = stats();
        *stats.pointer_mut(pointer).unwrap() = value.into();
        reckoning.server[1] = Counters::of(stats, METRICS);
    }

    fn without_metric(reckoning: &mut Reckoning, name: &str) {
        let lines = METRICS.split_inclusive('\n').filter(|line| !line.starts_with(name));
        reckoning.server[1] = Counters::of(stats(), &lines.collect::<String>());
    }

    #[test]
    fn what_explains_itself_holds() {
        assert_eq!(broken(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn whatever_one_side_has_and_the_other_has_not_is_found() {
        type Harm = fn(&mut Reckoning);
        let harms: [(&str, &str, Harm); 14] = [
            ("a close nobody saw", "closes", |it| with_stats(it, "/total/closed/1000", 2)),
            ("a close nobody counted", "closes", |it| it.clients[1].closed = [(1_001, 1)].into()),
            ("a connection too many", "connections", |it| it.open = 3),
            ("a frame unread without a cut", "frames", |it| it.given_up.clear()),
            ("a frame from nowhere", "frames", |it| it.clients[0].duplicated = 2),
            ("a drop that nobody's slowness explains", "dropped", |it| it.given_up.clear()),
            ("an event too big", "dropped", |it| {
                let mut stats = stats();
                stats["total"]["dropped"]["event_too_big"] = 1.into();
                it.server[1] = Counters::of(stats, METRICS);
            }),
            ("a gap told twice", "each gap", |it| it.clients[1].gaps = 4),
            ("a gap not told", "each gap", |it| it.clients[1].gaps = 2),
            ("an event that was not given", "events", |it| it.answers.heard = 8),
            ("an event not read, and no outage", "events", |it| it.answers.outages = 0),
            ("no count of events", "events", |it| without_metric(it, "fanout_broker_messages_total")),
            ("no count of frames", "the server's ledger", |it| without_metric(it, "fanout_frames_sent_total")),
            ("no account", "the server's ledger", |it| without_metric(it, DIFFERENCE)),
        ];
        for (fault, name, harm) in harms {
            let broken = broken(harm);
            assert!(broken.iter().any(|broken| broken.starts_with(name)), "{fault}: {broken:?}");
        }
    }
}
