//! Where groups can be made: what is mounted, where this process is, and what it may do there.

use super::group::{self, Group};
use super::{Controller, Limits};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Group of this process below its own, in version 2.
const KEEPER: &str = "keeper";
/// What the folders of groups of ours begin with.
const OURS: &str = "mainstay-";
/// Tries to make a folder in one that somebody else removes.
const TRIES: u32 = 5;

/// The hierarchies of this host, and the place of this process in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    places: Vec<Place>,
}

/// A hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Of version 1; empty: this is version 2.
    controllers: Vec<String>,
    mount: PathBuf,
    /// What of the hierarchy is mounted there.
    root: PathBuf,
    /// Folder of this process's group.
    own: PathBuf,
}

impl Host {
    /// Looks at the host as it is now.
    pub fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
    }

    fn parse(mounts: &str, groups: &str) -> Self {
        let place = |line: &str| {
            // proc_pid_mountinfo(5): id parent major:minor root mount options … - type source super-options
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, mount) = (PathBuf::from(before.next()?), PathBuf::from(before.next()?));
            let mut after = after.split(' ');
            let controllers = match after.next()? {
                "cgroup2" => Vec::new(),
                "cgroup" => after.nth(1)?.split(',').map(str::to_owned).collect(),
                _ => return None,
            };
            let mut place = Place { controllers, mount, root, own: PathBuf::new() };
            place.own = place.folder(groups)?;
            Some(place)
        };
        Self { places: mounts.lines().filter_map(place).collect() }
    }

    /// Version that sees to this controller, where groups with it can be made.
    ///
    /// # Errors
    /// For people: why none can.
    pub fn can(&self, controller: Controller) -> Result<u8, String> {
        let (place, version) = self.place(controller)?;
        let folder = if version == 2 { place.second()?.0 } else { place.own.clone() };
        rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).map_err(|error| match error {
            rustix::io::Errno::ROFS => format!("{} is mounted read-only", place.mount.display()),
            rustix::io::Errno::ACCESS => format!(
                "{} belongs to somebody else: root could, or a unit of systemd with Delegate=yes",
                folder.display()
            ),
            error => format!("{}: {error}", folder.display()),
        })?;
        Ok(version)
    }

    /// The hierarchy of a controller.
    fn place(&self, controller: Controller) -> Result<(&Place, u8), String> {
        let name = controller.name();
        if let Some(second) = self.places.iter().find(|place| place.is_second())
            && words(&second.own.join("cgroup.controllers")).iter().any(|own| own == name)
        {
            return Ok((second, 2));
        }
        let first = self.places.iter().find(|place| place.controllers.iter().any(|own| own == name));
        first.map(|place| (place, 1)).ok_or_else(|| {
            format!("no control group of this host has the controller {name}, or none for this process")
        })
    }

    /// Makes the group `name` in the folder `base` (which begins with `mainstay-`) with these limits: a part for each controller that can be had.
    /// The limits that have none are left out; [`Group::read`] tells.
    ///
    /// # Errors
    /// When a folder cannot be made or a limit is refused. Nothing is left then.
    pub fn make(base: &str, name: &str, limits: &Limits) -> io::Result<Group> {
        let host = Self::look();
        let mut folders: Vec<PathBuf> = Vec::new();
        let mut made = || -> io::Result<()> {
            for controller in limits.controllers().filter(|controller| host.can(*controller).is_ok()) {
                let Ok((place, version)) = host.place(controller) else { continue };
                let mut all = vec![if version == 2 { place.prepare(base)? } else { place.own.clone() }];
                if controller == Controller::Cpu && version == 1 {
                    let figures =
                        host.places.iter().find(|place| place.controllers.iter().any(|it| it == "cpuacct"));
                    all.extend(figures.map(|place| place.own.clone()));
                }
                for folder in all.into_iter().map(|own| own.join(base).join(name)) {
                    if !folders.contains(&folder) {
                        make(&folder)?;
                        folders.push(folder);
                    }
                }
            }
            Ok(())
        };
        let made = made();
        let group = Group::of(folders);
        match made.and_then(|()| group.set(limits)) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove();
                Err(error)
            }
        }
    }

    /// Least limit of memory of the groups that this process is in.
    pub fn memory_limit(&self) -> Option<u64> {
        let (place, _) = self.place(Controller::Memory).ok()?;
        let around = place.own.ancestors().take_while(|folder| folder.starts_with(&place.mount));
        around.filter_map(|folder| Group::of(vec![folder.to_owned()]).read().memory).min()
    }

    /// The group of ours that this process is a member of: the one that is called `name`.
    pub fn group_of(&self, pid: u32, name: &str) -> Group {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let folders = self.places.iter().filter_map(|place| place.folder(&groups));
        let is_ours = |folder: &PathBuf| {
            let around =
                folder.parent().and_then(Path::file_name).map(|base| base.to_string_lossy().into_owned());
            folder.ends_with(name) && around.is_some_and(|base| base.starts_with(OURS))
        };
        Group::of(folders.filter(is_ours).collect())
    }

    /// The group that somebody else made for a process, known by its name: a part of it is `id`. A process that was left in a group of
    /// others' has none.
    pub fn group_named(&self, pid: u32, id: &str) -> Group {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let is_it = |folder: &&Path| {
            folder.file_name().is_some_and(|name| !id.is_empty() && name.to_string_lossy().contains(id))
        };
        // What runs inside may have made itself groups below.
        let own = |place: &Place| place.folder(&groups)?.ancestors().filter(is_it).last().map(Path::to_owned);
        let mut folders: Vec<PathBuf> = self.places.iter().filter_map(own).collect();
        folders.sort_unstable();
        folders.dedup();
        Group::of(folders)
    }

    /// Removes the groups in `base` that have no members: of a former keeper's instances.
    pub fn sweep(&self, base: &str) {
        for place in &self.places {
            let around = match place.second() {
                Ok((folder, _)) if place.is_second() => folder,
                _ => place.own.clone(),
            };
            let folder = around.join(base);
            for group in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(group.path()); // a file, or one with members
            }
            let _ = fs::remove_dir(&folder); // not empty
        }
    }
}

impl Place {
    fn is_second(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Folder of the group that the lines of a `/proc/<pid>/cgroup` tell for this hierarchy. None: it lies outside of what is mounted.
    fn folder(&self, groups: &str) -> Option<PathBuf> {
        let mut lines = groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let (_, path) = lines.find(|(controllers, _)| match self.is_second() {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|one| self.controllers.iter().any(|own| own == one)),
        })?;
        Some(self.mount.join(Path::new(path).strip_prefix(&self.root).ok()?))
    }

    /// In version 2: the folder below which groups can be made, and whether this process has to leave it first.
    fn second(&self) -> Result<(PathBuf, bool), String> {
        let own = &self.own;
        if own.ends_with(KEEPER) && own.parent().is_some_and(|parent| parent.starts_with(&self.mount)) {
            return Ok((own.parent().unwrap_or(own).to_owned(), false));
        }
        if !own.join("cgroup.type").exists() {
            return Ok((own.clone(), false)); // the root of all, which may have members
        }
        let name = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".service") {
            return Err(format!(
                "systemd gave {name} no group within (DelegateSubgroup=, from version 254): it could not restart the keeper"
            ));
        }
        let own_pid = std::process::id();
        let below = crate::proc::descendants(own_pid).unwrap_or_default();
        let is_ours = |pid: &String| pid.parse().is_ok_and(|pid| pid == own_pid || below.contains(&pid));
        if words(&own.join("cgroup.procs")).iter().all(is_ours) {
            return Ok((own.clone(), true));
        }
        Err(format!(
            "the keeper shares its control group {name} with others: start it in one of its own, `systemd-run --scope -p Delegate=yes mainstay …`"
        ))
    }

    /// In version 2: makes the folder hand its controllers on to `base` and that to what is in it; gives the folder.
    fn prepare(&self, base: &str) -> io::Result<PathBuf> {
        let (folder, is_to_leave) = self.second().map_err(io::Error::other)?;
        if is_to_leave {
            let keeper = folder.join(KEEPER);
            make(&keeper)?;
            for pid in words(&folder.join("cgroup.procs")) {
                match group::write(&keeper.join("cgroup.procs"), &pid) {
                    Err(error)
                        if error.raw_os_error() != Some(libc::ESRCH)
                            && Path::new("/proc").join(&pid).exists() =>
                    {
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
        make(&folder.join(base))?;
        for around in [folder.clone(), folder.join(base)] {
            let there = words(&around.join("cgroup.controllers"));
            let on = words(&around.join("cgroup.subtree_control"));
            for name in there
                .iter()
                .filter(|name| ["memory", "cpu", "pids"].contains(&name.as_str()) && !on.contains(name))
            {
                group::write(&around.join("cgroup.subtree_control"), &format!("+{name}"))?;
            }
        }
        Ok(folder)
    }
}

/// Makes a folder and those around it; others may remove empty ones meanwhile.
fn make(folder: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..TRIES {
        last = fs::create_dir_all(folder);
        match &last {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => break,
        }
    }
    last.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
}

/// Of a file; empty where there is none.
fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_where_they_are_mounted() {
        let mounts = "31 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:29 /docker/ab /sys/fs/cgroup/memory ro shared:9 - cgroup cgroup rw,memory\n\
            34 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let groups = "5:memory:/docker/ab/x\n4:cpu,cpuacct:/y\n1:name=systemd:/z\n0::/user.slice/a.scope\n";
        let host = Host::parse(mounts, groups);
        let own: Vec<String> = host.places.iter().map(|place| place.own.display().to_string()).collect();
        assert_eq!(
            own,
            [
                "/sys/fs/cgroup/cpu,cpuacct/y",
                "/sys/fs/cgroup/memory/x",
                "/sys/fs/cgroup/unified/user.slice/a.scope"
            ]
        );
        assert_eq!(host.place(Controller::Memory).unwrap().1, 1);
        assert!(host.place(Controller::Pids).is_err());
        assert_eq!(Host::parse("rubbish\n1 - cgroup2\n", "more"), Host::default());
    }
}
