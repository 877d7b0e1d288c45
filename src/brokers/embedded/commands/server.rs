//! `INFO` and `COMMAND`: what clients ask to find out whom they talk to.

use super::connection::REDIS_VERSION;
use super::{After, COMMANDS, Call, unknown_subcommand};

/// `INFO [section ...]`: always all of it. `loading:0` and `redis_version` are what client libraries look at before
/// they trust a connection.
pub(super) fn info(call: &Call<'_>) -> After {
    let switchboard = call.switchboard;
    let subscribers = switchboard.subscribers.borrow();
    let text = format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nserver_name:fanout\r\n\
         fanout_version:{}\r\nprocess_id:{}\r\ntcp_port:{}\r\nuptime_in_seconds:{}\r\n\r\n\
         # Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\n\r\n\
         # Persistence\r\nloading:0\r\n\r\n\
         # Stats\r\ntotal_connections_received:{}\r\npubsub_channels:{}\r\npubsub_patterns:{}\r\n\r\n\
         # Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n\
         # Cluster\r\ncluster_enabled:0\r\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        switchboard.port,
        switchboard.started.elapsed().as_secs(),
        switchboard.clients.borrow().len(),
        crate::brokers::embedded::CLIENTS_MAX,
        switchboard.clients_so_far.get(),
        subscribers.channels_followed(),
        subscribers.patterns_followed(),
    );
    call.reply(|reply| _ = reply.bulk(text.as_bytes()));
    After::GoOn
}

/// `COMMAND`, `COMMAND COUNT`, `COMMAND DOCS`, `COMMAND INFO`: the number is true, descriptions there are none.
pub(super) fn command(call: &Call<'_>) -> After {
    match (call.lower(1).as_str(), call.words.len()) {
        ("", 1) | ("list", 2..) => call.reply(|reply| _ = reply.array(0)),
        ("count", 2) => {
            let commands = i64::try_from(COMMANDS.len()).expect("a short table");
            call.reply(|reply| _ = reply.integer(commands));
        }
        ("docs", _) => call.reply(|reply| _ = reply.map(0)),
        ("info", _) => call.reply(|reply| {
            reply.array(call.words.len() - 2);
            for _ in &call.words[2..] {
                reply.null();
            }
        }),
        _ => call.error(&unknown_subcommand(call.words, "COMMAND")),
    }
    After::GoOn
}
