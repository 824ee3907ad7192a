//! The script that an interpreter is to run: `python3 -u server.py` is found, and `server.py` is not. A warning only: it may
//! be made before the start. Where the command line leaves a doubt, nothing is said.

use super::Context;
use crate::diagnostic::nearest;
use crate::place::Place;
use std::path::Path;

/// Options that take the word behind them, of any of the interpreters.
const WITH_VALUE: [&str; 6] = ["-W", "-X", "-r", "--require", "--import", "--loader"];

/// Looks for the script in the working folder.
pub fn find(context: &mut Context<'_>, place: Place<'_>, argv: &[String], dir: &Path) {
    let Some((index, script)) = script(argv) else { return };
    let file = dir.join(script.strip_prefix("./").unwrap_or(script));
    let complete = ["js", "mjs", "cjs"].iter().any(|end| context.disk.exists(&file.with_extension(end)));
    if context.disk.exists(&file) || file.extension().is_none() && complete {
        return;
    }
    let names = context.disk.names(&[file.parent().unwrap_or(dir).to_owned()]);
    let own = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let near = nearest(&own, names.iter().map(String::as_str));
    let found = context.report.warning("script::missing", format!("the script `{script}` does not exist"));
    found.at(place.item(index).span(), format!("{} does not exist", file.display()));
    found.help(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write it, or say in which folder it is: `dir = \"…\"`".to_owned(),
    });
}

/// The first argument of an interpreter that is no option, and its index. Nothing where the program comes from elsewhere
/// (`-m`, `-c`, `-e`, standard input) or an option is not known.
fn script(argv: &[String]) -> Option<(usize, &str)> {
    let (program, arguments) = argv.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let shell = matches!(name, "sh" | "bash" | "dash");
    let flags = match name {
        "python" => "bBdEIOPqsSuvx",
        "ruby" => "wWv",
        _ if shell => "eux",
        "node" | "nodejs" => "",
        _ => return None,
    };
    let mut words = arguments.iter().enumerate();
    while let Some((index, word)) = words.next() {
        let word = word.as_str();
        match word.strip_prefix('-') {
            // a shell looks for a bare name on its PATH too
            None if shell && !word.contains('/') => return None,
            None if word.is_empty() || word.contains('$') || word == "inspect" => return None,
            None => return Some((index + 1, word)),
            Some(_) if WITH_VALUE.contains(&word) => _ = words.next(),
            Some(long) if long.starts_with('-') && long.contains('=') => {}
            Some("-enable-source-maps" | "-no-warnings" | "-watch" | "-inspect" | "-trace-warnings") => {}
            Some(short) if !short.is_empty() && short.chars().all(|c| flags.contains(c)) => {}
            Some(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_first_word_that_is_no_option() {
        let found = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            script(&words).map(|(index, word)| (index, word.to_owned()))
        };
        for (line, index, name) in [
            ("python3 -u server.py --port 5", 2, "server.py"),
            ("/usr/bin/python3.12 -W ignore -Bu a/b.py", 4, "a/b.py"),
            ("node --max-old-space-size=512 -r dotenv server.js", 4, "server.js"),
            ("ruby app.rb", 1, "app.rb"),
            ("sh -eu ./start.sh", 2, "./start.sh"),
        ] {
            assert_eq!(found(line), Some((index, name.to_owned())), "{line}");
        }
        for line in [
            "python3 -m http.server 8080",
            "python3 -c pass",
            "python3 -",
            "sh -c true",
            "sh start",
            "node -e 1",
            "node --test x.js",
            "gunicorn shop:app",
            "python3",
            "python3 $SCRIPT",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
