//! What an app is kept from (`group`, `read_only`, `tmpfs`, capabilities, `sandbox`), and what it may use (`resources`).

use super::{Context, items, recycle};
use crate::diagnostic;
use crate::file::{AppFile, CpusFile, OneOrMany, ResourcesFile, TmpfsFile, TmpfsItemFile, TmpfsTable};
use crate::place::Place;
use crate::units;
use model::confine::{ConfineSpec, TmpfsSpec};
use model::upkeep::ResourcesSpec;
use std::path::PathBuf;

/// Most processors, in thousandths: more than any machine has.
const MOST_CPUS: f64 = 4_096_000.0;

/// Capabilities of capabilities(7), without `CAP_`, and all of them.
const CAPABILITIES: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// What an instance may use.
pub fn resources(context: &mut Context<'_>, place: Place<'_>, file: &ResourcesFile) -> ResourcesSpec {
    let reserve = file.reserve.clone().unwrap_or_default();
    let reserved = place.key("reserve");
    let spec = ResourcesSpec {
        memory: recycle::limit(context, place.key("memory"), file.memory.as_ref()),
        cpus: cpus(context, place.key("cpus"), file.cpus.as_ref()),
        pids: file.pids.and_then(|pids| u32::try_from(pids).ok()),
        reserve_memory: recycle::limit(context, reserved.key("memory"), reserve.memory.as_ref()),
        reserve_cpus: cpus(context, reserved.key("cpus"), reserve.cpus.as_ref()),
    };
    let pairs = [
        ("memory", spec.reserve_memory, spec.memory),
        ("cpus", spec.reserve_cpus.map(u64::from), spec.cpus.map(u64::from)),
    ];
    for (key, _, _) in pairs.into_iter().filter(|(_, kept, most)| most.is_some_and(|most| *kept > Some(most)))
    {
        let found = context.report.error("reserve::beyond", "more is reserved than may be used");
        found.at(reserved.key(key).span(), "more").at(place.key(key).span(), "than this");
    }
    spec
}

/// In thousandths.
fn cpus(context: &mut Context<'_>, place: Place<'_>, file: Option<&CpusFile>) -> Option<u32> {
    let thousandths = match file? {
        CpusFile::Whole(whole) => *whole as f64 * 1000.0,
        CpusFile::Part(part) => (part * 1000.0).round(),
    };
    // The least that the kernel divides: a hundredth of a processor.
    if (10.0..=MOST_CPUS).contains(&thousandths) {
        return Some(thousandths as u32);
    }
    let found = context.report.error("cpus::bad", "not a number of processors that fits here");
    found
        .at(place.span(), "from 0.01 to 4096")
        .help("write `0.5` for the time of half a processor, `2` for that of two");
    None
}

/// What it is kept from.
pub fn confine(context: &mut Context<'_>, app: Place<'_>, file: &AppFile) -> ConfineSpec {
    let spec = ConfineSpec {
        group: file.group.clone(),
        read_only: file.read_only.unwrap_or(false),
        tmpfs: tmpfs(context, app.key("tmpfs"), file.tmpfs.as_ref()),
        cap_add: capabilities(context, app.key("cap_add"), file.cap_add.as_ref()),
        cap_drop: capabilities(context, app.key("cap_drop"), file.cap_drop.as_ref()),
        new_privileges: file.new_privileges,
        sandbox: file.sandbox,
    };
    if spec.sandbox == Some(true) && spec.new_privileges == Some(true) {
        let message = "in a sandbox nothing can gain rights";
        let found = context.report.error("sandbox::contradiction", message);
        found.at(app.key("new_privileges").span(), "remove this").at(app.key("sandbox").span(), "or this");
    }
    spec
}

/// Names, in the kernel's spelling, each once and in order.
fn capabilities(context: &mut Context<'_>, place: Place<'_>, list: Option<&OneOrMany>) -> Vec<String> {
    let mut names = std::collections::BTreeSet::new();
    for (place, text) in items(place, list) {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if CAPABILITIES.contains(&name) {
            names.insert(name.to_owned());
            continue;
        }
        let near = diagnostic::nearest(name, CAPABILITIES);
        let found = context.report.error("capability::unknown", format!("there is no capability {text:?}"));
        found
            .at(place.span(), "see capabilities(7)")
            .help_if(near.map(|near| format!("did you mean `{near}`?")));
    }
    names.into_iter().collect()
}

fn tmpfs(context: &mut Context<'_>, place: Place<'_>, file: Option<&TmpfsFile>) -> Vec<TmpfsSpec> {
    let one;
    let list = match file {
        None => return Vec::new(),
        Some(TmpfsFile::One(text)) => {
            one = [TmpfsItemFile::Text(text.clone())];
            &one[..]
        }
        Some(TmpfsFile::Many(list)) => list,
    };
    let mut all: Vec<TmpfsSpec> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let place = if matches!(file, Some(TmpfsFile::One(_))) { place } else { place.item(index) };
        let made = match item {
            TmpfsItemFile::Text(text) => from_text(text).map_err(|wrong| (place, wrong)),
            TmpfsItemFile::Table(table) => from_table(context, place, table),
        };
        let made = made.and_then(|made| {
            let is_new = !all.iter().any(|other| other.target == made.target);
            if is_new { Ok(made) } else { Err((place, format!("{} is named twice", made.target.display()))) }
        });
        match made {
            Ok(made) => all.push(made),
            Err((place, wrong)) => {
                let found = context.report.error("tmpfs::bad", "not a folder in memory");
                found.at(place.span(), wrong);
                found.help("write an absolute path, and options behind a colon: \"/tmp:noexec,nosuid,size=100m,mode=1777\"");
            }
        }
    }
    all
}

fn target(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_plain =
        path.is_absolute() && !path.components().any(|part| part == std::path::Component::ParentDir);
    let is_ours = |root: &str| path.starts_with(root);
    if !is_plain || text.contains('\0') || path.parent().is_none() {
        return Err("an absolute path of a folder, without `..`".into());
    }
    if is_ours("/proc") || is_ours("/sys") || path == std::path::Path::new("/dev") {
        return Err("belongs to the system".into());
    }
    Ok(path.components().collect())
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("{text:?} are no permissions: `1777`, `0750`"))
}

/// `path[:option,option]`, with options of mount(8).
fn from_text(text: &str) -> Result<TmpfsSpec, String> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let mut made =
        TmpfsSpec { target: target(path)?, size: None, mode: None, noexec: false, nosuid: true, nodev: true };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => made.size = Some(bytes(size)?),
            Some(("mode", text)) => made.mode = Some(mode(text)?),
            None if option == "rw" => {}
            None => match option {
                "noexec" | "exec" => made.noexec = option == "noexec",
                "nosuid" | "suid" => made.nosuid = option == "nosuid",
                "nodev" | "dev" => made.nodev = option == "nodev",
                _ => return Err(format!("`{option}` is no option that is understood here")),
            },
            Some((name, _)) => return Err(format!("`{name}` is no option that is understood here")),
        }
    }
    Ok(made)
}

/// As mount(8) has it: `k`, `m` and `g` are powers of 1024 there, in other spellings they are as elsewhere in the manifest.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return units::size(text),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no size: `size=100m`"))?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(|| format!("{text:?} does not fit"))
}

fn from_table<'a>(
    context: &mut Context<'_>,
    place: Place<'a>,
    table: &TmpfsTable,
) -> Result<TmpfsSpec, (Place<'a>, String)> {
    let path = table.target.as_deref().ok_or_else(|| (place, "`target` is missing".to_owned()))?;
    let size = table.size.as_ref().map(|size| context.size(place.key("size"), Some(size), 1));
    Ok(TmpfsSpec {
        target: target(path).map_err(|wrong| (place.key("target"), wrong))?,
        size,
        mode: table.mode.as_deref().map(mode).transpose().map_err(|wrong| (place.key("mode"), wrong))?,
        noexec: table.noexec.unwrap_or(false),
        nosuid: table.nosuid.unwrap_or(true),
        nodev: table.nodev.unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_mount_are_read_as_mount_reads_them() {
        let made = from_text("/tmp:noexec,nosuid,size=100m").unwrap();
        assert_eq!((made.target, made.size, made.mode), ("/tmp".into(), Some(100 << 20), None));
        assert_eq!((made.noexec, made.nosuid, made.nodev), (true, true, true));
        let made = from_text("/a/b/:exec,suid,dev,size=5,mode=0750").unwrap();
        assert_eq!((made.target, made.size, made.mode), ("/a/b".into(), Some(5), Some(0o750)));
        assert_eq!((made.noexec, made.nosuid, made.nodev), (false, false, false));
        for wrong in
            ["tmp", "/", "/a/../b", "/proc/x", "/a:size=x", "/a:size=0", "/a:huge=always", "/a:mode=9"]
        {
            assert!(from_text(wrong).is_err(), "{wrong}");
        }
    }
}
