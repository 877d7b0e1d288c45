//! One question over HTTP, and the answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For the connection, and for each part of the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    /// The version of the fanout that gave it, if one did: from its page about itself, or from its metrics.
    pub(super) fn version(&self) -> Option<String> {
        let page: Option<serde_json::Value> = serde_json::from_str(&self.body).ok();
        let about = page.filter(|page| page["name"] == "fanout");
        let version = about.and_then(|page| page["version"].as_str().map(str::to_owned));
        version.or_else(|| {
            let (_, labels) = self.body.split_once("fanout_build_info{")?;
            let (_, version) = labels.lines().next()?.split_once("version=\"")?;
            version.split_once('"').map(|(version, _)| version.to_owned())
        })
    }
}

/// Asks for a page. `host` is what the request says, `fields` are further lines of its head.
///
/// # Errors
/// Where nobody is there, or the answer does not come within [`PATIENCE`] or is no HTTP.
pub(super) fn ask(address: SocketAddr, target: &str, fields: &str) -> io::Result<Answer> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(
        format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\r\n").as_bytes(),
    )?;
    let mut bytes = Vec::new();
    socket.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    read(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is not HTTP"))
}

fn read(bytes: &[u8]) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    Some(Answer { status: head.code?, body: String::from_utf8_lossy(&bytes[length..]).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fanout_is_known_by_what_it_says_of_itself() {
        let table = [
            (r#"{"name":"fanout","version":"0.1.0","basePath":"/flux"}"#, Some("0.1.0")),
            ("# TYPE fanout_build info\nfanout_build_info{version=\"0.2.0\",broker=\"redis\"} 1\n", Some("0.2.0")),
            (r#"{"name":"other","version":"1"}"#, None),
            (r#"{"status":"ok"}"#, None),
            ("", None),
        ];
        for (body, version) in table {
            let answer = Answer { status: 200, body: body.to_owned() };
            assert_eq!(answer.version().as_deref(), version, "{body}");
        }
    }

    #[test]
    fn answers_are_read_and_noise_is_not() {
        let answer = read(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
        assert_eq!(answer, Some(Answer { status: 404, body: "no".to_owned() }));
        for noise in ["", "HTTP/1.1 200", "-ERR unknown command\r\n", "\0\r\n\r\n"] {
            assert_eq!(read(noise.as_bytes()), None, "{noise:?}");
        }
    }
}
