//! What a message costs in memory: one frame, however many clients get it; and what an idle client costs.

mod crowd;
mod heap;

use crowd::Crowd;

/// Users with three open tabs each, as 10 000 connections have.
const CONNECTIONS: usize = 10_000;
const USERS: usize = 3_334;

/// Memory of a shard per idle connection: the socket's own memory in the kernel is many times as much.
const IDLE_BYTES_PER_CONNECTION_MAX: usize = 400;

/// Turns until every list has grown to what it needs, and turns that are counted.
const WARM_UP_TURNS: usize = 4;
const TURNS: usize = 8;

/// Asserts that delivering costs one allocation per message, the frame, or two for the bundle of a turn's messages, and
/// one kernel call per client and turn, all of them from the same memory.
fn check(connections: usize, messages_per_turn: usize, payload_bytes: usize) {
    let context = format!("{connections} connections, {messages_per_turn} messages of {payload_bytes} bytes per turn");
    let mut crowd = Crowd::new(connections, 1);
    let messages = crowd.events(0, messages_per_turn, payload_bytes);
    let frame_bytes: usize = messages.iter().map(|message| message.text_frame().len()).sum();
    for _ in 0..WARM_UP_TURNS {
        crowd.turn(&messages);
    }
    let (before, calls, bytes) = (heap::now(), crowd.taken.calls.get(), crowd.taken.bytes.get());
    crowd.taken.moves.set(0);
    for _ in 0..TURNS {
        crowd.turn(&messages);
    }
    let after = heap::now();
    let calls = crowd.taken.calls.get() - calls;
    assert_eq!(after.allocations - before.allocations, TURNS * messages_per_turn.min(2), "allocations: {context}");
    assert_eq!(after.held_bytes, before.held_bytes, "held bytes: {context}");
    assert_eq!(calls, TURNS * connections, "kernel calls: {context}");
    assert_eq!(crowd.taken.bytes.get() - bytes, TURNS * connections * frame_bytes, "bytes: {context}");
    assert_eq!(crowd.taken.moves.get(), 0, "every client gets the same memory: {context}");
    if messages_per_turn == 1 {
        let received_at = messages[0].text_frame().as_ptr().addr();
        assert_eq!(crowd.taken.place.get(), received_at, "it is the memory that was received into: {context}");
    }
}

#[test]
fn a_message_costs_one_allocation_however_many_clients_get_it() {
    for connections in [1, 100, 10_000] {
        for payload_bytes in [200, 4_000] {
            check(connections, 1, payload_bytes);
        }
    }
}

#[test]
fn sixteen_messages_of_a_turn_cost_two_allocations_and_one_call_per_client() {
    for connections in [1, 100, 10_000] {
        for payload_bytes in [200, 4_000] {
            check(connections, 16, payload_bytes);
        }
    }
}

#[test]
fn a_message_for_nobody_here_costs_nothing() {
    let mut crowd = Crowd::new(100, 100);
    let messages = crowd.events(100, 16, 200);
    let (before, calls) = (heap::now(), crowd.taken.calls.get());
    crowd.turn(&messages);
    assert_eq!(heap::now().allocations, before.allocations);
    assert_eq!(crowd.taken.calls.get(), calls);
}

#[test]
fn an_idle_connection_costs_a_few_hundred_bytes() {
    let before = heap::now();
    let mut crowd = Crowd::new(CONNECTIONS, USERS);
    let idle = bytes_per_connection(before);
    for user in 0..USERS {
        let messages = crowd.events(user, 2, 200);
        crowd.turn(&messages);
    }
    let after_an_event = bytes_per_connection(before);
    println!("idle: {idle} bytes per connection, {after_an_event} once each has had two events");
    for bytes in [idle, after_an_event] {
        assert!(bytes <= IDLE_BYTES_PER_CONNECTION_MAX, "{bytes} bytes per connection");
    }
}

fn bytes_per_connection(before: heap::Heap) -> usize {
    let held = heap::now().held_bytes - before.held_bytes;
    usize::try_from(held).expect("a crowd holds memory").div_ceil(CONNECTIONS)
}
