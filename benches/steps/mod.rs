//! The steps that a message takes through the server, each with all it needs and without the kernel: what is counted in
//! instructions and what is timed in nanoseconds is the same code under the same name.

#[path = "../../tests/crowd/mod.rs"]
mod crowd;
mod formats;
mod house;
mod shard;

pub(crate) use formats::{ClientFrames, Pushes, RequestHead, Requests, Seal, Topics};
pub(crate) use house::{Path, Route};
pub(crate) use shard::{Deliver, Flush, KeepAlive};

/// An ordinary event.
const PAYLOAD_BYTES: usize = 200;

/// Events that one read from a broker brings under load.
const EVENTS_PER_BATCH: usize = 100;

/// Clients of one username under load.
const CLIENTS: usize = 1_000;

/// Turns until every list has grown to what it needs.
const WARM_UP_TURNS: usize = 4;

/// The longest event the server takes.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// Something that can be measured again and again.
pub(crate) trait Step {
    /// What is measured.
    fn run(&mut self);

    /// Makes ready for the next run; says how many events, deliveries or clients this one has served. Not measured.
    fn rest(&mut self) -> usize;
}

/// A step under a name that says how many units a run serves; its cost is divided by them.
pub(crate) struct Case<S> {
    units: usize,
    step: Box<S>,
}

impl<S: Step> Case<S> {
    /// A step that serves as many units as the first number in `name` says.
    pub(crate) fn new(name: &str, step: S) -> Self {
        let units = name.split('_').find_map(|word| word.parse().ok());
        Self { units: units.expect("a case's name has a number"), step: Box::new(step) }
    }

    /// How many events, deliveries or clients a run serves.
    #[allow(dead_code, reason = "whoever reads instruction counts has only the name")]
    pub(crate) fn units(&self) -> u64 {
        self.units as u64
    }

    /// What is measured.
    pub(crate) fn run(&mut self) {
        self.step.run();
    }

    /// Checks what the run has done, and makes ready for the next one.
    pub(crate) fn rest(&mut self) {
        assert_eq!(self.step.rest(), self.units, "a run serves everybody");
    }
}

/// Every step: name, type, and its cases. The first number in a case's name says how many units a run serves, and the
/// word behind it what they are: the cost of `to_1000_clients_of_16_frames` is stated per client.
macro_rules! for_each_step {
    ($bench:ident) => {
        $bench! {
            decode_push: Pushes {
                of_100_events => new(),
            }
            decode_publish: Requests {
                of_100_events => new(),
            }
            seal: Seal {
                of_100_events_of_200_bytes => new(200),
                of_100_events_of_4000_bytes => new(4_000),
                of_100_events_of_100000_bytes => new(100_000),
            }
            hash: Topics {
                of_100_topics => new(),
            }
            route: Route {
                of_100_events_over_1_shard => over(1),
                of_100_events_over_2_shards => over(2),
                of_100_events_over_8_shards => over(8),
            }
            deliver: Deliver {
                to_1_client => to(1),
                to_100_clients => to(100),
                to_10000_clients => to(10_000),
            }
            flush: Flush {
                to_1000_clients_of_1_frame => of(1),
                to_1000_clients_of_16_frames => of(16),
                to_1000_clients_of_40_frames => of(40),
            }
            path: Path {
                of_100_deliveries_over_1_shard => to_users(1),
                of_100_deliveries_over_2_shards => to_users(2),
                of_100_deliveries_over_8_shards => to_users(8),
            }
            path_of_one_topic: Path {
                to_1000_clients_over_1_shard => to_one_topic(1),
                to_1000_clients_over_2_shards => to_one_topic(2),
                to_1000_clients_over_8_shards => to_one_topic(8),
            }
            keep_alive: KeepAlive {
                of_10000_clients => of(10_000),
            }
            client_frame: ClientFrames {
                of_100_frames_of_20_bytes => of(20),
                of_100_frames_of_200_bytes => of(200),
                of_100_frames_of_4000_bytes => of(4_000),
            }
            request_head: RequestHead {
                of_1_request => new(),
            }
        }
    };
}
pub(crate) use for_each_step;
