//! The configuration from outside: arguments and environment in, values, sentences and printed texts out.

mod client;
mod doctor;
mod example;
mod file;
mod host;
mod reload;
mod texts;

use super::host::Host;
use super::secret::Secret;
use super::slow::{SlowPolicies, SlowPolicy};
use super::table::SETTINGS;
use super::{BrokerChoice, Command, Config, from};
use std::ffi::OsString;

/// Runs `fanout` with the words of `arguments` and the `NAME=value` words of `environment` on `host`.
fn run_on(host: &Host, arguments: &str, environment: &str) -> Result<Command, clap::Error> {
    let words = ["fanout"].into_iter().chain(arguments.split_whitespace());
    let words = words.map(|word| OsString::from(word.replace("_empty_", "").replace("_space_", " ")));
    from(words, |name| lookup(environment, name), host)
}

/// A variable among `NAME=value` words.
fn lookup(environment: &str, name: &str) -> Option<String> {
    let mut pairs = environment.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn config_on(host: &Host, arguments: &str, environment: &str) -> Config {
    match run_on(host, arguments, environment) {
        Ok(Command::Serve(config) | Command::Doctor(config, _)) => *config,
        other => panic!("{arguments} {environment}: {other:?}"),
    }
}

fn printed(arguments: &str, environment: &str) -> String {
    match run_on(&Host::pretend(2), &format!("--print-config {arguments}"), environment) {
        Ok(Command::Print(text)) => text,
        other => panic!("{arguments} {environment}: {other:?}"),
    }
}

/// Both lists are of lines `name = value # origin`, with single spaces.
fn check_effective(arguments: &str, environment: &str, expected: &[&str]) {
    let text = printed(arguments, environment);
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "{arguments} {environment}: no `{line}` in\n{text}");
    }
}

fn check_refused(arguments: &str, environment: &str, expected: &str) {
    let error = run_on(&Host::pretend(2), arguments, environment).expect_err(expected);
    assert_eq!(error.exit_code(), 2, "{arguments} {environment}");
    assert_eq!(error.to_string(), format!("error: {expected}\n"), "{arguments} {environment}");
}

/// Arguments, environment, and lines that `--print-config` then holds.
const EFFECTIVE: &[(&str, &str, &[&str])] = &[
    (
        "",
        "",
        &[
            "listen = 127.0.0.1:8084 # default",
            "port = 8084 # default: the port of the listen address",
            "metrics-listen = none # default: none",
            "broker = auto # default",
            "redis-url = none # default: none",
            "redis-host = localhost # default",
            "redis-password = none # default: none",
            "redis-subscribe = patterns # default",
            "redis-linger = 10s # default",
            "shards = 2 # default: one for each core that the broker leaves",
            "cores = 0-1 # default: every core this process may use",
            "broker-core = none # default",
            "outbound-max = 1MiB # default",
            "outbound-total-max = 2GiB # default: a quarter of the memory",
            "slow-policy = close # default",
            "max-connections-per-user = 0 # default",
            "max-connections-per-address = 0 # default",
            "write-timeout = 10s # default",
            "event-ttl = 0s # default",
            "overload-after = 30s # default",
            "trusted-proxies = none # default: none",
            "ping-interval = 54s # default",
            "pong-timeout = 1m # default",
            "auth = none # default",
            "jwt-hs256-secret = none # default: none",
            "jwt-keys = none # default: none",
            "admin-token = none # default: none: direct local requests only",
            "echo-path = off # default: off",
        ],
    ),
    ("", "PORT=9000", &["listen = 127.0.0.1:9000 # default, with the port of environment PORT"]),
    ("--port 9001", "PORT=9000", &["listen = 127.0.0.1:9001 # default, with the port of flag --port"]),
    (
        "--port 9001",
        "LISTEN=0.0.0.0:80",
        &["listen = 0.0.0.0:80 # environment LISTEN", "port = 80 # environment LISTEN, which wins over flag --port"],
    ),
    ("", "METRICS_LISTEN=0.0.0.0:9090", &["metrics-listen = 0.0.0.0:9090 # environment METRICS_LISTEN"]),
    ("--listen [::]:1", "LISTEN=0.0.0.0:80", &["listen = [::]:1 # flag --listen"]),
    ("serve --listen [::]:1", "", &["listen = [::]:1 # flag --listen"]),
    ("--listen [::]:1 serve", "", &["listen = [::]:1 # flag --listen"]),
    ("--port 1 serve --port 2", "PORT=3", &["port = 2 # flag --port"]),
    (
        "",
        "REDIS_HOST=r REDIS_PASSWORD=",
        &["broker = redis # default: chosen by environment REDIS_HOST", "redis-host = r # environment REDIS_HOST"],
    ),
    ("", "REDIS_PASSWORD=", &["broker = auto # default", "redis-password = none # default: none"]),
    ("--redis-password _empty_", "REDIS_PASSWORD=x", &["redis-password = none # flag --redis-password"]),
    (
        "",
        "REDIS_URL=redis://u:p@h:1/2 REDIS_HOST=r REDIS_PASSWORD=q",
        &[
            "broker = redis # default: chosen by environment REDIS_URL",
            "redis-url = redis://u:***@h:1 # environment REDIS_URL",
            "redis-host = h # environment REDIS_URL, which wins over environment REDIS_HOST",
            "redis-port = 1 # environment REDIS_URL",
            "redis-user = u # environment REDIS_URL",
            "redis-password = *** # environment REDIS_URL, which wins over environment REDIS_PASSWORD",
        ],
    ),
    ("", "BROKER_LISTEN=127.0.0.1:7", &["broker = embedded # default: chosen by environment BROKER_LISTEN"]),
    ("--broker redis", "BROKER_LISTEN=127.0.0.1:7", &["broker = redis # flag --broker"]),
    (
        "--redis-linger 1m",
        "REDIS_SUBSCRIBE=channels",
        &["redis-subscribe = channels # environment REDIS_SUBSCRIBE", "redis-linger = 1m # flag --redis-linger"],
    ),
    ("--max-event 2MB", "MAX_EVENT=1MiB", &["max-event = 2000000B # flag --max-event"]),
    ("--ping-interval 0", "", &["ping-interval = 0s # flag --ping-interval"]),
    ("--overload-after 5s", "", &["overload-after = 5s # flag --overload-after"]),
    (
        "",
        "WRITE_TIMEOUT=1m EVENT_TTL=2s",
        &["write-timeout = 1m # environment WRITE_TIMEOUT", "event-ttl = 2s # environment EVENT_TTL"],
    ),
    ("", "OUTBOUND_TOTAL_MAX=1GiB", &["outbound-total-max = 1GiB # environment OUTBOUND_TOTAL_MAX"]),
    (
        "--max-connections-per-user 20",
        "MAX_CONNECTIONS_PER_ADDRESS=30",
        &[
            "max-connections-per-user = 20 # flag --max-connections-per-user",
            "max-connections-per-address = 30 # environment MAX_CONNECTIONS_PER_ADDRESS",
        ],
    ),
    ("--slow-policy flux=latest", "", &["slow-policy = workflow=close,flux=latest # flag --slow-policy"]),
    ("", "TRUSTED_PROXIES=10.0.0.0/8,::1", &["trusted-proxies = 10.0.0.0/8,::1/128 # environment TRUSTED_PROXIES"]),
    (
        "--jwt-keys /etc/keys.json",
        "AUTH=token JWT_HS256_SECRET=12345678901234567890123456789012",
        &[
            "auth = token # environment AUTH",
            "jwt-hs256-secret = *** # environment JWT_HS256_SECRET",
            "jwt-keys = /etc/keys.json # flag --jwt-keys",
        ],
    ),
    ("--cores 1", "", &["shards = 1 # default: one for each core that the broker leaves", "cores = 1 # flag --cores"]),
    ("--shards 5", "", &["shards = 5 # flag --shards"]),
    ("", "LOG_LEVEL=info,fanout=debug", &["log-level = info,fanout=debug # environment LOG_LEVEL"]),
];

#[test]
fn every_value_knows_where_it_came_from() {
    for (arguments, environment, expected) in EFFECTIVE {
        check_effective(arguments, environment, expected);
    }
}

/// Arguments, environment, and the sentence that refuses them.
const REFUSED: &[(&str, &str, &str)] = &[
    ("--lisen 1", "", "--lisen is not known; did you mean --listen?"),
    ("--frobnicate=hush", "", "--frobnicate is not known; fanout --help lists what is"),
    (
        "swerve",
        "",
        "`swerve` is not known; the subcommands are serve, doctor, health, config, token, publish, listen, trace, completions and man",
    ),
    ("--listen", "", "--listen needs a value; fanout --help says which"),
    ("--shards 1 --shards 2", "", "--shards is given twice; give it once"),
    ("--print-config=yes", "", "--print-config takes no value"),
    ("token --shards 1", "", "--shards is not known; fanout --help lists what is"),
    ("completions", "", "<SHELL> is missing; --help says what it may be"),
    ("completions tcsh", "", "<SHELL> is `tcsh`; allowed: bash, elvish, fish, powershell or zsh"),
    ("--listen 8084", "", "--listen is `8084`; allowed: ip:port such as 127.0.0.1:8084 or [::]:8084"),
    ("", "PORT=65536", "PORT is `65536`; allowed: a number from 0 to 65535"),
    ("", "PORT=+1 LISTEN=0.0.0.0:1", "PORT is `+1`; allowed: a number from 0 to 65535"),
    ("--broker kafka", "", "--broker is `kafka`; allowed: auto, redis or embedded"),
    ("--redis-subscribe all", "", "--redis-subscribe is `all`; allowed: patterns or channels"),
    (
        "",
        "REDIS_URL=rediss://u:hush@h",
        "REDIS_URL is ***, but TLS to Redis (rediss://) is not supported yet: run a TLS proxy such as stunnel beside \
             the server and give its redis:// address; allowed: redis://[user[:password]@]host[:port][/db], percent-encoded",
    ),
    (
        "--redis-url /run/redis.sock",
        "",
        "--redis-url is ***, but unix sockets are not supported: let Redis listen on a loopback port and give \
             redis://127.0.0.1:6379; allowed: redis://[user[:password]@]host[:port][/db], percent-encoded",
    ),
    (
        "--broker-listen 127.0.0.1:7",
        "REDIS_PORT=6379",
        "environment REDIS_PORT asks for Redis and flag --broker-listen for the embedded broker; choose with --broker \
             redis or --broker embedded",
    ),
    (
        "--metrics-listen 127.0.0.1:8084",
        "",
        "--listen (LISTEN) and --metrics-listen (METRICS_LISTEN) are both 127.0.0.1:8084; give them two ports",
    ),
    (
        "--listen 127.0.0.1:6379",
        "",
        "--listen (LISTEN) and --broker-listen (BROKER_LISTEN) are both 127.0.0.1:6379; give them two ports",
    ),
    (
        "--workflow-prefix a*",
        "",
        "--workflow-prefix is `a*`; allowed: 1 to 255 bytes without control characters and without * ? [ ] \\",
    ),
    ("--shards 0", "", "--shards is `0`; allowed: a number from 1 to 1024"),
    (
        "--shards 65",
        "",
        "--shards is `65`, but on 2 cores there may be 64 shards at most; allowed: a number from 1 to 1024",
    ),
    ("", "CORES=1-", "CORES is `1-`; allowed: core numbers such as 0,2-3, each once"),
    (
        "--cores 0-2",
        "",
        "--cores is `0-2`, but this process may not use core 2, only 0-1; allowed: core numbers such as 0,2-3, each \
             once",
    ),
    (
        "--broker-core 9",
        "",
        "--broker-core is `9`, but this process may not use core 9, only 0-1; allowed: auto, none or a core number",
    ),
    ("--outbound-max 1", "", "--outbound-max is `1`; allowed: a size from 4KiB to 1GiB such as 64KiB, 1MB or 4096"),
    ("--outbound-max 64K", "", "--outbound-max is `64K`; allowed: a size from 4KiB to 1GiB such as 64KiB, 1MB or 4096"),
    (
        "--ping-interval 1us",
        "",
        "--ping-interval is `1us`; allowed: a duration from 100ms to 24h such as 54s, 100ms or 2m, or 0 for no pings",
    ),
    (
        "--outbound-total-max 1KiB",
        "",
        "--outbound-total-max is `1KiB`; allowed: a size from 1MiB to 1024GiB such as 64KiB, 1MB or 4096",
    ),
    (
        "--slow-policy flux=latest,flux=close",
        "",
        "--slow-policy is `flux=latest,flux=close`; allowed: close, drop-oldest or latest, for all or by protocol such \
             as workflow=close,flux=latest",
    ),
    (
        "",
        "MAX_CONNECTIONS_PER_USER=-1",
        "MAX_CONNECTIONS_PER_USER is `-1`; allowed: a number from 1 to 16777216, or 0 for no limit",
    ),
    (
        "--max-connections-per-address many",
        "",
        "--max-connections-per-address is `many`; allowed: a number from 1 to 16777216, or 0 for no limit",
    ),
    ("--write-timeout 0", "", "--write-timeout is `0`; allowed: a duration from 1s to 1h such as 54s, 100ms or 2m"),
    (
        "--event-ttl 1ms",
        "",
        "--event-ttl is `1ms`; allowed: a duration from 100ms to 24h such as 54s, 100ms or 2m, or 0 for ever",
    ),
    (
        "--overload-after 2h",
        "",
        "--overload-after is `2h`; allowed: a duration from 100ms to 1h such as 54s, 100ms or 2m, or 0 for never",
    ),
    (
        "--trusted-proxies ::ffff:10.0.0.0/104",
        "",
        "--trusted-proxies is `::ffff:10.0.0.0/104`, but ::ffff:10.0.0.0/104 is of IPv4: write it as 10.0.0.0/8; \
             allowed: a comma list of networks and addresses such as 10.0.0.0/8 or ::1",
    ),
    (
        "--allowed-origins https://a/",
        "",
        "--allowed-origins is `https://a/`, but https://a/ ends with a slash, which no browser sends; allowed: * or a \
             comma list of scheme://host[:port]",
    ),
    ("", "ADMIN_TOKEN=tooshort", "ADMIN_TOKEN is ***; allowed: 16 to 512 printable ASCII characters without spaces"),
    ("--auth jwt", "", "--auth is `jwt`; allowed: none or token"),
    (
        "--auth token",
        "",
        "flag --auth asks for tokens, but there is nothing to check them with; set JWT_HS256_SECRET to 32 bytes or \
             more, or --jwt-keys (JWT_KEYS) to a JWKS file",
    ),
    (
        "",
        "JWT_HS256_SECRET=1234567890123456789012345678901",
        "JWT_HS256_SECRET is ***; allowed: 32 bytes or more, such as those of openssl rand -hex 32",
    ),
    (
        "token --sub alice",
        "",
        "fanout token signs with JWT_HS256_SECRET, which is not set; give the server's, of 32 bytes or more",
    ),
    (
        "token",
        "JWT_HS256_SECRET=12345678901234567890123456789012",
        "--sub is missing; name whom the token is for, as in --sub alice",
    ),
    (
        "token --sub alice --expires 0",
        "JWT_HS256_SECRET=12345678901234567890123456789012",
        "--expires is `0`; allowed: a duration of ten years at most, such as 90s or 1h",
    ),
    (
        "--echo-path /admin/echo",
        "",
        "--echo-path is `/admin/echo`, but /admin is taken; allowed: a path such as /echo that is not one of the \
             server's own",
    ),
    (
        "--echo-path echo",
        "",
        "--echo-path is `echo`; allowed: a path such as /echo that is not one of the server's own",
    ),
    (
        "--log-level inof",
        "",
        "--log-level is `inof`; allowed: off, error, warn, info, debug or trace, or tracing directives such as \
             info,fanout::brokers=debug",
    ),
    ("--log-format xml", "", "--log-format is `xml`; allowed: text or json"),
];

#[test]
fn mistakes_are_refused_in_one_sentence() {
    for (arguments, environment, expected) in REFUSED {
        check_refused(arguments, environment, expected);
    }
}

#[test]
fn secrets_show_nowhere() {
    let environment = "REDIS_URL=redis://u:hush-one@h REDIS_PASSWORD=hush-two ADMIN_TOKEN=hush-three-long-enough \
                       AUTH=token JWT_HS256_SECRET=hush-four-is-of-thirty-two-bytes";
    let config = config_on(&Host::pretend(2), "", environment);
    assert_eq!(config.redis.password.as_ref().map(Secret::expose), Some("hush-one"));
    assert_eq!(config.admin_token.as_ref().map(Secret::expose), Some("hush-three-long-enough"));
    for text in [printed("", environment), format!("{config:?}"), format!("{config:#?}")] {
        assert!(!text.contains("hush"), "{text}");
    }
    assert!(!printed("", "REDIS_URL=redis://hush@h").contains("hush"));
    for broken in
        ["REDIS_URL=redis://:hush@h:x", "REDIS_URL=redis://:hush@h?a", "ADMIN_TOKEN=hush", "JWT_HS256_SECRET=hush"]
    {
        let error = run_on(&Host::pretend(2), "", broken).expect_err(broken);
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[test]
fn the_task_is_the_subcommand_or_serving() {
    let host = Host::pretend(2);
    assert!(matches!(run_on(&host, "", ""), Ok(Command::Serve(_))));
    assert!(matches!(run_on(&host, "serve", ""), Ok(Command::Serve(_))));
    assert!(matches!(run_on(&host, "doctor --shards 1", ""), Ok(Command::Doctor(..))));
    assert!(matches!(run_on(&host, "doctor --print-config", ""), Ok(Command::Print(_))));
}

#[test]
fn a_token_is_ordered_by_its_words() {
    let (host, secret) = (Host::pretend(2), "JWT_HS256_SECRET=12345678901234567890123456789012");
    let order = |words: &str| match run_on(&host, &format!("token {words}"), secret) {
        Ok(Command::Token(order)) => (order.subject, order.usernames, order.lifetime.as_secs()),
        other => panic!("{words}: {other:?}"),
    };
    assert_eq!(order("--sub alice"), ("alice".to_owned(), vec![], 3_600));
    let names = vec!["bob".to_owned(), "carol".to_owned()];
    assert_eq!(order("--sub alice --usernames bob,carol --expires 2s"), ("alice".to_owned(), names.clone(), 2));
    assert_eq!(order("--sub alice --usernames _space_bob,_space_carol,,").1, names);
    assert_eq!(order("--sub alice --usernames _empty_").1, [""; 0]);
}

#[test]
fn values_arrive_in_runtime_units() {
    let arguments = "--listen 0.0.0.0:1 --port 2 --max-client-frame 125B --outbound-max 8KiB --max-event 1MB \
                     --ping-interval 0s --pong-timeout 100ms --echo-path /echo --client-messages-per-second 0 \
                     --spin-before-park 2ms --broker-core 0 --overload-after 0 --write-timeout 1s --event-ttl 100ms \
                     --max-connections-per-user 20 --max-connections-per-address 30 --outbound-total-max 1MiB \
                     --slow-policy flux=latest --trusted-proxies 10.0.0.0/8,::1";
    let config = config_on(&Host::pretend(4), arguments, "");
    assert_eq!(config.listen.to_string(), "0.0.0.0:1");
    assert_eq!((config.cores.as_slice(), config.broker_core), ([1, 2, 3].as_slice(), Some(0)));
    assert_eq!(config.limits.client_message_bytes_max, 125);
    assert_eq!(config.limits.outbound_bytes_max, 8192);
    assert_eq!(config.limits.event_bytes_max, 1_000_000);
    assert_eq!(config.limits.client_messages_per_second, 0);
    assert_eq!(config.limits.connections_max, 20_000 - 64 - 4 * 16);
    assert_eq!((config.limits.connections_per_user_max, config.limits.connections_per_address_max), (20, 30));
    assert_eq!(config.limits.outbound_total_bytes_max, 1 << 20);
    assert_eq!(config.limits.slow_policies, SlowPolicies { workflow: SlowPolicy::Close, flux: SlowPolicy::Latest });
    assert_eq!(config.limits.write_timeout.as_secs(), 1);
    assert_eq!(config.limits.event_lifetime.map(|lifetime| lifetime.as_millis()), Some(100));
    assert_eq!(config.overload_after, None);
    assert_eq!(config.trusted_proxies.as_slice().len(), 2);
    assert_eq!(config.heartbeat.ping_interval, None);
    assert_eq!(config.heartbeat.pong_timeout.as_millis(), 100);
    assert_eq!(config.spin_before_park.as_micros(), 2000);
    assert_eq!(config.echo_path.as_deref(), Some("/echo"));
    assert_eq!(config.broker, BrokerChoice::Undecided);
}

#[test]
fn random_arguments_never_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    let host = Host::pretend(2);
    let values =
        ["", "0", "1", "-1", "9999999999999999999999", "1KiB", "5s", "redis://", "é", "*", "/", "0-1", "a=b", "--"];
    for _ in 0..2_000 {
        let words = (0..random.usize(0..4)).flat_map(|_| {
            let flag = SETTINGS[random.usize(0..SETTINGS.len())].flag.unwrap_or("nothing");
            [format!("--{flag}"), values[random.usize(0..values.len())].to_owned()]
        });
        let words: Vec<OsString> = ["fanout".to_owned()].into_iter().chain(words).map(OsString::from).collect();
        let value = values[random.usize(0..values.len())];
        let name = SETTINGS[random.usize(0..SETTINGS.len())].environment;
        let _ = from(words.into_iter(), |asked| (Some(asked) == name).then(|| value.to_owned()), &host);
    }
}
