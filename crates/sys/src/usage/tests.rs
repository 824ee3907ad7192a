//! Trees of real processes, and lines as the kernel writes them.

use super::*;
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// A shell with children of its own; killed with them at the end.
struct Tree(Child);

impl Tree {
    /// Starts it, and waits until the shell says that all are there.
    fn new(script: &str) -> Self {
        let mut shell = Command::new("sh");
        let mut child =
            shell.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        Self(child)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = crate::process::signal_descendants(self.0.id(), 9);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn fields_are_found_behind_any_name() {
    let stat = "12 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 150 50 20 5 20 0 3 0 4711 9999 2 18446744073709551615 1";
    let seen = parse(stat).unwrap();
    assert_eq!((seen.name.as_str(), seen.parent, seen.threads, seen.is_zombie), ("a) b (c", 7, 3, false));
    assert_eq!((seen.cpu, seen.waited_cpu), (of_ticks(200), of_ticks(25)));
    assert_eq!(seen.memory, 2 * rustix::param::page_size() as u64);
    assert!(parse("12 (x) Z 7").is_none() && parse(") (").is_none());
}

#[test]
fn a_tree_is_its_root_and_all_below_it() {
    let tree = Tree::new("sleep 60 & (sleep 60 & echo; wait) & read -r end");
    let root = tree.0.id();
    let usage = trees(&[root, root, u32::MAX]);
    assert_eq!(usage.keys().copied().collect::<Vec<_>>(), [root], "who is gone has used nothing");
    let usage = &usage[&root];
    // Until the second `sleep` is executed it is a shell, and below one: four processes either way.
    assert_eq!(usage.processes.len(), 4, "{usage:?}");
    assert_eq!(usage.threads, 4);
    assert!(usage.processes.iter().all(|process| process.files.is_some_and(|files| files >= 3)), "{usage:?}");
    assert_eq!(usage.files, usage.processes.iter().map(|process| process.files).sum());
    assert!(usage.memory > 4 * 100_000 && usage.read_bytes.is_some() && usage.write_bytes.is_some());
    assert!(usage.of_group || usage.memory == usage.processes.iter().map(|it| it.memory).sum());
    let exact = usage.exact_memory();
    assert!(exact > 0 && exact <= usage.memory, "{exact} of {}", usage.memory);
}

#[test]
fn the_cheap_look_leaves_files_out() {
    let usage = memory(&[std::process::id()]);
    let usage = &usage[&std::process::id()];
    assert!(usage.memory > 100_000 && usage.files.is_none() && usage.read_bytes.is_none());
}

#[test]
fn what_lost_its_parent_counts_with_the_instance() {
    // As a shim: the outer shell takes in what the inner one leaves behind.
    let script = "import ctypes, subprocess, sys\n\
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n\
        subprocess.Popen(['sh', '-c', 'sleep 61 &']).wait()\n\
        main = subprocess.Popen(['sleep', '62'])\n\
        print(main.pid, flush=True)\n\
        sys.stdin.read()";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let main: u32 = line.trim().parse().unwrap();
    let tree = Tree(child);
    assert_eq!(trees(&[main])[&main].processes.len(), 1);
    assert_eq!(instances(&[main])[&main].processes.len(), 2);
    drop(tree);
}

#[test]
fn time_of_children_that_have_ended_stays() {
    let tree = Tree::new("(i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done); echo; read -r end");
    let usage = &trees(&[tree.0.id()])[&tree.0.id()];
    assert!(usage.cpu > Duration::ZERO, "{usage:?}");
    assert!(usage.cpu >= usage.processes.iter().map(|process| process.cpu).sum());
}
