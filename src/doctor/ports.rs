//! Whether the addresses to listen on are free, and who has them.

use super::{owner, redis, version};
use crate::config::url::reachable;
use crate::config::{Check, Config};
use crate::server::plain;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// An address, as settings name it.
struct Place {
    what: &'static str,
    address: SocketAddr,
    /// How another one is chosen.
    cure: &'static str,
    sign: Sign,
}

/// By what a fanout that listens there is known.
enum Sign {
    /// A page that names it.
    Page(String),
    /// What its broker answers to `INFO`.
    Info,
}

/// How it stands with an address.
#[derive(Debug)]
enum State {
    Free,
    /// A fanout of this version has it.
    Fanout(String),
    /// Another program has it, whose name may be known.
    Taken(Option<String>),
    /// Nobody could listen there.
    Refused(io::Error),
}

/// Where clients and monitors connect.
pub(super) fn report(config: &Config) -> Vec<Check> {
    let about = Sign::Page(format!("{}/", config.flux.base_path));
    let clients = Place { what: "listen", address: config.listen, cure: "--listen or --port", sign: about };
    let metrics = config.metrics_listen.map(|address| {
        let sign = Sign::Page("/metrics".to_owned());
        Place { what: "metrics-listen", address, cure: "--metrics-listen", sign }
    });
    [Some(clients), metrics].into_iter().flatten().map(|place| place.check(&place.look())).collect()
}

/// Where events are published if this server is its own broker.
pub(super) fn broker(config: &Config) -> Check {
    let cure = "--broker-listen, or point --redis-url at the Redis that is to be used";
    let place = Place { what: "broker-listen", address: config.broker_listen, cure, sign: Sign::Info };
    place.check(&place.look())
}

impl Place {
    fn look(&self) -> State {
        match TcpListener::bind(self.address) {
            Ok(_) => State::Free,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                self.version().map_or_else(|| State::Taken(owner::of_port(self.address.port())), State::Fanout)
            }
            Err(error) => State::Refused(error),
        }
    }

    fn version(&self) -> Option<String> {
        match &self.sign {
            Sign::Page(page) => version::of_page(self.address, page),
            Sign::Info => redis::broker_version(reachable(self.address)),
        }
    }

    fn check(&self, state: &State) -> Check {
        let &Self { what, address, cure, .. } = self;
        match state {
            State::Free if address.port() == 0 => Check::fine(what, format!("{address}: the kernel chooses a port")),
            State::Free => Check::fine(what, format!("{address} is free")),
            State::Fanout(version) => Check::fine(what, format!("fanout {version} serves at {address}")),
            State::Taken(owner) => {
                let owner = owner.as_deref().unwrap_or("another program");
                Check::failure(what, format!("{owner} listens on {address}"), format!("choose another with {cure}"))
            }
            State::Refused(error) => {
                let detail = format!("cannot listen on {address}: {}", plain(error));
                Check::failure(what, detail, format!("choose another with {cure}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Verdict;
    use std::io::Write;
    use std::thread;
    use std::time::Duration;

    fn place(address: SocketAddr) -> Place {
        Place { what: "listen", address, cure: "--listen", sign: Sign::Page("/".to_owned()) }
    }

    #[test]
    fn a_free_address_and_a_running_fanout_are_fine_and_a_strangers_is_not() {
        let place = place(([127, 0, 0, 1], 8084).into());
        let refused = State::Refused(io::ErrorKind::PermissionDenied.into());
        for (state, verdict, word) in [
            (State::Free, Verdict::Fine, "is free"),
            (State::Fanout("0.1.0".to_owned()), Verdict::Fine, "fanout 0.1.0 serves"),
            (State::Taken(Some("nginx (process 7)".to_owned())), Verdict::Failure, "nginx (process 7) listens"),
            (State::Taken(None), Verdict::Failure, "another program listens"),
            (refused, Verdict::Failure, "below 1024"),
        ] {
            let check = place.check(&state);
            assert_eq!((check.verdict, check.cure.is_empty()), (verdict, verdict == Verdict::Fine), "{state:?}");
            assert!(check.detail.contains(word), "{check}");
        }
    }

    #[test]
    fn a_port_is_free_until_somebody_listens() {
        assert!(matches!(place(([127, 0, 0, 1], 0).into()).look(), State::Free));
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        // It accepts nobody and says nothing, and is not waited for without end.
        let address = taken.local_addr().expect("bound");
        assert!(matches!(place(address).look(), State::Taken(Some(_))));
        assert!(matches!(place(([192, 0, 2, 1], 1).into()).look(), State::Refused(_)));
    }

    #[test]
    fn whoever_answers_a_byte_at_a_time_is_not_waited_for_without_end() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        // Whoever is not waited for any more still has the port.
        let listener = taken.try_clone().expect("descriptors are left");
        thread::spawn(move || {
            let (mut asked, _) = listener.accept().expect("somebody asks");
            while asked.write_all(b"H").is_ok() {
                // Slower than anybody writes a page, faster than anybody gives up on one part of it.
                thread::sleep(Duration::from_millis(20));
            }
        });
        assert!(matches!(place(address).look(), State::Taken(Some(_))));
    }
}
