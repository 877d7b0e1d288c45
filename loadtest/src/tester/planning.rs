//! What flags and a scenario's defaults make together: a plan.

use super::course::Course;
use super::dialect::{self, Destination, Dialect};
use super::event_size::EventSize;
use super::flags::Flags;
use super::plan::{Load, Plan, Publish, Source};
use super::scenario::{SPECIAL_FLAGS, Scenario};
use super::template::Template;
use std::net::IpAddr;
use std::thread;

/// Receiving threads where nobody says otherwise: more than this keep no single server busy.
const THREADS_DEFAULT_MAX: usize = 4;

/// Publishing connections to Redis for a set rate: several, as coordinators are.
const PUBLISHERS_AT_A_RATE: u32 = 4;

/// Publishing connections over HTTP: each has one request on its way.
const PUBLISHERS_OVER_HTTP: u32 = 16;

/// The plan of one load, before it is checked as a whole.
///
/// # Errors
/// One sentence, for the first value that does not fit.
pub(super) fn plan(flags: &Flags, scenario: &Scenario) -> Result<Plan, String> {
    let protocol = flags.protocol.clone().unwrap_or_else(|| "workflow".to_owned());
    let dialect = dialect::find(&protocol);
    let (clients, users) = crowd(flags, scenario);
    check_flags(flags, scenario)?;
    let load = match (flags.rate, flags.window, scenario.load) {
        (Some(_), Some(_), _) => {
            return Err("--rate is an open loop and --window a closed one: give one".to_owned());
        }
        (None, None, load) => load,
        (_, _, Load::Silence) => return Err(format!("{} publishes no events", scenario.name)),
        (_, Some(places), _) => Load::Window(places),
        (Some(rate), _, _) => Load::Rate(rate),
    };
    let preset_url = dialect.map_or("", |dialect| dialect.url());
    let publish = publish(flags, dialect);
    let course = Course {
        ramp: flags.ramp.unwrap_or_default(),
        sizes: flags.sizes.clone().unwrap_or_default(),
        ..Course::default()
    };
    let mut plan = Plan {
        scenario: scenario.name.to_owned(),
        publishers: flags.publishers.unwrap_or_else(|| publishers_for(load, &publish).min(users).max(1)),
        publish,
        protocol,
        url: Template(flags.url.clone().unwrap_or_else(|| preset_url.to_owned())),
        clients,
        users,
        load,
        size: flags.size.unwrap_or(EventSize(scenario.size)),
        seconds: flags.seconds.unwrap_or(scenario.seconds),
        warmup: flags.warmup.unwrap_or(scenario.warmup),
        patience: flags.patience.unwrap_or(5.0),
        threads: flags.threads.unwrap_or_else(threads),
        slo: flags.slo.clone().unwrap_or_default(),
        server_pid: flags.server_pid,
        source: source(flags.source.as_deref())?,
        course,
    };
    (scenario.shape)(flags, &mut plan)?;
    Ok(plan)
}

/// Refuses what only other scenarios have.
fn check_flags(flags: &Flags, scenario: &Scenario) -> Result<(), String> {
    let given = toml::Table::try_from(flags).map_err(|error| error.to_string())?;
    let foreign = SPECIAL_FLAGS.iter().find(|flag| given.contains_key(**flag) && !scenario.flags.contains(flag));
    foreign.map_or(Ok(()), |flag| Err(format!("--{flag} is no setting of {}", scenario.name)))
}

/// Clients and users, each from the other where only one is given.
fn crowd(flags: &Flags, scenario: &Scenario) -> (u32, u32) {
    match (flags.clients, flags.users) {
        (Some(clients), Some(users)) => (clients, users),
        (Some(clients), None) => (clients, scenario.users.min(clients)),
        (None, Some(users)) => (scenario.clients.max(users), users),
        (None, None) => (scenario.clients, scenario.users.min(scenario.clients)),
    }
}

fn publish(flags: &Flags, dialect: Option<&dyn Dialect>) -> Publish {
    let preset = dialect.map_or(Destination::Redis(""), Dialect::publish_at);
    let destination = flags.destination().unwrap_or(preset);
    let itself = dialect.and_then(Dialect::publishing);
    let preset = match (destination, itself) {
        (Destination::Tcp(_) | Destination::WebSocket(_), Some(client)) => client.publish_as(),
        _ => dialect.map_or("", |dialect| dialect.publish_to()),
    };
    let name = Template(flags.publish_to.clone().unwrap_or_else(|| preset.to_owned()));
    match destination {
        Destination::Redis(address) => Publish::Redis { address: address.to_owned(), channel: name },
        Destination::Http(url) => Publish::Http { url: Template(url.to_owned()) },
        Destination::Tcp(address) => Publish::Tcp { address: address.to_owned(), name },
        Destination::WebSocket(url) => Publish::WebSocket { url: Template(url.to_owned()), name },
    }
}

fn publishers_for(load: Load, publish: &Publish) -> u32 {
    match load {
        _ if matches!(publish, Publish::Http { .. }) => PUBLISHERS_OVER_HTTP,
        Load::Rate(_) => PUBLISHERS_AT_A_RATE,
        Load::Window(_) | Load::Silence => 1,
    }
}

/// As many as there are cores, in reason.
fn threads() -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.min(THREADS_DEFAULT_MAX)).unwrap_or(1)
}

fn source(text: Option<&str>) -> Result<Source, String> {
    match text {
        None | Some("auto") => Ok(Source::Auto),
        Some("system") => Ok(Source::System),
        Some(list) => {
            let addresses: Result<Vec<IpAddr>, _> = list.split(',').map(str::parse).collect();
            addresses
                .map(Source::Addresses)
                .map_err(|_| format!("--source {list} is none of auto, system and a comma list of IP addresses"))
        }
    }
}
