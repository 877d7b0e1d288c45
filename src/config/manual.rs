//! The manual page: what the help says, for man(1).

use super::table::without_flag;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

/// One page in roff, about the program and all its subcommands.
pub(super) fn manual(program: &mut Command) -> String {
    let page = Man::new(program.clone()).title("FANOUT");
    let page = page.source(concat!("fanout ", env!("CARGO_PKG_VERSION"))).manual("fanout");
    let mut text = Vec::new();
    let written = page
        .render_title(&mut text)
        .and_then(|()| page.render_name_section(&mut text))
        .and_then(|()| synopsis().to_writer(&mut text))
        .and_then(|()| page.render_description_section(&mut text))
        .and_then(|()| subcommands(program).to_writer(&mut text))
        .and_then(|()| page.render_options_section(&mut text))
        .and_then(|()| environment().to_writer(&mut text));
    written.expect("a Vec takes all");
    String::from_utf8(text).expect("the table is UTF-8")
}

fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("fanout"), roman(" ["), italic("options"), roman("] ["), italic("command"), roman("]")]);
    roff
}

/// Each with its own arguments; those of all of them are the options.
fn subcommands(program: &mut Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    program.build();
    for subcommand in program.get_subcommands() {
        let is_own = |argument: &&Arg| argument.get_help_heading().is_none() && argument.get_id() != "help";
        let arguments = subcommand.get_arguments().filter(is_own);
        let words = arguments.map(|argument| format!(" {argument}"));
        roff.control("TP", []);
        roff.text([bold(subcommand.get_name()), roman(words.collect::<String>())]);
        roff.text([roman(subcommand.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
    roff
}

fn environment() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT AND FILE ONLY"]);
    for (name, setting) in without_flag() {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(setting.help())]);
    }
    roff.control("PP", []);
    roff.text([roman("Flags win over the environment, the environment over the file.")]);
    roff
}
