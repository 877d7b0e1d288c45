//! A network that fails between the server and Redis: cut, deaf in a direction, or losing a part of everything.
//!
//! `scripts/network-faults` runs the long form: `FANOUT_NETWORK_FAULTS` says how often each fault comes, for how long is
//! left to chance then, and the promised times are held to the letter.

#[path = "network_faults/network.rs"]
mod network;
#[path = "network_faults/street.rs"]
mod street;

use loadtest::{Heard, Launch, Redis, Server, eventually};
use network::{End, Fault, Network, within};
use std::thread;
use std::time::{Duration, Instant};
use street::{Outage, Street};

/// What is promised: not ready so soon after the network has failed, and the first event so soon after it is back.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// Long enough for everything that was given up to be tried again a few times.
const OUTAGE: Duration = Duration::from_secs(6);

/// What lasts longer than this costs the connection: it was silent for three seconds. Until then TCP may still mend it.
const UNMENDED_AFTER: Duration = Duration::from_secs(4);

/// A server whose Redis is at the other end, with people who listen.
struct Scene<'a> {
    network: &'a Network,
    server: Server,
    redis: Redis,
    street: Street,
}

/// A network that loses a part does so for as long: more than a stamp may be away, so that it may become an outage.
const LOSS: Duration = Duration::from_secs(4);

/// How long it took to notice a fault, and to serve again once it was over.
#[derive(Debug)]
struct Times {
    noticed: Duration,
    back: Duration,
}

/// How often each fault comes in the long form.
fn rounds_in_full() -> Option<u32> {
    std::env::var("FANOUT_NETWORK_FAULTS").ok().map(|rounds| rounds.parse().expect("a number of rounds"))
}

/// Everybody listens, events are published, and `play` says what happens; gives what everybody heard and what they may
/// have missed.
fn perform(network: &Network, play: impl FnOnce(&Scene) -> Outage) -> (Scene<'_>, Vec<Vec<Heard>>, Outage) {
    let redis = network.redis();
    let server = Launch::beside(Network::weak_address(&redis)).start().unwrap();
    let scene = Scene { network, server, redis, street: Street::default() };
    let (heard, outage) = scene.street.perform(&scene.server, scene.redis.address(), || {
        eventually("events arrive", || (scene.street.heard() > 100).then_some(()));
        play(&scene)
    });
    (scene, heard, outage)
}

impl Scene<'_> {
    /// How often the log has these words.
    fn mentions(&self, words: &str) -> usize {
        self.server.log().matches(words).count()
    }

    /// The network fails for so long, and is back.
    fn suffer(&self, fault: Fault, length: Duration) -> (Outage, Times) {
        // At any moment between two stamps.
        thread::sleep(Duration::from_millis(fastrand::u64(..1_000)));
        let from = self.street.certain();
        self.network.begin(fault);
        let began = Instant::now();
        self.server.wait_for_status("/ready", 503);
        let noticed = began.elapsed();
        assert_eq!(self.server.get("/health").unwrap().status, 200, "it still serves");
        thread::sleep(length.saturating_sub(began.elapsed()));
        let first = self.street.begun();
        self.network.end(fault);
        let mended = Instant::now();
        eventually("an event from behind the outage", || (self.street.heard() >= first).then_some(()));
        let back = mended.elapsed();
        self.server.wait_for_status("/ready", 200);
        (Outage { from, to: self.street.begun() }, Times { noticed, back })
    }

    /// Each reconnect was announced, and without one nothing is missing. Gives their number.
    fn check_reconnects(&self, heard: &[Vec<Heard>], outage: Outage) -> u64 {
        let reconnects = self.server.count("/broker/reconnects");
        let missed = if reconnects == 0 { Outage { from: 0, to: 0 } } else { outage };
        self.street.judge(heard, missed, reconnects);
        reconnects
    }

    /// Nobody says it a thousand times.
    fn check_log(&self) {
        assert_eq!((self.mentions("the canary is missing"), self.mentions("the canary is back")), (1, 1));
        let lines = self.mentions("no connection, trying again");
        assert!(lines <= 4, "one line for each connection and ten seconds:\n{}", self.server.log());
    }
}

fn check_outage(network: &Network, fault: Fault, length: Duration) -> Times {
    let mut times = None;
    let (scene, heard, outage) = perform(network, |scene| {
        let (outage, taken) = scene.suffer(fault, length);
        times = Some(taken);
        outage
    });
    let reconnects = scene.check_reconnects(&heard, outage);
    assert!(reconnects == 1 || reconnects == 0 && length < UNMENDED_AFTER, "{reconnects}: {}", scene.server.log());
    scene.check_log();
    times.expect("it was played")
}

fn check(network: &Network, fault: Fault) {
    let Some(rounds) = rounds_in_full() else {
        return println!("{fault}: {:?}", check_outage(network, fault, OUTAGE));
    };
    // What is over before it is noticed would be no outage: it lasts until then.
    let length = || Duration::from_millis(fastrand::u64(2_000..20_000));
    let all: Vec<Times> = (0..rounds).map(|_| check_outage(network, fault, length())).collect();
    let mut back: Vec<u128> = all.iter().map(|times| times.back.as_millis()).collect();
    back.sort_unstable();
    let (half, longest) = (back[(back.len() - 1) / 2], back[back.len() - 1]);
    let noticed = all.iter().map(|times| times.noticed.as_millis()).max().unwrap_or_default();
    println!("| {fault} | {rounds} | {noticed} ms | {half} ms | {longest} ms |");
    assert!(all.iter().all(|times| times.noticed < NOTICED_WITHIN && times.back < BACK_WITHIN), "{all:?}");
}

#[test]
fn a_line_that_is_cut_at_the_other_end_is_noticed_and_found_again() {
    within("a_line_that_is_cut_at_the_other_end_is_noticed_and_found_again", |network| {
        check(network, Fault::Cut(End::Far));
    });
}

#[test]
fn a_line_that_is_cut_at_this_end_is_noticed_and_found_again() {
    within("a_line_that_is_cut_at_this_end_is_noticed_and_found_again", |network| {
        check(network, Fault::Cut(End::Near));
    });
}

#[test]
fn a_redis_that_is_not_heard_any_more_is_noticed_and_found_again() {
    within("a_redis_that_is_not_heard_any_more_is_noticed_and_found_again", |network| {
        check(network, Fault::Loss(&[End::Near], 100));
    });
}

#[test]
fn a_redis_that_hears_nothing_any_more_is_noticed_and_found_again() {
    within("a_redis_that_hears_nothing_any_more_is_noticed_and_found_again", |network| {
        check(network, Fault::Loss(&[End::Far], 100));
    });
}

#[test]
fn a_network_that_swallows_everything_is_noticed_and_found_again() {
    within("a_network_that_swallows_everything_is_noticed_and_found_again", |network| {
        check(network, Fault::Loss(&[End::Near, End::Far], 100));
    });
}

#[test]
fn a_second_without_a_network_is_no_outage_and_costs_nothing() {
    within("a_second_without_a_network_is_no_outage_and_costs_nothing", |network| {
        let fault = Fault::Loss(&[End::Near, End::Far], 100);
        let (scene, heard, nothing_missed) = perform(network, |scene| {
            network.begin(fault);
            // Shorter than a stamp may be away.
            thread::sleep(Duration::from_secs(1));
            let first = scene.street.begun();
            network.end(fault);
            eventually("events arrive again", || (scene.street.heard() >= first).then_some(()));
            Outage { from: 0, to: 0 }
        });
        assert_eq!(scene.check_reconnects(&heard, nothing_missed), 0, "{}", scene.server.log());
        assert_eq!(scene.mentions("no connection, trying again"), 0);
    });
}

/// TCP repairs it, slowly. Where that takes longer than a stamp may be away, it is an outage, which is announced.
#[test]
fn a_network_that_loses_a_third_invents_nothing_and_announces_no_outage_that_was_none() {
    within("a_network_that_loses_a_third_invents_nothing_and_announces_no_outage_that_was_none", |network| {
        let fault = Fault::Loss(&[End::Near, End::Far], 30);
        let (rounds, mut outages) = (rounds_in_full().unwrap_or(1), 0);
        for _ in 0..rounds {
            let (scene, heard, outage) = perform(network, |scene| {
                let from = scene.street.certain();
                network.begin(fault);
                thread::sleep(LOSS);
                network.end(fault);
                let first = scene.street.begun();
                eventually("events arrive", || (scene.street.heard() >= first).then_some(()));
                scene.server.wait_for_status("/ready", 200);
                Outage { from, to: scene.street.begun() }
            });
            let reconnects = scene.check_reconnects(&heard, outage);
            outages += reconnects;
            let log = scene.server.log();
            assert!(reconnects == 0 || log.contains("the canary is missing"), "no outage without proof:\n{log}");
        }
        println!("{fault} for 4 s, {rounds} times: {outages} outages");
    });
}
