//! `mainstay install`: the units of systemd, and the system user of the edge. `--uninstall` removes the units.
//!
//! What systemd itself has to do is done by `systemctl` where it is process 1, and otherwise said. Files are replaced durably, and only
//! where they differ; one that is not ours is left, and nothing else is done then.

use crate::args::InstallArgs;
use crate::context::{self, Context};
use crate::error::{Code, Failure};
use crate::unit;
use keeper::home::OF_ROOT;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where an administrator's units are.
const UNITS: &str = "etc/systemd/system";
/// The edge's user.
const USER: &str = "mainstay";
/// The command that makes it.
const USERADD: [&str; 9] = [
    "useradd",
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
    USER,
];
/// Largest unit that is read.
const MOST: u64 = 64 << 10;

/// One thing to do.
enum Step {
    Write(PathBuf, String),
    Remove(PathBuf),
    Run(Vec<String>),
}

/// What is done, and what is left to people.
struct Plan {
    steps: Vec<Step>,
    next: Vec<String>,
}

/// Installs, or takes it back.
pub fn run(context: &Context, args: &InstallArgs) -> Result<(), Failure> {
    if !args.dry_run && args.root.is_none() && !sys::user::is_root() {
        return Err(Failure::new(Code::Usage, "only root can install a service of this host")
            .next("sudo mainstay install; mainstay install --dry-run shows what it would do"));
    }
    let plan = if args.uninstall { uninstall(args)? } else { install(context, args)? };
    if args.dry_run {
        return show(context, &plan, true);
    }
    plan.steps.iter().try_for_each(|step| step.do_it())?;
    show(context, &plan, false)
}

/// The folder of the units.
fn folder(args: &InstallArgs) -> PathBuf {
    args.root.as_deref().unwrap_or(Path::new("/")).join(UNITS)
}

/// This host's systemd is asked to do its part.
fn has_systemd(args: &InstallArgs) -> bool {
    args.root.is_none() && sys::service_manager::is_systemd()
}

fn install(context: &Context, args: &InstallArgs) -> Result<Plan, Failure> {
    let exe = std::env::current_exe()?;
    if args.root.is_none() && !args.dry_run {
        check_exe(&exe)?;
    }
    let home = std::path::absolute(context.given_home().unwrap_or(Path::new(OF_ROOT)))?;
    let mut units =
        vec![(unit::SERVICE, unit::service(&exe, &home)), (unit::STACKS, unit::stacks(&exe, &home))];
    if !args.socket.is_empty() {
        units.push((unit::SOCKET, unit::socket(&args.socket)));
    }
    let mut plan = Plan { steps: Vec::new(), next: Vec::new() };
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    for (name, text) in units {
        let path = folder(args).join(name);
        if is_ours(&path)?.as_deref() != Some(text.as_str()) {
            plan.steps.push(Step::Write(path, text));
        }
    }
    let user: Vec<String> = USERADD.map(str::to_owned).to_vec();
    if args.root.is_some() {
        plan.next.push(format!("in that system: {}", user.join(" ")));
    } else if sys::user::lookup(USER).is_none() {
        plan.steps.push(Step::Run(user));
    }
    let reload = words(&["systemctl", "daemon-reload"]);
    let enable = words(&[&["systemctl", "enable"], names.as_slice()].concat());
    if !has_systemd(args) {
        plan.next.extend([reload.join(" "), enable.join(" ")].into_iter().filter(|_| args.root.is_none()));
        if let Some(root) = &args.root {
            plan.next.push(format!("systemctl --root={} enable {}", root.display(), names.join(" ")));
        }
    } else if plan.steps.iter().any(|step| matches!(step, Step::Write(..))) {
        plan.steps.extend([Step::Run(reload), Step::Run(enable)]);
    }
    if args.root.is_none() {
        // the unit cannot hold a home that somebody else holds; what that one runs is taken over
        if let Some(pid) =
            context::connect(&home).and_then(|(_, client)| Some(client.status().ok()?.keeper.pid))
        {
            plan.next.push(format!("kill {pid}   (the keeper that runs now; apps and front door go on)"));
        }
        plan.next.push(format!("systemctl start {}", names.join(" ")));
        plan.next.push("mainstay start, in a stack's folder".into());
    }
    Ok(plan)
}

fn uninstall(args: &InstallArgs) -> Result<Plan, Failure> {
    let mut plan = Plan { steps: Vec::new(), next: Vec::new() };
    let mut found = Vec::new();
    for name in [unit::SOCKET, unit::STACKS, unit::SERVICE] {
        let path = folder(args).join(name);
        if is_ours(&path)?.is_some() {
            found.push((name, path));
        }
    }
    if found.is_empty() {
        return Ok(plan);
    }
    let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
    let disable = words(&[&["systemctl", "disable", "--now"], names.as_slice()].concat());
    let reload = words(&["systemctl", "daemon-reload"]);
    let asked = has_systemd(args);
    if asked {
        plan.steps.push(Step::Run(disable));
    }
    plan.steps.extend(found.into_iter().map(|(_, path)| Step::Remove(path)));
    if asked {
        plan.steps.push(Step::Run(reload));
    }
    plan.next.push(format!("what is kept: {OF_ROOT} and the user {USER}; userdel {USER} removes that"));
    Ok(plan)
}

/// The unit's text if it is one of ours; nothing where there is none.
fn is_ours(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = match sys::folder::read_plain(path, MOST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(Code::Unclean, format!("cannot read {}: {error}", path.display())));
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.starts_with("# Written by `mainstay install`") {
        return Ok(Some(text));
    }
    Err(Failure::new(Code::Configuration, format!("{} was not written by mainstay install", path.display()))
        .next("move it away, then mainstay install; nothing was changed"))
}

/// What systemd runs as root nobody else may be able to change.
fn check_exe(exe: &Path) -> Result<(), Failure> {
    let meta = std::fs::metadata(exe)?;
    let own = if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        Err(io::Error::other("others than root can write into it"))
    } else {
        sys::folder::check_way(exe, None)
    };
    own.map_err(|error| {
        let exe = exe.display();
        Failure::new(Code::Configuration, format!("{exe} is not for root to run at every boot: {error}"))
            .next(format!(
                "sudo install -m755 {exe} /usr/local/bin/mainstay, then sudo /usr/local/bin/mainstay install"
            ))
    })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Step {
    fn do_it(&self) -> Result<(), Failure> {
        match self {
            Self::Write(path, text) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                let written = std::fs::create_dir_all(folder)
                    .and_then(|()| sys::durable::write(path, text.as_bytes(), 0o644));
                written.map_err(|error| failed(format!("cannot write {}: {error}", path.display())))
            }
            Self::Remove(path) => sys::durable::remove(path)
                .map_err(|error| failed(format!("cannot remove {}: {error}", path.display()))),
            Self::Run(words) => {
                let Some((program, arguments)) = words.split_first() else { return Ok(()) };
                let line = words.join(" ");
                let output = Command::new(program).args(arguments).output();
                let output = output.map_err(|error| failed(format!("cannot run {line}: {error}")))?;
                if output.status.success() {
                    return Ok(());
                }
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(failed(format!("{line} failed ({})", output.status)).detail(said))
            }
        }
    }

    /// The kind of step, and what it is about.
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Write(path, _) => ("write", path.display().to_string()),
            Self::Remove(path) => ("remove", path.display().to_string()),
            Self::Run(words) => ("run", words.join(" ")),
        }
    }
}

fn failed(cause: String) -> Failure {
    Failure::new(Code::Unclean, cause)
        .next("put that right, then the same again: what is done is not done twice")
}

fn show(context: &Context, plan: &Plan, dry: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if context.json {
        let steps: Vec<Value> = plan.steps.iter().map(Step::json).collect();
        writeln!(out, "{}", json!({ "dry_run": dry, "steps": steps, "next": plan.next }))?;
        return Ok(());
    }
    if plan.steps.is_empty() {
        writeln!(out, "no change")?;
    }
    for step in &plan.steps {
        let (verb, what) = step.words();
        writeln!(out, "{}{verb} {what}", if dry { "would " } else { "" })?;
        if let (Step::Write(_, text), true) = (step, dry) {
            text.lines().try_for_each(|line| writeln!(out, "    {line}"))?;
        }
    }
    let style = context.style();
    plan.next.iter().try_for_each(|next| writeln!(out, "{} {next}", style.bold(" next:")))?;
    Ok(())
}

impl Step {
    fn json(&self) -> Value {
        let (verb, what) = self.words();
        match self {
            Self::Write(_, text) => json!({ "step": verb, "what": what, "text": text }),
            _ => json!({ "step": verb, "what": what }),
        }
    }
}
