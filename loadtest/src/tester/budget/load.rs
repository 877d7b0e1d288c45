//! What is put on a server, the same for every server that is compared.

pub use crate::tester::plan::Load as Pace;
use std::collections::BTreeMap;

/// Clients, what they listen to, and what is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Connections.
    pub clients: u32,
    /// Usernames that they share evenly; 1 puts all on one.
    pub users: u32,
    /// How events are paced.
    pub pace: Pace,
    /// Bytes of an event.
    pub event_bytes: usize,
}

/// The size of events unless a row is about sizes: that of the field's usual ones.
const EVENT_BYTES: usize = 256;

impl Load {
    /// All clients on one username.
    pub fn one_username(clients: u32, window: u16) -> Self {
        Self { clients, users: 1, pace: Pace::Window(window), event_bytes: EVENT_BYTES }
    }

    /// A username for each client, events to random ones.
    pub fn usernames(clients: u32, pace: Pace) -> Self {
        Self { clients, users: clients, pace, event_bytes: EVENT_BYTES }
    }

    /// Connections that publish: as many as the tester opens where nobody says how many.
    pub fn publishers(self) -> u32 {
        match self.pace {
            Pace::Window(_) => 1,
            Pace::Rate(_) | Pace::Silence => self.users.min(4),
        }
    }

    /// The axes of plots.
    pub fn settings(self) -> BTreeMap<String, u64> {
        let (pace, per) = match self.pace {
            Pace::Window(window) => ("window", u64::from(window)),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rates of rows are whole numbers"
            )]
            Pace::Rate(rate) => ("rate", rate.round() as u64),
            Pace::Silence => ("rate", 0),
        };
        let settings = [
            ("clients", u64::from(self.clients)),
            ("users", u64::from(self.users)),
            ("size", self.event_bytes as u64),
            (pace, per),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).into()
    }
}
