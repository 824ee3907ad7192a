//! What a container may: folders, users, limits, signals.

use crate::ground::{Ground, LONG};
use testkit::wait_within;

// req: SEC-29, SEC-30
#[test]
fn a_container_may_what_its_keys_say() {
    let Some(mut ground) = Ground::new() else { return };

    let shape = ground.shape("read-only", include_str!("shapes/read-only.yaml"));
    shape.start();
    assert_eq!(shape.sh("id -u; id -g"), "1001\n1001");
    assert!(shape.sh("touch /etc/x").contains("Read-only file system"));
    assert_eq!(shape.sh("touch /logs/x /tmp/y && echo written"), "written");
    assert!(shape.sh("cp /bin/busybox /tmp/true && /tmp/true").contains("Permission denied"));
    assert!(shape.sh("dd if=/dev/zero of=/tmp/big bs=1M count=101; rm /tmp/big").contains("No space left"));
    assert_eq!(shape.sh("grep -E 'NoNewPrivs|CapBnd' /proc/self/status | cut -f2"), "0000000000000400\n1");

    let shape = ground.shape("kernel", include_str!("shapes/kernel.yaml"));
    shape.start();
    assert_eq!(shape.sh("ulimit -Sn; ulimit -Hn"), "512\n1000");
    assert_eq!(shape.sh("cat /proc/sys/net/core/somaxconn"), "512");
    assert_eq!(shape.sh("hostname; df -m /dev/shm | tail -n1 | awk '{print $2}'"), "kernel\n16");
    assert_eq!(shape.sh("grep mail.internal /etc/hosts | cut -c1-8"), "10.1.2.3");
    assert_eq!(shape.sh("id -G"), "0 33");

    let shape = ground.shape("limits", include_str!("shapes/limits.yaml"));
    shape.start();
    assert_eq!(shape.pids("web").len(), 3);
    let hosts: std::collections::BTreeSet<String> = (0..12).map(|_| shape.sh("hostname")).collect();
    assert_eq!(hosts.len(), 3, "each instance is asked");
    let limits = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    assert_eq!(shape.sh(limits), "67108864");

    let shape = ground.shape("stop-signal", include_str!("shapes/stop-signal.yaml"));
    shape.start();
    assert_eq!(shape.sh("cat /data/said"), "waits");
    shape.run(&["stop", "worker"]).expect_code(0);
    assert_eq!(shape.sh("cat /data/said"), "ended by INT");
    assert_eq!(shape.get("/"), "hello\n");

    let shape = ground.shape("restarts", include_str!("shapes/restarts.yaml"));
    shape.start();
    let tried = || shape.sh("wc -l < /data/tried").trim().to_owned();
    wait_within(LONG, "three starts", || (tried() == "3").then_some(()));
    assert_eq!(shape.app("once")["state"], "done");
    ground.end();
}
