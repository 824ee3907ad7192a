//! `mainstay hash-password`: what stands in a manifest in place of a password (argon2id, RFC 9106, as a PHC string).
//!
//! The password comes from the terminal, without echo, or from standard input: an argument would be seen by everybody in `ps`
//! and stay in the shell's history.

use crate::context::Context;
use crate::error::{Code, Failure};
use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// Longest password: a line, not a file.
const MOST: u64 = 4096;

/// Asks for it and prints its hash.
pub fn run(context: &Context) -> Result<(), Failure> {
    let password = if io::stdin().is_terminal() { ask()? } else { line(&mut io::stdin().lock())? };
    if password.is_empty() {
        return Err(Failure::new(Code::Usage, "an empty password")
            .next("type one, or pipe it: printf %s \"$PASSWORD\" | mainstay hash-password"));
    }
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| Failure::new(Code::Unclean, format!("the password cannot be hashed: {error}")))?;
    let mut out = io::stdout().lock();
    match context.json {
        true => writeln!(out, "{}", json!({ "hash": hash.to_string() }))?,
        false => writeln!(out, "{hash}")?,
    }
    Ok(())
}

fn ask() -> Result<String, Failure> {
    let (first, second) = sys::terminal::without_echo(|| {
        let ask = |prompt: &str| {
            eprint!("{prompt}");
            let line = line(&mut io::stdin().lock());
            eprintln!();
            line
        };
        Ok::<_, Failure>((ask("Password: ")?, ask("Again: ")?))
    })??;
    if first != second {
        return Err(Failure::new(Code::Usage, "the two passwords differ"));
    }
    Ok(first)
}

/// One line, without its end.
fn line(input: &mut impl BufRead) -> Result<String, Failure> {
    let mut text = String::new();
    input.take(MOST).read_line(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
