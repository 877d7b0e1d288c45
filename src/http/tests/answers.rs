//! What is answered to whom: the routes, and the rules of a connection.

use super::*;
use crate::inspection::{self, Account, Topics};
use crate::metrics::{Drop, Expectation, Slowness, Span};
use std::time::Instant;

fn check(request: &str, status: u16, fields: &[(&str, &str)], body: &str) {
    let mut visit = Visit::new();
    let reply = visit.ask(request);
    assert_eq!(reply.status, status, "{request:?}: {reply:?}");
    for &(name, value) in fields {
        assert_eq!(reply.field(name), Some(value), "{request:?}: {name} in {reply:?}");
    }
    assert!(reply.body.contains(body), "{request:?}: {reply:?}");
    assert_eq!(reply.field("cache-control"), Some("no-store"), "{request:?}");
    assert_eq!(reply.field("x-content-type-options"), Some("nosniff"), "{request:?}");
    if status >= 400 {
        assert!(reply.json()["error"].is_string() && reply.json()["hint"].is_string(), "{request:?}: {reply:?}");
    }
    let is_closed = reply.field("connection").is_some_and(|value| value.contains("close"));
    assert_eq!(visit.front.interest(visit.key), Interest::Readable);
    if is_closed {
        assert!(visit.has_ended(), "{request:?}");
    } else {
        assert_eq!(visit.ask(get("/live")).status, 200, "{request:?}: the connection persists");
    }
}

#[test]
fn every_route_answers_as_the_table_says() {
    let json = [("content-type", "application/json")];
    check(&get("/health"), 200, &json, r#"{"status":"ok"}"#);
    check(&get("/health?x=%zz"), 200, &json, "ok");
    check(&get("/live"), 200, &json, "ok");
    check(&get("/ready"), 503, &[("retry-after", "1")], "not confirmed");
    check(&get("/admin/stats"), 200, &json, r#""version":"1.2.3""#);
    check(&get("/admin/else"), 404, &json, "not found");
    check(&get("/nowhere"), 404, &json, "/ws");
    check(&get("/healthy"), 404, &json, "not found");
    check(&get("//health"), 404, &json, "not found");
    check(&get("/publish"), 404, &json, "not found");
    check(&get("http://localhost:8084/health"), 200, &json, "ok");
    check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404, &json, "not found");
    check(&post("/health", ""), 405, &[("allow", "GET, HEAD")], "use GET, HEAD");
    check(&get("/publish/alice"), 405, &[("allow", "POST")], "use POST");
    check(&post("/ws", ""), 405, &[("allow", "GET")], "use GET");
    check("BREW /health HTTP/1.1\r\nHost: a\r\n\r\n", 405, &json, "method not allowed");
}

#[test]
fn a_head_that_cannot_be_trusted_ends_the_connection() {
    let close = [("connection", "close")];
    check("GET / HTTP/1.1\n\n", 400, &close, "malformed");
    check("GET / HTTP/1.1\r\n\r\n", 400, &close, "Host");
    check("GET /health HTTP/3.0\r\nHost: a\r\n\r\n", 505, &close, "HTTP/1.1");
    check("POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, &close, "");
    check("POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 501, &close, "");
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        400,
        &close,
        "Content-Length",
    );
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100)), 431, &close, "100");
}

#[test]
fn a_head_of_64_kib_is_refused_and_the_answer_arrives() {
    let mut visit = Visit::new();
    let mut client = visit.client.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        client.write_all(format!("GET /{} HTTP/1.1\r\n", "x".repeat(64 * 1024)).as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
    });
    while visit.front.exchanges[visit.key].is_idle() || visit.front.exchanges[visit.key].is_mid_request() {
        visit.turn();
    }
    let reply = visit.reply();
    assert_eq!((reply.status, reply.field("connection")), (431, Some("close")));
    while !matches!(visit.turn(), Step::Gone) {}
    writer.join().unwrap();
    assert!(visit.has_ended(), "by an end, not by a reset");
}

#[test]
fn a_body_nobody_wants_is_thrown_away_within_the_limit() {
    let with_body = |length: usize| format!("GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut visit = Visit::new();
    assert_eq!(visit.ask(with_body(5) + "hello" + &get("/nothing")).status, 200);
    assert_eq!(visit.reply().status, 404, "the request behind the body");
    assert_eq!(visit.ask(with_body(65_536)).status, 200);
    for _ in 0..4 {
        visit.send("x".repeat(16_384));
        visit.turn();
    }
    assert_eq!(visit.ask(get("/nothing")).status, 404);
    check(&with_body(65_537), 413, &[("connection", "close")], "too large");
    check(
        "GET /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        200,
        &[("connection", "close")],
        "ok",
    );
}

#[test]
fn whoever_waits_for_a_go_ahead_with_a_question_is_answered_and_parted_from() {
    let mut visit = Visit::new();
    visit.send("GET /admin/topics HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert!(matches!(visit.turn(), Step::Ask(..)));
    for shard in [0, 1] {
        visit.front.answered(visit.key, NodeId::shard(shard), inspection::Reply::Topics(Topics::default()), visit.now);
    }
    let reply = visit.reply();
    assert_eq!((reply.status, reply.field("connection")), (200, Some("close")));
}

#[test]
fn an_event_that_no_node_has_recorded_is_one_that_was_left_out() {
    let mut visit = Visit::new();
    visit.send(get("/admin/trace?username=alice"));
    assert!(matches!(visit.turn(), Step::Ask(..)));
    for (node, skipped) in [3, 5, 4].into_iter().enumerate() {
        let account = Account { skipped, ..Account::default() };
        visit.front.answered(visit.key, NodeId::shard(node), inspection::Reply::Trace(Some(account)), visit.now);
    }
    assert_eq!(visit.reply().json()["skipped"], 5);
}

#[test]
fn head_is_get_without_the_body() {
    for path in ["/health", "/ready", "/admin/stats", "/nothing"] {
        let mut visit = Visit::new();
        let whole = visit.ask(get(path));
        visit.send(get(path).replace("GET", "HEAD"));
        visit.turn();
        let head = visit.reply_to(Method::Head);
        assert_eq!((head.status, head.field("content-type")), (whole.status, whole.field("content-type")), "{path}");
        assert!(head.length() > 0 && head.body.is_empty(), "{path}");
        assert_eq!(visit.ask(get("/health")).status, 200, "nothing was in between");
    }
}

#[test]
fn head_is_no_way_to_a_websocket() {
    let mut visit = Visit::new();
    visit.send(get("/ws?ok=1").replace("GET", "HEAD"));
    visit.turn();
    let reply = visit.reply_to(Method::Head);
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET")));
}

#[test]
fn connections_persist_as_long_as_the_client_wants() {
    let mut visit = Visit::new();
    for _ in 0..100 {
        let reply = visit.ask(get("/health"));
        assert_eq!((reply.status, reply.field("connection")), (200, None));
    }
    for (request, expected) in [
        ("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close"),
        ("GET /health HTTP/1.0\r\n\r\n", "close"),
        ("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"),
    ] {
        check(request, 200, &[("connection", expected)], "ok");
    }
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let mut visit = Visit::new();
    let paths = ["/health", "/nothing", "/ready"];
    let count = 101;
    visit.send((0..count).map(|index| get(paths[index % 3])).collect::<String>());
    visit.turn();
    for index in 0..count {
        if index > 0 && index % STEPS_PER_TURN_MAX == 0 {
            assert!(visit.front.exchanges[visit.key].is_sending(), "the turn was given up");
            visit.turn();
        }
        assert_eq!(visit.reply().status, [200, 404, 503][index % 3], "{index}");
    }
    assert!(visit.front.exchanges[visit.key].is_idle());
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let mut visit = Visit::new();
    for byte in get("/health").bytes() {
        visit.send([byte]);
        assert!(matches!(visit.turn(), Step::Stay));
    }
    assert_eq!(visit.reply().status, 200);
}

#[test]
fn whoever_hangs_up_is_gone() {
    let mut visit = Visit::new();
    visit.send("GET /hea");
    visit.turn();
    visit.client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(matches!(visit.turn(), Step::Gone));
    assert!(visit.front.is_empty() && visit.has_ended());
}

#[test]
fn readiness_follows_the_broker_and_the_drain() {
    let site = site();
    let registry = site.registry.clone();
    let mut visit = Visit::to(site, LOCAL);
    registry.broker.set_connected(true);
    assert_eq!(visit.ask(get("/ready")).status, 200);
    registry.draining.store(true, std::sync::atomic::Ordering::Release);
    let reply = visit.ask(get("/ready"));
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("shutting down"));
    assert_eq!(visit.ask(get("/health")).status, 200);
}

#[test]
fn stats_hold_every_counter_and_their_sums() {
    let site = site();
    let registry = site.registry.clone();
    registry.shards[0].connections.add(2);
    registry.shards[1].connections.add(3);
    registry.shards[1].messages_in.add(7);
    registry.broker_node.messages_in.add(100);
    registry.broker_node.dropped(Drop::NotUtf8).add(4);
    registry.shards[0].closed(CloseCode::SlowConsumer).add(1);
    registry.shards[0].slow(Slowness::NoProgress).add(1);
    registry.shards[1].entrance.refused(Refused::Origin).add(2);
    let stats = Visit::to(site, LOCAL).ask(get("/admin/stats")).json();
    assert_eq!(stats["version"], "1.2.3");
    assert!(stats["uptime_ms"].is_u64());
    let broker = serde_json::json!({
        "kind": "embedded", "connected": false, "reconnects": 0, "epoch": 0, "canary": null,
        "events_in": 100, "events_unfollowed": 0,
    });
    assert_eq!(stats["broker"], broker);
    assert_eq!(stats["shards"].as_array().unwrap().len(), 2);
    for node in [&stats["total"], &stats["shards"][0], &stats["shards"][1]] {
        for name in ["connections", "topics", "messages_in", "frames_out", "bytes_out", "kernel_sends", "late"] {
            assert!(node[name].is_u64(), "{name} in {node}");
        }
        let count = |name: &str| node[name].as_object().unwrap().len();
        assert_eq!((count("dropped"), count("closed")), (Drop::ALL.len(), CloseCode::ALL.len()));
        assert_eq!((count("refused"), count("slow")), (Refused::ALL.len(), Slowness::ALL.len()));
    }
    assert_eq!((&stats["ready"], &stats["draining"]), (&false.into(), &false.into()));
    let total = &stats["total"];
    assert_eq!((&total["connections"], &total["messages_in"]), (&5.into(), &7.into()));
    assert_eq!((&total["dropped"]["not_utf8"], &total["closed"]["4001"]), (&4.into(), &1.into()));
    assert_eq!((&total["refused"]["origin"], &total["slow"]["no_progress"]), (&2.into(), &1.into()));
    assert_eq!(stats["shards"][1]["dropped"]["not_utf8"], 0);
    assert_eq!(
        (&stats["shards"][0]["refused"]["origin"], &stats["shards"][1]["refused"]["origin"]),
        (&0.into(), &2.into())
    );
}

#[test]
fn stats_say_what_is_known_of_the_canary() {
    let site = site();
    let registry = site.registry.clone();
    let canary = &registry.broker.canary;
    let mut visit = Visit::to(site, LOCAL);
    let mut known = || visit.ask(get("/admin/stats")).json()["broker"]["canary"].clone();
    assert_eq!(known(), serde_json::Value::Null);
    canary.expect(Expectation::Expected);
    canary.sent.add(3);
    canary.lost.add(1);
    let unheard = |state: &str| serde_json::json!({ "state": state, "age_ms": null, "round_trip_ms": null, "sent": 3, "lost": 1 });
    assert_eq!(known(), unheard("missing"));
    canary.expect(Expectation::Denied);
    assert_eq!(known(), unheard("denied"));
    canary.expect(Expectation::Expected);
    canary.note_heard(Instant::now(), Duration::from_millis(2));
    let heard = known();
    assert_eq!((&heard["state"], &heard["round_trip_ms"]), (&"heard".into(), &2.0.into()));
    assert!(heard["age_ms"].is_f64());
}

#[test]
fn metrics_are_text_that_prometheus_reads() {
    let site = site();
    let registry = site.registry.clone();
    registry.shards[1].bytes_out.add(9);
    registry.broker_node.dropped(Drop::EventTooBig).add(2);
    registry.broker_node.unpublished(PublishError::Overloaded).add(3);
    registry.shards[1].slow(Slowness::QueueFull).add(4);
    registry.shards[1].ledger_difference.set(u64::MAX);
    let entrance = &registry.shards[1].entrance;
    entrance.refused(Refused::TokenExpired).add(5);
    entrance.behind_us.set(1_500_000);
    entrance.broken.add(6);
    let canary = &registry.broker.canary;
    canary.expect(Expectation::Expected);
    canary.note_heard(Instant::now(), Duration::from_millis(500));
    canary.sent.add(7);
    canary.lost.add(8);
    let mut turns = crate::metrics::span_histogram();
    turns.record_n(40, 3).unwrap();
    turns.record(3_000_000).unwrap();
    registry.shards[0].share_spans(Span::Turn, &mut turns);
    let reply = Visit::to(site, LOCAL).ask(get("/metrics"));
    assert_eq!(reply.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE fanout_build_info gauge",
        "fanout_build_info{version=\"1.2.3\",broker=\"embedded\"} 1",
        "# TYPE fanout_connections gauge",
        "fanout_connections{shard=\"0\"} 0",
        "# HELP fanout_sent_bytes_total Bytes handed to the kernel",
        "# TYPE fanout_sent_bytes_total counter",
        "fanout_sent_bytes_total{shard=\"1\"} 9",
        "fanout_dropped_total{shard=\"broker\",reason=\"event_too_big\"} 2",
        "fanout_unpublished_total{shard=\"broker\",reason=\"overloaded\"} 3",
        "fanout_connections_closed_total{shard=\"0\",code=\"4001\"} 0",
        "fanout_slow_consumers_total{shard=\"1\",cause=\"queue_full\"} 4",
        "fanout_ledger_difference{shard=\"1\"} -1",
        "fanout_refused_total{shard=\"1\",reason=\"token_expired\"} 5",
        "# TYPE fanout_behind_seconds gauge",
        "fanout_behind_seconds{shard=\"1\"} 1.5",
        "fanout_accepts_broken_total{shard=\"1\"} 6",
        "fanout_broker_canaries_total 7",
        "fanout_broker_canaries_lost_total 8",
        "fanout_broker_canary_round_trip_seconds 0.5",
        "fanout_broker_canary_denied 0",
        "fanout_turn_seconds_bucket{le=\"0.00005\",shard=\"0\"} 3",
        "fanout_turn_seconds_bucket{le=\"1.0\",shard=\"0\"} 3",
        "fanout_turn_seconds_bucket{le=\"+Inf\",shard=\"0\"} 4",
        "fanout_turn_seconds_count{shard=\"0\"} 4",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(reply.body.lines().any(|found| found == line), "{line} in\n{}", reply.body);
    }
    for name in ["fanout_broker_canary_age_seconds", "process_start_time_seconds", "process_resident_memory_bytes"] {
        assert!(reply.body.contains(&format!("\n{name} ")), "{name} in\n{}", reply.body);
    }
    assert!(!Visit::new().ask(get("/metrics")).body.contains("canar"), "there is none to be heard");
    let is_sound = |line: &str| line.starts_with("# ") || line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok();
    assert!(reply.body.lines().all(is_sound), "{}", reply.body);
}

#[test]
fn requests_are_counted_on_their_shard() {
    let site = site();
    let registry = site.registry.clone();
    let mut visit = Visit::to(site, LOCAL);
    for request in [get("/health"), get("/nothing"), "?\n".to_owned()] {
        visit.ask(request);
    }
    assert_eq!((registry.shards[0].http_requests.get(), registry.shards[1].http_requests.get()), (0, 3));
}

#[test]
fn a_drain_closes_what_is_idle_and_ends_what_is_under_way() {
    let mut visit = Visit::new();
    assert_eq!(visit.ask(get("/health")).status, 200);
    visit.front.drain();
    assert!(visit.front.is_empty() && visit.has_ended());

    let mut visit = Visit::new();
    visit.send("GET /hea");
    visit.turn();
    visit.front.drain();
    assert_eq!(visit.front.len(), 1);
    let reply = visit.ask("lth HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((reply.status, reply.field("connection")), (200, Some("close")));
    assert!(visit.has_ended());
}

#[test]
fn garbage_is_answered_or_waited_for_and_never_panics() {
    let mut random = fastrand::Rng::with_seed(11);
    let pieces: [&[u8]; 14] = [
        b"GET ",
        b"POST ",
        b"/health",
        b"/publish/a",
        b"/ws?ok=1",
        b" HTTP/1.1\r\n",
        b"Host: localhost\r\n",
        b"\r\n",
        b"Content-Length: 3\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
        b"Expect: 100-continue\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"abc",
    ];
    for _ in 0..1_000 {
        let mut visit = Visit::new();
        let count = random.usize(1..30);
        visit.send((0..count).flat_map(|_| pieces[random.usize(..pieces.len())]).copied().collect::<Vec<u8>>());
        visit.client.shutdown(std::net::Shutdown::Write).unwrap();
        loop {
            let mut step = visit.turn();
            while let Step::Publish(_) = step {
                step = visit.front.published(visit.key, Ok(1), visit.now);
            }
            if matches!(step, Step::Gone | Step::Upgrade(_)) {
                break;
            }
        }
        assert!(visit.front.is_empty());
    }
}
