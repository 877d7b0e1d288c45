//! What a start refuses, in words that name the cure, and which cores it uses.

use loadtest::{Launch, Server, binary};
use std::net::TcpListener;
use std::process::Command;

/// The server ends at once with a failure, says these words, and does not panic.
fn check_refusal(launch: Launch, words: &[&str]) -> Option<i32> {
    let what = format!("{launch:?}");
    let (code, log) = launch.refusal().unwrap();
    assert!(code.is_some_and(|code| code != 0), "{what} ended with {code:?}:\n{log}");
    assert!(!log.contains("panicked"), "{what}:\n{log}");
    for word in words {
        assert!(log.to_lowercase().contains(&word.to_lowercase()), "{what}: no {word:?} in\n{log}");
    }
    code
}

#[test]
fn impossible_settings_are_refused_by_name_with_exit_code_2() {
    let table: &[(&str, &str, &[&str])] = &[
        ("--nonsense", "1", &["--nonsense"]),
        ("--shards", "0", &["--shards", "0"]),
        ("--shards", "many", &["--shards", "many"]),
        ("--cores", "4095", &["--cores", "4095"]),
        ("--listen", "nowhere", &["--listen", "nowhere"]),
        ("--outbound-max", "12XB", &["--outbound-max", "12XB"]),
        ("--max-client-frame", "1", &["--max-client-frame", "1"]),
        ("--ping-interval", "soon", &["--ping-interval", "soon"]),
        ("--echo-path", "echo", &["--echo-path", "echo"]),
        ("--echo-path", "/ws", &["--echo-path", "/ws"]),
        ("--allowed-origins", "app.example", &["--allowed-origins", "app.example"]),
        ("--log-format", "xml", &["--log-format", "xml"]),
    ];
    for (flag, value, words) in table {
        assert_eq!(check_refusal(Launch::embedded().option(flag, value), words), Some(2), "{flag} {value}");
    }
}

#[test]
fn a_redis_that_wants_tls_is_refused_until_that_is_spoken() {
    let launch = Launch::beside(([127, 0, 0, 1], 6379).into()).option("--redis-url", "rediss://localhost");
    assert_eq!(check_refusal(launch, &["rediss"]), Some(2));
}

#[test]
fn impossible_variables_are_refused_by_name_with_exit_code_2() {
    let table: &[(&str, &str, &[&str])] = &[
        ("PORT", "99999", &["PORT", "99999"]),
        ("SHARDS", "minus one", &["SHARDS", "minus one"]),
        ("ADMIN_TOKEN", "short", &["ADMIN_TOKEN"]),
    ];
    for (name, value, words) in table {
        assert_eq!(
            check_refusal(Launch::embedded().without_shards().variable(name, value), words),
            Some(2),
            "{name}={value}"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_refused_and_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    check_refusal(Launch::embedded().option("--listen", &address.to_string()), &[&address.port().to_string()]);
    check_refusal(Launch::embedded_at(address), &[&address.port().to_string()]);
}

#[test]
fn a_second_server_does_not_share_the_port_of_the_first_in_silence() {
    let first = Launch::embedded().start().unwrap();
    let address = first.address.to_string();
    check_refusal(Launch::embedded().option("--listen", &address), &[&first.address.port().to_string()]);
    assert_eq!(first.get("/health").unwrap().status, 200);
}

#[test]
fn a_small_memlock_limit_is_refused_in_one_sentence() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: prlimit is not installed");
        return;
    }
    check_refusal(Launch::embedded().through(&["prlimit", "--memlock=65536:65536"]), &["memlock"]);
}

#[test]
fn a_machine_without_io_uring_is_refused_in_one_sentence() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/without_io_uring.py");
    let works = Command::new("python3").args([script, "true"]).status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("skipped: python3 cannot install a seccomp filter here");
        return;
    }
    check_refusal(Launch::embedded().through(&["python3", script]), &["io_uring"]);
}

#[test]
fn a_server_that_may_use_one_core_uses_that_core_only() {
    let allowed = allowed_cores("/proc/self/status");
    let core = allowed.rsplit([',', '-']).next().unwrap().to_owned();
    let server = Launch::embedded().without_shards().through(&["taskset", "-c", &core]).start().unwrap();
    assert_eq!(server.stats()["shards"].as_array().map(Vec::len), Some(1), "one core is one shard");
    check_every_thread(&server, &core);
}

#[test]
fn cores_that_are_chosen_are_the_ones_used() {
    let allowed = allowed_cores("/proc/self/status");
    let core = allowed.rsplit([',', '-']).next().unwrap().to_owned();
    let server = Launch::embedded().without_shards().option("--cores", &core).start().unwrap();
    let pinned = threads(&server).iter().filter(|cores| **cores == core).count();
    assert!(pinned >= 1, "a shard is pinned to core {core}");
    assert_eq!(server.stats()["shards"].as_array().map(Vec::len), Some(1));
}

#[test]
fn help_version_and_the_effective_settings_are_printed() {
    let run = |arguments: &[&str]| {
        let output =
            Command::new(binary()).args(arguments).env("ADMIN_TOKEN", "hidden-hidden-hidden").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let help = run(&["--help"]);
    for name in ["--listen", "LISTEN", "127.0.0.1:8084", "--shards", "--outbound-max", "1MiB", "REDIS_URL"] {
        assert!(help.contains(name), "no {name} in --help");
    }
    assert!(run(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
    let settings = run(&["--print-config", "--shards", "1", "--redis-url", "redis://user:hidden@localhost"]);
    assert!(settings.contains("shards") && !settings.contains("hidden"), "{settings}");
}

fn check_every_thread(server: &Server, core: &str) {
    for cores in threads(server) {
        assert_eq!(cores, core, "a thread may use other cores");
    }
}

fn threads(server: &Server) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    tasks.map(|task| allowed_cores(task.unwrap().path().join("status").to_str().unwrap())).collect()
}

fn allowed_cores(status: &str) -> String {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.expect("proc(5) has it").trim().to_owned()
}
