//! What clients will cost this machine, from what a send costs it.

mod floor;

use crate::config::bytes::ByteSize;
use crate::config::doctor::Load;
use crate::config::host::Host;
use crate::config::{Check, Config, MemoryBill};
use floor::{Bench, Floor};
use serde_json::{Value, json};

/// What a delivery costs, in sends: 1.9 to 2.2 times a send of the floor through `io_uring`, where every event is for
/// another one of 5 000 users (PERFORMANCE.md, rows `users` and `window-1` of one run). What many clients get together
/// costs less, down to 1.05 where it is the same event for all. Both had events of 256 bytes: of longer ones the copy is
/// more and the rest is not, so that this asks for too many cores rather than too few.
const SENDS_PER_DELIVERY: f64 = 2.2;

/// As many as PERFORMANCE.md's floor has; a few say little about many.
const SOCKETS_MAX: u64 = 1000;
const SOCKETS_MIN: u64 = 16;

/// Descriptors that are no sockets of the measurement.
const DESCRIPTORS_RESERVED: u64 = 64;

/// Where others had more than this share of a core's time, the figure is as much theirs as ours. Waking up alone takes 2 to
/// 3 % on a machine where nothing else runs.
const DISTURBANCE_MAX: f64 = 0.1;

/// What was found and what follows from it.
pub(super) struct Capacity {
    pub(super) checks: Vec<Check>,
    /// The figures for programs; nothing where nothing could be measured.
    pub(super) figures: Value,
}

/// What so many clients will cost.
struct Bill {
    clients: u32,
    delivery_us: f64,
    /// Cores that send all the time.
    cores: f64,
    memory: MemoryBill,
}

impl Capacity {
    pub(super) fn find(config: &Config, host: &Host, load: &Load) -> Self {
        let sockets = (host.open_files.saturating_sub(DESCRIPTORS_RESERVED) / 2).min(SOCKETS_MAX);
        let sender = config.cores[0];
        let other = host.allowed_cores.iter().rev().find(|core| **core != sender);
        let bench =
            Bench { sender, reader: other.copied().unwrap_or(sender), sockets: usize::try_from(sockets).unwrap_or(0) };
        let floor = if sockets < SOCKETS_MIN {
            Err("too few open files are allowed".to_owned())
        } else {
            bench.measure(load).map_err(|error| error.to_string())
        };
        let floor = match floor {
            Ok(floor) => floor,
            Err(why) => {
                let cure = "mend what stands above about io_uring, the kernel, open files and cores, and ask again";
                let checks = vec![Check::warning("bare send", format!("cannot be measured: {why}"), cure)];
                return Self { checks, figures: Value::Null };
            }
        };
        let bill = Bill::of(config, load, &floor);
        let checks = vec![send(bench, load, &floor), bill.cores(config, load), bill.memory(host)];
        Self { checks, figures: bill.figures(load, &floor) }
    }
}

fn send(bench: Bench, load: &Load, floor: &Floor) -> Check {
    let (what, Bench { sender, reader, sockets }) = ("bare send", bench);
    let detail = format!(
        "{:.2} µs for {} bytes, {:.0} a second from core {sender} to {sockets} sockets",
        floor.send_us,
        load.event_bytes,
        1e6 / floor.send_us
    );
    if sender == reader {
        let cure = "ask again with two cores: clients, too, need one that is not the server's";
        Check::warning(what, format!("{detail}; no promise: sender and readers share the one core there is"), cure)
    } else if floor.disturbance > DISTURBANCE_MAX {
        let share = floor.disturbance * 100.0;
        let detail = format!("{detail}; no promise: others had {share:.0} % of a core's time meanwhile");
        Check::warning(what, detail, "ask again while nothing else runs on this machine, or beside it on its host")
    } else {
        Check::fine(what, detail)
    }
}

impl Bill {
    fn of(config: &Config, load: &Load, floor: &Floor) -> Self {
        let clients = load.clients.unwrap_or_else(|| count(config.limits.connections_max));
        let mut wanted = config.clone();
        wanted.limits.connections_max = clients as usize;
        let delivery_us = floor.send_us * SENDS_PER_DELIVERY;
        let cores = f64::from(clients) * load.rate * delivery_us / 1e6;
        Self { clients, delivery_us, cores, memory: wanted.memory_bill() }
    }

    fn cores(&self, config: &Config, load: &Load) -> Check {
        let (what, &Self { clients, delivery_us, cores, .. }) = ("capacity", self);
        let detail = format!(
            "{cores:.2} cores for {clients} clients with {} events/s each: {delivery_us:.2} µs a delivery where each has \
             its own events, down to half where all have the same",
            load.rate
        );
        if cores > f64::from(count(config.shard_cores().len())) {
            Check::warning(what, detail, "take more cores for it (--shards, --cores), or more instances")
        } else if clients as usize > config.limits.connections_max {
            let cure = format!("raise --max-connections to {clients}, and the limit on open files with it");
            Check::warning(what, format!("{detail}; {} may connect", config.limits.connections_max), cure)
        } else {
            Check::fine(what, detail)
        }
    }

    fn memory(&self, host: &Host) -> Check {
        let (what, detail) = ("capacity memory", self.memory.to_string());
        match host.memory_bytes {
            Some(bytes) if bytes < self.memory.idle_total_bytes() => {
                Check::warning(what, format!("{detail}; {} there", ByteSize(bytes)), "add memory, or instances")
            }
            _ => Check::fine(what, detail),
        }
    }

    fn figures(&self, load: &Load, floor: &Floor) -> Value {
        json!({
            "send_us": floor.send_us,
            "sends_per_second": 1e6 / floor.send_us,
            "disturbance": floor.disturbance,
            "sends_per_delivery": SENDS_PER_DELIVERY,
            "delivery_us": self.delivery_us,
            "clients": self.clients,
            "rate": load.rate,
            "event_bytes": load.event_bytes,
            "cores": self.cores,
            "memory_bytes": self.memory.idle_total_bytes(),
        })
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Verdict;
    use crate::doctor::tests::{config, expect};
    use std::time::Duration;

    const FLOOR: Floor = Floor { send_us: 2.5, disturbance: 0.01 };

    fn load(clients: u32, rate: f64) -> Load {
        Load { time: Duration::from_secs(5), clients: Some(clients), rate, event_bytes: 256 }
    }

    #[test]
    fn cores_and_memory_grow_with_clients_and_events() {
        let host = Host::pretend(2);
        let config = config(&host, "--max-connections 10000");
        let bill = |clients, rate| Bill::of(&config, &load(clients, rate), &FLOOR);
        assert!((bill(10_000, 2.0).cores - 0.11).abs() < 1e-9);
        expect(&bill(10_000, 2.0).cores(&config, &load(10_000, 2.0)), Verdict::Fine, &["0.11 cores for 10000 clients"]);
        expect(&bill(10_000, 40.0).cores(&config, &load(10_000, 40.0)), Verdict::Warning, &["2.20 cores"]);
        expect(
            &bill(10_001, 1.0).cores(&config, &load(10_001, 1.0)),
            Verdict::Warning,
            &["--max-connections to 10001"],
        );
        expect(&bill(10_000, 1.0).memory(&host), Verdict::Fine, &["10000 idle connections"]);
        expect(&bill(10_000_000, 1.0).memory(&host), Verdict::Warning, &["8GiB there"]);
    }

    #[test]
    fn who_was_disturbed_promises_nothing() {
        let (quiet, busy) = (FLOOR, Floor { disturbance: 0.2, ..FLOOR });
        let (two, one) = (Bench { sender: 0, reader: 1, sockets: 9 }, Bench { sender: 0, reader: 0, sockets: 9 });
        expect(&send(two, &load(1, 1.0), &quiet), Verdict::Fine, &["2.50 µs for 256 bytes, 400000 a second"]);
        expect(&send(two, &load(1, 1.0), &busy), Verdict::Warning, &["no promise: others had 20 %"]);
        expect(&send(one, &load(1, 1.0), &quiet), Verdict::Warning, &["no promise: sender and readers share"]);
    }
}
