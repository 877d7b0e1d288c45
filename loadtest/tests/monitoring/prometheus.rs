//! The distribution's Prometheus with this repository's configuration, on a free port, ended by its process id.

use loadtest::{Foreign, PATIENCE, RawSocket, Scratch, free_port};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

const CONFIGURATION: &str = include_str!("../../../deploy/prometheus.yml");

const TARGETS: &str = r#"["127.0.0.1:8084", "127.0.0.1:8085", "127.0.0.1:8086"]"#;

pub(super) const RULES: &str = include_str!("../../../deploy/alerts.yaml");

/// A running Prometheus. Ends with this value.
pub(super) struct Prometheus {
    address: SocketAddr,
    _program: Foreign,
}

impl Prometheus {
    /// One that scrapes this server each second, as `deploy/prometheus.yml` has it otherwise, with the rules of
    /// `deploy/alerts.yaml`.
    pub(super) fn of(server: SocketAddr) -> Self {
        let scratch = Scratch::new();
        let configuration =
            CONFIGURATION.replace("interval: 15s", "interval: 1s").replace(TARGETS, &format!("['{server}']"));
        assert!(configuration.contains(&server.to_string()) && configuration.matches("1s").count() == 2);
        scratch.write("alerts.yaml", RULES);
        let configuration = scratch.write("prometheus.yml", configuration);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", configuration.display()));
        command.arg(format!("--storage.tsdb.path={}", scratch.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        Self { address, _program: Foreign::start(&mut command, scratch, || get(address, "/-/ready")) }
    }

    /// What a path of its API answers.
    ///
    /// # Panics
    /// Where that is no success.
    pub(super) fn api(&self, path: &str, parameter: &str, value: &str) -> Value {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        let target = format!("/api/v1/{path}?{parameter}={value}");
        let body = get(self.address, &target).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(answer["status"], "success", "{target}: {}", String::from_utf8_lossy(&body));
        answer["data"].clone()
    }
}

/// The body of an answer with status 200. In HTTP/1.0, where a body ends with the connection.
fn get(address: SocketAddr, target: &str) -> Option<Vec<u8>> {
    let mut socket = RawSocket::connect(address).ok()?;
    socket.send(format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
    let answer = socket.rest(PATIENCE).bytes;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    answer.starts_with(b"HTTP/1.0 200 ").then(|| answer[head + 4..].to_vec())
}
