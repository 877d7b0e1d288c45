//! `fanout doctor`: what it says about this machine, and what its exit code means.

mod proxy;
#[path = "commands/tls_proxy.rs"]
mod tls_proxy;

use loadtest::{Launch, Redis, Server, binary, free_port};
use proxy::Proxy;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use tls_proxy::TlsProxy;

/// What was examined: verdict, what was found and the cure, by name.
struct Examination {
    code: Option<i32>,
    checks: BTreeMap<String, [String; 3]>,
    all: Value,
}

impl Examination {
    fn of(words: &str) -> Self {
        Self::through(&[], words)
    }

    /// Starts through another program, such as `prlimit`.
    fn through(wrapper: &[&str], words: &str) -> Self {
        let output = command(wrapper, words).arg("--json").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let all: Value = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
        let checks = all["checks"].as_array().unwrap().iter().map(|check| {
            let word = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
            (word("name"), ["verdict", "found", "cure"].map(word))
        });
        Self { code: output.status.code(), checks: checks.collect(), all }
    }

    /// This check has this verdict, and says these words as what was found or as the cure.
    fn check(&self, name: &str, verdict: &str, words: &[&str]) {
        let [found_verdict, found, cure] =
            self.checks.get(name).unwrap_or_else(|| panic!("no {name} in {:#}", self.all));
        assert_eq!(found_verdict, verdict, "{name}: {found}; {cure}");
        for word in words {
            assert!(found.contains(word) || cure.contains(word), "{name}: no {word:?} in {found}; {cure}");
        }
        assert_eq!(cure.is_empty(), verdict == "ok", "{name}: {cure}");
    }
}

fn command(wrapper: &[&str], words: &str) -> Command {
    let binary = binary().to_str().unwrap();
    let line: Vec<&str> = wrapper.iter().copied().chain([binary, "doctor"]).chain(words.split_whitespace()).collect();
    let mut command = Command::new(line[0]);
    command.args(&line[1..]).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A server of its own on free ports of this machine.
fn alone() -> String {
    let [clients, broker] = [(); 2].map(|()| free_port());
    format!("--listen 127.0.0.1:{clients} --broker embedded --broker-listen 127.0.0.1:{broker} --max-connections 100")
}

/// Those of a server that is its own broker.
fn settings(server: &Server) -> String {
    format!("--listen {} --broker embedded --broker-listen {}", server.address, server.broker)
}

#[test]
fn a_server_that_can_start_is_fine() {
    let examination = Examination::of(&alone());
    assert_eq!(examination.code, Some(0), "{:#}", examination.all);
    for name in ["kernel", "io_uring", "locked memory", "cores", "clients", "listen", "broker-listen"] {
        examination.check(name, "ok", &[]);
    }
    assert_eq!(examination.all["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn people_read_what_programs_read() {
    let alone = alone();
    let (_, broker) = alone.split_once(" --broker").unwrap();
    let words = format!("--listen 0.0.0.0:{} --broker{broker}", free_port());
    let examination = Examination::of(&words);
    let output = command(&[], &words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), examination.code);
    assert!(!text.contains('\x1b'), "colours are for terminals: {text}");
    for (name, [verdict, found, cure]) in &examination.checks {
        let is_named = |line: &&str| line.get(8..).is_some_and(|rest| rest.trim_start().starts_with(name));
        let line = text.lines().filter(is_named).find(|line| line.starts_with(verdict));
        assert!(line.is_some_and(|line| line.ends_with(found)), "{name}: {verdict} {found} is not in\n{text}");
        assert!(text.contains(cure), "no {cure} in\n{text}");
    }
    examination.check("clients", "warning", &["--auth token"]);
}

#[test]
fn a_report_that_nobody_reads_is_no_defect() {
    for form in ["", "--json"] {
        let mut command = command(&[], &format!("{} {form}", alone()));
        let mut doctor = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(doctor.stdout.take());
        let outcome = doctor.wait_with_output().unwrap();
        assert_eq!((outcome.status.code(), outcome.stderr), (Some(0), Vec::new()), "{form}");
    }
}

#[test]
fn a_port_that_is_taken_is_a_failure_and_says_by_whom() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let examination = Examination::of(&format!("--listen {address} --broker embedded --broker-listen 127.0.0.1:0"));
    assert_eq!(examination.code, Some(1));
    let process = format!("(process {})", std::process::id());
    examination.check("listen", "failure", &[&process, &address.to_string(), "--listen"]);
    let examination = Examination::of(&format!("--broker embedded --broker-listen {address} --listen 127.0.0.1:0"));
    examination.check("broker-listen", "failure", &[&process, "--redis-url"]);
}

#[test]
fn a_server_that_runs_already_is_recognised() {
    let metrics = format!("127.0.0.1:{}", free_port());
    let server = Launch::embedded().option("--metrics-listen", &metrics).start().unwrap();
    let examination = Examination::of(&format!("{} --metrics-listen {metrics}", settings(&server)));
    for name in ["listen", "broker-listen", "metrics-listen"] {
        examination.check(name, "ok", &["fanout", env!("CARGO_PKG_VERSION"), "serves"]);
    }
}

#[test]
fn a_redis_where_the_broker_is_to_listen_is_not_taken_for_the_fanout_beside_it() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let words = format!("--listen {} --broker embedded --broker-listen {}", server.address, redis.address());
    let examination = Examination::of(&words);
    examination.check("listen", "ok", &["serves"]);
    examination.check("broker-listen", "failure", &["redis-server", "--redis-url"]);
}

#[test]
fn too_few_open_files_are_a_warning_that_strictness_does_not_forgive() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: prlimit is not installed");
        return;
    }
    let (words, limits) = (alone(), ["prlimit", "--nofile=512:1024"]);
    let words = words.replace("--max-connections 100", "--shards 1");
    let examination = Examination::through(&limits, &words);
    examination.check("open files", "warning", &["1024 allowed, raised from 512", "LimitNOFILE="]);
    assert_eq!(examination.code, Some(0));
    assert_eq!(Examination::through(&limits, &format!("{words} --strict")).code, Some(1));
    let examination = Examination::through(&limits, &format!("{words} --max-connections 5000"));
    examination.check("open files", "failure", &["lower --max-connections"]);
    assert_eq!(examination.code, Some(1));
}

/// A server on a free port that is to subscribe to a Redis there.
fn beside(redis: &Redis, credentials: &str) -> String {
    format!("--listen 127.0.0.1:{} --redis-url redis://{credentials}{}", free_port(), redis.address())
}

#[test]
fn a_redis_as_it_comes_is_fine() {
    let redis = Redis::start().unwrap();
    let examination = Examination::of(&beside(&redis, ""));
    assert_eq!(examination.code, Some(0), "{:#}", examination.all);
    for name in ["redis", "redis buffer", "redis keepalive", "redis channels", "redis canary"] {
        examination.check(name, "ok", &[]);
    }
    examination.check("redis channels", "ok", &["workflow:events:*", "flux:*"]);
    Examination::of(&format!("{} --redis-subscribe channels", beside(&redis, ""))).check("redis channels", "ok", &[]);
}

#[test]
fn a_redis_that_is_not_there_is_a_failure_unless_nobody_has_asked_for_one() {
    let redis = Redis::stopped();
    let examination = Examination::of(&beside(&redis, ""));
    assert_eq!(examination.code, Some(1));
    examination.check("redis", "failure", &[&redis.address().to_string(), "--redis-url"]);
    let words =
        format!("--broker auto --redis-host 127.0.0.1 --redis-port {} --listen 127.0.0.1:0", redis.address().port());
    Examination::of(&words).check("redis", "failure", &["--redis-url"]);
}

#[test]
fn a_redis_that_wants_another_password_is_a_failure() {
    let mut redis = Redis::stopped_with_password("correct-horse");
    redis.restart().unwrap();
    for (credentials, words) in [("", "NOAUTH"), (":wrong-horse@", "WRONGPASS")] {
        let examination = Examination::of(&beside(&redis, credentials));
        examination.check("redis", "failure", &[words, "REDIS_PASSWORD"]);
        assert!(!examination.all.to_string().contains("horse"), "{:#}", examination.all);
    }
    Examination::of(&beside(&redis, ":correct-horse@")).check("redis", "ok", &[]);
}

#[test]
fn a_redis_that_keeps_little_for_who_is_behind_is_a_warning() {
    let redis = Redis::start().unwrap();
    let mut operator = redis.publisher().unwrap();
    operator.command(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 60"]).unwrap();
    operator.command(&["CONFIG", "SET", "tcp-keepalive", "0"]).unwrap();
    let examination = Examination::of(&beside(&redis, ""));
    examination.check("redis buffer", "warning", &["1048576", "CONFIG SET client-output-buffer-limit"]);
    examination.check("redis keepalive", "warning", &["CONFIG SET tcp-keepalive"]);
    assert_eq!(examination.code, Some(0));
}

#[test]
fn a_redis_whose_rules_forbid_something_is_judged_by_what_it_is() {
    let redis = Redis::start().unwrap();
    let mut operator = redis.publisher().unwrap();
    let mut allow = |rules: &str| {
        let words: Vec<&str> =
            ["ACL", "SETUSER", "bob", "on", ">pw", "reset", "on", ">pw"].into_iter().chain(rules.split(' ')).collect();
        operator.command(&words).unwrap();
    };
    allow("+psubscribe +subscribe +publish +ping &workflow:events:* &flux:*");
    let examination = Examination::of(&beside(&redis, "bob:pw@"));
    examination.check("redis buffer", "warning", &["ask whoever runs it"]);
    examination.check("redis channels", "ok", &[]);
    examination.check("redis canary", "warning", &["ACL SETUSER bob", "&fanout:canary:*"]);
    assert_eq!(examination.code, Some(0));
    allow("+psubscribe +subscribe +publish +ping &workflow:events:*");
    let examination = Examination::of(&beside(&redis, "bob:pw@"));
    examination.check("redis channels", "failure", &["flux:*", "ACL SETUSER bob"]);
    assert_eq!(examination.code, Some(1));
}

#[test]
fn clients_come_through_every_proxy_of_deploy_as_themselves_and_stay() {
    let trust = "--trusted-proxies";
    let server = Launch::embedded().option(trust, "127.0.0.1").option("--ping-interval", "1s").start().unwrap();
    for proxy in [Proxy::nginx, Proxy::caddy, Proxy::haproxy] {
        let proxy = proxy(&[&server; 3]);
        let through = format!("--through http://{} --patience 3s", proxy.address);
        let examination = Examination::of(&format!("{} {trust} 127.0.0.1 {through}", settings(&server)));
        examination.check("proxy upgrade", "ok", &[]);
        examination.check("proxy server", "ok", &[env!("CARGO_PKG_VERSION")]);
        examination.check("proxy delay", "ok", &["an event arrives"]);
        examination.check("proxy addresses", "ok", &["127.0.0.1"]);
        examination.check("proxy silence", "ok", &["still connected after 3"]);
        assert_eq!(examination.code, Some(0), "{:#}", examination.all);
    }
}

#[test]
fn a_proxy_that_cuts_who_is_silent_is_a_failure() {
    let server = Launch::embedded().start().unwrap();
    let impatient = [("proxy_read_timeout 120s;", "proxy_read_timeout 1s;")];
    let proxy = Proxy::nginx_with(&[&server; 3], &impatient);
    let words = format!("{} --through http://{}", settings(&server), proxy.address);
    let examination = Examination::of(&words);
    examination.check("proxy silence", "failure", &["cut after", "0 pings", "the 54s", "proxy_read_timeout"]);
    examination.check("proxy addresses", "warning", &["--trusted-proxies 127.0.0.1"]);
    assert_eq!(examination.code, Some(1));
    let output = command(&[], &words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("waiting in silence behind the proxy: 75 s left\n"), "{said}");
    let examination = Examination::of(&format!("{words} --patience 0"));
    assert!(!examination.checks.contains_key("proxy silence"), "{:#}", examination.all);
    assert_eq!(examination.code, Some(0));
}

#[test]
fn a_proxy_that_keeps_the_upgrade_to_itself_is_a_failure() {
    let server = Launch::embedded().start().unwrap();
    let proxy = Proxy::nginx_with(&[&server; 3], &[("proxy_set_header Upgrade $http_upgrade;", "")]);
    let examination = Examination::of(&format!("{} --through http://{}", settings(&server), proxy.address));
    examination.check("proxy upgrade", "failure", &["answers 426", "proxy_set_header Upgrade $http_upgrade"]);
    assert_eq!(examination.code, Some(1));
    let examination = Examination::of(&format!("{} --through ws://127.0.0.1:{}", settings(&server), free_port()));
    examination.check("proxy upgrade", "failure", &["refused", "start the proxy"]);
}

#[test]
fn a_proxy_with_a_certificate_is_believed_where_somebody_vouches_for_it() {
    let server = Launch::embedded().start().unwrap();
    let proxy = TlsProxy::start(server.address);
    let words = format!("{} --through https://localhost:{}/events --patience 0", settings(&server), proxy.port);
    let trust = format!("SSL_CERT_FILE={}", proxy.root.display());
    let examination = Examination::through(&["env", &trust], &words);
    for name in ["proxy upgrade", "proxy server", "proxy delay"] {
        examination.check(name, "ok", &[]);
    }
    Examination::of(&words).check("proxy upgrade", "failure", &["SSL_CERT_FILE"]);
}

#[test]
fn a_proxy_is_tried_with_a_token_where_tokens_are_asked_for() {
    let (variable, secret) = ("JWT_HS256_SECRET", "a secret of 32 bytes that nobody may read");
    let server = Launch::embedded().option("--auth", "token").variable(variable, secret).start().unwrap();
    let words = format!("{} --auth token --through http://{} --patience 0", settings(&server), server.address);
    let with_secret = format!("{variable}={secret}");
    let examination = Examination::through(&["env", &with_secret], &words);
    examination.check("proxy upgrade", "ok", &[]);
    examination.check("proxy delay", "ok", &["an event arrives"]);
    assert!(!examination.all.to_string().contains(secret), "{:#}", examination.all);
    let other = format!("{variable}={}", secret.to_uppercase());
    let examination = Examination::through(&["env", &other], &words);
    examination.check("proxy upgrade", "failure", &["answers 401", variable]);
}

#[test]
fn a_measurement_says_what_a_send_costs_and_what_clients_will() {
    let words = format!("{} --capacity=300ms --clients 5000 --rate 20 --bytes 1KiB", alone());
    let examination = Examination::of(&words);
    let figure = |name: &str| examination.all["capacity"][name].as_f64().unwrap_or_else(|| panic!("no {name}"));
    for (name, expected) in [("clients", 5000.0), ("rate", 20.0), ("event_bytes", 1024.0)] {
        assert!((figure(name) - expected).abs() < 1e-9, "{name}");
    }
    let is_near = |one: f64, other: f64| one > 0.0 && (one / other - 1.0).abs() < 1e-6;
    assert!(is_near(figure("sends_per_second"), 1e6 / figure("send_us")));
    assert!(is_near(figure("delivery_us"), figure("send_us") * figure("sends_per_delivery")));
    assert!(is_near(figure("cores"), 5000.0 * 20.0 * figure("delivery_us") / 1e6));
    assert!(figure("memory_bytes") > 5000.0 * 4096.0);
    for name in ["bare send", "capacity", "capacity memory"] {
        assert!(examination.checks.contains_key(name), "no {name} in {:#}", examination.all);
    }
    assert_eq!(examination.code, Some(0), "a load that is too much is a warning: {:#}", examination.all);
    let examination = Examination::through(&["prlimit", "--nofile=80:80"], &words);
    examination.check("bare send", "warning", &["too few open files"]);
}
