//! The broker's side of the mesh: who listens to what, and the way there.

use crate::control::{Control, MeshNode};
use crate::ear::{self, Doorbell, Ear};
use crate::engine::mesh::{self, Delivery};
use crate::engine::message::Message;
use crate::engine::protocol::{Notice, PublishError};
use crate::engine::publication::{Asker, Publication, Ticket};
use crate::engine::topic::{Topic, TopicHasher, TopicKey};
use crate::inspection::{Event, Question, Reply, Traces, What};
use crate::mesh::NodeId;
use crate::metrics::{Drop, NodeMetrics};
use bytes::Bytes;
use futures_lite::future::yield_now;
use glommio::channels::local_channel::{LocalReceiver, LocalSender, new_bounded};
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Publications that may wait for the broker; the next one is answered with [`PublishError::Overloaded`].
/// One from each of 16 000 clients at once; at the 200 000 a second that Redis takes, less than a tenth of a second.
pub const PUBLICATIONS_WAITING_MAX: usize = 16 * 1024;

/// Bytes of their payloads: of the longest messages that clients may send by default, a thousand.
pub const PUBLICATIONS_WAITING_BYTES_MAX: usize = 64 << 20;

/// Controls taken at a time: as many as a lane holds, so that events need not wait for shards that go on and on.
const CONTROLS_PER_LOOK_MAX: usize = 1024;

/// What clients of this instance want published, in order.
pub struct Publications {
    waiting: LocalReceiver<Publication>,
    waiting_bytes: Rc<Cell<usize>>,
}

impl Publications {
    /// The next one; `None` once there will be no more.
    pub async fn next(&self) -> Option<Publication> {
        let publication = self.waiting.recv().await?;
        self.waiting_bytes.set(self.waiting_bytes.get() - publication.payload.len());
        Some(publication)
    }
}

/// Routes messages to the shards that have listeners.
///
/// A shard announces each new follower and waits for the answer, which comes down the lane of the messages: whatever
/// was routed before it is not for that follower, whatever comes after it is. Only then does the client learn that it
/// is connected; so it misses nothing from that moment on and sees no hole before it.
pub struct Router {
    state: RefCell<State>,
    /// Counts of the broker's node.
    pub metrics: Arc<NodeMetrics>,
    hasher: TopicHasher,
    /// What the broker's node hears with.
    pub ear: Ear,
    watcher: OnceCell<Watcher>,
}

type Watcher = Box<dyn Fn(&Router, Vec<Wish>)>;

/// News of a topic's followers, for a broker that must be told topic by topic.
pub struct Wish {
    /// What is followed, or was.
    pub topic: Topic,
    /// Whether anybody follows it now; perhaps somebody did before.
    pub is_followed: bool,
    /// Who waits for [`Router::confirm`]: a ticket of this shard.
    pub waiter: Option<(NodeId, u64)>,
}

struct State {
    mesh: MeshNode,
    interests: HashTable<Interest>,
    /// What the watcher has yet to hear; `None` without one.
    wishes: Option<Vec<Wish>>,
    publications: LocalSender<Publication>,
    publication_bytes: Rc<Cell<usize>>,
    /// Publications that were taken and not answered yet.
    unanswered: usize,
    drained: SmallVec<[NodeId; 4]>,
    /// The wall clock in microseconds since 1970, as it was when the latest batch began.
    now_us: u64,
    /// What administrators look at.
    traces: Traces<()>,
}

/// Which shards follow a topic.
struct Interest {
    topic: Topic,
    shards: SmallVec<[Followers; 1]>,
}

/// Those who follow a topic on one shard.
#[derive(Clone, Copy)]
struct Followers {
    shard: NodeId,
    place: TopicKey,
    count: u32,
}

impl Router {
    /// A router on the broker's end of the mesh, and the publications that arrive there.
    pub fn new(mesh: MeshNode, hasher: TopicHasher, metrics: Arc<NodeMetrics>, ear: Ear) -> (Self, Publications) {
        let (publications, waiting) = new_bounded(PUBLICATIONS_WAITING_MAX);
        let waiting_bytes = Rc::<Cell<usize>>::default();
        let state = State {
            mesh,
            interests: HashTable::new(),
            wishes: None,
            publications,
            publication_bytes: Rc::clone(&waiting_bytes),
            unanswered: 0,
            drained: SmallVec::new(),
            now_us: ear::wall_clock_us(),
            traces: Traces::default(),
        };
        let router = Self { state: RefCell::new(state), metrics, hasher, ear, watcher: OnceCell::new() };
        (router, Publications { waiting, waiting_bytes })
    }

    /// From now on whoever begins to follow a topic waits for [`Router::confirm`], and `watcher` hears of it. Without a
    /// watcher the router answers at once, which is right for a source of all topics. To be called once, before the
    /// first [`Router::take_control`].
    pub fn watch_interests(&self, watcher: impl Fn(&Self, Vec<Wish>) + 'static) {
        assert!(self.watcher.set(Box::new(watcher)).is_ok(), "a router has one broker");
        self.state.borrow_mut().wishes = Some(Vec::new());
    }

    /// Events of the topic arrive from here on: who waited for that is told so down the lane of the messages.
    /// [`Router::settle`] rings.
    pub fn confirm(&self, (shard, ticket): (NodeId, u64)) {
        self.state.borrow_mut().mesh.deliver(shard, Delivery::Listening(ticket));
    }

    /// Hashes a channel's name; the only time for this message.
    pub fn topic(&self, name: Bytes) -> Topic {
        self.hasher.topic(name)
    }

    /// Takes in what the shards have announced and asked for. Call it before each batch of events.
    pub fn take_control(&self) {
        let mut borrowed = self.state.borrow_mut();
        let state = &mut *borrowed;
        state.now_us = ear::wall_clock_us();
        for _ in 0..CONTROLS_PER_LOOK_MAX {
            let Some((from, control)) = state.mesh.receive() else { break };
            match control {
                Control::Interest(interest) => state.note(from, interest),
                Control::Publish(publication) => state.queue(publication, &self.metrics),
                Control::Drained => state.drained.push(from),
                Control::Ask(ticket, question) => state.tell(ticket, &question),
                Control::Adopt(_)
                | Control::Published { .. }
                | Control::Notice(_)
                | Control::Answer(..)
                | Control::Retune(_)
                | Control::Drain(_) => unreachable!("only shards are sent this"),
            }
        }
        state.mesh.announce();
        self.metrics.topics.set(state.interests.len() as u64);
        if let Some(wishes) = state.wishes.as_mut().filter(|wishes| !wishes.is_empty()).map(std::mem::take) {
            // The watcher may confirm at once.
            drop(borrowed);
            self.watcher.get().expect("wishes are kept for a watcher only")(self, wishes);
        }
    }

    /// Sends a message to every shard that follows its topic; returns how many connections there are.
    pub fn route(&self, message: Message) -> u64 {
        self.metrics.messages_in.add(1);
        let followers = self.state.borrow_mut().route(message);
        if followers == 0 {
            self.metrics.unfollowed.add(1);
        }
        followers
    }

    /// Counts an event that cannot be delivered.
    pub fn drop_event(&self, reason: Drop) {
        self.metrics.dropped(reason).add(1);
    }

    /// Shows an event that cannot be delivered to those who look at its topic.
    pub fn show_undeliverable(&self, reason: Drop, channel: &[u8], payload_bytes: usize) {
        let state = &mut *self.state.borrow_mut();
        if !state.traces.is_empty()
            && let Some(trace) = state.traces.of_topic(&self.hasher.topic(Bytes::copy_from_slice(channel)))
            && trace.samples(state.now_us)
        {
            trace.note(ear::wall_clock_us(), What::Undeliverable(reason, payload_bytes));
        }
    }

    /// Rings at the shards and waits until every message of the batch is in its lane.
    ///
    /// While a shard is behind, the broker reads nothing: the publisher's socket is the queue. Shards never wait for
    /// clients, so a lane is only full while its core is busy.
    pub async fn settle(&self) {
        while !self.resend() {
            yield_now().await;
            self.take_control();
        }
    }

    /// Tells every shard the server's own news.
    pub fn notify(&self, notice: Notice) {
        let state = &mut *self.state.borrow_mut();
        for shard in 0..state.mesh.shards() {
            state.mesh.send(NodeId::shard(shard), Control::Notice(notice));
        }
    }

    /// Answers a publication, if its publisher wants to know. To be called once for each.
    pub fn answer(&self, ticket: Option<Ticket>, outcome: Result<u64, PublishError>) {
        if let Err(error) = outcome {
            self.metrics.unpublished(error).add(1);
        }
        let state = &mut *self.state.borrow_mut();
        state.unanswered -= 1;
        if let Some(ticket) = ticket {
            state.answer(ticket, outcome);
        }
    }

    /// Serves the control lanes until every shard has drained.
    pub async fn serve(&self) {
        let doorbell = Arc::clone(self.state.borrow().mesh.doorbell());
        let bell = self.ear.watch(doorbell).expect("a new epoll set takes more");
        loop {
            self.take_control();
            if self.is_drained() {
                return;
            }
            if !self.resend() {
                yield_now().await;
                continue;
            }
            Doorbell::wait(&bell, || self.state.borrow().mesh.has_mail()).await;
        }
    }

    fn is_drained(&self) -> bool {
        let state = self.state.borrow();
        state.drained.len() == state.mesh.shards()
    }

    /// Publications of clients of which nobody knows yet what became of them.
    pub fn unanswered(&self) -> usize {
        self.state.borrow().unanswered
    }

    /// Whether a shard has said something that nobody has taken in.
    #[cfg(test)]
    pub(crate) fn has_mail(&self) -> bool {
        self.state.borrow().mesh.has_mail()
    }

    /// Rings for what was routed and moves what waits into the lanes; says whether nothing waits any more.
    pub(crate) fn resend(&self) -> bool {
        let mesh = &mut self.state.borrow_mut().mesh;
        mesh.announce();
        mesh.resend()
    }
}

impl State {
    fn route(&mut self, mut message: Message) -> u64 {
        message.received_us = self.now_us;
        let interest = self.interests.find(message.topic.hash(), |interest| interest.topic == message.topic);
        if !self.traces.is_empty() {
            show(&mut self.traces, &message, interest.map_or(0, Interest::total));
        }
        let Some(interest) = interest else { return 0 };
        let (last, others) = interest.shards.split_last().expect("an interest has followers");
        for followers in others {
            self.mesh.deliver(followers.shard, Delivery::Message(followers.place, message.clone()));
        }
        self.mesh.deliver(last.shard, Delivery::Message(last.place, message));
        interest.total()
    }

    fn note(&mut self, shard: NodeId, news: mesh::Interest) {
        let mesh::Interest { topic, place, followers: count, mut ticket } = news;
        let hash = topic.hash();
        let entry = self.interests.entry(hash, |known| known.topic == topic, |known| known.topic.hash());
        let mut entry = entry.or_insert_with(|| Interest { topic, shards: SmallVec::new() });
        let interest = entry.get_mut();
        interest.shards.retain(|followers| followers.shard != shard);
        if count > 0 {
            interest.shards.push(Followers { shard, place, count });
        }
        let is_followed = !interest.shards.is_empty();
        if let Some(wishes) = &mut self.wishes {
            let waiter = ticket.take().map(|ticket| (shard, ticket));
            wishes.push(Wish { topic: interest.topic.clone(), is_followed, waiter });
        }
        if !is_followed {
            entry.remove();
        }
        if let Some(ticket) = ticket {
            self.mesh.deliver(shard, Delivery::Listening(ticket));
        }
    }

    fn tell(&mut self, ticket: Ticket, question: &Question) {
        let Question::Trace(target, from) = question else { unreachable!("only shards are asked for anything else") };
        let node = self.mesh.id();
        let account = self.traces.attend(target, Instant::now()).map(|trace| trace.account(from, node));
        self.mesh.send(ticket.node, Control::Answer(ticket, Box::new(Reply::Trace(account))));
    }

    fn queue(&mut self, publication: Publication, metrics: &NodeMetrics) {
        let waiting_bytes = self.publication_bytes.get();
        let bytes = waiting_bytes + publication.payload.len();
        let has_room = waiting_bytes == 0 || bytes <= PUBLICATIONS_WAITING_BYTES_MAX;
        if !has_room || self.publications.is_full() {
            metrics.unpublished(PublishError::Overloaded).add(1);
            if let Some(ticket) = publication.ticket {
                self.answer(ticket, Err(PublishError::Overloaded));
            }
        } else if self.publications.try_send(publication).is_ok() {
            self.publication_bytes.set(bytes);
            self.unanswered += 1;
        }
    }

    fn answer(&mut self, ticket: Ticket, outcome: Result<u64, PublishError>) {
        let is_welcome = outcome.is_err() || !matches!(ticket.asker, Asker::Connection(..));
        if !is_welcome || self.drained.contains(&ticket.node) {
            return;
        }
        let has_room = self.mesh.has_room(ticket.node);
        self.mesh.send(ticket.node, Control::Published { ticket, outcome });
        if !has_room {
            // Somebody must move what waits now: see `serve`.
            self.mesh.doorbell().ring();
        }
    }
}

/// Shows an event to those who look at its topic.
#[cold]
fn show(traces: &mut Traces<()>, message: &Message, followers: u64) {
    traces.forget_old(Instant::now());
    if let Some(trace) = traces.of_topic(&message.topic)
        && trace.samples(message.received_us)
    {
        trace.note(ear::wall_clock_us(), What::Received(Event::of(message), followers));
    }
}

impl Interest {
    fn total(&self) -> u64 {
        self.shards.iter().map(|followers| u64::from(followers.count)).sum()
    }
}
