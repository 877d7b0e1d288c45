//! The distribution's nginx, Caddy or `HAProxy` with this repository's configuration, on a free port, ended by its
//! process id.

use loadtest::{Server, eventually, exchange, free_port};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The addresses of instances as all configurations have them.
const DOCUMENTED: [&str; 3] = ["127.0.0.1:8084", "127.0.0.1:8085", "127.0.0.1:8086"];

/// A running proxy. Ends with this value.
pub(crate) struct Proxy {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    process: Child,
    directory: PathBuf,
}

impl Proxy {
    /// nginx as `deploy/nginx.conf` has it.
    pub(crate) fn nginx(instances: &[&Server; 3]) -> Self {
        let (address, directory) = (free_address(), new_directory());
        let text = replaced(include_str!("../../../deploy/nginx.conf"), "listen 80;", &format!("listen {address};"));
        // What only root could write goes into a directory of its own.
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};", directory.join(name).display()));
        let text = replaced(&text, "http {", &format!("http {{ access_log off; {}", temporary.concat()));
        let configuration = write(&directory, &with_instances(text, instances));
        let mut command = Command::new(program("/usr/sbin/nginx"));
        command.args(["-e", "stderr", "-g", &format!("daemon off; pid {};", directory.join("pid").display())]);
        command.arg("-p").arg(&directory).arg("-c").arg(configuration);
        Self::start(command, address, directory)
    }

    /// Caddy as `deploy/Caddyfile` has it.
    pub(crate) fn caddy(instances: &[&Server; 3]) -> Self {
        let (address, directory) = (free_address(), new_directory());
        let site = format!("http://:{} {{\n\tbind {}", address.port(), address.ip());
        let text = replaced(include_str!("../../../deploy/Caddyfile"), ":80 {", &site);
        // Its door for administrators has one port, whoever else runs a Caddy.
        let text = format!("{{\n\tadmin off\n}}\n{text}");
        let configuration = write(&directory, &with_instances(text, instances));
        let mut command = Command::new(program("/usr/bin/caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, &directory);
        }
        Self::start(command, address, directory)
    }

    /// `HAProxy` as `deploy/haproxy.cfg` has it.
    pub(crate) fn haproxy(instances: &[&Server; 3]) -> Self {
        let (address, directory) = (free_address(), new_directory());
        let text = replaced(include_str!("../../../deploy/haproxy.cfg"), "bind :80\n", &format!("bind {address}\n"));
        // It starts only where it may open as many files as it is to carry.
        let text = replaced(&text, "maxconn 32768", "maxconn 1000");
        let configuration = write(&directory, &with_instances(text, instances));
        let mut command = Command::new(program("/usr/sbin/haproxy"));
        command.args(["-db", "-f"]).arg(configuration);
        Self::start(command, address, directory)
    }

    fn start(mut command: Command, address: SocketAddr, directory: PathBuf) -> Self {
        let log = fs::File::create(directory.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} (scripts/test installs it): {error}"));
        let mut proxy = Self { address, process, directory };
        eventually("the proxy serves", || {
            assert!(proxy.process.try_wait().unwrap().is_none(), "it ended at once");
            (proxy.status("GET", "/flux/live") == Some(200)).then_some(())
        });
        proxy
    }

    /// The status of a page behind it; `None` where it does not answer.
    pub(crate) fn status(&self, method: &str, page: &str) -> Option<u16> {
        let request = format!("{method} {page} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        exchange(self.address, &request).ok().map(|answer| answer.status)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Asked to end, nginx ends its workers; killed, it would leave them behind.
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        let asked = pid.map(|pid| kill_process(pid, Signal::TERM));
        if !matches!(asked, Some(Ok(()))) {
            drop(self.process.kill());
        }
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("log of the proxy:\n{}", fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Where a distribution puts it, which may be off an ordinary user's PATH; else wherever PATH leads.
fn program(usual: &'static str) -> &'static Path {
    let usual = Path::new(usual);
    if usual.exists() { usual } else { Path::new(usual.file_name().unwrap()) }
}

fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

fn new_directory() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("fanout-proxy-{}-{}", std::process::id(), fastrand::u64(..)));
    fs::create_dir(&directory).unwrap();
    directory
}

fn write(directory: &Path, configuration: &str) -> PathBuf {
    let path = directory.join("configuration");
    fs::write(&path, configuration).unwrap();
    path
}

fn with_instances(text: String, instances: &[&Server; 3]) -> String {
    DOCUMENTED
        .iter()
        .zip(instances)
        .fold(text, |text, (documented, instance)| replaced(&text, documented, &instance.address.to_string()))
}

/// One documented line as this test needs it; the rest stays as users have it.
fn replaced(text: &str, documented: &str, own: &str) -> String {
    assert_eq!(text.matches(documented).count(), 1, "{documented:?} stands once in\n{text}");
    text.replace(documented, own)
}
