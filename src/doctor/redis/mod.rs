//! The Redis that events come from: whether it is there, lets us in, and keeps what a busy server has not read yet.

mod conversation;

use crate::config::{Check, Config, RedisAddress, RedisSubscribe};
use crate::server::redis_patterns;
use conversation::{Conversation, Trouble, texts};
use redis_protocol::resp2::types::BytesFrame;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What Redis keeps by default for a subscriber that does not read: at once, and for a minute (`redis.conf`). Beyond it
/// the subscriber is cut off, and what it has missed is lost.
const BUFFER: Limit = Limit { hard: 32 << 20, soft: 8 << 20, seconds: 60 };

/// Pings, of which the median counts.
const PINGS: usize = 5;

/// A way to Redis that takes longer than this is most of what a client waits for.
const PING_MAX: Duration = Duration::from_millis(5);

/// What a slow subscriber may leave unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    /// Bytes; 0 is any number.
    hard: u64,
    /// Bytes for so many seconds; 0 is any number.
    soft: u64,
    seconds: u64,
}

/// What was found, in the order of the questions; the first without an answer is the last.
pub(super) fn report(config: &Config) -> Vec<Check> {
    let mut conversation = match Conversation::open(&config.redis) {
        Ok(conversation) => conversation,
        Err(trouble) => return vec![unreachable(&config.redis, &trouble)],
    };
    let mut checks = Vec::new();
    if let Err(error) = ask_all(config, &mut conversation, &mut checks) {
        let cure = "look at its log, and whether a proxy stands between";
        checks.push(Check::warning("redis answers", format!("not any more: {error}"), cure));
    }
    checks
}

fn ask_all(config: &Config, conversation: &mut Conversation, checks: &mut Vec<Check>) -> io::Result<()> {
    checks.push(way(&config.redis, conversation)?);
    checks.push(buffer(&conversation.ask(&["CONFIG", "GET", "client-output-buffer-limit"])?));
    checks.extend(keepalive(&conversation.ask(&["CONFIG", "GET", "tcp-keepalive"])?));
    checks.push(channels(config, conversation)?);
    checks.push(canary(&config.redis, conversation)?);
    Ok(())
}

/// The version of the fanout whose broker listens there, if one does.
pub(super) fn broker_version(address: SocketAddr) -> Option<String> {
    let broker = RedisAddress { host: address.ip().to_string(), port: address.port(), username: None, password: None };
    let answer = Conversation::open(&broker).ok()?.ask(&["INFO", "server"]).ok()?;
    in_info(&answer, "fanout_version:")
}

fn unreachable(redis: &RedisAddress, trouble: &Trouble) -> Check {
    let what = "redis";
    match trouble {
        Trouble::Unknown(error) => {
            Check::failure(what, format!("{} has no address: {error}", redis.host), "name another with --redis-url")
        }
        Trouble::Unreachable(error) => Check::failure(
            what,
            format!("nobody answers at {redis}: {error}"),
            "start it, or name another with --redis-url; `--broker embedded` needs none",
        ),
        Trouble::Denied(words) if words.starts_with("LOADING") => {
            Check::warning(what, format!("{redis} is not ready: {words}"), "wait: a server does, too")
        }
        Trouble::Denied(words) => Check::failure(
            what,
            format!("{redis} does not let us in: {words}"),
            "give its password with REDIS_PASSWORD, and its user with --redis-user if it has one",
        ),
    }
}

fn way(redis: &RedisAddress, conversation: &mut Conversation) -> io::Result<Check> {
    let what = "redis";
    let version = version(&conversation.ask(&["INFO", "server"])?);
    let mut pings: Vec<Duration> = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let start = Instant::now();
        conversation.ask(&["PING"])?;
        pings.push(start.elapsed());
    }
    pings.sort_unstable();
    let median = pings[PINGS / 2];
    let detail = format!("{version} at {redis} answers in {} µs", median.as_micros());
    Ok(if median > PING_MAX {
        Check::warning(what, detail, "bring it nearer: every event takes this way")
    } else {
        Check::fine(what, detail)
    })
}

/// From `INFO server`; a user that may not ask sees no version.
fn version(answer: &BytesFrame) -> String {
    match (in_info(answer, "fanout_version:"), in_info(answer, "redis_version:")) {
        (Some(version), _) => format!("the broker of a fanout {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "a Redis".to_owned(),
    }
}

/// What stands behind this name in `INFO`.
fn in_info(answer: &BytesFrame, name: &str) -> Option<String> {
    let info = String::from_utf8_lossy(texts(answer).first()?).into_owned();
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

fn buffer(answer: &BytesFrame) -> Check {
    let (what, operator) = ("redis buffer", "redis-cli CONFIG SET client-output-buffer-limit \"pubsub 32mb 8mb 60\"");
    let texts = texts(answer);
    let limit = texts.get(1).and_then(|text| Limit::of_subscribers(&String::from_utf8_lossy(text)));
    match limit {
        Some(limit) if limit.is_enough() => Check::fine(what, limit.to_string()),
        Some(limit) => Check::warning(what, format!("{limit}: a burst cuts the server off, and is lost"), operator),
        None => Check::warning(
            what,
            "we may not ask how much it keeps for a subscriber that is behind",
            format!("ask whoever runs it for 32 MB at least: {operator}"),
        ),
    }
}

impl Limit {
    /// Reads `normal 0 0 0 … pubsub 33554432 8388608 60`.
    fn of_subscribers(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().skip_while(|word| *word != "pubsub").skip(1);
        let mut number = || words.next()?.parse().ok();
        Some(Self { hard: number()?, soft: number()?, seconds: number()? })
    }

    const fn is_enough(self) -> bool {
        let hard = self.hard == 0 || self.hard >= BUFFER.hard;
        let soft = self.soft == 0 || (self.soft >= BUFFER.soft && self.seconds >= BUFFER.seconds);
        hard && soft
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { hard, soft, seconds } = self;
        write!(f, "keeps {hard} bytes for a subscriber, {soft} for {seconds} s (0 is any number)")
    }
}

/// Whether Redis finds out that a server is gone whose machine has failed. Its `timeout` does no harm: a stamp goes over
/// each connection every second.
fn keepalive(answer: &BytesFrame) -> Option<Check> {
    let what = "redis keepalive";
    let seconds = texts(answer).get(1).and_then(|text| str::from_utf8(text).ok()?.parse::<u64>().ok())?;
    Some(if seconds == 0 {
        let cure = "redis-cli CONFIG SET tcp-keepalive 300";
        Check::warning(what, "off: connections of failed machines stay, with their buffers", cure)
    } else {
        Check::fine(what, format!("after {seconds} s"))
    })
}

/// Whether its access rules allow what this server will follow.
fn channels(config: &Config, conversation: &mut Conversation) -> io::Result<Check> {
    let (what, patterns) = ("redis channels", redis_patterns(config));
    for pattern in &patterns {
        let answer = match config.redis_subscribe {
            RedisSubscribe::Patterns => conversation.ask(&["PSUBSCRIBE", pattern])?,
            RedisSubscribe::Channels => conversation.ask(&["SUBSCRIBE", &pattern.replace('*', "fanout-doctor")])?,
        };
        if let BytesFrame::Error(words) = answer {
            let user = config.redis.username.as_deref().unwrap_or("default");
            let all: Vec<String> = patterns.iter().map(|pattern| format!("'&{pattern}'")).collect();
            let cure = format!(
                "redis-cli ACL SETUSER {user} +psubscribe +subscribe +unsubscribe +publish +ping {} \
                 '&fanout:canary:*'",
                all.join(" ")
            );
            return Ok(Check::failure(what, format!("{pattern} cannot be followed: {words}"), cure));
        }
    }
    Ok(Check::fine(what, format!("{} can be followed", patterns.join(", "))))
}

/// Whether what one connection publishes comes to another one, as the server proves it every second.
fn canary(redis: &RedisAddress, conversation: &mut Conversation) -> io::Result<Check> {
    let (what, user) = ("redis canary", redis.username.as_deref().unwrap_or("default"));
    let cure = format!("redis-cli ACL SETUSER {user} +publish '&fanout:canary:*'");
    let channel = format!("fanout:canary:doctor-{}", Uuid::new_v4());
    if let BytesFrame::Error(words) = conversation.ask(&["SUBSCRIBE", &channel])? {
        return Ok(Check::warning(what, format!("the stamp's channel cannot be followed: {words}"), cure));
    }
    let mut publisher = match Conversation::open(redis) {
        Ok(publisher) => publisher,
        Err(trouble) => return Ok(unreachable(redis, &trouble)),
    };
    let start = Instant::now();
    if let BytesFrame::Error(words) = publisher.ask(&["PUBLISH", &channel, "a stamp"])? {
        return Ok(Check::warning(what, format!("the stamp cannot be published: {words}"), cure));
    }
    Ok(match conversation.hear(|frame| texts(frame).iter().any(|text| *text == channel)) {
        Ok(_) => Check::fine(what, format!("what is published comes back, after {} µs", start.elapsed().as_micros())),
        Err(error) => Check::failure(
            what,
            format!("what is published does not come back: {error}"),
            "see whether the address leads to one Redis: a proxy may send each connection to another",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Verdict, host::Host};
    use crate::doctor::tests::config;
    use bytes::Bytes;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    /// What a Redis here is configured like that answers so to each command, and to what it does not know with nothing.
    fn beside(answers: &'static [(&'static str, &'static str)]) -> Config {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut chunk = [0; 4096];
                    // Whoever asks waits for the answer: one read is one command.
                    while let Ok(length @ 1..) = socket.read(&mut chunk) {
                        let asked = String::from_utf8_lossy(&chunk[..length]);
                        let answer = answers.iter().find(|(word, _)| asked.contains(word)).map_or("", |found| found.1);
                        socket.write_all(answer.as_bytes())?;
                    }
                    io::Result::Ok(())
                });
            }
        });
        config(&Host::pretend(2), &format!("--redis-url redis://127.0.0.1:{port}"))
    }

    #[test]
    fn an_event_in_front_of_a_refusal_does_not_hide_it() {
        let config = beside(&[
            ("PING", "+PONG\r\n"),
            ("flux", "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\nb\r\n-NOPERM no access\r\n"),
            ("SUBSCRIBE", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n"),
        ]);
        let mut conversation = Conversation::open(&config.redis).expect("it answers");
        let check = channels(&config, &mut conversation).expect("it answers");
        assert!(check.verdict == Verdict::Failure && check.detail.starts_with("flux:"), "{check}");
    }

    #[test]
    fn a_stamp_that_does_not_come_back_is_a_failure() {
        let config = beside(&[
            ("PING", "+PONG\r\n"),
            ("SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"),
            ("PUBLISH", ":0\r\n"),
        ]);
        let mut conversation = Conversation::open(&config.redis).expect("it answers");
        let check = canary(&config.redis, &mut conversation).expect("it answers");
        assert_eq!(check.verdict, Verdict::Failure, "{check}");
    }

    #[test]
    fn after_a_question_without_an_answer_nothing_is_asked() {
        let checks = report(&beside(&[("PING", "+PONG\r\n")]));
        assert_eq!(checks.len(), 1, "{checks:?}");
        assert_eq!((checks[0].what, checks[0].verdict), ("redis answers", Verdict::Warning));
    }

    fn answer(words: &[&str]) -> BytesFrame {
        BytesFrame::Array(words.iter().map(|word| BytesFrame::BulkString(Bytes::from(word.to_string()))).collect())
    }

    #[test]
    fn a_buffer_below_redis_own_default_is_a_warning() {
        let table = [
            ("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", Verdict::Fine, "33554432 bytes"),
            ("pubsub 0 0 0", Verdict::Fine, "0 is any number"),
            ("pubsub 67108864 0 0", Verdict::Fine, ""),
            ("pubsub 1048576 8388608 60", Verdict::Warning, "1048576 bytes"),
            ("pubsub 33554432 1048576 60", Verdict::Warning, ""),
            ("pubsub 33554432 8388608 5", Verdict::Warning, ""),
            ("normal 0 0 0", Verdict::Warning, "we may not ask"),
            ("pubsub 1", Verdict::Warning, "we may not ask"),
        ];
        for (limits, verdict, word) in table {
            let check = buffer(&answer(&["client-output-buffer-limit", limits]));
            assert_eq!(check.verdict, verdict, "{limits}: {check}");
            assert!(check.detail.contains(word), "{limits}: {check}");
        }
        let forbidden = BytesFrame::Error("NOPERM this user has no permissions".into());
        assert!(buffer(&forbidden).cure.starts_with("ask whoever runs it"), "{}", buffer(&forbidden));
    }

    #[test]
    fn whoever_answers_is_named() {
        let table = [
            ("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n", "Redis 7.0.15"),
            ("# Server\r\nredis_version:7.4.0\r\nfanout_version:0.1.0\r\n", "the broker of a fanout 0.1.0"),
            ("", "a Redis"),
        ];
        for (info, expected) in table {
            assert_eq!(version(&BytesFrame::BulkString(Bytes::from(info))), expected, "{info}");
        }
        assert_eq!(version(&BytesFrame::Error("NOPERM".into())), "a Redis");
    }

    #[test]
    fn who_is_not_reached_is_a_failure_that_hides_the_password() {
        let redis = RedisAddress::parse_url("redis://user:hush@h").expect("a URL");
        let broken = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let denied = Trouble::Denied("WRONGPASS invalid username-password pair".to_owned());
        for trouble in [Trouble::Unknown(broken()), Trouble::Unreachable(broken()), denied] {
            let check = unreachable(&redis, &trouble);
            assert_eq!(check.verdict, Verdict::Failure, "{check}");
            assert!(!check.cure.is_empty() && !check.to_string().contains("hush"), "{check}");
        }
    }
}
