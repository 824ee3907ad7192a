//! What the kernel lets Mainstay do here.

use super::Finding;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use sys::cgroup::{Controller, Host};

/// Highest port that needs a right, and how many are tried: others may be taken.
const LOW: std::ops::RangeInclusive<u16> = 1000..=1023;

/// All of it.
pub(super) fn look() -> Vec<Finding> {
    let mut findings = vec![ports()];
    findings.extend(controllers());
    findings.extend([namespaces(), networks()]);
    findings.extend(sandbox());
    findings
}

/// Tried: a low port that nobody has is bound for a moment, on loopback.
fn ports() -> Finding {
    let about = "ports below 1024";
    for port in LOW.rev() {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Finding::good(about, "may be bound"),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Finding::limited(
                    about,
                    format!("need root or the capability CAP_NET_BIND_SERVICE ({error})"),
                    "sites cannot be reached at 80 and 443: `up` and `start` refuse those ports",
                    "sudo sysctl net.ipv4.ip_unprivileged_port_start=80, or sudo mainstay install, or --http 8080 --https 8443",
                );
            }
            Err(_) => {}
        }
    }
    Finding::good(about, "all that were tried are taken: nothing can be said")
}

fn controllers() -> Vec<Finding> {
    let host = Host::look();
    let all = [
        ("limit of memory", Controller::Memory),
        ("limit of processors", Controller::Cpu),
        ("limit of processes", Controller::Pids),
    ];
    let finding = |(about, controller)| match host.can(controller) {
        Ok(version) => Finding::good(about, format!("by control groups, version {version}")),
        Err(why) => Finding::limited(
            about,
            why,
            "`resources` of apps are not enforced by the kernel; `status` says so for each",
            "sudo mainstay install: its unit has a control group of its own (Delegate=yes)",
        ),
    };
    all.into_iter().map(finding).collect()
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn namespaces() -> Finding {
    let about = "user namespaces";
    let means = "a container engine without root cannot run";
    if number("/proc/sys/user/max_user_namespaces") == Some(0) {
        return Finding::limited(
            about,
            "forbidden on this host",
            means,
            "sudo sysctl user.max_user_namespaces=15000",
        );
    }
    let forbids = |path, value| number(path) == Some(value) && !sys::user::is_root();
    if forbids("/proc/sys/kernel/unprivileged_userns_clone", 0) {
        return Finding::limited(
            about,
            "only for root",
            means,
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        );
    }
    if forbids("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1) {
        let mend = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0";
        return Finding::limited(about, "AppArmor keeps them from programs without a profile", means, mend);
    }
    match fs::exists("/proc/self/ns/user") {
        Ok(true) => Finding::good(about, "may be made"),
        _ => Finding::limited(about, "not in this kernel", means, "a kernel with CONFIG_USER_NS"),
    }
}

fn networks() -> Finding {
    match sys::netns::capable() {
        Ok(()) => Finding::good("private networks", "of native apps can be made"),
        Err(why) => Finding::limited(
            "private networks",
            why,
            "native apps are on the host's network; those in containers are not concerned",
            "run Mainstay as root: sudo mainstay install",
        ),
    }
}

/// What of confinement the kernel has.
fn sandbox() -> [Finding; 2] {
    let able = sys::sandbox::Able::look();
    let landlock = match able.landlock {
        Some(version) => Finding::good("Landlock", format!("version {version}")),
        None => Finding::limited(
            "Landlock",
            "the kernel does not have it, or it is off",
            "where an app may write is kept by its user's rights and by mounts alone",
            "a kernel of 5.13 or later, with landlock in lsm= of its command line",
        ),
    };
    let seccomp = if able.seccomp {
        Finding::good("seccomp", "filters of system calls")
    } else {
        Finding::limited(
            "seccomp",
            "the kernel has no filters of system calls",
            "apps may make every system call that their user may",
            "a kernel with CONFIG_SECCOMP_FILTER",
        )
    };
    [landlock, seccomp]
}
