//! A Redis that dies, stops, cuts, refuses or moves: nothing is invented or doubled, what it delivered arrives, and
//! whoever asked hears of each gap exactly once.
//!
//! `scripts/redis-faults` runs the long form: `FANOUT_REDIS_KILLS` says how often Redis is killed under load.

#[path = "redis_faults/town.rs"]
mod town;

use loadtest::{Client, Launch, Publisher, Received, Redis, Reply, Scratch, Server, eventually};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;
use town::Town;

const PASSWORD: &str = "a-password-for-tests";

/// Longer than any order of words on a connection takes, shorter than anybody wants to wait for nothing.
const A_MOMENT: Duration = Duration::from_millis(300);

/// Enough for a server without pauses to try a thousand times.
const MANY_ATTEMPTS: Duration = Duration::from_secs(2);

/// The longest a canary may be missing before the server is no longer ready, and half as much again.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

/// A client that hears of gaps.
fn told(server: &Server, username: &str) -> Client {
    Client::connect(server.address, &format!("/ws?username={username}&meta=1")).unwrap()
}

/// The next text is the notice of a gap.
fn expect_gap(client: &mut Client) {
    let text = client.text().expect("a gap is announced");
    let notice: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    assert_eq!(notice["type"], "fanout.gap", "{text}");
}

/// Publishes until somebody is subscribed, and expects it at the client: once, with nothing in front.
fn expect_event(publisher: &mut Publisher, client: &mut Client, event: &str) {
    eventually("a subscriber", || (publisher.publish("alice", event).ok()? > 0).then_some(()));
    assert_eq!(client.text().as_deref(), Some(event));
}

/// How often the log mentions that there is no connection.
fn mentions(server: &Server) -> usize {
    server.log().matches("no connection, trying again").count()
}

fn pid(redis: &Redis) -> Pid {
    let Reply::BulkString(text) = redis.publisher().unwrap().command(&["INFO", "server"]).unwrap() else {
        panic!("INFO is text")
    };
    let text = String::from_utf8(text.to_vec()).unwrap();
    let pid = text.lines().find_map(|line| line.strip_prefix("process_id:")?.trim().parse().ok());
    pid.and_then(Pid::from_raw).expect("Redis knows its process id")
}

#[test]
fn killed_again_and_again_under_load_it_costs_gaps_that_are_announced_and_nothing_else() {
    let kills = std::env::var("FANOUT_REDIS_KILLS").map_or(4, |kills| kills.parse().expect("a number of kills"));
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let town = Town::of(redis.address());
    let (heard, owed) = town.perform(&server, || {
        for _ in 0..kills {
            // Long enough for the connection to count as one, and for outages of all lengths up to two seconds.
            thread::sleep(Duration::from_millis(fastrand::u64(1_100..1_600)));
            redis.kill();
            town.note_killed();
            thread::sleep(Duration::from_millis(fastrand::u64(0..1_900)));
            redis.restart().unwrap();
            eventually("the first event is back", || town.is_back().then_some(()));
            server.wait_for_status("/ready", 200);
        }
    });
    town.judge(&heard, &owed, kills);
    assert_eq!(server.count("/broker/reconnects"), kills as u64);
    assert_eq!(server.count("/broker/epoch"), kills as u64 + 1);
    assert!(mentions(&server) <= 2 * kills, "one line for each connection and outage:\n{}", server.log());
}

#[test]
fn a_stop_of_a_second_is_no_outage() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let (mut client, mut publisher, pid) = (told(&server, "alice"), redis.publisher().unwrap(), pid(&redis));
    kill_process(pid, Signal::STOP).unwrap();
    for number in 0..100 {
        publisher.send_event("alice", format!("{number}")).unwrap();
    }
    thread::sleep(Duration::from_secs(1));
    kill_process(pid, Signal::CONT).unwrap();
    for number in 0..100 {
        assert_eq!(client.text(), Some(format!("{number}")));
    }
    assert_eq!((server.count("/broker/reconnects"), mentions(&server)), (0, 0));
}

#[test]
fn a_stopped_redis_is_noticed_and_found_again() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let (mut client, mut publisher, pid) = (told(&server, "alice"), redis.publisher().unwrap(), pid(&redis));
    kill_process(pid, Signal::STOP).unwrap();
    server.wait_for_status("/ready", 503);
    assert_eq!(server.get("/health").unwrap().status, 200, "it still serves");
    let mut late = told(&server, "late");
    thread::sleep(LONG_ENOUGH);
    kill_process(pid, Signal::CONT).unwrap();
    server.wait_for_status("/ready", 200);
    expect_gap(&mut client);
    expect_gap(&mut late);
    expect_event(&mut publisher, &mut client, "after");
    assert_eq!(client.receive(A_MOMENT), Received::Silence, "one gap, one event");
    assert_eq!(server.count("/broker/epoch"), 2);
    let log = server.log();
    assert!(log.contains("the canary is missing") && log.contains("the canary is back"), "{log}");
    assert_eq!((log.matches("canary is missing").count(), log.matches("canary is back").count()), (1, 1), "{log}");
    assert!(mentions(&server) <= 4, "{log}");
}

#[test]
fn a_subscriber_that_redis_cuts_is_back_at_once_with_one_gap_for_each_cut() {
    for subscribe in ["patterns", "channels"] {
        let redis = Redis::start().unwrap();
        let server = Launch::with_redis(&redis).option("--redis-subscribe", subscribe).start().unwrap();
        let (mut client, mut publisher) = (told(&server, "alice"), redis.publisher().unwrap());
        for epoch in 2..5 {
            assert_eq!(publisher.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap(), Reply::Integer(1));
            server.wait_until("/broker/epoch", epoch);
            expect_gap(&mut client);
            expect_event(&mut publisher, &mut client, "after");
        }
        server.wait_for_status("/ready", 200);
        assert_eq!(client.receive(A_MOMENT), Received::Silence, "nothing else was said");
    }
}

#[test]
fn a_subscriber_that_redis_cuts_for_lagging_is_back_and_told() {
    let redis = Redis::start().unwrap();
    let mut publisher = redis.publisher().unwrap();
    publisher.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 256kb 256kb 1"]).unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let mut client = told(&server, "alice");
    // One transaction is answered in one go: more than the kernel takes, so that the rest is Redis' to keep.
    let event = "x".repeat(1 << 20);
    publisher.command(&["MULTI"]).unwrap();
    for _ in 0..64 {
        publisher.send_event("nobody", &event).unwrap();
        publisher.reply().unwrap();
    }
    publisher.command(&["EXEC"]).unwrap();
    server.wait_until("/broker/epoch", 2);
    expect_gap(&mut client);
    expect_event(&mut publisher, &mut client, "after");
    server.wait_for_status("/ready", 200);
}

#[test]
fn a_password_that_changes_while_it_runs_is_named_and_the_right_one_serves_again() {
    let mut redis = Redis::stopped_with_password(PASSWORD);
    redis.restart().unwrap();
    let server = Launch::with_redis(&redis).variable("REDIS_PASSWORD", PASSWORD).start().unwrap();
    let (mut client, mut admin) = (told(&server, "alice"), redis.publisher().unwrap());
    admin.command(&["CONFIG", "SET", "requirepass", "another-one"]).unwrap();
    expect_event(&mut admin, &mut client, "those who are in stay in");
    for kind in ["pubsub", "normal"] {
        admin.command(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).unwrap();
    }
    server.wait_for_status("/ready", 503);
    eventually("the log names the cause", || server.log().contains("user or password rejected").then_some(()));
    thread::sleep(MANY_ATTEMPTS);
    assert!(mentions(&server) <= 4, "not a thousand times:\n{}", server.log());
    admin.command(&["CONFIG", "SET", "requirepass", PASSWORD]).unwrap();
    server.wait_for_status("/ready", 200);
    expect_gap(&mut client);
    expect_event(&mut admin, &mut client, "after");
    assert!(!server.log().contains(PASSWORD));
}

/// Gives the server's user this rule.
fn allow(admin: &mut Publisher, rules: &[&str]) {
    let words = [&["ACL", "SETUSER", "server"], rules].concat();
    let reply = admin.command(&words).unwrap();
    assert!(matches!(reply, Reply::SimpleString(_)), "{reply:?}");
}

#[test]
fn a_user_who_may_not_use_the_canary_serves_with_a_warning_until_it_is_allowed() {
    let redis = Redis::start().unwrap();
    let mut admin = redis.publisher().unwrap();
    let password = format!(">{PASSWORD}");
    let commands = ["on", &password, "+psubscribe", "+subscribe", "+publish", "+ping"];
    allow(&mut admin, &[&commands[..], &["resetchannels", "&workflow:events:*", "&flux:*"]].concat());
    let launch = Launch::with_redis(&redis).variable("REDIS_USER", "server").variable("REDIS_PASSWORD", PASSWORD);
    let server = launch.start().unwrap();
    let mut client = told(&server, "alice");
    expect_event(&mut admin, &mut client, "unproven");
    assert_eq!(server.stats()["broker"]["canary"]["state"], "denied");
    let log = server.log();
    assert_eq!(log.matches("&fanout:canary:*").count(), 1, "the log says what to allow:\n{log}");

    allow(&mut admin, &["&fanout:canary:*"]);
    admin.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    eventually("the canary is heard", || (server.stats()["broker"]["canary"]["state"] == "heard").then_some(()));
    expect_gap(&mut client);
    let metrics = String::from_utf8(server.get("/metrics").unwrap().body).unwrap();
    for name in ["canary_age_seconds", "canary_round_trip_seconds", "canaries_total", "canaries_lost_total"] {
        assert!(metrics.contains(&format!("\nfanout_broker_{name} ")), "{name} in:\n{metrics}");
    }

    allow(&mut admin, &["-publish"]);
    eventually("it may not be published", || (server.stats()["broker"]["canary"]["state"] == "denied").then_some(()));
    server.wait_for_status("/ready", 200);
}

/// Names that only one server sees: a file that is mounted over `/etc/hosts` in a mount namespace of its own.
struct Names(Scratch);

impl Names {
    /// From now on the name leads here, and only here. Written in place: the mount is of this very file.
    fn point(&self, address: SocketAddr) {
        self.0.write("hosts", format!("127.0.0.1 localhost\n{} redis.test\n", address.ip()));
    }

    /// What starts a program that sees them.
    fn wrapper(&self) -> Vec<String> {
        let flags = if geteuid().is_root() { "-m" } else { "-rm" };
        let mount = format!("mount --bind '{}' /etc/hosts && exec \"$@\"", self.0.join("hosts").display());
        ["unshare", flags, "sh", "-c", &mount, "sh"].map(str::to_owned).to_vec()
    }

    /// Whether this machine lets anybody have names of his own.
    fn are_possible(&self) -> bool {
        let words = self.wrapper();
        let outcome = Command::new(&words[0]).args(&words[1..]).arg("true").status();
        Path::new("/etc/hosts").exists() && outcome.is_ok_and(|status| status.success())
    }
}

#[test]
fn a_name_that_leads_to_another_address_is_followed_there() {
    let mut redis = Redis::start().unwrap();
    let (names, first) = (Names(Scratch::new()), redis.address());
    names.point(first);
    assert!(
        names.are_possible(),
        "this test needs names of its own, and this machine allows none: run it as root, or allow users to have \
         namespaces (sysctl kernel.unprivileged_userns_clone=1 or user.max_user_namespaces)"
    );
    let wrapper = names.wrapper();
    let words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let server = Launch::with_redis(&redis).variable("REDIS_HOST", "redis.test").through(&words).start().unwrap();
    let mut client = told(&server, "alice");
    expect_event(&mut redis.publisher().unwrap(), &mut client, "before");

    let second: SocketAddr = ([127, 0, 0, 2], first.port()).into();
    let mut standby = Redis::stopped_at(second);
    standby.restart().unwrap();
    redis.kill();
    server.wait_for_status("/ready", 503);
    names.point(second);
    server.wait_for_status("/ready", 200);
    expect_gap(&mut client);
    expect_event(&mut standby.publisher().unwrap(), &mut client, "from the other one");
    assert_eq!(client.receive(A_MOMENT), Received::Silence, "nothing came twice");
}
