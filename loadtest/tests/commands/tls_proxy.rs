//! The distribution's Caddy with a certificate of its own making in front of a server, under a path of its own.

use loadtest::{Foreign, Scratch, free_port};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

/// A running proxy. Ends with this value.
pub(crate) struct TlsProxy {
    /// Where it serves `https://localhost`.
    pub(crate) port: u16,
    /// The certificate to trust.
    pub(crate) root: PathBuf,
    _program: Foreign,
}

impl TlsProxy {
    /// Serves `/events/…` of the server behind it.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (scratch, port) = (Scratch::new(), free_port());
        // Nobody else's trust is changed, and no port is taken that was not asked for.
        let text = format!(
            "{{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}}\n\
             https://localhost:{port} {{\n\tbind 127.0.0.1 ::1\n\ttls internal\n\
             \thandle_path /events/* {{\n\t\treverse_proxy {server}\n\t}}\n}}\n"
        );
        let configuration = scratch.write("Caddyfile", text);
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, scratch.path());
        }
        let root = scratch.join("caddy/pki/authorities/local/root.crt");
        let is_served = || TcpStream::connect(("127.0.0.1", port)).ok().filter(|_| root.exists());
        let program = Foreign::start(&mut command, scratch, is_served);
        Self { port, root, _program: program }
    }
}
