//! Which port an instance listens on, and whether it is really the instance that listens there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Lowest port that is picked: below, programs have theirs.
const LOWEST: u16 = 20_000;
/// Ports that have to lie between that and the kernel's own range.
const ENOUGH: u16 = 1_000;
/// Tries, before the kernel is asked.
const TRIES: u32 = 100;

/// A loopback port that is free now, below those that the kernel gives to outgoing connections: one of them could take it before the app
/// does, and hold it for long. Another program may take it all the same: then the instance does not become ready, [`stranger`] says who
/// has it, and the next start picks another.
pub fn pick() -> io::Result<SocketAddr> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    let outgoing = lowest_outgoing().filter(|lowest| *lowest >= LOWEST + ENOUGH);
    let tries =
        outgoing.into_iter().flat_map(|lowest| (0..TRIES).map(move |_| fastrand::u16(LOWEST..lowest)));
    tries.filter_map(|port| bind(port).ok()).next().map_or_else(|| bind(0), Ok)
}

/// The lowest port that the kernel gives to outgoing connections (ip(7), `ip_local_port_range`).
fn lowest_outgoing() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_ascii_whitespace().next()?.parse().ok()
}

/// Checks that a fixed port is free.
///
/// # Errors
/// For people: who holds it.
pub fn claim(port: u16) -> Result<SocketAddr, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(match sys::listen::port_holder(address) {
                Some(holder) => format!("port {port} is held by pid {} ({})", holder.pid, holder.name),
                None => format!("port {port} is held by another program"),
            })
        }
        Err(error) => Err(format!("port {port} cannot be used: {error}")),
    }
}

/// Who listens on `address`, if it is somebody else than `main` or one of its descendants. None too when it
/// cannot be found out: the probe has spoken then.
pub fn stranger(address: SocketAddr, main: u32) -> Option<String> {
    let listeners = sys::listen::listener_pids(address.port());
    let family = sys::proc::descendants(main).unwrap_or_default();
    if listeners.is_empty() || listeners.iter().any(|pid| *pid == main || family.contains(pid)) {
        return None;
    }
    let holder = sys::listen::port_holder(address)?;
    Some(format!(
        "something answers on port {}, but it is pid {} ({}), not this instance",
        address.port(),
        holder.pid,
        holder.name
    ))
}

/// Where an instance listens that does not answer at `address`, for people: the commonest reason for not being ready.
pub fn elsewhere(address: SocketAddr, main: u32) -> Option<String> {
    let mut family = sys::proc::descendants(main).unwrap_or_default();
    family.insert(0, main);
    let found = sys::listen::listening_addresses(&family);
    let other = found.iter().find(|found| found.port() != address.port())?;
    if found.iter().any(|found| found.port() == address.port()) {
        return None;
    }
    Some(format!(
        "it listens on {other}, not on $HOST:$PORT ({address}): let it take its port from $PORT, or write `port = {}` in the manifest",
        other.port()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once, a connection of somebody's own port held the one that was picked: Gunicorn gave up after five seconds.
    #[test]
    fn a_picked_port_is_none_that_an_outgoing_connection_may_get() {
        let lowest = lowest_outgoing().expect("Linux says it");
        for _ in 0..20 {
            let port = pick().unwrap().port();
            assert!(lowest < LOWEST + ENOUGH || (LOWEST..lowest).contains(&port), "{port}");
        }
    }
}
