//! Which RESP clients follow which channels and patterns.

use super::client::Client;
use crate::brokers::outbox::Offer;
use crate::wire::resp::glob;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// Subscriptions of all clients together: 40 MB at the longest names. Users are followed with one pattern, not one by one.
pub(super) const SUBSCRIPTIONS_MAX: usize = 64 * 1024;

/// Different patterns: each is tried for each event, so 1 024 of them cost a publication some 100 µs.
pub(super) const PATTERNS_MAX: usize = 1024;

/// The subscriptions, looked up by name.
#[derive(Default)]
pub(super) struct Subscribers {
    channels: HashMap<Vec<u8>, Vec<Rc<Client>>>,
    patterns: HashMap<Vec<u8>, Vec<Rc<Client>>>,
    total: usize,
}

/// What a subscription's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// One channel, by its exact bytes.
    Channel,
    /// Every channel that matches.
    Pattern,
}

/// There are too many subscriptions or patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Subscribers {
    /// Adds a subscription; one that exists stays as it is.
    pub(super) fn subscribe(&mut self, client: &Rc<Client>, scope: Scope, name: &[u8]) -> Result<(), TooMany> {
        let mut names = names(client, scope).borrow_mut();
        if names.contains(name) {
            return Ok(());
        }
        let has_room = match scope {
            Scope::Channel => true,
            Scope::Pattern => self.patterns.len() < PATTERNS_MAX || self.patterns.contains_key(name),
        };
        if self.total >= SUBSCRIPTIONS_MAX || !has_room {
            return Err(TooMany);
        }
        names.insert(name.to_vec());
        self.clients(scope).entry(name.to_vec()).or_default().push(Rc::clone(client));
        self.total += 1;
        Ok(())
    }

    /// Removes a subscription, if there is one.
    pub(super) fn unsubscribe(&mut self, client: &Rc<Client>, scope: Scope, name: &[u8]) {
        if !names(client, scope).borrow_mut().remove(name) {
            return;
        }
        let followed = self.clients(scope);
        let clients = followed.get_mut(name).expect("both sides know of a subscription");
        clients.retain(|other| other.id != client.id);
        if clients.is_empty() {
            followed.remove(name);
        }
        self.total -= 1;
    }

    /// Removes all of a client's subscriptions.
    pub(super) fn leave(&mut self, client: &Rc<Client>) {
        for scope in [Scope::Channel, Scope::Pattern] {
            let names = names(client, scope).borrow().clone();
            for name in &names {
                self.unsubscribe(client, scope, name);
            }
        }
    }

    /// Gives an event to every subscription that covers `channel`; returns how many there are, as Redis counts them:
    /// a client with two matching patterns gets it twice. Clients that were cut for it are told to `note_slow`.
    pub(super) fn deliver(&self, channel: &[u8], payload: &[u8], note_slow: impl Fn(&Client)) -> u64 {
        let mut reached = 0;
        for client in self.channels.get(channel).into_iter().flatten() {
            reached += 1;
            let offer = client.write(|push| _ = push.push(3).bulk(b"message").bulk(channel).bulk(payload));
            if offer == Offer::Overflowed {
                note_slow(client);
            }
        }
        for (pattern, clients) in self.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel)) {
            for client in clients {
                reached += 1;
                let offer =
                    client.write(|push| _ = push.push(4).bulk(b"pmessage").bulk(pattern).bulk(channel).bulk(payload));
                if offer == Offer::Overflowed {
                    note_slow(client);
                }
            }
        }
        reached
    }

    /// Channels somebody follows by name, that match `pattern`.
    pub(super) fn channels_matching(&self, pattern: &[u8]) -> Vec<&[u8]> {
        let mut channels: Vec<&[u8]> =
            self.channels.keys().map(Vec::as_slice).filter(|channel| glob::matches(pattern, channel)).collect();
        channels.sort_unstable();
        channels
    }

    /// How many clients follow `channel` by name.
    pub(super) fn followers(&self, channel: &[u8]) -> usize {
        self.channels.get(channel).map_or(0, Vec::len)
    }

    /// How many channels are followed by name.
    pub(super) fn channels_followed(&self) -> usize {
        self.channels.len()
    }

    /// How many different patterns are followed.
    pub(super) fn patterns_followed(&self) -> usize {
        self.patterns.len()
    }

    fn clients(&mut self, scope: Scope) -> &mut HashMap<Vec<u8>, Vec<Rc<Client>>> {
        match scope {
            Scope::Channel => &mut self.channels,
            Scope::Pattern => &mut self.patterns,
        }
    }
}

/// The names a client follows.
pub(super) fn names(client: &Client, scope: Scope) -> &RefCell<BTreeSet<Vec<u8>>> {
    match scope {
        Scope::Channel => &client.channels,
        Scope::Pattern => &client.patterns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: u64, outbound_bytes_max: usize) -> Rc<Client> {
        Rc::new(Client::new(id, ([127, 0, 0, 1], 1).into(), outbound_bytes_max))
    }

    #[test]
    fn an_event_reaches_every_subscription_that_covers_it() {
        let mut subscribers = Subscribers::default();
        let (anna, ben) = (client(1, 1000), client(2, 1000));
        let table: [(&Rc<Client>, Scope, &[u8]); 6] = [
            (&anna, Scope::Channel, b"a"),
            (&anna, Scope::Channel, b"a"),
            (&anna, Scope::Pattern, b"a*"),
            (&anna, Scope::Pattern, b"*"),
            (&ben, Scope::Channel, b"a"),
            (&ben, Scope::Pattern, b"b*"),
        ];
        for (client, scope, name) in table {
            subscribers.subscribe(client, scope, name).unwrap();
        }
        let reached =
            |subscribers: &Subscribers, channel: &[u8]| subscribers.deliver(channel, b"x", |_| panic!("slow"));
        assert_eq!(reached(&subscribers, b"a"), 4);
        assert_eq!(reached(&subscribers, b"b"), 2);
        subscribers.unsubscribe(&anna, Scope::Pattern, b"*");
        subscribers.unsubscribe(&anna, Scope::Pattern, b"never subscribed");
        assert_eq!(reached(&subscribers, b"b"), 1);
        subscribers.leave(&ben);
        subscribers.leave(&anna);
        assert_eq!(reached(&subscribers, b"a"), 0);
        assert_eq!((subscribers.total, subscribers.channels.len(), subscribers.patterns.len()), (0, 0, 0));
    }

    #[test]
    fn a_subscriber_that_does_not_read_is_cut_once_and_delays_nobody() {
        let mut subscribers = Subscribers::default();
        let (slow, other) = (client(1, 1000), client(2, 1_000_000));
        subscribers.subscribe(&slow, Scope::Channel, b"a").unwrap();
        subscribers.subscribe(&other, Scope::Channel, b"a").unwrap();
        let cuts = std::cell::Cell::new(0);
        for _ in 0..100 {
            subscribers.deliver(b"a", &[b'x'; 100], |client| {
                assert_eq!(client.id, 1);
                cuts.set(cuts.get() + 1);
            });
        }
        assert_eq!(cuts.get(), 1);
        assert!(slow.outbox.is_cut() && other.outbox.waiting_bytes() > 10_000);
    }

    #[test]
    fn subscriptions_and_patterns_have_a_limit() {
        let mut subscribers = Subscribers::default();
        let client = client(1, 1000);
        for number in 0..PATTERNS_MAX {
            subscribers.subscribe(&client, Scope::Pattern, number.to_string().as_bytes()).unwrap();
        }
        assert_eq!(subscribers.subscribe(&client, Scope::Pattern, b"one more"), Err(TooMany));
        subscribers.subscribe(&client, Scope::Pattern, b"0").expect("it exists already");
        for number in PATTERNS_MAX..SUBSCRIPTIONS_MAX {
            subscribers.subscribe(&client, Scope::Channel, number.to_string().as_bytes()).unwrap();
        }
        assert_eq!(subscribers.subscribe(&client, Scope::Channel, b"one more"), Err(TooMany));
    }
}
