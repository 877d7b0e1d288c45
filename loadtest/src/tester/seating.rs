//! Which connection listens to which topic, and which thread reads it.

/// Connections `0..clients`, each with one of `topics`, spread over `threads`.
///
/// All connections of a topic are in one thread where there are topics for every thread; then an event is finished
/// where it is counted. One topic's connections are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seating {
    pub(crate) clients: u32,
    pub(crate) topics: u32,
    pub(crate) threads: u32,
}

impl Seating {
    /// The topic of a connection.
    pub(crate) fn topic(self, connection: u32) -> u32 {
        connection % self.topics
    }

    /// The connections that a thread reads.
    pub(crate) fn connections_of(self, thread: u32) -> impl Iterator<Item = u32> {
        (0..self.clients).filter(move |&connection| self.thread(connection) == thread)
    }

    fn thread(self, connection: u32) -> u32 {
        let place = if self.are_topics_whole() { self.topic(connection) } else { connection / self.topics };
        place % self.threads
    }

    fn are_topics_whole(self) -> bool {
        self.topics >= self.threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_connection_has_one_thread_and_topics_are_whole_where_there_are_enough() {
        for (clients, topics, threads) in
            [(1_000, 1, 4), (3, 1, 4), (5_000, 5_000, 3), (15_000, 5_000, 2), (10, 3, 4), (10, 4, 4), (7, 5, 1)]
        {
            let seating = Seating { clients, topics, threads };
            let mut seen = BTreeSet::new();
            let mut heard_in = vec![BTreeSet::new(); topics as usize];
            for thread in 0..threads {
                for connection in seating.connections_of(thread) {
                    assert!(seen.insert(connection), "{seating:?}: {connection} is in two threads");
                    heard_in[seating.topic(connection) as usize].insert(thread);
                }
            }
            assert_eq!(seen.len(), clients as usize, "{seating:?}");
            assert!(topics < threads || heard_in.iter().all(|threads| threads.len() == 1), "{seating:?}");
        }
    }
}
