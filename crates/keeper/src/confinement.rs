//! What instances are really held to: asked for by the manifest, read back from the kernel when somebody asks for a status, away from the
//! loop. What does not hold is an alert.

use crate::api::{Alert, EnforcedStatus, Status};
use crate::keeper::Keeper;
use crate::user;
use model::InstanceId;
use model::end::Bytes;
use model::spec::AppSpec;
use std::path::PathBuf;
use supervisor::confine;
use sys::cgroup::{Controller, Group, Host};
use sys::sandbox::{Able, Seen};
use sys::user::User;
use wire::container::Confined;

/// What to do about it.
const NEXT: &str = "mainstay check says what this host cannot do, docs/confinement.md what to do about it";

/// An instance that is to be held to something.
pub(crate) struct Asked {
    id: InstanceId,
    pid: u32,
    spec: AppSpec,
    user: Option<User>,
    /// Of one in a container: where its runner leaves word.
    folder: Option<PathBuf>,
}

impl Keeper {
    /// All of them.
    pub(crate) fn confined(&self) -> Vec<Asked> {
        let living = self.observed.instances.values().filter(|instance| instance.phase.is_alive());
        let asked = living.filter_map(|instance| {
            let id = &instance.id;
            let pid = self.facts.get(id)?.pid?;
            let spec = self.spec_in_force(id)?.clone();
            let folder =
                spec.container.as_ref().and_then(|_| Some(self.home.app_socket(id).parent()?.to_owned()));
            let stack = self.stacks.get(&id.app.stack)?.revisions().next()?;
            let user = user::of_app(&stack.spec, &spec).ok().flatten().filter(|_| folder.is_none());
            Some(Asked { id: id.clone(), pid, spec, user, folder })
        });
        asked.collect()
    }
}

/// Adds to a status what holds of what was asked for.
pub(crate) fn fill(status: &mut Status, asked: Vec<Asked>) {
    if asked.is_empty() {
        return;
    }
    let (host, able) = (Host::look(), Able::look());
    for one in asked {
        let lines = look(&one, &host, &able);
        let (stack, app) = (one.id.app.stack.to_string(), one.id.app.app.to_string());
        let broken: Vec<String> = lines.iter().filter(|line| line.holds.is_none()).map(said).collect();
        if !broken.is_empty() {
            let text = format!("{app}: {}", broken.join("; "));
            let label = one.id.label();
            match status.alerts.iter_mut().find(|alert| (&alert.stack, &alert.text) == (&stack, &text)) {
                Some(alert) => alert.instances.push(label),
                None => status.alerts.push(Alert {
                    stack: stack.clone(),
                    app: app.clone(),
                    instances: vec![label],
                    since: None,
                    text,
                    next: NEXT.to_owned(),
                }),
            }
        }
        let apps = status.stacks.iter_mut().filter(|it| it.name == stack).flat_map(|it| &mut it.apps);
        let instances = apps.filter(|it| it.name == app).flat_map(|it| &mut it.instances);
        if let Some(instance) = { instances }.find(|it| it.pid == Some(one.pid)) {
            instance.enforced = lines;
        }
    }
}

fn said(line: &EnforcedStatus) -> String {
    let why = line.problem.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {} is not enforced{why}", line.key, line.asked)
}

fn look(one: &Asked, host: &Host, able: &Able) -> Vec<EnforcedStatus> {
    if let Some(folder) = &one.folder {
        // Before it runs, and on another host's engine, there is nothing to be read.
        return wire::container::confined(folder)
            .map(|confined| of_container(one, confined, host, able))
            .unwrap_or_default();
    }
    let group = host.group_of(one.pid, &one.id.short());
    let mut lines = limits(&one.spec, &group, host);
    match Seen::look(one.pid) {
        Some(seen) => lines.extend(kept_from(one, &seen, able)),
        None => lines.clear(), // it is gone, and with it everything
    }
    lines
}

/// The engine's part, read back from the kernel: by the main process inside, and the group that the engine has made.
fn of_container(one: &Asked, confined: Confined, host: &Host, able: &Able) -> Vec<EnforcedStatus> {
    let Some(seen) = Seen::look(confined.pid) else { return Vec::new() };
    let mut lines = limits(&one.spec, &Group::of(confined.groups), host);
    for line in lines.iter_mut().filter(|line| line.problem.is_some()) {
        (line.holds, line.by) = (None, None);
        line.problem = Some("the engine has not set it".to_owned());
    }
    // Whom it runs as is the image's affair, and its system calls are the engine's.
    let mut spec = one.spec.clone();
    (spec.user, spec.confine.group, spec.confine.sandbox) = (None, None, Some(false));
    let own = Asked { id: one.id.clone(), pid: confined.pid, spec, user: None, folder: None };
    lines.extend(kept_from(&own, &seen, able));
    lines
}

fn limits(spec: &AppSpec, group: &Group, host: &Host) -> Vec<EnforcedStatus> {
    let asked = confine::limits(&spec.resources);
    let (wanted, kept) = (asked.as_kept(), group.read());
    let line = |controller| {
        let (key, text, holds) = match controller {
            Controller::Memory => {
                let bytes = asked.memory.unwrap_or_default();
                let holds = kept.memory.map(|bytes| format!("{bytes} bytes, swap included"));
                ("memory", Bytes(bytes).to_string(), holds.filter(|_| kept.memory == wanted.memory))
            }
            Controller::Cpu => {
                let holds = kept.cpus.map(|cpus| format!("{} ms of each 100 ms", f64::from(cpus) / 10.0));
                (
                    "cpus",
                    processors(u64::from(asked.cpus.unwrap_or_default())),
                    holds.filter(|_| kept.cpus == wanted.cpus),
                )
            }
            Controller::Pids => {
                let holds = kept.pids.map(|pids| format!("{pids}, {} now", group.pids().unwrap_or(0)));
                (
                    "pids",
                    asked.pids.unwrap_or_default().to_string(),
                    holds.filter(|_| kept.pids == wanted.pids),
                )
            }
        };
        let key = format!("resources.{key}");
        if let Some(holds) = holds {
            let by = group.version(controller).map(|version| format!("control group, version {version}"));
            return EnforcedStatus { key, asked: text, holds: Some(holds), by, problem: None };
        }
        let late = || "it was started before this limit was set, and has it from its next start".to_owned();
        let why = host.can(controller).err().unwrap_or_else(late);
        let by_keeper = controller == Controller::Memory;
        EnforcedStatus {
            key,
            holds: by_keeper.then(|| format!("{text}, looked at each second")),
            asked: text,
            by: by_keeper.then(|| "the keeper".to_owned()),
            problem: Some(format!("no control group: {why}")),
        }
    };
    asked.controllers().map(line).collect()
}

/// Of thousandths.
pub(crate) fn processors(thousandths: u64) -> String {
    let (whole, part) = (thousandths / 1000, thousandths % 1000);
    let part = format!("{part:03}");
    match part.trim_end_matches('0') {
        "" => whole.to_string(),
        part => format!("{whole}.{part}"),
    }
}

fn kept_from(one: &Asked, seen: &Seen, able: &Able) -> Vec<EnforcedStatus> {
    let own = &one.spec.confine;
    let mut lines = Vec::new();
    let mut line = |key: &str, asked: String, holds: Option<String>, by: &str, why: Option<String>| {
        let by = holds.as_ref().map(|_| by.to_owned());
        let problem = why.filter(|_| by.is_none());
        lines.push(EnforcedStatus { key: key.to_owned(), asked, holds, by, problem });
    };
    let group = confine::group_id(&one.spec);
    if one.spec.user.is_some() || own.group.is_some() {
        let (uid, gid) = seen.ids;
        let user =
            one.user.as_ref().map_or((sys::user::uid(), sys::user::gid()), |user| (user.uid, user.gid));
        let is_so =
            (uid, gid) == (user.0, group.unwrap_or(user.1)) && (own.group.is_none() || group.is_some());
        let names = [one.spec.user.as_deref(), own.group.as_deref()].map(|name| name.unwrap_or("its own"));
        line(
            "user",
            names.join(":"),
            is_so.then(|| format!("user {uid}, group {gid}")),
            "kernel",
            Some(format!("it runs as {uid}:{gid}")),
        );
    }
    if confine::no_new_privileges(&one.spec, one.user.as_ref()) {
        let why = Some("it was started by a Mainstay that did not; restart it".to_owned());
        line(
            "new_privileges",
            "false".into(),
            seen.no_new_privileges.then(|| "NoNewPrivs 1".into()),
            "kernel",
            why,
        );
    }
    let no_mounts = able.mounts.as_ref().err().cloned();
    let landlock = able.landlock.filter(|_| own.is_sandboxed() && seen.no_new_privileges);
    if own.read_only {
        let (holds, by) = match (seen.read_only, landlock) {
            (true, _) => (Some("the root is mounted read-only".to_owned()), "mount namespace"),
            (false, Some(_)) => (Some("changes are refused with EACCES".to_owned()), "Landlock"),
            (false, None) => (None, ""),
        };
        line("read_only", "true".into(), holds, by, no_mounts.clone());
    }
    for it in &own.tmpfs {
        let found = seen.tmpfs.iter().rev().find(|(target, _)| *target == it.target);
        line(
            "tmpfs",
            it.target.display().to_string(),
            found.map(|(_, options)| options.clone()),
            "mount namespace",
            no_mounts.clone(),
        );
    }
    let names = |set: u64| Seen::names(set);
    if !own.cap_add.is_empty() {
        let has = names(seen.effective);
        let missing: Vec<&String> =
            own.cap_add.iter().filter(|name| *name != "ALL" && !has.contains(name)).collect();
        let why = format!("it has not got {missing:?}, as Mainstay itself has not");
        line(
            "cap_add",
            own.cap_add.join(" "),
            missing.is_empty().then(|| has.join(" ")),
            "kernel",
            Some(why),
        );
    }
    if !own.cap_drop.is_empty() {
        let may = names(seen.bounding);
        let dropped = |name: &String| {
            own.cap_drop.iter().any(|one| one == name || one == "ALL") && !own.cap_add.contains(name)
        };
        let left: Vec<&String> = may.iter().filter(|name| dropped(name)).collect();
        let never = seen.effective == 0 && seen.no_new_privileges;
        let holds = match (left.is_empty(), never) {
            (true, _) => Some(if may.is_empty() {
                "none can be had".to_owned()
            } else {
                format!("only {} can be had", may.join(" "))
            }),
            (false, true) => Some("it has none, and nothing that it executes gains any".to_owned()),
            (false, false) => None,
        };
        line("cap_drop", own.cap_drop.join(" "), holds, "kernel", Some(format!("{left:?} can be had")));
    }
    if own.is_sandboxed() {
        let both = seen.seccomp.then(|| match landlock {
            Some(version) => format!("system calls are filtered; Landlock version {version}"),
            None => "system calls are filtered; no Landlock in this kernel".to_owned(),
        });
        line("sandbox", "true".into(), both, "kernel", Some("system calls are not filtered".into()));
    }
    lines
}
