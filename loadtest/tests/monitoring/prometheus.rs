//! The distribution's Prometheus with this repository's configuration, on a free port, ended by its process id.

use loadtest::{PATIENCE, RawSocket, eventually, free_port};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const CONFIGURATION: &str = include_str!("../../../deploy/prometheus.yml");

const TARGETS: &str = r#"["127.0.0.1:8084", "127.0.0.1:8085", "127.0.0.1:8086"]"#;

pub(super) const RULES: &str = include_str!("../../../deploy/alerts.yaml");

/// A running Prometheus. Ends with this value.
pub(super) struct Prometheus {
    address: SocketAddr,
    process: Child,
    directory: PathBuf,
}

impl Prometheus {
    /// One that scrapes this server each second, as `deploy/prometheus.yml` has it otherwise, with the rules of
    /// `deploy/alerts.yaml`.
    pub(super) fn of(server: SocketAddr) -> Self {
        let directory = directory();
        let configuration =
            CONFIGURATION.replace("interval: 15s", "interval: 1s").replace(TARGETS, &format!("['{server}']"));
        assert!(configuration.contains(&server.to_string()) && configuration.matches("1s").count() == 2);
        fs::write(directory.join("prometheus.yml"), configuration).unwrap();
        fs::write(directory.join("alerts.yaml"), RULES).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", directory.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("prometheus (scripts/test installs it): {error}"));
        let mut prometheus = Self { address, process, directory };
        eventually("Prometheus is ready", || {
            assert!(prometheus.process.try_wait().unwrap().is_none(), "it ended at once");
            prometheus.get("/-/ready").map(drop)
        });
        prometheus
    }

    /// What a path of its API answers.
    ///
    /// # Panics
    /// Where that is no success.
    pub(super) fn api(&self, path: &str, parameter: &str, value: &str) -> Value {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        let target = format!("/api/v1/{path}?{parameter}={value}");
        let body = self.get(&target).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(answer["status"], "success", "{target}: {}", String::from_utf8_lossy(&body));
        answer["data"].clone()
    }

    /// The body of an answer with status 200. In HTTP/1.0, where a body ends with the connection.
    fn get(&self, target: &str) -> Option<Vec<u8>> {
        let mut socket = RawSocket::connect(self.address).ok()?;
        socket.send(format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
        let answer = socket.rest(PATIENCE).bytes;
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        answer.starts_with(b"HTTP/1.0 200 ").then(|| answer[head + 4..].to_vec())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("log of Prometheus:\n{}", fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// A directory of one's own.
pub(super) fn directory() -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("fanout-prometheus-{}-{}", std::process::id(), fastrand::u64(..)));
    fs::create_dir(&directory).unwrap();
    directory
}
