//! Steps of several shards: from the broker's hands to the shards', and on to their clients.

use super::crowd::{Crowd, HASHER};
use super::{CLIENTS, EVENTS_PER_BATCH, PAYLOAD_BYTES, Step, WARM_UP_TURNS};
use fanout::control::{Control, MeshNode};
use fanout::ear::Ear;
use fanout::engine::mesh::{Delivery, Interest};
use fanout::engine::message::Message;
use fanout::engine::placement::Placement;
use fanout::mesh;
use fanout::mesh::NodeId;
use fanout::router::Router;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// A router, shards with clients, and the mesh between them; all on one thread.
struct House {
    router: Router,
    shards: Vec<Place>,
    messages: Vec<Message>,
    /// What the next run routes.
    batch: Vec<Message>,
}

struct Place {
    mesh: MeshNode,
    crowd: Crowd,
}

impl House {
    /// A house whose shards have these users, a client each time one is named, and messages for some of them.
    fn new(users_of_shards: &[Vec<usize>], messages_for: impl Iterator<Item = usize>) -> Self {
        let mut nodes = mesh::build(users_of_shards.len());
        nodes.pop();
        let broker = nodes.pop().expect("the broker's node");
        let (router, _) =
            Router::new(broker, HASHER, Arc::default(), Ear::new(Duration::ZERO).expect("descriptors are left"));
        let shards = nodes.into_iter().zip(users_of_shards).map(|(mesh, users)| Place::new(mesh, users, &router));
        let shards: Vec<Place> = shards.collect();
        let messages = messages_for.map(|user| shards[0].crowd.events(user, 1, PAYLOAD_BYTES).remove(0)).collect();
        let mut house = Self { router, shards, messages, batch: Vec::new() };
        for _ in 0..WARM_UP_TURNS {
            house.refill();
            house.route();
            house.turn();
        }
        house.calls();
        house.refill();
        house
    }

    fn refill(&mut self) {
        assert!(self.batch.is_empty(), "everything was routed");
        self.batch.extend_from_slice(&self.messages);
    }

    /// One batch, as a broker routes it.
    fn route(&mut self) {
        self.router.take_control();
        for message in self.batch.drain(..) {
            black_box(self.router.route(message));
        }
        let settled = pin!(self.router.settle()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(settled.is_ready(), "the lanes have room for a batch");
    }

    /// One turn of every shard.
    fn turn(&mut self) {
        for place in &mut self.shards {
            while let Some(delivery) = place.mesh.receive_delivery() {
                if let Delivery::Message(topic, message) = delivery {
                    place.crowd.shard.deliver(topic, &message);
                }
            }
            place.crowd.end_turn();
        }
    }

    /// Writes since this was last asked.
    fn calls(&self) -> usize {
        self.shards.iter().map(|place| place.crowd.taken.calls.take()).sum()
    }
}

impl Place {
    /// A shard that has told the router who its clients are.
    fn new(mut mesh: MeshNode, users: &[usize], router: &Router) -> Self {
        let broker = NodeId::broker(mesh.shards());
        let crowd = Crowd::of(users.iter().copied());
        for topics in users.chunk_by(|user, next| user == next) {
            let followers = u32::try_from(topics.len()).expect("a small crowd");
            let topic = crowd.topic(topics[0]);
            let at = crowd.shard.subscriptions().find(&topic).expect("it has followers");
            let interest = Interest { topic, place: at, followers, ticket: None };
            mesh.send(broker, Control::Interest(interest));
        }
        router.take_control();
        assert!(mesh.resend(), "the lane has room for this many users");
        Self { mesh, crowd }
    }
}

/// From the broker to the shards that have listeners: events for users who live on all of them.
pub(crate) struct Route(House);

impl Route {
    pub(crate) fn over(shards: usize) -> Self {
        Self(users_over(shards))
    }
}

impl Step for Route {
    fn run(&mut self) {
        self.0.route();
    }

    fn rest(&mut self) -> usize {
        self.0.turn();
        self.0.refill();
        self.0.calls()
    }
}

/// The whole way through a server: routed, taken by the shards, offered, written.
pub(crate) struct Path(House);

impl Path {
    /// Events for users who live on all shards.
    pub(crate) fn to_users(shards: usize) -> Self {
        Self(users_over(shards))
    }

    /// One event for clients on all shards.
    pub(crate) fn to_one_topic(shards: usize) -> Self {
        Self(House::new(&vec![vec![0; CLIENTS / shards]; shards], std::iter::once(0)))
    }
}

impl Step for Path {
    fn run(&mut self) {
        self.0.route();
        self.0.turn();
    }

    fn rest(&mut self) -> usize {
        self.0.refill();
        self.0.calls()
    }
}

/// Users with a client each, on the shards that they belong to; events for every tenth of them.
fn users_over(shards: usize) -> House {
    let nobody = Crowd::of([]);
    let mut users_of_shards = vec![Vec::new(); shards];
    for user in 0..CLIENTS {
        let owner = Placement::Keyed(nobody.topic(user)).owner(NodeId::shard(0), shards);
        users_of_shards[owner.index()].push(user);
    }
    House::new(&users_of_shards, (0..CLIENTS).step_by(CLIENTS / EVENTS_PER_BATCH))
}
