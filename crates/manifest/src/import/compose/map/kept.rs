//! Every key that is said to be kept changes what a stack is, or what is said of it: proven for each by two files that differ in it alone.

use super::keys::{self, Fate};
use crate::import::compose::Compose;
use std::collections::BTreeSet;
use std::path::Path;

/// Keys of `services.a` without and with the key; behind `|` what stands at the top. Words alone change what is said, not what is.
#[rustfmt::skip]
const SERVICE: &[(&str, &str, &str)] = &[
    ("build", "image: 'a:1'", "build: ."),
    ("build.args", "build: {context: .}", "build: {context: ., args: {A: b}}"),
    ("build.context", "build: {context: .}", "build: {context: ./x}"),
    ("build.dockerfile", "build: {context: .}", "build: {context: ., dockerfile: D}"),
    ("build.dockerfile_inline", "build: {context: .}", "build: {context: ., dockerfile_inline: FROM x}"),
    ("build.extra_hosts", "build: {context: .}", "build: {context: ., extra_hosts: ['h=127.0.0.1']}"),
    ("build.labels", "build: {context: .}", "build: {context: ., labels: {l: m}}"),
    ("build.network", "build: {context: .}", "build: {context: ., network: host}"),
    ("build.no_cache", "build: {context: .}", "build: {context: ., no_cache: true}"),
    ("build.platforms", "build: {context: .}", "build: {context: ., platforms: [linux/arm64]}"),
    ("build.pull", "build: {context: .}", "build: {context: ., pull: true}"),
    ("build.shm_size", "build: {context: .}", "build: {context: ., shm_size: 1g}"),
    ("build.target", "build: {context: .}", "build: {context: ., target: t}"),
    ("cap_add", "", "cap_add: [NET_ADMIN]"),
    ("cap_drop", "", "cap_drop: [ALL]"),
    ("command", "", "command: [x]"),
    ("configs", "|configs: {c: {content: x}}", "configs: [c]|configs: {c: {content: x}}"),
    ("configs[].gid", "configs: [{source: c}]|configs: {c: {content: x}}", "configs: [{source: c, gid: '7'}]|configs: {c: {content: x}}"),
    ("configs[].mode", "configs: [{source: c}]|configs: {c: {content: x}}", "configs: [{source: c, mode: 0400}]|configs: {c: {content: x}}"),
    ("configs[].source", "configs: [{source: c}]|configs: {c: {content: x}, d: {content: x}}", "configs: [{source: d}]|configs: {c: {content: x}, d: {content: x}}"),
    ("configs[].target", "configs: [{source: c}]|configs: {c: {content: x}}", "configs: [{source: c, target: /t}]|configs: {c: {content: x}}"),
    ("configs[].uid", "configs: [{source: c}]|configs: {c: {content: x}}", "configs: [{source: c, uid: '7'}]|configs: {c: {content: x}}"),
    ("container_name", "", "container_name: other"),
    ("cpu_period", "cpu_quota: 50000", "cpu_quota: 50000, cpu_period: 50000"),
    ("cpu_quota", "", "cpu_quota: 50000"),
    ("cpus", "", "cpus: 1.5"),
    ("depends_on", "", "depends_on: [b]"),
    ("depends_on.*.condition", "depends_on: {b: {condition: service_started}}", "depends_on: {b: {condition: service_completed_successfully}}"),
    ("depends_on.*.required", "depends_on: {no: {condition: service_started}}", "depends_on: {no: {condition: service_started, required: false}}"),
    ("deploy", "", "deploy: {replicas: 2}"),
    ("deploy.mode", "", "deploy: {mode: replicated-job}"),
    ("deploy.replicas", "", "deploy: {replicas: 3}"),
    ("deploy.resources", "", "deploy: {resources: {limits: {cpus: '1'}}}"),
    ("deploy.resources.limits", "", "deploy: {resources: {limits: {cpus: '1'}}}"),
    ("deploy.resources.limits.cpus", "", "deploy: {resources: {limits: {cpus: '1'}}}"),
    ("deploy.resources.limits.memory", "", "deploy: {resources: {limits: {memory: 1G}}}"),
    ("deploy.resources.limits.pids", "", "deploy: {resources: {limits: {pids: 9}}}"),
    ("deploy.resources.reservations", "", "deploy: {resources: {reservations: {cpus: '1'}}}"),
    ("deploy.resources.reservations.cpus", "", "deploy: {resources: {reservations: {cpus: '1'}}}"),
    ("deploy.resources.reservations.memory", "", "deploy: {resources: {reservations: {memory: 1G}}}"),
    ("deploy.restart_policy", "", "deploy: {restart_policy: {condition: none}}"),
    ("deploy.restart_policy.condition", "", "deploy: {restart_policy: {condition: any}}"),
    ("deploy.restart_policy.delay", "deploy: {restart_policy: {condition: any}}", "deploy: {restart_policy: {condition: any, delay: 7s}}"),
    ("deploy.restart_policy.max_attempts", "deploy: {restart_policy: {condition: any}}", "deploy: {restart_policy: {condition: any, max_attempts: 7}}"),
    ("deploy.restart_policy.window", "deploy: {restart_policy: {condition: any}}", "deploy: {restart_policy: {condition: any, window: 77s}}"),
    ("deploy.update_config", "", "deploy: {update_config: {order: stop-first}}"),
    ("deploy.update_config.order", "", "deploy: {update_config: {order: stop-first}}"),
    ("devices", "", "devices: ['/dev/null:/dev/x']"),
    ("devices[].permissions", "devices: [{source: /dev/null, target: /dev/x}]", "devices: [{source: /dev/null, target: /dev/x, permissions: r}]"),
    ("devices[].source", "devices: [{source: /dev/null, target: /dev/x}]", "devices: [{source: /dev/zero, target: /dev/x}]"),
    ("devices[].target", "devices: [{source: /dev/null, target: /dev/x}]", "devices: [{source: /dev/null, target: /dev/y}]"),
    ("dns", "", "dns: 1.1.1.1"),
    ("dns_opt", "", "dns_opt: [rotate]"),
    ("dns_search", "", "dns_search: x.test"),
    ("domainname", "hostname: h", "hostname: h, domainname: x.test"),
    ("entrypoint", "", "entrypoint: [x]"),
    ("env_file", "", "env_file: [x.env]"),
    ("env_file[].path", "env_file: [{path: x.env}]", "env_file: [{path: y.env}]"),
    ("env_file[].required", "", "env_file: [{path: no.env, required: false}]"),
    ("environment", "", "environment: {A: b}"),
    ("expose", "", "expose: ['81']"),
    ("extends", "", "extends: c|x"),
    ("extends.file", "", "extends: {file: other.yaml, service: c}"),
    ("extends.service", "", "extends: {file: other.yaml, service: c}"),
    ("extra_hosts", "", "extra_hosts: ['h=127.0.0.1']"),
    ("group_add", "", "group_add: ['7']"),
    ("healthcheck", "", "healthcheck: {test: [CMD, x]}"),
    ("healthcheck.disable", "healthcheck: {test: [CMD, x]}", "healthcheck: {test: [CMD, x], disable: true}"),
    ("healthcheck.interval", "healthcheck: {test: [CMD, x]}", "healthcheck: {test: [CMD, x], interval: 77s}"),
    ("healthcheck.retries", "healthcheck: {test: [CMD, x]}", "healthcheck: {test: [CMD, x], retries: 7}"),
    ("healthcheck.start_period", "healthcheck: {test: [CMD, x]}", "healthcheck: {test: [CMD, x], start_period: 77s}"),
    ("healthcheck.test", "healthcheck: {test: [CMD, x]}", "healthcheck: {test: [CMD, y]}"),
    ("healthcheck.timeout", "healthcheck: {test: [CMD, x]}", "healthcheck: {test: [CMD, x], timeout: 7s}"),
    ("hostname", "", "hostname: h"),
    ("image", "image: 'a:1'", "image: 'a:2'"),
    ("init", "", "init: true"),
    ("ipc", "", "ipc: host"),
    ("label_file", "", "label_file: x.env"),
    ("labels", "", "labels: {l: m}"),
    ("links", "", "links: ['b:other']"),
    ("logging", "", "logging: {options: {max-size: 1m}}"),
    ("logging.driver", "", "logging: {driver: syslog}"),
    ("logging.options", "", "logging: {options: {max-file: '7'}}"),
    ("mem_limit", "", "mem_limit: 1g"),
    ("mem_reservation", "", "mem_reservation: 1g"),
    ("network_mode", "", "network_mode: host"),
    ("networks", "|networks: {n: }", "networks: [n]|networks: {n: }"),
    ("networks.*.aliases", "networks: {n: }|networks: {n: }", "networks: {n: {aliases: [x]}}|networks: {n: }"),
    ("networks.*.ipv4_address", "networks: {n: }|networks: {n: {ipam: {config: [{subnet: 10.9.0.0/16}]}}}", "networks: {n: {ipv4_address: 10.9.0.7}}|networks: {n: {ipam: {config: [{subnet: 10.9.0.0/16}]}}}"),
    ("networks.*.ipv6_address", "networks: {n: }|networks: {n: {ipam: {config: [{subnet: 'fd00:9::/64'}]}}}", "networks: {n: {ipv6_address: 'fd00:9::7'}}|networks: {n: {ipam: {config: [{subnet: 'fd00:9::/64'}]}}}"),
    ("pid", "", "pid: host"),
    ("pids_limit", "", "pids_limit: 7"),
    ("platform", "", "platform: linux/arm64"),
    ("ports", "", "ports: ['8099:80']"),
    ("ports[].app_protocol", "ports: [{target: 9999, published: 8099}]", "ports: [{target: 9999, published: 8099, app_protocol: http}]"),
    ("ports[].host_ip", "ports: [{target: 80, published: 8099}]", "ports: [{target: 80, published: 8099, host_ip: 127.0.0.1}]"),
    ("ports[].protocol", "ports: [{target: 53, published: 8099}]", "ports: [{target: 53, published: 8099, protocol: udp}]"),
    ("ports[].published", "ports: [{target: 80, published: 8099}]", "ports: [{target: 80, published: 8098}]"),
    ("ports[].target", "ports: [{target: 80, published: 8099}]", "ports: [{target: 81, published: 8099}]"),
    ("privileged", "", "privileged: true"),
    ("profiles", "", "profiles: [no]"),
    ("pull_policy", "", "pull_policy: always"),
    ("read_only", "", "read_only: true"),
    ("restart", "", "restart: always"),
    ("scale", "", "scale: 2"),
    ("secrets", "|secrets: {c: {file: x}}", "secrets: [c]|secrets: {c: {file: x}}"),
    ("secrets[].gid", "secrets: [{source: c}]|secrets: {c: {file: x}}", "secrets: [{source: c, gid: '7'}]|secrets: {c: {file: x}}"),
    ("secrets[].mode", "secrets: [{source: c}]|secrets: {c: {file: x}}", "secrets: [{source: c, mode: 0400}]|secrets: {c: {file: x}}"),
    ("secrets[].source", "secrets: [{source: c}]|secrets: {c: {file: x}, d: {file: x}}", "secrets: [{source: d}]|secrets: {c: {file: x}, d: {file: x}}"),
    ("secrets[].target", "secrets: [{source: c}]|secrets: {c: {file: x}}", "secrets: [{source: c, target: /t}]|secrets: {c: {file: x}}"),
    ("secrets[].uid", "secrets: [{source: c}]|secrets: {c: {file: x}}", "secrets: [{source: c, uid: '7'}]|secrets: {c: {file: x}}"),
    ("security_opt", "", "security_opt: ['seccomp=unconfined']"),
    ("shm_size", "", "shm_size: 1g"),
    ("stdin_open", "", "stdin_open: true"),
    ("stop_grace_period", "", "stop_grace_period: 77s"),
    ("stop_signal", "", "stop_signal: SIGINT"),
    ("sysctls", "", "sysctls: {net.core.somaxconn: 7}"),
    ("tmpfs", "", "tmpfs: /tmp"),
    ("tty", "", "tty: true"),
    ("ulimits", "", "ulimits: {nofile: 77}"),
    ("ulimits.*.hard", "ulimits: {nofile: {soft: 7, hard: 77}}", "ulimits: {nofile: {soft: 7, hard: 78}}"),
    ("ulimits.*.soft", "ulimits: {nofile: {soft: 7, hard: 77}}", "ulimits: {nofile: {soft: 8, hard: 77}}"),
    ("user", "", "user: '7'"),
    ("volumes", "", "volumes: ['/srv/x:/x']"),
    ("volumes[].bind", "volumes: [{type: bind, source: /s, target: /t}]", "volumes: [{type: bind, source: /s, target: /t, bind: {propagation: rshared}}]"),
    ("volumes[].bind.propagation", "volumes: [{type: bind, source: /s, target: /t}]", "volumes: [{type: bind, source: /s, target: /t, bind: {propagation: rshared}}]"),
    ("volumes[].bind.selinux", "volumes: [{type: bind, source: /s, target: /t}]", "volumes: [{type: bind, source: /s, target: /t, bind: {selinux: z}}]"),
    ("volumes[].read_only", "volumes: [{type: bind, source: /s, target: /t}]", "volumes: [{type: bind, source: /s, target: /t, read_only: true}]"),
    ("volumes[].source", "volumes: [{type: bind, source: /s, target: /t}]", "volumes: [{type: bind, source: /r, target: /t}]"),
    ("volumes[].target", "volumes: [{type: bind, source: /s, target: /t}]", "volumes: [{type: bind, source: /s, target: /u}]"),
    ("volumes[].tmpfs", "volumes: [{type: tmpfs, target: /t}]", "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]"),
    ("volumes[].tmpfs.mode", "volumes: [{type: tmpfs, target: /t}]", "volumes: [{type: tmpfs, target: /t, tmpfs: {mode: 0700}}]"),
    ("volumes[].tmpfs.size", "volumes: [{type: tmpfs, target: /t}]", "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]"),
    ("volumes[].type", "volumes: [{type: tmpfs, target: /t}]", "volumes: [{type: volume, target: /t}]"),
    ("volumes[].volume", "volumes: [{type: volume, source: v, target: /t}]|volumes: {v: }", "volumes: [{type: volume, source: v, target: /t, volume: {nocopy: true}}]|volumes: {v: }"),
    ("volumes[].volume.nocopy", "volumes: [{type: volume, source: v, target: /t}]|volumes: {v: }", "volumes: [{type: volume, source: v, target: /t, volume: {nocopy: true}}]|volumes: {v: }"),
    ("volumes_from", "", "volumes_from: [b]"),
    ("working_dir", "", "working_dir: /w"),
];

/// A load of a small project: what it is, what is said.
fn load(keys: &str) -> (Option<crate::StackSpec>, String) {
    let (own, top) = keys.split_once('|').unwrap_or((keys, ""));
    let image = if own.contains("image:") || own.starts_with("build:") { "" } else { "image: 'a:1', " };
    let whole = format!(
        "name: shop\nservices:\n  a: {{ {image}{own} }}\n  b: {{image: 'b:1', volumes: ['/b:/b']}}\n  c: {{image: 'c:1', tty: true}}\n{}\n",
        if top == "x" { "" } else { top }
    );
    let files: [(&Path, &str); 4] = [
        (Path::new("/srv/shop/compose.yaml"), &whole),
        (Path::new("/srv/shop/other.yaml"), "services: {c: {image: 'c:1', tty: true}}"),
        (Path::new("/srv/shop/x.env"), "X=1\n"),
        (Path::new("/srv/shop/y.env"), "Y=1\n"),
    ];
    match crate::load_compose_str(&files, 1, &Compose::default(), &|_| None) {
        Ok(loaded) => {
            (Some(loaded.spec), loaded.warnings.iter().map(|found| found.message.clone() + "\n").collect())
        }
        Err(found) => (None, found.render(false)),
    }
}

#[test]
fn a_key_that_is_kept_makes_a_difference() {
    // These say what is so anyway: that it is otherwise is warned about, or an error.
    let said =
        ["logging.driver", "deploy.update_config", "deploy.update_config.order", "env_file[].required"];
    let mut wrong = Vec::new();
    for (key, without, with) in SERVICE {
        let (before, after) = (load(without), load(with));
        let differs = before.0 != after.0 || said.contains(key);
        // What is missing without the key is the point of this one.
        let loads = before.0.is_some() || *key == "depends_on.*.required";
        if !differs || !loads || after.0.is_none() {
            wrong.push(format!("{key}: differs: {differs}\n{}\n{}", before.1, after.1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kept_key_of_a_service_is_proven() {
    let proven: BTreeSet<_> = SERVICE.iter().map(|(key, ..)| format!("services.*.{key}")).collect();
    let kept = keys::all().filter(|key| key.fate == Fate::Kept && key.path.starts_with("services.*."));
    let missing: Vec<_> = kept.map(|key| key.path).filter(|path| !proven.contains(*path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
