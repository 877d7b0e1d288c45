//! One figure of a recorded run, by the name that people give it.

use super::unit::{Unit, whole};
use crate::tester::record::Run;

/// One figure of a run, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure(pub String);

impl Figure {
    /// Its value in a run, if the run has it.
    pub(super) fn of(&self, run: &Run) -> Option<f64> {
        let (outcome, server) = (&run.outcome, run.outcome.server.as_ref());
        match self.0.as_str() {
            "cost" => server.map(|server| server.cpu_ns_per_delivery),
            "memory" => server.map(|server| server.rss_bytes_per_connection),
            "rate" => Some(outcome.delivered_per_second),
            "p50" => Some(whole(outcome.latency_us.p50)),
            "p99" => Some(whole(outcome.latency_us.p99)),
            "p999" => Some(whole(outcome.latency_us.p999)),
            named => run.figures.get(named).copied(),
        }
        .filter(|value| value.is_finite())
    }

    /// Its name for people and what it is counted in.
    pub(super) fn name(&self) -> (String, Unit) {
        match self.0.as_str() {
            "cost" => ("Server's processor time per delivery".to_owned(), Unit::Nanoseconds),
            "memory" => ("Server's memory per connection".to_owned(), Unit::Bytes),
            "rate" => ("Deliveries per second".to_owned(), Unit::PerSecond),
            "p50" | "p99" | "p999" => (format!("Latency, {}", self.0), Unit::Microseconds),
            named => {
                let (unit, name) = Unit::of_figure(named);
                (name, unit)
            }
        }
    }
}
