//! The server within the sandboxes of `deploy/`: it does all its work there, and what it does not need is refused.

use loadtest::{Client, Launch, PATIENCE, RawSocket, Redis, Scratch, eventually, succeed};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
const PYTHON: &str = "python3";
const WITHIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/within_seccomp.py");

/// A server within this filter of system calls listens, subscribes, delivers, answers, asks the kernel and drains.
fn check_served(profile: &Path) {
    let mut redis = Redis::start().unwrap();
    let launch =
        Launch::with_redis(&redis).variable("REDIS_URL", &format!("redis://localhost:{}", redis.address().port()));
    let launch = launch.option("--metrics-listen", "127.0.0.1:0").option("--drain-window", "0s");
    let mut server = launch.through(&[PYTHON, WITHIN, profile.to_str().unwrap()]).start().unwrap();
    redis.restart().unwrap();
    server.wait_for_status("/ready", 200);
    let mut client = Client::listen(server.address, "alice").unwrap();
    let mut publisher = redis.publisher().unwrap();
    publisher.publish("alice", "an event").unwrap();
    assert_eq!(client.text().as_deref(), Some("an event"));
    let _slow = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=slow").unwrap();
    let row = eventually("a client is late", || {
        publisher.publish("slow", "x".repeat(64 * 1024)).unwrap();
        let row = server.get("/admin/connections?filter=slow&tcp=1").unwrap().json()["connections"][0].clone();
        row["late_ms"].is_u64().then_some(row)
    });
    assert!(row["tcp"]["waits_for"].is_string(), "the kernel says why: {row}");
    server.terminate().unwrap();
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0), "{}", server.log());
}

/// What becomes of another program there.
fn run(profile: &Path, program: &[&str]) -> Output {
    Command::new(PYTHON).arg(WITHIN).arg(profile).args(program).output().unwrap()
}

#[test]
fn the_server_works_within_the_profile_for_containers() {
    check_served(&Path::new(DEPLOY).join("seccomp.json"));
}

#[test]
fn the_profile_for_containers_refuses_what_no_server_needs() {
    let profile = Path::new(DEPLOY).join("seccomp.json");
    let allowed = run(&profile, &["/bin/true"]);
    assert!(allowed.status.success() && allowed.stderr.is_empty(), "every call has a name: {allowed:?}");
    for program in [&["/usr/bin/unshare", "-U", "/bin/true"][..], &["/bin/mount", "-t", "tmpfs", "none", "/mnt"]] {
        let Output { status, stderr, .. } = run(&profile, program);
        let said = String::from_utf8_lossy(&stderr);
        let is_refused = said.contains("not permitted") || said.contains("denied");
        assert!(!status.success() && is_refused, "{program:?}: {said}");
    }
}

/// The calls of a group as the systemd of this machine knows it, without those of the groups that it is made of.
fn group(name: &str) -> Vec<String> {
    let text = succeed(Command::new("systemd-analyze").args(["syscall-filter", name]));
    let calls = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    calls.flat_map(|call| if call.starts_with('@') { group(call) } else { vec![call.to_owned()] }).collect()
}

/// What the filters of the unit leave, as a profile.
fn profile_of_unit() -> String {
    let unit = fs::read_to_string(Path::new(DEPLOY).join("fanout.service")).unwrap();
    let filters: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    let expand = |word: &str| if word.starts_with('@') { group(word) } else { vec![word.to_owned()] };
    let [allowed, refused] = filters[..] else { panic!("one filter allows, one refuses: {filters:?}") };
    let refused = expand(refused.strip_prefix('~').expect("the second one refuses"));
    let allowed = allowed.split(' ').flat_map(expand).filter(|call| !refused.contains(call) && call != "socket");
    // systemd itself starts the server, whatever the filter says.
    let names: Vec<String> = allowed.chain(["execve".to_owned()]).collect();
    assert!(names.len() > 100 && !refused.is_empty(), "{names:?}");
    let families = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies=")).unwrap();
    let sockets = families.split(' ').map(|family| {
        let numbers = [("AF_UNIX", 1), ("AF_INET", 2), ("AF_INET6", 10), ("AF_NETLINK", 16)];
        let (_, number) = numbers.into_iter().find(|(name, _)| *name == family).expect("it is one of these");
        let argument = json!({ "index": 0, "value": number, "op": "SCMP_CMP_EQ" });
        json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [argument] })
    });
    let others = json!({ "names": names, "action": "SCMP_ACT_ALLOW" });
    let rules: Vec<_> = sockets.chain([others]).collect();
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules }).to_string()
}

#[test]
fn the_server_works_within_the_filter_of_its_systemd_unit() {
    let scratch = Scratch::new();
    check_served(&scratch.write("profile.json", profile_of_unit()));
}

/// The unit with the path of a program that is there.
fn unit() -> String {
    let unit = fs::read_to_string(Path::new(DEPLOY).join("fanout.service")).unwrap();
    let installed = "ExecStart=/usr/local/bin/fanout\n";
    assert_eq!(unit.matches(installed).count(), 1);
    unit.replace(installed, "ExecStart=/bin/true\n")
}

#[test]
fn systemd_finds_nothing_wrong_with_its_unit_and_little_that_it_may_do() {
    let scratch = Scratch::new();
    let unit = scratch.write("fanout.service", unit());
    // Of ten points; what is left are the network, which it is there for, and the file system, which it may read.
    for arguments in [&["verify", "--man=no"][..], &["security", "--offline=true", "--threshold=15"]] {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complained.is_empty(), "{arguments:?}: {complained}{output:?}");
    }
}
