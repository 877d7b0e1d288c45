//! A publisher that outlasts its broker: it connects again, and says what nobody knows about what was on its way.

use super::{Answers, Publisher};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Between two attempts to come back: soon enough for outages of a second.
const RETRY_AFTER: Duration = Duration::from_millis(50);

type Connect = Box<dyn Fn() -> Result<Box<dyn Publisher>, String> + Send>;

/// One connection after another.
pub(super) struct Enduring {
    connect: Connect,
    /// The current one, or the one that broke.
    current: Box<dyn Publisher>,
    /// When to try again, while there is none.
    retry_at: Option<Instant>,
    /// Of connections that broke.
    earlier: Answers,
}

impl Enduring {
    /// Connects for the first time.
    ///
    /// # Errors
    /// One sentence, where that is not possible.
    pub(super) fn connect(connect: Connect) -> Result<Self, String> {
        Ok(Self { current: connect()?, connect, retry_at: None, earlier: Answers::default() })
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
        debug_assert!(self.retry_at.is_none(), "who is away takes nothing");
        self.current.publish(name, event);
    }

    fn turn(&mut self) -> io::Result<()> {
        if self.retry_at.is_none() && self.current.turn().is_err() {
            self.note_broken();
        }
        Ok(())
    }

    fn unanswered(&self) -> usize {
        if self.retry_at.is_some() { 0 } else { self.current.unanswered() }
    }

    fn unsent_bytes(&self) -> usize {
        if self.retry_at.is_some() { 0 } else { self.current.unsent_bytes() }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.current.descriptor()
    }

    fn is_away(&mut self) -> bool {
        let Some(at) = self.retry_at else { return false };
        let now = Instant::now();
        if now < at {
            return true;
        }
        let connection = (self.connect)().ok();
        self.retry_at = connection.is_none().then(|| now + RETRY_AFTER);
        if let Some(connection) = connection {
            self.current = connection;
        }
        self.retry_at.is_some()
    }

    fn answers(&self) -> Answers {
        let mut answers = self.earlier;
        if self.retry_at.is_none() {
            answers.add(self.current.answers());
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;
    use crate::tester::publish::redis::Redis;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn a_broker_that_goes_away_and_comes_back_is_published_to_again_and_what_was_on_its_way_is_unknown() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = move || Redis::connect(address).map(|it| Box::new(it) as _).map_err(|error| error.to_string());
        let mut publisher = Enduring::connect(Box::new(connect)).unwrap();
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
        eventually("it is back", || (!publisher.is_away()).then_some(()));
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
