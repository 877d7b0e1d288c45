//! `fanout health`: asks the server of this machine, or of this container, whether it serves.

use super::question;
use crate::config::Config;

/// Asks for `/health` where a server with this configuration has it.
///
/// # Errors
/// In one sentence, where nobody answers or the answer is another than 200.
pub fn health(config: &Config) -> Result<(), String> {
    let address = config.metrics_listen.unwrap_or(config.listen);
    match question::ask(address, "/health") {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => Err(format!("the server at {address} answers {status}")),
        Err(error) => Err(format!("no server answers at {address}: {error}")),
    }
}
