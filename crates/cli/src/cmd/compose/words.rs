//! Pure: from a command line of `docker compose` to command lines of ours, each as its words after `mainstay`.

use crate::args::{Docker, DockerExec, DockerImages, DockerLogs, DockerNames, DockerUp, DockerVerb};
use std::ffi::{OsStr, OsString};

/// What a command line comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Ours, one after the other.
    pub verbs: Vec<Vec<OsString>>,
    /// What has no meaning here, a line each.
    pub said: Vec<String>,
}

/// What is not done here.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What.
    pub cause: String,
    /// What does it instead.
    pub next: String,
}

/// Where the stack is, in our words.
pub fn place(docker: &Docker) -> Vec<OsString> {
    let files =
        docker.file.iter().chain(docker.project_directory.as_ref().filter(|_| docker.file.is_empty()));
    files.flat_map(|path| [OsString::from("--file"), path.clone().into_os_string()]).collect()
}

/// What is asked of the compose files, in our words.
fn asked(docker: &Docker) -> Vec<OsString> {
    let profiles = docker.profile.iter().flat_map(|name| ["--profile".into(), name.into()]);
    let project = docker.project_name.iter().flat_map(|name| ["--project-name".into(), name.into()]);
    let files = docker.env_file.iter().flat_map(|path| ["--env-file".into(), path.clone().into_os_string()]);
    profiles.chain(project).chain(files).collect()
}

/// One command line under construction.
struct Line<'a> {
    docker: &'a Docker,
    told: Told,
}

impl Line<'_> {
    /// A verb of ours, with where the stack is.
    fn verb(&mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        let mut line: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let at = line.len().min(1);
        let mut options = place(self.docker);
        let reads = ["check", "config", "build", "pull", "up", "start", "reload"].map(OsStr::new);
        if line.first().is_some_and(|verb| reads.contains(&verb.as_os_str())) {
            options.extend(asked(self.docker));
        }
        if self.docker.ansi.as_deref() == Some("never") {
            options.push("--no-color".into());
        }
        line.splice(at..at, options);
        self.told.verbs.push(line);
    }

    /// A verb with names.
    fn of(&mut self, verb: &str, names: &[String]) {
        self.verb(std::iter::once(verb).chain(names.iter().map(String::as_str)));
    }

    fn say(&mut self, when: bool, line: &str) {
        if when {
            self.told.said.push(line.to_owned());
        }
    }
}

/// What a command line comes to; `is_running` says whether the stack runs already.
///
/// # Errors
/// For what is not done here.
pub fn words(docker: &Docker, is_running: impl FnOnce() -> bool) -> Result<Told, Wrong> {
    let mut line = Line { docker, told: Told::default() };
    match &docker.verb {
        DockerVerb::Up(up) => raise(&mut line, up, is_running())?,
        DockerVerb::Down(down) => {
            line.say(down.rmi.is_some(), "--rmi: images stay; the engine's own prune removes them");
            line.say(down.timeout.is_some(), TIMEOUT);
            // Compose does not ask.
            let volumes: &[&str] = if down.volumes { &["--volumes", "--yes"] } else { &[] };
            line.verb(["down"].iter().chain(volumes));
        }
        DockerVerb::Ps(ps) => {
            let json = ps.format.as_deref() == Some("json");
            let names = ps.services.iter().map(String::as_str);
            line.verb(std::iter::once("ps").chain(json.then_some("--json")).chain(names));
        }
        DockerVerb::Logs(logs) => show(&mut line, logs),
        DockerVerb::Exec(exec) => command(&mut line, exec),
        DockerVerb::Start(names) => some(&mut line, "start", names),
        DockerVerb::Stop(names) => some(&mut line, "stop", names),
        DockerVerb::Restart(names) => some(&mut line, "restart", names),
        DockerVerb::Kill(kill) => match &kill.signal {
            Some(signal) => kill.services.iter().for_each(|name| line.verb(["signal", name, signal])),
            None => {
                line.say(true, "kill without a signal is stop, with the time that the app has to end");
                line.of("stop", &kill.services);
            }
        },
        DockerVerb::Build(images) => had(&mut line, "build", images),
        DockerVerb::Pull(images) => had(&mut line, "pull", images),
        DockerVerb::Config(config) => {
            line.verb(std::iter::once("config").chain(config.quiet.then_some("--quiet")));
        }
        DockerVerb::Top(_) => line.verb(["top", "--once"]),
        DockerVerb::Stats(stats) => {
            let json = stats.format.as_deref() == Some("json");
            let flags = [(stats.no_stream, "--no-stream"), (json, "--json")];
            let flags = flags.iter().filter(|(is_on, _)| *is_on).map(|(_, flag)| *flag);
            line.verb(std::iter::once("stats").chain(flags).chain(stats.services.iter().map(String::as_str)));
        }
        DockerVerb::Ls(_) => line.told.verbs.push(vec!["status".into()]),
        DockerVerb::Rm(_) => {
            line.say(true, "nothing is left of what was stopped: there is nothing to remove")
        }
        DockerVerb::Scale(scale) => line.of("scale", &scale.numbers),
        DockerVerb::Version(_) => line.told.verbs.push(vec!["version".into()]),
        DockerVerb::Other(words) => return Err(unknown(words)),
    }
    Ok(line.told)
}

const TIMEOUT: &str = "--timeout: an app has the time that its stop_grace_period gives it";

fn raise(line: &mut Line<'_>, up: &DockerUp, is_running: bool) -> Result<(), Wrong> {
    line.say(up.timeout.is_some(), TIMEOUT);
    line.say(up.no_build, "--no-build: what has changed is built; what has not is not");
    line.say(
        up.remove_orphans && !is_running,
        "--remove-orphans: what the file does not name any more never stays",
    );
    if up.no_recreate {
        return Err(Wrong {
            cause: "--no-recreate: what has changed is replaced, without a lost request".into(),
            next: "docker compose start NAME starts what was stopped and changes nothing else".into(),
        });
    }
    let pull = (up.pull.as_deref() == Some("always")).then_some("--pull");
    let is_alone = up.no_deps && up.force_recreate && is_running && !up.services.is_empty();
    let in_background = up.detach || up.wait || is_running;
    if !in_background {
        if !up.services.is_empty() {
            return Err(Wrong {
                cause: "up in the foreground runs the whole file as it says".into(),
                next: "docker compose up -d with the same words, then docker compose logs -f".into(),
            });
        }
        let numbers = up.scale.iter().flat_map(|number| ["--scale", number]);
        line.verb(std::iter::once("up").chain(pull).chain(numbers));
        return Ok(());
    }
    if !is_alone || up.build {
        line.say(
            !up.services.is_empty() && !is_running,
            "a stack is started whole: services that are not named are started too",
        );
        // reads the file again where the stack runs, and changes what changed
        line.verb(std::iter::once("start").chain(pull));
    }
    if !up.scale.is_empty() {
        line.of("scale", &up.scale);
    }
    if up.force_recreate && is_running {
        line.of("restart", &up.services);
    } else if !up.services.is_empty() && is_running {
        line.of("start", &up.services);
    }
    if !up.detach && !up.wait {
        line.verb(["logs", "--follow"]);
    }
    Ok(())
}

fn had(line: &mut Line<'_>, verb: &str, images: &DockerImages) {
    line.say(
        images.no_cache,
        "--no-cache: steps whose inputs did not change are taken from the engine's cache",
    );
    line.say(
        images.pull,
        "--pull: what an image is built upon is taken as the engine has it; pull fetches images",
    );
    line.of(verb, &images.services);
}

fn show(line: &mut Line<'_>, logs: &DockerLogs) {
    let tail = logs.tail.clone().unwrap_or_else(|| "all".into());
    let tail = if tail == "all" { "1000000".to_owned() } else { tail };
    let mut words = vec!["logs".to_owned(), "--lines".into(), tail];
    let flags =
        [(logs.follow, "--follow"), (logs.no_color, "--no-color"), (logs.no_log_prefix, "--no-prefix")];
    words.extend(flags.iter().filter(|(is_on, _)| *is_on).map(|(_, flag)| (*flag).to_owned()));
    words.extend(logs.services.iter().cloned());
    line.verb(words);
}

fn command(line: &mut Line<'_>, exec: &DockerExec) {
    let mut words: Vec<OsString> = vec!["exec".into()];
    words.extend(exec.no_tty.then(|| "--no-tty".into()));
    words.extend(exec.env.iter().flat_map(|variable| ["--env".into(), variable.into()]));
    words.extend(exec.user.iter().flat_map(|user| ["--user".into(), user.into()]));
    words.extend(exec.workdir.iter().flat_map(|dir| ["--workdir".into(), dir.into()]));
    let instance = exec.index.map(|index| format!("{}.{index}", exec.service));
    words.push(instance.unwrap_or_else(|| exec.service.clone()).into());
    words.push("--".into());
    words.extend(exec.command.iter().cloned());
    line.verb(words);
}

fn some(line: &mut Line<'_>, verb: &str, names: &DockerNames) {
    line.say(names.timeout.is_some(), TIMEOUT);
    line.of(verb, &names.services);
}

fn unknown(words: &[OsString]) -> Wrong {
    let verb = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let next = match verb.as_str() {
        "run" => {
            "mainstay exec NAME -- COMMAND beside what runs; a command of its own is a [task.NAME], or a service with a profile"
        }
        "port" => "mainstay ps shows ports",
        "cp" => "mainstay exec NAME -- tar …, through a pipe",
        "events" => "mainstay history",
        "images" => "mainstay ps shows images; the engine lists all of them",
        "pause" | "unpause" => "mainstay stop NAME, mainstay start NAME",
        "attach" => "mainstay logs -f NAME, mainstay exec NAME -- sh",
        "create" => "mainstay start",
        "watch" => "mainstay reload, after a change",
        "wait" => "mainstay start waits; needs = { NAME = \"completed\" } has an app wait",
        _ => "mainstay --help; docs/compose-commands.md has every command",
    };
    Wrong { cause: format!("docker compose {verb} has no equal here"), next: next.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn told(line: &str, is_running: bool) -> Result<Told, Wrong> {
        let words = std::iter::once("compose").chain(line.split_whitespace());
        words_of(&Docker::try_parse_from(words).unwrap(), is_running)
    }

    fn words_of(docker: &Docker, is_running: bool) -> Result<Told, Wrong> {
        words(docker, || is_running)
    }

    #[track_caller]
    fn comes_to(line: &str, is_running: bool, expected: &[&str]) {
        let told = told(line, is_running).unwrap();
        let lines: Vec<String> = told
            .verbs
            .iter()
            .map(|words| words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, expected, "{line}");
    }

    #[test]
    fn every_line_of_theirs_has_lines_of_ours() {
        comes_to("up", false, &["up"]);
        comes_to("up -d --build", false, &["start"]);
        comes_to("up", true, &["start", "logs --follow"]);
        comes_to(
            "-f a.yml -f b.yml -p shop --profile app up -d",
            false,
            &["start --file a.yml --file b.yml --profile app --project-name shop"],
        );
        comes_to(
            "up -d --scale backend=3 --scale frontend=2",
            true,
            &["start", "scale backend=3 frontend=2"],
        );
        comes_to("up -d --force-recreate --no-deps backend", true, &["restart backend"]);
        comes_to("up -d --force-recreate", true, &["start", "restart"]);
        comes_to("down -v", true, &["down --volumes --yes"]);
        comes_to("-f c.yml ps --format json db", true, &["ps --file c.yml --json db"]);
        comes_to("logs -f --tail 20 backend", true, &["logs --lines 20 --follow backend"]);
        comes_to("exec db pg_dump -U postgres shop", true, &["exec db -- pg_dump -U postgres shop"]);
        comes_to(
            "exec -T -e A=b --index 2 db psql -d shop",
            true,
            &["exec --no-tty --env A=b db.2 -- psql -d shop"],
        );
        comes_to("stop backend", true, &["stop backend"]);
        comes_to("start backend", true, &["start backend"]);
        comes_to("restart", true, &["restart"]);
        comes_to("kill -s HUP web api", true, &["signal web HUP", "signal api HUP"]);
        comes_to("-f c.yml build web", false, &["build --file c.yml web"]);
        comes_to("pull -q", true, &["pull"]);
        comes_to("up --scale web=2", false, &["up --scale web=2"]);
        comes_to("config", false, &["config"]);
        comes_to("config -q", false, &["config --quiet"]);
        comes_to("stats --no-stream", true, &["stats --no-stream"]);
        comes_to("scale a=1 b=2", true, &["scale a=1 b=2"]);
        comes_to("version", false, &["version"]);
    }

    #[test]
    fn what_has_no_meaning_is_said_and_what_is_not_done_refused() {
        assert_eq!(told("stop -t 3 web", true).unwrap().said, [TIMEOUT]);
        assert!(!told("build --no-cache", false).unwrap().said.is_empty());
        assert!(told("run web sh", true).unwrap_err().next.contains("mainstay exec"));
        assert!(told("up web", false).is_err() && told("up -d --no-recreate", true).is_err());
    }
}
