//! From a configuration to running shards, and back to nothing.

mod core;
mod entrance;
mod inspector;
mod lease;
mod listener;
mod outlet;
mod pace;
mod ring;
mod signals;
mod socket;
pub mod spread;
mod start;
mod strain;
mod tcp_info;
mod token;
mod tuning;

use self::core::{Core, Doors};
use self::signals::Attendant;
use self::tuning::Tuning;
use crate::auth::Keyring;
use crate::brokers::Broker;
use crate::config::host::Host;
use crate::config::{self, Config};
use crate::control::MeshNode;
use crate::ear::{self, Ear};
use crate::engine::protocol::SlowPolicy;
use crate::engine::topic::TopicHasher;
use crate::http::{Census, HttpSettings, Site};
use crate::logging::Filter;
use crate::mesh;
use crate::mesh::NodeId;
use crate::metrics::{NodeMetrics, Registry};
use crate::protocols::flux::FluxSettings;
use crate::protocols::{self, ProtocolSettings};
use crate::router::Router;
use glommio::{ExecutorJoinHandle, Placement};
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::ring::Ring;
pub use self::start::StartError;
pub(crate) use self::start::{plain, redis_answers, redis_patterns};

/// How long the broker may take over what clients have published before they left: many round trips to a healthy one.
const LAST_PUBLICATIONS_TIMEOUT: Duration = Duration::from_secs(1);

/// How often to look whether it has.
const PUBLISHED_LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Serves until a signal asks for the end, then drains and returns. `filter` is the log's.
pub fn serve(config: &Config, host: &Host, filter: Filter) -> Result<(), StartError> {
    let plan = start::plan(config)?;
    start::announce(config, host, &plan);
    let shards = config.cores.len();
    let hasher = TopicHasher::random();
    let registry = Registry::new(shards, plan.broker.kind());
    let mut nodes = mesh::build(shards);
    let main = nodes.pop().expect("the main thread's node is the last");
    let broker_node = nodes.pop().expect("the broker's node is before it");
    let attendant = Attendant { main, config: config.clone(), host: host.clone(), filter, registry: registry.clone() };
    attendant.start().map_err(StartError::Signals)?;
    let mut broker = Some(BrokerSeat {
        node: broker_node,
        source: plan.broker.into_source(config, &registry),
        hasher,
        metrics: Arc::clone(&registry.broker_node),
    });
    let census = Census::new(Tuning::of(config).places);
    let site = SitePlan { config: config.clone(), registry, hasher, keyring: plan.keyring, census };
    let mut executors = Vec::with_capacity(shards + 1);
    if let Some(core) = config.broker_core {
        let seat = broker.take().expect("it has one seat");
        let ears = config.clone();
        let run = move || async move {
            let ear = ear(&ears);
            ear.hear_until(seat.run(ear.clone())).await;
        };
        executors.push(spawn("broker", core, run)?);
    }
    let mut monitors = plan.metrics.map(|(_, listener)| listener);
    for (node, clients) in nodes.into_iter().zip(plan.listeners) {
        let index = node.id().index();
        let doors = Doors { clients, monitors: monitors.take() };
        let seat = ShardSeat { node, doors, site: site.clone(), broker: broker.take() };
        executors.push(spawn(&format!("shard-{index}"), config.cores[index], move || seat.run())?);
    }
    for executor in executors {
        executor.join().map_err(StartError::Executor)?;
    }
    Ok(())
}

/// What a shard's thread is given.
struct ShardSeat {
    node: MeshNode,
    doors: Doors,
    site: SitePlan,
    /// The broker, where it has no core of its own.
    broker: Option<BrokerSeat>,
}

impl ShardSeat {
    async fn run(self) {
        let ear = ear(&self.site.config);
        let broker = self.broker.map(|seat| ear.spawn(seat.run(ear.clone())));
        let Tuning { bounds, http, .. } = Tuning::of(&self.site.config);
        let site = self.site.build(self.node.id(), http);
        let core = Core::new(self.node, ear.clone(), self.doors, site, bounds).expect("a new epoll set takes more");
        core.run().await;
        if let Some(broker) = broker {
            ear.hear_until(broker).await;
        }
    }
}

/// What the broker's task is given.
struct BrokerSeat {
    node: MeshNode,
    source: Box<dyn Broker + Send>,
    hasher: TopicHasher,
    metrics: Arc<NodeMetrics>,
}

impl BrokerSeat {
    /// Takes events in until every shard has drained.
    async fn run(self, ear: Ear) {
        let (router, publications) = Router::new(self.node, self.hasher, self.metrics, ear.clone());
        let router = Rc::new(router);
        let source = ear.spawn(self.source.run(Rc::clone(&router), publications));
        router.serve().await;
        // Broadcasts of clients that have just left are still published.
        let published = async {
            while router.unanswered() > 0 {
                ear.sleep(PUBLISHED_LOOK_PERIOD).await;
            }
        };
        if ear.within(LAST_PUBLICATIONS_TIMEOUT, published).await.is_none() {
            tracing::warn!(events = router.unanswered(), "the broker did not take what clients have published");
        }
        source.cancel().await;
    }
}

fn spawn<F: Future<Output = ()> + 'static>(
    name: &str,
    core: usize,
    run: impl FnOnce() -> F + Send + 'static,
) -> Result<ExecutorJoinHandle<()>, StartError> {
    ear::executor(Placement::Fixed(core)).name(name).spawn(run).map_err(StartError::Executor)
}

/// A node's ear, made on its own thread.
fn ear(config: &Config) -> Ear {
    Ear::new(config.spin_before_park).expect("a process that starts has descriptors left")
}

/// What every shard's site is built from, on its own thread: families hold closures that stay where they are made.
#[derive(Clone)]
struct SitePlan {
    config: Config,
    registry: Registry,
    hasher: TopicHasher,
    keyring: Option<Keyring>,
    census: Census,
}

impl SitePlan {
    fn build(self, node: NodeId, settings: HttpSettings) -> Site {
        let Self { config, registry, hasher, keyring, census } = self;
        let mut families = protocols::families(&protocol_settings(&config), hasher);
        families.push(protocols::console_family(&families, registry.clone(), settings.version));
        Site { families, hasher, registry, settings, node, keyring: keyring.map(RefCell::new), census }
    }
}

fn protocol_settings(config: &Config) -> ProtocolSettings {
    ProtocolSettings {
        workflow_prefix: config.workflow_prefix.clone(),
        workflow_slow_policy: slow_policy(config.limits.slow_policies.workflow),
        flux: FluxSettings {
            base_path: config.flux.base_path.clone(),
            prefix: format!("{}:", config.flux.channel_prefix),
            broadcast_is_open: config.flux.broadcast_is_open,
            channels: config.flux.channels.clone(),
            event_bytes_max: config.limits.event_bytes_max,
            slow_policy: slow_policy(config.limits.slow_policies.flux),
        },
        echo_path: config.echo_path.clone(),
    }
}

fn slow_policy(policy: config::SlowPolicy) -> SlowPolicy {
    match policy {
        config::SlowPolicy::Close => SlowPolicy::Close,
        config::SlowPolicy::DropOldest => SlowPolicy::DropOldest,
        config::SlowPolicy::Latest => SlowPolicy::Latest,
    }
}
