//! From a configuration to running shards, and back to nothing.

mod core;
mod entrance;
mod inspector;
mod lease;
mod listener;
mod outlet;
mod pace;
mod ring;
mod socket;
pub mod spread;
mod start;
mod strain;
mod tcp_info;
mod token;

use self::core::{Bounds, Core};
use self::listener::Listener;
use self::spread::Spread;
use crate::auth::Keyring;
use crate::brokers::Broker;
use crate::config::host::Host;
use crate::config::{self, Config};
use crate::control::{Control, MeshNode};
use crate::ear::{self, Ear, Rhythm};
use crate::engine::protocol::SlowPolicy;
use crate::engine::shard::Limits;
use crate::engine::topic::TopicHasher;
use crate::http::{Census, HttpSettings, Places, Site};
use crate::mesh;
use crate::mesh::NodeId;
use crate::metrics::Registry;
use crate::protocols::flux::FluxSettings;
use crate::protocols::{self, ProtocolSettings};
use crate::router::Router;
use glommio::{ExecutorJoinHandle, Placement};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

pub use self::start::StartError;

/// The exit status after a second signal: 128 + SIGINT, as shells report it.
const EXIT_IMPATIENT: i32 = 130;

/// How long the broker may take over what clients have published before they left: many round trips to a healthy one.
const LAST_PUBLICATIONS_TIMEOUT: Duration = Duration::from_secs(1);

/// How often to look whether it has.
const PUBLISHED_LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Serves until a signal asks for the end, then drains and returns.
pub fn serve(config: &Config, host: &Host) -> Result<(), StartError> {
    let plan = start::plan(config)?;
    start::announce(config, host, &plan);
    let shards = config.cores.len();
    let hasher = TopicHasher::random();
    let registry = Registry::new(shards, plan.broker.kind());
    let mut nodes = mesh::build(shards);
    let main = nodes.pop().expect("the main thread's node is the last");
    let broker_node = nodes.pop().expect("the broker's node is before it");
    drain_on_signal(main, config.drain_window, &registry).map_err(StartError::Signals)?;
    let mut broker = Some(BrokerSeat {
        node: broker_node,
        source: plan.broker.into_source(config, hasher, &registry),
        hasher,
        registry: registry.clone(),
    });
    let census = Census::of(Places {
        per_user_max: config.limits.connections_per_user_max,
        per_address_max: config.limits.connections_per_address_max,
    });
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
    for (node, listener) in nodes.into_iter().zip(plan.listeners) {
        let index = node.id().index();
        let keyring = plan.keyring.clone();
        let census = census.clone();
        let site = SitePlan { config: config.clone(), registry: registry.clone(), hasher, keyring, census };
        let seat = ShardSeat { node, listener, site, broker: broker.take() };
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
    listener: Listener,
    site: SitePlan,
    /// The broker, where it has no core of its own.
    broker: Option<BrokerSeat>,
}

impl ShardSeat {
    async fn run(self) {
        let ear = ear(&self.site.config);
        let broker = self.broker.map(|seat| ear.spawn(seat.run(ear.clone())));
        let (site, bounds) = (self.site.build(self.node.id()), bounds(&self.site.config));
        let core = Core::new(self.node, ear.clone(), self.listener, site, bounds).expect("a new epoll set takes more");
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
    registry: Registry,
}

impl BrokerSeat {
    /// Takes events in until every shard has drained.
    async fn run(self, ear: Ear) {
        let metrics = self.registry.broker_node;
        let (router, publications) = Router::new(self.node, self.hasher, metrics, ear.clone());
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
struct SitePlan {
    config: Config,
    registry: Registry,
    hasher: TopicHasher,
    keyring: Option<Keyring>,
    census: Option<Census>,
}

impl SitePlan {
    fn build(&self, node: NodeId) -> Site {
        let config = &self.config;
        let settings = HttpSettings {
            allowed_origins: config.allowed_origins.listed().map(<[String]>::to_vec),
            admin_token: config.admin_token.as_ref().map(|token| token.expose().to_owned()),
            publish_prefix: config.workflow_prefix.clone(),
            event_bytes_max: config.limits.event_bytes_max,
            connections_max: config.limits.connections_max,
            overload_after: config.overload_after,
            trusted_proxies: config.trusted_proxies.as_slice().to_vec(),
            version: env!("CARGO_PKG_VERSION"),
        };
        let mut families = protocols::families(&protocol_settings(config), self.hasher);
        families.push(protocols::console(&families, &self.registry, settings.version));
        let registry = self.registry.clone();
        let keyring = self.keyring.clone().map(RefCell::new);
        let census = self.census.clone();
        Site { families, hasher: self.hasher, registry, settings, node, keyring, census }
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

fn bounds(config: &Config) -> Bounds {
    let limits = Limits {
        outbound_bytes_max: config.limits.outbound_bytes_max,
        outbound_total_bytes_max: config.limits.outbound_total_bytes_max / config.cores.len(),
        write_timeout: config.limits.write_timeout,
        event_lifetime: config.limits.event_lifetime,
        client_message_bytes_max: config.limits.client_message_bytes_max,
        topics_per_connection_max: config.limits.topics_per_connection_max,
        client_messages_per_second: config.limits.client_messages_per_second,
        rhythm: Rhythm { ping_interval: config.heartbeat.ping_interval, pong_timeout: config.heartbeat.pong_timeout },
    };
    Bounds { limits, spread: Spread::above(config.spread_above) }
}

/// The first SIGTERM or SIGINT drains every shard; the second ends the process.
///
/// The thread is started before any executor is, because threads inherit the core of the one that starts them.
fn drain_on_signal(mut main: MeshNode, window: Duration, registry: &Registry) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let draining = Arc::clone(&registry.draining);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if draining.swap(true, Ordering::AcqRel) {
                tracing::warn!(signal, "second signal: ending now");
                std::process::exit(EXIT_IMPATIENT);
            }
            tracing::info!(signal, window_ms = window.as_millis(), "draining");
            for shard in 0..main.shards() {
                main.send(NodeId::shard(shard), Control::Drain(window));
            }
        }
    })?;
    Ok(())
}
