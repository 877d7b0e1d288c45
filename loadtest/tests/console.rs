//! The console in a real browser: what an operator sees and does there.
//!
//! With `FANOUT_PICTURES` in the environment the pictures of the README are made anew.

#[path = "console/page.rs"]
mod page;

use loadtest::{Client, FluxClient, Launch, RawSocket, Redis, Server, binary};
use page::Page;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn open(server: &Server) -> Option<Page> {
    Page::open(server, "/", &json!({}))
}

#[test]
fn an_event_for_a_username_is_seen_on_both_sides() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("state", ["good"]);
    page.plays("says", ["#link", "live"]);
    page.plays("listen", ["workflow", "bob é"]);
    page.plays("publishAndReceive", ["bob é", r#"{"type":"test","text":"日本<img src=x onerror=alert(1)>"}"#]);
    page.plays("says", ["#log-rows", "1 receiver"]);
    page.plays("publish", ["carol", "for somebody else"]);
    page.plays("says", ["#log-rows", "0 receivers"]);
    server.publisher().unwrap().publish("bob é", "from elsewhere").unwrap();
    page.plays("says", ["#log-rows", "from elsewhere"]);
    page.close();
}

#[test]
fn a_message_on_a_channel_is_seen_on_both_sides() {
    let server = Launch::embedded().option("--flux-base-path", "/rooms").start().unwrap();
    let Some(mut page) = Page::open(&server, "/rooms/console", &json!({})) else { return };
    page.plays("says", ["#link", "live"]);
    page.plays("listen", ["flux", "lobby, room"]);
    page.plays("publishAndReceive", ["room", r#"{"n":1}"#]);
    page.plays("publishAndReceive", ["lobby", r#"["text"]"#]);
    page.plays("publish", ["lobby", "no JSON"]);
    page.plays("says", ["#log-rows", "a payload is JSON"]);
    page.plays("publish", [&"é".repeat(200), "{}"]);
    page.plays("says", ["#log-rows", "invalid_channel"]);
    page.close();
}

#[test]
fn plots_move_and_rise_with_what_is_published() {
    let server = Launch::embedded().start().unwrap();
    let mut listener = Client::listen(server.address, "alice").unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("plotMoves", [json!("connections"), json!(2)]);
    let mut publisher = server.publisher().unwrap();
    for event in 0..50 {
        publisher.publish("alice", event.to_string()).unwrap();
        assert_eq!(listener.text(), Some(event.to_string()));
    }
    for measure in ["connections", "events", "frames", "bytes"] {
        page.plays("plotRises", [measure]);
    }
    page.plays("says", ["[data-measure=events] .more", "50 since the start"]);
    page.close();
}

#[test]
fn topics_and_connections_are_listed_and_one_of_them_is_disconnected() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    let _follower = FluxClient::connect(server.address).unwrap().following("lobby");
    let mut bystander = Client::listen(server.address, "alice").unwrap();
    page.plays("look", ["#topics"]);
    page.plays("says", ["#topic-rows", "flux lobby"]);
    page.plays("says", ["#topic-rows", "workflow alice"]);
    let mallory = "<img src=x onerror=alert(1)>";
    page.plays("listen", ["workflow", mallory]);
    page.plays("says", ["#connection-rows", &format!("workflow {mallory}")]);
    page.plays("says", ["#connection-rows", "127.0.0.1:"]);
    page.plays("disconnect", [mallory]);
    page.plays("says", ["#connections-said", "Disconnected with 4002"]);
    page.plays("says", ["#listen-state", "closed with 4002"]);
    page.plays("says", ["#connections-none", "Nobody matches"]);
    server.wait_until("/total/closed/4002", 1);
    server.publisher().unwrap().publish("alice", "still there").unwrap();
    assert_eq!(bystander.text().as_deref(), Some("still there"));
    page.close();
}

#[test]
fn a_topic_that_comes_among_the_busiest_is_not_said_to_have_had_all_its_events_since_the_last_look() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    let topic = |name: &str, events: u64| json!({ "topic": name, "followers": 1, "events": events });
    let look = |since: u64, topics: Value| json!({ "json": { "since_ms": since, "topics": topics } });
    let looks = [
        json!({ "status": 504, "json": {} }),
        look(1_000, json!([topic("a", 1_500)])),
        look(3_000, json!([topic("b", 1_800), topic("a", 1_700)])),
    ];
    page.plays("hears", [json!("/admin/topics*"), json!(looks), json!("abort")]);
    page.plays("look", ["#topics"]);
    page.plays("says", ["#topic-rows", "b101\u{202f}800a11001\u{202f}700"]);
    // A browser complains where nobody answers: that is no reason to fail.
}

#[test]
fn an_event_is_traced_to_its_client_and_one_that_reaches_nobody_to_where_it_ends() {
    let server = Launch::embedded().start().unwrap();
    let mut alice = Client::listen(server.address, "alice").unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("trace", ["username", "alice"]);
    page.plays("says", ["#trace-rows", "listens, from 127.0.0.1:"]);
    page.plays("says", ["#trace-state", "1 connection here; the broker gives this server no such event"]);
    server.publisher().unwrap().publish("alice", "<i>hello</i>").unwrap();
    assert_eq!(alice.text().as_deref(), Some("<i>hello</i>"));
    page.plays("says", ["#trace-rows", "the kernel has it"]);
    page.plays("says", ["#trace-rows", "<i>hello</i>"]);
    drop(alice);
    page.plays("says", ["#trace-rows", "closed with 1006"]);
    server.publisher().unwrap().publish("alice", "too late").unwrap();
    page.plays("says", ["#trace-rows", "nobody of that name is connected here"]);
    page.plays("press", ["#trace"]);
    page.plays("says", ["#trace-state", "stopped"]);
    page.close();
}

#[test]
fn a_trace_goes_on_where_a_shard_was_too_busy_to_answer() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    let busy = json!({ "status": 504, "json": { "error": "not every shard has answered" } });
    page.plays("hears", [json!("/admin/trace*"), json!([busy]), json!("continue")]);
    page.plays("trace", ["username", "alice"]);
    page.plays("says", ["#trace-state", "nobody of that name is connected here"]);
}

#[test]
fn a_redis_that_dies_shows_red_and_green_again_once_it_is_back() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("state", ["good"]);
    for _ in 0..2 {
        let begun = Instant::now();
        redis.kill();
        page.plays("state", ["bad"]);
        println!("red after {:?}", begun.elapsed());
        page.plays("says", ["#verdict", "No events from redis"]);
        redis.restart().unwrap();
        let back = Instant::now();
        page.plays("state", ["good"]);
        println!("green after {:?}", back.elapsed());
    }
    page.plays("says", ["#facts", "2 since the start"]);
    page.close();
}

#[test]
fn everything_is_reached_with_the_keyboard() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("keyboard", ["typed"]);
    page.close();
}

#[test]
fn the_page_fits_a_telephone() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = Page::open(&server, "/", &json!({ "width": 360, "height": 740 })) else { return };
    page.plays("listen", ["workflow", &"a-name-that-is-longer-than-a-telephone-is-wide".repeat(2)]);
    page.plays("publish", ["alice", &"x".repeat(300)]);
    page.plays("says", ["#log-rows", "0 receivers"]);
    page.plays("fits", [""; 0]);
    page.close();
}

#[test]
fn an_operator_elsewhere_gives_the_token_as_a_password() {
    let server = Launch::embedded().variable("ADMIN_TOKEN", "0123456789abcdef").start().unwrap();
    let Some(mut page) = Page::open(&server, "/", &json!({ "password": "0123456789abcdef" })) else { return };
    page.plays("state", ["good"]);
    page.plays("says", ["#link", "live"]);
    page.plays("listen", ["workflow", "alice"]);
    page.plays("publishAndReceive", ["alice", "an event"]);
    page.close();
}

#[test]
fn where_clients_need_a_token_the_page_listens_with_one() {
    const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";
    let launch = Launch::embedded().option("--auth", "token").variable("JWT_HS256_SECRET", SECRET);
    let server = launch.start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("says", ["#link", "live"]);
    page.plays("press", ["#listen"]);
    page.plays("says", ["#listen-state", "not let in"]);
    let issued = Command::new(binary()).args(["token", "--sub", "alice"]).env("JWT_HS256_SECRET", SECRET).output();
    let token = String::from_utf8(issued.unwrap().stdout).unwrap();
    // As it is copied from a terminal that is too narrow for it.
    page.plays("listenWithToken", [token.trim().replacen('.', " .", 1)]);
    page.plays("publishAndReceive", ["alice", "an event"]);
    // A browser complains of the 401: that is no reason to fail.
}

#[test]
fn a_server_that_goes_away_is_missed_and_found_again() {
    let first = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&first) else { return };
    page.plays("state", ["good"]);
    let address = first.address.to_string();
    drop(first);
    page.plays("says", ["#verdict", "No answer from the server"]);
    page.plays("state", ["bad"]);
    let _second = Launch::embedded().option("--listen", &address).start().unwrap();
    page.plays("state", ["good"]);
    page.plays("says", ["#link", "live"]);
    // A browser complains where nobody answers: that is no reason to fail.
}

#[test]
fn a_page_that_gets_no_connection_asks_again_and_again() {
    let server = Launch::embedded().option("--max-connections", "1").start().unwrap();
    let client = Client::listen(server.address, "alice").unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("says", ["#link", "polling"]);
    page.plays("state", ["good"]);
    // An answer that breaks off is one of them.
    page.plays("hears", [json!("/admin/stats"), json!([{ "body": "{" }]), json!("continue")]);
    page.plays("plotMoves", [json!("connections"), json!(2)]);
    drop(client);
}

/// How long a server is busy before its picture is taken.
const BUSTLE: Duration = Duration::from_secs(120);

#[test]
fn the_pictures_of_the_readme_are_made_where_somebody_asks_for_them() {
    if std::env::var_os("FANOUT_PICTURES").is_none() {
        return;
    }
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).option("--outbound-max", "16KiB").start().unwrap();
    let mut bustle = page::script("bustle.cjs")
        .args([server.address.to_string(), redis.address().port().to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let options = [json!({}), json!({ "dark": true }), json!({ "width": 360, "height": 740 })];
    let [mut light, mut dark, mut phone] = options.map(|options| Page::open(&server, "/", &options).unwrap());
    for page in [&mut light, &mut dark, &mut phone] {
        page.plays("look", ["#topics"]);
    }
    thread::sleep(BUSTLE / 4);
    let stalled = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=alice").unwrap();
    thread::sleep(BUSTLE / 4 * 3);
    dark.plays("listen", ["workflow", "yvonne"]);
    dark.plays("trace", ["username", "yvonne"]);
    dark.plays("says", ["#trace-rows", "listens"]);
    for _ in 0..4 {
        dark.plays("publishAndReceive", ["yvonne", r#"{"type":"test","text":"hello"}"#]);
    }
    dark.plays("says", ["#trace-rows", "the kernel has it"]);
    for (page, name, first, last) in [
        (&mut light, "light", "body", "#shards"),
        (&mut dark, "dark", "#topics", "#try"),
        (&mut phone, "phone", "body", "#losses"),
    ] {
        let path = format!("{}/../src/http/console/screenshots/console-{name}.png", env!("CARGO_MANIFEST_DIR"));
        page.plays("picture", [path.as_str(), first, last]);
    }
    drop(stalled);
    drop(bustle.stdin.take());
    bustle.wait().unwrap();
}
