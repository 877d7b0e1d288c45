//! Events numbered in one row, each for one of a few users, and what must have become of each.

use crate::{Client, Event, Publisher, Server};
use std::io;

/// The number that nothing comes behind.
const END: u64 = u64::MAX;

/// Users with one client each. The event with number n is for user n modulo their number.
#[derive(Debug)]
pub struct Row {
    usernames: Vec<String>,
}

/// What a client was told, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// That it may have missed events.
    Gap,
    /// The event with this number.
    Event(u64),
}

impl Row {
    /// One for so many users.
    pub fn of(users: u64) -> Self {
        Self { usernames: (0..users).map(|user| format!("user-{user}")).collect() }
    }

    /// A client for everybody, each with the number of its user; they hear of gaps.
    pub fn connect(&self, server: &Server) -> Vec<(u64, Client)> {
        let target = |username| format!("/ws?username={username}&meta=1");
        let connect = |username| Client::connect(server.address, &target(username)).unwrap();
        (0..).zip(self.usernames.iter().map(connect)).collect()
    }

    /// Sends events without waiting; each needs one [`Publisher::receivers`] later.
    pub fn send(&self, publisher: &mut Publisher, numbers: impl IntoIterator<Item = u64>) -> io::Result<()> {
        for sequence in numbers {
            let username = self.username(sequence);
            publisher.send_event(username, Event { username, sequence }.json())?;
        }
        Ok(())
    }

    /// Tells everybody that nothing more comes.
    pub fn end(&self, publisher: &mut Publisher) {
        for username in &self.usernames {
            publisher.publish(username, Event { username, sequence: END }.json()).unwrap();
        }
    }

    /// What one client hears until the end; `note` gets each number as it arrives.
    pub fn listen(&self, (user, mut client): (u64, Client), mut note: impl FnMut(u64)) -> Vec<Heard> {
        let (username, mut heard) = (self.username(user), Vec::new());
        loop {
            let text = client.text().unwrap_or_else(|| panic!("{username} hears nothing more"));
            if text.contains(r#""type":"fanout.gap""#) {
                heard.push(Heard::Gap);
                continue;
            }
            let event = Event::parse(text.as_bytes()).unwrap_or_else(|| panic!("nobody published {text}"));
            assert_eq!(event.username, username, "a stranger's event");
            if event.sequence == END {
                return heard;
            }
            heard.push(Heard::Event(event.sequence));
            note(event.sequence);
        }
    }

    /// Holds what everybody heard, in the order of users, against the number of events that were published, those of
    /// them that must not be missing, and how often a gap must have been announced. Gives how many were delivered.
    ///
    /// # Panics
    ///
    /// Where an event is missing, came twice, out of order or from nowhere, and where a gap was not announced once.
    pub fn judge(&self, heard: &[Vec<Heard>], published: u64, owed: impl IntoIterator<Item = u64>, gaps: u64) -> u64 {
        let numbers: Vec<Vec<u64>> =
            heard.iter().map(|heard| heard.iter().filter_map(Heard::number).collect()).collect();
        for (user, (heard, numbers)) in (0..).zip(heard.iter().zip(&numbers)) {
            assert_eq!((heard.len() - numbers.len()) as u64, gaps, "user {user}: each gap is announced once");
            assert!(numbers.is_sorted_by(|before, after| before < after), "user {user}: in order, and nothing twice");
            let is_published = |&number: &u64| self.user(number) == user && number < published;
            assert!(numbers.iter().all(is_published), "user {user}: nothing is invented");
        }
        let is_missing = |number: &u64| numbers[self.user(*number)].binary_search(number).is_err();
        let missing: Vec<u64> = owed.into_iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "these are missing: {missing:?}");
        numbers.iter().map(|numbers| numbers.len() as u64).sum()
    }

    fn user(&self, number: u64) -> usize {
        usize::try_from(number % self.usernames.len() as u64).expect("a remainder of a length")
    }

    fn username(&self, number: u64) -> &str {
        &self.usernames[self.user(number)]
    }
}

impl Heard {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Event(number) => Some(*number),
            Self::Gap => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic;

    fn is_fine(heard: &[Vec<Heard>]) -> bool {
        // Of six events for two users 2 and 3 were published in an outage.
        panic::catch_unwind(|| Row::of(2).judge(heard, 6, [0, 1, 4, 5], 1)).is_ok()
    }

    #[test]
    fn whatever_is_missing_doubled_out_of_order_or_invented_is_found() {
        use Heard::{Event, Gap};
        let fine = [vec![Event(0), Gap, Event(4)], vec![Event(1), Event(3), Gap, Event(5)]];
        assert!(is_fine(&fine));
        let faults: [(&str, &[Heard]); 7] = [
            ("missing", &[Event(0), Gap]),
            ("doubled", &[Event(0), Event(0), Gap, Event(4)]),
            ("out of order", &[Event(4), Gap, Event(0)]),
            ("a stranger's", &[Event(0), Event(3), Gap, Event(4)]),
            ("never published", &[Event(0), Gap, Event(4), Event(6)]),
            ("a gap too few", &[Event(0), Event(4)]),
            ("a gap too many", &[Event(0), Gap, Gap, Event(4)]),
        ];
        for (fault, heard) in faults {
            assert!(!is_fine(&[heard.to_vec(), fine[1].clone()]), "{fault}");
        }
    }
}
