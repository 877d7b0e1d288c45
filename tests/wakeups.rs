//! A node that is woken for days: by another thread, and by its own timer with nothing to do.
//!
//! The executor counts references to its tasks in 16 bits. Whatever keeps one per wake-up or per idle poll ends the
//! process after 32 767 of them, which is an hour of an idle shard's life. And what wakes a sleeping node must wake it
//! every time: one wake-up in ten thousand that is missed is an event that comes a tick too late.

mod heap;

use fanout::control::MeshNode;
use fanout::ear::{self, Doorbell, Ear};
use fanout::engine::mesh::Delivery;
use fanout::mesh;
use fanout::mesh::NodeId;
use glommio::Placement;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Three times what 16 bits can count.
const WAKE_UPS: u64 = 100_000;

/// Rounds until the executor has all the memory it will ever need.
const WARM_UP_ROUNDS: u64 = 2_000;

/// What a node may hold more at the end than after its warm-up: a list that doubles once more, but not a byte per round.
const GROWTH_BYTES_MAX: isize = 16 * 1024;

/// Nothing here takes so long; whoever waits longer has missed a wake-up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a node on an executor like the server's, pinned to a core that this process may use.
fn on_an_executor<F: Future<Output = ()> + 'static>(node: impl FnOnce(Ear) -> F + Send + 'static) {
    let cores = rustix::thread::sched_getaffinity(None).expect("Linux knows its cores");
    let core = (0..1024).find(|&core| cores.is_set(core)).expect("this thread runs somewhere");
    let (ended, end) = mpsc::channel();
    let run = move || async move {
        let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
        ear.hear_until(node(ear.clone())).await;
        ended.send(()).expect("the test waits");
    };
    let executor = ear::executor(Placement::Fixed(core)).spawn(run);
    let _executor = executor.expect("io_uring is available");
    // Not joined: a node that has missed a wake-up never ends.
    end.recv_timeout(PATIENCE).expect("the node neither panics nor misses a wake-up");
}

/// Asserts that a node's memory does not grow with its rounds.
#[derive(Default)]
struct Growth(Option<isize>);

impl Growth {
    fn note_round(&mut self, round: u64) {
        if round == WARM_UP_ROUNDS {
            self.0 = Some(heap::now().held_bytes);
        }
    }

    fn check(&self) {
        let grown = heap::now().held_bytes - self.0.expect("there were more rounds than warm-up");
        assert!(grown <= GROWTH_BYTES_MAX, "{grown} bytes more than after the warm-up");
    }
}

/// Puts down one delivery per round and rings, as soon as the shard has lain down to sleep in that round.
fn wake_again_and_again(mut broker: MeshNode, asleep_in: &AtomicU64) {
    for round in 1.. {
        while asleep_in.load(Ordering::Acquire) < round {
            thread::yield_now();
        }
        broker.deliver(NodeId::shard(0), Delivery::Listening(round));
        broker.announce();
    }
}

/// Sleeps whenever it has no mail, until it was woken often enough.
async fn sleep_again_and_again(mut shard: MeshNode, ear: Ear, asleep_in: &AtomicU64) {
    let (mut growth, mut round, mut woken) = (Growth::default(), 1, 0);
    let bell = ear.watch(Arc::clone(shard.doorbell())).expect("a new set takes more");
    while woken < WAKE_UPS {
        let mut slept = true;
        Doorbell::wait(&bell, || {
            asleep_in.store(round, Ordering::Release);
            slept = !shard.has_mail();
            !slept
        })
        .await;
        // A ring that came too late for its round wakes a node without mail; that is allowed.
        let Some(Delivery::Listening(heard)) = shard.receive_delivery() else { continue };
        assert_eq!(heard, round, "deliveries arrive in order");
        growth.note_round(round);
        round += 1;
        woken += u64::from(slept);
    }
    growth.check();
}

#[test]
fn a_node_survives_wake_ups_from_another_thread_and_misses_none() {
    let mut nodes = mesh::build(1);
    let (shard, broker) = (nodes.remove(0), nodes.remove(0));
    let asleep_in: &AtomicU64 = Box::leak(Box::default());
    // Started before the executor: threads inherit the core of the one that starts them.
    thread::spawn(move || wake_again_and_again(broker, asleep_in));
    on_an_executor(move |ear| sleep_again_and_again(shard, ear, asleep_in));
}

#[test]
fn a_node_survives_idle_polls_from_its_own_timer() {
    on_an_executor(|ear| async move {
        let doorbell = Arc::clone(mesh::build::<(), ()>(1)[0].doorbell());
        let bell = ear.watch(Arc::clone(&doorbell)).expect("a new set takes more");
        let clock = ear.clone();
        ear.spawn(async move {
            loop {
                clock.sleep(Duration::from_micros(5)).await;
                doorbell.ring();
            }
        })
        .detach();
        let mut growth = Growth::default();
        for round in 1..=WAKE_UPS {
            Doorbell::wait(&bell, || false).await;
            growth.note_round(round);
        }
        growth.check();
    });
}
