//! What the decoder promises: the RFC's examples, the conformance suite's families, memory, random conversations.

mod client;
mod close;
mod conformance;
mod memory;
mod random;
mod utf8;
