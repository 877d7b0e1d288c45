//! For whom a listener is there, which decides what is served through it.

/// Who comes through a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients, publishers and administrators: everybody, by the public address.
    Clients,
    /// Those who watch this server, by an address of their own: metrics and probes, and nothing else.
    Monitors,
}
