#![doc = include_str!("README.md")]

pub mod auth;
pub mod brokers;
pub mod client;
pub mod config;
pub mod control;
pub mod doctor;
pub mod ear;
pub mod engine;
pub mod http;
pub mod inspection;
pub mod logging;
pub mod mesh;
pub mod metrics;
pub mod protocols;
pub mod router;
pub mod server;
pub mod wire;

#[cfg(test)]
mod sim;
