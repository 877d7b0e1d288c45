//! A connected socket, plain or with TLS, that never waits for longer than it is told.

use super::failure::Failure;
use super::tls;
use crate::config::url::{Scheme, Url};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// To connect, and for each step of a handshake.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A connected socket.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How to reach a server, again and again.
#[derive(Clone)]
pub(super) struct Way {
    url: Url,
    tls: Option<Arc<ClientConfig>>,
}

impl Way {
    /// # Errors
    /// Where a server that speaks TLS could not be told from another.
    pub(super) fn to(url: &Url) -> Result<Self, Failure> {
        let tls = if url.scheme == Scheme::Tls { Some(tls::config()?) } else { None };
        Ok(Self { url: url.clone(), tls })
    }

    /// Connects to the first of the server's addresses that answers; its name is resolved anew each time.
    pub(super) fn connect(&self) -> io::Result<Stream> {
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
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
    }
}

impl Stream {
    /// How long a read waits from now on.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        };
        socket.set_read_timeout(Some(patience))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(formatter)
    }
}
