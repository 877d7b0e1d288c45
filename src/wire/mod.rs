//! The formats that travel on the wires, as pure functions: no sockets, no clocks, no logs.

pub mod close;
pub mod frame;
pub mod head;
pub mod query;
pub mod resp;
pub mod username;
pub mod ws;
