//! `mainstay compose …`, and this program under the names `docker-compose` and `docker`: command lines of `docker compose` in our own verbs, so that
//! scripts run unchanged. What has no meaning here is said on standard error; what cannot be done is refused with what does it instead.
//!
//! A command line comes to a few of ours, which are parsed and run like those that somebody types: [`words`].

mod words;

use crate::args::{Cli, Docker};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::target;
use clap::Parser;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The command line as this program takes it under its own name: what it is called by may be `docker-compose`, or `docker` with `compose`.
pub fn called(arguments: Vec<OsString>) -> Vec<OsString> {
    let name = arguments.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let skipped = match name.to_str() {
        Some("docker-compose") => 1,
        Some("docker") if arguments.get(1).is_some_and(|word| word == "compose") => 2,
        // The compose files' own command line says what is wrong with it.
        Some("docker") => return line(["compose", "--", NOT_COMPOSE], arguments.into_iter().skip(1)),
        _ => return arguments,
    };
    line(["compose", "--"], arguments.into_iter().skip(skipped))
}

/// In the place of a command of Compose's: somebody called `docker` for something else.
const NOT_COMPOSE: &str = "docker";

fn line<'a>(ours: impl IntoIterator<Item = &'a str>, rest: impl Iterator<Item = OsString>) -> Vec<OsString> {
    std::iter::once("mainstay").chain(ours).map(OsString::from).chain(rest).collect()
}

/// Runs what a command line of `docker compose` comes to, one verb after the other.
pub fn run(context: &Context, arguments: Vec<OsString>) -> Result<(), Failure> {
    if let Some((_, words)) = arguments.split_first().filter(|(first, _)| *first == NOT_COMPOSE) {
        let asked = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let cause = format!("docker {asked} is none of what Mainstay does in Docker's place");
        return Err(Failure::new(Code::Usage, cause).next("docker compose …; or call Docker by its path"));
    }
    let arguments = std::iter::once(OsString::from("docker compose")).chain(arguments);
    let docker = Docker::try_parse_from(arguments).unwrap_or_else(|error| error.exit());
    let home = running(context, &docker);
    let told = words::words(&docker, || home.is_some())
        .map_err(|wrong| Failure::new(Code::Usage, wrong.cause).next(wrong.next))?;
    told.said.iter().for_each(|line| eprintln!("{line}"));
    for ours in told.verbs {
        let (context, verb) = crate::begin(parse(context, home.as_deref(), ours));
        super::run(&context, verb)?;
    }
    Ok(())
}

/// A command line of ours, with what was said of every verb; about the keeper of this home.
fn parse(context: &Context, home: Option<&Path>, words: Vec<OsString>) -> Cli {
    let home =
        home.or(context.given_home()).iter().flat_map(|home| ["--home".as_ref(), home.as_os_str()]).collect();
    let flags = [(context.json, "--json"), (context.is_plain(), "--no-color"), (context.yes, "--yes")];
    let flags = flags.iter().filter(|(is_on, _)| *is_on).map(|(_, flag)| OsStr::new(flag));
    // Before the verb: what follows a command of `exec` belongs to that.
    let before: Vec<&OsStr> = [home, flags.collect::<Vec<_>>()].concat();
    let line = std::iter::once(OsStr::new("mainstay")).chain(before).map(OsStr::to_owned);
    Cli::try_parse_from(line.chain(words)).unwrap_or_else(|error| error.exit())
}

/// Home of the keeper under which the stack runs, also of one that `up` is: `start` would have the host's run it a second time.
fn running(context: &Context, docker: &Docker) -> Option<PathBuf> {
    let words = std::iter::once("status".into()).chain(words::place(docker)).collect();
    let (context, _) = crate::begin(parse(context, None, words));
    let (home, client) = context.find_keeper()?;
    let status = client.status().ok()?;
    target::stack(&context, &status).ok().map(|_| home.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_whose_command_line_it_is() {
        let called = |line: &str| {
            let words = called(line.split(' ').map(OsString::from).collect());
            words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(called("/x/docker compose exec -T db psql"), "mainstay compose -- exec -T db psql");
        assert_eq!(called("docker-compose up -d"), "mainstay compose -- up -d");
        assert_eq!(called("docker ps"), "mainstay compose -- docker ps");
        assert_eq!(called("/usr/bin/mainstay up"), "/usr/bin/mainstay up");
    }
}
