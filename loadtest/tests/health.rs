//! `fanout health`, which containers ask: its exit code is the answer.

use loadtest::{Launch, binary, free_port};
use std::process::Command;

/// The exit code with these variables, and what was said.
fn health(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(binary()).arg("health").env_clear().envs(variables.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_server_that_serves_is_healthy_ready_or_not() {
    let server = Launch::beside(([127, 0, 0, 1], free_port()).into()).start_unready().unwrap();
    server.wait_for_status("/ready", 503);
    assert_eq!(health(&[("LISTEN", &server.address.to_string())]), (Some(0), String::new()));
    assert_eq!(health(&[("LISTEN", &format!("0.0.0.0:{}", server.address.port()))]), (Some(0), String::new()));
}

#[test]
fn it_is_asked_where_metrics_are_if_they_have_an_address_of_their_own() {
    let monitors = format!("127.0.0.1:{}", free_port());
    let _server = Launch::embedded().option("--metrics-listen", &monitors).start().unwrap();
    assert_eq!(health(&[("LISTEN", "127.0.0.1:1"), ("METRICS_LISTEN", &monitors)]), (Some(0), String::new()));
}

#[test]
fn where_nobody_serves_it_says_so_and_fails() {
    let address = format!("127.0.0.1:{}", free_port());
    let (code, said) = health(&[("LISTEN", &address)]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("fanout: no server answers at {address}: ")), "{said}");
}

#[test]
fn a_server_of_another_kind_is_not_healthy() {
    let server = Launch::embedded().start().unwrap();
    let (code, said) = health(&[("LISTEN", &server.broker.to_string()), ("BROKER", "redis")]);
    assert_eq!(code, Some(1), "{said}");
}
