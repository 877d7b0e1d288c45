//! A Redis that goes away, comes back, or was never there.

use loadtest::{Client, Launch, Redis, binary, eventually};
use std::net::Ipv4Addr;
use std::process::Command;

const PASSWORD: &str = "correct-horse-battery";

#[test]
fn service_resumes_after_redis_was_killed_and_restarted() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let mut client = Client::listen(server.address, "alice").unwrap();
    redis.publisher().unwrap().publish("alice", "before").unwrap();
    assert_eq!(client.text().as_deref(), Some("before"));

    for outage in 1..=2 {
        redis.kill();
        server.wait_for_status("/ready", 503);
        assert_eq!(server.get("/health").unwrap().status, 200, "it still serves");
        assert_eq!(server.stats()["broker"]["connected"], false);
        redis.restart().unwrap();
        server.wait_for_status("/ready", 200);
        assert_eq!(server.count("/broker/reconnects"), outage);
        redis.publisher().unwrap().publish("alice", format!("after {outage}")).unwrap();
        assert_eq!(client.text(), Some(format!("after {outage}")), "on the connection it had");
    }
}

#[test]
fn those_who_asked_for_notices_hear_of_the_gap_and_nobody_else() {
    let mut redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let mut told = Client::connect(server.address, "/ws?username=alice&meta=1").unwrap();
    let mut untold = Client::listen(server.address, "alice").unwrap();
    redis.kill();
    server.wait_for_status("/ready", 503);
    redis.restart().unwrap();
    server.wait_for_status("/ready", 200);
    redis.publisher().unwrap().publish("alice", "after").unwrap();
    let notice = told.text().unwrap();
    let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
    assert_eq!(notice["type"], "fanout.gap");
    assert_eq!(told.text().as_deref(), Some("after"));
    assert_eq!(untold.text().as_deref(), Some("after"));
}

#[test]
fn a_redis_that_is_down_at_start_is_waited_for() {
    let mut redis = Redis::stopped();
    let server = Launch::with_redis(&redis).start_unready().unwrap();
    assert_eq!(server.get("/ready").unwrap().status, 503);
    assert_eq!(server.get("/live").unwrap().status, 200);
    let mut client = Client::listen(server.address, "alice").unwrap();
    let publish = "POST /publish/alice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(loadtest::exchange(server.address, publish).unwrap().status, 503);
    let port = redis.address().port().to_string();
    assert!(server.log().contains(&port), "the log names the address that does not answer");

    redis.restart().unwrap();
    server.wait_for_status("/ready", 200);
    redis.publisher().unwrap().publish("alice", "at last").unwrap();
    assert_eq!(client.text().as_deref(), Some("at last"));
}

#[test]
fn a_password_is_used_and_never_logged() {
    let mut redis = Redis::stopped_with_password(PASSWORD);
    redis.restart().unwrap();
    let address = redis.address();
    let ways = [
        Launch::with_redis(&redis).variable("REDIS_PASSWORD", PASSWORD),
        Launch::with_redis(&redis).variable("REDIS_URL", &format!("redis://default:{PASSWORD}@{address}/0")),
        Launch::with_redis(&redis).variable("REDIS_URL", &format!("redis://:{PASSWORD}@{address}")),
    ];
    for launch in ways {
        let server = launch.variable("LOG_LEVEL", "trace").start().unwrap();
        let mut client = Client::listen(server.address, "alice").unwrap();
        redis.publisher().unwrap().publish("alice", "secret event").unwrap();
        assert_eq!(client.text().as_deref(), Some("secret event"));
        assert!(!server.log().contains(PASSWORD), "the password is in the log");
    }
}

#[test]
fn a_redis_that_does_not_know_the_password_s_command_repeats_it_and_the_log_does_not() {
    // The last of these words stands for the program that the others get.
    let wrapper = ["sh", "-c", "exec \"$@\" --rename-command AUTH ''", "sh"];
    let mut redis = Redis::stopped_behind(&wrapper, &[Ipv4Addr::LOCALHOST.into()]);
    redis.restart().unwrap();
    let launch = Launch::with_redis(&redis).option("--log-level", "trace").variable("REDIS_PASSWORD", PASSWORD);
    let server = launch.start_unready().unwrap();
    eventually("the log names the cause", || server.log().contains("unknown command").then_some(()));
    assert!(!server.log().contains(PASSWORD), "{}", server.log());
    let address = format!("{}", redis.address());
    let (host, port) = address.split_once(':').unwrap();
    let mut doctor = Command::new(binary());
    doctor.args(["doctor", "--redis-host", host, "--redis-port", port]).env("REDIS_PASSWORD", PASSWORD);
    let output = doctor.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("unknown command") && !said.contains(PASSWORD), "{said}");
}

#[test]
fn a_wrong_password_is_named_as_the_cause_and_tried_again() {
    let mut redis = Redis::stopped_with_password(PASSWORD);
    redis.restart().unwrap();
    let server = Launch::with_redis(&redis).variable("REDIS_PASSWORD", "wrong-password").start_unready().unwrap();
    eventually("the log names the cause", || {
        let log = server.log().to_lowercase();
        (log.contains("password") || log.contains("wrongpass")).then_some(())
    });
    assert_eq!(server.get("/ready").unwrap().status, 503);
    assert!(!server.log().contains("wrong-password"));
}
