//! The terminal on standard input and output.

use crate::signal::SignalReader;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, Write};
use std::time::Duration;

/// Does `work` while what is typed is not shown. (Ctrl-C meanwhile ends the process with the echo off; shells turn it on again.)
///
/// # Errors
/// When standard input is no terminal.
pub fn without_echo<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let done = work();
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    Ok(done)
}

/// Columns and rows of the terminal on standard output; `None`: there is none.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// A terminal whose keys go on as they are typed, Ctrl-C included: to a program elsewhere. As it was when this is dropped.
#[derive(Debug)]
pub struct Raw(Termios);

impl Raw {
    /// # Errors
    /// When standard input is no terminal.
    pub fn take() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone: then nothing is left to put right.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// What a [`Screen`] was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed.
    Key(u8),
    /// The terminal has another size.
    Resized,
    /// The process is to end: Ctrl-C, a signal, nobody types any more.
    End,
    /// Time is over.
    Nothing,
}

/// A terminal that is drawn on: a screen of its own, without a cursor, keys are read as they are pressed. However it is left
/// (dropped, a panic, a signal that asks the process to end), the terminal is as it was. SIGKILL leaves no way: `reset` helps.
#[derive(Debug)]
pub struct Screen {
    before: Termios,
    signals: SignalReader,
}

const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";
/// SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH: a stopped process would leave its screen where the shell writes, so that one
/// does nothing.
const SIGNALS: [i32; 6] = [1, 2, 3, 15, 20, 28];

impl Screen {
    /// Takes the terminal over. The calling thread must be the process's only one: it takes signals, too.
    ///
    /// # Errors
    /// When standard input or output is none.
    pub fn take() -> io::Result<Self> {
        let stdin = io::stdin();
        tcgetattr(io::stdout())?;
        let before = tcgetattr(&stdin)?;
        let signals = SignalReader::new(&SIGNALS)?;
        let mut typed = before.clone();
        typed.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        tcsetattr(&stdin, OptionalActions::Now, &typed)?;
        let screen = Self { before, signals };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// Writes to the terminal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Waits for a key or a signal, at most so long.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&self, limit: Duration) -> io::Result<Event> {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        poll(&mut fds, Some(&limit))?;
        let typed = !fds[1].revents().is_empty();
        match self.signals.next_pending()? {
            Some(28) => return Ok(Event::Resized),
            Some(20) => return Ok(Event::Nothing),
            Some(_) => return Ok(Event::End),
            None => {}
        }
        if !typed {
            return Ok(Event::Nothing);
        }
        let mut key = [0];
        // not through the standard library's buffer, which `poll` does not see into
        match rustix::io::read(&stdin, &mut key)? {
            0 => Ok(Event::End),
            _ => Ok(Event::Key(key[0])),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone: then nothing is left to put right.
        let _ = self.write(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}
