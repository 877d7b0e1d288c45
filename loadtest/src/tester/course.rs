//! What goes on in a run beside listening: how clients come, and which of them do not stay, or do not read.

use super::event_size::EventSize;
use serde::{Deserialize, Serialize};

/// Seconds, and connections a second, that make sense.
const NUMBER_MAX: f64 = 1e6;

/// What a scenario adds to a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Course {
    /// Connections begun per second, on a schedule; 0 is as fast as they are let in.
    pub ramp: f64,
    /// What the restless connections do.
    pub unrest: Unrest,
    /// The restless: so many of all connections, the last ones.
    pub restless: u32,
    /// Clients that are slow for as long as a run lasts.
    pub slow: SlowClients,
    /// Whether a broker that goes away is waited for: nothing is published meanwhile.
    pub outlasts_broker: bool,
    /// How often everything is done again: storms, or searches for the highest rate.
    pub times: u32,
    /// Sizes of events, used in turn; none: all have the plan's.
    pub sizes: Vec<EventSize>,
    /// The number that topics and events carry, where several processes share a run.
    pub run: Option<u16>,
}

/// Clients that are slow, closed for it, come back and are slow again. Every second one reads nothing for a while and
/// then everything; the others read a little at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct SlowClients {
    /// How many of all connections: the ones in front of the restless.
    pub clients: u32,
    /// How long those pause that do, in seconds.
    pub pause: f64,
    /// What the others read in a second.
    pub bytes_per_second: u32,
}

/// What restless connections do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unrest {
    /// Listen like everybody.
    #[default]
    None,
    /// Drop all at once and come back.
    Storm {
        /// Seconds that they spread their coming back over.
        stagger: f64,
    },
    /// Read no more, or slowly.
    Slow {
        /// Bytes that each reads per second; 0 for none.
        bytes_per_second: u32,
    },
    /// Leave and come back one after another.
    Churn {
        /// How many do so each second.
        per_second: f64,
    },
}

impl Course {
    /// Whether this connection, of so many, is one of the restless.
    pub fn is_restless(&self, connection: u32, clients: u32) -> bool {
        connection >= clients - self.restless.min(clients)
    }

    /// Whether this connection, of so many, is one of those that are slow all the time.
    pub fn is_slow(&self, connection: u32, clients: u32) -> bool {
        let others = clients - self.restless.min(clients);
        connection < others && connection >= others - self.slow.clients.min(others)
    }

    /// Every setting by its flag, as text.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = match self.unrest {
            Unrest::None => Vec::new(),
            Unrest::Storm { stagger } => vec![("stagger", stagger.to_string()), ("times", self.times.to_string())],
            Unrest::Slow { bytes_per_second } => vec![("slow-read", bytes_per_second.to_string())],
            Unrest::Churn { per_second } => vec![("churn", per_second.to_string())],
        };
        if self.slow.clients > 0 {
            settings.push(("slow-read", self.slow.bytes_per_second.to_string()));
        }
        let counts = [
            ("ramp", self.ramp),
            ("restless", f64::from(self.restless)),
            ("slow-clients", f64::from(self.slow.clients)),
            ("slow-pause", self.slow.pause),
        ];
        settings.extend(
            counts.into_iter().filter(|(_, count)| *count > 0.0).map(|(name, count)| (name, count.to_string())),
        );
        if !self.sizes.is_empty() {
            let sizes: Vec<String> = self.sizes.iter().map(EventSize::to_string).collect();
            settings.push(("sizes", sizes.join(",")));
        }
        settings
    }

    /// Checks what can be checked for so many clients.
    ///
    /// # Errors
    /// One sentence, for the first thing that does not fit.
    pub fn check(&self, clients: u32) -> Result<(), String> {
        let mut numbers = vec![("--ramp", self.ramp)];
        match self.unrest {
            Unrest::Storm { stagger } => numbers.push(("--stagger", stagger)),
            Unrest::Churn { per_second } => numbers.push(("--churn", per_second)),
            Unrest::None | Unrest::Slow { .. } => {}
        }
        if let Some((flag, number)) = numbers.iter().find(|(_, number)| !(0.0..=NUMBER_MAX).contains(number)) {
            return Err(format!("{flag} {number} is not between 0 and {NUMBER_MAX}"));
        }
        if self.restless.saturating_add(self.slow.clients) > clients {
            let (restless, slow) = (self.restless, self.slow.clients);
            return Err(format!("{restless} of {clients} clients cannot be restless and {slow} slow"));
        }
        Ok(())
    }
}
