//! The project's own checks, run by `make test` and by developers.
//!
//! - `cargo xtask check`: layers, habits of the sources, rustfmt, clippy ([`check`]).
//! - `cargo xtask requirements [--list]`: which rows of `docs/requirements.md` a test proves ([`requirements`]).
//! - `cargo xtask generate`: writes the generated files anew (schema, command help).
//!
//! Exit status 0: all is well; 1: something was found (each finding is a line); 2: wrong usage.

mod check;
mod requirements;
mod tree;

use anyhow::Result;
use std::process::{Command, ExitCode};
use tree::Tree;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["check"] => Tree::open().and_then(|tree| check::run(&tree)),
        ["requirements"] => Tree::open().and_then(|tree| requirements::run(&tree, false)),
        ["requirements", "--list"] => Tree::open().and_then(|tree| requirements::run(&tree, true)),
        ["generate"] => Tree::open().and_then(|tree| generate(&tree)),
        _ => {
            eprintln!("usage: cargo xtask check | requirements [--list] | generate");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The tests that compare generated files write them instead when `UPDATE_GENERATED` is set.
fn generate(tree: &Tree) -> Result<bool> {
    let arguments = ["test", "--quiet", "--package", "manifest", "--package", "mainstay", "generated"];
    let status = Command::new("cargo")
        .args(arguments)
        .env("UPDATE_GENERATED", "1")
        .current_dir(tree.root())
        .status()?;
    Ok(status.success())
}
