//! Under a service manager: a notify socket of the test's own stands for systemd's, and a listening socket is handed over. No more is shown
//! where systemd is not process 1.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests too

mod stage;

use stage::{Stage, WEB};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sys::process::{Exit, Spawn};
use testkit::{signal, wait_until};

/// Time within which the manager wants a sign of life.
const PATIENCE: Duration = Duration::from_millis(600);

/// What a keeper has said, with the time at which it was heard.
#[derive(Clone)]
struct Manager {
    said: Arc<Mutex<Vec<(Instant, String)>>>,
    address: String,
}

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        let manager = Self { said: Arc::default(), address: path.to_str().unwrap().to_owned() };
        let said = Arc::clone(&manager.said);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                said.lock().unwrap().push((Instant::now(), text));
            }
        });
        manager
    }

    /// As systemd starts the unit: the sockets from descriptor 3 on, `LISTEN_PID` that of the keeper.
    fn start(&self, stage: &Stage, sockets: &[&TcpListener], patience: Duration) -> u32 {
        let mut spawn = Spawn::new("/bin/sh");
        let line = "LISTEN_PID=$$ exec \"$0\" keeper --home \"$1\"";
        let home = stage.sandbox.home();
        spawn.args = vec!["-c".into(), line.into(), testkit::binary().into(), home.into()];
        let usec = patience.as_micros().to_string();
        spawn.env = [
            ("PATH", "/usr/bin:/bin"),
            ("NOTIFY_SOCKET", &self.address),
            ("WATCHDOG_USEC", &usec),
            ("LISTEN_FDS", &sockets.len().to_string()),
            ("LISTEN_FDNAMES", "web"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
        let handed = (3..).zip(sockets).map(|(number, socket)| (number, socket.try_clone().unwrap().into()));
        spawn.descriptors = handed.collect();
        spawn.spawn().unwrap()
    }

    /// All messages from number `from` on.
    fn since(&self, from: usize) -> Vec<(Instant, String)> {
        self.said.lock().unwrap()[from..].to_vec()
    }

    /// Waits for a message with this line, and gives the number of the one after it.
    #[track_caller]
    fn hear(&self, from: usize, line: &str) -> usize {
        let found = || {
            let said = self.since(from);
            said.iter().position(|(_, text)| text.lines().any(|own| own.starts_with(line)))
        };
        wait_until(&format!("{line} is said"), || found().map(|at| from + at + 1))
    }
}

#[test]
fn a_service_manager_is_told_and_hands_over_its_socket() {
    let stage = Stage::new(WEB);
    let manager = Manager::at(&stage.sandbox.folder().join("notify"));
    // The test's own copy holds the address: nobody could bind it anew.
    let socket = TcpListener::bind(("127.0.0.1", stage.port)).unwrap();
    let keeper = manager.start(&stage, &[&socket], PATIENCE);
    let at = manager.hear(0, "READY=1");
    let ready = manager.since(at - 1)[0].1.clone();
    assert!(ready.lines().any(|line| line == format!("MAINPID={keeper}")), "{ready}");

    stage.starting().wait().expect_code(0);
    let app = stage.answering();
    manager.hear(at, "STATUS=1 stack, 1 of 1 instances ready");

    // signs of life keep coming, none too late
    let begun = manager.said.lock().unwrap().len();
    let pings = || -> Vec<Instant> {
        manager.since(begun).iter().filter(|(_, text)| text == "WATCHDOG=1").map(|(at, _)| *at).collect()
    };
    wait_until("six signs of life", || (pings().len() >= 6).then_some(()));
    let gaps: Vec<Duration> = pings().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap < PATIENCE), "{gaps:?}");

    // a reload is said to begin, and to be over when the new instance serves
    stage.rewrite(&format!("{WEB}env = {{ NEW = \"1\" }}\n"));
    let at = manager.said.lock().unwrap().len();
    signal(keeper, "HUP");
    let reloading = manager.hear(at, "RELOADING=1");
    let text = manager.since(reloading - 1)[0].1.clone();
    assert!(text.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{text}");
    let over = manager.hear(reloading, "READY=1");
    let renewed = stage.answering();
    assert_ne!(renewed, app, "it was said to be over before it was");
    // a manifest with an error is left, and that is over too
    stage.rewrite("[app.web]\nrnu = \"x\"\n");
    signal(keeper, "HUP");
    let reloading = manager.hear(over, "RELOADING=1");
    manager.hear(reloading, "READY=1");
    assert_eq!(stage.answering(), renewed);

    // nobody else is told of the manager
    for pid in stage.sandbox.processes().into_iter().filter(|pid| *pid != keeper) {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&environment);
        let mut names = sys::service_manager::VARIABLES.iter();
        assert!(!names.any(|name| text.contains(&format!("{name}="))), "{pid}: {text}");
    }

    // told to stop, the keeper alone ends; its successor takes over what runs, and says so
    let at = manager.said.lock().unwrap().len();
    signal(keeper, "TERM");
    let at = manager.hear(at, "STOPPING=1");
    assert_eq!(sys::process::wait(keeper).unwrap(), Exit::Code(0));
    assert_eq!(stage.answering(), renewed, "its app runs on");
    stage.rewrite(&format!("{WEB}env = {{ NEW = \"1\" }}\n"));
    let next = manager.start(&stage, &[&socket], PATIENCE);
    let at = manager.hear(at, "READY=1");
    assert_eq!(stage.answering(), renewed, "and on");

    // stuck, it gives no sign of life
    signal(next, "STOP");
    let count = || manager.since(at).iter().filter(|(_, text)| text == "WATCHDOG=1").count();
    let before = wait_until("nothing is under way", || {
        let before = count();
        std::thread::sleep(PATIENCE); // silence is what is waited for
        (count() == before).then_some(before)
    });
    signal(next, "CONT");
    wait_until("it goes on", || (count() > before).then_some(()));
    // the manager's keeper stays without a stack
    stage.run(&["stop"]).expect_code(0);
    assert_eq!(stage.status()["stacks"].as_array().unwrap().len(), 0);
    stage.run(&["stop", "--all"]).expect_code(0);
    assert_eq!(sys::process::wait(next).unwrap(), Exit::Code(0));
}

/// Gaps between signs of life, from message number `from` on.
fn gaps(manager: &Manager, from: usize) -> Vec<Duration> {
    let said = manager.since(from);
    let signs: Vec<Instant> =
        said.iter().filter(|(_, text)| text == "WATCHDOG=1").map(|(at, _)| *at).collect();
    signs.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn an_upgrade_keeps_the_service_manager_and_the_sockets() {
    let patience = Duration::from_secs(4);
    let stage = Stage::new(WEB);
    let manager = Manager::at(&stage.sandbox.folder().join("notify"));
    let socket = TcpListener::bind(("127.0.0.1", stage.port)).unwrap();
    let keeper = manager.start(&stage, &[&socket], patience);
    manager.hear(0, "READY=1");
    stage.starting().wait().expect_code(0);
    let app = stage.answering();
    let other = stage.sandbox.folder().join("other");
    std::fs::copy(testkit::binary(), &other).unwrap();
    std::fs::OpenOptions::new().append(true).open(&other).unwrap().write_all(b"other").unwrap();

    let begun = manager.said.lock().unwrap().len();
    stage.run(&["upgrade", other.to_str().unwrap(), "--drain", "1s", "--wait"]).expect_code(0);
    let at = manager.hear(begun, "READY=1");
    let ready = manager.since(at - 1)[0].1.clone();
    assert!(ready.lines().any(|line| line == format!("MAINPID={keeper}")), "{ready}");
    assert!(manager.since(begun).iter().all(|(_, text)| !text.contains("STOPPING=1")), "it goes on");
    manager.hear(begun, "STATUS=1 stack, 1 of 1 instances ready");
    assert_eq!((stage.answering(), stage.keeper()), (app, keeper));
    // and signs of life go on, none too late before, during and after
    wait_until("three signs of life", || (gaps(&manager, at).len() >= 2).then_some(()));
    let gaps = gaps(&manager, 0);
    assert!(gaps.iter().all(|gap| *gap < patience), "{gaps:?}");

    // what the manager asks for is done still
    stage.rewrite(&format!("{WEB}env = {{ NEW = \"1\" }}\n"));
    let at = manager.said.lock().unwrap().len();
    signal(keeper, "HUP");
    let reloading = manager.hear(at, "RELOADING=1");
    manager.hear(reloading, "READY=1");
    assert_ne!(stage.answering(), app);
    signal(keeper, "TERM");
    manager.hear(at, "STOPPING=1");
    assert_eq!(sys::process::wait(keeper).unwrap(), Exit::Code(0));
    // the edge of the upgrade has the manager's socket: what it serves is to be ended
    stage.sandbox.start_daemon(stage.port);
    stage.run(&["stop", "--all"]).expect_code(0);
}
