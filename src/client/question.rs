//! One question over HTTP to a server of this machine, by those with little patience: `fanout health`, `fanout doctor`.

use super::requests::{ANSWER_BYTES_MAX, bare};
use crate::config::url::Url;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use ureq::{Agent, Error};

/// For the whole answer. Supervisors that ask every few seconds are less patient.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The status and the text of a page of whoever listens there.
///
/// # Errors
/// Where nobody is there, or the answer does not come within [`PATIENCE`] or is no HTTP.
pub fn ask(listener: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let url = Url::of_listener(listener).ok_or(io::ErrorKind::AddrNotAvailable)?;
    let agent = Agent::new_with_config(bare().timeout_global(Some(PATIENCE)).build());
    let mut response = agent.get(url.page(path)).call().map_err(Error::into_io)?;
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true).read_to_string();
    Ok((response.status().as_u16(), body.map_err(Error::into_io)?))
}
