//! Whether the other end is still there: pings at an interval, and a limit to silence after one.

use super::Tick;
use std::time::Duration;

/// How connections are kept alive.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// Time between pings; `None` sends none.
    pub ping_interval: Option<Duration>,
    /// How long a client may be silent after a ping.
    pub pong_timeout: Duration,
}

/// One connection's pulse: 16 bytes and a place on the shard's wheel.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    heard: Tick,
    next_ping: Tick,
    /// The first ping since the client was last heard.
    unanswered: Option<Tick>,
}

/// What a moment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing but to look again later.
    Wait,
    /// Send a ping.
    Ping,
    /// Close: the client did not answer in time.
    Silent,
}

impl Heartbeat {
    /// A pulse that begins now. The first ping comes up to a quarter of an interval early, so that clients who came
    /// together are not pinged together.
    pub fn new(now: Tick, rhythm: &Rhythm) -> Self {
        let first =
            rhythm.ping_interval.map_or(Duration::MAX, |interval| interval.mul_f64(1.0 - fastrand::f64() / 4.0));
        Self { heard: now, next_ping: now.after(first), unanswered: None }
    }

    /// Something came from the client.
    pub fn heard(&mut self, now: Tick) {
        self.heard = now;
    }

    /// What is to be done now.
    pub fn beat(&mut self, now: Tick, rhythm: &Rhythm) -> Beat {
        if self.unanswered.is_some_and(|ping| self.heard >= ping) {
            self.unanswered = None;
        }
        if self.unanswered.is_some_and(|ping| now >= ping.after(rhythm.pong_timeout)) {
            return Beat::Silent;
        }
        if now < self.next_ping {
            return Beat::Wait;
        }
        self.next_ping = now.after(rhythm.ping_interval.unwrap_or(Duration::MAX));
        self.unanswered.get_or_insert(now);
        Beat::Ping
    }

    /// When to look again.
    pub fn due(&self, rhythm: &Rhythm) -> Tick {
        self.unanswered.map_or(self.next_ping, |ping| self.next_ping.min(ping.after(rhythm.pong_timeout)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm =
        Rhythm { ping_interval: Some(Duration::from_secs(54)), pong_timeout: Duration::from_secs(60) };

    fn at(seconds: u64) -> Tick {
        Tick::at(Duration::from_secs(seconds))
    }

    fn first_ping(heartbeat: &mut Heartbeat) -> u64 {
        (0..100).find(|&second| heartbeat.beat(at(second), &RHYTHM) == Beat::Ping).expect("a ping")
    }

    #[test]
    fn a_client_that_answers_is_pinged_for_ever() {
        let mut heartbeat = Heartbeat::new(at(0), &RHYTHM);
        let mut pings = 0;
        for second in 0..10_000 {
            match heartbeat.beat(at(second), &RHYTHM) {
                Beat::Wait => {}
                Beat::Ping => {
                    pings += 1;
                    heartbeat.heard(at(second + 1));
                }
                Beat::Silent => panic!("closed at {second}"),
            }
        }
        assert!((183..=187).contains(&pings), "{pings} pings in 10 000 s");
    }

    #[test]
    fn a_silent_client_is_closed_a_pong_timeout_after_the_first_unanswered_ping() {
        let mut heartbeat = Heartbeat::new(at(0), &RHYTHM);
        let ping = first_ping(&mut heartbeat);
        assert!((40..=54).contains(&ping), "first ping after {ping} s");
        let end = (ping + 1..200).find(|&second| heartbeat.beat(at(second), &RHYTHM) == Beat::Silent);
        assert_eq!(end, Some(ping + 60));
    }

    #[test]
    fn without_an_interval_there_is_no_ping() {
        let rhythm = Rhythm { ping_interval: None, ..RHYTHM };
        let mut heartbeat = Heartbeat::new(at(0), &rhythm);
        assert!((0..1_000_000).step_by(60).all(|second| heartbeat.beat(at(second), &rhythm) == Beat::Wait));
    }
}
