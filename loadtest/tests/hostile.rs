//! Clients that mean harm: each is cut with the code it earns and counted, and a bystander gets everything in order.
//!
//! `scripts/hostile` measures what a bystander notices: `FANOUT_HOSTILE_SECONDS` is how long each flood lasts,
//! `FANOUT_HOSTILE_ROUNDS` how often each comes, `FANOUT_HOSTILE_RECORD` the file with the table.

mod program;

use loadtest::{Client, ClientFrame, Launch, Opcode, PATIENCE, Publisher, RawSocket, Redis, Server, exchange};
use program::{at, count, number, read, tester};
use serde_json::Value;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

/// Frames of a flood: a hundred seconds' worth of what is allowed.
const FLOOD: usize = 10_000;

/// A flood's name, its bytes, and the code it earns.
type Flood = (&'static str, Vec<u8>, u16);

fn floods(frames: usize) -> Vec<Flood> {
    let row = |frame: ClientFrame| frame.bytes().repeat(frames);
    let part = |payload: &str| ClientFrame::new(Opcode::CONTINUATION, payload).unfinished();
    let begun = |frame: ClientFrame| [ClientFrame::new(Opcode::TEXT, "").unfinished().bytes(), row(frame)].concat();
    vec![
        ("pings", row(ClientFrame::new(Opcode::PING, "x")), 1008),
        ("pongs that nobody asked for", row(ClientFrame::new(Opcode::PONG, "")), 1008),
        ("empty fragments", begun(part("")), 1008),
        ("fragments of one byte", begun(part("x")), 1008),
        ("texts of one byte", row(ClientFrame::new(Opcode::TEXT, "x")), 1008),
        ("binaries of one byte", row(ClientFrame::new(Opcode::BINARY, "x")), 1008),
        ("closes", row(ClientFrame::close(1000, "")), 1000),
        ("frames that are not masked", row(ClientFrame::new(Opcode::TEXT, "x").unmasked()), 1002),
        ("claims of a gigabyte", row(ClientFrame::new(Opcode::BINARY, "").claiming_64(1 << 30)), 1009),
    ]
}

/// Publishes one event to the bystander, who must get it and nothing else.
fn expect_next(publisher: &mut Publisher, bystander: &mut Client, number: &mut u32) {
    publisher.publish("bystander", number.to_string()).unwrap();
    assert_eq!(bystander.text(), Some(number.to_string()));
    *number += 1;
}

#[test]
fn every_flood_is_cut_with_its_code_and_a_bystander_gets_everything_in_order() {
    let server = Launch::embedded().start().unwrap();
    let mut bystander = Client::listen(server.address, "bystander").unwrap();
    let mut publisher = server.publisher().unwrap();
    let mut number = 0;
    for (name, bytes, code) in floods(FLOOD) {
        let counter = format!("/total/closed/{code}");
        let before = server.count(&counter);
        let mut attacker = RawSocket::upgraded(server.address, "/ws?username=attacker").unwrap();
        // A server that has cut the attacker takes no more.
        drop(attacker.send(&bytes));
        expect_next(&mut publisher, &mut bystander, &mut number);
        assert_eq!(attacker.close_code(), Some(code), "{name}");
        server.wait_until(&counter, before + 1);
        expect_next(&mut publisher, &mut bystander, &mut number);
    }
    server.wait_until("/total/connections", 1);
}

#[test]
fn nothing_is_read_of_what_stands_behind_a_flood() {
    let server = Launch::embedded().start().unwrap();
    // Few enough to be read at once, and several times what is allowed; behind them what has another code.
    for (name, mut bytes, code) in floods(1_000) {
        bytes.extend(ClientFrame::new(Opcode(0x3), "").bytes());
        let mut attacker = RawSocket::upgraded(server.address, "/ws?username=attacker").unwrap();
        attacker.send(&bytes).unwrap();
        assert_eq!(attacker.close_code(), Some(code), "{name}");
    }
}

/// Of a frame that was begun, and of an answer to a ping.
const DEADLINE: Duration = Duration::from_millis(500);

/// Between two bytes: several come before each deadline.
const DRIP: Duration = Duration::from_millis(100);

#[test]
fn half_a_frame_has_a_deadline_also_where_it_drips_on() {
    let deadline = format!("{}ms", DEADLINE.as_millis());
    let launch = Launch::embedded().option("--ping-interval", &deadline).option("--pong-timeout", &deadline);
    let server = launch.start().unwrap();
    let long = ClientFrame::new(Opcode::BINARY, vec![0; 60_000]).bytes();
    let halves = [
        ("a byte of a header", long[..1].to_vec()),
        ("a header without its mask", long[..5].to_vec()),
        ("the beginning of a frame", long[..100].to_vec()),
        ("the beginning of a message", ClientFrame::new(Opcode::TEXT, "be").unfinished().bytes()),
    ];
    thread::scope(|scope| {
        for (name, bytes) in &halves {
            let server = &server;
            scope.spawn(move || {
                let mut socket = RawSocket::upgraded(server.address, "/ws?username=half").unwrap();
                socket.send(bytes).unwrap();
                assert_eq!(socket.close_code(), Some(1008), "{name}");
            });
        }
        scope.spawn(|| {
            let mut socket = RawSocket::upgraded(server.address, "/ws?username=drip").unwrap();
            let begun = Instant::now();
            // Once the server has given up, the socket refuses a byte.
            let is_cut = long.iter().any(|&byte| {
                thread::sleep(DRIP);
                socket.send(&[byte]).is_err() || begun.elapsed() > PATIENCE
            });
            assert!(is_cut && begun.elapsed() < PATIENCE, "a byte ten times a second keeps it open");
        });
    });
    server.wait_until("/total/closed/1008", 5);
}

/// 64 MiB: above the largest event by default, at the limit where that is raised.
const HUGE: usize = 64 << 20;

fn check_huge(launch: &Launch, lift: impl Fn(&Server)) {
    let event = "x".repeat(HUGE);
    for (limit, is_delivered) in [("16MiB", false), ("64MiB", true)] {
        let server = launch.clone().option("--max-event", limit).start().unwrap();
        lift(&server);
        let mut client = Client::listen(server.address, "alice").unwrap();
        let receivers = server.publisher().unwrap().publish("alice", &event);
        if is_delivered {
            assert_eq!((receivers.unwrap(), client.text().map(|text| text.len())), (1, Some(HUGE)));
        }
        server.publisher().unwrap().publish("alice", "next").unwrap();
        assert_eq!(client.text().as_deref(), Some("next"), "{limit}");
        assert_eq!(server.count("/total/dropped/event_too_big"), u64::from(!is_delivered));
    }
}

#[test]
fn an_event_of_64_mebibytes_is_delivered_or_refused_with_a_counter_by_the_embedded_broker() {
    check_huge(&Launch::embedded(), |_| ());
}

#[test]
fn an_event_of_64_mebibytes_is_delivered_or_refused_with_a_counter_through_redis() {
    let redis = Redis::start().unwrap();
    // By default Redis itself cuts a subscriber for whom it holds 32 MB.
    check_huge(&Launch::with_redis(&redis), |server| {
        let words = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0"];
        server.publisher().unwrap().command(&words).unwrap();
    });
}

#[test]
fn an_event_of_64_mebibytes_by_http_is_delivered_or_refused() {
    for (limit, status) in [("16MiB", 413), ("64MiB", 202)] {
        let server = Launch::embedded().option("--max-event", limit).start().unwrap();
        let mut client = Client::listen(server.address, "alice").unwrap();
        let (address, body) = (server.address, "x".repeat(HUGE));
        let request =
            format!("POST /publish/alice HTTP/1.1\r\nHost: localhost\r\nContent-Length: {HUGE}\r\n\r\n{body}");
        // Who is refused may find the connection closed in the middle of the body.
        let answer = exchange(address, &request);
        match status {
            202 => {
                assert_eq!(answer.unwrap().status, status);
                assert_eq!(client.text().map(|text| text.len()), Some(HUGE));
            }
            _ => assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == status), "{limit}"),
        }
        server.publisher().unwrap().publish("alice", "next").unwrap();
        assert_eq!(client.text().as_deref(), Some("next"), "{limit}");
    }
}

/// Seconds before the first that is measured.
const WARMUP: u32 = 1;

/// Attacks in a second, each on a connection of its own.
const ATTACKS_PER_SECOND: u32 = 50;

/// Begins no more floods once this is raised.
fn attack(address: SocketAddr, bytes: &[u8], is_over: &AtomicBool) {
    while !is_over.load(SeqCst) {
        let attacker = RawSocket::upgraded(address, "/ws?username=attacker");
        drop(attacker.map(|mut attacker| attacker.send(bytes)));
        thread::sleep(Duration::from_secs(1) / ATTACKS_PER_SECOND);
    }
}

/// The p99 of each second within these.
fn p99_us(result: &Value, spans: &[Range<f64>]) -> Vec<f64> {
    let samples = result["samples"].as_array().unwrap();
    // Each sample ends a moment after its second.
    let is_within = |it: &&Value| spans.iter().any(|span| span.contains(&(number(it, "/second") - 0.5)));
    samples.iter().filter(is_within).map(|it| number(it, "/latency_us/p99")).collect()
}

/// The first quarter's last, the middle one, and the third quarter's last.
fn quartiles(mut all: Vec<f64>) -> [f64; 3] {
    all.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| *all.get(all.len() * quarter / 4).expect("each second was measured"))
}

/// What bystanders noticed of a flood. Each of its seconds is compared with the calm right before and after it: how
/// calm a machine is changes within minutes.
fn noticed(result: &Value, name: &str, begins: impl Iterator<Item = f64>, long: f64) -> String {
    let (mut calm, mut meanwhile, mut times) = (vec![], vec![], vec![]);
    for begin in begins {
        let end = begin + long;
        let around = p99_us(result, &[begin - long..begin, end..end + long]);
        let [_, usual, _] = quartiles(around.clone());
        let seconds = p99_us(result, &[begin..end]);
        calm.extend(around);
        times.extend(seconds.iter().map(|p99| p99 / usual));
        meanwhile.extend(seconds);
    }
    let [[_, calm, _], [_, meanwhile, _], [low, times, high]] = [calm, meanwhile, times].map(quartiles);
    format!("| {name} | {calm:.0} | {meanwhile:.0} | {times:.2} | {low:.2} to {high:.2} |\n")
}

/// A number of the environment, 1 where it has none.
fn number_set(name: &str) -> u32 {
    std::env::var(name).map_or(1, |text| text.parse().expect(name))
}

#[test]
fn bystanders_lose_nothing_under_every_flood_and_what_they_notice_is_measured() {
    let [each, rounds] = ["FANOUT_HOSTILE_SECONDS", "FANOUT_HOSTILE_ROUNDS"].map(number_set);
    let server = Launch::embedded().option("--log-level", "warn").start().unwrap();
    // Who floods nothing shows how far the figures stray by themselves.
    let mut floods: Vec<_> = floods(FLOOD).into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
    floods.insert(0, ("none: attackers come and go", vec![]));
    let turns = rounds * u32::try_from(floods.len()).unwrap();
    // Calm before, and calm again after each.
    let words = format!("users --clients 100 --rate 1000 --warmup {WARMUP} --seconds {}", each * (2 * turns + 1));
    let child = tester(&format!("{words} {} --server-pid {}", at(&server), server.pid())).spawn().unwrap();
    loadtest::eventually("bystanders", || (server.count("/total/connections") == 100).then_some(()));
    // All by the clock, as the bystanders' samples are: what was calm and what was not is told apart by their seconds.
    let began = Instant::now() + Duration::from_secs(WARMUP.into());
    let sleep_until = |seconds: u32| {
        thread::sleep((began + Duration::from_secs(seconds.into())).saturating_duration_since(Instant::now()));
    };
    for (turn, (_, bytes)) in (0..turns).zip(floods.iter().cycle()) {
        sleep_until(each * (2 * turn + 1));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| attack(server.address, bytes, &is_over));
            sleep_until(each * (2 * turn + 2));
            is_over.store(true, SeqCst);
        });
    }
    let (code, result) = read(&child.wait_with_output().unwrap());
    assert!(
        matches!(code, Some(0 | 3)) && count(&result, "/lost") + count(&result, "/closed") == 0,
        "{code:?} {result}"
    );
    let Ok(file) = std::env::var("FANOUT_HOSTILE_RECORD") else { return };
    let mut table =
        "| flood | p99 of bystanders in calm, µs | meanwhile, µs | times | of half of the seconds |\n".to_owned();
    table += "|---|---|---|---|---|\n";
    for (place, (name, _)) in floods.iter().enumerate() {
        let begins = (0..turns).skip(place).step_by(floods.len()).map(|turn| f64::from(each * (2 * turn + 1)));
        table += &noticed(&result, name, begins, each.into());
    }
    println!("{table}");
    std::fs::write(file, table).unwrap();
}
