//! Arguments, configuration, shards, drain.

use fanout::auth::{self, Identity};
use fanout::config::host::Host;
use fanout::config::{self, Command, Config, TokenOrder};
use fanout::{client, doctor, ear, logging, server};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    let host = Host::look();
    match config::from_process(&host) {
        Command::Print(text) => report(print(&text)),
        Command::Doctor(config, order) => doctor::examine(&config, &host, &order),
        Command::Health(config) => report(client::health(&config)),
        Command::Token(order) => report(print(&token(order))),
        Command::Client(order) => report(client::run(&order)),
        Command::Serve(config) => serve(&host, &config),
    }
}

fn serve(host: &Host, config: &Config) -> ExitCode {
    let (_log, filter) = logging::start(&config.log);
    logging::end_the_process_on_panic();
    let outcome = host.refuse(config).map_or_else(
        || {
            host.grow_descriptor_table();
            server::serve(config, host, filter).map_err(|error| error.to_string())
        },
        Err,
    );
    report(outcome)
}

/// Says what went wrong, if something did.
fn report(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("fanout: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Prints whole lines. Whoever has closed the pipe has read enough of them.
fn print(lines: &str) -> Result<(), String> {
    match io::stdout().write_all(lines.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output takes no more: {error}")),
        _ => Ok(()),
    }
}

fn token(order: TokenOrder) -> String {
    let TokenOrder { secret, subject, usernames, lifetime } = order;
    auth::issue(&Identity { subject, usernames, lifetime }, secret.expose(), ear::wall_clock()) + "\n"
}

/// Without this the allocator's arenas fill huge pages: 24 MB more at start, and a client's memory drowns in it.
fn keep_pages_small() {
    // A kernel that knows no huge pages has nothing to switch off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
