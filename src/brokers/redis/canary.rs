//! The canary: a stamp that this instance publishes each second on a channel of its own and must hear again.
//!
//! ```text
//!   Publisher ── PUBLISH fanout:canary:<instance> <stamp> ──► Redis ──► Subscriber ──► heard
//!        ▲                                                                 │
//!        └─ at once when both are there, then each second                  └─ readiness, metrics, the log
//! ```
//!
//! An open connection proves nothing: a stopped Redis keeps its sockets, a proxy may have sent the two connections to
//! two servers, a subscription may be gone while pings are answered. A stamp that comes back proves all of the way.
//! It never reaches the router.
//!
//! Redis' ACL may forbid the channel. Then nothing is proven, the log says what to allow, and readiness rests on the
//! confirmed subscription alone, as if there were no canary: a deployment that works is not taken out of service.

use crate::brokers::outbox::Outbox;
use crate::brokers::seldom::Seldom;
use crate::metrics::{BrokerStatus, CANARY_AGE_MAX, Expectation, microseconds};
use crate::wire::resp::command;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What the names of all instances' canary channels begin with. `&fanout:canary:*` allows them in an ACL.
const CHANNEL_PREFIX: &[u8] = b"fanout:canary:";

/// How often a stamp is published.
const PERIOD: Duration = Duration::from_secs(1);

/// What Redis has answered and what has not come back so much later is not under way any more.
const UNHEARD_MAX: Duration = Duration::from_secs(1);

/// How often a forbidden channel is mentioned in the log, however often the connection is made again.
const MENTION_PERIOD: Duration = Duration::from_secs(3_600);

/// Microseconds since the canary was made: which stamp it is, and when it was published.
type Stamp = u64;

/// One instance's canary. Both connections know it.
pub(super) struct Canary {
    /// Nobody can guess it, so that nobody else sings there.
    channel: String,
    status: Arc<BrokerStatus>,
    start: Instant,
    subscription: Cell<Subscription>,
    may_publish: Cell<bool>,
    /// Published, not heard and not given up, oldest first: as many as fit into [`CANARY_AGE_MAX`].
    in_flight: RefCell<VecDeque<Stamp>>,
    /// When Redis first answered a stamp of which nothing has been heard.
    unheard_since: Cell<Option<Instant>>,
    /// Since when the log says that it is missing.
    missing_since: Cell<Option<Instant>>,
    denials: Seldom,
}

/// What the subscribing connection knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscription {
    /// There is no connection.
    None,
    /// `SUBSCRIBE` is not answered.
    Asked,
    /// It is confirmed, and when something was heard last: at first this moment.
    InPlace(Instant),
    /// Redis' ACL forbids it.
    Denied,
}

/// What the subscribing connection has heard about it. Ranges count from the start of the chunk that ends with it.
pub(super) enum News {
    /// Its channel is in place.
    Confirmed,
    /// Its channel is forbidden, in these words.
    Denied(Range<usize>),
    /// This stamp has come back.
    Heard(Range<usize>),
}

impl Canary {
    /// One that nobody has heard.
    pub(super) fn new(status: Arc<BrokerStatus>) -> Self {
        let prefix = str::from_utf8(CHANNEL_PREFIX).expect("a constant in ASCII");
        let canary = Self {
            channel: format!("{prefix}{}", Uuid::new_v4()),
            status,
            start: Instant::now(),
            subscription: Cell::new(Subscription::None),
            may_publish: Cell::new(true),
            in_flight: RefCell::default(),
            unheard_since: Cell::default(),
            missing_since: Cell::default(),
            denials: Seldom::every(MENTION_PERIOD),
        };
        canary.tell();
        canary
    }

    /// Whether this is a canary's channel, of any instance: patterns that cover it bring theirs too.
    pub(super) fn is_any(channel: &[u8]) -> bool {
        channel.starts_with(CHANNEL_PREFIX)
    }

    /// Whether this is the channel of this canary.
    pub(super) fn is_own(&self, channel: &[u8]) -> bool {
        channel == self.channel.as_bytes()
    }

    /// A subscribing connection is there: the first that is asked of it.
    pub(super) fn open(&self, outbox: &Outbox) {
        outbox.offer(|out| command::encode(out, &[b"SUBSCRIBE", self.channel.as_bytes()]));
        self.subscription.set(Subscription::Asked);
        self.tell();
    }

    /// The subscribing connection is lost, and what it proved with it.
    pub(super) fn close(&self) {
        self.subscription.set(Subscription::None);
        self.unheard_since.set(None);
        self.status.canary.forget();
    }

    /// Whether an error that the subscribing connection hears now may be the answer to [`Canary::open`].
    pub(super) fn is_asked(&self) -> bool {
        self.subscription.get() == Subscription::Asked
    }

    /// Takes news from the subscribing connection; `chunk` ends with them.
    pub(super) fn take(&self, news: News, chunk: &[u8], now: Instant) {
        match news {
            News::Confirmed => self.subscription.set(Subscription::InPlace(now)),
            News::Denied(words) => {
                self.subscription.set(Subscription::Denied);
                self.note_denied(&chunk[words], now);
            }
            News::Heard(stamp) => self.heard(&chunk[stamp], now),
        }
    }

    /// Writes the command that publishes a stamp, if it can come back; gives the stamp.
    pub(super) fn publish(&self, outbox: &Outbox, now: Instant) -> Option<Stamp> {
        if !matches!(self.subscription.get(), Subscription::InPlace(_)) || !self.may_publish.get() {
            return None;
        }
        let stamp = self.stamp(now);
        self.in_flight.borrow_mut().push_back(stamp);
        self.status.canary.sent.add(1);
        let text = stamp.to_string();
        outbox.offer(|out| command::encode(out, &[b"PUBLISH", self.channel.as_bytes(), text.as_bytes()]));
        Some(stamp)
    }

    /// Redis has taken a stamp: it is not forbidden to publish it, or not any more.
    pub(super) fn note_answered(&self, stamp: Stamp, now: Instant) {
        self.tell();
        let is_unheard = self.in_flight.borrow().contains(&stamp);
        if is_unheard && self.unheard_since.get().is_none() {
            self.unheard_since.set(Some(now));
        }
    }

    /// Redis' ACL forbids to publish it.
    pub(super) fn note_unpublishable(&self, words: &[u8], now: Instant) {
        self.may_publish.set(false);
        self.note_denied(words, now);
    }

    /// A new publishing connection is there: what was forbidden may be allowed by now. Until its first answer says so
    /// nothing else is expected than before, or readiness would be gone for a moment wherever it is still forbidden.
    pub(super) fn note_publisher(&self) {
        self.may_publish.set(true);
    }

    /// Whether Redis takes the stamps and they do not come back: the subscription is lost, or is at another server.
    pub(super) fn is_missed(&self, now: Instant) -> bool {
        let (Some(unheard_since), Subscription::InPlace(heard)) = (self.unheard_since.get(), self.subscription.get())
        else {
            return false;
        };
        now.duration_since(unheard_since) >= UNHEARD_MAX && now.duration_since(heard) >= CANARY_AGE_MAX
    }

    /// Gives up what has been under way for too long, and says once when nothing is heard any more. Gives how long it
    /// may be until the next look: [`PERIOD`], or less if it is missing before that.
    pub(super) fn look(&self, now: Instant) -> Duration {
        let oldest = self.stamp(now).saturating_sub(microseconds(CANARY_AGE_MAX));
        self.give_up(|stamp| stamp < oldest);
        let Subscription::InPlace(heard) = self.subscription.get() else { return PERIOD };
        let is_expected = self.status.canary.expectation() == Expectation::Expected;
        if !is_expected || self.missing_since.get().is_some() {
            return PERIOD;
        }
        let rest = (heard + CANARY_AGE_MAX).saturating_duration_since(now);
        if rest > Duration::ZERO {
            return rest.min(PERIOD);
        }
        self.missing_since.set(Some(heard));
        let is_answered = self.unheard_since.get().is_some();
        tracing::warn!(is_answered, "the canary is missing: what is published does not come back, not ready");
        PERIOD
    }

    fn heard(&self, text: &[u8], now: Instant) {
        let stamp = str::from_utf8(text).ok().and_then(|text| text.parse::<Stamp>().ok());
        let Some(stamp) = stamp.filter(|&stamp| stamp <= self.stamp(now)) else { return };
        self.give_up(|earlier| earlier < stamp);
        self.in_flight.borrow_mut().retain(|&later| later != stamp);
        self.unheard_since.set(None);
        self.subscription.set(Subscription::InPlace(now));
        self.status.canary.note_heard(now, Duration::from_micros(self.stamp(now) - stamp));
        if let Some(missing_since) = self.missing_since.take() {
            let missing_s = now.duration_since(missing_since).as_secs();
            tracing::info!(missing_s, "the canary is back: what is published arrives");
        }
    }

    /// Counts as lost whatever `is_lost`, from the oldest on.
    fn give_up(&self, is_lost: impl Fn(Stamp) -> bool) {
        let mut in_flight = self.in_flight.borrow_mut();
        while in_flight.front().is_some_and(|&stamp| is_lost(stamp)) {
            in_flight.pop_front();
            self.status.canary.lost.add(1);
        }
    }

    fn note_denied(&self, words: &[u8], now: Instant) {
        self.tell();
        if let Some(unmentioned) = self.denials.pass(now) {
            let reply = words.escape_ascii();
            tracing::warn!(
                %reply,
                unmentioned,
                "Redis forbids the canary, so nothing proves that events arrive and readiness rests on the confirmed \
                 subscription alone: allow the user `&fanout:canary:* +subscribe +publish`, from the next connection \
                 on it is used"
            );
        }
    }

    /// Says whether it is to be heard.
    fn tell(&self) {
        let is_denied = self.subscription.get() == Subscription::Denied || !self.may_publish.get();
        self.status.canary.expect(if is_denied { Expectation::Denied } else { Expectation::Expected });
    }

    fn stamp(&self, now: Instant) -> Stamp {
        microseconds(now.duration_since(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Answered, Closes, Confirmed, Heard, Opens, PublishDenied, Published, PublisherIsBack, SubscribeDenied};

    /// What may happen to a canary; what Redis says is about the stamp that was published last.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Opens,
        Closes,
        Confirmed,
        SubscribeDenied,
        PublisherIsBack,
        Published,
        PublishDenied,
        Answered,
        Heard,
    }

    /// A canary to which this happened, a millisecond between two steps, and when the last one was.
    fn after(steps: &[Step]) -> (Canary, Instant) {
        let canary = Canary::new(Arc::new(BrokerStatus::new("test")));
        let outbox = Outbox::new(64 * 1024);
        let (mut now, mut stamp) = (canary.start, None);
        let words = b"-NOPERM";
        for step in steps {
            now += Duration::from_millis(1);
            let published = || stamp.expect("a stamp was published");
            match step {
                Opens => canary.open(&outbox),
                Closes => canary.close(),
                Confirmed => canary.take(News::Confirmed, &[], now),
                SubscribeDenied => canary.take(News::Denied(0..words.len()), words, now),
                PublisherIsBack => canary.note_publisher(),
                Published => stamp = canary.publish(&outbox, now),
                PublishDenied => canary.note_unpublishable(words, now),
                Answered => canary.note_answered(published(), now),
                Heard => {
                    let text = published().to_string();
                    canary.take(News::Heard(0..text.len()), text.as_bytes(), now);
                }
            }
        }
        (canary, now)
    }

    #[test]
    fn what_is_expected_and_missed_follows_from_what_redis_has_said() {
        use Expectation::{Denied, Expected};
        for (steps, expectation, is_missed) in [
            (&[][..], Expected, false),
            (&[Opens, Confirmed, Published], Expected, false),
            (&[Opens, Confirmed, Published, Answered], Expected, true),
            (&[Opens, Confirmed, Published, Answered, Heard], Expected, false),
            (&[Opens, Confirmed, Published, Heard, Answered], Expected, false),
            (&[Opens, Confirmed, Published, Heard, Published, Answered], Expected, true),
            (&[Opens, Confirmed, Published, Answered, Closes], Expected, false),
            (&[Opens, Confirmed, Published, PublishDenied], Denied, false),
            (&[Opens, Confirmed, Published, PublishDenied, PublisherIsBack], Denied, false),
            (&[Opens, Confirmed, Published, PublishDenied, PublisherIsBack, Published, PublishDenied], Denied, false),
            (&[Opens, Confirmed, Published, PublishDenied, PublisherIsBack, Published, Answered], Expected, true),
            (&[Opens, SubscribeDenied], Denied, false),
            (&[Opens, SubscribeDenied, PublisherIsBack], Denied, false),
            (&[Opens, SubscribeDenied, Closes, Opens], Expected, false),
        ] {
            let (canary, now) = after(steps);
            assert_eq!(canary.status.canary.expectation(), expectation, "{steps:?}");
            assert_eq!(canary.is_missed(now + CANARY_AGE_MAX), is_missed, "{steps:?}");
            assert!(!canary.is_missed(now + UNHEARD_MAX), "{steps:?}: it may be on its way");
        }
    }
}
