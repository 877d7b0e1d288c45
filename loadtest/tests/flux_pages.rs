//! What flux serves beside its WebSocket, where, and what its settings change.

use loadtest::{Client, FluxClient, Launch, Redis, Refused, Server, Told, binary, eventually, exchange, knock};
use serde_json::{Value, json};
use std::process::Command;

const PAGES: [&str; 5] = ["/health", "/ready", "/live", "/", ""];

fn following(server: &Server, channel: &str) -> FluxClient {
    FluxClient::connect(server.address).unwrap().following(channel)
}

fn page(server: &Server, page: &str) -> Value {
    let answer = server.get(page).unwrap();
    assert_eq!(answer.status, 200, "{page}: {answer:?}");
    assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("application/json")), "{answer:?}");
    answer.json()
}

#[test]
fn every_page_answers_get_and_head_and_refuses_the_rest() {
    let server = Launch::embedded().start().unwrap();
    let request = |method: &str, page: &str| format!("{method} {page} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for page in PAGES {
        let page = format!("/flux{page}");
        let got = exchange(server.address, &request("GET", &page)).unwrap();
        assert_eq!(got.status, 200, "GET {page}");
        assert!(!got.body.is_empty(), "GET {page}");
        let head = exchange(server.address, &request("HEAD", &page)).unwrap();
        assert_eq!(head.status, 200, "HEAD {page}");
        for method in ["POST", "PUT", "DELETE"] {
            let answer = exchange(server.address, &request(method, &page)).unwrap();
            assert_eq!(answer.status, 405, "{method} {page}");
            assert!(answer.header("Allow").is_some(), "{method} {page}: RFC 9110 §15.5.6 wants Allow");
            assert!(answer.json()["hint"].is_string(), "{method} {page}: {answer:?}");
        }
    }
    for (page, status) in [("/flux/ws", 426), ("/flux/nowhere", 404), ("/fluxx", 404), ("/flux/health/", 404)] {
        assert_eq!(exchange(server.address, &request("GET", page)).unwrap().status, status, "GET {page}");
    }
    let post = exchange(server.address, &request("POST", "/flux/ws")).unwrap();
    assert_eq!(post.status, 405);
}

#[test]
fn the_pages_say_what_the_contract_says() {
    let server = Launch::embedded().start().unwrap();
    let root = json!({"name": "fanout", "version": env!("CARGO_PKG_VERSION"), "basePath": "/flux"});
    assert_eq!((page(&server, "/flux/"), page(&server, "/flux")), (root.clone(), root));
    assert_eq!(page(&server, "/flux/live"), json!({"status": "ok"}));
    assert_eq!(page(&server, "/flux/ready"), json!({"status": "ready"}));
    let mut health = page(&server, "/flux/health");
    let object = health.as_object_mut().unwrap();
    let times = ["timestamp", "uptime"].map(|name| object.remove(name).and_then(|time| time.as_u64()));
    assert!(times[0].is_some_and(|now| now > 1_700_000_000_000), "milliseconds: {times:?}");
    assert!(times[1].is_some_and(|uptime| uptime < 86_400_000), "since this start: {times:?}");
    assert!(health["redis"]["connected"].is_boolean(), "{health}");
    let redis = health["redis"].clone();
    assert_eq!(health, json!({"status": "ok", "connections": {"total": 0, "channels": 0}, "redis": redis}));
}

#[test]
fn health_counts_connections_and_each_channel_once_however_many_shards_follow_it() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).option("--shards", "4").start().unwrap();
    let counts = |total: u64, channels: u64| {
        let expected = json!({"total": total, "channels": channels});
        eventually(&format!("{expected}"), || (page(&server, "/flux/health")["connections"] == expected).then_some(()));
    };
    counts(0, 0);
    // Sixteen of them sit on several of four shards, unless a coin falls on one side fifteen times in a row.
    let mut clients: Vec<FluxClient> = (0..16).map(|_| following(&server, "everybody's")).collect();
    counts(16, 1);
    assert!(clients[0].subscribe("its own").is_some());
    counts(16, 2);
    assert!(clients[0].unsubscribe("everybody's").is_some());
    counts(16, 2);
    clients.clear();
    counts(0, 0);
}

#[test]
fn ready_and_health_follow_redis() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let says = |status: u16, connected: bool| {
        eventually(&format!("/flux/ready says {status}"), || {
            let ready = server.get("/flux/ready").ok()?.status == status;
            (ready && page(&server, "/flux/health")["redis"]["connected"] == connected).then_some(())
        });
        assert_eq!(page(&server, "/flux/live"), json!({"status": "ok"}));
    };
    says(200, true);
    redis.kill();
    says(503, false);
    redis.restart().unwrap();
    says(200, true);
}

#[test]
fn the_base_path_and_the_prefix_are_the_deployments() {
    let ways = [
        Launch::embedded().option("--flux-base-path", "/rooms/v2").option("--channel-prefix", "team"),
        Launch::embedded().variable("FLUX_BASE_PATH", "/rooms/v2").variable("CHANNEL_PREFIX", "team"),
    ];
    for launch in ways {
        let server = launch.start().unwrap();
        let mut client = FluxClient::connect_to(server.address, "/rooms/v2/ws").unwrap();
        assert_eq!(client.subscribe("room"), Some(Told::Subscribed("room".into())));
        let mut publisher = server.publisher().unwrap();
        publisher.command(&["PUBLISH", "flux:room", "1"]).unwrap();
        publisher.command(&["PUBLISH", "team:room", "2"]).unwrap();
        assert_eq!(client.told(), Some(Told::message("room", "2")));
        assert_eq!(page(&server, "/rooms/v2")["basePath"], "/rooms/v2");
        for inner in PAGES {
            assert_eq!(server.get(&format!("/rooms/v2{inner}")).unwrap().status, 200, "{inner}");
            assert_eq!(server.get(&format!("/flux{inner}")).unwrap().status, 404, "{inner}");
        }
        assert!(matches!(FluxClient::connect(server.address), Err(Refused::Status(404, _))));
    }
}

/// The line of `--print-config` that says where clients connect.
fn printed_listen(arguments: &str, environment: Option<(&str, &str)>) -> String {
    let mut command = Command::new(binary());
    command.arg("--print-config").args(arguments.split_whitespace()).env_clear().envs(environment);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("listen") && !line.contains("broker"));
    line.unwrap_or_else(|| panic!("no listen address in\n{text}")).to_owned()
}

#[test]
fn the_profile_of_flux_moves_the_port_and_nothing_that_was_chosen() {
    let table = [
        ("", None, "127.0.0.1:8084"),
        ("--profile workflow", None, "127.0.0.1:8084"),
        ("--profile flux", None, "127.0.0.1:3004"),
        ("", Some(("PROFILE", "flux")), "127.0.0.1:3004"),
        ("--profile flux", Some(("PORT", "4321")), "127.0.0.1:4321"),
        ("--profile flux --listen [::1]:9", None, "[::1]:9"),
    ];
    for (arguments, environment, address) in table {
        let line = printed_listen(arguments, environment);
        assert!(line.contains(address), "{arguments} {environment:?}: {line}");
    }
}

#[test]
fn both_families_are_served_whatever_the_profile() {
    for profile in ["workflow", "flux"] {
        let server = Launch::embedded().option("--profile", profile).start().unwrap();
        let mut listener = Client::listen(server.address, "alice").unwrap();
        let (mut client, mut sender) = (following(&server, "alice"), following(&server, "other"));
        server.publisher().unwrap().publish("alice", "an event").unwrap();
        sender.broadcast("alice", "1").unwrap();
        assert_eq!(listener.text().as_deref(), Some("an event"), "{profile}");
        assert_eq!(client.told(), Some(Told::message("alice", "1")), "{profile}");
    }
}

#[test]
fn impossible_settings_are_refused_by_name() {
    let table = [
        ("--profile", "socketio"),
        ("--flux-base-path", ""),
        ("--flux-base-path", "/"),
        ("--flux-base-path", "flux"),
        ("--channel-prefix", ""),
        ("--channel-prefix", "a*"),
        ("--flux-broadcast", "perhaps"),
        ("--max-channels", "0"),
        ("--redis-subscribe", "all"),
    ];
    for (flag, value) in table {
        let (code, log) = Launch::embedded().option(flag, value).refusal().unwrap();
        assert_eq!(code, Some(2), "{flag} {value:?}:\n{log}");
        assert!(log.contains(flag) && !log.contains("panicked"), "{flag} {value:?}:\n{log}");
    }
}

#[test]
fn only_channels_that_a_pattern_covers_are_open() {
    let server = Launch::embedded().option("--flux-channels", "room:*,lobby,team-?").start().unwrap();
    let mut client = FluxClient::connect(server.address).unwrap();
    let mut listener = following(&server, "lobby");
    for open in ["room:1", "room:", "room:a:b", "lobby", "team-a"] {
        assert_eq!(client.subscribe(open), Some(Told::Subscribed(open.to_owned())), "{open}");
        assert_eq!(client.unsubscribe(open), Some(Told::Unsubscribed(open.to_owned())), "{open}");
    }
    for closed in ["room", "lobby2", "a lobby", "team-", "team-ab", "Lobby", "*"] {
        for kind in ["subscribe", "broadcast"] {
            let text = json!({"type": kind, "channel": closed, "payload": 1}).to_string();
            let told = client.ask(text);
            assert!(matches!(&told, Some(Told::Error { code, .. }) if code == "invalid_channel"), "{closed}: {told:?}");
        }
    }
    client.broadcast("lobby", "1").unwrap();
    assert_eq!(listener.told(), Some(Told::message("lobby", "1")));
}

#[test]
fn where_broadcasting_is_denied_clients_only_listen() {
    let server = Launch::embedded().option("--flux-broadcast", "deny").start().unwrap();
    let (mut client, mut listener) = (following(&server, "room"), following(&server, "room"));
    client.broadcast("room", "1").unwrap();
    assert_eq!(client.told(), Some(Told::error_about("room", "forbidden")));
    server.publisher().unwrap().command(&["PUBLISH", "flux:room", "2"]).unwrap();
    assert_eq!((client.told(), listener.told()), (Some(Told::message("room", "2")), Some(Told::message("room", "2"))));
}

#[test]
fn the_start_says_what_is_open() {
    let open = Launch::embedded().start().unwrap();
    let closed = Launch::embedded().option("--flux-broadcast", "deny").option("--flux-channels", "lobby").start();
    let (open, closed) = (open.log(), closed.unwrap().log());
    assert!(open.contains("/flux") && open.contains("any channel") && open.contains("may broadcast"), "{open}");
    assert!(closed.contains("lobby") && closed.contains("may not broadcast"), "{closed}");
}

/// What a page of metrics says was encoded in this form.
fn encodes(server: &Server, encoding: &str) -> u64 {
    let metrics = server.get("/metrics").unwrap().text();
    let is_it = |line: &&str| line.starts_with("fanout_encodes_total{") && line.contains(encoding);
    metrics.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn a_topic_of_both_families_reaches_each_once_in_its_own_form() {
    let redis = Redis::start().unwrap();
    for launch in [Launch::with_redis(&redis), Launch::embedded()] {
        let server = launch.option("--channel-prefix", "workflow:events").option("--shards", "1").start().unwrap();
        let mut listeners: Vec<Client> = (0..3).map(|_| Client::listen(server.address, "alice").unwrap()).collect();
        let mut clients: Vec<FluxClient> = (0..3).map(|_| following(&server, "alice")).collect();
        let mut publisher = server.publisher().unwrap();
        for event in [r#"{"n": 1}"#, r#"{"n": 2}"#] {
            publisher.publish("alice", event).unwrap();
            for (listener, client) in listeners.iter_mut().zip(&mut clients) {
                assert_eq!(listener.text().as_deref(), Some(event));
                assert_eq!(client.told(), Some(Told::message("alice", event)));
            }
        }
        for encoding in ["flux_message", "raw_text"] {
            eventually(&format!("two in {encoding}"), || (encodes(&server, encoding) == 2).then_some(()));
        }
    }
}

#[test]
fn prefixes_of_which_one_begins_with_the_other_are_refused() {
    // Redis would bring every event of the longer one twice.
    for prefix in ["workflow", "workflow:events:of"] {
        let (code, log) = Launch::embedded().option("--channel-prefix", prefix).refusal().unwrap();
        assert!(code == Some(2) && log.contains("workflow:events:"), "{prefix}:\n{log}");
    }
}

#[test]
fn only_pages_of_listed_origins_connect() {
    let server = Launch::embedded().option("--allowed-origins", "https://app.example").start().unwrap();
    for (origin, status) in
        [("", 101), ("Origin: https://app.example\r\n", 101), ("Origin: https://evil.example\r\n", 403)]
    {
        assert_eq!(knock(server.address, "/flux/ws", origin).0.status, status, "{origin:?}");
    }
}

#[test]
fn a_query_that_is_broken_or_says_meta_twice_is_refused_before_the_upgrade() {
    let server = Launch::embedded().start().unwrap();
    for query in ["?meta=%zz", "?meta=1&meta=1"] {
        let outcome = FluxClient::connect_to(server.address, &format!("/flux/ws{query}"));
        assert!(matches!(outcome, Err(Refused::Status(400, _))), "{query}: {outcome:?}");
    }
    for query in ["?", "?x=1", "?meta=", "?username=alice"] {
        assert!(FluxClient::connect_to(server.address, &format!("/flux/ws{query}")).is_ok(), "{query}");
    }
}
