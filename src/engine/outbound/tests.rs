//! What an outbound queue promises, whatever its socket does.

use super::*;
use crate::engine::frame::held_bytes;
use bytes::Bytes;
use slotmap::SlotMap;

/// Takes so many bytes per call, or refuses at 0; records everything.
struct Trickle {
    room: VecDeque<usize>,
    taken: Vec<u8>,
}

impl Trickle {
    fn new(room: impl Into<VecDeque<usize>>) -> Self {
        Self { room: room.into(), taken: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.pop_front().unwrap_or(usize::MAX).min(bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.taken.extend_from_slice(&bytes[..room]);
        Ok(room)
    }

    /// The end of a turn, and what it sent: frames, bytes, calls.
    fn flush(&mut self, outbound: &mut Outbound, workbench: &mut Workbench) -> (u64, u64, usize) {
        let mut total = (0, 0, 0);
        outbound.retry();
        while outbound.wants_more() {
            let Some(portion) = outbound.prepare(workbench) else { break };
            let bytes = outbound.bytes(&portion, workbench);
            let (offered, taken) = (bytes.len(), self.take(bytes));
            workbench.clear();
            let sent = outbound.sent(offered, taken, workbench).expect("no failure");
            total = (total.0 + sent.frames, total.1 + sent.bytes, total.2 + 1);
        }
        total
    }
}

fn frame(bytes: &[u8]) -> Frame {
    Frame::new(Bytes::copy_from_slice(bytes), Content::Words)
}

/// An event of one of two topics that came in this second.
fn event(topic: usize, second: u64, bytes: &[u8]) -> Frame {
    let mut keys = SlotMap::<TopicKey, ()>::with_key();
    let topic = (0..=topic).map(|_| keys.insert(())).last().expect("one at least");
    Frame::new(Bytes::copy_from_slice(bytes), Content::Events(topic, Tick::at(Duration::from_secs(second))))
}

/// A late queue: `<words>` is partly out, behind it are three events.
fn late_queue(workbench: &mut Workbench, socket: &mut Trickle) -> Outbound {
    let mut outbound = Outbound::default();
    outbound.offer(&frame(b"<words>"), usize::MAX, workbench);
    socket.room.push_back(1);
    socket.flush(&mut outbound, workbench);
    for (number, bytes) in (1..).zip([b"one", b"two", b"six"]) {
        outbound.send_last(event(usize::from(number == 2), number, bytes), workbench);
    }
    outbound
}

/// What a frame of a few bytes holds.
const SHORT: usize = held_bytes(1);

type Drops = fn(&mut Outbound, &Frame, TopicKey, &mut Workbench) -> u64;

#[test]
fn events_give_way_oldest_first_by_topic_or_by_age_and_words_never() {
    let topic = match event(0, 0, b"x").content() {
        Content::Events(topic, _) => topic,
        other => panic!("{other:?}"),
    };
    let new = frame(b"new");
    let table: [(Drops, &[u8], u64); 5] = [
        (|outbound, new, _, bench| outbound.make_room(new, 4 * SHORT, bench), b"<words>twosix", 1),
        (|outbound, new, _, bench| outbound.make_room(new, 1, bench), b"<words>", 3),
        (|outbound, _, topic, bench| outbound.drop_topic(Some(topic), bench), b"<words>two", 2),
        (|outbound, _, _, bench| outbound.drop_topic(None, bench), b"<words>", 3),
        (
            |outbound, _, _, bench| {
                outbound.drop_expired(Tick::at(Duration::from_secs(12)), Duration::from_secs(10), bench)
            },
            b"<words>twosix",
            1,
        ),
    ];
    for (drops, left, dropped) in table {
        let (mut workbench, mut socket) = (Workbench::default(), Trickle::new([]));
        let mut outbound = late_queue(&mut workbench, &mut socket);
        assert_eq!(drops(&mut outbound, &new, topic, &mut workbench), dropped);
        assert_eq!(outbound.unsent_bytes(), left.len() - 1);
        socket.flush(&mut outbound, &mut workbench);
        assert_eq!(socket.taken, left);
    }
}

#[test]
fn a_notice_stands_where_the_hole_is_and_grows_until_it_is_out() {
    let (mut workbench, mut socket) = (Workbench::default(), Trickle::new([]));
    let mut outbound = late_queue(&mut workbench, &mut socket);
    for expected in [1, 2] {
        let room = frame(&[0; 8]);
        assert_eq!(outbound.make_room(&room, 4 * SHORT, &mut workbench), 1);
        assert_eq!(outbound.take_missed(&mut workbench), expected, "what was said and is not out is said again");
        let notice = Frame::new(Bytes::from(format!("<{expected}>")), Content::Gap(expected));
        outbound.send_first(notice, &mut workbench);
    }
    assert_eq!(outbound.unsent_frames(), 2, "notices are not counted");
    socket.flush(&mut outbound, &mut workbench);
    assert_eq!(socket.taken, b"<words><2>six");
    assert_eq!(outbound.take_missed(&mut workbench), 0);
}

#[test]
fn every_byte_goes_out_in_order_however_the_socket_takes_them() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..500 {
        let mut workbench = Workbench::default();
        let mut outbound = Outbound::default();
        let mut socket = Trickle::new([]);
        let mut expected = Vec::new();
        let mut frames = 0;
        for number in 0..random.u64(1..200) {
            let bytes = vec![u8::try_from(number).expect("below 200"); random.usize(1..2_000)];
            expected.extend_from_slice(&bytes);
            if outbound.offer(&frame(&bytes), usize::MAX, &mut workbench) == Offer::Declined {
                assert!(outbound.is_late(), "there is room");
                outbound.intake = Intake::Open;
                outbound.send_last(frame(&bytes), &mut workbench);
            }
            if random.u8(..4) == 0 {
                socket.room.extend((0..random.usize(..3)).map(|_| random.usize(..3_000)));
                frames += socket.flush(&mut outbound, &mut workbench).0;
                socket.room.clear();
            }
        }
        frames += socket.flush(&mut outbound, &mut workbench).0;
        assert_eq!(socket.taken, expected, "round {round}");
        assert_eq!((outbound.unsent_bytes(), outbound.is_late()), (0, false));
        assert!(frames > 0);
    }
}

#[test]
fn a_full_queue_refuses_before_it_grows_but_an_empty_one_takes_any_frame() {
    let mut workbench = Workbench::default();
    let mut outbound = Outbound::default();
    assert_eq!(outbound.offer(&frame(&[0; 100]), 10, &mut workbench), Offer::First);
    assert_eq!(outbound.offer(&frame(&[0; 1]), 10, &mut workbench), Offer::Declined);
    assert_eq!(outbound.unsent_bytes(), 100);
    let mut outbound = Outbound::default();
    for expected in [Offer::First, Offer::Queued, Offer::Declined] {
        assert_eq!(outbound.offer(&frame(&[0; 4]), 2 * SHORT, &mut workbench), expected);
    }
    assert_eq!(
        outbound.offer(&frame(&[0; 1]), 2 * SHORT, &mut workbench),
        Offer::Declined,
        "no hole behind what was refused"
    );
}

#[test]
fn of_a_frame_above_the_limit_what_is_out_leaves_room_for_the_next() {
    let mut workbench = Workbench::default();
    let mut outbound = Outbound::default();
    let limit = SHORT + 400;
    outbound.send_last(frame(&[0; 1_000]), &mut workbench);
    for (sent, has_room) in [(0, false), (599, false), (1, true)] {
        if sent > 0 {
            let portion = outbound.prepare(&mut workbench).expect("it waits");
            let offered = outbound.bytes(&portion, &workbench).len();
            outbound.sent(offered, Ok(sent), &mut workbench).expect("it took some");
        }
        assert_eq!(outbound.has_room(&frame(b"next"), limit), has_room, "{sent}");
    }
    assert_eq!((outbound.unsent_bytes(), outbound.waiting_bytes()), (400, 0));
}

#[test]
fn a_pong_passes_what_waits_but_never_cuts_a_frame_in_two() {
    let mut workbench = Workbench::default();
    let mut outbound = Outbound::default();
    outbound.offer(&frame(b"first"), usize::MAX, &mut workbench);
    outbound.offer(&frame(b"second"), usize::MAX, &mut workbench);
    let mut socket = Trickle::new([2]);
    socket.flush(&mut outbound, &mut workbench);
    assert!(outbound.is_late());
    outbound.send_ping(frame(b"<old>"), &mut workbench);
    outbound.send_pong(frame(b"<pong>"), &mut workbench);
    socket.flush(&mut outbound, &mut workbench);
    assert_eq!(socket.taken, b"first<pong>second");
}

#[test]
fn discarding_keeps_the_frame_that_is_partly_out() {
    let mut workbench = Workbench::default();
    let mut outbound = Outbound::default();
    for bytes in [b"one", b"two", b"six"] {
        outbound.offer(&frame(bytes), usize::MAX, &mut workbench);
    }
    let mut socket = Trickle::new([1]);
    socket.flush(&mut outbound, &mut workbench);
    assert_eq!(outbound.discard(&mut workbench), 2);
    outbound.send_last(frame(b"<close>"), &mut workbench);
    socket.flush(&mut outbound, &mut workbench);
    assert_eq!(socket.taken, b"one<close>");
}

#[test]
fn the_answer_to_the_upgrade_is_never_dropped_and_never_fills_the_queue() {
    let mut workbench = Workbench::default();
    let mut outbound = Outbound::default();
    let preface = Frame::new(Bytes::from_static(b"HTTP/1.1 101\r\n\r\n"), Content::Control);
    outbound.send_preface(preface, &mut workbench);
    assert_eq!(outbound.offer(&frame(b"larger than the limit"), 10, &mut workbench), Offer::Queued);
    assert_eq!(outbound.discard(&mut workbench), 1);
    outbound.send_last(frame(b"<close>"), &mut workbench);
    let mut socket = Trickle::new([]);
    let flushed = socket.flush(&mut outbound, &mut workbench);
    assert_eq!((socket.taken.as_slice(), flushed.0), (b"HTTP/1.1 101\r\n\r\n<close>".as_slice(), 1));
}

#[test]
fn one_turn_costs_one_kernel_call() {
    let mut workbench = Workbench::default();
    for frames in [1, 2, 40, JOINED_BYTES_MAX / 300] {
        let mut outbound = Outbound::default();
        for _ in 0..frames {
            outbound.offer(&frame(&[7; 300]), usize::MAX, &mut workbench);
        }
        let mut socket = Trickle::new([]);
        let flushed = socket.flush(&mut outbound, &mut workbench);
        assert_eq!(flushed, (frames as u64, 300 * frames as u64, 1));
    }
}
