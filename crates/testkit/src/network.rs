//! Networks of a test's own: ports that are fixed and would meet others' on the machine's. Needs root, `unshare` and `ip`.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A network of its own, without anything in it. It ends with the process that holds it, which ends with the test.
#[derive(Debug)]
pub struct Network {
    holder: Child,
}

impl Network {
    /// None where that is not allowed.
    pub fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut network = Self { holder: command.spawn().ok()? };
        let pid = network.holder.id();
        let own = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let before = own("self");
        let there = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let ended = !matches!(network.holder.try_wait(), Ok(None));
            ended || own(&pid.to_string()).is_some_and(|link| Some(link) != before)
        });
        (there && matches!(network.holder.try_wait(), Ok(None))).then_some(network)
    }

    /// Does something there. What it starts stays there.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let path = format!("/proc/{}/ns/net", self.holder.id());
        let enter = || {
            let network = File::open(path).unwrap();
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            rustix::thread::move_into_link_name_space(network.as_fd(), kind).unwrap();
            what()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// Process id of what holds it: `ip` takes it for a name.
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// `ip` with these arguments; whether it worked.
    pub fn ip(&self, arguments: &str) -> bool {
        let run =
            || Command::new("ip").args(arguments.split(' ')).status().is_ok_and(|status| status.success());
        self.inside(run)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.holder.stdin.take()); // the end of its input is its end
        let _ = self.holder.wait();
    }
}
