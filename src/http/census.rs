//! How many connections a user and an address have, in the whole process.
//!
//! The one thing that cores share beside lanes and counters. A user's connections, once they are many, and those of an
//! address live on every shard; to count them exactly without sharing would take a question to the shard that counts,
//! and a client that waits for its answer, for every connection. A lock that is held for a look into a table, twice in
//! a connection's life, is little beside a handshake. Without limits nobody is counted and nothing is locked; who came
//! before a limit was set is not counted under it.

use crate::metrics::Refused;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// What is too much; 0 is any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Connections of one username.
    pub per_user_max: u32,
    /// Connections of one address.
    pub per_address_max: u32,
}

/// The counts of everybody; clones are handles to the same ones, each with limits of its own.
#[derive(Clone, Debug, Default)]
pub struct Census {
    places: Places,
    counts: Arc<Mutex<HashMap<Who, u32>>>,
}

/// Who is counted. The table's keys are hashed under a secret of the process: nobody can choose some that collide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    User(Arc<str>),
    Address(IpAddr),
}

/// A place that somebody has: given back when this is dropped, wherever that happens.
#[derive(Debug)]
pub struct Permit {
    counts: Arc<Mutex<HashMap<Who, u32>>>,
    user: Option<Who>,
    address: Option<Who>,
}

impl Census {
    /// Nobody is counted yet.
    pub fn new(places: Places) -> Self {
        Self { places, counts: Arc::default() }
    }

    /// Whether anything is limited.
    pub fn is_taken(&self) -> bool {
        self.places != Places::default()
    }

    /// Other limits hold for whoever comes from now on.
    pub fn set_places(&mut self, places: Places) {
        self.places = places;
    }

    /// Takes a place for one more connection, or says which limit it would exceed; then nothing has changed.
    pub fn admit(&self, user: Option<&str>, address: IpAddr) -> Result<Permit, Refused> {
        let user = user.filter(|_| self.places.per_user_max > 0).map(|user| Who::User(user.into()));
        let address = (self.places.per_address_max > 0).then(|| Who::Address(network(address)));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |who: &Option<Who>, limit: u32| {
            who.as_ref().is_none_or(|who| counts.get(who).is_none_or(|&count| count < limit))
        };
        if !has_room(&user, self.places.per_user_max) {
            return Err(Refused::UserFull);
        }
        if !has_room(&address, self.places.per_address_max) {
            return Err(Refused::AddressFull);
        }
        for who in user.iter().chain(&address) {
            *counts.entry(who.clone()).or_default() += 1;
        }
        Ok(Permit { counts: Arc::clone(&self.counts), user, address })
    }

    /// How many users and addresses are counted now.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for who in self.user.take().into_iter().chain(self.address.take()) {
            let Entry::Occupied(mut entry) = counts.entry(who) else { unreachable!("whoever has a place is counted") };
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// What counts as one address: of IPv6 the /64 that one subscriber gets, and has 2^64 addresses in.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn census(per_user_max: u32, per_address_max: u32) -> Census {
        Census::new(Places { per_user_max, per_address_max })
    }

    #[test]
    fn a_user_and_an_address_have_so_many_places_and_get_them_back() {
        let census = census(2, 3);
        let ask = |user, from| census.admit(Some(user), address(from));
        let first = ask("alice", "192.0.2.1").expect("a place");
        let _second = ask("alice", "192.0.2.2").expect("a place");
        assert_eq!(ask("alice", "192.0.2.3").err(), Some(Refused::UserFull));
        let others = ["bob", "carol"].map(|user| ask(user, "192.0.2.1").expect("a place"));
        assert_eq!(ask("dave", "192.0.2.1").err(), Some(Refused::AddressFull));
        drop(first);
        let _third = ask("alice", "192.0.2.1").expect("a place is free in both counts");
        drop(others);
        assert_eq!(census.len(), 3, "alice and her two addresses");
    }

    #[test]
    fn who_is_refused_takes_no_place() {
        let census = census(1, 1);
        let permit = census.admit(Some("alice"), address("192.0.2.1")).expect("a place");
        for _ in 0..3 {
            assert_eq!(census.admit(Some("bob"), address("192.0.2.1")).err(), Some(Refused::AddressFull));
        }
        drop(permit);
        assert_eq!(census.len(), 0);
        census.admit(Some("bob"), address("192.0.2.1")).expect("bob was never counted");
    }

    #[test]
    fn other_limits_hold_for_who_comes_and_leave_who_is_there() {
        let mut census = census(2, 0);
        let ask = |census: &Census| census.admit(Some("alice"), address("192.0.2.1"));
        let _permits = [(); 2].map(|()| ask(&census).expect("a place"));
        census.set_places(Places { per_user_max: 3, per_address_max: 1 });
        let third = ask(&census).expect("the two are not counted by their address");
        assert_eq!(ask(&census).err(), Some(Refused::UserFull));
        drop(third);
        census.set_places(Places { per_user_max: 1, per_address_max: 0 });
        assert_eq!(ask(&census).err(), Some(Refused::UserFull));
    }

    #[test]
    fn a_subscribers_network_is_one_address() {
        for (one, other, are_the_same) in [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let census = census(0, 1);
            let _permit = census.admit(None, address(one)).expect("a place");
            assert_eq!(census.admit(None, address(other)).is_err(), are_the_same, "{one} {other}");
        }
    }

    #[test]
    fn what_is_not_limited_is_not_counted() {
        assert!(!Census::default().is_taken());
        let census = census(1, 0);
        let _permits = [(); 3].map(|()| census.admit(None, address("192.0.2.1")).expect("nobody is counted"));
        assert_eq!(census.len(), 0);
    }

    #[test]
    fn threads_never_get_more_places_together_than_there_are() {
        let census = census(2_000, 0);
        let rush = || (0..1_000).filter_map(|_| census.admit(Some("alice"), address("::1")).ok()).collect::<Vec<_>>();
        let permits: Vec<Vec<Permit>> = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(rush));
            threads.map(|thread| thread.join().expect("it ends")).into()
        });
        assert_eq!(permits.iter().map(Vec::len).sum::<usize>(), 2_000);
    }

    #[test]
    fn many_come_and_go_and_nothing_is_left() {
        let census = census(8, 30);
        let mut permits = Vec::new();
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..20_000 {
            if random.bool() && !permits.is_empty() {
                permits.swap_remove(random.usize(..permits.len()));
            } else {
                let (user, host) = (format!("user-{}", random.u8(..9)), random.u8(..4));
                permits.extend(census.admit(Some(&user), address(&format!("192.0.2.{host}"))));
            }
            let held: HashSet<&Who> =
                permits.iter().flat_map(|permit| [&permit.user, &permit.address]).flatten().collect();
            assert_eq!(census.len(), held.len());
        }
        drop(permits);
        assert_eq!(census.len(), 0);
    }
}
