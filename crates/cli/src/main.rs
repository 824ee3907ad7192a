//! The program `mainstay`: the verbs, and the roots of the three kinds of process.
//!
//! `shim` is told apart before anything else is set up: a shim is small and there are many of them. Every other verb is
//! parsed by [`args`], does its work in a file of its own under [`cmd`], and ends in an [`error::Failure`] or in exit code 0.

mod args;
mod cleanup;
mod client;
mod cmd;
mod context;
mod error;
mod exe;
mod left;
mod logs;
mod remains;
mod target;
mod tracker;
mod ui;
mod unit;
mod wait;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "shim") {
        return cmd::shim::run();
    }
    if std::env::args_os().nth(1).is_some_and(|verb| verb == shim::CONFINED) {
        return cmd::shim::confined();
    }
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "container") {
        return cmd::container::run();
    }
    sys::process::set_umask(0o022);
    // Under another name this program is called as Compose would be.
    let (context, verb) = begin(args::Cli::parse_from(cmd::compose::called(std::env::args_os().collect())));
    match cmd::run(&context, verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.reader_left => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(&context);
            ExitCode::from(failure.code.number())
        }
    }
}

/// What a verb starts from, and the verb.
fn begin(mut cli: args::Cli) -> (context::Context, args::Verb) {
    let (place, compose) = (cli.take_place(), cli.take_compose());
    (context::Context::new(cli.global, place, compose), cli.verb)
}
