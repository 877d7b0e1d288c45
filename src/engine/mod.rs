//! The core: topics, messages, frames, connections. It knows no JSON, no broker and no protocol by name.

pub mod backlog;
pub mod connection;
pub mod frame;
pub mod mesh;
pub mod message;
pub mod outbound;
pub mod placement;
pub mod protocol;
pub mod publication;
pub mod shard;
pub mod subscriptions;
pub mod topic;
