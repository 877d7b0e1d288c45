//! Several tester processes that run one test together.
//!
//! | module | is |
//! |---|---|
//! | `message` | what conductor and agents say: one line of JSON each |
//! | `agent` | a process that does its share of whatever a conductor sends |
//! | `conductor` | sends the shares, lets all begin together, gathers what they found out |
//! | `share` | which part of a plan each agent does |
//! | `merge` | one outcome of many: counts summed, histograms added, samples aligned by second |
//!
//! Every agent publishes to topics of its own and hears nothing else, so no latency compares two machines' clocks.

mod agent;
mod conductor;
mod merge;
mod message;
mod share;

pub use agent::{AgentArguments, serve};
pub use conductor::Agents;
