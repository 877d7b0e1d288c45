//! `fanout-loadtest`: the load tester.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::tester::command::main()
}
