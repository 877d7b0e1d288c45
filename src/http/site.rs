//! What this server answers for: families of clients, settings, and where the counters are.

use super::census::{Census, Places};
use super::decline::Decline;
use super::door::Access;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use crate::auth::Keyring;
use crate::engine::protocol::Admission;
use crate::engine::topic::{Topic, TopicHasher};
use crate::mesh::NodeId;
use crate::metrics::{NodeMetrics, Registry};
use crate::wire::username::Username;
use ipnet::IpNet;
use std::cell::RefCell;
use std::time::Duration;

/// How a family lets a request in, or why it does not.
pub type Admit = Box<dyn Fn(&Request<'_>) -> Result<Admission, Decline>>;

/// What a family answers to GET on a path of its own.
pub type Page = Box<dyn Fn(&Site) -> Response>;

/// One family of WebSocket clients: where it connects, what it follows, what else it serves.
pub struct Family {
    /// The name in logs.
    pub name: &'static str,
    /// The path, compared as it is written, escapes included.
    pub path: String,
    /// What the names of its topics begin with; `None` for a family that follows nothing.
    pub prefix: Option<String>,
    /// Who may connect. Behind the private door nobody is asked for another token.
    pub access: Access,
    /// Its own pages by their paths; everyone may see them.
    pub pages: Vec<(String, Page)>,
    /// Asked once per upgrade request that RFC 6455 finds nothing wrong with.
    pub admit: Admit,
}

/// What a request may and may not.
#[derive(Clone)]
pub struct HttpSettings {
    /// Origins whose pages may connect, in lower case; `None` is any. Who sends no `Origin` is not a browser and may.
    pub allowed_origins: Option<Vec<String>>,
    /// Opens the private door to whoever carries it, from anywhere, and to nobody else.
    pub admin_token: Option<String>,
    /// What stands in front of a username in the broker's channels.
    pub publish_prefix: String,
    /// Longest event on `POST /publish`, in bytes.
    pub event_bytes_max: usize,
    /// WebSocket connections of all shards together.
    pub connections_max: usize,
    /// How long a shard may be behind before new clients are turned away; `None` is for ever.
    pub overload_after: Option<Duration>,
    /// Whether metrics are served through a listener of their own, and not to clients.
    pub metrics_are_apart: bool,
    /// Whose word about a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// This server's version.
    pub version: &'static str,
}

/// Everything the routes of one shard know.
pub struct Site {
    /// Who may connect, and where.
    pub families: Vec<Family>,
    /// Hashes topics of publications.
    pub hasher: TopicHasher,
    /// The counters of the whole process.
    pub registry: Registry,
    /// What requests may.
    pub settings: HttpSettings,
    /// What WebSocket clients' tokens are checked with; `None` asks nobody for one.
    pub keyring: Option<RefCell<Keyring>>,
    /// How many connections each user and each address has.
    pub census: Census,
    /// This shard.
    pub node: NodeId,
}

impl Site {
    /// From now on requests may something else; who is connected stays.
    pub fn retune(&mut self, settings: HttpSettings, places: Places, secret: Option<&str>) {
        self.settings = settings;
        self.census.set_places(places);
        if let Some(keyring) = &mut self.keyring {
            keyring.get_mut().set_secret(secret);
        }
    }

    /// The topic of a username's events; `hint` says how to name one.
    pub(super) fn topic_of(&self, name: &str, hint: &'static str) -> Result<Topic, Refusal> {
        let username = Username::parse(name).map_err(|invalid| Refusal::bad_request(invalid.to_string(), hint))?;
        Ok(self.hasher.prefixed(&self.settings.publish_prefix, username.as_str()))
    }

    /// The counters of this shard.
    pub(super) fn metrics(&self) -> &NodeMetrics {
        &self.registry.shards[self.node.index()]
    }

    /// Whether another WebSocket connection would be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.registry.admitted() >= self.settings.connections_max as u64
    }

    /// Whether this shard of them all has been behind for too long to take more on.
    pub(super) fn is_overloaded(&self, shard: NodeId) -> bool {
        self.settings.overload_after.is_some_and(|bound| self.registry.shards[shard.index()].entrance.behind() >= bound)
    }
}
