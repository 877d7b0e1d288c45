//! The load tester: what `fanout-loadtest` does.
//!
//! | noun | is |
//! |---|---|
//! | [`arguments`], [`flags`] | what people type: subcommands; one load, by flags or a file |
//! | [`scenario`] | a file for each: its defaults, its flags, what it plays on the stage of a run |
//! | [`plan`], [`course`] | one run, checked, and what goes on in it beside listening; `planning` makes it of flags and a scenario |
//! | [`run`] | does it: connects, publishes, receives, drains; `run/record.rs` writes down, `run/session.rs` conducts |
//! | [`crew`], [`alone`], [`agents`] | who does a run: this process, or several together |
//! | `worker`, `lobby`, `handshake`, `connection` | receiving threads, each with its share of the clients: waiting, coming, in |
//! | `run/stage.rs`, `worker/unrest.rs` | what scenarios play on, and clients that do more than listen |
//! | `ear`, `form`, [`stamp`] | events of bytes: most are recognised by comparing fixed places |
//! | `ledger` | exact counts of losses, duplicates, reorderings and strangers' events |
//! | `publishing`, `pace`, `window` | the publishing thread: the open loop's schedule, the closed loop's window |
//! | [`publish`], [`dialect`] | the two seams: where events go in, what clients say; a table of each |
//! | `board` | what the threads of a run share |
//! | `counters`, `reckoning` | what the server itself says it has counted, and whether its clients saw the same |
//! | `watch`, `sockets` | processor time and memory of the server and of the tester itself |
//! | `verdict`, [`outcome`] | what a run means, and everything that is known about it |
//! | [`floor`] | the speed of light: the least a server could do on this kernel |
//! | [`budget`] | the budget table and the curves, measured beside the floor |
//! | [`progress`], [`summary`] | what people see meanwhile and at the end |
//! | `interrupt` | how they end what takes long |
//! | [`report`], [`record`], [`plot`], `kept` | the page with plots, recorded runs, plots of those, one run in all forms |
//!
//! Rules that hold for every figure:
//!
//! - An event's latency counts from the moment it was *due*: on the schedule of an open loop, whatever held it up.
//! - An event belongs to the measurement if it was due after the warm-up. Losses, duplicates, reorderings and foreign
//!   events count over the whole run, warm-up included.
//! - A connection that ended early is counted as closed; what it missed afterwards is not counted as lost, because
//!   nobody promised it.
//! - The publishing thread never waits for answers while receivers have work: a tester whose receivers sleep while the
//!   server sends makes sending look cheaper than it is.

// Counts become figures for people and ratios here: what 53 bits cannot tell apart, nobody wants told apart.
#![allow(clippy::cast_precision_loss)]

pub mod agents;
pub mod alone;
pub mod arguments;
mod board;
pub mod budget;
mod clock;
pub mod command;
mod connection;
mod counters;
pub mod course;
pub mod crew;
pub mod dialect;
mod ear;
pub mod event_size;
pub mod flags;
pub mod floor;
mod form;
pub mod goal;
mod handshake;
mod interrupt;
mod kept;
mod ledger;
mod lobby;
mod open_files;
pub mod outcome;
mod pace;
pub mod plan;
mod planning;
pub mod plot;
pub mod progress;
pub mod publish;
mod publishing;
mod reckoning;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
mod seat;
mod seating;
mod sockets;
mod sources;
pub mod stamp;
pub mod summary;
pub mod target;
pub mod template;
mod verdict;
mod watch;
mod window;
mod worker;
