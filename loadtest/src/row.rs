//! Events numbered in one row, each for one of a few users, and what must have become of each.

use crate::{Client, Event, Publisher, Server};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Between two batches.
const BATCH_PERIOD: Duration = Duration::from_millis(10);

/// For which a row goes on behind what is played: longer than an event is on its way.
const A_MOMENT: Duration = Duration::from_millis(300);

/// Users with one client each. The event with number n is for user n modulo their number.
#[derive(Debug)]
pub struct Row {
    usernames: Vec<String>,
    batch: u64,
    /// Events that were published or are being published.
    begun: AtomicU64,
    is_over: AtomicBool,
}

/// Ends a row with itself, also where what is played fails.
struct Curtain<'a>(&'a Row);

/// What a client was told, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// That it may have missed events.
    Gap,
    /// The event with this number.
    Event(u64),
}

impl Row {
    /// One for so many users, of so many events every 10 ms.
    pub fn of(users: u64, batch: u64) -> Self {
        let usernames = (0..users).map(|user| format!("user-{user}")).collect();
        Self { usernames, batch, begun: AtomicU64::default(), is_over: AtomicBool::default() }
    }

    /// How many events were published or are being published.
    pub fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }

    /// Whether nothing more is to be published.
    pub fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    /// Everybody listens, `publish` goes on beside, and the row is over when `play` is, however that ends: what everybody
    /// heard, in the order of users, and what `play` gave. `note` gets each number as it arrives; `publish` returns once
    /// the row is over, with a connection by which everybody is told so.
    ///
    /// # Panics
    ///
    /// Where `play` or `publish` does, and where somebody hears what nobody published or nothing more.
    pub fn perform<T>(
        &self,
        server: &Server,
        note: impl Fn(u64) + Sync,
        publish: impl FnOnce() -> Publisher + Send,
        play: impl FnOnce() -> T,
    ) -> (Vec<Vec<Heard>>, T) {
        thread::scope(|scope| {
            let curtain = Curtain(self);
            // Everybody is there before anything is published.
            let listen = |client| scope.spawn(|| self.listen(client, &note));
            let listening: Vec<_> = self.connect(server).into_iter().map(listen).collect();
            let publishing = scope.spawn(|| self.end(&mut publish()));
            let played = play();
            thread::sleep(A_MOMENT);
            drop(curtain);
            publishing.join().unwrap();
            (listening.into_iter().map(|client| client.join().unwrap()).collect(), played)
        })
    }

    /// Publishes until the row is over. `certain` gets each batch, numbers with their receivers, once the next is
    /// answered, and the last at the end.
    ///
    /// Redis answers publishers and serves subscribers at the end of each of its turns, and may be killed in between. So
    /// what it has given to a subscriber is certain once it has answered the *next* batch.
    ///
    /// # Errors
    ///
    /// Where the connection breaks: nobody knows then what became of the last two batches.
    pub fn publish(&self, publisher: &mut Publisher, mut certain: impl FnMut(&[(u64, i64)])) -> io::Result<()> {
        let (mut answered, mut due) = (Vec::new(), Instant::now());
        while !self.is_over() {
            let from = self.begun.fetch_add(self.batch, SeqCst);
            for sequence in from..from + self.batch {
                let username = self.username(sequence);
                publisher.send_event(username, Event { username, sequence }.json())?;
            }
            let answer = |number| Ok((number, publisher.receivers()?));
            let batch = (from..from + self.batch).map(answer).collect::<io::Result<_>>()?;
            certain(&std::mem::replace(&mut answered, batch));
            due += BATCH_PERIOD;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        certain(&answered);
        Ok(())
    }

    /// A client for everybody, each with the number of its user; they hear of gaps.
    fn connect(&self, server: &Server) -> Vec<(u64, Client)> {
        let target = |username| format!("/ws?username={username}&meta=1");
        let connect = |username| Client::connect(server.address, &target(username)).unwrap();
        (0..).zip(self.usernames.iter().map(connect)).collect()
    }

    /// Tells everybody that nothing more comes.
    fn end(&self, publisher: &mut Publisher) {
        for username in &self.usernames {
            publisher.publish(username, Event { username, sequence: Event::END }.json()).unwrap();
        }
    }

    /// What one client hears until the end.
    fn listen(&self, (user, mut client): (u64, Client), note: impl Fn(u64)) -> Vec<Heard> {
        let (username, mut heard) = (self.username(user), Vec::new());
        loop {
            let text = client.text().unwrap_or_else(|| panic!("{username} hears nothing more"));
            if text.contains(r#""type":"fanout.gap""#) {
                heard.push(Heard::Gap);
                continue;
            }
            let event = Event::parse(text.as_bytes()).unwrap_or_else(|| panic!("nobody published {text}"));
            assert_eq!(event.username, username, "a stranger's event");
            if event.sequence == Event::END {
                return heard;
            }
            heard.push(Heard::Event(event.sequence));
            note(event.sequence);
        }
    }

    /// Holds what everybody heard, in the order of users, against what was published, the events that must not be
    /// missing, and how often a gap must have been announced. Gives how many were delivered.
    ///
    /// # Panics
    ///
    /// Where an event is missing, came twice, out of order or from nowhere, and where a gap was not announced once.
    pub fn judge(&self, heard: &[Vec<Heard>], owed: impl IntoIterator<Item = u64>, gaps: u64) -> u64 {
        assert_eq!(heard.len(), self.usernames.len(), "one list for each user");
        let numbers: Vec<Vec<u64>> =
            heard.iter().map(|heard| heard.iter().filter_map(Heard::number).collect()).collect();
        for (user, (heard, numbers)) in (0..).zip(heard.iter().zip(&numbers)) {
            assert_eq!((heard.len() - numbers.len()) as u64, gaps, "user {user}: each gap is announced once");
            assert!(numbers.is_sorted_by(|before, after| before < after), "user {user}: in order, and nothing twice");
            let is_published = |&number: &u64| self.user(number) == user && number < self.begun();
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

impl Drop for Curtain<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, SeqCst);
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
    use crate::{Launch, eventually};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn is_fine(heard: &[Vec<Heard>]) -> bool {
        let row = Row::of(2, 1);
        row.begun.store(6, SeqCst);
        // Of six events 2 and 3 were published in an outage.
        catch_unwind(AssertUnwindSafe(|| row.judge(heard, [0, 1, 4, 5], 1))).is_ok()
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
        assert!(!is_fine(&[&fine[..], &[Vec::new()]].concat()), "a list of nobody's");
    }

    #[test]
    fn a_play_that_fails_ends_the_row() {
        let server = Launch::embedded().start().unwrap();
        let row = Row::of(1, 1);
        let publish = || {
            eventually("the row is over", || row.is_over().then_some(()));
            server.publisher().unwrap()
        };
        let performed = || row.perform(&server, |_| (), publish, || panic!("it fails"));
        assert!(catch_unwind(AssertUnwindSafe(performed)).is_err());
        assert!(row.is_over());
    }
}
