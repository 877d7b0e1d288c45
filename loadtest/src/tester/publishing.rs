//! The publishing thread: events as the schedule or the window has them, over several connections.

use super::board::{Board, histogram};
use super::clock::{SECOND, nanoseconds};
use super::dialect;
use super::pace::Pace;
use super::plan::{Load, Plan, Publish};
use super::publish::{self, Answers, Publisher};
use super::stamp::Stamp;
use super::template::{Template, topic_name};
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::gettid;
use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Bytes that may wait in one connection before nothing more is queued: what one call takes at its best.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// The longest sleep: answers are read so often at least, and the end of the run is seen.
const SLEEP_MAX: u64 = SECOND / 50;

/// When events are published, in nanoseconds on the run's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The first is due here.
    pub(crate) from: u64,
    /// The first that is measured. None is due after the board's `until`.
    pub(crate) measured_from: u64,
}

/// What was published.
pub(crate) struct Published {
    /// Events of each topic, warm-up included.
    pub(crate) of_topic: Vec<u64>,
    /// Measured events that were due, and that there was a broker for.
    pub(crate) due: u64,
    /// Measured events that were due while the broker was away.
    pub(crate) unpublished: u64,
    /// How late events of the schedule were queued, in nanoseconds.
    pub(crate) lateness: Histogram<u64>,
    /// Whether a connection did not take what was due.
    pub(crate) was_blocked: bool,
    /// No event of the window was finished for as long as patience lasts.
    pub(crate) was_stalled: bool,
    /// Why publishing ended early.
    pub(crate) error: Option<String>,
    /// Kept open until the clients' figures are taken.
    connections: Vec<Box<dyn Publisher>>,
}

impl Published {
    /// What the broker said about all of them.
    pub(crate) fn answers(&self) -> Answers {
        let mut answers = Answers::default();
        self.connections.iter().for_each(|connection| answers.add(connection.answers()));
        answers
    }
}

/// Where events of one topic go.
struct Channel {
    /// `--publish-to` with the topic filled in.
    name: String,
    /// What stands before and behind each event.
    around: [String; 2],
}

/// The thread's own.
pub(crate) struct Publishing<'a> {
    board: &'a Board,
    plan: &'a Plan,
    span: Span,
    run: u16,
    connections: Vec<Box<dyn Publisher>>,
    /// By topic.
    channels: Vec<Channel>,
    /// Topics that somebody listens to.
    heard: Vec<u32>,
    random: fastrand::Rng,
    /// Next place of the window to try.
    place: u16,
    event: Vec<u8>,
    published: Published,
}

impl<'a> Publishing<'a> {
    /// Connects the publishers.
    ///
    /// # Errors
    /// One sentence, where that is not possible.
    pub(crate) fn connect(plan: &'a Plan, board: &'a Board, run: u16) -> Result<Self, String> {
        let name: Template = publish::name(&plan.publish)?;
        let of_topic = vec![0; plan.users as usize];
        Ok(Self {
            board,
            plan,
            span: Span { from: 0, measured_from: 0 },
            run,
            connections: if plan.is_silent() { Vec::new() } else { publish::connect(plan)? },
            channels: (0..plan.users).map(|topic| channel(plan, &name, &topic_name(run, topic))).collect(),
            heard: (0..plan.users).filter(|&topic| board.listeners_of[topic as usize].load(SeqCst) > 0).collect(),
            random: fastrand::Rng::with_seed(u64::from(run)),
            place: 0,
            event: Vec::with_capacity(plan.size.0),
            published: Published {
                of_topic,
                due: 0,
                unpublished: 0,
                lateness: histogram(),
                was_blocked: false,
                was_stalled: false,
                error: None,
                connections: Vec::new(),
            },
        })
    }

    /// Publishes for this span and waits for the answers.
    pub(crate) fn run(mut self, span: Span) -> Published {
        self.span = span;
        self.board.publishing_thread.store(gettid().as_raw_nonzero().get(), SeqCst);
        // Sleeps end within microseconds of their time instead of 50; where that is refused, lateness shows it.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let outcome = self.wait_until(span.from).and_then(|()| match self.plan.load {
            Load::Rate(rate) => self.follow(Pace::new(span.from, rate)),
            Load::Window(_) => self.fill_the_window(),
            Load::Silence => self.wait_until(u64::MAX),
        });
        self.published.error = outcome.and_then(|()| self.finish()).err().map(|error| error.to_string());
        self.published.connections = self.connections;
        self.published
    }

    /// The first event is not a moment too early: it would not be measured.
    fn wait_until(&self, moment: u64) -> io::Result<()> {
        while self.board.clock.now() < moment.min(self.until()) && !self.board.is_silent.load(SeqCst) {
            self.sleep(moment)?;
        }
        Ok(())
    }

    /// Nothing is due from then on.
    fn until(&self) -> u64 {
        self.board.until.load(SeqCst)
    }

    fn follow(&mut self, pace: Pace) -> io::Result<()> {
        let mut number = 0;
        let mut is_blocked = false;
        while !self.board.is_silent.load(SeqCst) {
            let now = self.board.clock.now();
            if now >= self.until() {
                break;
            }
            is_blocked = false;
            while !is_blocked && pace.due(number) <= now {
                is_blocked = !self.publish_due(pace.due(number), now)?;
                number += u64::from(!is_blocked);
            }
            self.turn()?;
            let next = if is_blocked { now + SLEEP_MAX } else { pace.due(number) };
            self.sleep(next.min(self.until()))?;
        }
        let ended = self.board.clock.now().min(self.until());
        let due = pace.count_before(ended) - pace.count_before(self.span.measured_from.min(ended));
        self.published.due = due.saturating_sub(self.published.unpublished);
        self.published.was_blocked = is_blocked;
        Ok(())
    }

    /// Publishes one event of the schedule; false where its connection takes no more.
    fn publish_due(&mut self, due: u64, now: u64) -> io::Result<bool> {
        let topic = self.choose();
        let connection = topic as usize % self.connections.len();
        let connection = &mut self.connections[connection];
        if connection.unsent_bytes() > UNSENT_BYTES_MAX {
            connection.turn()?;
            if connection.unsent_bytes() > UNSENT_BYTES_MAX {
                return Ok(false);
            }
        }
        if connection.is_away() {
            self.published.unpublished += u64::from(due >= self.span.measured_from);
            return Ok(true);
        }
        self.queue(topic, due, 0);
        if due >= self.span.measured_from {
            self.published.lateness.saturating_record(now - due);
        }
        Ok(true)
    }

    fn fill_the_window(&mut self) -> io::Result<()> {
        let patience = nanoseconds(Duration::from_secs_f64(self.plan.patience));
        let window = &self.board.window;
        let mut begun = 0;
        let mut last_progress = (window.finished(), self.board.clock.now());
        while !self.board.is_silent.load(SeqCst) {
            let now = self.board.clock.now();
            let finished = window.finished();
            if finished > last_progress.0 {
                last_progress = (finished, now);
            }
            self.published.was_stalled = now > last_progress.1 + patience;
            if now >= self.until() || self.published.was_stalled {
                break;
            }
            for _ in begun - finished..u64::from(window.len()) {
                begun += 1;
                self.queue_in_window(now);
            }
            self.turn()?;
            window.fall_asleep();
            if window.finished() == finished {
                self.sleep((now + SLEEP_MAX).min(self.until()))?;
            }
            window.wake_up();
        }
        self.published.due = self.board.published.load(SeqCst);
        Ok(())
    }

    fn queue_in_window(&mut self, now: u64) {
        let topic = self.choose();
        let threads = self.board.threads_of[topic as usize].load(SeqCst);
        let place = self.board.window.take(self.place, threads).expect("a finished event left its place");
        self.place = (place + 1) % self.board.window.len();
        self.queue(topic, now, place);
    }

    /// A random topic among those that are listened to.
    fn choose(&mut self) -> u32 {
        if self.heard.len() == 1 { self.heard[0] } else { self.heard[self.random.usize(..self.heard.len())] }
    }

    fn queue(&mut self, topic: u32, due: u64, place: u16) {
        let sequence = &mut self.published.of_topic[topic as usize];
        let stamp = Stamp { run: self.run, topic, sequence: *sequence, place, due };
        *sequence += 1;
        let Channel { name, around: [head, tail] } = &self.channels[topic as usize];
        self.event.clear();
        self.event.extend_from_slice(head.as_bytes());
        stamp.write(self.plan.bytes_of(stamp.sequence), &mut self.event);
        self.event.extend_from_slice(tail.as_bytes());
        let connection = topic as usize % self.connections.len();
        self.connections[connection].publish(name, &self.event);
        if due >= self.span.measured_from {
            self.board.published.fetch_add(1, SeqCst);
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let has_work = |it: &&mut Box<dyn Publisher>| it.unanswered() > 0 || it.is_away();
        self.connections.iter_mut().filter(has_work).try_for_each(|it| it.turn())
    }

    /// Waits until a moment, until the window's doorbell rings or until a connection takes more.
    ///
    /// Answers are not waited for: they would wake this thread once for each event while the receivers have work.
    fn sleep(&self, until: u64) -> io::Result<()> {
        let now = self.board.clock.now();
        if until <= now {
            return Ok(());
        }
        let blocked = self.connections.iter().filter(|connection| connection.unsent_bytes() > 0);
        let mut files: Vec<PollFd<'_>> = blocked
            .map(|connection| PollFd::from_borrowed_fd(connection.descriptor(), connection.interest()))
            .collect();
        files.push(PollFd::from_borrowed_fd(self.board.window.doorbell(), PollFlags::IN));
        wait(&mut files, until.min(now + SLEEP_MAX) - now)
    }

    /// Sends what is queued and waits for the answers, as long as patience lasts.
    fn finish(&mut self) -> io::Result<()> {
        let deadline = self.board.clock.now() + nanoseconds(Duration::from_secs_f64(self.plan.patience));
        while !self.board.is_silent.load(SeqCst) && self.board.clock.now() < deadline {
            self.turn()?;
            let unanswered = self.connections.iter().filter(|connection| connection.unanswered() > 0);
            let mut files: Vec<PollFd<'_>> = unanswered
                .map(|connection| PollFd::from_borrowed_fd(connection.descriptor(), connection.interest()))
                .collect();
            if files.is_empty() {
                return Ok(());
            }
            wait(&mut files, SLEEP_MAX)?;
        }
        let unsent: usize = self.connections.iter().map(|connection| connection.unsent_bytes()).sum();
        self.published.was_blocked |= unsent > 0;
        Ok(())
    }
}

/// Events are wrapped for Redis only: what comes in another way, the server wraps itself where it has to.
fn channel(plan: &Plan, name: &Template, topic: &str) -> Channel {
    let dialect = dialect::find(&plan.protocol).filter(|_| matches!(plan.publish, Publish::Redis { .. }));
    Channel { name: name.fill(topic), around: dialect.map(|dialect| dialect.around(topic)).unwrap_or_default() }
}

fn wait(files: &mut [PollFd<'_>], pause: u64) -> io::Result<()> {
    let pause = Timespec::try_from(Duration::from_nanos(pause)).map_err(io::Error::other)?;
    match poll(files, Some(&pause)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::arguments::{Arguments, Command};
    use crate::tester::clock::Clock;
    use clap::Parser;
    use std::fs::File;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::time::Instant;

    /// Its broker is away until it takes a turn.
    struct Away {
        descriptor: File,
        is_away: bool,
    }

    impl Publisher for Away {
        fn publish(&mut self, _: &str, _: &[u8]) {}

        fn turn(&mut self) -> io::Result<()> {
            self.is_away = false;
            Ok(())
        }

        fn unanswered(&self) -> usize {
            0
        }

        fn unsent_bytes(&self) -> usize {
            0
        }

        fn descriptor(&self) -> BorrowedFd<'_> {
            self.descriptor.as_fd()
        }

        fn is_away(&self) -> bool {
            self.is_away
        }
    }

    #[test]
    fn of_events_without_a_broker_the_measured_ones_count_and_a_turn_brings_it_back() {
        let Command::Load(load) =
            Arguments::parse_from(["fanout-loadtest", "idle", "--clients", "1", "--users", "1"]).command
        else {
            panic!("idle is a load")
        };
        let (scenario, run) = load.parts();
        let plan = run.plan(scenario).unwrap();
        let board = Board::new(Clock::since(Instant::now()), 1, 1, 0).unwrap();
        board.listeners_of[0].store(1, SeqCst);
        let mut publishing = Publishing::connect(&plan, &board, 0).unwrap();
        publishing.connections.push(Box::new(Away { descriptor: File::open("/dev/null").unwrap(), is_away: true }));
        publishing.span = Span { from: 0, measured_from: 10 };
        for due in [9, 10, 11] {
            assert!(publishing.publish_due(due, due).unwrap());
        }
        assert_eq!((publishing.published.unpublished, board.published.load(SeqCst)), (2, 0));
        publishing.turn().unwrap();
        assert!(publishing.publish_due(12, 12).unwrap());
        assert_eq!((publishing.published.unpublished, board.published.load(SeqCst)), (2, 1));
    }
}
