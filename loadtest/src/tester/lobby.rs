//! The clients of one thread that are not in: those whose turn comes, and those whose upgrade is not answered.

use super::handshake::Handshake;
use super::seat::Seat;
use std::collections::BTreeMap;

/// Handshakes of one thread in flight: enough to keep every shard busy, below any server's backlog.
const IN_FLIGHT_MAX: usize = 64;

/// Where clients come on a schedule or all at once, the server gets them so: only files and memory are a bound.
const IN_FLIGHT_ON_SCHEDULE_MAX: usize = 8_192;

/// Not in yet.
#[derive(Debug)]
pub(crate) struct Lobby {
    /// In the order in which they are due.
    waiting: BTreeMap<(u64, u32), Seat>,
    handshakes: Vec<Option<(Handshake, Seat)>>,
    free: Vec<usize>,
}

impl Lobby {
    /// With these clients waiting.
    pub(crate) fn new(seats: impl Iterator<Item = Seat>) -> Self {
        let mut lobby = Self { waiting: BTreeMap::new(), handshakes: Vec::new(), free: Vec::new() };
        seats.for_each(|seat| lobby.expect(seat));
        let has_schedule = lobby.waiting.values().any(|seat| seat.due > 0);
        lobby.admit_at_once(if has_schedule { IN_FLIGHT_ON_SCHEDULE_MAX } else { IN_FLIGHT_MAX });
        lobby
    }

    /// From now on clients come as they are due, however many there are in flight.
    pub(crate) fn open_wide(&mut self) {
        self.admit_at_once(IN_FLIGHT_ON_SCHEDULE_MAX);
    }

    fn admit_at_once(&mut self, in_flight_max: usize) {
        let more = self.handshakes.len()..in_flight_max;
        self.free.extend(more.rev());
        self.handshakes.resize_with(in_flight_max.max(self.handshakes.len()), || None);
    }

    /// One more client waits.
    pub(crate) fn expect(&mut self, seat: Seat) {
        self.waiting.insert((seat.due, seat.connection), seat);
    }

    /// When the next one may begin; `None` while nobody waits or too many are in flight.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        (!self.free.is_empty()).then_some(*due)
    }

    /// The next one, if it is due and may begin.
    pub(crate) fn call(&mut self, now: u64) -> Option<Seat> {
        self.next_due().filter(|&due| due <= now)?;
        self.waiting.pop_first().map(|(_, seat)| seat)
    }

    /// Keeps a handshake and gives its number. After [`Lobby::call`] there is room.
    pub(crate) fn keep(&mut self, handshake: Handshake, seat: Seat) -> usize {
        let number = self.free.pop().expect("called where there is room");
        self.handshakes[number] = Some((handshake, seat));
        number
    }

    /// The handshake of this number, if it goes on.
    pub(crate) fn handshake(&mut self, number: usize) -> Option<&mut Handshake> {
        self.handshakes[number].as_mut().map(|(handshake, _)| handshake)
    }

    /// Takes out a handshake that came to its end.
    pub(crate) fn release(&mut self, number: usize) -> Option<(Handshake, Seat)> {
        let released = self.handshakes[number].take()?;
        self.free.push(number);
        Some(released)
    }

    /// Sends everybody away: how many they were.
    pub(crate) fn clear(&mut self) -> usize {
        let begun: Vec<usize> =
            (0..self.handshakes.len()).filter(|&number| self.handshakes[number].is_some()).collect();
        let waiting = std::mem::take(&mut self.waiting).len();
        begun.into_iter().filter_map(|number| self.release(number)).count() + waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(connection: u32, due: u64) -> Seat {
        Seat { connection, due, ..Seat::alone() }
    }

    #[test]
    fn clients_are_called_when_they_are_due_and_in_that_order() {
        let mut lobby = Lobby::new([seat(0, 30), seat(1, 10), seat(2, 20)].into_iter());
        assert_eq!(lobby.next_due(), Some(10));
        let mut called = |now| lobby.call(now).map(|seat| seat.connection);
        assert_eq!(
            [called(9), called(25), called(25), called(25), called(30)],
            [None, Some(1), Some(2), None, Some(0)]
        );
        assert_eq!((lobby.next_due(), lobby.clear()), (None, 0));
    }

    #[test]
    fn who_waits_is_sent_away_and_counted() {
        let mut lobby = Lobby::new([seat(0, 0), seat(1, 0)].into_iter());
        assert!(lobby.call(1).is_some());
        assert_eq!((lobby.clear(), lobby.next_due()), (1, None));
    }
}
