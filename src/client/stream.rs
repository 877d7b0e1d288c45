//! A connected socket, plain or with TLS, that never waits for longer than it is told.

use super::failure::Failure;
use super::tls;
use crate::config::url::{Scheme, Url};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;

/// To connect, and for each step of a handshake.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A connected socket.
pub(crate) type Stream = MaybeTlsStream<TcpStream>;

/// How to reach a server, again and again.
#[derive(Clone)]
pub(crate) struct Way {
    pub(super) url: Url,
    tls: Option<Arc<ClientConfig>>,
}

impl Way {
    /// # Errors
    /// Where a server that speaks TLS could not be told from another.
    pub(crate) fn to(url: &Url) -> Result<Self, Failure> {
        let tls = if url.scheme == Scheme::Tls { Some(tls::config()?) } else { None };
        Ok(Self { url: url.clone(), tls })
    }

    /// Connects to the first of the server's addresses that answers; its name is resolved anew each time.
    pub(crate) fn connect(&self) -> io::Result<Stream> {
        let mut outcome = Err(io::Error::new(ErrorKind::NotFound, "its name has no address"));
        for address in (self.url.host.as_str(), self.url.port).to_socket_addrs()? {
            outcome = TcpStream::connect_timeout(&address, CONNECT_TIME_MAX);
            if outcome.is_ok() {
                break;
            }
        }
        let socket = outcome?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(CONNECT_TIME_MAX))?;
        socket.set_write_timeout(Some(CONNECT_TIME_MAX))?;
        let Some(config) = &self.tls else { return Ok(Stream::Plain(socket)) };
        let name = ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Stream::Rustls(StreamOwned::new(session, socket)))
    }
}

/// Below what is encrypted, if something is.
pub(crate) fn socket(stream: &Stream) -> &TcpStream {
    match stream {
        Stream::Plain(socket) => socket,
        Stream::Rustls(stream) => &stream.sock,
        _ => unreachable!("there is no other way to connect"),
    }
}

/// Nothing has come for as long as a read waits, or until a signal came, as where a shell had us stop: such reads are not
/// taken up again (signal(7), `SO_RCVTIMEO`).
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
