//! What an instance is before it is the app: this program again, as `mainstay confined`, which has itself be kept from what the
//! specification says and then executes the app.
//!
//! ```text
//! shim ─ fork, exec ─▶ confined ─ mounts, user, capabilities, Landlock, seccomp ─▶ execve: the app, with the same process id
//!   └── specification on descriptor 3 ──▶ │
//!   ◀── what went wrong on descriptor 4 ──┘   (closed without a word by the execve)
//! ```
//! Between fork and exec nothing may be allocated; here it may.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use sys::process::Spawn;
use sys::sandbox::{PlacedFile, Sandbox, Tmpfs};
use wire::shim::{Confined, Confinement, Credentials};

/// The verb.
pub const CONFINED: &str = "confined";

/// Descriptor of the specification.
const SPEC: i32 = 3;
/// Descriptor on which it is said what went wrong.
const REPORT: i32 = 4;
/// Most bytes of that.
const LONGEST: u64 = 4096;

/// Becomes the app. Comes back only where that failed, with the exit status.
pub fn confined() -> i32 {
    let Ok(report) = sys::descriptor::inherited(REPORT) else { return 1 };
    let why = match sys::descriptor::inherited(SPEC).and_then(|source| crate::read_frame(File::from(source)))
    {
        Ok(frame) => match wire::decode::<Confined>(&frame) {
            Ok(spec) => become_app(spec),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    let _ = File::from(report).write_all(why.as_bytes());
    1
}

fn become_app(spec: Confined) -> String {
    let Confined { argv, dir, user, no_new_privileges, confine } = spec;
    let Confinement { read_only, writable, kept, tmpfs, files, cap_add, cap_drop, sandbox } = confine;
    let tmpfs = tmpfs.into_iter().map(|it| Tmpfs {
        target: it.target,
        size: it.size,
        mode: it.mode.unwrap_or(0o1777),
        noexec: it.noexec,
        nosuid: it.nosuid,
        nodev: it.nodev,
    });
    let files = files.into_iter().map(|it| PlacedFile {
        target: it.target,
        content: it.content,
        owner: it.owner,
        mode: it.mode,
    });
    let own = Sandbox {
        dir,
        credentials: user.map(credentials),
        read_only,
        writable,
        kept,
        tmpfs: tmpfs.collect(),
        files: files.collect(),
        cap_add,
        cap_drop,
        no_new_privileges,
        confined: sandbox,
    };
    match own.enter() {
        Ok(()) => sys::sandbox::execute(&argv.into_iter().map(Into::into).collect::<Vec<_>>()),
        Err(why) => why,
    }
}

pub(crate) fn credentials(user: Credentials) -> sys::process::Credentials {
    sys::process::Credentials { uid: user.uid, gid: user.gid, groups: user.groups }
}

/// Starts it with all that `process` has already, and waits until it became the app.
pub(crate) fn start(mut process: Spawn, spec: &Confined) -> Result<u32, String> {
    let said = |error: &dyn std::fmt::Display| format!("it could not be confined: {error}");
    let (source, write) = sys::pipe::new().map_err(|error| said(&error))?;
    let (read, report) = sys::pipe::new().map_err(|error| said(&error))?;
    // The very program that runs, whatever lies at its path by now.
    process.program = "/proc/self/exe".into();
    process.args = vec![CONFINED.into()];
    process.descriptors = vec![(SPEC, source), (REPORT, report)];
    let pid = process.spawn().map_err(|error| error.to_string())?;
    let told = tell(write, spec);
    let mut why = String::new();
    let heard = File::from(read).take(LONGEST).read_to_string(&mut why);
    if why.is_empty() && told.is_ok() && heard.is_ok() {
        return Ok(pid);
    }
    let _ = sys::process::signal(pid, 9);
    let _ = sys::process::wait(pid);
    Err(match (told, why.is_empty()) {
        (_, false) => why,
        (Err(error), true) => said(&error),
        (Ok(()), true) => said(&"nothing was said about why"),
    })
}

fn tell(write: OwnedFd, spec: &Confined) -> io::Result<()> {
    let frame = sys::frame::encode(&wire::encode(spec).map_err(io::Error::other)?);
    File::from(write).write_all(&frame)
}
