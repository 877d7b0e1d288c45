//! How a listener's connection has ended, and whether it comes back.

use crate::client::failure::Failure;
use crate::client::tls;
use crate::wire::close::{Close, CloseCode};
use std::time::Duration;
use tungstenite::error::ProtocolError;
use tungstenite::http::Response;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, HandshakeError};

/// How it has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody wants to listen any more.
    Unwanted,
    /// It comes back.
    Lost { why: String, after: After },
    /// It would end in the same way again.
    Refused(Failure),
}

/// When a connection comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// After a pause that is longer each time.
    Pause,
    /// After this at least, since the server says so.
    Asked(Duration),
    /// Soon: somebody else is there, or about to be.
    Moment,
}

impl Ending {
    pub(super) fn lost(why: impl Into<String>) -> Self {
        Self::Lost { why: why.into(), after: After::Pause }
    }

    /// The server has closed it.
    pub(super) fn closed(frame: Option<&CloseFrame>) -> Self {
        let Some(frame) = frame else { return Self::lost("closed without a code") };
        let (number, reason) = (u16::from(frame.code), frame.reason.as_str());
        let sentence = format!("closed with {number}: {reason}");
        let refused = |advice| Self::Refused(Failure::new(&sentence).with(advice));
        match CloseCode::of_number(number) {
            CloseCode::Restart => Self::Lost { why: sentence, after: After::Moment },
            CloseCode::SlowConsumer => {
                Self::lost(format!("{sentence} (some are missing: standard output was not read)"))
            }
            // This machine may have slept.
            CloseCode::Policy if reason == Close::SILENT.reason => Self::lost(sentence),
            CloseCode::Policy => refused("the server wants no more of this"),
            CloseCode::Kicked => refused("ask whoever runs the server"),
            CloseCode::Expired => refused("set FANOUT_TOKEN to a new token"),
            CloseCode::Protocol | CloseCode::NotUtf8 | CloseCode::TooBig => {
                refused("something in between changes messages")
            }
            _ => Self::lost(sentence),
        }
    }

    /// It broke.
    pub(super) fn broken(error: &Error) -> Self {
        match error {
            Error::Io(error) if tls::is_error(error) => {
                Self::Refused(Failure::new(format!("no TLS: {error}")).with(tls::ADVICE))
            }
            Error::Capacity(_) => Self::Refused(Failure::new(format!("an event is too long: {error}"))),
            error => Self::lost(error.to_string()),
        }
    }

    /// There was never a connection.
    pub(super) fn unopened<Role>(place: &str, error: HandshakeError<Role>) -> Self
    where
        Role: tungstenite::handshake::HandshakeRole,
    {
        match error {
            HandshakeError::Interrupted(_) => Self::lost("the server takes too long to answer"),
            HandshakeError::Failure(Error::Http(response)) => Self::answered(place, &response),
            // A server that ends, or a proxy in front of none.
            HandshakeError::Failure(Error::Protocol(ProtocolError::HandshakeIncomplete)) => {
                Self::lost(format!("{place} hangs up instead of answering"))
            }
            HandshakeError::Failure(error @ (Error::Protocol(_) | Error::HttpFormat(_))) => {
                Self::Refused(Failure::new(format!("{place} is no WebSocket server: {error}")))
            }
            HandshakeError::Failure(error) => Self::broken(&error),
        }
    }

    /// The server has answered, and not with 101.
    fn answered(place: &str, response: &Response<Option<Vec<u8>>>) -> Self {
        let status = response.status().as_u16();
        let refusal = Failure::refused(place, status, response.body().as_deref().unwrap_or_default());
        match status {
            429 | 500..=599 => {
                let asked = response.headers().get("Retry-After").and_then(|asked| asked.to_str().ok()?.parse().ok());
                let after = asked.map_or(After::Pause, |seconds| After::Asked(Duration::from_secs(seconds)));
                Self::Lost { why: refusal.in_one_line(), after }
            }
            401 | 403 => Self::Refused(refusal.with("what is sent is the FANOUT_TOKEN of the environment")),
            _ => Self::Refused(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use tungstenite::handshake::client::ClientHandshake;

    #[test]
    fn codes_say_who_comes_back() {
        let ending =
            |code: u16, reason: &str| Ending::closed(Some(&CloseFrame { code: code.into(), reason: reason.into() }));
        let comes_back = |ending: &Ending| matches!(ending, Ending::Lost { .. });
        for code in [1000, 1001, 1006, 1011, 1012, 1013, 3000, 4001, 4999] {
            assert!(comes_back(&ending(code, "")), "{code}");
        }
        for code in [1002, 1007, 1008, 1009, 4002, 4003] {
            assert!(!comes_back(&ending(code, "")), "{code}");
        }
        assert!(comes_back(&ending(1008, Close::SILENT.reason)), "a machine that slept");
        assert!(matches!(ending(1012, ""), Ending::Lost { after: After::Moment, .. }));
        assert!(comes_back(&Ending::closed(None)));
    }

    #[test]
    fn answers_say_who_comes_back_and_when() {
        let answered = |status: u16, asked: &str| {
            let body = Some(br#"{"error":"no","hint":"yes"}"#.to_vec());
            Ending::answered("a", &Response::builder().status(status).header("Retry-After", asked).body(body).unwrap())
        };
        let after = |seconds| After::Asked(Duration::from_secs(seconds));
        for (status, asked, expected) in [
            (503, "7", Some(after(7))),
            (429, "15", Some(after(15))),
            (502, "soon", Some(After::Pause)),
            (403, "1", None),
        ] {
            let found =
                if let Ending::Lost { why, after } = answered(status, asked) { Some((why, after)) } else { None };
            assert_eq!(found, expected.map(|after| (format!("a answers {status}: no; yes"), after)));
        }
        for status in [200, 301, 400, 401, 404, 426] {
            assert!(matches!(answered(status, "1"), Ending::Refused(_)), "{status}");
        }
    }

    #[test]
    fn who_hangs_up_instead_of_answering_may_answer_later_and_who_answers_nonsense_will_not() {
        let unopened = |error| {
            Ending::unopened::<ClientHandshake<TcpStream>>("a", HandshakeError::Failure(Error::Protocol(error)))
        };
        assert!(matches!(unopened(ProtocolError::HandshakeIncomplete), Ending::Lost { .. }));
        assert!(matches!(unopened(ProtocolError::WrongHttpVersion), Ending::Refused(_)));
    }
}
