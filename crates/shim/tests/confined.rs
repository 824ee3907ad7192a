//! What an instance is kept from, by doing it.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod common;

use common::{Shim, spec};
use model::confine::TmpfsSpec;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use sys::sandbox::Able;
use wire::shim::{Confinement, Credentials, PlacedFile, ShimSpec, ShimState};

const NOBODY: u32 = 65534;

fn tmpfs(target: &Path, size: u64) -> TmpfsSpec {
    TmpfsSpec {
        target: target.to_owned(),
        size: Some(size),
        mode: None,
        noexec: true,
        nosuid: true,
        nodev: true,
    }
}

fn as_nobody(spec: &mut ShimSpec) {
    spec.user = Some(Credentials { uid: NOBODY, gid: 33, groups: vec![33] });
    spec.no_new_privileges = true;
    std::fs::set_permissions(&spec.dir, PermissionsExt::from_mode(0o755)).unwrap();
}

/// What a script says whose instance is kept from this.
fn said(script: &str, confine: Confinement, change: impl FnOnce(&mut ShimSpec)) -> Vec<String> {
    let mut shim = Shim::run_with(script, |spec| {
        spec.confine = Some(confine);
        change(spec);
    });
    let status = shim.outcome();
    assert!(matches!(status.state, ShimState::Ended { .. }), "{:?} {:?}", status.state, shim.records());
    let lines = shim.records().into_iter().map(|record| record.text).collect();
    shim.connect().send(&wire::shim::ToShim::Release);
    shim.exit();
    lines
}

/// As root here; elsewhere the test says why it is skipped.
fn is_root() -> bool {
    let able = sys::user::is_root() && Able::look().mounts.is_ok();
    if !able {
        eprintln!("skipped: not root, or no mounts");
    }
    able
}

// req: SEC-29
#[test]
fn outside_of_its_own_folders_nothing_can_be_changed() {
    if !is_root() {
        return;
    }
    for user in [true, false] {
        let own = tempfile::tempdir_in("/var/tmp").unwrap();
        std::fs::set_permissions(own.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let script = format!(
            "export LC_ALL=C; echo in > {own}/file && cat {own}/file; touch /var/tmp/x-$$; touch /etc/x; touch ./x; \
             echo 1 > /proc/sys/vm/overcommit_memory; echo x > /dev/null && echo null; echo y > /dev/shm/y && cat /dev/shm/y; \
             echo name > /proc/self/comm && echo comm",
            own = own.path().display()
        );
        let confine =
            Confinement { read_only: true, writable: vec![own.path().to_owned()], ..Confinement::default() };
        let lines = said(&script, confine, |spec| {
            if user {
                as_nobody(spec);
            }
        });
        let told = |what: &str| lines.iter().any(|line| line.contains(what));
        assert_eq!(
            lines.iter().filter(|line| line.contains("Read-only file system")).count(),
            4,
            "{lines:?}"
        );
        assert!(told("in") && told("null") && told("y") && told("comm"), "{lines:?}");
        assert_eq!(std::fs::read_to_string(own.path().join("file")).unwrap(), "in\n");
        assert!(!Path::new("/dev/shm/y").exists());
    }
}

// req: SEC-30
#[test]
fn a_folder_in_memory_has_its_size_and_executes_nothing() {
    if !is_root() {
        return;
    }
    let script = "export LC_ALL=C; head -c 101M /dev/zero > /tmp/big; stat -c %s /tmp/big; rm /tmp/big; \
                  head -c 99M /dev/zero > /tmp/big && echo fits; rm /tmp/big; \
                  cp /bin/true /tmp/run && chmod +x /tmp/run && /tmp/run; ls -ld /tmp | cut -c1-10; pwd";
    for read_only in [false, true] {
        let confine = Confinement {
            read_only,
            tmpfs: vec![tmpfs(Path::new("/tmp"), 100 << 20)],
            ..Confinement::default()
        };
        let lines = said(script, Confinement { kept: Vec::new(), ..confine }, |spec| {
            as_nobody(spec);
            spec.dir = "/".into();
        });
        let told = |what: &str| assert!(lines.iter().any(|line| line.contains(what)), "{what}: {lines:?}");
        told("No space left on device");
        told("104857600");
        told("fits");
        told("Permission denied");
        told("drwxrwxrwt");
    }
}

#[test]
fn what_a_folder_in_memory_would_hide_is_kept() {
    if !is_root() {
        return;
    }
    let mut kept = PathBuf::new();
    let lines = said(
        "cat own; echo x > written && cat written; ls -A /tmp | wc -l",
        Confinement { tmpfs: vec![tmpfs(Path::new("/tmp"), 1 << 20)], ..Confinement::default() },
        |spec| {
            std::fs::File::create(spec.dir.join("own"))
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"mine\n"))
                .unwrap();
            kept = spec.dir.clone();
            spec.confine.as_mut().unwrap().kept = vec![kept.clone()];
        },
    );
    assert_eq!(lines, ["mine", "x", "1"]);
}

// req: SEC-32
#[test]
fn secrets_are_files_that_it_alone_sees() {
    if !is_root() {
        return;
    }
    let secret = |name: &str| PlacedFile {
        target: Path::new("/run/secrets-of-a-test").join(name),
        content: format!("value of {name}\n").into_bytes(),
        owner: (NOBODY, 33),
        mode: 0o440,
    };
    let confine =
        Confinement { files: vec![secret("db_password"), secret("jwt_secret")], ..Confinement::default() };
    let script = "export LC_ALL=C; cd /run/secrets-of-a-test; stat -c '%n %a %u %g' *; cat db_password jwt_secret; echo no > db_password; \
                  rm -f jwt_secret; env | grep -c value; true";
    let lines = said(script, confine, |spec| {
        as_nobody(spec);
        // Nobody sees it in the shim's own words either.
        assert!(!format!("{:?}", spec.socket).contains("value"));
    });
    let _ = std::fs::remove_dir("/run/secrets-of-a-test"); // empty: what was in it nobody else has seen
    assert!(!Path::new("/run/secrets-of-a-test").exists());
    for line in [
        "db_password 440 65534 33",
        "jwt_secret 440 65534 33",
        "value of db_password",
        "value of jwt_secret",
        "0",
    ] {
        assert!(lines.iter().any(|own| own == line), "{line}: {lines:?}");
    }
    assert!(
        lines.iter().any(|line| line.contains("Read-only file system") || line.contains("Permission denied")),
        "{lines:?}"
    );
}

#[test]
fn a_file_covers_one_that_is_there_and_nothing_else() {
    if !is_root() {
        return;
    }
    let file = |target: &str| PlacedFile {
        target: target.into(),
        content: b"own\n".to_vec(),
        owner: (0, 0),
        mode: 0o444,
    };
    let confine = Confinement { files: vec![file("/etc/hostname")], ..Confinement::default() };
    assert_eq!(
        said("cat /etc/hostname; test -s /etc/passwd && echo there", confine, |_| {}),
        ["own", "there"]
    );
    assert_ne!(std::fs::read_to_string("/etc/hostname").unwrap(), "own\n");
    let confine = Confinement { files: vec![file("/etc/no-such-file-here")], ..Confinement::default() };
    let shim = Shim::run_with("true", |spec| spec.confine = Some(confine));
    let ShimState::NotStarted { reason } = shim.outcome().state else { panic!("it started") };
    assert!(reason.contains("/etc/no-such-file-here") && reason.contains("folder of its own"), "{reason}");
}

// req: SEC-28
#[test]
fn user_group_capabilities_and_no_new_privileges_are_as_asked() {
    if !is_root() {
        return;
    }
    let script = "id -u; id -g; id -G; grep -E '^(CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '";
    let confine = Confinement {
        cap_add: vec!["NET_BIND_SERVICE".into()],
        cap_drop: vec!["ALL".into()],
        sandbox: true,
        ..Confinement::default()
    };
    let lines = said(script, confine, as_nobody);
    let bind = "0000000000000400";
    let expected = [
        "65534".to_owned(),
        "33".into(),
        "33".into(),
        format!("CapEff: {bind}"),
        format!("CapBnd: {bind}"),
        format!("CapAmb: {bind}"),
        "NoNewPrivs: 1".into(),
        "Seccomp: 2".into(),
    ];
    assert_eq!(lines, expected);
    // Root without rights is somebody.
    let confine = Confinement { cap_drop: vec!["ALL".into()], ..Confinement::default() };
    let lines = said("id -u; grep -E '^Cap(Eff|Bnd):' /proc/self/status | tr '\\t' ' '", confine, |_| {});
    assert_eq!(lines, ["0", "CapEff: 0000000000000000", "CapBnd: 0000000000000000"]);
}

#[test]
fn in_the_sandbox_what_no_web_app_needs_is_refused() {
    if !is_root() {
        return;
    }
    let script = "export LC_ALL=C; mount -t tmpfs none /mnt; unshare -m true; kill -0 $PPID; python3 -c 'import ctypes; l=ctypes.CDLL(None,use_errno=True); print(\"ptrace\", l.ptrace(16, 1, 0, 0), ctypes.get_errno())'; \
                  sh -c 'kill -TERM $$' ; echo works";
    let lines = said(script, Confinement { sandbox: true, ..Confinement::default() }, |_| {});
    let told = |what: &str| assert!(lines.iter().any(|line| line.contains(what)), "{what}: {lines:?}");
    told("ptrace -1 1");
    told("works");
    assert!(
        lines.iter().filter(|line| line.contains("ermi") || line.contains("not permitted")).count() >= 2,
        "{lines:?}"
    );
    if Able::look().landlock >= Some(6) {
        told("kill: Operation not permitted");
    }
}

#[test]
fn without_a_right_of_its_own_it_is_confined_in_a_user_namespace() {
    if !is_root() {
        return; // as root the test becomes somebody who is not
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let script = "export LC_ALL=C; id -u; touch /var/tmp/x-$$; echo in > own && cat own; echo x > /var/lib/tmpfs-is-no-folder; \
                  head -c 2M /dev/zero > /mnt/big; grep NoNewPrivs /proc/self/status | tr '\\t' ' '";
    let mut own = spec(dir.path(), script);
    own.no_new_privileges = true;
    own.confine = Some(Confinement {
        read_only: true,
        writable: vec![dir.path().to_owned()],
        tmpfs: vec![tmpfs(Path::new("/mnt"), 1 << 20)],
        sandbox: true,
        ..Confinement::default()
    });
    let shim =
        Shim::start(dir, own, Some(sys::process::Credentials { uid: NOBODY, gid: NOBODY, groups: vec![] }));
    let status = shim.outcome();
    let lines: Vec<String> = shim.records().into_iter().map(|record| record.text).collect();
    let told =
        |what: &str| assert!(lines.iter().any(|line| line.contains(what)), "{what}: {lines:?} {status:?}");
    told("65534");
    told("Read-only file system");
    told("in");
    told("No space left on device");
    told("NoNewPrivs: 1");
}

#[test]
fn what_cannot_be_executed_says_so_in_a_sandbox_too() {
    let shim = Shim::run_with("", |spec| {
        spec.argv = vec!["no-such-program".into()];
        spec.confine = Some(Confinement { sandbox: true, ..Confinement::default() });
    });
    let ShimState::NotStarted { reason } = shim.outcome().state else { panic!("it started") };
    assert!(reason.contains("cannot execute no-such-program"), "{reason}");
}
