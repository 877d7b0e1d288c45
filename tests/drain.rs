//! A shard that leaves, on a pretend clock.

mod crowd;

use crowd::Crowd;
use fanout::ear::{TICK, Tick};
use fanout::wire::close::Close;
use fanout::wire::frame;
use std::time::Duration;

const CLIENTS: usize = 20;

#[test]
fn a_shard_that_is_held_up_says_goodbye_before_it_gives_anybody_up() {
    let goodbye = frame::close(Some(Close::RESTART.code.number()), Close::RESTART.reason);
    for window in [Duration::ZERO, TICK, Duration::from_secs(5)] {
        for held_up in [TICK, 2 * TICK, Duration::from_secs(60)] {
            let mut crowd = Crowd::new(CLIENTS, CLIENTS);
            crowd.shard.drain(window);
            let before = crowd.taken.bytes.get();
            let late = Tick::default().after(window).after(held_up);
            crowd.shard.tick(late);
            crowd.end_turn();
            let taken = crowd.taken.bytes.get() - before;
            assert_eq!(taken, CLIENTS * goodbye.len(), "{window:?}, {held_up:?} late");
            crowd.shard.tick(late.after(TICK));
            assert!(crowd.shard.is_empty(), "{window:?}, {held_up:?} late: nobody is waited for any longer");
        }
    }
}
