//! The units of systemd that `mainstay install` writes. Pure.
//!
//! - `mainstay.service`: the keeper. Stopped or started again it leaves apps and front door running, and finds them again.
//! - `mainstay-stacks.service`: everything that the keeper runs, stopped in order when the host goes down, while the disks are still there.
//! - `mainstay.socket`: listening sockets of systemd's, where that was asked for.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// First line of every unit of ours: what begins otherwise is somebody else's, and left alone.
pub const MARK: &str = "# Written by `mainstay install`; what is changed here goes with the next one. Changes of yours: `systemctl edit`.";

/// The keeper's unit.
pub const SERVICE: &str = "mainstay.service";
/// The unit that stops everything.
pub const STACKS: &str = "mainstay-stacks.service";
/// The unit of listening sockets.
pub const SOCKET: &str = "mainstay.socket";

/// What the keeper and all it starts may do at most. All of it is needed where apps run as users of their own:
const CAPABILITIES: [(&str, &str); 10] = [
    ("CAP_SETUID", "edge, apps and databases run as users of their own"),
    ("CAP_SETGID", "and with their groups"),
    ("CAP_CHOWN", "their folders and sockets are given to them"),
    ("CAP_FOWNER", "and have the mode that they need"),
    (
        "CAP_DAC_OVERRIDE",
        "manifests, secrets and certificates of others are read, and what builds left is removed",
    ),
    ("CAP_KILL", "processes of other users are stopped"),
    ("CAP_NET_BIND_SERVICE", "ports 80 and 443"),
    ("CAP_SYS_ADMIN", "read-only roots, folders in memory and private files are mounts"),
    ("CAP_SETPCAP", "apps are kept from capabilities for good"),
    ("CAP_SYS_PTRACE", "/proc says who listens on a port, and what a process of another user holds"),
];

/// `mainstay.service`.
pub fn service(exe: &Path, home: &Path) -> String {
    let command = format!("{} keeper --home {}", quoted(exe), quoted(home));
    let names: Vec<&str> = CAPABILITIES.iter().map(|(name, _)| *name).collect();
    let mut reasons = String::new();
    for (name, why) in CAPABILITIES {
        let _ = writeln!(reasons, "# {name}: {why}"); // a String takes everything
    }
    format!(
        "{MARK}
[Unit]
Description=Mainstay, the front door and supervisor of its stacks
After=network-online.target nss-user-lookup.target
Wants=network-online.target
StartLimitIntervalSec=60
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=60
TimeoutStopSec=60
Restart=on-failure
RestartSec=1
# a wrong configuration, wrong usage, another keeper: started again it would be the same
RestartPreventExitStatus=1 2 5
# apps and front door outlive the keeper; {STACKS} ends them
KillMode=process
# an app that the kernel ends for want of memory is the keeper's business, and no reason to stop all others
OOMPolicy=continue
TasksMax=infinity
# limits of apps are control groups below this unit's; the keeper itself is in one (systemd 254 and later) so that it can be started again
Delegate=yes
DelegateSubgroup=keeper
UMask=0022
# Every app is in this unit, so it gets no sandbox that an app could meet: what is taken away here no app has.
{reasons}CapabilityBoundingSet={}

[Install]
WantedBy=multi-user.target
",
        names.join(" ")
    )
}

/// `mainstay-stacks.service`.
pub fn stacks(exe: &Path, home: &Path) -> String {
    let command = format!("{} stop --all --home {}", quoted(exe), quoted(home));
    format!(
        "{MARK}
[Unit]
Description=The stacks of Mainstay, stopped in order when the host goes down
# Only order: started again, {SERVICE} leaves them alone.
After={SERVICE} network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop={command}
TimeoutStopSec=5min

[Install]
WantedBy=multi-user.target
"
    )
}

/// `mainstay.socket`.
pub fn socket(addresses: &[SocketAddr]) -> String {
    let mut listen = String::new();
    for address in addresses {
        let _ = writeln!(listen, "ListenStream={address}"); // a String takes everything
    }
    format!(
        "{MARK}
[Unit]
Description=Listening sockets of Mainstay

[Socket]
{listen}BindIPv6Only=ipv6-only
Backlog=4096
Service={SERVICE}

[Install]
WantedBy=sockets.target
"
    )
}

/// A word of a command line as systemd.service(5) reads it.
fn quoted(path: &Path) -> String {
    let mut word = String::from("\"");
    for c in path.to_string_lossy().chars() {
        match c {
            '"' | '\\' => word.extend(['\\', c]),
            '%' | '$' => word.extend([c, c]),
            c => word.push(c),
        }
    }
    word.push('"');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted(Path::new("/usr/local/bin/mainstay")), "\"/usr/local/bin/mainstay\"");
        assert_eq!(quoted(Path::new("/a b/100%/$x/\"")), "\"/a b/100%%/$$x/\\\"\"");
    }

    #[test]
    fn apps_outlive_the_keeper_and_wrong_configuration_is_not_tried_again() {
        let unit = service(Path::new("/usr/bin/mainstay"), Path::new("/var/lib/mainstay"));
        for line in [
            "Type=notify",
            "KillMode=process",
            "Restart=on-failure",
            "RestartPreventExitStatus=1 2 5",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "WantedBy=multi-user.target",
        ] {
            assert!(unit.lines().any(|own| own == line), "{line} is missing:\n{unit}");
        }
    }
}
