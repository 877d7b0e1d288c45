//! Names that are nearly the one that is meant: usernames and channels are compared byte by byte.

use crate::client::failure::Failure;
use crate::client::publish::counted;
use crate::client::requests::{Requests, encoded};
use crate::config::client::Endpoint;
use crate::config::wish::Whose;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Connections that are looked at: what the server shows at a time.
const ROWS_MAX: usize = 1_000;

/// Names that are said.
const SAID_MAX: usize = 5;

/// Topics that differ from the one that is meant in case or in spaces around them, with their connections.
pub(super) struct Namesakes(BTreeMap<String, u64>);

#[derive(Deserialize)]
struct Page {
    matched: usize,
    connections: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    topics: Vec<String>,
}

impl Namesakes {
    /// Looks among those who are connected to the server.
    pub(super) fn find(requests: &Requests<'_>, server: &Endpoint, whose: &Whose) -> Result<Self, Failure> {
        let (prefix, name) = match whose {
            Whose::Username(name) => (server.workflow_prefix.clone(), name),
            Whose::Channel(name) => (format!("{}:", server.channel_prefix), name),
            Whose::Connection(_) => return Ok(Self(BTreeMap::new())),
        };
        let ask = |filter: &str| -> Result<Page, Failure> {
            requests.get(&format!("/admin/connections?limit={ROWS_MAX}&filter={}", encoded(filter)))
        };
        let mut page = ask("")?;
        if page.matched > page.connections.len() {
            // Too many to look at: at least those who only have spaces around it.
            page = ask(name.trim())?;
        }
        let topics = page.connections.into_iter().flat_map(|row| row.topics);
        let names = topics.filter_map(|topic| topic.strip_prefix(&prefix).map(str::to_owned));
        let mut found = BTreeMap::new();
        for other in names.filter(|other| other != name && is_alike(other, name)) {
            *found.entry(other).or_default() += 1;
        }
        Ok(Self(found))
    }

    pub(super) fn sentences(&self) -> Vec<String> {
        let say = |(name, count): (&String, &u64)| {
            let connections = counted(*count, "connection");
            format!("did you mean \"{name}\"? {connections} of that name: names are compared byte by byte")
        };
        self.0.iter().take(SAID_MAX).map(say).collect()
    }
}

fn is_alike(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
