//! Command lines: split into words, never given to a shell; the program is looked for where it will be looked for.

use super::{Context, items};
use crate::diagnostic::nearest;
use crate::disk::Identity;
use crate::file::OneOrMany;
use crate::place::Place;
use crate::tree::Origin;
use crate::values;
use model::spec::EnvValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where commands are looked for if nobody says anything else.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What means something to a shell only.
const SHELL_WORDS: [&str; 9] = ["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"];

/// The words of a command. Empty after an error.
pub fn argv(context: &mut Context<'_>, place: Place<'_>, command: Option<&OneOrMany>) -> Vec<String> {
    let argv = match command {
        None => return Vec::new(),
        Some(OneOrMany::Many(words)) => words.clone(),
        Some(OneOrMany::One(text)) => match shell_words::split(text) {
            Ok(words) => words,
            Err(_) => {
                let found =
                    context.report.error("command::quotes", "a quote in this command is never closed");
                found
                    .at(place.span(), "opened and not closed")
                    .help("or write a list: `[\"program\", \"argument\"]`");
                return Vec::new();
            }
        },
    };
    if argv.first().is_none_or(String::is_empty) {
        context.report.error("command::empty", "a command is missing").at(place.span(), "nothing to run");
        return Vec::new();
    }
    if argv.iter().any(|word| word.contains('\0')) {
        context
            .report
            .error("text::nul", "a command cannot hold a NUL character")
            .at(place.span(), "NUL in here");
        return Vec::new();
    }
    let written_as_line = matches!(command, Some(OneOrMany::One(_)));
    if let Some(word) = argv.iter().find(|word| written_as_line && SHELL_WORDS.contains(&word.as_str())) {
        context
            .report
            .warning("command::shell", format!("`{word}` means nothing here: no shell reads this"))
            .at(place.span(), "the program gets it as an argument")
            .help("if a shell is wanted: `[\"sh\", \"-c\", \"…\"]`");
    }
    let secret = items(place, command).any(|(place, _)| place.origin() == Origin::Secret)
        || argv.iter().any(|word| values::holds_password(word));
    if secret {
        context
            .report
            .warning(
                "command::secret",
                "a secret in a command line can be read by every user of this machine",
            )
            .at(place.span(), "holds the value of a secret variable, or a password")
            .help("pass it in `env`: `NAME = { secret = \"${NAME}\" }`");
    }
    argv
}

/// Looks the program up: with a `/` relative to the working folder, else on the app's own `PATH`.
pub fn find(
    context: &mut Context<'_>,
    place: Place<'_>,
    argv: &[String],
    dir: &Path,
    env: &BTreeMap<String, EnvValue>,
    who: Option<&Identity>,
) {
    // What is in force already stays so: an app whose program is gone fails alone, and says so.
    if !context.disk.is_to_start() {
        return;
    }
    let Some(program) = argv.first().filter(|program| !program.contains('$')) else { return };
    let place = place.item(0);
    if program.contains('/') {
        let file = dir.join(program.strip_prefix("./").unwrap_or(program));
        if context.disk.executable(&file, who) {
            return;
        }
        let there = context.disk.exists(&file);
        let what = if there { "cannot be executed" } else { "does not exist" };
        let found = context.report.error("command::missing", format!("command `{program}` {what}"));
        found.at(place.span(), format!("{} {what}", file.display()));
        found.help_if(there.then(|| format!("chmod +x {}", file.display())));
        return;
    }
    let own = env.get("PATH").map(|value| value.expose().to_owned());
    let path =
        own.clone().or_else(|| (context.environment)("PATH")).unwrap_or_else(|| DEFAULT_PATH.to_owned());
    let folders: Vec<PathBuf> = path.split(':').map(|folder| dir.join(folder)).collect();
    if folders.iter().any(|folder| context.disk.executable(&folder.join(program), who)) {
        return;
    }
    let names = context.disk.names(&folders);
    let found = context.report.error("command::missing", format!("command `{program}` is not found"));
    found.at(place.span(), "not on the PATH of this app");
    let near =
        nearest(program, names.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
    let whose = if own.is_some() { "its PATH" } else { "PATH" };
    found.help(format!("looked in {whose}: {path}{}", near.unwrap_or_default()));
}

/// Folders that the command line names and that are not there: programs rarely make them themselves.
pub fn folders(context: &mut Context<'_>, place: Place<'_>, argv: &[String], who: Option<&str>) {
    for (index, word) in argv.iter().enumerate().skip(1) {
        let path = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
        let folder = Path::new(path).parent().filter(|_| path.starts_with('/') && !path.contains('$'));
        let Some(folder) = folder.filter(|folder| !context.disk.exists(folder)) else { continue };
        let shown = folder.display().to_string();
        let user = who.map_or(String::new(), |who| format!(", writable for {who} if it writes there"));
        context
            .report
            .warning(
                "folder::missing",
                format!("the command line names `{path}`, and `{shown}` does not exist"),
            )
            .at(place.item(index).span(), "the folder is missing")
            .help(format!("create it before the start: mkdir -p {shown}{user}"));
    }
}
