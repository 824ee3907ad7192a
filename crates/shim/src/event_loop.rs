//! The one loop: waits for the next event or deadline, gives it to whose it is, and tells what changed.

use crate::ShimError;
use crate::instance::Instance;
use crate::output::Output;
use crate::server::{MAX_CLIENTS, Server};
use crate::status::StatusFile;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::signal::SignalReader;
use wire::shim::{FromShim, ShimSpec, ToShim};

const SIGNALS: [(&str, i32); 4] = [("HUP", 1), ("INT", 2), ("TERM", 15), ("CHLD", 17)];

pub(crate) struct EventLoop {
    signals: SignalReader,
    lifetime: Option<OwnedFd>,
    server: Server,
    instance: Instance,
    outputs: Vec<Output>,
    status: StatusFile,
    /// Go when the instance has ended, without waiting for `Release`.
    leaving: bool,
    released: bool,
}

/// What a poll found, as plain values: the descriptors are borrowed only while it waits.
#[derive(Default)]
struct Ready {
    signals: bool,
    lifetime: bool,
    accept: bool,
    outputs: Vec<usize>,
    clients: Vec<usize>,
}

impl EventLoop {
    /// Takes the socket and the signals, then starts the application. That it could not be started is no error here but
    /// a state to tell.
    pub(crate) fn start(
        spec: ShimSpec,
        lifetime: Option<OwnedFd>,
        network: Option<OwnedFd>,
    ) -> Result<Self, ShimError> {
        let signals = SignalReader::new(&SIGNALS.map(|(_, number)| number)).map_err(ShimError::Setup)?;
        sys::process::set_subreaper().map_err(ShimError::Setup)?;
        let server = Server::listen(&spec.socket)
            .map_err(|error| ShimError::Socket { path: spec.socket.clone(), error })?;
        let mut status = StatusFile::new(spec.instance.clone(), spec.status.clone());
        let (instance, outputs) = Instance::start(spec, network);
        status.write(&instance);
        Ok(EventLoop {
            signals,
            lifetime,
            server,
            instance,
            outputs,
            status,
            leaving: false,
            released: false,
        })
    }

    /// Runs until there is nothing left to do.
    pub(crate) fn run(mut self) {
        while !self.is_done() {
            let ready = self.wait();
            if ready.signals {
                self.take_signals();
            }
            if ready.lifetime && self.lifetime.take().is_some() {
                self.leave();
            }
            for index in ready.outputs {
                if let Some(output) = self.outputs.get_mut(index) {
                    output.read_some();
                }
            }
            self.outputs.retain(Output::is_open);
            self.advance();
            if ready.accept {
                self.server.accept();
            }
            for index in ready.clients {
                self.serve(index);
            }
            self.server.drop_dead();
            self.status.retry(&self.instance);
        }
        self.server.remove();
        if self.released {
            self.status.remove();
        }
    }

    fn is_done(&self) -> bool {
        self.instance.is_over() && (self.released || self.leaving)
    }

    fn wait(&self) -> Ready {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN), self.server.poll_fd()];
        let outputs = fds.len();
        fds.extend(self.outputs.iter().map(|o| PollFd::from_borrowed_fd(o.as_fd(), PollFlags::IN)));
        let clients = fds.len();
        fds.extend(self.server.client_fds());
        let lifetime = fds.len();
        // Nothing is ever written into it: only its end is waited for.
        fds.extend(self.lifetime.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let timeout = self.timeout();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default(); // interrupted; come again
        }
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let among =
            |from: usize, to: usize| (from..to).filter(|at| is_ready(*at)).map(move |at| at - from).collect();
        Ready {
            signals: is_ready(0),
            accept: is_ready(1),
            lifetime: is_ready(lifetime),
            outputs: among(outputs, clients),
            clients: among(clients, lifetime),
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let next = [self.instance.deadline(), self.status.deadline()].into_iter().flatten().min()?;
        // A millisecond more, so that it is past when the loop looks.
        let wait = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(wait).ok()
    }

    fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.next_pending() {
            // SIGCHLD only wakes the loop; SIGHUP and SIGINT are meant for the terminal's own.
            if signal == 15 {
                self.leave();
            }
        }
    }

    /// Stops without being asked by the keeper, which has to know: the instance takes no more requests.
    fn leave(&mut self) {
        self.leaving = true;
        self.instance.stop(None, Instant::now());
        self.server.tell_watchers(&FromShim::Status(self.status.current(&self.instance)));
    }

    fn advance(&mut self) {
        if self.instance.advance(Instant::now()) {
            for output in &mut self.outputs {
                output.finish();
            }
            self.outputs.clear();
            self.status.write(&self.instance);
            self.server.tell_watchers(&FromShim::Status(self.status.current(&self.instance)));
        }
    }

    fn serve(&mut self, client: usize) {
        for request in self.server.requests(client) {
            let answer = match request {
                Ok(request) => self.answer(request, client),
                Err(error) => Some(FromShim::Refused { reason: error.to_string() }),
            };
            if let Some(answer) = answer {
                self.server.send(client, &answer);
            }
        }
    }

    /// The answer to one request; none to `Release`: the connection ends with the shim.
    fn answer(&mut self, request: ToShim, client: usize) -> Option<FromShim> {
        let done = match request {
            ToShim::Watch => {
                self.server.watch(client);
                Ok(())
            }
            ToShim::Signal { signal } => self.instance.signal(signal),
            ToShim::Stop { deadline_ms } => {
                self.instance.stop(deadline_ms.map(Duration::from_millis), Instant::now());
                Ok(())
            }
            ToShim::Release if self.instance.is_over() => {
                self.released = true;
                return None;
            }
            ToShim::Release => Err("the instance still runs".to_owned()),
        };
        Some(match done {
            Ok(()) => FromShim::Status(self.status.current(&self.instance)),
            Err(reason) => FromShim::Refused { reason },
        })
    }
}

const _: () = assert!(MAX_CLIENTS < 100, "a poll set that small needs no epoll");
