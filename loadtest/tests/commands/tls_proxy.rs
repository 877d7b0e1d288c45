//! The distribution's Caddy with a certificate of its own making in front of a server, under a path of its own.

use loadtest::{eventually, free_port};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running proxy. Ends with this value.
pub(crate) struct TlsProxy {
    /// Where it serves `https://localhost`.
    pub(crate) port: u16,
    process: Child,
    directory: PathBuf,
}

impl TlsProxy {
    /// Serves `/events/…` of the server behind it.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let directory = std::env::temp_dir().join(format!("fanout-tls-{}-{}", std::process::id(), fastrand::u64(..)));
        fs::create_dir(&directory).unwrap();
        let port = free_port();
        // Nobody else's trust is changed, and no port is taken that was not asked for.
        let text = format!(
            "{{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}}\n\
             https://localhost:{port} {{\n\tbind 127.0.0.1 ::1\n\ttls internal\n\
             \thandle_path /events/* {{\n\t\treverse_proxy {server}\n\t}}\n}}\n"
        );
        let configuration = directory.join("Caddyfile");
        fs::write(&configuration, text).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, &directory);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} (scripts/test installs it): {error}"));
        let proxy = Self { port, process, directory };
        eventually("the proxy serves", || {
            (proxy.root().exists() && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(())
        });
        proxy
    }

    /// The certificate to trust.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join("caddy/pki/authorities/local/root.crt")
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if !matches!(pid.map(|pid| kill_process(pid, Signal::TERM)), Some(Ok(()))) {
            drop(self.process.kill());
        }
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("log of the proxy:\n{}", fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}
