//! Private networks of native apps: the same ports in several stacks, names inside, nobody else reaches them, nothing is left behind.
//! Skipped, with a word, where the host makes no network namespaces.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use serde_json::Value;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;
use testkit::http::get;
use testkit::{Running, Sandbox, free_port, wait_until};

/// Answers on all `PORTS`: who it is; what a name stands for; whether somebody answers elsewhere; what it has.
const APP: &str = include_str!("app.py");

/// Whether this host can; says why not.
fn possible() -> bool {
    let can = sys::netns::capable().err();
    let nft = ["/usr/sbin/nft", "/sbin/nft"].iter().any(|path| Path::new(path).is_file());
    match can {
        Some(reason) => eprintln!("skipped: {reason}"),
        None if !nft => eprintln!("skipped: nftables is not installed"),
        None => return true,
    }
    false
}

fn sandbox(manifest: &str) -> Sandbox {
    let sandbox = Sandbox::with_manifest(manifest);
    sandbox.write("app.py", APP);
    sandbox
}

/// A site for `web`, and apps; `HOST` is `<stack>.localhost`.
fn manifest(stack: &str, rest: &str) -> String {
    format!(
        "stack = \"{stack}\"\n[[site]]\nhosts = [\"{stack}.localhost\"]\n[[site.route]]\napp = \"web\"\n{rest}"
    )
}

fn app(name: &str, port: u16, networks: &str) -> String {
    format!(
        "[app.{name}]\nrun = \"python3 -S app.py\"\nport = {port}\nnetworks = {networks}\nenv = {{ NAME = \"{name}\" }}\n"
    )
}

fn ask(port: u16, stack: &str, path: &str) -> String {
    let response = get(port, &format!("{stack}.localhost"), path);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    response.text()
}

fn stack_app(status: &Value, stack: &str, app: &str) -> Value {
    let named = |list: &Value, name: &str| {
        list.as_array().unwrap().iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
    };
    named(&named(&status["stacks"], stack)["apps"], app)
}

fn address(status: &Value, stack: &str, app: &str, network: &str) -> Ipv4Addr {
    let app = stack_app(status, stack, app);
    app["instances"][0]["networks"][network].as_str().unwrap_or_else(|| panic!("{app:#}")).parse().unwrap()
}

/// Interfaces of this home's.
fn links(home: &Path) -> Vec<String> {
    let id = format!("{:016x}", model_id(home));
    let mark = format!("mainstay:{id}:");
    let links = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    let marked = links.filter(|link| {
        std::fs::read_to_string(link.path().join("ifalias")).is_ok_and(|alias| alias.starts_with(&mark))
    });
    marked.map(|link| link.file_name().into_string().unwrap()).collect()
}

/// FNV-1a of the home's path.
fn model_id(home: &Path) -> u64 {
    home.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn with_home(home: &Path, arguments: &[&str]) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    all.extend(["--home".into(), home.into()]);
    all
}

fn connects(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

// req: HOST-05
#[test]
fn five_stacks_have_the_same_ports_each_in_a_network_of_its_own() {
    if !possible() {
        return;
    }
    let door = free_port();
    let stacks: Vec<(String, Sandbox)> = (0..5)
        .map(|number| {
            let name = format!("five{number}");
            let web = app("web", 5000, "[\"own\"]")
                .replace("NAME", "PORTS = \"5000 80 443 8080 3000 5001 5432\", NAME");
            (name.clone(), sandbox(&manifest(&name, &format!("[network.own]\n{web}instances = 2\n"))))
        })
        .collect();
    let home = stacks[0].1.home();
    for (_, sandbox) in &stacks {
        let http = format!("127.0.0.1:{door}");
        sandbox.run(with_home(&home, &["start", "--http", &http])).expect_code(0);
    }
    let status = stacks[0].1.status();
    let mut addresses = Vec::new();
    for (name, _) in &stacks {
        assert!(ask(door, name, "/").starts_with("web at "), "{name}");
        let here = address(&status, name, "web", "own");
        for port in [5000, 80, 443, 8080, 3000, 5001, 5432] {
            assert_eq!(ask(door, name, &format!("/ask/{here}/{port}")), "web", "{name}:{port}");
        }
        addresses.push(here);
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 5, "{addresses:?}");
    for (_, sandbox) in stacks.iter().skip(1) {
        sandbox.run(with_home(&home, &["stop"])).expect_code(0);
    }
    stacks[0].1.run(with_home(&home, &["stop"]));
    wait_until("no interface of theirs is left", || links(&home).is_empty().then_some(()));
}

// req: SEC-27
#[test]
fn neither_names_nor_ports_of_another_stack_or_network_are_reached() {
    if !possible() {
        return;
    }
    let (one, two) = (free_port(), free_port());
    let first = sandbox(&manifest(
        "secone",
        &format!(
            "[network.front]\n[network.back]\ninternal = true\n{}{}{}",
            app("web", 5000, "[\"front\"]"),
            app("db", 5432, "[\"back\"]"),
            app("api", 5000, "[\"front\", \"back\"]")
        ),
    ));
    let second =
        sandbox(&manifest("sectwo", &format!("[network.front]\n{}", app("web", 5000, "[\"front\"]"))));
    let (up, other) = (first.up(one), second.up(two));
    let (status, foreign) = (first.status(), second.status());
    let (api, db) = (address(&status, "secone", "api", "front"), address(&status, "secone", "db", "back"));
    let web = address(&foreign, "sectwo", "web", "front");
    assert_eq!(ask(one, "secone", "/ask/api/5000"), "api");
    assert_eq!(ask(one, "secone", "/resolve/db"), "unknown", "it is on no network with web");
    assert!(ask(one, "secone", &format!("/ask/{db}/5432")).starts_with("no: "));
    for name in ["api", "db"] {
        assert_eq!(ask(two, "sectwo", &format!("/resolve/{name}")), "unknown");
    }
    for address in [api, db] {
        for port in [5000, 5432] {
            assert!(
                ask(two, "sectwo", &format!("/ask/{address}/{port}")).starts_with("no: "),
                "{address}:{port}"
            );
        }
    }
    assert!(ask(one, "secone", &format!("/ask/{web}/5000")).starts_with("no: "));
    // Nothing of it listens on an address of the host's; who is on the host reaches it at its own.
    assert!(connects((db, 5432).into()));
    let ports = first.run(["ports", "--json"]).expect_code(0).json();
    let ours = |it: &&Value| it["stack"] == "secone";
    let listening: Vec<&str> =
        ports.as_array().unwrap().iter().filter(ours).map(|it| it["address"].as_str().unwrap()).collect();
    assert!(listening.contains(&format!("{db}:5432").as_str()), "{listening:?}");
    assert!(listening.iter().all(|it| !it.starts_with("127.") && !it.starts_with("0.")), "{listening:?}");
    for running in [up, other] {
        running.signal("TERM");
        running.wait();
    }
    for sandbox in [&first, &second] {
        assert!(links(&sandbox.stack().join(".mainstay")).is_empty(), "`up` leaves nothing");
    }
}

// req: CONT-02
#[test]
fn names_of_apps_and_aliases_stand_for_their_instances_as_they_come_and_go() {
    if !possible() {
        return;
    }
    let door = free_port();
    let backend =
        app("backend", 8000, "{ net = { aliases = [\"api\"] } }").replace("port = 8000", "instances = 2");
    let others = ["db", "redis", "aiml-engine"].map(|name| app(name, 5432, "[\"net\"]")).concat();
    let sandbox = sandbox(&manifest(
        "names",
        &format!("[network.net]\n{}{backend}{others}", app("web", 3000, "[\"net\"]")),
    ));
    sandbox.start_daemon(door);
    let home = sandbox.home();
    for name in ["db", "redis", "aiml-engine"] {
        let there = address(&sandbox.status(), "names", name, "net");
        assert_eq!(ask(door, "names", &format!("/resolve/{name}")), there.to_string());
        assert_eq!(ask(door, "names", &format!("/ask/{name}/5432")), name);
    }
    let addresses = |count: usize| {
        let app = stack_app(&sandbox.status(), "names", "backend");
        let mut all: Vec<String> = app["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["networks"]["net"].as_str().unwrap().to_owned())
            .collect();
        all.sort();
        assert_eq!(all.len(), count);
        all.join(" ")
    };
    assert_eq!(ask(door, "names", "/resolve/backend"), addresses(2));
    assert_eq!(ask(door, "names", "/resolve/api"), addresses(2));
    let run = sandbox.status();
    let pid = stack_app(&run, "names", "web")["instances"][0]["pid"].as_u64().unwrap();
    let hosts = format!("/proc/{pid}/root/etc/hosts");
    let before = std::fs::metadata(&hosts).unwrap().ino();
    sandbox.run(with_home(&home, &["scale", "backend=3"])).expect_code(0);
    let three = addresses(3);
    wait_until("three are named", || (ask(door, "names", "/resolve/backend") == three).then_some(()));
    assert_eq!(std::fs::metadata(&hosts).unwrap().ino(), before, "the file that it has mounted is rewritten");

    // The keeper dies: names and connections stay; the next one goes on with them.
    let keeper = sandbox.status()["keeper"]["pid"].as_u64().unwrap();
    sys::process::signal(u32::try_from(keeper).unwrap(), 9).unwrap();
    wait_until("it is gone", || (!testkit::is_alive(u32::try_from(keeper).unwrap())).then_some(()));
    assert_eq!(ask(door, "names", "/ask/backend/8080"), "backend");
    sandbox.start_daemon(door);
    let again = stack_app(&sandbox.status(), "names", "web");
    assert_eq!(again["instances"][0]["pid"].as_u64(), Some(pid));
    assert_eq!(ask(door, "names", "/resolve/backend"), three);
    sandbox.run(with_home(&home, &["scale", "backend=1"])).expect_code(0);
    let one = addresses(1);
    wait_until("one is named", || (ask(door, "names", "/resolve/backend") == one).then_some(()));
    sandbox.run(with_home(&home, &["stop"])).expect_code(0);
    wait_until("nothing is left", || links(&home).is_empty().then_some(()));
}

/// A range of 65,536 addresses of 172.16.0.0/12 that this host does not use.
fn free_range() -> (String, u8) {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap();
    let used: Vec<u8> = routes
        .lines()
        .skip(1)
        .filter_map(|line| {
            let to = u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()?;
            let [first, second, ..] = to.to_le_bytes();
            (first == 172).then_some(second)
        })
        .collect();
    let second = (16..32).rev().find(|second| !used.contains(second)).unwrap();
    (format!("172.{second}.0.0/16"), second)
}

// req: CONT-04
#[test]
fn a_subnet_that_is_given_is_kept_to_and_one_that_the_host_has_is_refused() {
    if !possible() {
        return;
    }
    let door = free_port();
    let (range, second) = free_range();
    let net = format!("[network.net]\nsubnets = [{{ subnet = \"{range}\" }}]\n");
    let fixed = format!("{{ net = {{ address = \"172.{second}.7.9\" }} }}");
    let first = sandbox(&manifest(
        "range",
        &format!("{net}{}instances = 3\n{}", app("web", 5000, "[\"net\"]"), app("db", 5432, &fixed)),
    ));
    let up = first.up(door);
    let status = first.status();
    assert_eq!(address(&status, "range", "db", "net"), Ipv4Addr::new(172, second, 7, 9));
    for instance in stack_app(&status, "range", "web")["instances"].as_array().unwrap() {
        let here: Ipv4Addr = instance["networks"]["net"].as_str().unwrap().parse().unwrap();
        assert_eq!(here.octets()[..2], [172, second]);
    }
    assert!(ask(door, "range", "/").contains(&format!("172.{second}.")));

    let other = sandbox(&manifest("clash", &format!("{net}{}", app("web", 5000, "[\"net\"]"))));
    let refused = other.run(["up", "--http", "127.0.0.1:0"]);
    let bridge =
        links(&first.stack().join(".mainstay")).into_iter().find(|link| link.starts_with("ms-")).unwrap();
    for text in [range.as_str(), bridge.as_str(), "overlaps"] {
        assert!(refused.stderr.contains(text) || refused.stdout.contains(text), "{text}: {refused:?}");
    }
    assert_ne!(refused.code, Some(0));
    up.signal("TERM");
    up.wait();
}

#[test]
fn who_may_not_make_networks_is_told_so_and_nothing_runs_without_them() {
    if !possible() {
        return;
    }
    let sandbox =
        sandbox(&manifest("norights", &format!("[network.net]\n{}", app("web", 5000, "[\"net\"]"))));
    let as_nobody = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.uid(65534).gid(65534).env("HOME", sandbox.stack()).env_remove("XDG_RUNTIME_DIR");
        Running::start(command).wait()
    };
    let said = as_nobody(&["check"]);
    assert!(
        said.stderr.contains("CAP_NET_ADMIN") && said.stderr.contains("leave `networks` out"),
        "{said:?}"
    );
    let refused = as_nobody(&["up", "--http", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("CAP_NET_ADMIN"), "{refused:?}");
}
