//! The distribution's nginx, Caddy or `HAProxy` with this repository's configuration, on a free port, ended by its
//! process id.

use loadtest::{Foreign, Scratch, Server, exchange, free_port};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

/// The addresses of instances as all configurations have them.
const DOCUMENTED: [&str; 3] = ["127.0.0.1:8084", "127.0.0.1:8085", "127.0.0.1:8086"];

/// A running proxy. Ends with this value.
pub(crate) struct Proxy {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    _program: Foreign,
}

impl Proxy {
    /// nginx as `deploy/nginx.conf` has it.
    pub(crate) fn nginx(instances: &[&Server; 3]) -> Self {
        Self::nginx_with(instances, &[])
    }

    /// The same but for these texts, each with another in its place.
    pub(crate) fn nginx_with(instances: &[&Server; 3], changes: &[(&str, &str)]) -> Self {
        let (address, scratch) = (free_address(), Scratch::new());
        let text = replaced(include_str!("../../../deploy/nginx.conf"), "listen 80;", &format!("listen {address};"));
        // What only root could write goes into a directory of its own.
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};", scratch.join(name).display()));
        let text = changes.iter().fold(text, |text, (documented, own)| replaced(&text, documented, own));
        let text = replaced(&text, "http {", &format!("http {{ access_log off; {}", temporary.concat()));
        let configuration = scratch.write("configuration", with_instances(text, instances));
        let mut command = Command::new(program("/usr/sbin/nginx"));
        command.args(["-e", "stderr", "-g", &format!("daemon off; pid {};", scratch.join("pid").display())]);
        command.arg("-p").arg(scratch.path()).arg("-c").arg(configuration);
        Self::start(command, address, scratch)
    }

    /// Caddy as `deploy/Caddyfile` has it.
    pub(crate) fn caddy(instances: &[&Server; 3]) -> Self {
        let (address, scratch) = (free_address(), Scratch::new());
        let site = format!("http://:{} {{\n\tbind {}", address.port(), address.ip());
        let text = replaced(include_str!("../../../deploy/Caddyfile"), ":80 {", &site);
        // Its door for administrators has one port, whoever else runs a Caddy.
        let text = format!("{{\n\tadmin off\n}}\n{text}");
        let configuration = scratch.write("configuration", with_instances(text, instances));
        let mut command = Command::new(program("/usr/bin/caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, scratch.path());
        }
        Self::start(command, address, scratch)
    }

    /// `HAProxy` as `deploy/haproxy.cfg` has it.
    pub(crate) fn haproxy(instances: &[&Server; 3]) -> Self {
        let (address, scratch) = (free_address(), Scratch::new());
        let text = replaced(include_str!("../../../deploy/haproxy.cfg"), "bind :80\n", &format!("bind {address}\n"));
        // It starts only where it may open as many files as it is to carry.
        let text = replaced(&text, "maxconn 32768", "maxconn 1000");
        let configuration = scratch.write("configuration", with_instances(text, instances));
        let mut command = Command::new(program("/usr/sbin/haproxy"));
        command.args(["-db", "-f"]).arg(configuration);
        Self::start(command, address, scratch)
    }

    fn start(mut command: Command, address: SocketAddr, scratch: Scratch) -> Self {
        let serves = || (status(address, "GET", "/flux/live") == Some(200)).then_some(());
        Self { address, _program: Foreign::start(&mut command, scratch, serves) }
    }
}

/// The status of a page behind the proxy at this address; `None` where it does not answer.
pub(crate) fn status(address: SocketAddr, method: &str, page: &str) -> Option<u16> {
    let request = format!("{method} {page} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    exchange(address, &request).ok().map(|answer| answer.status)
}

/// Where a distribution puts it, which may be off an ordinary user's PATH; else wherever PATH leads.
fn program(usual: &'static str) -> &'static Path {
    let usual = Path::new(usual);
    if usual.exists() { usual } else { Path::new(usual.file_name().unwrap()) }
}

fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
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
