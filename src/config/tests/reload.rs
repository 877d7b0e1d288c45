//! A new reading: what it changes, what it keeps, and that a mistake in it changes nothing.

use super::super::{Config, Key, Reload, SETTINGS, command::Typed, reload};
use super::file::Scratch;
use super::{Host, config_on};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// Reads a file that holds `before`, and again with `after` in it.
fn reread(before: &str, after: &str, environment: &str) -> (Config, Result<Reload, String>) {
    let (host, file) = (Host::pretend(2), Scratch::of(before));
    let in_force = config_on(&host, &file.flag(), environment);
    file.write(after);
    let words = format!("fanout {}", file.flag());
    let typed = Typed::read(words.split(' ').map(OsString::from)).expect("two words");
    let outcome = reload(&typed, |name| super::lookup(environment, name), &in_force, &host);
    (in_force, outcome)
}

/// For each setting a value that is not its default, as TOML.
const OTHERS: &[(Key, &str)] = &[
    (Key::Port, "1"),
    (Key::Listen, "'0.0.0.0:8084'"),
    (Key::Broker, "'redis'"),
    (Key::RedisHost, "'r'"),
    (Key::RedisPort, "1"),
    (Key::RedisUser, "'u'"),
    (Key::RedisPassword, "'p'"),
    (Key::RedisSubscribe, "'channels'"),
    (Key::RedisLinger, "'1s'"),
    (Key::MetricsListen, "'127.0.0.1:2'"),
    (Key::BrokerListen, "'127.0.0.1:1'"),
    (Key::WorkflowPrefix, "'w'"),
    (Key::ChannelPrefix, "'c'"),
    (Key::FluxBasePath, "'/f'"),
    (Key::FluxBroadcast, "'deny'"),
    (Key::FluxChannels, "'a*'"),
    (Key::Shards, "1"),
    (Key::Cores, "1"),
    (Key::BrokerCore, "1"),
    (Key::SpreadAbove, "1"),
    (Key::SpinBeforePark, "'1ms'"),
    (Key::ClientMessagesPerSecond, "1"),
    (Key::MaxClientFrame, "125"),
    (Key::OutboundMax, "4096"),
    (Key::OutboundTotalMax, "'1MiB'"),
    (Key::SlowPolicy, "'latest'"),
    (Key::MaxEvent, "1024"),
    (Key::MaxConnections, "1"),
    (Key::MaxConnectionsPerUser, "1"),
    (Key::MaxConnectionsPerAddress, "1"),
    (Key::MaxChannels, "1"),
    (Key::PingInterval, "0"),
    (Key::PongTimeout, "'1s'"),
    (Key::WriteTimeout, "'1s'"),
    (Key::EventTtl, "'1s'"),
    (Key::OverloadAfter, "0"),
    (Key::DrainWindow, "0"),
    (Key::AllowedOrigins, "['https://a']"),
    (Key::TrustedProxies, "['::1']"),
    (Key::Auth, "'token'\njwt-keys = '/k'"),
    (Key::JwtHs256Secret, "'12345678901234567890123456789012'"),
    (Key::JwtKeys, "'/k'"),
    (Key::AdminToken, "'sixteen-letters-'"),
    (Key::LogLevel, "'debug'"),
    (Key::LogFormat, "'json'"),
    (Key::EchoPath, "'/e'"),
];

#[test]
fn each_setting_changes_while_the_server_runs_or_says_that_it_needs_a_restart() {
    for (key, value) in OTHERS {
        let name = key.setting().name();
        let (_, outcome) = reread("", &format!("{name} = {value}"), "");
        let Reload { changed, kept, .. } = outcome.expect("a good file");
        let is_named =
            |lines: &[String], mark: char| lines.iter().any(|line| line.starts_with(&format!("{name}{mark}")));
        assert_eq!(is_named(&changed, ' '), key.is_live(), "{name}: {changed:?}");
        assert_eq!(is_named(&kept, ':'), !key.is_live(), "{name}: {kept:?}");
        assert!(!key.is_live() || (changed.len(), kept.len()) == (1, 0), "{name}: {changed:?} {kept:?}");
    }
    let missing: BTreeSet<String> = SETTINGS
        .iter()
        .filter(|setting| setting.is_in_file() && !OTHERS.iter().any(|(key, _)| *key == setting.key))
        .map(super::super::Setting::name)
        .collect();
    // What these stand for is compared.
    assert_eq!(missing, BTreeSet::from(["profile", "redis-url"].map(str::to_owned)));
}

/// File before and after, environment, what changes, what stays.
type Change = (&'static str, &'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const CHANGES: &[Change] = &[
    ("port = 1", "# other words\nport = 1", "", &[], &[]),
    ("port = 1", "port = 2", "", &[], &["port: needs a restart, stays 1"]),
    ("port = 1", "port = 2", "PORT=3", &[], &[]),
    ("", "profile = 'flux'", "", &[], &["port: needs a restart, stays 8084"]),
    ("max-channels = 7", "", "", &["max-channels 7 → 128"], &[]),
    ("max-channels = 7", "", "MAX_CHANNELS=9", &[], &[]),
    ("", "event-ttl = '5s'\nlog-level = 'debug'", "", &["event-ttl 0s → 5s", "log-level info → debug"], &[]),
    ("admin-token = 'sixteen-letters-'", "admin-token = 'sixteen-letters+'", "", &["admin-token *** → ***"], &[]),
    ("admin-token = 'sixteen-letters-'", "", "", &["admin-token *** → none"], &[]),
    (
        "redis-url = 'redis://h:1'",
        "redis-url = 'redis://:p@i:1'",
        "",
        &[],
        &["redis-host: needs a restart, stays h", "redis-password: needs a restart, stays none"],
    ),
    // What a URL has for its user may be a password.
    ("redis-url = 'redis://hush@h'", "redis-host = 'h'", "", &[], &["redis-user: needs a restart, stays ***"]),
    // Were the secret gone at once nobody could come in any more.
    (
        "auth = 'token'\njwt-hs256-secret = '12345678901234567890123456789012'",
        "auth = 'token'\njwt-keys = '/k'",
        "",
        &[],
        &["jwt-hs256-secret: needs a restart, stays ***", "jwt-keys: needs a restart, stays none"],
    ),
];

#[test]
fn what_changes_is_named_with_both_values_and_what_stays_with_its_own() {
    for (before, after, environment, changed, kept) in CHANGES {
        let outcome = reread(before, after, environment).1.expect("a good file");
        assert_eq!(outcome.changed, *changed, "{after}");
        assert_eq!(outcome.kept, *kept, "{after}");
    }
}

#[test]
fn what_changed_is_in_force_and_nothing_else() {
    let after = "port = 2\nmax-channels = 7\nmax-event = 1024\nlog-level = 'debug'\nlog-format = 'json'";
    let (in_force, outcome) = reread("port = 1", after, "");
    let config = outcome.expect("a good file").config;
    assert_eq!((config.limits.topics_per_connection_max, config.log.filter.as_str()), (7, "debug"));
    assert_eq!(config.limits.event_bytes_max, in_force.limits.event_bytes_max);
    assert_eq!((config.listen, config.log.format), (in_force.listen, in_force.log.format));
}

#[test]
fn a_mistake_is_the_same_sentence_as_at_the_start() {
    for (after, expected) in [
        ("max-channels = 0", ":1: max-channels is `0`; allowed: a number from 1 to 4096"),
        ("max-chanels = 1", ":1: `max-chanels` is not known; did you mean `max-channels`?"),
        ("max-connections = 1000000", "open files: 20000 allowed"),
    ] {
        let sentence = reread("", after, "").1.expect_err(after);
        assert!(sentence.contains(expected), "{sentence}");
    }
}
