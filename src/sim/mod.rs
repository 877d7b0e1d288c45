//! A pretend world: shards, the mesh and the router are real; sockets, clients and time are not.
//!
//! A seed makes a schedule of everything that may happen, in any order: clients come through the wrong shard, send
//! pings and nonsense, stop reading, break; events are published; Redis stalls, dies and comes back; shards get a turn,
//! or sleep until somebody rings. A shadow model knows who must have got what, and after every turn the books of its
//! shard must balance. A failure names its seed; `scripts/simulate` plays more of them, or one again.

mod channels;
mod listener;
mod model;
mod outages;
mod place;
mod redis;
mod seeds;
mod socket;
mod subscribing;
mod world;

pub(crate) use place::limits;

use crate::engine::protocol::{Action, Answer};
use crate::engine::topic::Topic;
use crate::metrics::Drop;
use crate::wire::frame;
use world::World;

/// Things that happen in one schedule.
const STEPS: usize = 600;

/// How pretend protocols tell their clients what became of a wish: a sign and the topic.
fn say(answer: Answer, topic: &Topic) -> Action {
    let sign = match answer {
        Answer::Subscribed => "=",
        Answer::Unsubscribed => "~",
        Answer::TooMany => ">",
        Answer::NotSubscribed => "?",
    };
    Action::Send(frame::text(&format!("{sign}{}", topic.display())))
}

#[test]
fn every_client_gets_every_event_of_its_topic_once_and_in_order_and_nothing_else() {
    let mut dropped = [0; Drop::OF_FRAMES.len()];
    let are_many = seeds::play("world", |seed| {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        world.check();
        for (sum, reason) in dropped.iter_mut().zip(Drop::OF_FRAMES) {
            *sum += world.dropped(reason);
        }
    });
    let is_enough = dropped.iter().all(|&sum| sum > 100);
    assert!(is_enough || !are_many, "the schedules bring about what they are for: {dropped:?}");
}
