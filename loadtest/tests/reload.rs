//! A configuration file, and what SIGHUP makes of changes in it while clients are connected.

use loadtest::{Client, Launch, RawSocket, Scratch, Server, binary, eventually, exchange, knock};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tungstenite::Message;

/// Knocks that reach every shard, but for one run of many millions.
const KNOCKS: usize = 24;

/// A configuration file that is gone at the end of its test.
struct Settings {
    file: PathBuf,
    _scratch: Scratch,
}

impl Settings {
    fn of(text: &str) -> Self {
        let scratch = Scratch::new();
        Self { file: scratch.write("fanout.toml", text), _scratch: scratch }
    }

    fn launch(&self) -> Launch {
        Launch::embedded().option("--config", self.file.to_str().unwrap())
    }

    /// Lets the server read other settings, and waits until it says this about them.
    fn reload(&self, server: &Server, text: &str, said: &str) {
        let before = server.log().len();
        fs::write(&self.file, text).unwrap();
        server.hang_up().unwrap();
        eventually(said, || server.log().get(before..)?.contains(said).then_some(()));
    }
}

/// Somebody who is connected before a test changes anything, and hears everything until its end.
struct Bystander(Client);

impl Bystander {
    fn of(server: &Server) -> Self {
        Self(Client::listen(server.address, "bystander").unwrap())
    }

    fn check(&mut self, server: &Server) {
        let text = format!("event {}", fastrand::u64(..));
        server.publisher().unwrap().publish("bystander", &text).unwrap();
        assert_eq!(self.0.text(), Some(text));
    }
}

/// Whether every shard answers knocks with this status by now, which each hears of for itself.
fn settle(server: &Server, target: &str, fields: &str, status: u16) {
    let is_settled = || (0..KNOCKS).all(|_| knock(server.address, target, fields).0.status == status);
    eventually(&format!("{target} {fields:?} gets {status}"), || is_settled().then_some(()));
}

#[test]
fn origins_change_while_everybody_stays_connected() {
    let settings = Settings::of("allowed-origins = ['https://a.example']");
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    let [a, b] = ["a", "b"].map(|page| format!("Origin: https://{page}.example\r\n"));
    settle(&server, "/ws?username=page", &a, 101);
    settle(&server, "/ws?username=page", &b, 403);
    let said = "allowed-origins https://a.example → https://b.example";
    settings.reload(&server, "allowed-origins = ['https://b.example']", said);
    settle(&server, "/ws?username=page", &a, 403);
    settle(&server, "/ws?username=page", &b, 101);
    bystander.check(&server);
}

#[test]
fn limits_change_for_who_comes_and_for_who_is_there() {
    let settings = Settings::of("max-connections-per-user = 1\nclient-messages-per-second = 0");
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    let mut talker = Client::listen(server.address, "talker").unwrap();
    for _ in 0..50 {
        talker.send(Message::text("as often as I like")).unwrap();
    }
    settle(&server, "/ws?username=bystander", "", 429);
    let said = "client-messages-per-second 0 → 1, max-connections 1000 → 3, max-connections-per-user 1 → 0";
    let launched = "max-connections = 1000\nmax-connections-per-user = 1\nclient-messages-per-second = 0";
    settings.reload(&server, launched, "→ 1000");
    settings.reload(&server, "max-connections = 3\nclient-messages-per-second = 1", said);
    let (answer, _third) = eventually("a third one comes in", || {
        Some(knock(server.address, "/ws?username=bystander", "")).filter(|(answer, _)| answer.status == 101)
    });
    assert_eq!(answer.status, 101);
    settle(&server, "/ws?username=bystander", "", 503);
    // More than two seconds' worth, whenever the first of them is heard.
    for _ in 0..50 {
        // It may have been closed already.
        let _ = talker.send(Message::text("no more"));
    }
    assert_eq!(talker.close_code(), Some(1008));
    bystander.check(&server);
}

#[test]
fn a_queue_is_held_against_a_new_limit_at_its_next_event() {
    let settings = Settings::of("outbound-max = '64MiB'\nwrite-timeout = '1h'");
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    let _stalled = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=stalled").unwrap();
    let (mut publisher, event) = (server.publisher().unwrap(), "x".repeat(64 * 1024));
    eventually("a megabyte waits", || {
        publisher.publish("stalled", &event).unwrap();
        (server.count("/total/bytes_queued") > 1 << 20).then_some(())
    });
    settings.reload(&server, "outbound-max = '256KiB'\nwrite-timeout = '1h'", "outbound-max 64MiB → 256KiB");
    // Whoever has answered knocks has taken its mail.
    for _ in 0..2 {
        settle(&server, "/health", "", 200);
        publisher.publish("stalled", &event).unwrap();
    }
    server.wait_until("/total/closed/4001", 1);
    bystander.check(&server);
}

#[test]
fn the_log_level_changes_and_the_change_is_logged_in_both_directions() {
    let settings = Settings::of("log-level = 'error'");
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    bystander.check(&server);
    assert!(!server.log().contains("connected"), "{}", server.log());
    settings.reload(&server, "log-level = 'debug'", "log-level error → debug");
    eventually("broadcasts are logged", || {
        bystander.check(&server);
        server.log().contains("broadcast").then_some(())
    });
    settings.reload(&server, "log-level = 'off'", "log-level debug → off");
    settings.reload(&server, "log-level = 'info'", "log-level off → info");
    bystander.check(&server);
}

fn stats(server: &Server, token: &str) -> u16 {
    let request = format!("GET /admin/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    exchange(server.address, &request).unwrap().status
}

#[test]
fn the_administrators_token_changes_and_is_never_printed() {
    let [old, new] = ["hush-hush-the-old-one", "hush-hush-the-new-one"];
    let settings = Settings::of(&format!("admin-token = '{old}'"));
    fs::set_permissions(&settings.file, fs::Permissions::from_mode(0o604)).unwrap();
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    let warning = "EVERYBODY ON THIS MACHINE MAY READ THE SECRETS in the configuration file (admin-token)";
    eventually(warning, || server.log().contains(warning).then_some(()));
    assert_eq!((stats(&server, old), stats(&server, new)), (200, 401));
    settings.reload(&server, &format!("admin-token = '{new}'"), "admin-token *** → ***");
    let is_settled = || (0..KNOCKS).all(|_| (stats(&server, old), stats(&server, new)) == (401, 200));
    eventually("only the new token opens", || is_settled().then_some(()));
    assert!(!server.log().contains("hush"), "{}", server.log());
    bystander.check(&server);
}

/// What `fanout token` prints for alice by the settings in a file.
fn token(settings: &Settings) -> String {
    let words = ["token", "--sub", "alice", "--config", settings.file.to_str().unwrap()];
    let output = Command::new(binary()).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_secret_of_tokens_changes_and_ends_no_connection() {
    let [old, new] =
        ["old", "new"].map(|age| format!("auth = 'token'\njwt-hs256-secret = 'hush-{age}-{}'", "x".repeat(32)));
    let settings = Settings::of(&old);
    let before = token(&settings);
    let server = settings.launch().start().unwrap();
    let mut alice = Client::connect(server.address, &format!("/ws?username=alice&token={before}")).unwrap();
    settings.reload(&server, &new, "jwt-hs256-secret *** → ***");
    settle(&server, &format!("/ws?username=alice&token={}", token(&settings)), "", 101);
    settle(&server, &format!("/ws?username=alice&token={before}"), "", 401);
    server.publisher().unwrap().publish("alice", "still here").unwrap();
    assert_eq!(alice.text().as_deref(), Some("still here"));
}

#[test]
fn a_mistake_in_the_file_changes_nothing_and_is_named_with_its_line() {
    let settings = Settings::of("max-connections-per-user = 1");
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    let path = settings.file.display();
    for (text, said) in [
        ("max-conections = 1", format!("{path}:1: `max-conections` is not known; did you mean `max-connections`?")),
        ("\nlog-level = 'loud'", format!("{path}:2: log-level is `loud`; allowed: off")),
        ("admin-token = hush", format!("{path}:1: this is not TOML")),
    ] {
        settings.reload(&server, text, &format!("ERROR the configuration stays as it was: {said}"));
        settle(&server, "/ws?username=bystander", "", 429);
    }
    fs::remove_file(&settings.file).unwrap();
    server.hang_up().unwrap();
    eventually("that it is gone is said", || server.log().contains("there is no such file").then_some(()));
    settings.reload(&server, "max-connections-per-user = 0", "max-connections-per-user 1 → 0");
    settle(&server, "/ws?username=bystander", "", 101);
    assert!(!server.log().contains("hush"), "{}", server.log());
    bystander.check(&server);
}

#[test]
fn what_cannot_change_is_named_and_stays_while_the_rest_changes() {
    let settings = Settings::of("");
    let server = settings.launch().start().unwrap();
    let mut bystander = Bystander::of(&server);
    let text = "slow-policy = 'latest'\nauth = 'token'\njwt-hs256-secret = '12345678901234567890123456789012'\n\
                max-connections-per-user = 1";
    settings.reload(&server, text, "max-connections-per-user 0 → 1");
    for said in ["WARN slow-policy: needs a restart, stays close", "WARN auth: needs a restart, stays none"] {
        assert!(server.log().contains(said), "no {said} in\n{}", server.log());
    }
    settings.reload(&server, text, "nothing has changed");
    bystander.check(&server);
    settle(&server, "/ws?username=somebody", "", 101);
}

#[test]
fn without_a_file_there_is_nothing_to_reload_and_nobody_is_disturbed() {
    let server = Launch::embedded().start().unwrap();
    let mut bystander = Bystander::of(&server);
    for _ in 0..3 {
        server.hang_up().unwrap();
    }
    let said = "no configuration file: nothing to reload";
    eventually(said, || server.log().contains(said).then_some(()));
    bystander.check(&server);
}
