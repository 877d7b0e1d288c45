//! The file: what it may hold, what it wins over, what wins over it, and how mistakes in it are named.

use super::super::file::ConfigFile;
use super::super::{SETTINGS, Secret, Setting};
use super::{Command, Host, check_refused, config_on, run_on};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::{NamedTempFile, TempPath};

/// A file that is gone at the end of its test. Its name has no blanks: tests part words there.
pub(super) struct Scratch(TempPath);

impl Scratch {
    pub(super) fn of(text: &str) -> Self {
        let file = Self(NamedTempFile::new().expect("the directory for such takes a file").into_temp_path());
        file.write(text);
        file
    }

    pub(super) fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("it is ours");
    }

    pub(super) fn flag(&self) -> String {
        format!("--config {}", self.0.display())
    }
}

/// The lines of `fanout config`, with the file's name for its path and single spaces.
fn effective(text: &str, arguments: &str, environment: &str) -> Vec<String> {
    let file = Scratch::of(text);
    let words = format!("config {} {arguments}", file.flag());
    let printed = match run_on(&Host::pretend(2), &words, environment) {
        Ok(Command::Print(printed)) => printed.replace(file.0.to_str().expect("UTF-8"), "fanout.toml"),
        other => panic!("{text} {arguments} {environment}: {other:?}"),
    };
    printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// File, arguments, environment, and lines that `fanout config` then holds.
const EFFECTIVE: &[(&str, &str, &str, &[&str])] = &[
    (
        "# nothing\n",
        "",
        "",
        &["config = fanout.toml # flag --config", "port = 8084 # default: the port of the listen address"],
    ),
    (
        "\n max-connections = 20_000\n'log-level' = 'warn'\n\"auth\" = \"none\"\n",
        "",
        "",
        &[
            "max-connections = 20000 # file fanout.toml, line 2",
            "log-level = warn # file fanout.toml, line 3",
            "auth = none # file fanout.toml, line 4",
        ],
    ),
    (
        "max-connections = 1\nmax-channels = 2\nlog-level = 'warn'",
        "--max-connections 3",
        "MAX_CONNECTIONS=4 MAX_CHANNELS=5 LOG_LEVEL=",
        &[
            "max-connections = 3 # flag --max-connections",
            "max-channels = 5 # environment MAX_CHANNELS",
            "log-level = warn # file fanout.toml, line 3",
        ],
    ),
    (
        "max-event = 4096\nmax-client-frame = '1MB'\nping-interval = 0\npong-timeout = '2s'\nbroker-core = 1\ncores = 0",
        "",
        "CORES=0-1",
        &[
            "max-event = 4KiB # file fanout.toml, line 1",
            "max-client-frame = 1000000B # file fanout.toml, line 2",
            "ping-interval = 0s # file fanout.toml, line 3",
            "pong-timeout = 2s # file fanout.toml, line 4",
            "broker-core = 1 # file fanout.toml, line 5",
        ],
    ),
    (
        "cores = [0, 1]\nallowed-origins = ['https://a.example', 'http://localhost:1']\ntrusted-proxies = [\n '::1',\n]\n\
         flux-channels = ['a*', 'b']\nport = 0x10",
        "",
        "",
        &[
            "cores = 0-1 # file fanout.toml, line 1",
            "allowed-origins = https://a.example,http://localhost:1 # file fanout.toml, line 2",
            "trusted-proxies = ::1/128 # file fanout.toml, line 3",
            "flux-channels = a*,b # file fanout.toml, line 6",
            "port = 16 # file fanout.toml, line 7",
        ],
    ),
    (
        "admin-token = 'sixteen-letters-'\njwt-hs256-secret = '12345678901234567890123456789012'",
        "",
        "",
        &["admin-token = *** # file fanout.toml, line 1", "jwt-hs256-secret = *** # file fanout.toml, line 2"],
    ),
    // What stands for several gives way to a part that is set above the file, and to no other.
    (
        "listen = '0.0.0.0:1'",
        "",
        "PORT=2",
        &[
            "listen = 0.0.0.0:2 # file fanout.toml, line 1, with the port of environment PORT",
            "port = 2 # environment PORT",
        ],
    ),
    (
        "listen = '0.0.0.0:1'\nport = 2",
        "",
        "PROFILE=flux",
        &[
            "listen = 0.0.0.0:1 # file fanout.toml, line 1",
            "port = 1 # file fanout.toml, line 1, which wins over file fanout.toml, line 2",
        ],
    ),
    ("port = 2", "", "LISTEN=0.0.0.0:1", &["listen = 0.0.0.0:1 # environment LISTEN"]),
    (
        "redis-url = 'redis://u:p@h:1'\nredis-port = 2",
        "",
        "REDIS_HOST=r",
        &[
            "broker = redis # default: chosen by file fanout.toml, line 1",
            "redis-url = redis://u:***@r:1 # file fanout.toml, line 1",
            "redis-host = r # environment REDIS_HOST",
            "redis-port = 1 # file fanout.toml, line 1, which wins over file fanout.toml, line 2",
        ],
    ),
];

#[test]
fn a_file_wins_over_defaults_and_the_environment_and_flags_win_over_it() {
    for (text, arguments, environment, expected) in EFFECTIVE {
        let lines = effective(text, arguments, environment);
        for line in *expected {
            assert!(lines.iter().any(|found| found == line), "{text}: no `{line}` in\n{}", lines.join("\n"));
        }
    }
}

/// File, and the sentence that refuses it, behind its path.
const REFUSED: &[(&str, &str)] = &[
    ("max-conections = 1", ":1: `max-conections` is not known; did you mean `max-connections`?"),
    ("\n\nmax_connections = 1", ":3: `max_connections` is not known; did you mean `max-connections`?"),
    ("ADMIN-TOKEN = 'hush-hush-hush-hush'", ":1: `ADMIN-TOKEN` is not known; fanout config lists what is"),
    ("admin_token = 'hush'", ":1: `admin_token` is not known; did you mean `admin-token`?"),
    ("'é\\n' = 1", ":1: `é\\\\n` is not known; fanout config lists what is"),
    ("[limits]\nmax-connections = 1", ":1: [limits] is a section; settings stand without sections"),
    ("limits.max = 1", ":1: [limits] is a section; settings stand without sections"),
    ("print-config = true", ":1: `print-config` is not known; fanout config lists what is"),
    ("port = 1\nport = 2", ":2: this is not TOML: duplicate key"),
    ("port = 65536", ":1: port is `65536`; allowed: a number from 0 to 65535"),
    ("port = -1", ":1: port is `-1`; allowed: a number from 0 to 65535"),
    ("port = true", ":1: port is `true`; allowed: a number from 0 to 65535"),
    ("port = 1.5", ":1: port is `1.5`; allowed: a number from 0 to 65535"),
    ("shards = 1\nport = [1]", ":2: port is `[1]`; allowed: a number from 0 to 65535"),
    ("auth = true", ":1: auth is `true`, but that is no text in quotes; allowed: none or token"),
    (
        "redis-password = 5",
        ":1: redis-password is ***, but that is no text in quotes; allowed: any text, empty for none",
    ),
    ("admin-token = 'short'", ":1: admin-token is ***; allowed: 16 to 512 printable ASCII characters without spaces"),
    (
        "allowed-origins = []",
        ":1: allowed-origins is `[]`, but that is neither text in quotes nor an array of entries in quotes; allowed: * or \
         a comma list of scheme://host[:port]",
    ),
    (
        "allowed-origins = ['https://a/']",
        ":1: allowed-origins is `https://a/`, but https://a/ ends with a slash, which no browser sends; allowed: * or a \
         comma list of scheme://host[:port]",
    ),
    (
        "flux-channels = ['a,b']",
        ":1: flux-channels is `[\\'a,b\\']`, but that is neither text in quotes nor an array of entries in quotes; allowed: a \
         comma list of patterns with * ? [abc] and \\x as Redis understands them",
    ),
    ("cores = [[0]]", ":1: cores is `[[0]]`; allowed: core numbers such as 0,2-3, each once"),
    (
        "event-ttl = 5",
        ":1: event-ttl is `5`; allowed: a duration from 100ms to 24h such as 54s, 100ms or 2m, or 0 for ever",
    ),
];

#[test]
fn mistakes_in_a_file_are_refused_in_one_sentence_with_its_name_and_the_line() {
    for (text, expected) in REFUSED {
        let file = Scratch::of(text);
        check_refused(&file.flag(), "", &format!("{}{expected}", file.0.display()));
    }
}

#[test]
fn what_is_not_toml_is_refused_without_repeating_it() {
    for text in ["admin-token = 'hush", "admin-token = hush", "= 'hush'", "hush", "port = 1 'hush'"] {
        let file = Scratch::of(text);
        let error = run_on(&Host::pretend(2), &file.flag(), "").expect_err(text).to_string();
        let begin = format!("error: {}:1: this is not TOML: ", file.0.display());
        assert!(error.starts_with(&begin) && error.lines().count() == 1 && !error.contains("hush"), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_the_cure() {
    let missing = "--config is `/nowhere/fanout.toml`, but there is no such file: write one, as deploy/fanout.toml is, or \
                   leave it out; allowed: the path of a file";
    check_refused("--config /nowhere/fanout.toml", "", missing);
    check_refused("", "FANOUT_CONFIG=/nowhere/fanout.toml", &missing.replace("--config", "FANOUT_CONFIG"));
    check_refused("--config /", "", "--config is `/`, but that is no regular file; allowed: the path of a file");
    let file = Scratch::of("");
    fs::write(&file.0, b"# \xff").expect("it can be written");
    let sentence = format!("--config is `{}`, but that is not UTF-8; allowed: the path of a file", file.0.display());
    check_refused(&file.flag(), "", &sentence);
    fs::write(&file.0, " ".repeat((1 << 20) + 1)).expect("it can be written");
    check_refused(&file.flag(), "", &sentence.replace("is not UTF-8", "has more than 1MiB"));
}

#[test]
fn a_file_serves_the_doctor_and_tokens_as_well() {
    let file = Scratch::of("max-channels = 7\njwt-hs256-secret = '12345678901234567890123456789012'");
    let host = Host::pretend(2);
    assert_eq!(config_on(&host, &format!("doctor {}", file.flag()), "").limits.topics_per_connection_max, 7);
    match run_on(&host, &format!("token --sub alice {}", file.flag()), "") {
        Ok(Command::Token(order)) => assert_eq!(order.secret, Secret::new("12345678901234567890123456789012")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_everybody_may_read_says_which_secrets_it_holds() {
    let secrets = "admin-token = 'sixteen-letters-'\nredis-password = 'x'";
    let table: &[(&str, u32, &[&str])] =
        &[(secrets, 0o644, &["redis-password", "admin-token"]), (secrets, 0o640, &[]), ("port = 1", 0o644, &[])];
    for (text, mode, expected) in table {
        let file = Scratch::of(text);
        fs::set_permissions(&file.0, Permissions::from_mode(*mode)).expect("it is ours");
        let config = config_on(&Host::pretend(2), &file.flag(), "");
        assert_eq!(config.file.expect("it was read").exposes, *expected, "{text} {mode:o}");
    }
}

#[test]
fn random_files_never_panic() {
    let mut random = fastrand::Rng::with_seed(9);
    let pieces = ["=", "'", "\"", "[", "]", "{", "}", ",", "\n", "é", "#", ".", "0", "1979-05-27", "0x", "true", "\\u"];
    let names: Vec<String> = SETTINGS.iter().map(Setting::name).collect();
    for _ in 0..3_000 {
        let piece = |random: &mut fastrand::Rng| {
            if random.bool() {
                pieces[random.usize(..pieces.len())]
            } else {
                names[random.usize(..names.len())].as_str()
            }
        };
        let text: String = (0..random.usize(..12)).map(|_| piece(&mut random)).collect();
        let _ = ConfigFile::of("f", &text).entries();
    }
}
