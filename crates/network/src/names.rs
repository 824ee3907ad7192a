//! The names that an instance resolves: its `/etc/hosts` and `/etc/resolv.conf`, files of the run folder that are mounted in the place
//! of the host's.
//!
//! A bind mount shows the file that it was made with, so `hosts` is never replaced: [`rewrite`] writes into it. In one write, from its
//! beginning, and it never becomes shorter (blank lines fill it up): so no reader finds it empty or ended early. The kernel writes a page
//! while readers copy it; who reads in just that moment may see the first lines new and the last ones old, each line whole or, once,
//! cut where the two meet: a resolver passes such a line over and asks again.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Where the host has its list of name servers, and where systemd-resolved has the real ones.
const RESOLVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Text of `hosts`: a line for each address. The instance's own come first.
pub fn hosts<'a>(entries: impl Iterator<Item = (IpAddr, Vec<&'a str>)>) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for (address, names) in entries {
        if !names.is_empty() {
            text.push_str(&format!("{address} {}\n", names.join(" ")));
        }
    }
    text
}

/// Text of `resolv.conf`: the host's name servers but those on its loopback, which an instance does not reach; none without a way out.
pub fn resolvers(open: bool) -> String {
    if !open {
        return "# an internal network: names of its instances are in /etc/hosts\n".to_owned();
    }
    let read = |path: &&str| std::fs::read_to_string(path).ok();
    let reachable = RESOLVERS.iter().filter_map(read).map(|text| without_loopback(&text));
    reachable.into_iter().find(|text| text.contains("nameserver")).unwrap_or_default()
}

fn without_loopback(text: &str) -> String {
    let is_loopback = |line: &str| {
        let server = line.trim().strip_prefix("nameserver").map(str::trim);
        server.and_then(|server| server.parse::<IpAddr>().ok()).is_some_and(|server| server.is_loopback())
    };
    text.lines().filter(|line| !is_loopback(line)).map(|line| format!("{line}\n")).collect()
}

/// Writes a new text into a file that others may have mounted, which is made if it is not there.
///
/// # Errors
/// As the system says.
pub fn rewrite(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file: File = options.read(true).write(true).create(true).truncate(false).mode(0o644).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(1 << 20);
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().max(length), b'\n');
    file.write_all_at(&bytes, 0)
}

/// The address if it is one that networks of ours have.
pub fn four(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(four) => Some(four),
        IpAddr::V6(six) => six.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_file_stays_the_same_and_is_never_shorter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        let ip = |last| IpAddr::from([10, 1, 2, last]);
        let long = hosts([(ip(2), vec!["db", "database"]), (ip(3), vec!["cache"])].into_iter());
        rewrite(&path, &long).unwrap();
        let before = std::fs::metadata(&path).unwrap();
        rewrite(&path, &hosts([(ip(4), vec!["db"]), (ip(5), vec![])].into_iter())).unwrap();
        let (after, text) = (std::fs::metadata(&path).unwrap(), std::fs::read_to_string(&path).unwrap());
        assert_eq!((before.ino(), before.len()), (after.ino(), after.len()));
        assert!(text.contains("10.1.2.4 db\n") && !text.contains("10.1.2.2"), "{text}");
        assert!(!text.contains("10.1.2.5") && text.trim_end().ends_with("10.1.2.4 db"), "{text}");
    }

    #[test]
    fn name_servers_on_the_hosts_loopback_are_left_out() {
        let text = "search example.com\nnameserver 127.0.0.53\nnameserver 192.0.2.53\noptions edns0\n";
        assert_eq!(without_loopback(text), "search example.com\nnameserver 192.0.2.53\noptions edns0\n");
    }
}
