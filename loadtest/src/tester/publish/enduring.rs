//! A publisher that outlasts its broker: it connects again, and says what nobody knows about what was on its way.

use super::redis::Redis;
use super::{Answers, Publisher};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Between two attempts to come back, and the longest that one may take: soon enough for outages of a second, and no
/// longer than the schedule of the other connections can wait.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// One connection after another.
pub(super) struct Enduring {
    /// The current one, or the one that broke.
    current: Redis,
    /// When to try again, while there is none.
    retry_at: Option<Instant>,
    /// Of connections that broke.
    earlier: Answers,
}

impl From<Redis> for Enduring {
    fn from(current: Redis) -> Self {
        Self { current, retry_at: None, earlier: Answers::default() }
    }
}

impl Enduring {
    /// Connects again, where it is time to.
    fn come_back(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            match self.current.connect_again(RETRY_AFTER) {
                Ok(connection) => (self.current, self.retry_at) = (connection, None),
                Err(_) => self.retry_at = Some(Instant::now() + RETRY_AFTER),
            }
        }
    }

    fn note_broken(&mut self) {
        let unknown = self.current.unanswered() as u64;
        self.earlier.add(self.current.answers());
        self.earlier.unknown += unknown;
        self.earlier.outages += 1;
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
    }
}

impl Publisher for Enduring {
    fn publish(&mut self, name: &str, event: &[u8]) {
        debug_assert!(!self.is_away(), "who is away takes nothing");
        self.current.publish(name, event);
    }

    fn turn(&mut self) -> io::Result<()> {
        self.come_back();
        if !self.is_away() && self.current.turn().is_err() {
            self.note_broken();
        }
        Ok(())
    }

    fn unanswered(&self) -> usize {
        if self.is_away() { 0 } else { self.current.unanswered() }
    }

    fn unsent_bytes(&self) -> usize {
        if self.is_away() { 0 } else { self.current.unsent_bytes() }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.current.descriptor()
    }

    fn is_away(&self) -> bool {
        self.retry_at.is_some()
    }

    fn answers(&self) -> Answers {
        let mut answers = self.earlier;
        if !self.is_away() {
            answers.add(self.current.answers());
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PATIENCE, eventually};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn a_broker_that_goes_away_and_comes_back_is_published_to_again_and_what_was_on_its_way_is_unknown() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut publisher = Enduring::from(Redis::connect(address, PATIENCE).unwrap());
        let mut broker = listener.accept().unwrap().0;
        (0..3).for_each(|_| publisher.publish("a", b"event"));
        publisher.turn().unwrap();
        broker.read_exact(&mut [0; 35]).unwrap();
        broker.write_all(b":1\r\n:0\r\n").unwrap();
        eventually("two answers", || {
            publisher.turn().unwrap();
            (publisher.unanswered() == 1).then_some(())
        });
        drop((broker, listener));
        eventually("it is away", || {
            publisher.turn().unwrap();
            publisher.is_away().then_some(())
        });
        assert_eq!(publisher.unanswered(), 0);
        let listener = eventually("the port is free again", || TcpListener::bind(address).ok());
        eventually("it is back", || {
            publisher.turn().unwrap();
            (!publisher.is_away()).then_some(())
        });
        let mut broker = listener.accept().unwrap().0;
        publisher.publish("a", b"event");
        publisher.turn().unwrap();
        broker.read_exact(&mut [0; 35]).unwrap();
        broker.write_all(b":2\r\n").unwrap();
        let expected = Answers { heard: 2, unheard: 1, unknown: 1, outages: 1 };
        eventually("its answer", || {
            publisher.turn().unwrap();
            (publisher.answers() == expected).then_some(())
        });
    }
}
