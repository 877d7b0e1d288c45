//! One shard's thread without the thread: it turns while there is something to do, else it sleeps until somebody rings.

use super::socket::{PretendOutlet, PretendSocket, Wire, WireState};
use crate::control::{Control, MeshNode};
use crate::ear::{Ear, Rhythm, Tick};
use crate::engine::mesh::{Adoption, Delivery};
use crate::engine::placement::Placement;
use crate::engine::protocol::{Admission, Protocol};
use crate::engine::shard::{Limits, Shard};
use crate::engine::topic::TopicHasher;
use crate::mesh::{self, NodeId};
use crate::metrics::NodeMetrics;
use crate::router::{Publications, Router};
use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The answer every pretend client waits for before it believes that it is connected.
pub(super) const WELCOME: &[u8] = b"101\r\n\r\n";

/// So few that lanes are full now and then.
const MESSAGES_PER_LANE: usize = 16;
const CONTROLS_PER_LANE: usize = 8;
/// Rounds after which nothing is left in any lane: a schedule publishes fewer than 2 000 events, a turn takes at least one.
const ROUNDS_TO_REST: usize = 4_000;

pub(super) struct Place {
    pub(super) shard: Shard<PretendSocket>,
    pub(super) mesh: MeshNode,
    pub(super) metrics: Arc<NodeMetrics>,
    /// Pieces of the server's own news that it has heard.
    pub(super) notices: u64,
    /// What lies between it and the clients that have come to it.
    wires: Vec<Rc<RefCell<Wire>>>,
}

/// So many shards, the broker's router, and what clients want it to publish.
pub(super) fn build(shards: usize, hasher: TopicHasher, limits: Limits) -> (Vec<Place>, Router, Publications) {
    let mut nodes = mesh::build_with(shards, MESSAGES_PER_LANE, CONTROLS_PER_LANE);
    nodes.truncate(shards + 1);
    let broker = nodes.pop().expect("the broker's node");
    let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
    let (router, publications) = Router::new(broker, hasher, Arc::default(), ear);
    (nodes.into_iter().map(|node| Place::new(node, limits)).collect(), router, publications)
}

/// Limits that are in nobody's way.
pub(crate) fn limits() -> Limits {
    Limits {
        outbound_bytes_max: 1 << 20,
        outbound_total_bytes_max: usize::MAX,
        write_timeout: Duration::from_secs(10),
        event_lifetime: None,
        client_message_bytes_max: 1_000,
        topics_per_connection_max: 3,
        client_messages_per_second: 0,
        rhythm: Rhythm { ping_interval: None, pong_timeout: Duration::from_secs(60) },
    }
}

/// Whether every shard sleeps, and the router could.
pub(super) fn rest(places: &[Place], router: &Router) -> bool {
    router.resend() && !router.has_mail() && places.iter().all(Place::sleeps)
}

/// Lets everything come to rest: plays rounds until one says that nothing is left to do.
pub(super) fn settle(mut round: impl FnMut() -> bool) {
    assert!((0..ROUNDS_TO_REST).any(|_| round()), "it never comes to rest");
}

impl Place {
    fn new(mesh: MeshNode, limits: Limits) -> Self {
        let metrics = Arc::<NodeMetrics>::default();
        let shard = Shard::new(mesh.id(), limits, Arc::clone(&metrics), Tick::default());
        Self { shard, mesh, metrics, notices: 0, wires: Vec::new() }
    }

    /// A client comes in over this wire, which wakes whoever sleeps.
    pub(super) fn arrive(&mut self, wire: &Rc<RefCell<Wire>>, protocol: impl Protocol + 'static, placement: Placement) {
        self.mesh.doorbell().get_up();
        self.shard.arrive(Adoption {
            socket: PretendSocket(Rc::clone(wire)),
            peer: ([127, 0, 0, 1], 1).into(),
            admission: Admission { protocol: Box::new(protocol), placement },
            response: Bytes::from_static(WELCOME),
            unread: Bytes::new(),
            lifetime: None,
            permit: None,
        });
        self.wires.push(Rc::clone(wire));
    }

    /// Whether it would sleep on: nobody has rung, and none of its wires has anything for it.
    pub(super) fn sleeps(&self) -> bool {
        self.mesh.doorbell().is_asleep() && self.wires.iter().all(|wire| wire.borrow().ready() == (false, false))
    }

    /// Takes what the server has to say to all clients.
    pub(super) fn take_controls(&mut self) {
        self.mesh.doorbell().get_up();
        while let Some((_, control)) = self.mesh.receive() {
            let Control::Notice(notice) = control else { panic!("nobody sends this here") };
            self.notices += 1;
            self.shard.notify(&notice);
        }
    }

    /// Takes so many messages at most.
    pub(super) fn take_deliveries(&mut self, most: usize) {
        self.mesh.doorbell().get_up();
        for _ in 0..most {
            match self.mesh.receive_delivery() {
                Some(Delivery::Message(topic, message)) => self.shard.deliver(topic, &message),
                Some(Delivery::Listening(ticket)) => self.shard.listening(ticket),
                None => break,
            }
        }
    }

    /// Hears those of its wires that have anything for it.
    pub(super) fn hear(&mut self) {
        let mut scratch = [0; 512];
        for wire in &self.wires {
            let (is_readable, is_writable) = wire.borrow().ready();
            let Some(id) = wire.borrow().seat else { continue };
            if is_writable {
                self.shard.writable(id);
            }
            if is_readable {
                self.shard.readable(id, &mut scratch);
            }
        }
    }

    /// Tells the broker, writes to everybody who was touched, and lies down if nothing has come meanwhile.
    pub(super) fn end_turn(&mut self) {
        self.tell_broker();
        self.shard.end_turn(&mut PretendOutlet);
        self.tell_broker();
        assert_eq!(self.shard.balance(), 0, "offered is delivered, queued or dropped");
        assert_eq!(self.shard.late_bytes(), self.metrics.bytes_queued.get(), "what waits is counted as it is");
        let mesh = &mut self.mesh;
        let _is_asleep = mesh.resend() && mesh.doorbell().lie_down(|| mesh.has_mail());
    }

    fn tell_broker(&mut self) {
        let broker = NodeId::broker(self.mesh.shards());
        let outgoing = self.shard.outgoing();
        outgoing.interests.drain(..).for_each(|interest| self.mesh.send(broker, Control::Interest(interest)));
        outgoing.publications.drain(..).for_each(|event| self.mesh.send(broker, Control::Publish(event)));
    }
}

impl Wire {
    /// Whether a shard would hear of it: that there is something to read, and that there is room again.
    fn ready(&self) -> (bool, bool) {
        let is_there = self.seat.is_some() && self.state != WireState::Dropped;
        let is_readable = !self.to_server.is_empty() || self.state == WireState::Broken;
        (is_there && is_readable, is_there && self.watches_room && self.room != Some(0))
    }
}
