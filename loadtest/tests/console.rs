//! The console in a real browser: what an operator sees and does there.
//!
//! With `FANOUT_PICTURES` in the environment the pictures of the README are made anew.

#[path = "console/page.rs"]
mod page;

use loadtest::{Client, FluxClient, Launch, RawSocket, Redis, Server, binary};
use page::Page;
use serde_json::json;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn open(server: &Server) -> Option<Page> {
    Page::open(server, "/", &json!({}))
}

fn with_redis() -> (Redis, Server) {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    (redis, server)
}

#[test]
fn an_event_for_a_username_is_seen_on_both_sides() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("state", [json!("good")]);
    page.plays("says", [json!("#link"), json!("live")]);
    page.plays("listen", [json!("workflow"), json!("bob é")]);
    page.plays("publishAndReceive", [json!("bob é"), json!(r#"{"type":"test","text":"<b>日本</b>"}"#)]);
    page.plays("says", [json!("#log-rows"), json!("1 receiver")]);
    page.plays("publish", [json!("carol"), json!("for somebody else")]);
    page.plays("says", [json!("#log-rows"), json!("0 receivers")]);
    server.publisher().unwrap().publish("bob é", "from elsewhere").unwrap();
    page.plays("says", [json!("#log-rows"), json!("from elsewhere")]);
    page.close();
}

#[test]
fn a_message_on_a_channel_is_seen_on_both_sides() {
    let server = Launch::embedded().option("--flux-base-path", "/rooms").start().unwrap();
    let Some(mut page) = Page::open(&server, "/rooms/console", &json!({})) else { return };
    page.plays("says", [json!("#link"), json!("live")]);
    page.plays("listen", [json!("flux"), json!("lobby, room")]);
    page.plays("publishAndReceive", [json!("room"), json!(r#"{"n":1}"#)]);
    page.plays("publishAndReceive", [json!("lobby"), json!(r#"["text"]"#)]);
    page.plays("publish", [json!("lobby"), json!("no JSON")]);
    page.plays("says", [json!("#log-rows"), json!("a payload is JSON")]);
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
        page.plays("plotRises", [json!(measure)]);
    }
    page.plays("says", [json!("[data-measure=events] .more"), json!("50 since the start")]);
    page.close();
}

#[test]
fn topics_and_connections_are_listed_and_one_of_them_is_disconnected() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    let _follower = FluxClient::connect(server.address).unwrap().following("lobby");
    let mut bystander = Client::listen(server.address, "alice").unwrap();
    page.plays("look", [json!("#topics")]);
    page.plays("says", [json!("#topic-rows"), json!("flux lobby")]);
    page.plays("says", [json!("#topic-rows"), json!("workflow alice")]);
    page.plays("listen", [json!("workflow"), json!("mallory")]);
    page.plays("says", [json!("#connection-rows"), json!("workflow mallory")]);
    page.plays("says", [json!("#connection-rows"), json!("127.0.0.1:")]);
    page.plays("disconnect", [json!("mallory")]);
    page.plays("says", [json!("#connections-said"), json!("Disconnected with 4002")]);
    page.plays("says", [json!("#listen-state"), json!("closed with 4002")]);
    page.plays("says", [json!("#connections-none"), json!("Nobody matches")]);
    server.wait_until("/total/closed/4002", 1);
    server.publisher().unwrap().publish("alice", "still there").unwrap();
    assert_eq!(bystander.text().as_deref(), Some("still there"));
    page.close();
}

#[test]
fn an_event_is_traced_to_its_client_and_one_that_reaches_nobody_to_where_it_ends() {
    let server = Launch::embedded().start().unwrap();
    let mut alice = Client::listen(server.address, "alice").unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("trace", [json!("username"), json!("alice")]);
    page.plays("says", [json!("#trace-rows"), json!("listens, from 127.0.0.1:")]);
    page.plays("says", [json!("#trace-state"), json!("1 connection here; the broker gives this server no such event")]);
    server.publisher().unwrap().publish("alice", "<i>hello</i>").unwrap();
    assert_eq!(alice.text().as_deref(), Some("<i>hello</i>"));
    page.plays("says", [json!("#trace-rows"), json!("the kernel has it")]);
    page.plays("says", [json!("#trace-rows"), json!("<i>hello</i>")]);
    drop(alice);
    page.plays("says", [json!("#trace-rows"), json!("closed with 1006")]);
    server.publisher().unwrap().publish("alice", "too late").unwrap();
    page.plays("says", [json!("#trace-rows"), json!("nobody of that name is connected here")]);
    page.plays("press", [json!("#trace")]);
    page.plays("says", [json!("#trace-state"), json!("stopped")]);
    page.close();
}

#[test]
fn a_redis_that_dies_shows_red_and_green_again_once_it_is_back() {
    let (mut redis, server) = with_redis();
    let Some(mut page) = open(&server) else { return };
    page.plays("state", [json!("good")]);
    for _ in 0..2 {
        let begun = Instant::now();
        redis.kill();
        page.plays("state", [json!("bad")]);
        println!("red after {:?}", begun.elapsed());
        page.plays("says", [json!("#verdict"), json!("No events from redis")]);
        redis.restart().unwrap();
        let back = Instant::now();
        page.plays("state", [json!("good")]);
        println!("green after {:?}", back.elapsed());
    }
    page.plays("says", [json!("#facts"), json!("2 since the start")]);
    page.close();
}

#[test]
fn everything_is_reached_with_the_keyboard() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("keyboard", [json!("typed")]);
    page.close();
}

#[test]
fn the_page_fits_a_telephone() {
    let server = Launch::embedded().start().unwrap();
    let Some(mut page) = Page::open(&server, "/", &json!({ "width": 360, "height": 740 })) else { return };
    page.plays("listen", [json!("workflow"), json!("a-name-that-is-longer-than-a-telephone-is-wide".repeat(2))]);
    page.plays("publish", [json!("alice"), json!("x".repeat(300))]);
    page.plays("says", [json!("#log-rows"), json!("0 receivers")]);
    page.plays("fits", []);
    page.close();
}

#[test]
fn an_operator_elsewhere_gives_the_token_as_a_password() {
    let server = Launch::embedded().variable("ADMIN_TOKEN", "0123456789abcdef").start().unwrap();
    let Some(mut page) = Page::open(&server, "/", &json!({ "password": "0123456789abcdef" })) else { return };
    page.plays("state", [json!("good")]);
    page.plays("says", [json!("#link"), json!("live")]);
    page.plays("listen", [json!("workflow"), json!("alice")]);
    page.plays("publishAndReceive", [json!("alice"), json!("an event")]);
    page.close();
}

#[test]
fn where_clients_need_a_token_the_page_listens_with_one() {
    const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";
    let launch = Launch::embedded().option("--auth", "token").variable("JWT_HS256_SECRET", SECRET);
    let server = launch.start().unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("says", [json!("#link"), json!("live")]);
    page.plays("press", [json!("#listen")]);
    page.plays("says", [json!("#listen-state"), json!("not let in")]);
    let issued = Command::new(binary()).args(["token", "--sub", "alice"]).env("JWT_HS256_SECRET", SECRET).output();
    let token = String::from_utf8(issued.unwrap().stdout).unwrap();
    page.plays("listenWithToken", [json!(token.trim())]);
    page.plays("publishAndReceive", [json!("alice"), json!("an event")]);
    // A browser complains of the 401: that is no reason to fail.
}

#[test]
fn a_server_that_goes_away_is_missed_and_found_again() {
    let first = Launch::embedded().start().unwrap();
    let Some(mut page) = open(&first) else { return };
    page.plays("state", [json!("good")]);
    let address = first.address.to_string();
    drop(first);
    page.plays("says", [json!("#verdict"), json!("No answer from the server")]);
    page.plays("state", [json!("bad")]);
    let _second = Launch::embedded().option("--listen", &address).start().unwrap();
    page.plays("state", [json!("good")]);
    page.plays("says", [json!("#link"), json!("live")]);
    // A browser complains where nobody answers: that is no reason to fail.
}

#[test]
fn a_page_that_gets_no_connection_asks_again_and_again() {
    let server = Launch::embedded().option("--max-connections", "1").start().unwrap();
    let client = Client::listen(server.address, "alice").unwrap();
    let Some(mut page) = open(&server) else { return };
    page.plays("says", [json!("#link"), json!("polling")]);
    page.plays("state", [json!("good")]);
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
    thread::sleep(BUSTLE / 4);
    let stalled = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=alice").unwrap();
    thread::sleep(BUSTLE / 4 * 3);
    dark.plays("listen", [json!("workflow"), json!("yvonne")]);
    for _ in 0..4 {
        dark.plays("publishAndReceive", [json!("yvonne"), json!(r#"{"type":"test","text":"hello"}"#)]);
    }
    for (page, name, from, height) in
        [(&mut light, "light", "body", 1010), (&mut dark, "dark", "#topics", 1340), (&mut phone, "phone", "body", 1290)]
    {
        page.plays("look", [json!("#topics")]);
        // Two lists of topics, so that there are rates.
        thread::sleep(Duration::from_secs(3));
        let path = format!("{}/../src/http/console/screenshots/console-{name}.png", env!("CARGO_MANIFEST_DIR"));
        page.plays("picture", [json!(path), json!(from), json!(height)]);
    }
    drop(stalled);
    drop(bustle.stdin.take());
    bustle.wait().unwrap();
}
