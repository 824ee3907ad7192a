//! A shim under test: started like the keeper starts it, spoken to over its socket, and never left behind.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
#![allow(dead_code)] // each test file uses its part

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sys::frame::FrameSocket;
use sys::process::{Exit, Spawn};
use telemetry::journal::{Record, Source, Stream, tail};
use wire::shim::{FromShim, ShimSpec, ShimState, ShimStatus, ToShim};

/// Longer than anything here may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until this gives something.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

pub struct Shim {
    pub dir: tempfile::TempDir,
    pub pid: u32,
    pub spec: ShimSpec,
    pub lifetime: Option<OwnedFd>,
    reaped: bool,
}

/// A specification in this folder that runs a shell script.
pub fn spec(dir: &Path, script: &str) -> ShimSpec {
    ShimSpec {
        instance: "test/app.0#1".into(),
        argv: vec!["sh".into(), "-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        secret: Vec::new(),
        redact: Vec::new(),
        dir: dir.to_owned(),
        user: None,
        socket: dir.join("shim.sock"),
        status: dir.join("status.json"),
        out: dir.join("out.log"),
        err: dir.join("err.log"),
        log_size: 1 << 20,
        log_keep: 3,
        stop_signal: 15,
        stop_ms: 10_000,
        groups: Vec::new(),
        no_new_privileges: false,
        confine: None,
        lifetime: false,
        network: false,
        binds: Vec::new(),
    }
}

impl Shim {
    pub fn run(script: &str) -> Shim {
        Shim::run_with(script, |_| {})
    }

    pub fn run_with(script: &str, change: impl FnOnce(&mut ShimSpec)) -> Shim {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec(dir.path(), script);
        change(&mut spec);
        Shim::start(dir, spec, None)
    }

    /// `user`: of the shim itself; none: that of the test.
    pub fn start(dir: tempfile::TempDir, spec: ShimSpec, user: Option<sys::process::Credentials>) -> Shim {
        let (spec_read, spec_write) = sys::pipe::new().unwrap();
        let mut spawn = Spawn::new(env!("CARGO_BIN_EXE_shim-under-test"));
        spawn.credentials = user;
        spawn.descriptors.push((shim::SPEC_DESCRIPTOR, spec_read));
        let mut lifetime = None;
        if spec.lifetime {
            let (read, write) = sys::pipe::lifetime().unwrap();
            spawn.descriptors.push((shim::LIFETIME_DESCRIPTOR, read));
            lifetime = Some(write);
        }
        let pid = spawn.spawn().unwrap();
        let frame = sys::frame::encode(&wire::encode(&spec).unwrap());
        std::fs::File::from(spec_write).write_all(&frame).unwrap();
        Shim { dir, pid, spec, lifetime, reaped: false }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn connect(&self) -> Client {
        let socket = until("the socket", || FrameSocket::connect(&self.spec.socket).ok());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(socket)
    }

    /// Watches until the instance has ended or was never started.
    pub fn outcome(&self) -> ShimStatus {
        let client = self.connect();
        let mut status = client.status(&ToShim::Watch);
        while matches!(status.state, ShimState::Running { .. }) {
            status = client.next_status();
        }
        status
    }

    pub fn main_pid(&self) -> u32 {
        match self.connect().status(&ToShim::Watch).state {
            ShimState::Running { pid } => pid,
            other => panic!("not running: {other:?}"),
        }
    }

    pub fn records(&self) -> Vec<Record> {
        let source = |stream, path: &Path| Source { label: "app.0".into(), stream, path: path.into() };
        tail(&[source(Stream::Out, &self.spec.out), source(Stream::Err, &self.spec.err)], usize::MAX).unwrap()
    }

    pub fn out(&self) -> Vec<String> {
        self.records().into_iter().filter(|r| r.stream == Stream::Out).map(|r| r.text).collect()
    }

    /// Process ids that the application wrote, one per line, once there are this many.
    pub fn pids(&self, count: usize) -> Vec<u32> {
        until("the processes' ids", || {
            let pids: Vec<u32> = self.out().iter().filter_map(|l| l.parse().ok()).collect();
            (pids.len() == count).then_some(pids)
        })
    }

    pub fn status_file(&self) -> Option<ShimStatus> {
        wire::decode(&std::fs::read(&self.spec.status).ok()?).ok()
    }

    /// Waits until the shim itself has exited.
    pub fn exit(&mut self) -> Exit {
        let exit = until("the shim's exit", || sys::process::try_wait(self.pid).unwrap());
        self.reaped = true;
        exit
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        while sys::process::try_wait(self.pid).is_ok_and(|exit| exit.is_none()) && Instant::now() < deadline {
            let _ = sys::process::signal_descendants(self.pid, 9);
            let _ = sys::process::signal(self.pid, 15);
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

pub struct Client(pub FrameSocket);

impl Client {
    pub fn send(&self, request: &ToShim) {
        self.0.send(&wire::encode(request).unwrap(), &[]).unwrap();
    }

    pub fn next(&self) -> FromShim {
        let (bytes, _) = self.0.recv().unwrap().expect("the shim hung up");
        wire::decode(&bytes).unwrap()
    }

    pub fn next_status(&self) -> ShimStatus {
        match self.next() {
            FromShim::Status(status) => status,
            FromShim::Refused { reason } => panic!("refused: {reason}"),
        }
    }

    pub fn status(&self, request: &ToShim) -> ShimStatus {
        self.send(request);
        self.next_status()
    }

    pub fn refusal(&self, request: &ToShim) -> String {
        self.send(request);
        match self.next() {
            FromShim::Refused { reason } => reason,
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// Whether a process is there and no zombie.
pub fn lives(pid: u32) -> bool {
    sys::proc::stat(pid).is_some_and(|s| s.state != 'Z')
}
