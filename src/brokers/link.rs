//! A connection to a server that may be away: dialled, lost and dialled again, for ever.

use super::seldom::Seldom;
use crate::ear::Ear;
use crate::wire::resp::without_arguments;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long one address may take to answer: a retransmission after a second is still heard. Longer attempts would miss
/// the moment at which a network is back.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// The first pause is at most this long: a restart of the other side goes almost unnoticed.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// No pause is longer than this: events are missed meanwhile. An attempt that has begun too early may fail as late as a
/// second after the network is back, when the kernel gives up looking for the neighbour; with the pause behind it,
/// service is back within two seconds.
const PAUSE_MAX: Duration = Duration::from_millis(750);

/// A pause is at most such a part of what the outage has lasted so far: after two seconds it is an eighth of one.
const PAUSE_PART: u32 = 16;

/// A connection that held for so long was one; what breaks sooner is part of the same outage, and attempts get fewer.
const STEADY_AFTER: Duration = Duration::from_secs(1);

/// How often a series of failures is mentioned in the log after its first one.
const MENTION_PERIOD: Duration = Duration::from_secs(10);

/// After this long without a word the other side is asked for a sign of life.
pub const QUIET_PERIOD: Duration = Duration::from_secs(1);

/// After so many quiet periods the other side is taken for dead: a stopped process keeps its sockets open.
pub const QUIET_PERIODS_MAX: u32 = 3;

/// Where to connect, and how that has gone so far.
pub struct Link {
    ear: Ear,
    host: String,
    port: u16,
    /// What the connection is for, as the log says it.
    purpose: &'static str,
    failures: u32,
    /// When this series of failures began.
    outage: Option<Instant>,
    established: Option<Instant>,
    mentions: Seldom,
}

/// Why a connection could not be made or did not last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The host's name has no address.
    Unresolved(String),
    /// Nobody listens there.
    Refused,
    /// No answer to the connection attempt.
    TimedOut,
    /// The other side closed.
    Closed,
    /// Connected, but nothing was heard for [`QUIET_PERIODS_MAX`] seconds.
    Silent,
    /// Connected, but what is published does not come back.
    Unheard,
    /// The network failed.
    Broken(String),
    /// The other side speaks something else.
    NotResp,
    /// `NOAUTH`: a password is required.
    PasswordMissing,
    /// `WRONGPASS`, or a password where none is configured.
    PasswordRejected(String),
    /// `NOPERM`: the user may not do this.
    Forbidden(String),
    /// `LOADING`: it reads its data from disk first.
    Loading,
    /// Any other error, in the other side's words.
    Rejected(String),
}

impl LinkError {
    /// What an error reply means (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).
    pub fn of_reply(reply: &[u8]) -> Self {
        let words = without_arguments(reply).escape_ascii().to_string();
        match reply.split(|&byte| byte == b' ').next().unwrap_or_default() {
            b"NOAUTH" => Self::PasswordMissing,
            b"WRONGPASS" => Self::PasswordRejected(words),
            b"NOPERM" => Self::Forbidden(words),
            b"LOADING" => Self::Loading,
            _ if reply.starts_with(b"ERR AUTH ") || reply.starts_with(b"ERR invalid password") => {
                Self::PasswordRejected(words)
            }
            _ => Self::Rejected(words),
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(error) => write!(formatter, "the host name cannot be resolved ({error})"),
            Self::Refused => formatter.write_str("connection refused: nobody listens there"),
            Self::TimedOut => write!(formatter, "no answer within {CONNECT_TIMEOUT:?}"),
            Self::Closed => formatter.write_str("the other side closed the connection"),
            Self::Silent => write!(formatter, "nothing was heard for {QUIET_PERIODS_MAX} s"),
            Self::Unheard => formatter.write_str(
                "what is published does not come back: the subscription is lost, or the two connections have reached \
                 two servers",
            ),
            Self::Broken(error) => write!(formatter, "the network failed ({error})"),
            Self::NotResp => formatter.write_str("what answers there does not speak the Redis protocol"),
            Self::PasswordMissing => formatter.write_str("a password is required (NOAUTH): set one"),
            Self::PasswordRejected(reply) => write!(formatter, "user or password rejected ({reply})"),
            Self::Forbidden(reply) => write!(formatter, "the user lacks a permission ({reply})"),
            Self::Loading => formatter.write_str("it is loading its data (LOADING)"),
            Self::Rejected(reply) => write!(formatter, "it answered with an error ({reply})"),
        }
    }
}

impl Link {
    /// A link to `host`, a name or an address, that has not been dialled.
    pub fn new(ear: Ear, host: String, port: u16, purpose: &'static str) -> Self {
        let mentions = Seldom::every(MENTION_PERIOD);
        Self { ear, host, port, purpose, failures: 0, outage: None, established: None, mentions }
    }

    /// One attempt: resolves the name anew and tries all its addresses in turn.
    pub async fn dial(&self) -> Result<TcpStream, LinkError> {
        let mut cause = LinkError::Unresolved("no address".to_owned());
        for address in self.resolve().await? {
            match self.connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => cause = error.into(),
            }
        }
        Err(cause)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            outcome => outcome?,
        }
        let attempt = self.ear.watch(socket)?;
        let is_over = self.ear.within(CONNECT_TIMEOUT, attempt.writable()).await.is_some();
        let failure = if is_over { attempt.get().take_error()? } else { Some(io::ErrorKind::TimedOut.into()) };
        failure.map_or_else(|| Ok(attempt.into_inner().into()), Err)
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>, LinkError> {
        let (host, port) = (self.host.clone(), self.port);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        // The system's resolver blocks, for seconds if a name server is away: not on this core's thread.
        let lookup = move || (host, port).to_socket_addrs().map(Iterator::collect).map_err(|error| error.to_string());
        self.ear.elsewhere(lookup).await?.map_err(LinkError::Unresolved)
    }

    /// The connection does what it is for; `what` says what that is.
    pub fn note_established(&mut self, what: &str) {
        let Self { host, port, purpose, failures, .. } = self;
        tracing::info!(redis = format_args!("{host}:{port}"), purpose, attempts = *failures + 1, "{what}");
        self.established = Some(Instant::now());
    }

    /// The connection failed or was lost: says so, but not too often, and waits before the next attempt.
    pub async fn pause(&mut self, cause: &LinkError) {
        let now = Instant::now();
        if let Some(established) = self.established.take() {
            self.mentions.reset();
            if now.duration_since(established) >= STEADY_AFTER {
                (self.failures, self.outage) = (0, None);
            }
        }
        self.failures = self.failures.saturating_add(1);
        let lasted = now.duration_since(*self.outage.get_or_insert(now));
        if self.mentions.pass(now).is_some() {
            let Self { host, port, purpose, failures, .. } = self;
            tracing::error!(redis = format_args!("{host}:{port}"), purpose, failures, %cause, "no connection, trying again");
        }
        self.ear.sleep(pause_length(lasted)).await;
    }
}

/// Full jitter: anything up to a ceiling that grows with the outage, so that instances that lost the same server do not
/// return in step.
fn pause_length(lasted: Duration) -> Duration {
    (lasted / PAUSE_PART).clamp(PAUSE_MIN, PAUSE_MAX).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_outage_up_to_their_limit_and_vary() {
        for (lasted_ms, limit_ms) in [(0, 50), (800, 50), (1_600, 100), (2_000, 125), (16_000, 750), (u64::MAX, 750)] {
            let lasted = Duration::from_millis(lasted_ms);
            let pauses: Vec<u128> = (0..200).map(|_| pause_length(lasted).as_millis()).collect();
            let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(
                *longest <= limit_ms && *longest > limit_ms / 2 && *shortest < limit_ms / 2,
                "{lasted_ms} ms: {pauses:?}"
            );
        }
    }

    #[test]
    fn error_replies_are_told_apart_in_plain_words() {
        let table = [
            ("NOAUTH Authentication required.", "a password is required (NOAUTH)"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "user or password rejected (WRONGPASS"),
            ("ERR AUTH <password> called without any password configured", "user or password rejected (ERR AUTH"),
            ("NOPERM this user has no permissions", "the user lacks a permission (NOPERM"),
            ("LOADING Redis is loading the dataset in memory", "it is loading its data (LOADING)"),
            ("ERR max number of clients reached", "it answered with an error (ERR max"),
            ("", "it answered with an error ()"),
            (
                "ERR unknown command 'AUTH', with args beginning with: 'hush' ",
                "it answered with an error (ERR unknown command \\'AUTH\\')",
            ),
        ];
        for (reply, words) in table {
            let error = LinkError::of_reply(reply.as_bytes()).to_string();
            assert!(error.starts_with(words) && !error.contains("hush"), "{reply:?}: {error}");
        }
        assert!(LinkError::of_reply(b"a\x1b[31mb\xff").to_string().is_ascii(), "nothing foreign reaches the terminal");
    }
}
