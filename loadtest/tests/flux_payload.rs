//! What flux carries: payloads byte for byte, and what foreign publishers say rightly or amiss.

mod conversation;

use conversation::{connect, following, over_every_broker, publish, told_so_far};
use loadtest::{Launch, Redis, Told};

/// JSON that anybody who parses and writes it again would change.
fn payloads() -> Vec<String> {
    let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    let table = [
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1.0",
        "1E+2",
        "1e400",
        "-1e-400",
        "0.1000000000000000055511151231257827",
        "12345678901234567890123456789012345678901234567890",
        "9007199254740993",
        r#""""#,
        r#""text""#,
        r#""\u0041\u00e9\/\b\f\n\r\t\"\\""#,
        r#""\ud83d\ude00 and 😀""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\u0000""#,
        "\"\u{7f} \u{85} \u{2028} \u{feff} \u{10ffff}\"",
        r#"{"a":1,"a":2,"A":3}"#,
        r#"{"type":"ping","channel":"x","payload":1,"v":1,"from":"me","timestamp":0}"#,
        r#"{"payload":{"payload":{"payload":null}}}"#,
        r#"{"b":1,"a":2,"":3}"#,
        "{ \"a\" :\t[ 1 , 2\r\n,3 ] }",
        r#"["é",{"日本":"é"}]"#,
        "[{},[],\"\",null,{}]",
    ];
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(60_000));
    let wide = format!("[{}1]", "1,".repeat(30_000));
    table.map(str::to_owned).into_iter().chain([nested, objects, long, wide]).collect()
}

#[test]
fn a_payload_travels_byte_for_byte_whatever_json_it_is() {
    over_every_broker(|launch| {
        let server = launch.option("--client-messages-per-second", "0").start().unwrap();
        let (mut listener, mut sender) = (following(&server, "room"), connect(&server));
        for payload in payloads() {
            // The message as most would write it, turned round and spaced, with its names written otherwise.
            let ways = [
                format!(r#"{{"type":"broadcast","channel":"room","payload":{payload}}}"#),
                format!("\n{{ \"payload\" :\t{payload}\r\n, \"channel\":\"room\" , \"type\":\"broadcast\" }} "),
                format!(
                    r#"{{"x":{payload},"ch\u0061nnel":"r\u006fom","t\u0079pe":"br\u006fadcast","p\u0061yload":{payload},"y":0}}"#
                ),
            ];
            // The last way says the payload twice: it must still fit a client's frame.
            let fitting = ways.into_iter().filter(|way| way.len() <= 64 * 1024);
            for way in fitting {
                sender.say(way.clone()).unwrap();
                assert_eq!(listener.told(), Some(Told::message("room", &payload)), "{way}");
            }
        }
    });
}

#[test]
fn foreign_publishers_say_it_bare_or_in_an_envelope() {
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let (mut first, mut second) = (following(&server, "room"), following(&server, "room"));
        for payload in payloads() {
            let is_envelope = payload.contains(r#""v":1"#);
            if !is_envelope {
                publish(&server, "flux:room", &payload);
                let message = Some(Told::message("room", &payload));
                assert_eq!((first.told(), second.told()), (message.clone(), message), "bare");
            }
            let envelope = |from: &str| {
                format!(r#"{{"v":1,"from":"{from}","channel":"room","payload":{payload},"timestamp":1700000000000}}"#)
            };
            publish(&server, "flux:room", &envelope("somebody else").replace("1700000000000}", r#""now"}"#));
            publish(&server, "flux:room", &envelope(first.id()));
            let message = Some(Told::message("room", &payload));
            assert_eq!((first.told(), second.told(), second.told()), (message.clone(), message.clone(), message));
        }
        assert_eq!(told_so_far(&server, &mut first), []);
    });
}

#[test]
fn what_a_foreign_publisher_says_amiss_is_dropped_and_counted_and_nobody_is_disconnected() {
    let not_json = ["", " ", "text", "{", r#"{"a":1}}"#, "{'a':1}", "[1,]", "NaN", "\"", "1 2"];
    let bad_envelopes = [
        r#"{"v":1}"#,
        r#"{"v":2,"from":"x","channel":"room","payload":{},"timestamp":1}"#,
        r#"{"v":"1","from":"x","channel":"room","payload":{},"timestamp":1}"#,
        r#"{"v":null,"data":1}"#,
        r#"{"v":1,"from":"x","channel":"room","timestamp":1}"#,
    ];
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let mut listener = following(&server, "room");
        for text in not_json.iter().chain(&bad_envelopes) {
            publish(&server, "flux:room", text);
        }
        assert_eq!(told_so_far(&server, &mut listener), []);
        server.wait_until("/total/dropped/not_json", not_json.len() as u64);
        server.wait_until("/total/dropped/bad_envelope", bad_envelopes.len() as u64);
        assert_eq!(server.count("/total/connections"), 1);
    });
}

#[test]
fn megabytes_come_from_redis_as_they_are() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let mut listener = following(&server, "room");
    for length in [1 << 20, 5 << 20] {
        let payload = format!(r#"{{"text": "{}"}}"#, "x".repeat(length));
        let envelope = format!(r#"{{"v":1,"from":"x","channel":"room","payload":{payload},"timestamp":1}}"#);
        for text in [&payload, &envelope] {
            publish(&server, "flux:room", text);
            assert!(listener.told() == Some(Told::message("room", &payload)), "{length} bytes came otherwise");
        }
    }
}
