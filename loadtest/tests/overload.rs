//! A server that has more to do than it can: who is connected gets every event, and who comes is told when to come back.

use loadtest::{Answer, Client, Launch, RawSocket, Server, eventually, knock};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients that send as fast as they can: each message costs the server more than it costs them.
const FLOODERS: usize = 4;
const EVENTS: usize = 20;
const REFUSALS: usize = 8;
/// A machine that is busy with other things gives the flooders little time; then the server has its pauses.
const DEADLINE: Duration = Duration::from_secs(60);

/// Ten thousand empty messages: a header of two bytes and a mask of four.
fn flood(server: &Server, is_over: &AtomicBool) {
    let messages = [0x81, 0x80, 0, 0, 0, 0].repeat(10_000);
    let mut socket = RawSocket::upgraded(server.address, "/ws?username=flooder").unwrap();
    while !is_over.load(Ordering::Relaxed) {
        socket.send(&messages).unwrap();
    }
}

/// Ends the flood, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn ask(server: &Server) -> Answer {
    knock(server.address, "/ws?username=alice", "").0
}

/// Asks until so many were told to come back: what they were told.
fn refusals(server: &Server) -> Vec<Answer> {
    let deadline = Instant::now() + DEADLINE;
    let mut refused = Vec::new();
    while refused.len() < REFUSALS {
        assert!(Instant::now() < deadline, "{} refusals only; {}", refused.len(), server.stats());
        refused.extend(Some(ask(server)).filter(|answer| answer.status != 101));
    }
    refused
}

#[test]
fn an_overloaded_server_turns_newcomers_away_and_serves_those_inside() {
    let launch = Launch::embedded().option("--shards", "1").option("--client-messages-per-second", "0");
    let server = launch.option("--overload-after", "300ms").start().unwrap();
    let mut bystander = Client::listen(server.address, "bystander").unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| flood(&server, &is_over));
        }
        let over = Over(&is_over);
        let refused = refusals(&server);
        let mut publisher = server.publisher().unwrap();
        for number in 0..EVENTS {
            publisher.publish("bystander", number.to_string()).unwrap();
            assert_eq!(bystander.text(), Some(number.to_string()), "those inside are served");
        }
        assert_eq!(server.get("/health").unwrap().status, 200, "pages are served, too");
        drop(over);
        let seconds: HashSet<u32> =
            refused.iter().map(|answer| answer.header("retry-after").unwrap().parse().unwrap()).collect();
        assert!(seconds.len() > 1 && seconds.iter().all(|second| (1..=10).contains(second)), "{seconds:?}");
        for answer in &refused {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.json()["error"].as_str().unwrap().contains("overloaded"), "{answer:?}");
        }
    });
    eventually("newcomers get in again", || (ask(&server).status == 101).then_some(()));
    assert!(server.count("/total/refused/overloaded") >= REFUSALS as u64);
    assert_eq!(server.count("/total/dropped/slow_consumer"), 0);
}

#[test]
fn clients_that_all_come_back_at_once_are_no_overload() {
    let server = Launch::embedded().start().unwrap();
    for _ in 0..3 {
        let storm: Vec<Answer> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..50).map(|_| ask(&server)).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(storm.iter().all(|answer| answer.status == 101));
    }
    assert_eq!(server.count("/total/refused/overloaded"), 0);
}
