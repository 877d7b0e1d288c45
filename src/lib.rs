#![doc = include_str!("README.md")]

pub mod brokers;
pub mod config;
pub mod engine;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod protocols;
mod readiness;
pub mod server;
pub mod wire;

#[cfg(test)]
mod sim;
