//! `fanout publish`, `listen` and `trace` against real servers.

mod commands;

use commands::{Running, TlsProxy, fanout, finished};
use loadtest::{Client, FluxClient, Launch, PATIENCE, RawSocket, Redis, Server, eventually, free_port};
use std::process::{Output, Stdio};

/// 32 bytes and more.
const SECRET: &str = "a secret of tests that is long enough";

fn publish(server: &Server, words: &[&str]) -> Output {
    finished(fanout(&["publish"]).args(words).args(["--url", &format!("http://{}", server.address)]), "")
}

fn listen(server: &Server, words: &[&str]) -> Running {
    let mut command = fanout(&["listen"]);
    Running::of(command.args(words).args(["--url", &format!("http://{}", server.address)]))
}

fn trace(server: &Server, words: &[&str]) -> Running {
    let mut command = fanout(&["trace"]);
    Running::of(command.args(words).args(["--url", &format!("http://{}", server.address)]))
}

/// Where nobody reads.
fn closed_pipe() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

#[test]
fn what_is_published_is_heard_byte_by_byte() {
    let server = Launch::embedded().start().unwrap();
    let (grün, port) = ("grün & 日本/?%", server.address.port().to_string());
    let mut listener = listen(&server, &[grün, "bob", "--count", "6"]);
    listener.notes(&["bob: connected", &format!("{grün}: connected")]);
    let long = "x".repeat(1 << 20);
    let outcome = publish(&server, &[grün, "{\"type\":\"tést\"}"]);
    assert_eq!((outcome.status.code(), said(&outcome.stdout).as_str()), (Some(0), "1 receiver"), "{outcome:?}");
    // Where the server listens may also be known from its own settings.
    let lines = finished(fanout(&["publish", grün, "-"]).env("PORT", &port), &format!("one\n\n{long}\n-1"));
    assert_eq!(said(&lines.stdout), "4 events, 4 receivers");
    let quiet = publish(&server, &["bob", "two\nlines", "--quiet"]);
    assert_eq!((quiet.status.code(), quiet.stdout.len(), quiet.stderr.len()), (Some(0), 0, 0), "{quiet:?}");
    let mut heard = listener.rest();
    // Two connections: only the order of each is known.
    heard.retain(|line| line != "two" && line != "lines");
    assert_eq!(heard, ["{\"type\":\"tést\"}", "one", "", &long, "-1"]);
    assert_eq!(listener.code(), Some(0));
    server.wait_until("/total/closed/1000", 2);
    assert!(said(&publish(&server, &["nobody", "x"]).stderr).contains("fanout trace"));
}

#[test]
fn channels_share_a_connection_and_json_says_which_it_was() {
    let server = Launch::embedded().start().unwrap();
    let mut listener = listen(&server, &["--channel", "a", "--channel", "b", "--json", "--count", "2"]);
    listener.notes(&["a, b: follows a", "a, b: follows b"]);
    assert_eq!(server.count("/total/connections"), 1);
    let mut sender = FluxClient::connect(server.address).unwrap();
    sender.broadcast("a", "{\"n\":12345678901234567890123}").unwrap();
    sender.broadcast("b", "\"x\"").unwrap();
    let heard = listener.rest();
    assert!(heard[0].ends_with("Z\",\"channel\":\"a\",\"event\":{\"n\":12345678901234567890123}}"), "{heard:?}");
    assert!(heard[1].ends_with("\"channel\":\"b\",\"event\":\"x\"}"), "{heard:?}");
    let refused =
        finished(fanout(&["listen", "--channel", "a\tb", "--port"]).arg(server.address.port().to_string()), "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused.stderr).contains("invalid_channel"), "{refused:?}");
}

#[test]
fn a_listener_comes_back_to_a_server_that_has_restarted() {
    let address = format!("127.0.0.1:{}", free_port());
    let launch = Launch::embedded().option("--listen", &address).option("--drain-window", "2s");
    let mut server = launch.clone().start().unwrap();
    let mut listener = listen(&server, &["alice", "--count", "2"]);
    listener.notes(&["alice: connected"]);
    publish(&server, &["alice", "before"]);
    assert_eq!(listener.line(), "before");
    server.terminate().unwrap();
    listener.notes(&["; coming back"]);
    server.wait(PATIENCE).unwrap();
    let server = launch.start().unwrap();
    listener.notes(&["alice: connected"]);
    publish(&server, &["alice", "after"]);
    assert_eq!((listener.line().as_str(), listener.code()), ("after", Some(0)));
}

#[test]
fn a_listener_that_was_stopped_for_a_moment_is_still_connected() {
    let server = Launch::embedded().start().unwrap();
    let mut listener = listen(&server, &["alice", "--count", "1"]);
    listener.notes(&["alice: connected"]);
    listener.stop_and_go_on();
    publish(&server, &["alice", "x"]);
    assert_eq!((listener.line().as_str(), listener.code()), ("x", Some(0)));
    server.wait_until("/total/closed/1000", 1);
    assert_eq!(server.count("/total/closed/1006"), 0);
}

#[test]
fn whom_the_server_refuses_hears_its_reason_and_no_secret() {
    let server = Launch::embedded().option("--auth", "token").variable("JWT_HS256_SECRET", SECRET);
    let server = server.variable("ADMIN_TOKEN", "an-administrator").variable("MAX_EVENT", "2KiB").start().unwrap();
    let url = format!("http://{}", server.address);
    let with = |words: &[&str], name: &str, token: &str, input: &str| {
        let outcome = finished(fanout(words).args(["--url", &url]).env(name, token), input);
        assert!(token.is_empty() || !format!("{outcome:?}").contains(token), "a secret is out: {outcome:?}");
        (outcome.status.code(), said(&outcome.stderr))
    };
    for (words, name, token, expected) in [
        (&["listen", "alice"][..], "FANOUT_TOKEN", "", "answers 401"),
        (&["listen", "alice"], "FANOUT_TOKEN", "no.token.atall", "answers 401"),
        (&["publish", "alice", "x"], "ADMIN_TOKEN", "", "answers 401: a token is required"),
        (&["publish", "alice", "x"], "ADMIN_TOKEN", "an-administrator-not", "answers 401: wrong token"),
        (&["trace", "--username", "alice"], "ADMIN_TOKEN", "an-administrator-not", "answers 401: wrong token"),
        (&["trace", "--connection", "7"], "ADMIN_TOKEN", "an-administrator", "answers 400: no such connection"),
        (&["publish", "", "x"], "ADMIN_TOKEN", "an-administrator", "answers 400: the username is empty"),
    ] {
        let (code, text) = with(words, name, token, "");
        assert!(code == Some(1) && text.contains(expected) && text.contains("hint: "), "{words:?}: {code:?} {text}");
    }
    let lines = format!("one\n{}\nthree\n", "x".repeat(1 << 20));
    let (code, text) = with(&["publish", "alice", "-"], "ADMIN_TOKEN", "an-administrator", &lines);
    assert!(code == Some(1) && text.contains("line 2: ") && text.contains("413"), "{code:?} {text}");
    assert!(text.contains("(1 event before it)"), "{text}");
    let token = finished(fanout(&["token", "--sub", "alice"]).env("JWT_HS256_SECRET", SECRET), "");
    let mut command = fanout(&["listen", "alice", "--url", &url, "--for", "1m"]);
    Running::of(command.env("FANOUT_TOKEN", said(&token.stdout))).notes(&["alice: connected"]);
}

#[test]
fn who_closes_the_pipe_ends_any_command_without_an_error() {
    let server = Launch::embedded().start().unwrap();
    let mut listener = listen(&server, &["alice"]);
    listener.notes(&["alice: connected"]);
    publish(&server, &["alice", "the only one"]);
    assert_eq!(listener.line(), "the only one");
    listener.read_no_more();
    assert_eq!(listener.code(), Some(0), "no further event is needed");
    let outcome =
        finished(fanout(&["listen", "alice", "--for", "100ms", "--port"]).arg(server.address.port().to_string()), "");
    assert_eq!((outcome.status.code(), outcome.stdout.len()), (Some(0), 0));
    for words in [&["config"][..], &["man"], &["publish", "alice", "x", "--url", &format!("http://{}", server.address)]]
    {
        let outcome = finished(fanout(words).stdout(closed_pipe()), "");
        let said = said(&outcome.stderr);
        assert!(outcome.status.code() == Some(0) && !said.contains("panic"), "{words:?}: {outcome:?}");
    }
}

#[test]
fn an_event_that_arrives_is_followed_to_its_connection() {
    let server = Launch::embedded().start().unwrap();
    let mut alice = Client::listen(server.address, "alice").unwrap();
    let mut tracer = trace(&server, &["--username", "alice", "--count", "1"]);
    tracer.lines(&["1 connection follows alice", "from 127.0.0.1:"]);
    publish(&server, &["alice", "{\"type\":\"grün\"}"]);
    let received = tracer.lines(&["received"]);
    assert!(received.ends_with("for 1 connection  {\"type\":\"grün\"} (16 bytes)"), "{received}");
    tracer.lines(&["matched"]);
    let written = tracer.lines(&["written"]);
    assert!(written.contains(" 127.0.0.1:") && written.ends_with("the kernel has it"), "{written}");
    assert_eq!(tracer.code(), Some(0));
    assert_eq!(alice.text().as_deref(), Some("{\"type\":\"grün\"}"));
    let mut tracer = trace(&server, &["--username", "alice", "--json", "--for", "1m"]);
    tracer.notes(&["1 connection follows alice"]);
    publish(&server, &["alice", "again"]);
    let what: Vec<String> = std::iter::repeat_with(|| tracer.line()).take(4).collect();
    let records = what.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["what"].clone());
    assert_eq!(records.collect::<Vec<_>>(), ["here", "received", "matched", "written"], "{what:?}");
}

#[test]
fn an_event_that_does_not_arrive_is_told_where_it_ended() {
    let server = Launch::embedded().start().unwrap();
    let _others = ["Alice", " alice ", "bob"].map(|name| Client::listen(server.address, name).unwrap());
    let mut tracer = trace(&server, &["--username", "alice"]);
    tracer.lines(&["0 connections follow alice", "did you mean \" alice \"? 1 connection", "did you mean \"Alice\"?"]);
    tracer.lines(&[
        "the broker gave this server no event for alice; it is connected; 0 connections of that name are here",
    ]);
    publish(&server, &["alice", "x"]);
    tracer.lines(&["it ends here: nobody on this server follows it"]);
    drop(server.publisher().unwrap().publish("alice", [0xff]));
    tracer.lines(&["it ends here: it is not UTF-8"]);
    tracer.read_no_more();
    assert_eq!(tracer.code(), Some(0));
}

#[test]
fn a_trace_goes_on_with_a_server_that_has_restarted() {
    let launch = Launch::embedded().option("--listen", &format!("127.0.0.1:{}", free_port()));
    let mut server = launch.clone().start().unwrap();
    let mut tracer = trace(&server, &["--username", "alice"]);
    tracer.lines(&["0 connections follow alice"]);
    server.terminate().unwrap();
    server.wait(PATIENCE).unwrap();
    let away = tracer.lines(&["does not answer"]);
    assert!(away.ends_with("; is the server running there? --url says where it is"), "{away}");
    let server = launch.start().unwrap();
    tracer.lines(&["the server answers again"]);
    publish(&server, &["alice", "x"]);
    tracer.lines(&["it ends here: nobody on this server follows it"]);
}

#[test]
fn a_slow_client_is_told_from_a_slow_network() {
    let server = Launch::embedded().option("--shards", "1").start().unwrap();
    let slow = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=alice").unwrap();
    server.wait_until("/total/connections", 1);
    let mut tracer = trace(&server, &["--username", "alice"]);
    tracer.lines(&["1 connection follows alice"]);
    let (mut publisher, event) = (server.publisher().unwrap(), "x".repeat(64 * 1024));
    eventually("events wait", || {
        publisher.publish("alice", &event).unwrap();
        server.get("/admin/connections").unwrap().json()["connections"][0]["late_ms"].as_u64()
    });
    tracer.lines(&["its socket takes no more", "its window is full, the client does not read"]);
    eventually("it is closed", || {
        publisher.publish("alice", &event).unwrap();
        (server.count("/total/closed/4001") == 1).then_some(())
    });
    tracer.lines(&["4001: it reads too slowly"]);
    drop(slow);
}

#[test]
fn a_broker_that_is_away_is_part_of_the_answer() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let _alice = Client::listen(server.address, "alice").unwrap();
    let mut tracer = trace(&server, &["--username", "alice"]);
    tracer.lines(&["1 connection follows alice"]);
    redis.kill();
    tracer.lines(&["the broker is not connected any more", "it is not connected, since "]);
    redis.restart().unwrap();
    tracer.lines(&["the broker was away: nobody knows what was missed"]);
    tracer.lines(&["the broker is connected again"]);
}

#[test]
fn behind_a_proxy_with_a_certificate_everything_goes_by_tls() {
    let server = Launch::embedded().variable("ADMIN_TOKEN", "an-administrator").start().unwrap();
    let proxy = TlsProxy::start(server.address);
    let url = format!("https://localhost:{}/events", proxy.port);
    let with = |words: &[&str]| {
        let mut command = fanout(words);
        command.args(["--url", &url]).env("SSL_CERT_FILE", &proxy.root).env("ADMIN_TOKEN", "an-administrator");
        command
    };
    let mut listener = Running::of(&mut with(&["listen", "alice", "--count", "2"]));
    listener.notes(&["alice: connected"]);
    let mut tracer = Running::of(&mut with(&["trace", "--username", "alice"]));
    tracer.lines(&["1 connection follows alice"]);
    let long = "x".repeat(300_000);
    let outcome = finished(&mut with(&["publish", "alice", "-"]), &format!("grün\n{long}\n"));
    assert_eq!(said(&outcome.stdout), "2 events, 2 receivers", "{outcome:?}");
    assert_eq!(listener.rest(), ["grün", &long]);
    tracer.lines(&["grün (5 bytes)", "the kernel has it"]);
    for words in [&["publish", "alice", "x"][..], &["listen", "alice"]] {
        let outcome = finished(with(words).env("SSL_CERT_FILE", "/etc/hosts"), "");
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(said(&outcome.stderr).contains("SSL_CERT_FILE"), "nobody here vouches for it: {outcome:?}");
    }
}
