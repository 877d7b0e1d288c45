//! A network of one test's own: two ends, and two lines between them of which one can fail.
//!
//! ```text
//!   near: test, clients, server                far: Redis
//!        10.77.1.1 ──────── weak ──────── 10.77.1.2     what the server uses; cut, or deaf in a direction
//!        10.77.2.1 ──────── firm ──────── 10.77.2.2     what the test publishes by
//! ```
//!
//! Both ends are network namespaces without a name: the test runs in one, a process of the test holds the other. With
//! the last process in it a namespace is gone, and its lines with it, however the test ends.

use loadtest::{Redis, binary};
use rustix::process::geteuid;
use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

/// Where the server looks for Redis.
const WEAK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 2));

/// Where the test talks to Redis.
pub(crate) const FIRM: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 2, 2));

/// Says to a test that it runs in a namespace of its own by now.
const INSIDE: &str = "FANOUT_NETWORK_OF_ITS_OWN";

/// Both ends. The far one ends with this value.
pub(crate) struct Network {
    far: Child,
}

/// One end of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Near,
    Far,
}

/// What may happen to the weak line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The line is taken down, at this end.
    Cut(End),
    /// Of what arrives at these ends, so many per cent vanish without a word: neighbour discovery too.
    Loss(&'static [End], u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(End::Near) => formatter.write_str("line down at fanout"),
            Self::Cut(End::Far) => formatter.write_str("line down at Redis"),
            Self::Loss([End::Near], percent) => write!(formatter, "{percent} % lost towards fanout"),
            Self::Loss([End::Far], percent) => write!(formatter, "{percent} % lost towards Redis"),
            Self::Loss(_, percent) => write!(formatter, "{percent} % lost both ways"),
        }
    }
}

/// Runs `body` in a network of its own: this very test once more, by its full name, in a new namespace.
///
/// # Panics
/// Where the test fails in there, and where this machine allows no network namespaces.
pub(crate) fn within(test: &str, body: impl FnOnce(&Network)) {
    if std::env::var_os(INSIDE).is_some() {
        return body(&Network::build());
    }
    // Nothing is fetched in there: whatever there is to build is built out here.
    binary();
    let outcome = unshare().arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).output();
    let outcome = outcome.expect("unshare of util-linux (scripts/test installs it)");
    let said = [outcome.stdout, outcome.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    println!("{said}");
    assert!(outcome.status.success(), "it failed in its own network");
    assert!(said.contains("1 passed"), "there is a test {test}");
}

/// What starts a program in a new network namespace, as root there.
fn unshare() -> Command {
    let new = || {
        let mut command = Command::new("unshare");
        command.arg("--net").args((!geteuid().is_root()).then_some("--map-root-user")).env(INSIDE, "yes");
        // Debian keeps nft where an ordinary user's PATH does not lead.
        command.env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin");
        command
    };
    let is_possible = new().arg("true").status().is_ok_and(|status| status.success());
    assert!(
        is_possible,
        "this test needs a network of its own, and this machine allows none: run it as root, or allow users to have \
         namespaces (sysctl kernel.unprivileged_userns_clone=1 or user.max_user_namespaces)"
    );
    new()
}

impl Network {
    fn build() -> Self {
        // It lives for as long as its input is open, that is for as long as this process.
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo there; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut far = command.spawn().expect("unshare is there: this runs within it");
        far.stdout.as_mut().unwrap().read_exact(&mut [0]).expect("the far end is there");
        let network = Self { far };
        network.run(End::Near, "ip link set lo up");
        for (line, subnet) in [("weak", 1), ("firm", 2)] {
            let far = network.far.id();
            network.run(End::Near, &format!("ip link add {line} type veth peer name {line} netns {far}"));
            for (end, host) in [(End::Near, 1), (End::Far, 2)] {
                network.run(end, &format!("ip address add 10.77.{subnet}.{host}/24 dev {line}"));
                network.run(end, &format!("ip link set {line} up"));
            }
        }
        network
    }

    /// A Redis at the far end, which hears on both lines.
    pub(crate) fn redis(&self) -> Redis {
        let far = self.far.id().to_string();
        let mut redis = Redis::stopped_behind(&["nsenter", "--net", "--target", &far], &[FIRM, WEAK]);
        redis.restart().unwrap();
        redis
    }

    /// Where the server is to look for that Redis.
    pub(crate) fn weak_address(redis: &Redis) -> SocketAddr {
        redis.address_at(WEAK)
    }

    /// Breaks the weak line.
    pub(crate) fn begin(&self, fault: Fault) {
        match fault {
            Fault::Cut(end) => self.run(end, "ip link set weak down"),
            Fault::Loss(ends, percent) => {
                for &end in ends {
                    let hook = "type filter hook ingress device weak priority 0;";
                    let rule = format!("numgen random mod 100 <= {} drop", percent - 1);
                    self.run(end, &format!("nft table netdev fault {{ chain arriving {{ {hook} {rule}; }}; }}"));
                }
            }
        }
    }

    /// Mends what this fault has broken.
    pub(crate) fn end(&self, fault: Fault) {
        match fault {
            Fault::Cut(end) => self.run(end, "ip link set weak up"),
            Fault::Loss(ends, _) => ends.iter().for_each(|&end| self.run(end, "nft delete table netdev fault")),
        }
    }

    /// Runs a command line at one end.
    fn run(&self, end: End, line: &str) {
        let far = self.far.id();
        let line = if end == End::Far { format!("nsenter --net --target {far} {line}") } else { line.to_owned() };
        let (program, rest) = line.split_once(' ').expect("a program and its arguments");
        let outcome = Command::new(program).args(rest.split(' ')).status();
        let is_done = outcome.unwrap_or_else(|error| panic!("{program} (scripts/test installs it): {error}"));
        assert!(is_done.success(), "{line}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.far.kill());
        drop(self.far.wait());
    }
}
