//! An edge without a keeper's process, for measuring and trying out:
//! `serve LISTEN UPSTREAM [WORKERS [LOG_FOLDER [TRUSTED]]]` proxies everything that comes to LISTEN to UPSTREAM (`host:port`,
//! `unix:/path`, either with `h2c:` before it) or serves the folder `files:/path`, and logs to LOG_FOLDER (default: the current
//! one). Peers in the network TRUSTED may speak HTTP/2 without TLS.

use model::site::StaticSpec;
use std::error::Error;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use sys::frame::FrameSocket;
use wire::edge::{Listener, ToEdge};
use wire::snapshot::{Endpoint, Handler, Route, Site, Snapshot, Upstream, UpstreamState};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, rest @ ..] = &args[..] else {
        return Err("serve LISTEN UPSTREAM [WORKERS [LOGS [TRUSTED]]]".into());
    };
    let workers: u32 = rest.first().map_or(Ok(1), |workers| workers.parse())?;
    let logs = rest.get(1).map_or(".", String::as_str);
    let listeners = sys::listen::bind(listen.parse::<SocketAddr>()?, workers, 4096)?;
    let (keeper, socket) = (format!("{logs}/edge.sock"), format!("{logs}/edge.sock"));
    let options = edge::Options {
        socket: socket.into(),
        listener: None,
        log_dir: logs.into(),
        log_size: 1 << 30,
        log_keep: 1,
        workers: Some(workers as usize),
        lifetime: None,
    };
    let thread = std::thread::spawn(move || edge::run(options));
    let keeper = loop {
        match FrameSocket::connect(keeper.as_ref()) {
            Ok(keeper) => break keeper,
            Err(error) if thread.is_finished() => return Err(error.into()),
            Err(_) => std::thread::yield_now(),
        }
    };
    keeper.recv()?;
    let mut names = Vec::new();
    for (queue, listener) in (0..).zip(&listeners) {
        names.push(Listener { address: listener.local_addr()?, queue, datagrams: false });
    }
    let fds: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    keeper.send(&wire::encode(&ToEdge::Listen { listeners: names })?, &fds)?;
    let mut snapshot = snapshot(upstream)?;
    if let Some(trusted) = rest.get(2) {
        snapshot.trusted.push(trusted.parse()?);
    }
    let file = sys::memfile::create("snapshot", &wire::encode(&snapshot)?)?;
    keeper.send(&wire::encode(&ToEdge::Snapshot { revision: 1 })?, &[file.as_fd()])?;
    println!("{:?}", keeper.recv()?.map(|(bytes, _)| String::from_utf8(bytes)));
    thread.join().map_err(|_| "the edge panicked")??;
    Ok(())
}

fn snapshot(upstream: &str) -> Result<Snapshot, Box<dyn Error>> {
    let (upstream, http2) = match upstream.strip_prefix("h2c:") {
        Some(upstream) => (upstream, true),
        None => (upstream, false),
    };
    if let Some(root) = upstream.strip_prefix("files:") {
        let files = StaticSpec { root: root.into(), ..StaticSpec::default() };
        return Ok(serving(Handler::Static(files), Vec::new()));
    }
    let address = match upstream.strip_prefix("unix:") {
        Some(path) => model::observed::Address::Unix(path.into()),
        None => model::observed::Address::Tcp(upstream.parse()?),
    };
    let endpoint = Endpoint {
        instance: address.to_string(),
        address,
        draining: false,
        weight: 1,
        release: 0,
        pid: None,
    };
    let upstream = Upstream {
        id: "dev/app".to_owned(),
        state: UpstreamState::Ready,
        balance: Default::default(),
        http2,
        endpoints: vec![endpoint],
        traffic: Default::default(),
        aside: Vec::new(),
    };
    Ok(serving(Handler::Proxy { upstream: upstream.id.clone() }, vec![upstream]))
}

fn serving(handler: Handler, upstreams: Vec<Upstream>) -> Snapshot {
    let route = Route {
        name: None,
        path: "/*".to_owned(),
        when: None,
        handler,
        connect_ms: 5_000,
        send_ms: 60_000,
        read_ms: 60_000,
        body_limit: 1 << 30,
        policy: Default::default(),
        hold: None,
    };
    Snapshot {
        version: wire::VERSION,
        revision: 1,
        trusted: Vec::new(),
        sites: vec![Site {
            client_certs: None,
            hash: 1,
            stack: "dev".to_owned(),
            hosts: vec!["*".to_owned()],
            listen: Vec::new(),
            https_redirect: false,
            routes: vec![route],
        }],
        upstreams,
        ..Snapshot::default()
    }
}
