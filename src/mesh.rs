//! The lanes between nodes: single-producer single-consumer rings, and a doorbell per node. What they carry they do not
//! know.
//!
//! ```text
//!   shard 0 ◄─ deliveries ── broker      control lanes run between every two nodes;
//!   shard 1 ◄─ deliveries ──   │         delivery lanes only from the broker to the shards
//!      ▲                       │
//!      └────── control ────────┴── main (signals)
//! ```
//!
//! Invariants: nothing that was sent is dropped, and each lane keeps its order; what finds a lane full waits with its
//! sender: deliveries stop the broker's reading until they are gone, and controls the shard's; nobody waits inside a
//! send. Cores share memory nowhere else, apart from doorbells and the counters in `metrics`.

mod node;

pub use self::node::NodeId;

use crate::ear::Doorbell;
use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::VecDeque;
use std::sync::Arc;

/// Messages a lane holds. At 8 million messages a second this is half a millisecond of a shard's work; beyond it the
/// broker stops reading, and the publisher's socket is the queue.
pub const MESSAGES_PER_LANE: usize = 4096;

/// Control messages a lane holds before they wait with the sender: a storm of hand-overs of one turn fits.
pub const CONTROLS_PER_LANE: usize = 1024;

/// The sending end of one ring. What finds it full waits here, in order.
struct Lane<T> {
    ring: Producer<T>,
    waiting: VecDeque<T>,
}

/// The sending ends towards one other node.
struct Outlet<C, D> {
    control: Lane<C>,
    deliveries: Option<Lane<D>>,
    doorbell: Arc<Doorbell>,
    /// Something was put down since the bell last rang.
    unannounced: bool,
}

/// The receiving ends from one other node.
struct Intake<C, D> {
    node: NodeId,
    control: Consumer<C>,
    deliveries: Option<Consumer<D>>,
}

/// One node's ends of all its lanes, for controls `C` and deliveries `D`. It moves to its node's thread and stays there.
pub struct MeshNode<C, D> {
    id: NodeId,
    shards: usize,
    /// Indexed by the receiving node.
    outlets: Vec<Outlet<C, D>>,
    intakes: Vec<Intake<C, D>>,
    /// Whose control was taken last.
    heard: usize,
    doorbell: Arc<Doorbell>,
}

/// Builds the lanes between `shards` shards, the broker and the main thread; the nodes come in the order of their ids.
pub fn build<C, D>(shards: usize) -> Vec<MeshNode<C, D>> {
    build_with(shards, MESSAGES_PER_LANE, CONTROLS_PER_LANE)
}

/// The same with other lanes than usual.
pub(crate) fn build_with<C, D>(
    shards: usize,
    messages_per_lane: usize,
    controls_per_lane: usize,
) -> Vec<MeshNode<C, D>> {
    assert!(shards > 0, "a server has at least one shard");
    let broker = NodeId::broker(shards);
    let count = shards + 2;
    let doorbells: Vec<Arc<Doorbell>> = (0..count).map(|_| Arc::default()).collect();
    let mut nodes: Vec<MeshNode<C, D>> = (0..count)
        .map(|index| MeshNode {
            id: NodeId::shard(index),
            shards,
            outlets: Vec::with_capacity(count),
            intakes: Vec::with_capacity(count),
            heard: 0,
            doorbell: Arc::clone(&doorbells[index]),
        })
        .collect();
    for from in 0..count {
        for to in 0..count {
            let (control, controls) = RingBuffer::new(controls_per_lane);
            let has_deliveries = from == broker.index() && to < shards;
            let (outgoing, incoming) = has_deliveries.then(|| RingBuffer::new(messages_per_lane)).unzip();
            let doorbell = Arc::clone(&doorbells[to]);
            let (control, deliveries) = (Lane::new(control), outgoing.map(Lane::new));
            nodes[from].outlets.push(Outlet { control, deliveries, doorbell, unannounced: false });
            nodes[to].intakes.push(Intake { node: NodeId::shard(from), control: controls, deliveries: incoming });
        }
    }
    nodes
}

impl<C, D> MeshNode<C, D> {
    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// How many shards the mesh has.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The bell others ring for this node.
    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    /// Sends a control message and rings. Where the lane is full it waits here, in order, for [`MeshNode::resend`].
    pub fn send(&mut self, to: NodeId, control: C) {
        let outlet = &mut self.outlets[to.index()];
        outlet.control.send(control);
        outlet.doorbell.ring();
    }

    /// Whether a control message sent now would arrive without waiting.
    pub fn has_room(&self, to: NodeId) -> bool {
        self.outlets[to.index()].control.has_room()
    }

    /// Puts a delivery into a shard's lane without ringing: see [`MeshNode::announce`]. Where the lane is full it waits
    /// here; the broker reads nothing more until [`MeshNode::resend`] has moved it, so what waits is one batch at most.
    pub fn deliver(&mut self, to: NodeId, delivery: D) {
        let outlet = &mut self.outlets[to.index()];
        outlet.deliveries.as_mut().expect("only the broker delivers, and only to shards").send(delivery);
        outlet.unannounced = true;
    }

    /// Rings at every shard that got deliveries since the last call: once per batch, not per message.
    pub fn announce(&mut self) {
        for outlet in self.outlets.iter_mut().filter(|outlet| outlet.unannounced) {
            outlet.unannounced = false;
            outlet.doorbell.ring();
        }
    }

    /// Moves what waits into the lanes and rings; says whether nothing waits any more.
    pub fn resend(&mut self) -> bool {
        let mut done = true;
        for outlet in self.outlets.iter_mut().filter(|outlet| outlet.is_waiting()) {
            outlet.control.resend();
            outlet.deliveries.iter_mut().for_each(Lane::resend);
            outlet.doorbell.ring();
            done &= !outlet.is_waiting();
        }
        done
    }

    /// The next control message of any node, and who sent it; the nodes take turns.
    pub fn receive(&mut self) -> Option<(NodeId, C)> {
        for _ in 0..self.intakes.len() {
            self.heard = (self.heard + 1) % self.intakes.len();
            let intake = &mut self.intakes[self.heard];
            if let Ok(control) = intake.control.pop() {
                return Some((intake.node, control));
            }
        }
        None
    }

    /// The next delivery for this shard.
    pub fn receive_delivery(&mut self) -> Option<D> {
        let broker = NodeId::broker(self.shards).index();
        self.intakes[broker].deliveries.as_mut().and_then(|lane| lane.pop().ok())
    }

    /// Whether anything was sent to this node that it has not received.
    pub fn has_mail(&self) -> bool {
        self.intakes
            .iter()
            .any(|intake| !intake.control.is_empty() || intake.deliveries.as_ref().is_some_and(|lane| !lane.is_empty()))
    }
}

impl<T> Lane<T> {
    fn new(ring: Producer<T>) -> Self {
        Self { ring, waiting: VecDeque::new() }
    }

    fn send(&mut self, item: T) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(item);
        } else if let Err(rtrb::PushError::Full(item)) = self.ring.push(item) {
            self.waiting.push_back(item);
        }
    }

    fn resend(&mut self) {
        while let Some(item) = self.waiting.pop_front() {
            if let Err(rtrb::PushError::Full(item)) = self.ring.push(item) {
                self.waiting.push_front(item);
                return;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.ring.slots() > 0
    }
}

impl<C, D> Outlet<C, D> {
    fn is_waiting(&self) -> bool {
        !self.control.waiting.is_empty() || self.deliveries.as_ref().is_some_and(|lane| !lane.waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Enough to go round the shortest lanes many times, and few enough for Miri.
    const COUNT: usize = 300;

    #[test]
    fn what_one_thread_sends_another_receives_in_order_however_short_the_lanes() {
        let mut nodes = build_with::<usize, usize>(1, 4, 2).into_iter();
        let (mut shard, mut broker) = (nodes.next().expect("a shard"), nodes.next().expect("a broker"));
        let sender = thread::spawn(move || {
            for number in 0..COUNT {
                broker.deliver(shard_0(), number);
                broker.send(shard_0(), number);
                broker.announce();
                while number % 7 == 0 && !broker.resend() {
                    thread::yield_now();
                }
            }
            while !broker.resend() {
                thread::yield_now();
            }
        });
        let (mut deliveries, mut controls) = (Vec::new(), Vec::new());
        while !sender.is_finished() || shard.has_mail() {
            deliveries.extend(shard.receive_delivery());
            controls.extend(shard.receive().map(|(_, number)| number));
            thread::yield_now();
        }
        let all: Vec<usize> = (0..COUNT).collect();
        assert_eq!((&deliveries, &controls), (&all, &all));
    }

    fn shard_0() -> NodeId {
        NodeId::shard(0)
    }
}
