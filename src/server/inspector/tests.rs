//! What is said of events: one shard with real sockets, and no server around it.

use super::*;
use crate::ear::Ear;
use crate::engine::mesh::Adoption;
use crate::engine::placement::Placement;
use crate::engine::protocol::{Action, Actions, Admission, ClientMessage, Encoding, Protocol, RAW_TEXT};
use crate::engine::topic::{Topic, TopicHasher};
use crate::inspection::Record;
use crate::mesh::NodeId;
use crate::server::outlet::KernelOutlet;
use crate::server::socket::{Arrival, Tenure};
use crate::sim;
use crate::wire::close::CloseCode;
use bytes::Bytes;
use slotmap::SlotMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Follows a topic as soon as it is here.
struct Follower(Topic);

impl Protocol for Follower {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }
    fn opened(&mut self, _: SocketAddr, _: &crate::engine::protocol::Seat<'_>, actions: &mut Actions) {
        actions.push(Action::Subscribe(self.0.clone()));
    }
    fn received(&mut self, _: ClientMessage<'_>, _: &mut Actions) {}
    fn notice(&self, _: &Notice) -> Option<Bytes> {
        None
    }
    fn closed(&self, _: &crate::engine::protocol::Seat<'_>, _: CloseCode) {}
}

fn topic() -> Topic {
    TopicHasher::with_key((1, 2)).prefixed("t:", "news")
}

/// The second shard of a server, on which everybody follows the same topic.
struct Stage {
    inspector: Inspector,
    shard: Shard,
    ear: Ear,
    clients: Vec<TcpStream>,
}

impl Stage {
    fn new() -> Self {
        let shard = Shard::new(NodeId::shard(1), sim::limits(), Arc::default(), Tick::default());
        let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
        Self { inspector: Inspector::default(), shard, ear, clients: Vec::new() }
    }

    /// A client comes; the broker has yet to hear what it follows.
    fn arrive(&mut self) -> Seat {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        self.clients.push(TcpStream::connect(listener.local_addr().expect("it has one")).expect("it listens"));
        let (stream, peer) = listener.accept().expect("somebody has connected");
        let arrival = Arrival { address: peer, at: Tick::default() };
        let socket = TcpSocket::new(stream, self.ear.clone(), arrival, Tenure { lease: None, permit: None });
        let admission = Admission { protocol: Box::new(Follower(topic())), placement: Placement::Anywhere };
        let (response, unread) = (Bytes::from_static(b"101"), Bytes::new());
        self.shard.arrive(Adoption { socket, peer, response, unread, admission, lifetime: None, permit: None });
        let id = self.shard.connections().map(|(id, _)| id).last().expect("it has its seat");
        Seat { shard: self.shard.node(), id }
    }

    /// The broker knows what everybody follows.
    fn confirm(&mut self) {
        let interests: Vec<_> = self.shard.outgoing().interests.drain(..).collect();
        interests.into_iter().filter_map(|interest| interest.ticket).for_each(|ticket| self.shard.listening(ticket));
    }

    fn publish(&mut self) {
        let message = Message::copied(topic(), "event");
        let place = self.shard.subscriptions().find(&message.topic).expect("somebody follows it");
        self.inspector.delivered(place, &message, &self.shard);
        self.shard.deliver(place, &message);
    }

    fn end_turn(&mut self) {
        self.shard.end_turn(&mut KernelOutlet::new());
        self.inspector.turn_ended(&mut self.shard, Tick::default());
    }

    /// Everything that was recorded so far.
    fn look(&mut self, target: &Target) -> Account {
        self.inspector.trace(target, &[], &mut self.shard, Tick::default()).expect("few are looked at")
    }
}

fn count(account: &Account, is_it: impl Fn(&What) -> bool) -> usize {
    account.records.iter().filter(|Record { what, .. }| is_it(what)).count()
}

#[test]
fn a_connection_of_another_shard_with_the_same_id_is_somebody_else() {
    let mut stage = Stage::new();
    let target = Target::Seat(Seat { shard: NodeId::shard(0), ..stage.arrive() });
    stage.confirm();
    stage.look(&target);
    stage.publish();
    stage.end_turn();
    let account = stage.look(&target);
    assert_eq!((account.records.len(), account.following), (0, 0), "{account:?}");
}

#[test]
fn an_event_is_for_those_who_follow_when_it_comes() {
    let mut stage = Stage::new();
    let early = stage.arrive();
    stage.confirm();
    let late = stage.arrive();
    for target in [Target::Topic(topic()), Target::Seat(early), Target::Seat(late)] {
        stage.look(&target);
    }
    stage.publish();
    stage.confirm();
    stage.end_turn();
    let written = |seat: Seat| move |what: &What| matches!(what, What::Written(_, its) if *its == seat);
    for (target, expected) in [(Target::Topic(topic()), 1), (Target::Seat(early), 1), (Target::Seat(late), 0)] {
        let account = stage.look(&target);
        assert_eq!(count(&account, |what| matches!(what, What::Matched(_, 1))), expected, "{account:?}");
        assert_eq!([early, late].map(|seat| count(&account, written(seat))), [expected, 0], "{account:?}");
    }
}

#[test]
fn events_that_are_not_recorded_are_counted() {
    let mut stage = Stage::new();
    let target = Target::Seat(stage.arrive());
    stage.confirm();
    stage.look(&target);
    (0..1_000).for_each(|_| stage.publish());
    stage.end_turn();
    let account = stage.look(&target);
    let recorded = count(&account, |what| matches!(what, What::Matched(..)));
    assert!(recorded > 0 && account.skipped > 0, "{recorded} and {}", account.skipped);
    assert_eq!(recorded + usize::try_from(account.skipped).expect("few"), 1_000);
}

#[test]
fn what_is_counted_has_as_many_places_as_there_are_topics_at_a_time() {
    let (mut topics, mut counts) = (SlotMap::<TopicKey, ()>::with_key(), Counts::new(Instant::now()));
    let stays = topics.insert(());
    for _ in 0..1_000 {
        let passes = topics.insert(());
        counts.note(passes);
        counts.note(stays);
        topics.remove(passes);
    }
    assert_eq!((counts.events.len(), counts.of(stays)), (2, 1_000));
}
