//! Being told when the kernel ends a member of a group for want of memory.
//!
//! Version 2: `memory.events` is written anew, which inotify(7) sees. Version 1: an eventfd(2) is handed to `cgroup.event_control`; it also counts
//! when the group is removed, or a group around it runs out. So word of either kind means: look at [`Group::oom_kills`] again.

use super::Group;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Watches one group.
#[derive(Debug)]
pub struct OomWatch {
    news: OwnedFd,
}

impl OomWatch {
    /// Of this group.
    ///
    /// # Errors
    /// When the group is gone, or nobody sees to its memory.
    pub fn new(group: &Group) -> io::Result<Self> {
        let folder = |file: &str| group.folders().iter().find(|folder| folder.join(file).exists());
        let none = || io::Error::from(io::ErrorKind::NotFound);
        if let Some(second) = folder("memory.events") {
            let news = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            inotify::add_watch(&news, second.join("memory.events"), inotify::WatchFlags::MODIFY)?;
            return Ok(Self { news });
        }
        Self::first(folder("memory.oom_control").ok_or_else(none)?)
    }

    fn first(folder: &Path) -> io::Result<Self> {
        let news = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Needed only until the kernel has taken it.
        let of = File::open(folder.join("memory.oom_control"))?;
        let text = format!("{} {}", news.as_raw_fd(), of.as_raw_fd());
        super::write(&folder.join("cgroup.event_control"), &text)?;
        Ok(Self { news })
    }

    /// Waits for news; some came before, if nobody waited.
    ///
    /// # Errors
    /// When the system has nothing to wait with.
    pub fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.news, PollFlags::IN)], None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let mut bytes = [0_u8; 1024];
        let _ = rustix::io::read(&self.news, &mut bytes); // the next news are waited for anew
        Ok(())
    }
}
