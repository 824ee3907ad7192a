//! An edge in a thread of the test, driven over its real socket by a keeper made for tests; backends are plain threads.
#![allow(dead_code)]

pub mod deaf;
pub mod folder;
pub mod hold;
pub mod http2;
pub mod tls;

use model::policy::PolicySpec;
use model::site::{Balance, DoorSpec, StaticSpec};
use model::traffic::{HoldSpec, TrafficSpec};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sys::frame::FrameSocket;
use wire::edge::{FromEdge, Listener, Stats, ToEdge};
use wire::snapshot::{Endpoint, Handler, Route, Site, Snapshot, Upstream, UpstreamState};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is spoken on one more address of an [`Edge`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Door {
    pub tls: bool,
    pub proxy_protocol: bool,
}

pub struct Edge {
    pub address: SocketAddr,
    plain: DoorSpec,
    /// Beside its address.
    pub doors: Vec<DoorSpec>,
    pub folder: tempfile::TempDir,
    keeper: Mutex<Option<FrameSocket>>,
    lifetime: Option<OwnedFd>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Edge {
    /// With one worker and this table.
    pub fn start(snapshot: &Snapshot) -> Self {
        Self::with_workers(1, snapshot)
    }

    pub fn with_workers(workers: usize, snapshot: &Snapshot) -> Self {
        Self::with_deadlines(edge::Deadlines::default(), workers, snapshot)
    }

    pub fn with_deadlines(deadlines: edge::Deadlines, workers: usize, snapshot: &Snapshot) -> Self {
        Self::with_all(None, deadlines, workers, &[], snapshot)
    }

    pub fn with_bounds(
        bounds: Option<edge::Bounds>,
        deadlines: edge::Deadlines,
        workers: usize,
        snapshot: &Snapshot,
    ) -> Self {
        Self::with_all(bounds, deadlines, workers, &[], snapshot)
    }

    /// Listens beside its address on one more for each of these, and says in the snapshot what is spoken there.
    pub fn with_doors(
        deadlines: edge::Deadlines,
        workers: usize,
        doors: &[Door],
        snapshot: &Snapshot,
    ) -> Self {
        Self::with_all(None, deadlines, workers, doors, snapshot)
    }

    fn with_all(
        bounds: Option<edge::Bounds>,
        deadlines: edge::Deadlines,
        workers: usize,
        doors: &[Door],
        snapshot: &Snapshot,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (read, write) = sys::pipe::lifetime().unwrap();
        let options = edge::Options {
            socket: folder.path().join("edge.sock"),
            listener: None,
            log_dir: folder.path().to_owned(),
            log_size: 1 << 30,
            log_keep: 1,
            workers: Some(workers),
            lifetime: Some(read),
        };
        let thread = std::thread::spawn(move || edge::run_with(options, deadlines, bounds));
        let queues = u32::try_from(workers).unwrap();
        let mut listeners = Vec::new();
        let mut names = Vec::new();
        for _ in 0..=doors.len() {
            let bound = sys::listen::bind(([127, 0, 0, 1], 0).into(), queues, 1024).unwrap();
            let address = bound[0].local_addr().unwrap();
            names.extend((0..queues).map(|queue| Listener { address, queue, datagrams: false }));
            listeners.extend(bound);
        }
        let plain = DoorSpec { address: names[0].address, tls: false, proxy_protocol: false, own: false };
        let others = doors.iter().zip(names.iter().skip(workers).step_by(workers));
        let others = others.map(|(door, name)| DoorSpec {
            address: name.address,
            tls: door.tls,
            proxy_protocol: door.proxy_protocol,
            own: false,
        });
        let edge = Self {
            address: names[0].address,
            plain,
            doors: others.collect(),
            folder,
            keeper: Mutex::new(None),
            lifetime: Some(write),
            thread: Some(thread),
        };
        let hello = edge.connect_keeper();
        assert!(matches!(hello, FromEdge::Hello { revision: 0, .. }), "{hello:?}");
        let fds: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
        edge.say(&ToEdge::Listen { listeners: names }, &fds);
        edge.apply(&edge.with_its_doors(snapshot));
        edge
    }

    /// The snapshot with this edge's doors.
    pub fn with_its_doors(&self, snapshot: &Snapshot) -> Snapshot {
        let mut snapshot = snapshot.clone();
        if !self.doors.is_empty() {
            snapshot.doors.push(self.plain);
            snapshot.doors.extend(&self.doors);
        }
        snapshot
    }

    /// A new keeper; gives what it is greeted with.
    pub fn connect_keeper(&self) -> FromEdge {
        let path = self.folder.path().join("edge.sock");
        let socket = wait_for(|| FrameSocket::connect(&path).ok());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        *self.keeper.lock().unwrap() = Some(socket);
        self.hear()
    }

    pub fn drop_keeper(&self) {
        *self.keeper.lock().unwrap() = None;
    }

    pub fn say(&self, message: &ToEdge, fds: &[std::os::fd::BorrowedFd<'_>]) {
        let keeper = self.keeper.lock().unwrap();
        keeper.as_ref().unwrap().send(&wire::encode(message).unwrap(), fds).unwrap();
    }

    pub fn hear(&self) -> FromEdge {
        self.hear_with_files().0
    }

    pub fn hear_with_files(&self) -> (FromEdge, Vec<OwnedFd>) {
        let keeper = self.keeper.lock().unwrap();
        let (bytes, fds) = keeper.as_ref().unwrap().recv().unwrap().unwrap();
        (wire::decode(&bytes).unwrap(), fds)
    }

    pub fn send_snapshot(&self, snapshot: &Snapshot) {
        let file = sys::memfile::create("snapshot", &wire::encode(snapshot).unwrap()).unwrap();
        self.say(&ToEdge::Snapshot { revision: snapshot.revision }, &[file.as_fd()]);
    }

    pub fn apply(&self, snapshot: &Snapshot) {
        self.send_snapshot(snapshot);
        assert_eq!(self.hear(), FromEdge::Applied { revision: snapshot.revision });
    }

    pub fn stats(&self) -> Stats {
        self.say(&ToEdge::Stats, &[]);
        match self.hear() {
            FromEdge::Stats(stats) => stats,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until it has ended by itself.
    pub fn ended(&self) {
        until(|| self.thread.as_ref().is_some_and(JoinHandle::is_finished));
    }

    /// Claims held on this instance.
    pub fn in_flight(&self, instance: &str) -> u64 {
        let stats = self.stats();
        stats.instances.iter().filter(|stats| stats.instance == instance).map(|stats| stats.in_flight).sum()
    }

    pub fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// One request on a connection of its own, which is closed after it.
    pub fn get(&self, host: &str, path: &str) -> Reply {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    /// Sends these bytes and reads until the end.
    pub fn request(&self, bytes: &str) -> Reply {
        let mut client = self.client();
        client.write_all(bytes.as_bytes()).unwrap();
        read_reply(&mut client)
    }

    /// Lines of the access log, once there are so many.
    pub fn log(&self, lines: usize) -> Vec<serde_json::Value> {
        let path = self.folder.path().join("access.log");
        let read = || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let parsed: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (parsed.len() >= lines).then_some(parsed)
        };
        wait_for(read)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.lifetime = None;
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap().unwrap();
            }
        }
    }
}

/// Waits until there is something.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until it is so.
pub fn until(mut test: impl FnMut() -> bool) {
    wait_for(|| test().then_some(()));
}

#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }
}

/// Reads until the connection ends.
pub fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let at = at.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(&bytes)));
    let body = bytes.split_off(at + 4);
    let head = String::from_utf8(bytes).unwrap();
    Reply { status: head[9..12].parse().unwrap(), head, body }
}

/// Reads until `end` is in what came.
pub fn read_until(stream: &mut impl Read, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while !bytes.windows(end.len()).any(|window| window == end) {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "ended after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..count]);
    }
    bytes
}

/// Reads one head; what came behind it is returned too.
pub fn read_head(stream: &mut impl Read) -> (String, Vec<u8>) {
    let mut bytes = read_until(stream, b"\r\n\r\n");
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let rest = bytes.split_off(at + 4);
    (String::from_utf8(bytes).unwrap(), rest)
}

/// A backend: each connection is given to `serve` on a thread of its own.
pub struct Backend {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
}

impl Backend {
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, connections }
    }

    /// Answers each request (without a body) with what `answer` makes of its head, keeping the connection.
    pub fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |mut stream| {
            while let Some(head) = next_head(&mut stream) {
                if stream.write_all(answer(&head).as_bytes()).is_err() {
                    return;
                }
            }
        })
    }

    /// Answers with the request's head as it arrived.
    pub fn echoing() -> Self {
        Self::answering(ok)
    }
}

/// A backend whose one connection the test drives by itself.
pub fn driven() -> (Backend, std::sync::mpsc::Receiver<TcpStream>) {
    let (give, take) = std::sync::mpsc::sync_channel(16);
    let backend = Backend::start(move |stream| give.send(stream).unwrap());
    (backend, take)
}

/// A head, or none when the client has ended.
pub fn next_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

/// 200 with this body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A snapshot of one site `a.test` whose every path goes to these addresses.
pub fn proxying(addresses: &[SocketAddr]) -> Snapshot {
    let endpoints = addresses.iter().enumerate().map(|(n, &address)| Endpoint {
        instance: format!("s/a.{}#1", n + 1),
        address: model::observed::Address::Tcp(address),
        draining: false,
        weight: 1,
        release: 0,
        pid: None,
    });
    snapshot(
        1,
        vec![site(1, &["a.test"], vec![route("/*", "s/a")])],
        vec![serving("s/a", endpoints.collect())],
    )
}

pub fn snapshot(revision: u64, sites: Vec<Site>, upstreams: Vec<Upstream>) -> Snapshot {
    Snapshot { version: wire::VERSION, revision, sites, upstreams, ..Snapshot::default() }
}

pub fn site(hash: u64, hosts: &[&str], routes: Vec<Route>) -> Site {
    let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
    Site {
        client_certs: None,
        hash,
        stack: "s".into(),
        hosts,
        listen: Vec::new(),
        https_redirect: false,
        routes,
    }
}

pub fn route(path: &str, upstream: &str) -> Route {
    handled(path, Handler::Proxy { upstream: upstream.into() })
}

pub fn files(path: &str, root: &Path) -> Route {
    handled(path, Handler::Static(StaticSpec { root: root.to_owned(), ..StaticSpec::default() }))
}

pub fn handled(path: &str, handler: Handler) -> Route {
    let (connect_ms, send_ms, read_ms) = (2_000, 5_000, 5_000);
    Route {
        name: None,
        path: path.into(),
        when: None,
        handler,
        connect_ms,
        send_ms,
        read_ms,
        body_limit: 1 << 20,
        policy: PolicySpec::default(),
        hold: None,
    }
}

/// One upstream with these endpoints. Nobody waits for them: tests of the hold switch it on.
pub fn serving(id: &str, endpoints: Vec<Endpoint>) -> Upstream {
    let balance = Balance::default();
    Upstream {
        id: id.into(),
        state: UpstreamState::Ready,
        balance,
        http2: false,
        endpoints,
        traffic: TrafficSpec { hold: HoldSpec::OFF, ..TrafficSpec::default() },
        aside: Vec::new(),
    }
}

pub fn upstream(id: &str, address: SocketAddr) -> Upstream {
    let address = model::observed::Address::Tcp(address);
    let endpoint = Endpoint {
        instance: format!("{id}.1#1"),
        address,
        draining: false,
        weight: 1,
        release: 0,
        pid: None,
    };
    serving(id, vec![endpoint])
}
