//! What a flux client says amiss: each has one answer, and nobody else notices.

use loadtest::{ClientFrame, FluxClient, Launch, Opcode, RawSocket, Received, Server, Told, eventually};
use serde_json::json;
use std::iter;
use std::thread;
use std::time::Duration;
use tungstenite::Message;

/// Channels that one connection may follow.
const CHANNELS_MAX: usize = 128;
/// The default of `--max-client-frame`.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Everybody on one shard, so that one client's trouble could become another's.
fn server() -> Server {
    Launch::embedded().option("--shards", "1").option("--client-messages-per-second", "0").start().unwrap()
}

fn connect(server: &Server) -> FluxClient {
    FluxClient::connect(server.address).unwrap()
}

fn following(server: &Server, channel: &str) -> FluxClient {
    connect(server).following(channel)
}

fn code(told: Option<Told>) -> String {
    match told {
        Some(Told::Error { code, .. }) => code,
        other => format!("{other:?}"),
    }
}

/// Every text gets this answer; the connection and a bystander on its shard go on.
fn check<T: AsRef<str>>(expected: &str, texts: impl IntoIterator<Item = T>) {
    let server = server();
    let (mut client, mut bystander) = (connect(&server), following(&server, "room"));
    for text in texts {
        let (text, shown) = (text.as_ref(), text.as_ref().get(..200).unwrap_or(text.as_ref()));
        assert_eq!(code(client.ask(text)), expected, "{shown}");
        assert_eq!(client.ping(), Some(Told::Pong), "after {shown}");
        client.broadcast("room", "1").unwrap();
        assert_eq!(bystander.told(), Some(Told::message("room", "1")), "after {shown}");
    }
    assert_eq!(server.count("/total/connections"), 2, "nobody was disconnected");
}

/// `text` in so many arrays.
fn nested(text: &str, depth: usize) -> String {
    format!("{}{text}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn what_is_not_json_is_answered_as_invalid_json() {
    let table = [
        "",
        " ",
        "hello",
        "{",
        "}",
        "{}x",
        r#"{"type":"ping"} {"type":"ping"}"#,
        r#"{"type":"ping"}]"#,
        r#"{"type":"ping",}"#,
        r#"{"type":"ping" "channel":"a"}"#,
        r"{'type':'ping'}",
        "{type:\"ping\"}",
        r#"{"type":ping}"#,
        r#"{"type":"ping"#,
        "{\"type\":\"ping\",\"x\":\"\n\"}",
        r#"{"type":"ping","x":"\x"}"#,
        r#"{"type":"ping","x":"\u12"}"#,
        r#"{"type":"ping","x":01}"#,
        r#"{"type":"ping","x":1.}"#,
        r#"{"type":"ping","x":+1}"#,
        r#"{"type":"ping","x":NaN}"#,
        r#"{"type":"ping","x":Infinity}"#,
        r#"{"type":"ping"}//"#,
        r#"/**/{"type":"ping"}"#,
        "\u{feff}{\"type\":\"ping\"}",
        "\u{a0}{\"type\":\"ping\"}",
        "{\"type\":\"ping\"}\0",
        r#"{"type":"broadcast","channel":"room","payload":}"#,
        r#"{"type":"broadcast","channel":"room","payload":{"a":1}"#,
        r#"{"type":"broadcast","channel":"room","payload":[1,]}"#,
        r#"{"type":"broadcast","channel":"room","payload":nul}"#,
        r#"{"type":"broadcast","channel":"room","payload":"\q"}"#,
    ];
    check("invalid_json", table);
}

#[test]
fn json_that_is_not_an_object_is_answered_as_invalid_json() {
    check("invalid_json", ["[]", r#"[{"type":"ping"}]"#, r#""ping""#, "1", "null", "true", "1e400", "[[[]]]"]);
}

#[test]
fn a_name_twice_at_the_top_is_answered_as_invalid_json() {
    let table = [
        r#"{"type":"ping","type":"ping"}"#,
        r#"{"type":"ping","t\u0079pe":"ping"}"#,
        r#"{"type":"broadcast","channel":"room","channel":"other","payload":1}"#,
        r#"{"type":"broadcast","channel":"room","payload":1,"payload":1}"#,
        r#"{"type":"broadcast","channel":"room","payload":1,"p\u0061yload":2}"#,
        r#"{"type":"subscribe","channel":"a","channel":"a"}"#,
    ];
    check("invalid_json", table);
}

#[test]
fn a_broadcast_without_a_payload_is_answered_as_invalid_json() {
    let table = [r#"{"type":"broadcast","channel":"room"}"#, r#"{"type":"broadcast","channel":"room","Payload":1}"#];
    check("invalid_json", table);
}

#[test]
fn what_is_nested_deeper_than_128_is_answered_as_invalid_json() {
    let broadcast = |payload: String| format!(r#"{{"type":"broadcast","channel":"room","payload":{payload}}}"#);
    let objects = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    let table = [
        broadcast(nested("1", 128)),
        broadcast(nested("", 129)),
        broadcast(nested("1", 32_000)),
        broadcast(objects),
        broadcast("[".repeat(60_000)),
        format!(r#"{{"type":"ping","x":{}}}"#, nested("1", 30_000)),
        nested("", 32_000),
        "[".repeat(FRAME_BYTES_MAX),
        r#"{"a":"#.repeat(FRAME_BYTES_MAX / 5),
    ];
    check("invalid_json", table);
}

#[test]
fn nesting_up_to_127_is_a_payload_like_any_other() {
    let server = server();
    let (mut client, mut listener) = (connect(&server), following(&server, "room"));
    // The message itself is the first level.
    for depth in [1, 100, 126] {
        let payload = nested("1", depth);
        client.broadcast("room", &payload).unwrap();
        assert_eq!(listener.told(), Some(Told::message("room", &payload)), "{depth} deep");
    }
}

#[test]
fn a_type_that_is_missing_or_not_known_is_answered_as_unknown_type() {
    let kinds = [json!("publish"), json!("Ping"), json!("ping "), json!(""), json!("connected"), json!("message")];
    let others = [json!(1), json!(null), json!(true), json!(["ping"]), json!({"type": "ping"})];
    let said = kinds.into_iter().chain(others).map(|kind| json!({"type": kind, "channel": "room"}).to_string());
    let missing = ["{}", r#"{"Type":"ping"}"#, r#"{"channel":"room","payload":{"type":"ping"}}"#].map(str::to_owned);
    check("unknown_type", said.chain(missing));
}

#[test]
fn a_channel_that_is_missing_or_not_a_name_is_answered_as_invalid_channel() {
    let letters = ["", "\0", "a\nb", "\u{1f}", "\u{7f}", "a\u{85}b", "\u{9f}"].map(|name| json!(name));
    let lengths = ["x".repeat(256), "é".repeat(128), "x".repeat(50_000)].map(|name| json!(name));
    let others = [json!(1), json!(null), json!(false), json!(["room"]), json!({"name": "room"})];
    let channels: Vec<_> = letters.into_iter().chain(lengths).chain(others).collect();
    let mut texts: Vec<String> = Vec::new();
    for kind in ["subscribe", "unsubscribe", "broadcast"] {
        texts.push(json!({"type": kind, "payload": 1}).to_string());
        texts.push(json!({"type": kind, "payload": 1, "Channel": "room"}).to_string());
        texts
            .extend(channels.iter().map(|channel| json!({"type": kind, "channel": channel, "payload": 1}).to_string()));
        // The same letters behind escapes; serde_json writes some of them as they are.
        texts.push(format!(r#"{{"type":"{kind}","channel":"a\u0085b","payload":1}}"#));
        texts.push(format!(r#"{{"type":"{kind}","channel":"\u007f","payload":1}}"#));
    }
    check("invalid_channel", texts);
}

#[test]
fn half_a_surrogate_in_a_channel_is_refused() {
    let server = server();
    let mut client = connect(&server);
    for escape in [r"\ud800", r"\udc00", r"a\ud800b", r"\ud800\ud800"] {
        let told = code(client.ask(format!(r#"{{"type":"subscribe","channel":"{escape}"}}"#)));
        assert_eq!(told, "invalid_channel", "{escape}");
        assert_eq!(client.ping(), Some(Told::Pong));
    }
}

#[test]
fn fields_that_nobody_asked_for_are_ignored() {
    let server = server();
    let mut client = connect(&server);
    let table = [
        (r#"{"type":"ping","channel":7,"payload":[],"x":{"type":"y"},"x":1,"":null}"#, Told::Pong),
        (r#"{"id":1,"channel":"room","type":"subscribe","payload":{}}"#, Told::Subscribed("room".into())),
        (r#"{"type":"unsubscribe","channel":"room","payload":1e400}"#, Told::Unsubscribed("room".into())),
    ];
    for (text, expected) in table {
        assert_eq!(client.ask(text), Some(expected), "{text}");
    }
    let mut listener = following(&server, "room");
    client.say(r#"{"type":"broadcast","from":"me","v":7,"channel":"room","payload":1,"timestamp":0}"#).unwrap();
    assert_eq!(listener.told(), Some(Told::message("room", "1")));
}

#[test]
fn binary_messages_are_answered_as_invalid_json_even_where_they_hold_json() {
    let server = server();
    let mut client = connect(&server);
    for bytes in [&b""[..], b"\xff\xfe", br#"{"type":"ping"}"#, &vec![0; 60_000]] {
        client.client().send(Message::binary(bytes.to_vec())).unwrap();
        assert_eq!(client.told(), Some(Told::error("invalid_json")), "{} bytes", bytes.len());
        assert_eq!(client.ping(), Some(Told::Pong));
    }
}

#[test]
fn the_channel_after_the_last_is_refused_until_there_is_room_again() {
    let server = server();
    let mut client = connect(&server);
    let channel = |number: usize| format!("channel {number}");
    for number in 0..CHANNELS_MAX {
        assert_eq!(client.subscribe(&channel(number)), Some(Told::Subscribed(channel(number))));
    }
    let refused = Some(Told::error_about("one more", "too_many_channels"));
    assert_eq!(client.subscribe("one more"), refused);
    assert_eq!(
        client.subscribe(&channel(7)),
        Some(Told::Subscribed(channel(7))),
        "one that it follows is no further one"
    );
    assert_eq!(client.subscribe("one more"), refused);
    assert_eq!(client.unsubscribe(&channel(7)), Some(Told::Unsubscribed(channel(7))));
    assert_eq!(client.subscribe("one more"), Some(Told::Subscribed("one more".into())));
    assert_eq!(client.subscribe(&channel(7)), Some(Told::error_about(&channel(7), "too_many_channels")));
    let mut another = following(&server, "one more");
    another.broadcast("one more", "1").unwrap();
    assert_eq!(client.told(), Some(Told::message("one more", "1")));
}

#[test]
fn the_number_of_channels_is_a_setting() {
    let server = Launch::embedded().option("--max-channels", "2").start().unwrap();
    let mut client = connect(&server);
    for (channel, expected) in [
        ("a", Told::Subscribed("a".into())),
        ("b", Told::Subscribed("b".into())),
        ("c", Told::error_about("c", "too_many_channels")),
    ] {
        assert_eq!(client.subscribe(channel), Some(expected));
    }
}

#[test]
fn what_was_never_followed_cannot_be_left() {
    let server = server();
    let (mut client, mut other) = (connect(&server), following(&server, "room"));
    assert_eq!(client.unsubscribe("room"), Some(Told::error_about("room", "not_subscribed")));
    assert_eq!(client.ping(), Some(Told::Pong));
    client.broadcast("room", "1").unwrap();
    assert_eq!(other.told(), Some(Told::message("room", "1")), "another's subscription is its own");
}

#[test]
fn a_broadcast_above_the_longest_event_is_refused() {
    let launch = Launch::embedded().option("--max-event", "1KiB").option("--shards", "1");
    let server = launch.start().unwrap();
    let (mut client, mut listener) = (connect(&server), following(&server, "room"));
    let payload = |length: usize| format!(r#""{}""#, "x".repeat(length));
    for (length, fits) in [(500, true), (1_024, false), (60_000, false), (501, true)] {
        client.broadcast("room", &payload(length)).unwrap();
        if fits {
            assert_eq!(listener.told(), Some(Told::message("room", &payload(length))), "{length}");
        } else {
            assert_eq!(client.told(), Some(Told::error_about("room", "payload_too_large")), "{length}");
        }
        assert_eq!(client.ping(), Some(Told::Pong));
    }
}

#[test]
fn a_message_of_64_kib_is_read_and_one_byte_more_ends_the_connection_with_1009() {
    let server = server();
    let mut bystander = following(&server, "room");
    let head = r#"{"type":"broadcast","channel":"room","payload":""#;
    let text = |length: usize| format!("{head}{}\"}}", "x".repeat(length - head.len() - 2));
    let mut client = connect(&server);
    client.say(text(FRAME_BYTES_MAX)).unwrap();
    let longest = format!("\"{}\"", "x".repeat(FRAME_BYTES_MAX - head.len() - 2));
    assert!(bystander.told() == Some(Told::message("room", &longest)));

    let too_long = text(FRAME_BYTES_MAX + 1);
    let whole = ClientFrame::new(Opcode::TEXT, &too_long).bytes();
    let (front, back) = too_long.split_at(40_000);
    let parts = [
        ClientFrame::new(Opcode::TEXT, front).unfinished().bytes(),
        ClientFrame::new(Opcode::CONTINUATION, back).bytes(),
    ];
    for (number, bytes) in [whole, parts.concat()].into_iter().enumerate() {
        let mut socket = RawSocket::upgraded(server.address, "/flux/ws").unwrap();
        socket.send(&bytes).unwrap();
        assert_eq!(socket.close_code(), Some(1009), "way {number}");
        server.wait_until("/total/closed/1009", number as u64 + 1);
    }
    client.broadcast("room", "1").unwrap();
    assert_eq!(bystander.told(), Some(Told::message("room", "1")));
}

/// How many of a burst of pings were answered, how many refused, and the close code, if it came to that.
fn send_burst(server: &Server, pings: usize) -> (usize, usize, Option<u16>) {
    let mut socket = RawSocket::upgraded(server.address, "/flux/ws").unwrap();
    let ping = ClientFrame::new(Opcode::TEXT, r#"{"type":"ping"}"#).bytes();
    socket.send(&ping.repeat(pings)).unwrap();
    let (mut answered, mut refused) = (0, 0);
    socket.frame().unwrap();
    while answered + refused < pings {
        let (opcode, payload) = socket.frame().unwrap();
        if opcode == Opcode::CLOSE {
            return (answered, refused, payload.first_chunk().map(|&code| u16::from_be_bytes(code)));
        }
        match Told::read(&String::from_utf8(payload).unwrap()) {
            Told::Pong => answered += 1,
            told => {
                assert_eq!(told, Told::error("rate_limited"));
                refused += 1;
            }
        }
    }
    (answered, refused, None)
}

#[test]
fn who_talks_too_fast_is_refused_first_and_closed_with_1008_then() {
    /// Two seconds' worth.
    const BURST: usize = 20;
    let server = Launch::embedded().option("--client-messages-per-second", "10").option("--shards", "1").start();
    let server = server.unwrap();
    let mut bystander = following(&server, "room");
    assert_eq!(send_burst(&server, BURST), (BURST, 0, None));
    let (answered, refused, code) = send_burst(&server, BURST + BURST / 2);
    assert!(answered >= BURST && refused > 0 && code.is_none(), "{answered} {refused} {code:?}");
    let (answered, refused, code) = send_burst(&server, 20 * BURST);
    assert!((BURST..4 * BURST).contains(&answered), "{answered} answered of {}", 20 * BURST);
    assert!((BURST..4 * BURST).contains(&refused), "{refused} refused of {}", 20 * BURST);
    assert_eq!(code, Some(1008));
    server.wait_until("/total/closed/1008", 1);
    assert_eq!(bystander.ping(), Some(Told::Pong));
}

#[test]
fn who_was_refused_for_its_haste_is_served_again_after_a_while() {
    const PER_SECOND: u32 = 5;
    let server = Launch::embedded().option("--client-messages-per-second", &PER_SECOND.to_string()).start().unwrap();
    let mut client = connect(&server);
    let told: Vec<_> = (0..3 * PER_SECOND).map_while(|_| client.ping()).collect();
    assert!(told.contains(&Told::error("rate_limited")), "{told:?}");
    eventually("it is served again", || {
        // Half as fast as is allowed, so that each wait leaves it with more than it had.
        thread::sleep(Duration::from_secs(2) / PER_SECOND);
        (client.ping() == Some(Told::Pong)).then_some(())
    });
}

/// A good message with a few letters changed, left out or said twice.
fn damaged(random: &mut fastrand::Rng, message: &str) -> String {
    const LETTERS: &[char] =
        &['{', '}', '[', ']', '"', '\\', ':', ',', ' ', '0', 'e', '-', '\0', 'é', '\u{85}', '\u{ffff}'];
    let mut letters: Vec<char> = message.chars().collect();
    for _ in 0..random.usize(1..4) {
        let place = random.usize(..letters.len());
        match random.u8(..4) {
            0 => letters[place] = LETTERS[random.usize(..LETTERS.len())],
            1 => letters.insert(place, LETTERS[random.usize(..LETTERS.len())]),
            2 => drop(letters.remove(place)),
            _ => letters.extend_from_within(place..),
        }
    }
    letters.into_iter().collect()
}

#[test]
fn damaged_messages_have_one_answer_at_most_and_harm_nobody() {
    const ROUNDS: usize = 200;
    const MESSAGES: usize = 20;
    let good = [
        r#"{"type":"subscribe","channel":"a"}"#,
        r#"{"type":"unsubscribe","channel":"a"}"#,
        r#"{"type":"broadcast","channel":"b","payload":{"a":[1,-2.5e3,"\u00e9",null]}}"#,
        r#"{"type":"ping"}"#,
    ];
    let server = server();
    let (mut client, mut bystander) = (connect(&server), following(&server, "room"));
    let mut random = fastrand::Rng::with_seed(0xf1);
    let mut answers = 0;
    for round in 0..ROUNDS {
        for _ in 0..MESSAGES {
            let message = good[random.usize(..good.len())];
            client.say(damaged(&mut random, message)).unwrap();
        }
        let end = Told::error_about(&format!("end of {round}"), "not_subscribed");
        client.say(format!(r#"{{"type":"unsubscribe","channel":"end of {round}"}}"#)).unwrap();
        let told = iter::repeat_with(|| client.told().expect("it stays connected"));
        answers += told.take_while(|told| *told != end).inspect(|told| assert!(!is_garbled(told), "{told:?}")).count();
    }
    assert!(answers <= ROUNDS * MESSAGES, "{answers} answers to {} messages", ROUNDS * MESSAGES);
    client.broadcast("room", "1").unwrap();
    assert_eq!(bystander.told(), Some(Told::message("room", "1")));
}

fn is_garbled(told: &Told) -> bool {
    matches!(told, Told::Garbled(_))
}

/// Resident memory that a flood may add: far below what the flood would be if it were kept, far above the noise.
const GROWTH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Messages of a flood: each names a channel of its own of 200 bytes, so that keeping them would be seen.
const FLOOD: usize = 100_000;
/// Messages that are sent before their answers are read.
const FLOOD_WINDOW: usize = 500;

/// The messages from number `first` on: a subscription, then its end.
fn flood(first: usize) -> Vec<u8> {
    let padding = "x".repeat(180);
    let frame = |kind: &str, number: usize| {
        ClientFrame::new(Opcode::TEXT, format!(r#"{{"type":"{kind}","channel":"{number} {padding}"}}"#)).bytes()
    };
    (first..first + FLOOD_WINDOW / 2)
        .flat_map(|number| [frame("subscribe", number), frame("unsubscribe", number)].concat())
        .collect()
}

#[test]
fn a_flood_of_subscriptions_leaves_memory_bounded_and_others_served() {
    let server = server();
    let (mut sender, mut bystander) = (connect(&server), following(&server, "room"));
    let mut flooder = RawSocket::upgraded(server.address, "/flux/ws").unwrap();
    flooder.frame().unwrap();
    let mut before = 0;
    for window in 0..FLOOD / FLOOD_WINDOW {
        flooder.send(&flood(window * FLOOD_WINDOW / 2)).unwrap();
        sender.broadcast("room", &window.to_string()).unwrap();
        assert_eq!(bystander.told(), Some(Told::message("room", &window.to_string())));
        for number in 0..FLOOD_WINDOW {
            let (_, text) = flooder.frame().unwrap();
            let told = Told::read(&String::from_utf8(text).unwrap());
            let is_right = if number % 2 == 0 {
                matches!(told, Told::Subscribed(_))
            } else {
                matches!(told, Told::Unsubscribed(_))
            };
            assert!(is_right, "answer {number} of window {window}: {told:?}");
        }
        // The first windows bring in what every later one uses again.
        if window == 10 {
            before = server.resident_bytes().unwrap();
        }
    }
    let growth = server.resident_bytes().unwrap().saturating_sub(before);
    println!("{growth} bytes more for {FLOOD} messages");
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
    server.wait_until("/total/topics", 1);
}

#[test]
fn a_flood_whose_answers_nobody_reads_is_cut_at_the_queues_limit() {
    let server = server();
    let (mut sender, mut bystander) = (connect(&server), following(&server, "room"));
    let before = server.resident_bytes().unwrap();
    let flooder = RawSocket::connect_narrow(server.address, 4096).unwrap();
    let mut flooder = flooder.upgrade("/flux/ws").unwrap();
    for window in 0..FLOOD / FLOOD_WINDOW {
        // It is closed at some point: then there is nobody to send to.
        if flooder.send(&flood(window * FLOOD_WINDOW / 2)).is_err() {
            break;
        }
        sender.broadcast("room", &window.to_string()).unwrap();
        assert_eq!(bystander.told(), Some(Told::message("room", &window.to_string())));
    }
    server.wait_until("/total/closed/4001", 1);
    server.wait_until("/total/topics", 1);
    let growth = server.resident_bytes().unwrap().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
    assert_eq!(bystander.client().receive(Duration::from_millis(1)), Received::Silence);
}
