//! `mainstay container run FILE` and `mainstay container probe FILE -- COMMAND`: what shims and the keeper call for an app in a container. Not for
//! people, and told apart before the command line is parsed: there is one runner beside each container, and it is small.

use std::path::Path;
use std::process::ExitCode;

/// Runs one of them to its end.
pub fn run() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(2).collect();
    let status = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", file] => containers::run::run(Path::new(file)),
        ["probe", file, "--", ..] => {
            containers::exec::probe(Path::new(file), words.get(3..).unwrap_or_default())
        }
        _ => {
            eprintln!("mainstay container: called by Mainstay itself only");
            2
        }
    };
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}
