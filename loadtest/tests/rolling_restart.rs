//! Three instances behind a proxy are restarted one after the other, under load: everybody is back, and from then on
//! nothing is missing, doubled or out of order.
//!
//! `scripts/rolling-restart` runs the long form: `FANOUT_ROLLING_CLIENTS` says how many clients there are.

#[path = "rolling_restart/browser.rs"]
mod browser;
mod proxy;
#[path = "rolling_restart/town.rs"]
mod town;

use browser::{Browser, Visit};
use loadtest::{Launch, PATIENCE, Redis, Server, eventually};
use proxy::Proxy;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use town::Town;

/// How much there is of everything.
struct Scale {
    clients: usize,
    users: usize,
    events_per_second: u32,
    drain_window: &'static str,
}

const SHORT: Scale = Scale { clients: 36, users: 6, events_per_second: 60, drain_window: "3s" };

/// Between two steps of the operator: longer than what is sure to arrive needs.
const CALM: Duration = Duration::from_millis(1_500);

/// A browser's stack: it reads into its heap.
const STACK_BYTES: usize = 256 * 1024;

impl Scale {
    fn chosen() -> Self {
        let clients = std::env::var("FANOUT_ROLLING_CLIENTS").map(|clients| clients.parse().expect("a number"));
        clients.map_or(SHORT, |clients: usize| Self {
            clients,
            users: clients.div_ceil(10),
            events_per_second: 300,
            drain_window: "5s",
        })
    }

    /// An instance, on a free port or on the one it had.
    fn start(&self, redis: &Redis, address: Option<SocketAddr>) -> Server {
        let launch = Launch::with_redis(redis).option("--drain-window", self.drain_window);
        let launch = launch.option("--log-level", "warn");
        match address {
            Some(address) => launch.option("--listen", &address.to_string()).start().unwrap(),
            None => launch.start().unwrap(),
        }
    }
}

/// Ends a town where nobody else does: a failure must not leave everybody waiting.
struct Curtain<'a>(&'a Town);

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What an operator does: one after the other, each only once the one before serves again and everybody is back.
fn restart_all(scale: &Scale, redis: &Redis, town: &Town, instances: &mut [Server; 3]) {
    for instance in instances {
        await_everybody(scale, town);
        let address = instance.address;
        instance.terminate().unwrap();
        assert_eq!(instance.wait(PATIENCE).unwrap().code(), Some(0), "{}", instance.log());
        *instance = scale.start(redis, Some(address));
    }
    await_everybody(scale, town);
}

fn await_everybody(scale: &Scale, town: &Town) {
    eventually("everybody is connected", || (town.connected.now() == scale.clients).then_some(()));
    thread::sleep(CALM);
}

/// How long clients were away, shortest first, and what they tried in vain.
fn report(scale: &Scale, visits: &[Vec<Visit>]) {
    let pauses = visits.iter().flat_map(|visits| visits.windows(2));
    let mut away: Vec<u128> =
        pauses.map(|pair| (pair[1].opened - pair[0].closed.expect("another came after it")).as_millis()).collect();
    away.sort_unstable();
    assert!(away.len() >= scale.clients, "everybody came back at least once: {}", away.len());
    let of_thousand = |place: usize| away[(away.len() - 1) * place / 1_000];
    let failures: u32 = visits.iter().flatten().map(|visit| visit.failures).sum();
    let (returns, half, most, all) = (away.len(), of_thousand(500), of_thousand(990), of_thousand(1_000));
    println!("| {returns} | {failures} | {half} ms | {most} ms | {all} ms |");
}

fn check(start_proxy: impl Fn(&[&Server; 3]) -> Proxy) {
    let (scale, redis) = (Scale::chosen(), Redis::start().unwrap());
    let mut instances: [Server; 3] = std::array::from_fn(|_| scale.start(&redis, None));
    let proxy = start_proxy(&instances.each_ref());
    let town = Town::of(proxy.address, scale.users, scale.events_per_second);
    let visits: Vec<Vec<Visit>> = thread::scope(|scope| {
        let _curtain = Curtain(&town);
        let listen = |number| {
            let browser = Browser { town: &town, number };
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, move || browser.listen()).unwrap()
        };
        let listening: Vec<_> = (0..scale.clients).map(listen).collect();
        let publishing = scope.spawn(|| town.publish(redis.address()));
        restart_all(&scale, &redis, &town, &mut instances);
        town.end();
        publishing.join().unwrap();
        listening.into_iter().map(|browser| browser.join().unwrap()).collect()
    });
    for (number, visits) in visits.iter().enumerate() {
        town.judge(number, visits);
    }
    report(&scale, &visits);
}

#[test]
fn behind_nginx_everybody_is_back_and_gets_everything_published_a_second_later() {
    check(Proxy::nginx);
}

#[test]
fn behind_caddy_everybody_is_back_and_gets_everything_published_a_second_later() {
    check(Proxy::caddy);
}

#[test]
fn behind_haproxy_everybody_is_back_and_gets_everything_published_a_second_later() {
    check(Proxy::haproxy);
}
