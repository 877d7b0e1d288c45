//! Who listens to which name: all the routing the floor has.

use std::collections::HashMap;
use std::net::TcpStream;
use std::ops::Range;

/// The sockets of every name, side by side in one list.
pub(super) struct Topics {
    numbers: HashMap<Vec<u8>, u32>,
    places: Vec<Range<usize>>,
    sockets: Vec<TcpStream>,
}

impl Topics {
    /// Clients and the names they listen to.
    pub(super) fn new(mut clients: Vec<(Vec<u8>, TcpStream)>) -> Self {
        clients.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (mut numbers, mut places) = (HashMap::new(), Vec::<Range<usize>>::new());
        let mut sockets = Vec::with_capacity(clients.len());
        for (name, socket) in clients {
            let number = *numbers.entry(name).or_insert_with(|| {
                places.push(sockets.len()..sockets.len());
                u32::try_from(places.len() - 1).expect("fewer names than descriptors")
            });
            places[number as usize].end += 1;
            sockets.push(socket);
        }
        Self { numbers, places, sockets }
    }

    /// The number of a name; `None` where nobody listens.
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Who listens to it.
    pub(super) fn sockets(&self, number: u32) -> &[TcpStream] {
        &self.sockets[self.places[number as usize].clone()]
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}
