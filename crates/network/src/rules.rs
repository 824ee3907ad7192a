//! Who may speak to whom, as rules of nftables in a table of this home's own.
//!
//! A packet passes only if the tables of all homes, and whatever firewall the host has, let it: so each home guards its own networks, and
//! nobody's accept opens another's.
//!
//! | from | to | |
//! |---|---|---|
//! | anywhere | a network of ours | only answers |
//! | an instance | its own network | yes |
//! | an instance | another network of this host: ours, containers', virtual machines' (any bridge that is no way out) | no |
//! | an instance | the world | yes, with the host's address; not from an `internal` network |
//! | an instance | the host | answers, `ping`, the edge's doors; name servers except from an `internal` network |

use crate::{Bridge, NetworkError, Wanted};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where `nft` is looked for.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];

/// The program that sets rules, if it is installed.
pub fn program() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| PathBuf::from(folder).join("nft")).find(|path| path.is_file())
}

/// Name of the table of a home.
pub fn table(home: &str) -> String {
    format!("mainstay_{home}")
}

/// The whole table as text for `nft -f`, in place of what was there, in one transaction. `uplinks`: interfaces of default routes.
/// Without networks the table goes.
pub fn render(home: &str, wanted: &Wanted, uplinks: &[String]) -> String {
    let table = table(home);
    let mut text = format!("table inet {table} {{}}\ndelete table inet {table}\n");
    if wanted.bridges.is_empty() {
        return text;
    }
    let all = || wanted.bridges.values();
    let bridges = set(all().map(|bridge| quoted(&bridge.link)));
    let open: Vec<&Bridge> = all().filter(|bridge| !bridge.internal).collect();
    let _ = writeln!(text, "table inet {table} {{\n chain forward {{");
    let _ = writeln!(text, "  type filter hook forward priority filter; policy accept;");
    let _ = writeln!(text, "  ct state established,related accept");
    for bridge in all() {
        // Seen here only where bridged packets are filtered too (br_netfilter).
        let _ = writeln!(text, "  iifname \"{0}\" oifname \"{0}\" accept", bridge.link);
    }
    let _ = writeln!(text, "  oifname {bridges} drop");
    if !open.is_empty() {
        let open = set(open.iter().map(|bridge| quoted(&bridge.link)));
        let uplinks = match uplinks {
            [] => String::new(),
            uplinks => format!("oifname != {} ", set(uplinks.iter().map(|link| quoted(link)))),
        };
        let _ = writeln!(text, "  iifname {open} meta oifkind \"bridge\" {uplinks}drop");
        let _ = writeln!(text, "  iifname {open} accept");
    }
    let _ = writeln!(text, "  iifname {bridges} drop\n }}\n chain input {{");
    let _ = writeln!(text, "  type filter hook input priority filter; policy accept;");
    let _ = writeln!(text, "  iifname {bridges} ct state established,related accept");
    let _ = writeln!(text, "  iifname {bridges} icmp type echo-request accept");
    if !open.is_empty() {
        let open = set(open.iter().map(|bridge| quoted(&bridge.link)));
        let _ = writeln!(text, "  iifname {open} meta l4proto {{ tcp, udp }} th dport 53 accept");
    }
    if !wanted.doors.is_empty() {
        let doors = set(wanted.doors.iter().map(ToString::to_string));
        let _ = writeln!(text, "  iifname {bridges} tcp dport {doors} accept");
    }
    let _ = writeln!(text, "  iifname {bridges} drop\n }}\n chain postrouting {{");
    let _ = writeln!(text, "  type nat hook postrouting priority srcnat; policy accept;");
    for bridge in open {
        let Bridge { subnet, link, .. } = bridge;
        let _ = writeln!(text, "  ip saddr {subnet} oifname != \"{link}\" masquerade");
    }
    text.push_str(" }\n}\n");
    text
}

fn quoted(link: &str) -> String {
    format!("\"{link}\"")
}

fn set(items: impl Iterator<Item = String>) -> String {
    format!("{{ {} }}", items.collect::<Vec<_>>().join(", "))
}

/// Sets rules that [`render`] wrote.
///
/// # Errors
/// What `nft` said: nothing has changed then.
pub fn apply(text: &str) -> Result<(), NetworkError> {
    let program = program().ok_or_else(|| NetworkError::Rules("the program is not installed".into()))?;
    let failed = |error: std::io::Error| NetworkError::Rules(error.to_string());
    let mut command = Command::new(program);
    command.args(["-f", "-"]).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // Smaller than a pipe holds, or read before anything is said: nft reads all of it first.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    written.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(NetworkError::Rules(said.lines().next().unwrap_or("it failed without a word").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(link: &str, subnet: &str, internal: bool) -> (String, Bridge) {
        let subnet: ipnet::Ipv4Net = subnet.parse().unwrap();
        let gateway = subnet.hosts().next().unwrap();
        (link.to_owned(), Bridge { link: link.into(), name: "a/b".into(), subnet, gateway, internal })
    }

    #[test]
    fn no_network_leaves_no_table() {
        let text = render("0a", &Wanted::default(), &[]);
        assert_eq!(text, "table inet mainstay_0a {}\ndelete table inet mainstay_0a\n");
    }

    #[test]
    fn an_internal_network_has_no_way_out() {
        let bridges = [bridge("ms-a", "10.1.0.0/24", false), bridge("ms-b", "10.2.0.0/24", true)];
        let wanted = Wanted { bridges: bridges.into(), doors: [443].into() };
        let text = render("0a", &wanted, &["eth0".to_owned()]);
        let has = |line: &str| text.lines().any(|it| it.trim() == line);
        assert!(has("iifname { \"ms-a\" } accept") && has("iifname { \"ms-a\", \"ms-b\" } drop"), "{text}");
        assert!(has("oifname { \"ms-a\", \"ms-b\" } drop"), "{text}");
        assert!(has("ip saddr 10.1.0.0/24 oifname != \"ms-a\" masquerade"), "{text}");
        assert!(!text.contains("10.2.0.0/24"), "{text}");
        assert!(has("iifname { \"ms-a\" } meta oifkind \"bridge\" oifname != { \"eth0\" } drop"), "{text}");
    }
}
