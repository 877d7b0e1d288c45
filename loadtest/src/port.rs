//! A port that nobody listens on.

use std::net::TcpListener;

/// Below the range from which Linux takes source ports (32768 and up), so that no outgoing connection takes the port
/// between this look and its use; above the ports that services usually have.
const PORTS: std::ops::Range<u16> = 21_000..32_000;

/// A port of 127.0.0.1 that nobody listened on a moment ago.
///
/// # Panics
/// Where 1 000 ports in a row are taken.
pub fn free_port() -> u16 {
    (0..1_000)
        .map(|_| fastrand::u16(PORTS))
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("a machine has a free port among a thousand")
}
