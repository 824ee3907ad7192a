//! Whether a published port speaks HTTP. Nobody says so in a compose file, so it is decided by what is known: a label, the port, the image,
//! whether the service is built from one's own code. What was decided is said, with how to say it otherwise.

use super::doors::Door;
use super::out::pairs;
use super::ports::Published;
use crate::tree::Node;

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP: it becomes a site.
    Http,
    /// Anything else over TCP.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Ports of other protocols: mail, names, databases, queues, and HTTPS, whose encryption is not ours to take off.
const OTHERS: [u16; 52] = [
    20, 21, 22, 23, 25, 53, 110, 111, 123, 135, 139, 143, 389, 443, 445, 465, 514, 587, 636, 853, 873, 989,
    990, 993, 995, 1433, 1521, 1883, 2049, 2181, 3306, 3389, 4222, 4369, 5060, 5222, 5432, 5433, 5671, 5672,
    5900, 6379, 6380, 6432, 6443, 8443, 8883, 9042, 9092, 9443, 11211, 27017,
];

/// Ports that web servers and frameworks take.
const WEB: [u16; 46] = [
    80, 81, 591, 1313, 1337, 2368, 3000, 3001, 3002, 3003, 3030, 4000, 4200, 4321, 5000, 5001, 5050, 5173,
    5174, 5601, 6006, 7860, 8000, 8001, 8008, 8025, 8069, 8080, 8081, 8082, 8083, 8088, 8090, 8096, 8123,
    8200, 8500, 8501, 8787, 8888, 9000, 9001, 9090, 9200, 15672, 16686,
];

/// Programs that speak no HTTP on any port, by the last part of an image's name.
const PROGRAMS: [&str; 18] = [
    "postgres",
    "postgis",
    "mysql",
    "mariadb",
    "redis",
    "valkey",
    "mongo",
    "memcached",
    "eclipse-mosquitto",
    "mosquitto",
    "kafka",
    "zookeeper",
    "cassandra",
    "nats",
    "openssh-server",
    "sftp",
    "bind9",
    "coredns",
];

/// What a port speaks, and why it is thought so.
pub fn of(service: &Node, port: &Published) -> (Speech, String) {
    if port.udp {
        return (Speech::Udp, "it is UDP".into());
    }
    let label = format!("mainstay.port.{}", port.target);
    let said = pairs(service.get("labels")).into_iter().find(|pair| pair.name == label);
    let said =
        said.and_then(|pair| pair.value).and_then(|value| value.scalar().map(|text| text.into_owned()));
    match said.as_deref() {
        Some("http") => return (Speech::Http, "its label says so".into()),
        Some("tcp") => return (Speech::Tcp, "its label says so".into()),
        Some("udp") => return (Speech::Udp, "its label says so".into()),
        _ => {}
    }
    match port.speaks.as_deref() {
        Some("http" | "http1" | "HTTP") => return (Speech::Http, "`app_protocol` says so".into()),
        Some(other) => return (Speech::Tcp, format!("`app_protocol` is `{other}`")),
        None => {}
    }
    let target = port.target;
    if OTHERS.contains(&target) {
        return (Speech::Tcp, format!("port {target} is known for something else than HTTP"));
    }
    let image = service.get("image").and_then(|node| node.scalar()).unwrap_or_default().into_owned();
    let program = program(&image);
    let built = service.get("build").is_some();
    if !built && (PROGRAMS.contains(&program) || (program == "php" && image.contains("fpm"))) {
        return (Speech::Tcp, format!("`{program}` speaks no HTTP there"));
    }
    if WEB.contains(&target) {
        return (Speech::Http, format!("port {target} is known for HTTP"));
    }
    if built {
        return (Speech::Http, "it is built from your own code".into());
    }
    (Speech::Tcp, format!("nothing is known of port {target}"))
}

/// Where the app itself takes requests, of all that is published: what speaks HTTP first. A port that nothing is known of may be one for
/// debugging, which nobody listens at: not that one.
pub fn own(doors: &[Door]) -> Option<u16> {
    let target = |door: &Door| door.port.target;
    let first = |wanted: Speech| doors.iter().filter(move |door| door.speaks == wanted).map(target);
    let only_udp = doors.iter().all(|door| door.speaks == Speech::Udp);
    first(Speech::Http)
        .next()
        .or_else(|| first(Speech::Tcp).find(|port| OTHERS.contains(port)))
        .or_else(|| first(Speech::Udp).next().filter(|_| only_udp))
}

/// The last part of an image's name: `postgres` of `docker.io/library/postgres:15@sha256:…`.
pub fn program(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}
