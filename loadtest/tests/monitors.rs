//! `--metrics-listen`: an address for those who watch the server.

use loadtest::{Client, Launch, PATIENCE, RawSocket, Server, eventually, free_port, get};
use std::net::{Ipv4Addr, SocketAddr};

/// A server with such an address.
fn start(options: &[(&str, &str)]) -> (Server, SocketAddr) {
    let monitors = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let launch = Launch::embedded().option("--metrics-listen", &monitors.to_string());
    let launch = options.iter().fold(launch, |launch, (flag, value)| launch.option(flag, value));
    (launch.start().unwrap(), monitors)
}

fn status(address: SocketAddr, page: &str) -> Option<u16> {
    get(address, page).ok().map(|answer| answer.status)
}

#[test]
fn metrics_are_at_their_own_address_and_not_at_the_clients() {
    for shards in ["1", "2"] {
        let (server, monitors) = start(&[("--shards", shards)]);
        for (page, expected) in [
            ("/metrics", [404, 200]),
            ("/health", [200, 200]),
            ("/live", [200, 200]),
            ("/ready", [200, 200]),
            ("/admin/stats", [200, 404]),
            ("/ws?username=alice", [426, 404]),
            ("/flux/health", [200, 404]),
        ] {
            let found = [server.address, monitors].map(|address| status(address, page));
            assert_eq!(found, expected.map(Some), "{page} with {shards} shards");
        }
        assert!(Client::listen(monitors, "alice").is_err(), "nobody connects there");
        assert!(server.log().contains(&format!("http://{monitors}/metrics")), "{}", server.log());
    }
}

#[test]
fn a_server_that_drains_is_seen_doing_so() {
    let (mut server, monitors) = start(&[("--drain-window", "4s")]);
    // They do not answer the close, so the server waits two seconds for the last of them.
    let silent = || RawSocket::upgraded(server.address, "/ws?username=alice").unwrap();
    let _clients: [RawSocket; 5] = std::array::from_fn(|_| silent());
    server.terminate().unwrap();
    eventually("the clients' port is closed", || status(server.address, "/ready").is_none().then_some(()));
    assert_eq!(status(monitors, "/ready"), Some(503));
    assert_eq!(status(monitors, "/live"), Some(200));
    assert_eq!(status(monitors, "/metrics"), Some(200));
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0));
}

#[test]
fn an_address_that_somebody_else_has_is_refused_by_its_name() {
    let (_server, monitors) = start(&[]);
    let (code, log) = Launch::embedded().option("--metrics-listen", &monitors.to_string()).refusal().unwrap();
    assert_eq!(code, Some(1), "{log}");
    let expected = format!(
        "fanout: cannot listen on {monitors} for metrics (another program listens there): choose another with \
         --metrics-listen"
    );
    assert!(log.contains(&expected), "{log}");
}
