//! Time passes on a server that has nothing to do, however busy the machine is.

use loadtest::{Client, Launch, PATIENCE, RawSocket, Received};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Threads that keep every core busy for as long as this value lives.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || while !is_over.load(Ordering::Relaxed) {});
        }
        Self(is_over)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn pings_and_deadlines_go_on_while_other_programs_take_the_cores() {
    // Nothing but its own clock wakes this server: a shard that misses one wake-up would sleep for ever.
    let server = Launch::embedded().option("--ping-interval", "1s").option("--pong-timeout", "60s").start().unwrap();
    let mut clients: Vec<_> =
        (0..8).map(|number| Client::listen(server.address, &format!("user-{number}")).unwrap()).collect();
    let load = Load::start();
    for round in 0..15 {
        for client in &mut clients {
            assert_eq!(client.receive(PATIENCE), Received::Ping, "round {round}");
        }
    }
    for _ in 0..4 {
        let mut socket = RawSocket::connect(server.address).unwrap();
        socket.send(b"G").unwrap();
        assert!(socket.rest(PATIENCE).has_ended, "a head that never comes has its deadline");
    }
    drop(load);
}
