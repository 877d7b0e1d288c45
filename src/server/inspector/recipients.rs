//! Those on one shard who get the events of a target that is looked at, and what becomes of the events for each.

use super::{Connection, Shard, age};
use crate::ear::{Tick, wall_clock_us};
use crate::engine::connection::ConnectionId;
use crate::engine::message::Message;
use crate::engine::subscriptions::Followers;
use crate::inspection::{Event, Seat, Target, Trace, What};
use crate::wire::close::CloseCode;
use std::collections::HashMap;
use std::mem;

/// Connections of one target that are looked at: of a crowd the first ones tell enough.
const SEATS_MAX: usize = 32;

/// Those who get a target's events, as they stood after the last turn.
#[derive(Default)]
pub(super) struct Recipients {
    seats: HashMap<Seat, Standing>,
    /// What this turn has brought, and for whom.
    fresh: Vec<(Event, Seat)>,
}

#[derive(Clone, Copy, Default)]
struct Standing {
    unsent_frames: u32,
    missed: u32,
}

/// Everybody on this shard who gets a target's events.
pub(super) fn audience<'a>(target: &'a Target, shard: &'a Shard) -> impl Iterator<Item = ConnectionId> + 'a {
    let (topic, seat) = match target {
        Target::Topic(topic) => (Some(topic), None),
        Target::Seat(seat) => (None, sitting(*seat, shard).map(|_| seat.id)),
    };
    topic.into_iter().flat_map(|topic| shard.subscriptions().members(topic)).chain(seat)
}

/// The connection with this seat; other shards have others of the same id.
fn sitting(seat: Seat, shard: &Shard) -> Option<&Connection> {
    shard.connection(seat.id).filter(|_| seat.shard == shard.node())
}

impl Trace<Recipients> {
    /// A message is about to be delivered: to whom is known now, and whether it is there at the end of the turn.
    pub(super) fn delivered(&mut self, message: &Message, shard: &Shard) {
        let follows = |connection| shard.topics_of(connection).any(|topic| *topic == message.topic);
        let is_meant = match &self.target {
            Target::Topic(topic) => *topic == message.topic,
            Target::Seat(seat) => sitting(*seat, shard).is_some_and(follows),
        };
        if !is_meant || !self.samples(message.received_us) {
            return;
        }
        let (event, at_us) = (Event::of(message), wall_clock_us());
        let followers = shard.subscriptions().find(&message.topic).map(|place| shard.subscriptions().followers(place));
        self.note(at_us, What::Matched(event.clone(), followers.map_or(0, Followers::following)));
        let Some(followers) = followers else { return };
        let mut lost = None;
        for (seat, connection) in self.seats(shard) {
            match (connection.protocol.encoding().seal)(followers.topic(), message) {
                Ok(sealed) if sealed.except.is_some() && sealed.except == connection.protocol.origin() => {
                    self.note(at_us, What::Own(event.clone(), seat));
                }
                Ok(_) => self.aside.fresh.push((event.clone(), seat)),
                Err(reason) => lost = Some(reason),
            }
        }
        if let Some(reason) = lost {
            self.note(at_us, What::Unsealed(event, reason));
        }
    }

    /// Notes what a turn has changed; `parted` are those who have ended in it.
    pub(super) fn look(&mut self, shard: &Shard, parted: &[(ConnectionId, CloseCode)], now: Tick) {
        let at_us = wall_clock_us();
        let mut before = mem::take(&mut self.aside.seats);
        let fresh = mem::take(&mut self.aside.fresh);
        for (seat, connection) in self.seats(shard) {
            let known = before.remove(&seat).unwrap_or_else(|| {
                let address = connection.socket.arrival().address;
                self.note(at_us, What::Here(seat, address, age(connection, now)));
                Standing::default()
            });
            let outbound = &connection.outbound;
            let standing = Standing { unsent_frames: outbound.unsent_frames(), missed: outbound.missed() };
            if standing.missed > known.missed {
                self.note(at_us, What::Missed(seat, standing.missed - known.missed));
            }
            let fate = |event| match standing.unsent_frames {
                0 => What::Written(event, seat),
                frames => What::Waits(event, seat, frames, outbound.unsent_bytes()),
            };
            for (event, _) in fresh.iter().filter(|(_, recipient)| *recipient == seat) {
                self.note(at_us, fate(event.clone()));
            }
            if known.unsent_frames > 0 && standing.unsent_frames == 0 {
                self.note(at_us, What::CaughtUp(seat));
            }
            self.aside.seats.insert(seat, standing);
        }
        for seat in before.into_keys() {
            let code = parted.iter().find(|(gone, _)| *gone == seat.id).map(|&(_, code)| code);
            self.note(at_us, code.map_or(What::Left(seat), |code| What::Closed(seat, code)));
        }
    }

    /// Those of the audience that are looked at.
    fn seats<'a>(&self, shard: &'a Shard) -> Vec<(Seat, &'a Connection)> {
        let seat = |id| Some((Seat { shard: shard.node(), id }, shard.connection(id)?));
        audience(&self.target, shard).take(SEATS_MAX).filter_map(seat).collect()
    }
}
