//! A stage for tests: a broker on an executor of its own, and this thread in the role of its only shard.

use crate::brokers::Broker;
use crate::control::{Control, MeshNode};
use crate::ear::{self, Ear};
use crate::engine::mesh::{Delivery, Interest};
use crate::engine::protocol::{Notice, PublishError};
use crate::engine::publication::{Asker, Publication, Ticket};
use crate::engine::topic::{Topic, TopicHasher, TopicKey};
use crate::mesh;
use crate::mesh::NodeId;
use crate::metrics::{BrokerStatus, NodeMetrics};
use crate::router::Router;
use bytes::Bytes;
use glommio::Placement;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing on the stage takes so long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Stage {
    shard: MeshNode,
    pub(super) status: Arc<BrokerStatus>,
    pub(super) metrics: Arc<NodeMetrics>,
    controls: VecDeque<Control>,
    curtain: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A delivery as tests compare it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Listening(u64),
    /// With its payload.
    Event(String),
}

const HASHER: TopicHasher = TopicHasher::with_key((1, 2));

impl Stage {
    /// Runs what `make` makes until the stage is dropped.
    pub(super) fn with<B: Broker + 'static>(make: impl FnOnce(Arc<BrokerStatus>) -> B + Send + 'static) -> Self {
        let mut nodes = mesh::build(1).into_iter();
        let (shard, node) = (nodes.next().expect("a shard"), nodes.next().expect("a broker"));
        let (status, metrics): (_, Arc<NodeMetrics>) = (Arc::new(BrokerStatus::new("test")), Arc::default());
        let curtain = Arc::new(AtomicBool::new(false));
        let (own_status, own_metrics, own_curtain) = (Arc::clone(&status), Arc::clone(&metrics), Arc::clone(&curtain));
        let thread = std::thread::spawn(move || {
            let executor = ear::executor(Placement::Unbound).make().expect("an executor");
            executor.run(async move {
                let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
                let (router, publications) = Router::new(node, HASHER, own_metrics, ear.clone());
                let router = Rc::new(router);
                let serving = Rc::clone(&router);
                ear.spawn(async move { serving.serve().await }).detach();
                ear.spawn(Box::new(make(own_status)).run(router, publications)).detach();
                let clock = ear.clone();
                let play = async move {
                    while !own_curtain.load(Ordering::Acquire) {
                        clock.sleep(Duration::from_millis(2)).await;
                    }
                };
                ear.hear_until(play).await;
            });
        });
        Self { shard, status, metrics, controls: VecDeque::new(), curtain, thread: Some(thread) }
    }

    pub(super) fn topic(name: &str) -> Topic {
        HASHER.topic(Bytes::copy_from_slice(name.as_bytes()))
    }

    /// From here on, events of `name` come to this thread.
    pub(super) fn follow(&mut self, name: &str, followers: u32) {
        self.announce(name, followers, Some(1));
        assert_eq!(self.delivery(), Said::Listening(1));
    }

    /// Tells the broker that so many follow `name`; the answer to the ticket is one of the next deliveries.
    pub(super) fn announce(&mut self, name: &str, followers: u32, ticket: Option<u64>) {
        let interest = Interest { topic: Self::topic(name), place: TopicKey::default(), followers, ticket };
        self.shard.send(NodeId::broker(1), Control::Interest(interest));
    }

    /// What comes next down the lane of the messages.
    pub(super) fn delivery(&mut self) -> Said {
        match self.wait("a delivery", |stage| stage.shard.receive_delivery()) {
            Delivery::Listening(ticket) => Said::Listening(ticket),
            Delivery::Message(_, message) => Said::Event(String::from_utf8_lossy(message.payload()).into_owned()),
        }
    }

    /// The next event, as topic and payload.
    pub(super) fn event(&mut self) -> (String, String) {
        let message = self.wait("an event", |stage| match stage.shard.receive_delivery()? {
            Delivery::Message(_, message) => Some(message),
            Delivery::Listening(ticket) => panic!("nobody waits for {ticket}"),
        });
        let payload = String::from_utf8(message.payload().to_vec()).expect("only UTF-8 comes here");
        assert!(message.text_frame().ends_with(message.payload()), "the frame ends with the payload");
        (message.topic.display().into_owned(), payload)
    }

    /// Whether an event is waiting.
    pub(super) fn has_event(&mut self) -> bool {
        self.shard.receive_delivery().is_some()
    }

    pub(super) fn publish(&mut self, name: &str, payload: &str, request: u64) {
        let ticket = Some(Ticket { node: self.shard.id(), asker: Asker::Request(request) });
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let publication = Publication { topic: Self::topic(name), payload, ticket };
        self.shard.send(NodeId::broker(1), Control::Publish(publication));
    }

    /// The answer to the next publication, with its request.
    pub(super) fn outcome(&mut self) -> (u64, Result<u64, PublishError>) {
        self.wait("an outcome", |stage| {
            stage.receive();
            let place = stage.controls.iter().position(|control| matches!(control, Control::Published { .. }))?;
            match stage.controls.remove(place)? {
                Control::Published { ticket: Ticket { asker: Asker::Request(request), .. }, outcome } => {
                    Some((request, outcome))
                }
                _ => unreachable!("just found"),
            }
        })
    }

    /// The next notice.
    pub(super) fn notice(&mut self) -> Notice {
        self.wait("a notice", |stage| {
            stage.receive();
            let place = stage.controls.iter().position(|control| matches!(control, Control::Notice(_)))?;
            match stage.controls.remove(place)? {
                Control::Notice(notice) => Some(notice),
                _ => unreachable!("just found"),
            }
        })
    }

    /// Notices that have come and that nobody asked for.
    pub(super) fn notices(&mut self) -> usize {
        self.receive();
        self.controls.iter().filter(|control| matches!(control, Control::Notice(_))).count()
    }

    /// Waits until the broker is connected, or is not.
    pub(super) fn await_connected(&mut self, expected: bool) {
        self.wait("a change of state", |stage| (stage.status.is_connected() == expected).then_some(()));
    }

    /// Waits for `attempt` to yield something.
    pub(super) fn wait<T>(&mut self, what: &str, mut attempt: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(outcome) = attempt(self) {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("no {what} within {PATIENCE:?}");
    }

    fn receive(&mut self) {
        while let Some((_, control)) = self.shard.receive() {
            self.controls.push_back(control);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.curtain.store(true, Ordering::Release);
        let outcome = self.thread.take().expect("joined once").join();
        assert!(outcome.is_ok() || std::thread::panicking(), "the broker's thread panicked");
    }
}
