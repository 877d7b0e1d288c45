//! The server's half of a WebSocket handshake, one client at a time.

use super::patient::patiently;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;

/// What a client listens to is this and its username.
const CHANNEL_PREFIX: &[u8] = b"workflow:events:";

/// A client that says nothing for so long has gone wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests are some 200 bytes.
const HEAD_BYTES_MAX: usize = 4096;

/// Lets a client in and says which channel it listens to.
pub(super) fn welcome(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut head = [0; HEAD_BYTES_MAX];
    let mut length = 0;
    loop {
        let more = patiently(|| client.read(&mut head[length..]))?;
        length += more;
        if let Some((channel, key)) = parse(&head[..length])? {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(&key)
            );
            client.write_all(answer.as_bytes())?;
            return Ok(channel);
        }
        if more == 0 {
            return Err(io::Error::other("a client ended, or asked for too much, in the middle of its handshake"));
        }
    }
}

/// The channel and the key of a request; `None` until it is whole.
fn parse(head: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(head).map_err(io::Error::other)?.is_partial() {
        return Ok(None);
    }
    let username = request.path.and_then(|path| path.split_once("username=")).map(|(_, rest)| rest);
    let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
    let (Some(username), Some(key)) = (username, key) else {
        return Err(io::Error::other("a client came without a username or without a key"));
    };
    let username = username.split('&').next().unwrap_or_default();
    Ok(Some(([CHANNEL_PREFIX, username.as_bytes()].concat(), key.value.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_once_it_is_whole() {
        let head = b"GET /ws?username=load-1f-7&meta=1 HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\n\r\n";
        assert_eq!(parse(&head[..head.len() - 1]).expect("a beginning"), None);
        let (channel, key) = parse(head).expect("a request").expect("it is whole");
        assert_eq!((&channel[..], &key[..]), (&b"workflow:events:load-1f-7"[..], &b"k"[..]));
        assert!(parse(b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n").is_err(), "no client");
    }
}
