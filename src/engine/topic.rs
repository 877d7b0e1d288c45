//! What a message is routed by: the broker channel's full name, hashed once per message.

use bytes::Bytes;
use siphasher::sip::SipHasher13;
use std::hash::{BuildHasher, Hasher, RandomState};

slotmap::new_key_type! {
    /// Where a shard keeps those who follow a topic; another place each time that somebody begins to follow it.
    pub struct TopicKey;
}

/// Hashes topic names under a key of this process, so that nobody outside can choose names that collide.
///
/// Every node of one process holds a copy of the same key: a hash made on one core is valid on all.
#[derive(Clone, Copy)]
pub struct TopicHasher {
    key: (u64, u64),
}

impl TopicHasher {
    /// A hasher with a key nobody can guess: it comes from the system's source of randomness, as the keys of the standard
    /// library's maps do. A generator of jitter is seeded with the time, and who sees its jitter can count back.
    pub fn random() -> Self {
        let word = || RandomState::new().build_hasher().finish();
        Self::with_key((word(), word()))
    }

    /// A hasher whose hashes can be repeated: for simulations and benches.
    pub const fn with_key(key: (u64, u64)) -> Self {
        Self { key }
    }

    /// Hashes `name` once; the topic carries the hash from here on.
    pub fn topic(&self, name: Bytes) -> Topic {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(&name);
        Topic { hash: hasher.finish(), name, prefix_bytes: 0 }
    }

    /// The topic of a channel that begins with a family's prefix, of less than 64 KiB.
    pub fn prefixed(&self, prefix: &str, key: &str) -> Topic {
        let prefix_bytes = u16::try_from(prefix.len()).expect("the configuration limits prefixes");
        Topic { prefix_bytes, ..self.topic(Bytes::from([prefix, key].concat())) }
    }
}

/// A broker channel in full, for example `workflow:events:alice`, with its hash.
///
/// Two topics are equal when their bytes are; nothing is normalised.
#[derive(Clone, Debug)]
pub struct Topic {
    hash: u64,
    name: Bytes,
    /// How much of the name is the family's prefix. Only who follows the topic knows that, not who brings its messages.
    prefix_bytes: u16,
}

impl Topic {
    /// The hash made by [`TopicHasher::topic`].
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The name's bytes, exactly as the broker spells them.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name behind the family's prefix: a username, a channel.
    pub fn key(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.name[usize::from(self.prefix_bytes)..])
    }

    /// The name for log lines.
    pub fn display(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// The same topic on memory of its own: a name cut from a receive buffer would keep all of that buffer alive.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { hash: self.hash, name: Bytes::copy_from_slice(&self.name), prefix_bytes: self.prefix_bytes }
    }
}

impl PartialEq for Topic {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.name == other.name
    }
}

impl Eq for Topic {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_collide_under_one_key_do_not_under_the_next() {
        let [first, second] = [TopicHasher::random(), TopicHasher::random()];
        let place = |hasher: &TopicHasher, name: u32| hasher.topic(Bytes::from(name.to_string())).hash() % 1024;
        let collide = |hasher| (0..100_000).filter(|&name| place(hasher, name) == 7).collect::<Vec<_>>();
        let chosen = collide(&first);
        let still = chosen.iter().filter(|&&name| place(&second, name) == 7).count();
        assert!(chosen.len() > 50 && still < 10, "{still} of {} chosen names still collide", chosen.len());
    }
}
