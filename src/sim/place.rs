//! One shard's thread without the thread: it turns while there is something to do, else it sleeps until somebody rings.

use super::socket::{PretendOutlet, PretendSocket, Wire, WireState};
use crate::ear::Tick;
use crate::engine::mesh::{Control, Delivery, MeshNode};
use crate::engine::shard::{Limits, Shard};
use crate::mesh::NodeId;
use crate::metrics::NodeMetrics;
use std::cell::RefCell;
use std::sync::Arc;

pub(super) struct Place {
    pub(super) shard: Shard<PretendSocket>,
    pub(super) mesh: MeshNode,
    pub(super) metrics: Arc<NodeMetrics>,
    /// Pieces of the server's own news that it has heard.
    pub(super) notices: u64,
}

impl Place {
    pub(super) fn new(mesh: MeshNode, limits: Limits) -> Self {
        let metrics = Arc::<NodeMetrics>::default();
        let shard = Shard::new(mesh.id(), limits, Arc::clone(&metrics), Tick::default());
        Self { shard, mesh, metrics, notices: 0 }
    }

    /// Whether it would sleep on: nobody has rung, and none of these wires has anything for it.
    pub(super) fn sleeps<'a>(&self, mut wires: impl Iterator<Item = &'a RefCell<Wire>>) -> bool {
        self.mesh.doorbell().is_asleep() && wires.all(|wire| wire.borrow().ready() == (false, false))
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

    /// Hears those of these wires, all its own, that have anything for it.
    pub(super) fn hear<'a>(&mut self, wires: impl Iterator<Item = &'a RefCell<Wire>>) {
        let mut scratch = [0; 512];
        for wire in wires {
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
