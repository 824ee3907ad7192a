//! Real processes: what they find at their start, how they fail, how they end.

use super::*;
use std::io::Read;
use std::time::{Duration, Instant};

fn sh(script: &str) -> Spawn {
    let mut spawn = Spawn::new("sh");
    spawn.args = vec!["-c".into(), script.into()];
    spawn.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spawn
}

fn output(mut spawn: Spawn) -> (String, Exit) {
    let (read, write) = crate::pipe::new().unwrap();
    spawn.stdout = Some(write);
    let pid = spawn.spawn().unwrap();
    let mut text = String::new();
    std::fs::File::from(read).read_to_string(&mut text).unwrap();
    (text, wait(pid).unwrap())
}

#[test]
fn exit_code_signal_environment_and_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut spawn = sh("pwd; echo $A; cat; umask; exit 7");
    spawn.env.push(("A".into(), "b c".into()));
    spawn.dir = Some(dir.path().to_owned());
    spawn.umask = Some(0o027);
    let (text, exit) = output(spawn);
    assert_eq!(text, format!("{}\nb c\n0027\n", dir.path().display()));
    assert_eq!(exit, Exit::Code(7));
    assert_eq!(output(sh("kill -9 $$")).1, Exit::Signal(9));
}

#[test]
fn it_leads_its_own_session() {
    let (text, _) = output(sh("cat /proc/$$/stat; echo; ls /proc/self/fd | tr '\\n' ' '"));
    let fields: Vec<&str> = text.split(") ").nth(1).unwrap().split(' ').collect();
    let pid = text.split(' ').next().unwrap();
    assert_eq!((fields[2], fields[3]), (pid, pid), "group and session");
    assert!(text.trim_end().ends_with("0 1 2 3"), "only the standard ones and that of ls: {text}");
}

#[test]
fn descriptors_are_found_at_their_numbers() {
    let (read, write) = crate::pipe::new().unwrap();
    let mut spawn = sh("echo three >&3; echo four >&4; ls /proc/self/fd | tr '\\n' ' ' >&4");
    spawn.descriptors = vec![(4, write.try_clone().unwrap()), (3, write)];
    let pid = spawn.spawn().unwrap();
    let mut text = String::new();
    std::fs::File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(wait(pid).unwrap(), Exit::Code(0));
    assert_eq!(text, "three\nfour\n0 1 2 3 4 5 ");
    let mut bad = sh("true");
    bad.descriptors = vec![(200, tempfile::tempfile().unwrap().into())];
    assert_eq!(bad.spawn().unwrap_err().stage, Stage::Descriptors);
}

#[test]
fn failures_name_their_stage() {
    let error = Spawn::new("/no/such/program").spawn().unwrap_err();
    assert_eq!(error.stage, Stage::Exec);
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    let mut spawn = sh("true");
    spawn.dir = Some("/no/such/folder".into());
    let error = spawn.spawn().unwrap_err();
    assert_eq!(error.stage, Stage::Folder);
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}

#[test]
fn credentials_are_set_and_the_folder_is_entered_as_that_user() {
    if !crate::user::is_root() {
        return;
    }
    let nobody = Credentials { uid: 65534, gid: 65534, groups: vec![65534, 4242] };
    let mut spawn = sh("id -u; id -g; id -G");
    spawn.dir = Some("/".into());
    spawn.credentials = Some(nobody.clone());
    assert_eq!(output(spawn).0, "65534\n65534\n65534 4242\n");
    let dir = tempfile::tempdir().unwrap();
    crate::folder::make(dir.path(), 0o700, None).unwrap();
    let mut spawn = sh("true");
    spawn.dir = Some(dir.path().to_owned());
    spawn.credentials = Some(nobody);
    assert_eq!(spawn.spawn().unwrap_err().stage, Stage::Folder);
}

#[test]
fn a_pidfd_tells_the_end() {
    let pid = sh("sleep 100").spawn().unwrap();
    let fd = pidfd(pid).unwrap();
    assert!(is_alive(pid));
    assert_eq!(try_wait(pid).unwrap(), None);
    pidfd_signal(&fd, 15).unwrap();
    let mut poll = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut poll, None).unwrap();
    assert_eq!(try_wait(pid).unwrap(), Some(Exit::Signal(15)));
    assert_eq!(signal(pid, 15).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn descendants_are_found() {
    let pid = sh("sh -c 'sleep 100; true'; true").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut found = Vec::new();
    while found.len() < 2 && Instant::now() < deadline {
        found = crate::proc::descendants(pid).unwrap();
    }
    assert_eq!(found.len(), 2);
    for pid in found.into_iter().chain([pid]) {
        signal(pid, 9).unwrap();
    }
    wait(pid).unwrap();
}
