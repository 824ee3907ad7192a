//! The protocol between a service manager (systemd) and a service it started: what the service says of itself (sd_notify(3)), how often it
//! is to show that it lives (sd_watchdog_enabled(3)), and listening sockets that it was given (sd_listen_fds(3)).
//!
//! Nothing here blocks: a manager that does not read costs a message, not the service. The variables stay in this process's own
//! environment; who starts others gives them none of [`VARIABLES`].

use crate::descriptor;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What a service manager says to the process it starts, and to nobody that this one starts.
pub const VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// First descriptor of a listening socket that was handed over (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// Whether this host was started by systemd (sd_booted(3)).
pub fn is_systemd() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

/// Where a service manager listens for what a service says of itself.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    to: SocketAddr,
}

impl Notifier {
    /// To the manager that started this process; none: there is none that wants to know.
    ///
    /// # Errors
    /// When its address is of a kind that is not known.
    pub fn from_environment() -> io::Result<Option<Self>> {
        std::env::var_os("NOTIFY_SOCKET").map(|name| Self::to(&name)).transpose()
    }

    /// To this socket: a path, or behind an `@` a name of the abstract name space (unix(7)).
    ///
    /// # Errors
    /// When it is neither.
    pub fn to(name: &OsStr) -> io::Result<Self> {
        let to = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::new(ErrorKind::InvalidInput, "NOTIFY_SOCKET is no unix socket")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, to })
    }

    /// Says this: `NAME=value` lines, as sd_notify(3) lists them.
    ///
    /// # Errors
    /// When nobody listens, or whoever does has no room for it now.
    pub fn say(&self, lines: &str) -> io::Result<()> {
        self.socket.send_to_addr(lines.as_bytes(), &self.to).map(drop)
    }
}

/// Time within which the manager wants to hear that this process lives; none: it does not watch it.
pub fn watchdog() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    watchdog_of(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref())
}

fn watchdog_of(usec: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    let is_mine = pid.is_none_or(|pid| pid.parse() == Ok(std::process::id()));
    let usec = usec.and_then(|usec| usec.parse().ok()).filter(|usec| *usec > 0 && is_mine);
    usec.map(Duration::from_micros)
}

/// Microseconds of the clock that `MONOTONIC_USEC=` is given in.
pub fn monotonic_usec() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}

/// Listening sockets that the manager handed over, not blocking, and what else it did that is of no use, in words.
#[derive(Debug, Default)]
pub struct Handed {
    /// TCP listeners.
    pub listeners: Vec<TcpListener>,
    /// What was refused, and why, a line each.
    pub refused: Vec<String>,
}

/// Takes them over. Call it at the start of `main`, before anything is opened.
pub fn handed_over() -> Handed {
    let variable = |name| std::env::var(name).ok();
    let mine = variable("LISTEN_PID").is_some_and(|pid| pid.parse() == Ok(std::process::id()));
    let count = variable("LISTEN_FDS").filter(|_| mine).and_then(|count| count.parse::<i32>().ok());
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut handed = Handed::default();
    for number in (0..count.unwrap_or(0)).map(|index| FIRST.saturating_add(index)) {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        match descriptor::inherited(number).and_then(listener) {
            Ok(listener) => handed.listeners.push(listener),
            Err(error) => handed.refused.push(format!("descriptor {number} ({name}): {error}")),
        }
        if number > descriptor::LAST_INHERITED {
            break; // said once
        }
    }
    handed
}

/// The descriptor as a TCP listener.
fn listener(fd: OwnedFd) -> io::Result<TcpListener> {
    let wrong = || io::Error::new(ErrorKind::InvalidInput, "it is no listening TCP socket");
    if !rustix::net::sockopt::socket_acceptconn(&fd).map_err(|_| wrong())? {
        return Err(wrong());
    }
    let listener = TcpListener::from(fd);
    listener.local_addr().map_err(|_| wrong())?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_heard_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("mainstay-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let at_name = UnixDatagram::bind_addr(&address).unwrap();
        for (listener, given) in
            [(at_path, path.as_os_str().to_owned()), (at_name, format!("@{name}").into())]
        {
            Notifier::to(&given).unwrap().say("READY=1\nSTATUS=fine").unwrap();
            let mut bytes = [0; 64];
            let length = listener.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1\nSTATUS=fine");
        }
        assert!(Notifier::to("vsock:2:1".as_ref()).is_err());
        assert!(Notifier::to(path.with_file_name("gone").as_os_str()).unwrap().say("READY=1").is_err());
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        let refused = (0..10_000).find_map(|_| notifier.say("WATCHDOG=1").err());
        assert_eq!(refused.unwrap().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn the_watchdog_is_for_the_process_it_names() {
        let own = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog_of(Some("1000000"), Some(&own)), second);
        assert_eq!(watchdog_of(Some("1000000"), None), second);
        assert_eq!(watchdog_of(Some("1000000"), Some("1")), None);
        assert_eq!(watchdog_of(Some("0"), None), None);
        assert_eq!(watchdog_of(Some("soon"), None), None);
        assert_eq!(watchdog_of(None, None), None);
    }

    #[test]
    fn only_a_listening_tcp_socket_is_taken() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        assert_eq!(listener(tcp.into()).unwrap().local_addr().unwrap(), address);
        let folder = tempfile::tempdir().unwrap();
        let unix = std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap();
        assert!(listener(unix.into()).is_err());
        assert!(listener(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()).is_err());
        assert!(listener(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    }
}
