//! Texts with a meaning: host names, path patterns, addresses, networks, signals. Pure; an error is the sentence for the
//! label, and where there is one, what to write instead.

use ipnet::IpNet;
use model::spec::UpstreamAddress;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong, for the label.
    pub what: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// An error.
pub fn wrong<T>(what: impl Into<String>, help: Option<&str>) -> Result<T, Wrong> {
    Err(Wrong { what: what.into(), help: help.map(str::to_owned) })
}

/// A host name (RFC 1123 section 2.1, without a trailing dot), `*.` before one, `*`, or an address. Lower-cased, IPv6 in short form (RFC 5952).
pub fn host(text: &str) -> Result<String, Wrong> {
    let lower = text.strip_suffix('.').filter(|name| *name != "*").unwrap_or(text).to_lowercase();
    if lower.contains("://") {
        let name = lower.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        return wrong("a host name, not a URL", Some(&format!("write `{name}`")));
    }
    if lower == "*" || lower.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()) {
        return Ok(lower);
    }
    if let Some(address) = model::site::address(&lower).filter(|_| lower.starts_with('[')) {
        return Ok(format!("[{address}]"));
    }
    if let Some((name, _)) = lower.split_once(':').filter(|_| !is_v6(&lower)) {
        return wrong("a host name has no port here; `listen` has it", Some(&format!("write `{name}`")));
    }
    if is_v6(&lower) {
        return wrong("an IPv6 address stands in brackets", Some(&format!("write `[{lower}]`")));
    }
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    if name.is_empty() || name.len() > 253 {
        return wrong("a host name has 1 to 253 characters", None);
    }
    if name.contains('*') {
        return wrong("`*` stands alone or as the whole first label", Some("write `*.example.com` or `*`"));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return wrong("a label of a host name has 1 to 63 characters", None);
        }
        if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_".contains(*c)) {
            let help = "letters, digits and `-` between dots; names with other letters in their `xn--` form";
            return wrong(format!("{c:?} cannot be in a host name"), Some(help));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return wrong("a label of a host name does not begin or end with `-`", None);
        }
    }
    Ok(lower)
}

fn is_v6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// `/exact`, `/prefix/*` or `/*`.
pub fn pattern(text: &str) -> Result<(), Wrong> {
    if !text.starts_with('/') {
        return wrong("a path begins with `/`", Some(&format!("write `/{text}`")));
    }
    let stem = text.strip_suffix("/*").unwrap_or(text);
    if stem.contains('*') {
        let help = match stem.strip_suffix('*') {
            Some(name) if !name.contains('*') => {
                format!("write `{name}/*` for `{name}` and everything below it")
            }
            _ => "write `/prefix/*`".into(),
        };
        return wrong("`*` stands only at the end, behind a `/`", Some(&help));
    }
    if stem.contains(['?', '#']) {
        return wrong("a path has no query and no fragment", None);
    }
    if stem.split('/').any(|part| part == "." || part == "..") || stem.contains("//") {
        return wrong("requests never have `.`, `..` or empty parts in their path", None);
    }
    if stem.chars().any(|c| c.is_control() || c == ' ' || c == '\\') {
        return wrong("spaces, controls and backslashes cannot be in a path", None);
    }
    Ok(())
}

/// Whether every path that `narrow` matches is matched by `broad` too.
pub fn covers(broad: &str, narrow: &str) -> bool {
    match broad.strip_suffix("/*") {
        None => broad == narrow,
        Some(prefix) => {
            let stem = narrow.strip_suffix("/*").unwrap_or(narrow);
            stem.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

/// Where to listen: `address:port`; `:port` is all addresses of both families, each a listener of its own.
pub fn listen(text: &str) -> Result<Vec<SocketAddr>, Wrong> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if let Some(address) = text.parse::<IpAddr>().ok().filter(|_| !is_v6(host)) {
        return wrong("the port is missing", Some(&format!("write `{}`", SocketAddr::new(address, 8080))));
    }
    let either =
        |port: u16| format!("write `127.0.0.1:{port}` for this machine only, `:{port}` for everybody");
    let Ok(port) = port.parse::<u16>() else {
        return wrong("not an address with a port", Some(&either(8080)));
    };
    match host {
        "" if text.starts_with(':') => Ok(vec![
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        ]),
        "" => wrong("the address is missing", Some(&either(port))),
        "*" => wrong("the address is missing", Some(&format!("write `:{port}`"))),
        "localhost" => wrong("an address, not a name", Some(&format!("write `127.0.0.1:{port}`"))),
        host if is_v6(host) => {
            wrong("an IPv6 address stands in brackets", Some(&format!("write `[{host}]:{port}`")))
        }
        _ => wrong("not an address with a port", Some(&either(port))),
    }
}

/// An address or a network.
pub fn network(text: &str) -> Result<IpNet, Wrong> {
    let help = Some("write `10.0.0.1`, `10.0.0.0/8` or `fd00::/8`");
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return wrong("not an address and not a network", help);
    };
    if network.trunc() != network {
        return wrong("bits are set behind the prefix", Some(&format!("write `{}`", network.trunc())));
    }
    Ok(network)
}

/// `host:port`, `http://host[:port]` or `unix:/path`.
pub fn upstream(text: &str, root: &Path) -> Result<UpstreamAddress, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains('\0') {
            return wrong("the path of the socket is missing", Some("write `unix:/run/app.sock`"));
        }
        return Ok(UpstreamAddress::Unix(root.join(path)));
    }
    if text.starts_with("https://") {
        return wrong("encrypted upstreams are not supported", Some("write `http://…` or `host:port`"));
    }
    let (authority, default) = match text.strip_prefix("http://") {
        Some(rest) => (rest.strip_suffix('/').unwrap_or(rest), Some(80)),
        None => (text, None),
    };
    if authority.contains("://") {
        return wrong(
            "neither `http://` nor `unix:`",
            Some("write `host:port`, `http://host:port` or `unix:/path`"),
        );
    }
    if authority.contains('@') {
        return wrong("a user and a password cannot be given here", None);
    }
    if authority.contains('/') {
        return wrong(
            "a path cannot be added here",
            Some("only the address: the request's path is passed on"),
        );
    }
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    };
    let port = match (port.map(str::parse::<u16>), default) {
        (Some(Ok(port)), _) if port > 0 => port,
        (None, Some(port)) => port,
        (None, None) => return wrong("the port is missing", Some(&format!("write `{authority}:3000`"))),
        _ => return wrong("a port is a number from 1 to 65535", None),
    };
    match host(name)? {
        name if name.contains('*') => wrong("`*` is no server", None),
        name => Ok(UpstreamAddress::Tcp(name.trim_matches(['[', ']']).to_owned(), port)),
    }
}

/// Signals a program may be asked to stop with: those of POSIX and Linux whose numbers are the same on every
/// architecture we run on (signal(7)); SIGKILL and SIGSTOP are left out, they ask nothing.
const SIGNALS: [(&str, i32); 12] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGABRT", 6),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGCONT", 18),
    ("SIGWINCH", 28),
    ("SIGIO", 29),
    ("SIGPWR", 30),
];

/// `SIGTERM`, `TERM` or `15`.
pub fn signal(text: &str) -> Result<i32, Wrong> {
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let number = text.parse::<i32>().ok();
    if let Some((_, number)) = SIGNALS.iter().find(|(own, value)| *own == name || Some(*value) == number) {
        return Ok(*number);
    }
    if matches!(&*name, "SIGKILL" | "SIGSTOP") {
        return wrong(
            format!("{name} cannot be handled by a program"),
            Some(
                "name one that it can handle, such as `SIGTERM`; SIGKILL is what `stop.timeout` ends with anyway",
            ),
        );
    }
    let near = crate::diagnostic::nearest(&name, SIGNALS.iter().map(|(name, _)| *name));
    wrong(
        "not a signal that a program can handle",
        near.map(|name| format!("did you mean `{name}`?")).as_deref(),
    )
}

/// Name of a signal that [`signal`] gave.
pub fn signal_name(number: i32) -> String {
    SIGNALS.iter().find(|(_, own)| *own == number).map_or(number.to_string(), |(name, _)| (*name).to_owned())
}

/// Names of variables whose value is nobody's business.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "DSN"];
    words.iter().any(|word| name.contains(word))
        || ["_KEY", "_PASS", "_PW", "DATABASE_URL", "APIKEY"].iter().any(|end| name.ends_with(end))
        || matches!(&*name, "KEY" | "PASS" | "PW")
}

/// Stands for a password's hash where one is not to be shown: a hash in form, of no password that anybody knows.
pub const MASKED_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A URL with a password in it.
pub fn holds_password(value: &str) -> bool {
    value
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default())
        .and_then(|authority| authority.rsplit_once('@'))
        .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, password)| !password.is_empty()))
}

/// Text in UTF-8 that was read as Windows-1252 and encoded again gives one of these pairs: a letter of `Â`–`ô` (the first
/// byte of a longer character) and then a character that stands for a following byte.
pub fn looks_double_encoded(text: &str) -> bool {
    const FOLLOWING: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";
    let following = |c: char| ('\u{80}'..='\u{bf}').contains(&c) || FOLLOWING.contains(c);
    let pairs = || text.chars().zip(text.chars().skip(1));
    pairs().any(|(first, second)| ('\u{c2}'..='\u{f4}').contains(&first) && following(second))
}

/// Whether a host name, lower case, is one that documents use where a real one belongs, or lies below such a one. Nobody can reach it,
/// and no authority is asked for its certificate.
pub fn is_placeholder(host: &str) -> bool {
    const NAMES: [&str; 14] = [
        "example.com",
        "example.org",
        "example.net",
        "your-domain.com",
        "yourdomain.com",
        "your-domain.org",
        "yourdomain.org",
        "your-frontend-domain.com",
        "yoursite.com",
        "your-site.com",
        "mydomain.com",
        "my-domain.com",
        "domain.com",
        "domain.tld",
    ];
    NAMES
        .iter()
        .any(|name| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert_eq!(host("Hello.LocalHost.").unwrap(), "hello.localhost");
        for good in ["*", "*.x.org", "10.0.0.1", "[::1]", "a_b.example", "xn--bcher-kva.example"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "*.",
            "a*.org",
            "a..b",
            "a.org:80",
            "::1",
            "http://a.org/",
            "bücher.example",
            "-a.org",
            "a b",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_and_what_covers_what() {
        for good in ["/", "/*", "/a/b", "/a/*", "/a/"] {
            assert!(pattern(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "/a*", "/*/b", "/a?b", "/a/../b", "/a//b", "/a b"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
        for (broad, narrow) in
            [("/*", "/"), ("/*", "/a/*"), ("/a/*", "/a"), ("/a/*", "/a/"), ("/a/*", "/a/b/*"), ("/a", "/a")]
        {
            assert!(covers(broad, narrow), "{broad} {narrow}");
        }
        for (broad, narrow) in
            [("/a", "/a/*"), ("/a/*", "/*"), ("/a/*", "/ab"), ("/a/*", "/ab/*"), ("/a/", "/a")]
        {
            assert!(!covers(broad, narrow), "{broad} {narrow}");
        }
    }

    #[test]
    fn addresses() {
        let root = Path::new("/srv");
        assert_eq!(upstream("localhost:3000", root), Ok(UpstreamAddress::Tcp("localhost".into(), 3000)));
        assert_eq!(
            upstream("http://127.0.0.1:5000/", root),
            Ok(UpstreamAddress::Tcp("127.0.0.1".into(), 5000))
        );
        assert_eq!(upstream("http://a.org", root), Ok(UpstreamAddress::Tcp("a.org".into(), 80)));
        assert_eq!(upstream("[::1]:3000", root), Ok(UpstreamAddress::Tcp("::1".into(), 3000)));
        assert_eq!(upstream("unix:/run/x.sock", root), Ok(UpstreamAddress::Unix("/run/x.sock".into())));
        assert_eq!(upstream("unix:x.sock", root), Ok(UpstreamAddress::Unix("/srv/x.sock".into())));
        for bad in
            ["", "localhost", "a:0", "a:70000", "https://a", "ftp://a:1", "a:1/b", "unix:", "*:80", "[::1]"]
        {
            assert!(upstream(bad, root).is_err(), "{bad}");
        }
        assert!(network("10.0.0.0/8").is_ok() && network("::1").is_ok());
        assert!(network("10.0.0.1/8").is_err() && network("ten").is_err());
        assert!(listen("[::]:80").is_ok() && listen(":80").unwrap().len() == 2 && listen("80").is_err());
        // who wrote loopback is not told to listen for everybody
        let help = |text: &str| listen(text).unwrap_err().help.unwrap();
        assert_eq!(help("127.0.0.1"), "write `127.0.0.1:8080`");
        assert_eq!(help("::1"), "write `[::1]:8080`");
        assert!(help("9000").starts_with("write `127.0.0.1:9000` for this machine only"));
    }

    #[test]
    fn signals() {
        assert_eq!((signal("SIGTERM"), signal("int"), signal("15")), (Ok(15), Ok(2), Ok(15)));
        assert!(
            signal("SIGKILL").is_err() && signal("SIGTREM").unwrap_err().help.unwrap().contains("SIGTERM")
        );
        assert!(SIGNALS.iter().all(|(name, number)| signal_name(*number) == *name));
    }

    // req: QUIRK-40
    #[test]
    fn double_encoding_is_seen_and_plain_text_is_not() {
        assert!(
            looks_double_encoded("Îµ=1.0")
                && looks_double_encoded("a â†’ b")
                && looks_double_encoded("MÃ¼nchen")
        );
        assert!(!looks_double_encoded("ε=1.0 → München, Ærø, naïve, São Paulo, 10 €"));
    }

    #[test]
    fn passwords_in_urls() {
        assert!(holds_password("postgresql://u:p@db:5432/x"));
        assert!(
            !holds_password("http://a.org/u:p@x")
                && !holds_password("https://u@a.org")
                && !holds_password("sqlite:////x")
        );
    }
}
