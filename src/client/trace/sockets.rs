//! What the kernel of the server knows of a socket that takes no more: is it the network, or the client?

use crate::client::failure::Failure;
use crate::client::publish::counted;
use crate::client::requests::{Requests, encoded};
use crate::config::wish::Whose;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The kernel is asked no more often.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// When it was asked, and what was said of each connection.
#[derive(Default)]
pub(super) struct Sockets {
    asked: Option<Instant>,
    said: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Page {
    connections: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    queued_bytes: u64,
    late_ms: Option<u64>,
    tcp: Option<Tcp>,
}

#[derive(Deserialize)]
struct Tcp {
    round_trip_us: u64,
    retransmits: u64,
    window_bytes: u64,
    waits_for: String,
}

impl Sockets {
    /// Whether it may be asked again.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN)
    }

    /// What is news about these connections.
    pub(super) fn ask(
        &mut self,
        requests: &Requests<'_>,
        whose: &Whose,
        waiting: &[String],
    ) -> Result<Vec<String>, Failure> {
        self.asked = Some(Instant::now());
        self.said.retain(|connection, _| waiting.contains(connection));
        let filter = match whose {
            Whose::Username(name) | Whose::Channel(name) => encoded(name),
            Whose::Connection(_) => String::new(),
        };
        let page: Page = requests.get(&format!("/admin/connections?tcp=1&limit=1000&filter={filter}"))?;
        let mut news = Vec::new();
        for row in page.connections.iter().filter(|row| waiting.contains(&row.id)) {
            let Some(tcp) = &row.tcp else { continue };
            let reason = tcp.reason();
            if self.said.insert(row.id.clone(), reason.clone()).as_ref() != Some(&reason) {
                let late = row.late_ms.unwrap_or(0);
                let waits = counted(row.queued_bytes, "byte");
                news.push(format!(
                    "{} has taken nothing for {late} ms, {waits} wait: {reason}, {}",
                    row.id,
                    tcp.figures()
                ));
            }
        }
        Ok(news)
    }
}

impl Tcp {
    /// What stays the same while the reason does.
    fn reason(&self) -> String {
        match self.waits_for.as_str() {
            "client" => "its window is full, the client does not read".to_owned(),
            "network" => format!("it is the network, {}", counted(self.retransmits, "retransmission")),
            _ => "nothing is on its way any more, it is about to go on".to_owned(),
        }
    }

    fn figures(&self) -> String {
        format!("round trip {} µs, window {}", self.round_trip_us, counted(self.window_bytes, "byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::Tcp;

    #[test]
    fn it_is_the_client_or_the_network() {
        let reason = |waits_for: &str| {
            Tcp { round_trip_us: 7, retransmits: 3, window_bytes: 0, waits_for: waits_for.to_owned() }.reason()
        };
        assert_eq!(reason("client"), "its window is full, the client does not read");
        assert_eq!(reason("network"), "it is the network, 3 retransmissions");
    }
}
